// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Mounts and roots at the return of system calls: what is mounted where, moved and taken away, and what processes
 * take for their root directory.
 *
 * Nothing here is left out as noise or merged: it is rare, and it decides what every path means. A new root and
 * a mount that is moved by its descriptor are read from the kernel; where a mount goes by name, the directory
 * comes from the kernel and the string behind it from user memory.
 */
#include "lib/handler.bpf.h"

char LICENSE[] SEC("license") = "GPL";

enum {
	SE_FS_NAME_ROOM = 256,
	SE_MOVE_MOUNT_F_EMPTY_PATH = 4,
};

/* The name of the mount's file system type, from the kernel. */
static __always_inline void add_type(struct se_buf *buf, struct vfsmount *mnt)
{
	const char *name = SE_LOAD(mnt, mnt_sb, s_type, name);

	se_append_string(&buf->header, SE_ROOM, &buf->file.name, name, SE_FS_NAME_ROOM);
}

/* mount(source, target, type, flags, data): also what changes a mount, by the flags. */
static __always_inline void on_mount(struct pt_regs *regs, long ret, const enum se_walker walker)
{
	struct task_struct *task = se_current();
	struct se_deed deed = se_call_deed(SE_CALL_MOUNT, SE_KIND_MOUNT, SE_FILE_MOUNT);
	struct se_args args = {};
	struct se_buf *buf = se_file__buf(SE_LANE_SYSCALL);

	if (ret || !buf)
		return;
	se_syscall_args(regs, &args);
	se_start(&buf->at, task, SE_AT_FDCWD, args.arg[1], true);
	buf = se_file__done(&deed, task, buf, false, true, NULL, walker);
	if (!buf)
		return;
	buf->file.arg[0] = args.arg[3];
	if (args.arg[0])
		se_file__add_string(buf, &buf->file.other, args.arg[0], SE_PATH_MAX,
				    SE_FILE_OTHER_FAULT);
	if (args.arg[2])
		se_file__add_string(buf, &buf->file.name, args.arg[2], SE_FS_NAME_ROOM, 0);
	se_file__output(buf, SE_KIND_MOUNT);
}

/* umount2(target, flags), umount(target) */
static __always_inline void on_umount(struct pt_regs *regs, long ret, const enum se_walker walker)
{
	struct task_struct *task = se_current();
	__u32 call = se_syscall_call(regs);
	struct se_deed deed = se_call_deed(call, SE_KIND_MOUNT, SE_FILE_UMOUNT);
	struct se_args args = {};
	struct se_buf *buf = se_file__buf(SE_LANE_SYSCALL);

	if (ret || !buf)
		return;
	se_syscall_args(regs, &args);
	se_start(&buf->at, task, SE_AT_FDCWD, args.arg[0], true);
	buf = se_file__done(&deed, task, buf, false, true, NULL, walker);
	if (!buf)
		return;
	if (call == SE_CALL_UMOUNT2)
		buf->file.arg[0] = (__u32)args.arg[1];
	se_file__output(buf, SE_KIND_MOUNT);
}

/* chroot(path), pivot_root(new, put_old): the task's root is the new one by now. */
static __always_inline void on_root(struct pt_regs *regs, long ret, const enum se_walker walker)
{
	struct task_struct *task = se_current();
	__u32 call = se_syscall_call(regs);
	bool is_chroot = call == SE_CALL_CHROOT;
	struct se_deed deed = se_call_deed(call, SE_KIND_MOUNT,
					   is_chroot ? SE_FILE_CHROOT : SE_FILE_PIVOT_ROOT);
	struct vfsmount *mnt;
	struct se_buf *buf = se_file__buf(SE_LANE_SYSCALL);
	struct se_args args = {};

	if (ret || !buf)
		return;
	se_syscall_args(regs, &args);
	mnt = SE_LOAD(task, fs, root.mnt);
	se_start_object(&buf->at, mnt, SE_LOAD(task, fs, root.dentry));
	buf = se_file__done(&deed, task, buf, false, false, NULL, walker);
	if (!buf)
		return;
	if (is_chroot) {
		se_file__compare_given(buf, args.arg[0], true, true, walker);
	} else {
		add_type(buf, mnt);
		/* As they were given: what they start from has gone with the old root. */
		se_file__add_string(buf, &buf->file.given, args.arg[0], SE_PATH_MAX, 0);
		se_file__add_string(buf, &buf->file.other, args.arg[1], SE_PATH_MAX,
				    SE_FILE_OTHER_FAULT);
	}
	se_file__output(buf, SE_KIND_MOUNT);
}

/*
 * move_mount(dirfd, from, dirfd, to, flags). By the descriptor alone, the mount is in the kernel's hands and its
 * place is read from there. By name, `other` is where it was.
 */
static __always_inline void on_move(struct pt_regs *regs, long ret, const enum se_walker walker)
{
	struct task_struct *task = se_current();
	struct se_deed deed = se_call_deed(SE_CALL_MOVE_MOUNT, SE_KIND_MOUNT, SE_FILE_MOVE_MOUNT);
	struct se_buf *buf = se_file__buf(SE_LANE_SYSCALL);
	struct se_args args = {};

	if (ret || !buf)
		return;
	se_syscall_args(regs, &args);
	se_start_or_file(&buf->other, task, args.arg[0], args.arg[1],
			 args.arg[4] & SE_MOVE_MOUNT_F_EMPTY_PATH);
	if (buf->other.object && buf->other.mnt) {
		se_start_object(&buf->at, buf->other.mnt, SE_LOAD(buf->other.mnt, mnt_root));
	} else {
		se_start(&buf->at, task, args.arg[2], args.arg[3], true);
	}
	buf = se_file__done(&deed, task, buf, false, false, NULL, walker);
	if (!buf)
		return;
	if (*(volatile __u32 *)&buf->at.object)
		add_type(buf, buf->at.mnt);
	else
		se_file__add_other(buf, task, walker);
	buf->file.arg[0] = (__u32)args.arg[4];
	se_file__output(buf, SE_KIND_MOUNT);
}

/* fsmount(fd, flags, attributes): a mount that is nowhere yet, by the descriptor that it returned. */
static __always_inline void on_fsmount(struct pt_regs *regs, long fd, const enum se_walker walker)
{
	struct task_struct *task = se_current();
	struct se_deed deed = se_call_deed(SE_CALL_FSMOUNT, SE_KIND_MOUNT, SE_FILE_MOUNT);
	struct se_buf *buf = se_file__buf(SE_LANE_SYSCALL);
	struct se_args args = {};

	if (fd < 0 || !buf)
		return;
	se_syscall_args(regs, &args);
	se_start_fd(&buf->at, task, fd);
	if (!buf->at.mnt)
		return;
	buf = se_file__done(&deed, task, buf, false, false, NULL, walker);
	if (!buf)
		return;
	add_type(buf, buf->at.mnt);
	buf->file.arg[0] = (__u32)args.arg[2];
	se_file__output(buf, SE_KIND_MOUNT);
}

SE_HANDLER(mount, on_mount)
SE_HANDLER(umnt, on_umount)
SE_HANDLER(root, on_root)
SE_HANDLER(move, on_move)
SE_HANDLER(fsmnt, on_fsmount)
