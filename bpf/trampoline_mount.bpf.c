// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Mounts and roots on the middle rung. mount(), umount() and chroot() are reported when they worked. pivot_root() and
 * move_mount() end in functions that no trampoline can go on everywhere, so these two are reported when the security
 * modules have let them pass, just before they are done: the kernel may still refuse them.
 */
#include "lib/file.bpf.h"
#include "lib/trampoline.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Appends the name of a file system's type. */
static __always_inline void se_append_fs_type(struct se_buf *buf, struct vfsmount *mnt)
{
	struct super_block *sb = SE_LOAD(mnt, mnt_sb);

	se_append_string(&buf->header, SE_ROOM, &buf->file.name, SE_LOAD(sb, s_type, name),
			 SE_NAME_MAX + 1);
}

/* (source, path, type, flags, data); the strings are the kernel's copies. */
static __always_inline void on_mount(__u64 *ctx, const enum se_walker walker)
{
	static const struct se_deed deed = {.lane = SE_LANE_T_MOUNT,
					    .hook = SE_HOOK_FEXIT,
					    .kind = SE_KIND_MOUNT,
					    .op = SE_FILE_MOUNT};
	struct task_struct *task = (void *)bpf_get_current_task();
	struct path *path = (void *)se_arg(ctx, 1);
	struct se_buf *buf;

	if (se_is_refused(se_arg(ctx, 5)))
		return;
	buf = se_file__of_object(&deed, task, SE_LOAD(path, mnt), SE_LOAD(path, dentry), NULL,
				 walker);
	if (!buf)
		return;
	buf->file.arg[0] = se_arg(ctx, 3);
	se_append_string(&buf->header, SE_ROOM, &buf->file.other, (void *)se_arg(ctx, 0),
			 SE_PATH_MAX);
	se_append_string(&buf->header, SE_ROOM, &buf->file.name, (void *)se_arg(ctx, 2),
			 SE_NAME_MAX + 1);
	se_trampoline__output(buf, SE_KIND_MOUNT);
}

SE_TRAMPOLINE(se_t_mount, "fexit/path_mount", on_mount)

/* What is mounted is gone from the tree afterwards, so the place is kept: the directory that it covers. */
static __always_inline void before_umount(__u64 *ctx)
{
	struct path *path = (void *)se_arg(ctx, 0);
	struct vfsmount *mnt = SE_LOAD(path, mnt);
	struct dentry *root = SE_LOAD(path, dentry);
	struct mount *mount = se_mount(mnt);
	struct mount *parent = BPF_CORE_READ(mount, mnt_parent);
	struct se_pending *pending = se_pending__begin(
		SE_FILE_UMOUNT, path, (void *)parent + bpf_core_field_offset(struct mount, mnt),
		BPF_CORE_READ(mount, mnt_mountpoint));
	struct super_block *sb = SE_LOAD(mnt, mnt_sb);

	if (!pending)
		return;
	pending->flags = se_arg(ctx, 1);
	se_object__fill(&pending->object, SE_LOAD(root, d_inode), root);
	bpf_probe_read_kernel_str(pending->name, sizeof(pending->name), SE_LOAD(sb, s_type, name));
}

SE_TRAMPOLINE_PLAIN(se_t_umount_in, "fentry/path_umount", before_umount)

static __always_inline void on_umount(__u64 *ctx, const enum se_walker walker)
{
	static const struct se_deed deed = {.lane = SE_LANE_T_UMOUNT,
					    .hook = SE_HOOK_FEXIT,
					    .kind = SE_KIND_MOUNT,
					    .op = SE_FILE_UMOUNT};
	struct se_pending *pending = se_pending__end(SE_FILE_UMOUNT, (void *)se_arg(ctx, 0));
	struct task_struct *task = (void *)bpf_get_current_task();
	struct se_buf *buf;
	__u32 flags;

	if (!pending || se_is_refused(se_arg(ctx, 2)))
		return;
	buf = se_file__of_object(&deed, task, pending->mnt, pending->dentry, NULL, walker);
	if (!buf)
		return;
	/* The root of what was mounted, not the directory below. */
	flags = buf->file.object.flags & (SE_OBJECT_PATH_CUT | SE_OBJECT_PATH_DETACHED);
	buf->file.object = pending->object;
	buf->file.object.flags |= flags;
	buf->file.arg[0] = pending->flags;
	se_append_string(&buf->header, SE_ROOM, &buf->file.name, pending->name, SE_NAME_MAX + 1);
	se_trampoline__output(buf, SE_KIND_MOUNT);
}

SE_TRAMPOLINE(se_t_umount, "fexit/path_umount", on_umount)

/* One path or two have passed the security modules. */
static __always_inline void on_passed(const struct se_deed *deed, struct path *path,
				      struct path *other, const enum se_walker walker)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct vfsmount *mnt = SE_LOAD(path, mnt);
	struct se_buf *buf = se_file__of_object(deed, task, mnt, SE_LOAD(path, dentry), NULL,
						walker);

	if (!buf)
		return;
	if (other)
		se_file__add_object(buf, task, SE_LOAD(other, mnt), SE_LOAD(other, dentry), walker);
	if (deed->op == SE_FILE_MOVE_MOUNT)
		se_append_fs_type(buf, mnt);
	se_trampoline__output(buf, SE_KIND_MOUNT);
}

/* (where the old root goes, new root) */
static __always_inline void on_pivot(__u64 *ctx, const enum se_walker walker)
{
	static const struct se_deed deed = {.lane = SE_LANE_T_PIVOT,
					    .hook = SE_HOOK_FEXIT,
					    .kind = SE_KIND_MOUNT,
					    .op = SE_FILE_PIVOT_ROOT};

	if (!se_is_refused(se_arg(ctx, 2)))
		on_passed(&deed, (void *)se_arg(ctx, 1), (void *)se_arg(ctx, 0), walker);
}

SE_TRAMPOLINE(se_t_pivot, "fexit/security_sb_pivotroot", on_pivot)

/* Nothing can go wrong any more after this hook. */
static __always_inline void on_chroot(__u64 *ctx, const enum se_walker walker)
{
	static const struct se_deed deed = {.lane = SE_LANE_T_CHROOT,
					    .hook = SE_HOOK_FEXIT,
					    .kind = SE_KIND_MOUNT,
					    .op = SE_FILE_CHROOT};

	if (!se_is_refused(se_arg(ctx, 1)))
		on_passed(&deed, (void *)se_arg(ctx, 0), NULL, walker);
}

SE_TRAMPOLINE(se_t_chroot, "fexit/security_path_chroot", on_chroot)

/* (from, to) */
static __always_inline void on_move_mount(__u64 *ctx, const enum se_walker walker)
{
	static const struct se_deed deed = {.lane = SE_LANE_T_MOVE_MOUNT,
					    .hook = SE_HOOK_FEXIT,
					    .kind = SE_KIND_MOUNT,
					    .op = SE_FILE_MOVE_MOUNT};

	if (!se_is_refused(se_arg(ctx, 2)))
		on_passed(&deed, (void *)se_arg(ctx, 0), (void *)se_arg(ctx, 1), walker);
}

SE_TRAMPOLINE(se_t_moved, "fexit/security_move_mount", on_move_mount)
