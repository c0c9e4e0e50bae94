/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What programs on kernel functions share: their lanes, how they read arguments, and what is kept of a call from
 * the beginning of a function to its end.
 *
 * A function that is about to do something has the objects as they were and, in the hooks of the security
 * modules, the mount that a path goes through. A function that has done it knows whether it worked. So most
 * sensors are a pair: the beginning is noted, by task, and the end makes the record if the result is good. A task is
 * in one such call at a time; file systems in layers call the same functions again for what is below, and those
 * calls are told from the outer one by the object that they are about.
 *
 * Arguments are taken as plain numbers. Where they stand follows from how many there are: the map of a mount's
 * ids came first (5.12), delegations last (7.0). The user side counts them in BTF and uses no function whose
 * number it does not know.
 */
#ifndef SE_TRAMPOLINE_BPF_H
#define SE_TRAMPOLINE_BPF_H

#include "emit.bpf.h"
#include "entry.bpf.h"

/* The programs that build records; each has a lane, as any may be left for another one by the scheduler. */
enum se_trampoline_lane {
	SE_LANE_T_OPEN = SE_LANE_FIRST_TRAMPOLINE,
	SE_LANE_T_CLOSE,
	SE_LANE_T_UNLINK,
	SE_LANE_T_RMDIR,
	SE_LANE_T_RENAME,
	SE_LANE_T_LINK,
	SE_LANE_T_SYMLINK,
	SE_LANE_T_MKDIR,
	SE_LANE_T_MKNOD,
	SE_LANE_T_CHMOD,
	SE_LANE_T_CHOWN,
	SE_LANE_T_SETXATTR,
	SE_LANE_T_REMOVEXATTR,
	SE_LANE_T_TRUNCATE,
	SE_LANE_T_UTIMES,
	SE_LANE_T_MOUNT,
	SE_LANE_T_UMOUNT,
	SE_LANE_T_PIVOT,
	SE_LANE_T_CHROOT,
	SE_LANE_T_MOVE_MOUNT,
	SE_LANE_T_END,
};

_Static_assert(SE_LANE_T_END <= SE_LANES_MAX, "more lanes than the map may have");

/* Buffers a CPU where trampolines are used; see se_lanes. */
const volatile __u32 se_lanes_trampoline __weak = SE_LANE_T_END;

/* How many arguments the functions take. */
const volatile __u32 se_args_vfs_unlink __weak = 4;
const volatile __u32 se_args_vfs_mkdir __weak = 4;
const volatile __u32 se_args_vfs_mknod __weak = 5;
const volatile __u32 se_args_vfs_symlink __weak = 4;
const volatile __u32 se_args_vfs_link __weak = 5;
const volatile __u32 se_args_vfs_setxattr __weak = 6;
const volatile __u32 se_args_vfs_removexattr __weak = 3;
const volatile __u32 se_args_do_truncate __weak = 5;

/* An argument, counted from 0; behind the last one, at the end of a function, stands its result. */
static __always_inline __u64 se_arg(__u64 *ctx, __u32 at)
{
	__u64 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), ctx + at);
	return value;
}

/*
 * The result of a function is an error: a negative int, the rest of whose register may be zeros, or in newer
 * versions of some functions an address with an error in it.
 */
static __always_inline bool se_is_refused(__u64 result)
{
	__s64 wide = result;
	__s32 narrow = result;

	if (wide < 0 && wide >= -4095)
		return true;
	return !(result >> 32) && narrow < 0;
}

/* What is kept of a call. */
struct se_pending {
	__u64 subject; /* address of the object that the call is about */
	struct vfsmount *mnt;
	struct dentry *dentry;
	struct dentry *directory; /* rename: where it was */
	__u32 op;		  /* enum se_file_op, 0: nothing */
	__u32 flags;		  /* open: O_*; rename: RENAME_*; umount: MNT_* */
	struct se_object object;  /* the file before */
	struct se_object replaced;
	__u8 name[SE_NAME_MAX + 1]; /* rename: its name before; umount: type of the file system */
};

/* By task. Calls that never end, as they were refused in between, are overwritten by the task's next one. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct se_pending);
} se_pending SEC(".maps") __weak;

static const __u8 se_zeros[sizeof(struct se_pending)];

/* A call begins. */
static __always_inline struct se_pending *
se_pending__begin(__u32 op, const void *subject, struct vfsmount *mnt, struct dentry *dentry)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct se_pending *pending = bpf_map_lookup_elem(&se_pending, &tid);

	if (!pending) {
		bpf_map_update_elem(&se_pending, &tid, se_zeros, BPF_ANY);
		pending = bpf_map_lookup_elem(&se_pending, &tid);
		if (!pending)
			return NULL;
	}
	pending->op = op;
	pending->subject = (__u64)subject;
	pending->mnt = mnt;
	pending->dentry = dentry;
	__builtin_memset(&pending->object, 0, sizeof(pending->object));
	__builtin_memset(&pending->replaced, 0, sizeof(pending->replaced));
	return pending;
}

/* A call ends: what was kept of it, NULL if it is none that began here. */
static __always_inline struct se_pending *se_pending__end(__u32 op, const void *subject)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct se_pending *pending = bpf_map_lookup_elem(&se_pending, &tid);

	if (!pending || pending->op != op || pending->subject != (__u64)subject)
		return NULL;
	pending->op = 0;
	return pending;
}

/* Hands the record out. */
static __always_inline void se_trampoline__output(struct se_buf *buf, __u32 kind)
{
	/* The ring's own flag, for the time of its first attempt: what the request asked for cannot be told apart. */
	if (buf->file.actor.flags & SE_ACTOR_IO_URING &&
	    (kind == SE_KIND_FILE_OPEN || kind == SE_KIND_FILE_READ))
		buf->file.open_flags &= ~SE_O_NONBLOCK;
	se_output(&buf->header, kind, SE_RECORD_MAX);
}

/* A program that walks no path. */
#define SE_TRAMPOLINE_PLAIN(name, section, body) \
	SEC(section)                             \
	int name(__u64 *ctx)                     \
	{                                        \
		se_enter();                      \
		body(ctx);                       \
		se_leave();                      \
		return 0;                        \
	}

/* One that does, and its twin for kernels without bpf_loop(). */
#define SE_TRAMPOLINE(name, section, body)  \
	SEC(section)                        \
	int name(__u64 *ctx)                \
	{                                   \
		se_enter();                 \
		body(ctx, SE_WALK_LOOP);    \
		se_leave();                 \
		return 0;                   \
	}                                   \
	SEC(section)                        \
	int name##_bnd(__u64 *ctx)          \
	{                                   \
		se_enter();                 \
		body(ctx, SE_WALK_BOUNDED); \
		se_leave();                 \
		return 0;                   \
	}

#endif
