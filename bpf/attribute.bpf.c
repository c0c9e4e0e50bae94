// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Attributes of files at the return of system calls: permissions, owner, extended attributes, length, times.
 *
 * All of these calls have the same shape: a descriptor, or a directory and a string, and what is to be set. With a
 * descriptor the file is the kernel's object as it is after the call; with a string it is the directory's path
 * joined with it, and only what was set is known of the file. Modes, owners and lengths come from the registers
 * that the kernel saved, which the caller cannot change meanwhile. What was there before is not known here.
 */
#include "lib/handler.bpf.h"

char LICENSE[] SEC("license") = "GPL";

enum {
	SE_S_PERMISSIONS = 07777,
	SE_XATTR_NAME_ROOM = 256, /* XATTR_NAME_MAX and the NUL */
	SE_UTIME_NOW = 0x3fffffff,
	SE_UTIME_OMIT = 0x3ffffffe,
};

/* In se_file.arg, where a time is not a number. */
#define SE_TIME_NOW 0x7fffffffffffffffULL
#define SE_TIME_KEPT 0x8000000000000000ULL

/* By descriptor the record has the file as it is now, by name only what is set below. */
static __always_inline bool is_unknown(struct se_buf *buf)
{
	return !*(volatile __u64 *)&buf->file.object.inode;
}

/* chmod(path, mode), fchmod(fd, mode), fchmodat(dirfd, path, mode), fchmodat2(..., flags) */
static __always_inline void on_mode(struct pt_regs *regs, long ret, const enum se_walker walker)
{
	struct task_struct *task = se_current();
	__u32 call = se_syscall_call(regs), mode;
	struct se_buf *buf = se_file__buf(SE_LANE_SYSCALL);
	struct se_args args = {};
	struct se_deed deed;
	__u64 detail;

	if (ret || !buf)
		return;
	se_syscall_args(regs, &args);
	mode = args.arg[1];
	if (call == SE_CALL_FCHMOD) {
		se_start_fd(&buf->at, task, args.arg[0]);
	} else if (call == SE_CALL_CHMOD) {
		se_start(&buf->at, task, SE_AT_FDCWD, args.arg[0], true);
	} else {
		se_start_or_file(&buf->at, task, args.arg[0], args.arg[1],
				 call == SE_CALL_FCHMODAT2 && args.arg[3] & SE_AT_EMPTY_PATH);
		mode = args.arg[2];
	}
	mode &= SE_S_PERMISSIONS;
	detail = mode;
	deed = se_call_deed(call, SE_KIND_FILE_MODE, SE_FILE_CHMOD);
	buf = se_file__done(&deed, task, buf, false, true, &detail, walker);
	if (!buf)
		return;
	/* Of an object it is there already, with the type, and without the bits that the kernel refused. */
	if (is_unknown(buf))
		buf->file.object.mode = mode;
	se_file__output(buf, SE_KIND_FILE_MODE);
}

/* An id as the call was given it; 16 bits wide in the oldest calls of 32-bit callers. */
static __always_inline __u32 id_of(__u64 arg, bool is_short)
{
	if (!is_short)
		return arg;
	return (__u16)arg == 0xffff ? ~0U : (__u16)arg;
}

/* chown(path, uid, gid), lchown, fchown(fd, uid, gid), fchownat(dirfd, path, uid, gid, flags) */
static __always_inline void on_owner(struct pt_regs *regs, long ret, const enum se_walker walker)
{
	struct task_struct *task = se_current();
	__u32 call = se_syscall_call(regs), uid, gid;
	struct se_buf *buf = se_file__buf(SE_LANE_SYSCALL);
	struct se_args args = {};
	struct se_deed deed;
	bool is_short;
	__u64 detail;

	if (ret || !buf)
		return;
	se_syscall_args(regs, &args);
	is_short = args.compat &&
		   (call == SE_CALL_CHOWN || call == SE_CALL_FCHOWN || call == SE_CALL_LCHOWN);
	uid = id_of(args.arg[1], is_short);
	gid = id_of(args.arg[2], is_short);
	if (call == SE_CALL_FCHOWN || call == SE_CALL_FCHOWN32) {
		se_start_fd(&buf->at, task, args.arg[0]);
	} else if (call == SE_CALL_FCHOWNAT) {
		se_start_or_file(&buf->at, task, args.arg[0], args.arg[1],
				 args.arg[4] & SE_AT_EMPTY_PATH);
		uid = args.arg[2];
		gid = args.arg[3];
	} else {
		se_start(&buf->at, task, SE_AT_FDCWD, args.arg[0], true);
	}
	detail = (__u64)uid << 32 | gid;
	deed = se_call_deed(call, SE_KIND_FILE_OWNER, SE_FILE_CHOWN);
	buf = se_file__done(&deed, task, buf, false, true, &detail, walker);
	if (!buf)
		return;
	buf->file.arg[0] = uid;
	buf->file.arg[1] = gid;
	if (is_unknown(buf)) {
		buf->file.object.uid = uid;
		buf->file.object.gid = gid;
	}
	se_file__output(buf, SE_KIND_FILE_OWNER);
}

