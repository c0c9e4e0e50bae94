// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * What is changed about files on the middle rung: permissions, owner, extended attributes, length, times.
 *
 * Where the file is described at the beginning of the function and at its end, the record has both. Extended
 * attributes are set by functions that know no mount, so their path goes through the first mount of the whole file
 * system in the caller's namespace; where there is none it may begin at the file system's root, and says so.
 */
#include "lib/file.bpf.h"
#include "lib/trampoline.bpf.h"

char LICENSE[] SEC("license") = "GPL";

enum se_attr {
	SE_ATTR_OPEN = 1 << 15, /* the length is set by an open, which is reported itself */
	SE_MOUNTS_MAX = 64,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* Times of the last access: as in flavors.bpf.h. */
struct inode___access_plain {
	struct timespec64 i_atime;
};

struct inode___access_renamed {
	struct timespec64 __i_atime;
};

struct inode___access_split {
	s64 i_atime_sec;
	u32 i_atime_nsec;
};

struct super_block___root {
	struct dentry *s_root;
};

struct mount___owned {
	struct mnt_namespace *mnt_ns;
};

/* Mounts of a file system: a list until 6.17, then links from one to the next. */
struct list_link {
	struct list_link *next;
};

struct super_block___list {
	struct list_link s_mounts;
};

struct mount___list {
	struct list_link mnt_instance;
};

struct super_block___linked {
	struct mount *s_mounts;
};

struct mount___linked {
	struct mount *mnt_next_for_sb;
};

#pragma clang attribute pop

static __always_inline __s64 se_atime_ns(const struct inode *inode)
{
	const struct inode___access_split *split = (void *)inode;
	const struct inode___access_plain *plain = (void *)inode;
	const struct inode___access_renamed *renamed = (void *)inode;

	if (bpf_core_field_exists(split->i_atime_sec))
		return se_ns(BPF_CORE_READ(split, i_atime_sec), BPF_CORE_READ(split, i_atime_nsec));
	if (bpf_core_field_exists(renamed->__i_atime))
		return SE_TIMESPEC(renamed, __i_atime);
	return SE_TIMESPEC(plain, i_atime);
}

/* Through this mount, which is in the namespace, the whole file system with that root is seen. */
static __always_inline bool se_mount_fits(struct mount *mount, struct mnt_namespace *namespace,
					  struct dentry *root)
{
	return BPF_CORE_READ((struct mount___owned *)mount, mnt_ns) == namespace &&
	       BPF_CORE_READ(mount, mnt.mnt_root) == root;
}

/*
 * A mount in the task's namespace through which the whole file system is seen. If none was found that of the task's root:
 * the path is right if the file is below, and else says that it begins somewhere else.
 *
 * What the kernel's list looks like is asked once, before either loop: an answer that is kept over a loop may end up on
 * the stack, where verifiers lose it, and they then look at the way that this kernel does not have.
 */
static __always_inline struct vfsmount *se_mount_of(struct super_block *sb,
						    struct task_struct *task)
{
	struct mnt_namespace *namespace = SE_LOAD(task, nsproxy, mnt_ns);
	struct dentry *root = BPF_CORE_READ((struct super_block___root *)sb, s_root);
	struct mount *mount;
	void *at;

	if (bpf_core_field_exists(((struct mount___linked *)0)->mnt_next_for_sb)) {
		mount = BPF_CORE_READ((struct super_block___linked *)sb, s_mounts);
#pragma clang loop unroll(disable)
		for (int i = 0; i < SE_MOUNTS_MAX && mount; i++) {
			if (se_mount_fits(mount, namespace, root))
				return (void *)mount + bpf_core_field_offset(struct mount, mnt);
			mount = BPF_CORE_READ((struct mount___linked *)mount, mnt_next_for_sb);
		}
		return SE_LOAD(task, fs, root.mnt);
	}
	at = BPF_CORE_READ((struct super_block___list *)sb, s_mounts.next);
#pragma clang loop unroll(disable)
	for (int i = 0; i < SE_MOUNTS_MAX && at; i++) {
		/* The head of the list is in the super block, where this finds nothing that fits. */
		mount = at - bpf_core_field_offset(struct mount___list, mnt_instance);
		if (se_mount_fits(mount, namespace, root))
			return (void *)mount + bpf_core_field_offset(struct mount, mnt);
		at = BPF_CORE_READ((struct mount___list *)mount, mnt_instance.next);
	}
	return SE_LOAD(task, fs, root.mnt);
}

/* A function that changes what is behind its first argument, a path, is about to. */
static __always_inline void se_path__begin(__u64 *ctx, __u32 op)
{
	struct path *path = (void *)se_arg(ctx, 0);
	struct dentry *dentry = SE_LOAD(path, dentry);
	struct se_pending *pending = se_pending__begin(op, path, SE_LOAD(path, mnt), dentry);

	if (pending)
		se_object__fill(&pending->object, SE_LOAD(dentry, d_inode), dentry);
}

/* The record of a change whose beginning was kept. Changes that set the same from the same are merged. */
static __always_inline struct se_buf *se_change__record(const struct se_deed *deed,
							const struct se_pending *pending,
							const enum se_walker walker)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct dentry *dentry = pending->dentry;
	struct inode *inode = SE_LOAD(dentry, d_inode);
	struct se_buf *buf;
	__u64 detail;

