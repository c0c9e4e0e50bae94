// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Files at the return of system calls: what is opened, written, renamed, removed and linked. What is set on
 * them is in attribute.bpf.c, mounts are in mount.bpf.c.
 *
 * An event tells of the object that the kernel worked on. Where only a system call's return is to be had and
 * the object is gone or was never in a descriptor, as after unlink(), the path is the directory's from the
 * kernel joined with the string in user memory, and the record says so (SE_ACTOR_GRADE_USER). Only what worked
 * is reported.
 *
 * A close is seen where close() is called with a descriptor that an open returned; what else closes files, see
 * written.bpf.h, does so in silence on this rung.
 */
#include "lib/handler.bpf.h"

char LICENSE[] SEC("license") = "GPL";

enum {
	SE_RENAME_EXCHANGE = 2,
	SE_ENDED_BADF = -9,
	SE_S_IFLNK = 0120000,
};

/* Where an open has its path and flags. */
static __always_inline void open_args(struct pt_regs *regs, __u32 call, __u64 *given, __u32 *asked)
{
	struct se_args args = {};

	se_syscall_args(regs, &args);
	switch (call) {
	case SE_CALL_OPEN:
		*given = args.arg[0];
		*asked = args.arg[1];
		break;
	case SE_CALL_CREAT:
		*given = args.arg[0];
		*asked = SE_O_CREAT | SE_O_TRUNC;
		break;
	case SE_CALL_OPENAT:
		*given = args.arg[1];
		*asked = args.arg[2];
		break;
	case SE_CALL_OPENAT2:
		*given = args.arg[1];
		/* The first field of struct open_how, in the caller's memory. */
		bpf_probe_read_user(asked, sizeof(*asked), (void *)args.arg[2]);
		break;
	}
}

/* An open that succeeded; `fd` is what it returned. Most are to read what is not watched, and end early. */
static __always_inline void on_open(struct pt_regs *regs, long fd, const enum se_walker walker)
{
	struct se_buf *buf = se_file__buf(SE_LANE_SYSCALL);
	struct task_struct *task = se_current();
	struct se_descriptor descriptor = {};
	struct file *file;
	__u64 given = 0;
	__u32 call, asked = 0, watch = 0;

	if (fd < 0 || !buf)
		return;
	file = se_file_of(task, fd);
	if (!file)
		return;
	se_descriptor__fill(&descriptor, task, fd);
	if (!se_file__is_opened(buf, task, file, &descriptor, &watch, walker))
		return;
	call = se_syscall_call(regs);
	open_args(regs, call, &given, &asked);
	buf = se_file__opened_as(SE_LANE_SYSCALL, SE_HOOK_SYS_EXIT, call, task, file, asked, watch,
				 walker);
	if (!buf)
		return;
	/* A file without a name has none to compare. */
	if (given && !(buf->file.open_flags & SE_O_TMPFILE)) {
		/* What the kernel keeps of the flags, and of a new file also what was asked for. */
		bool follows = !(buf->file.open_flags & SE_O_NOFOLLOW) &&
			       !(buf->file.op == SE_FILE_CREATE && asked & SE_O_EXCL);

		se_file__compare_given(buf, given, true, follows, walker);
	}
	se_file__output(buf, buf->header.kind);
}

static __always_inline void on_close(struct pt_regs *regs, long ret, const enum se_walker walker)
{
	struct task_struct *task = se_current();
	struct se_descriptor descriptor = {};
	struct se_args args = {};
	struct se_buf *buf;

	/* Whatever else it returns, the descriptor is gone. */
	if (ret == SE_ENDED_BADF)
		return;
	se_syscall_args(regs, &args);
	se_descriptor__fill(&descriptor, task, args.arg[0]);
	buf = se_file__closed(SE_LANE_SYSCALL, SE_HOOK_SYS_EXIT, SE_CALL_CLOSE, task, &descriptor,
			      walker);
	if (buf)
		se_file__output(buf, SE_KIND_FILE_CLOSE);
}

/* rename(from, to), renameat(dirfd, from, dirfd, to), renameat2(..., flags) */
static __always_inline void on_rename(struct pt_regs *regs, long ret, const enum se_walker walker)
{
	struct se_buf *buf = se_file__buf(SE_LANE_SYSCALL);
	struct task_struct *task = se_current();
	__u32 call = se_syscall_call(regs), flags = 0;
	struct se_args args = {};
	struct se_deed deed;

	if (ret || !buf)
		return;
	/* Of what, only a name says. */
	se_directories__moved();
	se_syscall_args(regs, &args);
	if (call == SE_CALL_RENAME) {
		se_start(&buf->at, task, SE_AT_FDCWD, args.arg[0], true);
		se_start(&buf->other, task, SE_AT_FDCWD, args.arg[1], true);
	} else {
		se_start(&buf->at, task, args.arg[0], args.arg[1], true);
		se_start(&buf->other, task, args.arg[2], args.arg[3], true);
	}
	if (call == SE_CALL_RENAMEAT2)
		flags = args.arg[4];
	deed = se_call_deed(call, SE_KIND_FILE_RENAME, SE_FILE_RENAME);
	buf = se_file__done(&deed, task, buf, true, false, NULL, walker);
	if (!buf)
		return;
	buf->file.arg[0] = flags;
	if (flags & SE_RENAME_EXCHANGE)
		buf->file.op = SE_FILE_EXCHANGE;
	se_file__output(buf, SE_KIND_FILE_RENAME);
}

