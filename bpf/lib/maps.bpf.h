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
 * Set by the loader before the load: max_entries of se_ring and se_bulk; max_entries of the buffers indexed by
 * CPU, which is the number of possible CPUs (of se_bufs SE_LANES times as many); value_size of se_exec_bufs, which is sizeof(struct
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

/*
 * What an operation works on: a directory and a string that is looked up from there, or the object itself; see
 * name.bpf.h. It lies in the buffer, as the walk does and for the same reason: whichever way it was found, it
 * looks alike to the verifier.
 */
struct se_start {
	struct vfsmount *mnt; /* NULL: the descriptor means nothing any more */
	struct dentry *dentry;
	__u64 name;
	__u32 object; /* the dentry is what was worked on, there is no string */
	__u32 user;   /* the string is in the caller's memory */
	__u32 absent; /* the string is not readable */
	__u32 first;  /* its first byte, 0: it is empty */
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

/*
 * Lanes: which buffer of its CPU a program builds its records in. Programs that can interrupt each other
 * have one each. On the tracepoint of system calls preemption is off, and the programs it calls in turn
 * share a lane; programs on trampolines are only kept on their CPU, where another task may come between,
 * so each has its own. The kernel keeps one program from interrupting itself, and counts the runs it skips.
 */
enum se_lane {
	SE_LANE_SYSCALL = 0,
	SE_LANE_URING_SUBMIT = 1,
	SE_LANE_URING_COMPLETE = 2,
	SE_LANE_TRACEPOINT = 3, /* others that run with preemption off, and not in an interrupt */
	SE_LANE_CGROUP = 4,	/* cgroup hooks, see network.bpf.c */
	SE_LANE_FIRST_TRAMPOLINE = 5,
	SE_LANES = 5, /* without trampolines */
	SE_LANES_MAX = 48,
};

/* Room for the tail of a record: three paths, a name, and a chunk for what is written last. */
enum se_tail {
	SE_TAIL_BYTES = 3 * SE_PATH_MAX + 512,
};

struct se_buf {
	struct se_walk walk;
	struct se_start at, other;
	union {
		struct se_header header;
		struct se_file file;
		struct se_net net;
		struct se_privilege privilege;
		struct se_credentials credentials;
	};
	__u8 tail[SE_TAIL_BYTES + SE_CHUNK];
};

/* Where in any of those records the last chunk may begin, and the most that one may have. */
enum se_record_room {
	SE_ROOM = sizeof(struct se_credentials) + SE_TAIL_BYTES,
	SE_RECORD_MAX = SE_ROOM + SE_CHUNK,
};

/* Counts of one CPU. */
struct se_ledger {
	__u64 count[SE_KIND_MAX][SE_OUTCOME_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1048576);
} se_ring SEC(".maps") __weak;

/* Files, network and memory: what there can be any amount of. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4194304);
} se_bulk SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SE_LANES);
	__type(key, __u32);
	__type(value, struct se_buf);
} se_bufs SEC(".maps") __weak;

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

/* Programs that the one on sys_exit goes on to, by enum se_call. Frozen once it is filled. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, SE_CALL_MAX);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} se_handlers SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct se_switches);
} se_switch SEC(".maps") __weak;

/* The two windows of merged events. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct se_merge_key);
	__type(value, struct se_merge);
} se_merge_even SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct se_merge_key);
	__type(value, struct se_merge);
} se_merge_odd SEC(".maps") __weak;

/* Configured paths of directories, what is below them included; the longest that fits counts. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, struct se_watch_path);
	__type(value, struct se_verdict);
} se_watch_paths SEC(".maps") __weak;

/* Configured names; the value is enum se_watch. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct se_watch_name);
	__type(value, __u32);
} se_watch_names SEC(".maps") __weak;

/* Configured inodes; the value is enum se_watch. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct se_file_id);
	__type(value, __u32);
} se_watch_files SEC(".maps") __weak;

struct se_directory {
	__u64 mount; /* address of the mount: what tells the paths of one directory apart */
	__u64 inode;
};

struct se_judged {
	struct se_verdict verdict;
	__u64 until; /* in jiffies */
	/* Of the task's mount namespace: changes with every mount, so that a path does, too. */
	__u64 mounts;
	__u32 generation;
	__u32 moves; /* of directories, see se_moves */
};

/* Verdicts on directories, so that a path is only built and compared once in a while. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct se_directory);
	__type(value, struct se_judged);
} se_directories SEC(".maps") __weak;

/* How often a directory was renamed, which takes all that is below to other paths. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} se_moves SEC(".maps") __weak;

/* Exclusions, see enum se_skip. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct se_file_id);
	__type(value, __u8);
} se_skip_exes SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u8);
} se_skip_cgroups SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u8);
} se_skip_users SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u8);
} se_skip_ports SEC(".maps") __weak;

struct se_bucket {
	__s64 tokens;
	__u64 refilled_ns;
};

/* The limit of the bulk ring. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct se_bucket);
} se_buckets SEC(".maps") __weak;

/* Maps, programs and links of the agent, so that it can be told when somebody reaches for them. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct se_bpf_id);
	__type(value, __u8);
} se_own_ids SEC(".maps") __weak;

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