	switch (deed->op) {
	case SE_FILE_CHMOD:
		detail = (__u64)pending->object.mode << 32 | SE_LOAD(inode, i_mode);
		break;
	case SE_FILE_CHOWN:
		detail = ((__u64)pending->object.uid << 32 | pending->object.gid) ^
			 ((__u64)SE_LOAD(inode, i_uid.val) << 16 | SE_LOAD(inode, i_gid.val));
		break;
	case SE_FILE_TRUNCATE:
		detail = SE_LOAD(inode, i_size);
		break;
	default:
		detail = 0;
	}
	buf = se_file__of_object(deed, task, pending->mnt, dentry, &detail, walker);
	if (!buf)
		return NULL;
	buf->file.before = pending->object;
	buf->file.flags |= SE_FILE_BEFORE;
	return buf;
}

/* The end of a function that began with se_path__begin(); its result stands behind `arguments` of them. */
static __always_inline void on_changed(__u64 *ctx, const struct se_deed *deed, __u32 arguments,
				       const enum se_walker walker)
{
	struct se_pending *pending = se_pending__end(deed->op, (void *)se_arg(ctx, 0));
	struct se_buf *buf;

	if (!pending || se_is_refused(se_arg(ctx, arguments)))
		return;
	buf = se_change__record(deed, pending, walker);
	if (!buf)
		return;
	if (deed->op == SE_FILE_UTIMES) {
		struct dentry *dentry = pending->dentry;

		buf->file.arg[0] = se_atime_ns(SE_LOAD(dentry, d_inode));
		buf->file.arg[1] = buf->file.object.mtime_ns;
	}
	se_trampoline__output(buf, deed->kind);
}

static __always_inline void before_chmod(__u64 *ctx)
{
	se_path__begin(ctx, SE_FILE_CHMOD);
}

SE_TRAMPOLINE_PLAIN(se_t_chmod_in, "fentry/chmod_common", before_chmod)

static __always_inline void on_chmod(__u64 *ctx, const enum se_walker walker)
{
	static const struct se_deed deed = {.lane = SE_LANE_T_CHMOD,
					    .hook = SE_HOOK_FEXIT,
					    .kind = SE_KIND_FILE_MODE,
					    .op = SE_FILE_CHMOD};

	on_changed(ctx, &deed, 2, walker);
}

SE_TRAMPOLINE(se_t_chmod, "fexit/chmod_common", on_chmod)

static __always_inline void before_chown(__u64 *ctx)
{
	se_path__begin(ctx, SE_FILE_CHOWN);
}

SE_TRAMPOLINE_PLAIN(se_t_chown_in, "fentry/chown_common", before_chown)

static __always_inline void on_chown(__u64 *ctx, const enum se_walker walker)
{
	static const struct se_deed deed = {.lane = SE_LANE_T_CHOWN,
					    .hook = SE_HOOK_FEXIT,
					    .kind = SE_KIND_FILE_OWNER,
					    .op = SE_FILE_CHOWN};

	on_changed(ctx, &deed, 3, walker);
}

SE_TRAMPOLINE(se_t_chown, "fexit/chown_common", on_chown)

static __always_inline void before_utimes(__u64 *ctx)
{
	se_path__begin(ctx, SE_FILE_UTIMES);
}

SE_TRAMPOLINE_PLAIN(se_t_times_in, "fentry/vfs_utimes", before_utimes)

static __always_inline void on_utimes(__u64 *ctx, const enum se_walker walker)
{
	static const struct se_deed deed = {.lane = SE_LANE_T_UTIMES,
					    .hook = SE_HOOK_FEXIT,
					    .kind = SE_KIND_FILE_TIMES,
					    .op = SE_FILE_UTIMES};

	on_changed(ctx, &deed, 2, walker);
}

SE_TRAMPOLINE(se_t_times, "fexit/vfs_utimes", on_utimes)

/* truncate() has a path; ftruncate() has an open file, which the next function knows too. */
static __always_inline void before_truncate_path(__u64 *ctx)
{
	struct path *path = (void *)se_arg(ctx, 0);
	struct dentry *dentry = SE_LOAD(path, dentry);

	se_pending__begin(SE_FILE_TRUNCATE, dentry, SE_LOAD(path, mnt), dentry);
}