/* unlink(path), rmdir(path), unlinkat(dirfd, path, flags) */
static __always_inline void on_delete(struct pt_regs *regs, long ret, const enum se_walker walker)
{
	struct se_buf *buf = se_file__buf(SE_LANE_SYSCALL);
	struct task_struct *task = se_current();
	__u32 call = se_syscall_call(regs), op = SE_FILE_UNLINK;
	struct se_args args = {};
	struct se_deed deed;

	if (ret || !buf)
		return;
	se_syscall_args(regs, &args);
	if (call == SE_CALL_UNLINKAT)
		se_start(&buf->at, task, args.arg[0], args.arg[1], true);
	else
		se_start(&buf->at, task, SE_AT_FDCWD, args.arg[0], true);
	if (call == SE_CALL_RMDIR || (call == SE_CALL_UNLINKAT && args.arg[2] & SE_AT_REMOVEDIR))
		op = SE_FILE_RMDIR;
	deed = se_call_deed(call, SE_KIND_FILE_DELETE, op);
	buf = se_file__done(&deed, task, buf, false, false, NULL, walker);
	if (buf)
		se_file__output(buf, SE_KIND_FILE_DELETE);
}

/* link(old, new), linkat(dirfd, old, dirfd, new, flags): `path` is the old name and `other` the new one. */
static __always_inline void on_link(struct pt_regs *regs, long ret, const enum se_walker walker)
{
	struct se_buf *buf = se_file__buf(SE_LANE_SYSCALL);
	struct task_struct *task = se_current();
	__u32 call = se_syscall_call(regs);
	struct se_args args = {};
	struct se_deed deed;

	if (ret || !buf)
		return;
	se_syscall_args(regs, &args);
	if (call == SE_CALL_LINK) {
		se_start(&buf->at, task, SE_AT_FDCWD, args.arg[0], true);
		se_start(&buf->other, task, SE_AT_FDCWD, args.arg[1], true);
	} else {
		se_start_or_file(&buf->at, task, args.arg[0], args.arg[1],
				 args.arg[4] & SE_AT_EMPTY_PATH);
		se_start(&buf->other, task, args.arg[2], args.arg[3], true);
	}
	deed = se_call_deed(call, SE_KIND_FILE_LINK, SE_FILE_LINK);
	buf = se_file__done(&deed, task, buf, true, false, NULL, walker);
	if (buf)
		se_file__output(buf, SE_KIND_FILE_LINK);
}

/* symlink(content, new), symlinkat(content, dirfd, new): `path` is the link and `other` its content. */
static __always_inline void on_symlink(struct pt_regs *regs, long ret, const enum se_walker walker)
{
	struct se_buf *buf = se_file__buf(SE_LANE_SYSCALL);
	struct task_struct *task = se_current();
	__u32 call = se_syscall_call(regs);
	struct se_args args = {};
	struct se_deed deed;

	if (ret || !buf)
		return;
	se_syscall_args(regs, &args);
	if (call == SE_CALL_SYMLINK)
		se_start(&buf->at, task, SE_AT_FDCWD, args.arg[1], true);
	else
		se_start(&buf->at, task, args.arg[1], args.arg[2], true);
	deed = se_call_deed(call, SE_KIND_FILE_LINK, SE_FILE_SYMLINK);
	buf = se_file__done(&deed, task, buf, false, false, NULL, walker);
	if (!buf)
		return;
	buf->file.object.mode = SE_S_IFLNK | 0777;
	se_file__add_string(buf, &buf->file.other, args.arg[0], SE_PATH_MAX, SE_FILE_OTHER_FAULT);
	se_file__output(buf, SE_KIND_FILE_LINK);
}

/* The type and permissions of a new entry, without the bits that the process never gives. */
static __always_inline __u32 new_mode(struct task_struct *task, __u32 mode, __u32 op)
{
	mode &= ~SE_LOAD(task, fs, umask);
	if (op == SE_FILE_MKDIR)
		return SE_S_IFDIR | (mode & 01777);
	return (mode & SE_S_IFMT ?: SE_S_IFREG) | (mode & 07777);
}

/* mkdir(path, mode), mknod(path, mode, device) and with a directory's descriptor in front: mkdirat, mknodat */
static __always_inline void on_mkdir(struct pt_regs *regs, long ret, const enum se_walker walker)
{
	struct se_buf *buf = se_file__buf(SE_LANE_SYSCALL);
	struct task_struct *task = se_current();
	__u32 call = se_syscall_call(regs), op = SE_FILE_MKDIR, mode, device;
	struct se_args args = {};
	struct se_deed deed;

	if (ret || !buf)
		return;
	se_syscall_args(regs, &args);
	if (call == SE_CALL_MKDIRAT || call == SE_CALL_MKNODAT) {
		se_start(&buf->at, task, args.arg[0], args.arg[1], true);
		mode = args.arg[2];
		device = args.arg[3];
	} else {
		se_start(&buf->at, task, SE_AT_FDCWD, args.arg[0], true);
		mode = args.arg[1];
		device = args.arg[2];
	}
	if (call == SE_CALL_MKNOD || call == SE_CALL_MKNODAT)
		op = SE_FILE_MKNOD;
	deed = se_call_deed(call, SE_KIND_FILE_MKDIR, op);
	buf = se_file__done(&deed, task, buf, false, false, NULL, walker);
	if (!buf)
		return;
	op = *(volatile __u32 *)&buf->file.op;
	buf->file.object.mode = new_mode(task, mode, op);
	if (op == SE_FILE_MKNOD)
		buf->file.arg[0] = device;
	se_file__output(buf, SE_KIND_FILE_MKDIR);
}

SE_HANDLER(open, on_open)
SE_HANDLER(close, on_close)
SE_HANDLER(ren, on_rename)
SE_HANDLER(del, on_delete)
SE_HANDLER(link, on_link)
SE_HANDLER(sym, on_symlink)
SE_HANDLER(mkdir, on_mkdir)