/*
 * setxattr(path, name, value, size, flags), lsetxattr, fsetxattr(fd, ...), removexattr(path, name), lremovexattr,
 * fremovexattr(fd, name), setxattrat(dirfd, path, flags, name, args, size), removexattrat(dirfd, path, flags,
 * name). The attribute's name comes from user memory in any case.
 */
static __always_inline void on_xattr(struct pt_regs *regs, long ret, const enum se_walker walker)
{
	struct task_struct *task = se_current();
	__u32 call = se_syscall_call(regs), op = SE_FILE_SETXATTR;
	struct se_buf *buf = se_file__buf(SE_LANE_SYSCALL);
	struct se_args args = {};
	struct se_deed deed;
	__u64 name, size;

	if (ret || !buf)
		return;
	se_syscall_args(regs, &args);
	name = args.arg[1];
	size = args.arg[3];
	if (call == SE_CALL_REMOVEXATTR || call == SE_CALL_LREMOVEXATTR ||
	    call == SE_CALL_FREMOVEXATTR || call == SE_CALL_REMOVEXATTRAT) {
		op = SE_FILE_REMOVEXATTR;
		size = 0;
	}
	if (call == SE_CALL_FSETXATTR || call == SE_CALL_FREMOVEXATTR) {
		se_start_fd(&buf->at, task, args.arg[0]);
	} else if (call == SE_CALL_SETXATTRAT || call == SE_CALL_REMOVEXATTRAT) {
		se_start_or_file(&buf->at, task, args.arg[0], args.arg[1],
				 args.arg[2] & SE_AT_EMPTY_PATH);
		name = args.arg[3];
		size = 0;
		/* struct xattr_args: the value's address, then its length. */
		if (op == SE_FILE_SETXATTR)
			bpf_probe_read_user(&size, sizeof(__u32), (void *)(args.arg[4] + 8));
	} else {
		se_start(&buf->at, task, SE_AT_FDCWD, args.arg[0], true);
	}
	deed = se_call_deed(call, SE_KIND_FILE_XATTR, op);
	buf = se_file__done(&deed, task, buf, false, true, NULL, walker);
	if (!buf)
		return;
	buf->file.arg[0] = size;
	se_file__add_string(buf, &buf->file.name, name, SE_XATTR_NAME_ROOM, 0);
	se_file__output(buf, SE_KIND_FILE_XATTR);
}

/* truncate(path, length), ftruncate(fd, length); in halves where a register is too narrow. */
static __always_inline void on_truncate(struct pt_regs *regs, long ret, const enum se_walker walker)
{
	struct task_struct *task = se_current();
	__u32 call = se_syscall_call(regs);
	struct se_buf *buf = se_file__buf(SE_LANE_SYSCALL);
	struct se_args args = {};
	struct se_deed deed;
	__u64 length;

	if (ret || !buf)
		return;
	se_syscall_args(regs, &args);
	length = args.arg[1];
	if (call == SE_CALL_TRUNCATE64 || call == SE_CALL_FTRUNCATE64) {
#if defined(__TARGET_ARCH_arm64)
		/* Pairs begin in even registers. */
		length = args.arg[2] | args.arg[3] << 32;
#else
		length = args.arg[1] | args.arg[2] << 32;
#endif
	}
	if (call == SE_CALL_FTRUNCATE || call == SE_CALL_FTRUNCATE64)
		se_start_fd(&buf->at, task, args.arg[0]);
	else
		se_start(&buf->at, task, SE_AT_FDCWD, args.arg[0], true);
	deed = se_call_deed(call, SE_KIND_FILE_TRUNCATE, SE_FILE_TRUNCATE);
	buf = se_file__done(&deed, task, buf, false, true, &length, walker);
	if (!buf)
		return;
	buf->file.arg[0] = length;
	if (is_unknown(buf))
		buf->file.object.size_bytes = length;
	se_file__output(buf, SE_KIND_FILE_TRUNCATE);
}