SE_TRAMPOLINE_PLAIN(se_t_trunc_at, "fentry/vfs_truncate", before_truncate_path)

/* (dentry, length, what else is set, file or NULL), since mounts have maps of ids behind one more. */
static __always_inline __u32 se_truncate_at(void)
{
	return se_args_do_truncate > 4;
}

static __always_inline void before_truncate(__u64 *ctx)
{
	struct dentry *dentry = (void *)se_arg(ctx, se_truncate_at());
	struct file *file = (void *)se_arg(ctx, se_truncate_at() + 3);
	struct se_pending *pending;
	struct vfsmount *mnt;

	if ((__u32)se_arg(ctx, se_truncate_at() + 2) & SE_ATTR_OPEN)
		return;
	if (file) {
		mnt = SE_LOAD(file, f_path.mnt);
	} else {
		pending = se_pending__end(SE_FILE_TRUNCATE, dentry);
		if (!pending)
			return;
		mnt = pending->mnt;
	}
	pending = se_pending__begin(SE_FILE_TRUNCATE, dentry, mnt, dentry);
	if (pending)
		se_object__fill(&pending->object, SE_LOAD(dentry, d_inode), dentry);
}

SE_TRAMPOLINE_PLAIN(se_t_trunc_in, "fentry/do_truncate", before_truncate)

static __always_inline void on_truncate(__u64 *ctx, const enum se_walker walker)
{
	static const struct se_deed deed = {.lane = SE_LANE_T_TRUNCATE,
					    .hook = SE_HOOK_FEXIT,
					    .kind = SE_KIND_FILE_TRUNCATE,
					    .op = SE_FILE_TRUNCATE};
	struct dentry *dentry = (void *)se_arg(ctx, se_truncate_at());
	struct se_pending *pending = se_pending__end(SE_FILE_TRUNCATE, dentry);
	struct se_buf *buf;

	if (!pending || !pending->object.inode || se_is_refused(se_arg(ctx, se_args_do_truncate)))
		return;
	buf = se_change__record(&deed, pending, walker);
	if (buf)
		se_trampoline__output(buf, SE_KIND_FILE_TRUNCATE);
}

SE_TRAMPOLINE(se_t_trunc, "fexit/do_truncate", on_truncate)

/* An overlay keeps its books in attributes of the layers below. */
static __always_inline bool se_is_bookkeeping(const char *name)
{
	union {
		char text[17];
		__u64 word[2];
	} head = {}, prefix = {.text = "trusted.overlay."};

	bpf_probe_read_kernel_str(head.text, sizeof(head.text), name);
	return head.word[0] == prefix.word[0] && head.word[1] == prefix.word[1];
}

/* (dentry, name, ...), since mounts have maps of ids behind one more. */
static __always_inline void on_xattr(__u64 *ctx, const struct se_deed *deed, __u32 at,
				     __u32 arguments, const enum se_walker walker)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct dentry *dentry = (void *)se_arg(ctx, at);
	const char *name = (void *)se_arg(ctx, at + 1);
	struct vfsmount *mnt;
	struct se_buf *buf;

	if (se_is_refused(se_arg(ctx, arguments)) || se_is_bookkeeping(name))
		return;
	mnt = se_mount_of(SE_LOAD(dentry, d_sb), task);
	buf = se_file__of_object(deed, task, mnt, dentry, NULL, walker);
	if (!buf)
		return;
	se_append_string(&buf->header, SE_ROOM, &buf->file.name, name, SE_NAME_MAX + 1);
	se_trampoline__output(buf, SE_KIND_FILE_XATTR);
}

static __always_inline void on_setxattr(__u64 *ctx, const enum se_walker walker)
{
	static const struct se_deed deed = {.lane = SE_LANE_T_SETXATTR,
					    .hook = SE_HOOK_FEXIT,
					    .kind = SE_KIND_FILE_XATTR,
					    .op = SE_FILE_SETXATTR};

	on_xattr(ctx, &deed, se_args_vfs_setxattr > 5, se_args_vfs_setxattr, walker);
}

SE_TRAMPOLINE(se_t_setxat, "fexit/vfs_setxattr", on_setxattr)

static __always_inline void on_removexattr(__u64 *ctx, const enum se_walker walker)
{
	static const struct se_deed deed = {.lane = SE_LANE_T_REMOVEXATTR,
					    .hook = SE_HOOK_FEXIT,
					    .kind = SE_KIND_FILE_XATTR,
					    .op = SE_FILE_REMOVEXATTR};

	on_xattr(ctx, &deed, se_args_vfs_removexattr > 2, se_args_vfs_removexattr, walker);
}

SE_TRAMPOLINE(se_t_remxat, "fexit/vfs_removexattr", on_removexattr)
