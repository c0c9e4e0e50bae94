/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The maps. Each is __weak, so that every subject may declare it and the linker keeps one.
 *
 * Records whose size is known go into the ring in place. The others are built in a buffer first,
 * since a reservation needs a constant size. Buffers are arrays indexed by CPU and not per-CPU
 * maps, whose values are limited to 32 KiB. Each program family has a buffer of its own: the system
 * call tracepoint may be interrupted by the others, and only runs of one program exclude each other
 * on a CPU.
 *
 * Set by the loader before the load: max_entries of se_ring; max_entries of the buffers indexed by
 * CPU, which is the number of possible CPUs; value_size of se_exec_bufs, which is sizeof(struct
 * se_walk) + se_exec_room + SE_CHUNK. The sizes given here fit the knobs' defaults.
 */
#ifndef SE_MAPS_BPF_H
#define SE_MAPS_BPF_H

#include "common.bpf.h"

/* State of a path walk and the path so far, which grows from the end of the buffer to its start. */
struct se_walk {
	struct dentry *dentry;
	struct mount *mount;
	struct dentry *mount_root;
	struct mount *top; /* root of the task's mount namespace */
	__u32 start;	   /* where in path the path begins */
	__u32 end;	   /* enum se_walk_end */
	__u8 path[SE_PATH_MAX + SE_NAME_MAX + 1];
};

enum se_small {
	/* Last places in a record where a chunk may begin; a chunk more must fit. */
	SE_FAILED_ROOM = sizeof(struct se_exec_failed) + 2 * SE_PATH_MAX + SE_FAILED_ARGS_BYTES,
	SE_SNAPSHOT_ROOM = sizeof(struct se_snapshot) + 2 * SE_PATH_MAX,
	SE_CGROUP_PATH_MAX = 1024, /* TRACE_CGROUP_PATH_LEN */
};

/* Only the beginning: the tail's size follows from the knobs. */
struct se_exec_buf {
	struct se_walk walk;
	struct se_exec exec;
};

struct se_failed_buf {
	struct se_walk walk;
	struct se_exec_failed failed;
	__u8 tail[SE_FAILED_ROOM + SE_CHUNK - sizeof(struct se_exec_failed)];
};

struct se_snapshot_buf {
	struct se_walk walk;
	struct se_snapshot snapshot;
	__u8 tail[SE_SNAPSHOT_ROOM + SE_CHUNK - sizeof(struct se_snapshot)];
};

struct se_cgroup_buf {
	struct se_cgroup cgroup;
	__u8 path[SE_CGROUP_PATH_MAX];
};

/* Counts of one CPU. */
struct se_ledger {
	__u64 count[SE_KIND_MAX][SE_OUTCOME_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1048576);
} se_ring SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct se_ledger);
} se_counters SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size,
	       sizeof(struct se_walk) + sizeof(struct se_exec) + 5 * SE_PATH_MAX + SE_ARGS_DEFAULT);
} se_exec_bufs SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct se_failed_buf);
} se_failed_bufs SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct se_cgroup_buf);
} se_cgroup_bufs SEC(".maps") __weak;

/* Only one reader at a time takes a snapshot. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct se_snapshot_buf);
} se_snap_buf SEC(".maps") __weak;

struct se_exited {
	__u64 start_ns;
	__u64 pid;
};

/* Processes whose exit was reported lately, see is_last_thread() in process.bpf.c. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct se_exited);
	__type(value, __u8);
} se_exits SEC(".maps") __weak;

#endif