/* Whole seconds in the caller's memory. */
static __always_inline __u64 seconds_at(__u64 address, bool narrow)
{
	__u64 seconds = 0;

	if (!se_user_long(&seconds, address, narrow))
		return SE_TIME_KEPT;
	if (narrow)
		seconds = (__s64)(__s32)seconds;
	return seconds * 1000000000;
}

/* Seconds and a part of them, each a long. A narrow one is signed too, and before 1970 negative. */
static __always_inline __u64 time_at(__u64 address, const bool narrow, __u32 unit_ns)
{
	__u64 seconds = 0, part = 0;

	if (!se_user_long(&seconds, address, narrow) ||
	    !se_user_long(&part, address + (narrow ? 4 : 8), narrow))
		return SE_TIME_KEPT;
	if (unit_ns == 1 && part == SE_UTIME_NOW)
		return SE_TIME_NOW;
	if (unit_ns == 1 && part == SE_UTIME_OMIT)
		return SE_TIME_KEPT;
	if (narrow)
		seconds = (__s64)(__s32)seconds;
	return seconds * 1000000000 + part * unit_ns;
}

/*
 * utime(path, times), utimes(path, times), futimesat(dirfd, path, times), utimensat(dirfd, path, times, flags):
 * seconds, microseconds, microseconds, nanoseconds. Without a path the last two mean the descriptor itself, without
 * times all of them mean now.
 */
static __always_inline void on_times(struct pt_regs *regs, long ret, const enum se_walker walker)
{
	struct se_buf *buf = se_file__buf(SE_LANE_SYSCALL);
	struct task_struct *task = se_current();
	__u32 call = se_syscall_call(regs), unit_ns = 1000;
	__u64 access = SE_TIME_NOW, change = SE_TIME_NOW, times;
	struct se_args args = {};
	struct se_deed deed;

	if (ret || !buf)
		return;
	se_syscall_args(regs, &args);
	if (call == SE_CALL_UTIME || call == SE_CALL_UTIMES)
		se_start(&buf->at, task, SE_AT_FDCWD, args.arg[0], true);
	else
		se_start_or_file(&buf->at, task, args.arg[0], args.arg[1],
				 call != SE_CALL_FUTIMESAT && args.arg[3] & SE_AT_EMPTY_PATH);
	deed = se_call_deed(call, SE_KIND_FILE_TIMES, SE_FILE_UTIMES);
	buf = se_file__done(&deed, task, buf, false, true, NULL, walker);
	if (!buf)
		return;
	/* Once more, so that the verifier need not keep all the ways to here apart. */
	call = *(volatile __u32 *)&buf->file.actor.call;
	se_syscall_args(regs, &args);
	times = call == SE_CALL_UTIME || call == SE_CALL_UTIMES ? args.arg[1] : args.arg[2];
	if (call == SE_CALL_UTIMENSAT || call == SE_CALL_UTIMENSAT_TIME64)
		unit_ns = 1;
	if (times && call == SE_CALL_UTIME) {
		access = seconds_at(times, args.compat);
		change = seconds_at(times + (args.compat ? 4 : 8), args.compat);
	} else if (times && args.compat && call != SE_CALL_UTIMENSAT_TIME64) {
		access = time_at(times, true, unit_ns);
		change = time_at(times + 8, true, unit_ns);
	} else if (times) {
		access = time_at(times, false, unit_ns);
		change = time_at(times + 16, false, unit_ns);
	}
	if (times)
		buf->file.actor.flags |= SE_ACTOR_GRADE_USER;
	buf->file.arg[0] = access;
	buf->file.arg[1] = change;
	se_file__output(buf, SE_KIND_FILE_TIMES);
}

SE_HANDLER(mode, on_mode)
SE_HANDLER(owner, on_owner)
SE_HANDLER(xattr, on_xattr)
SE_HANDLER(trunc, on_truncate)
SE_HANDLER(times, on_times)
