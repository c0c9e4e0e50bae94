/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Whether the current task works for an io_uring right now, for hooks in the middle of the kernel, which do not
 * see who asked.
 */
#ifndef SE_URING_BPF_H
#define SE_URING_BPF_H

#include "knobs.bpf.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct task_struct___uring {
	void *worker_private;
	void *io_uring;
	void *stack;
};

struct pt_regs___saved {
#if defined(__TARGET_ARCH_x86)
	u64 orig_ax;
	u16 cs;
#else
	u64 pstate;
	s32 syscallno;
#endif
};

#pragma clang attribute pop

#if defined(__TARGET_ARCH_x86)

enum se_saved {
	SE_FRED_PAD = 16, /* above the registers since 6.9, where the kernel is built for FRED */
	SE_USER_CS = 0x33,
	SE_USER_CS_32 = 0x23,
	SE_NR_WRITE = 1,
	SE_NR_WRITEV = 20,
	SE_NR_SOCKET = 41, /* and on: connect, accept, sendto, recvfrom, sendmsg, ... */
	SE_NR_LISTEN = 50,
	SE_NR_ACCEPT4 = 288,
	SE_NR_SENDMMSG = 307,
};

/* The number of the system call in the registers at `regs`; false if they are none of a user's. */
static __always_inline bool se_saved_nr(struct pt_regs___saved *regs, long *nr, bool *compat)
{
	__u16 cs = BPF_CORE_READ(regs, cs);

	*nr = BPF_CORE_READ(regs, orig_ax);
	*compat = cs == SE_USER_CS_32;
	return cs == SE_USER_CS || cs == SE_USER_CS_32;
}

/* The number of the system call that the current task is in, negative if it is in none. */
static __always_inline bool se_saved_call(struct task_struct *task, long *nr, bool *compat)
{
	void *stack = BPF_CORE_READ((struct task_struct___uring *)task, stack);
	void *top = stack + SE_STACK_BYTES - bpf_core_type_size(struct pt_regs___saved);

	return se_saved_nr(top, nr, compat) || se_saved_nr(top - SE_FRED_PAD, nr, compat);
}

#else

enum se_saved {
	SE_PSR_MODE_MASK = 0xf,
	SE_PSR_MODE32_BIT = 0x10,
	SE_NR_WRITE = 64,
	SE_NR_WRITEV = 66,
	SE_NR_SOCKET = 198,
	SE_NR_LISTEN = 212, /* sendmsg and recvmsg are the last of them */
	SE_NR_ACCEPT4 = 242,
	SE_NR_SENDMMSG = 269,
};

static __always_inline bool se_saved_call(struct task_struct *task, long *nr, bool *compat)
{
	void *stack = BPF_CORE_READ((struct task_struct___uring *)task, stack);
	__u32 bytes = se_page_bytes > SE_STACK_BYTES ? se_page_bytes : SE_STACK_BYTES;
	struct pt_regs___saved *regs = stack + bytes - bpf_core_type_size(struct pt_regs___saved);
	__u64 pstate = BPF_CORE_READ(regs, pstate);

	*nr = BPF_CORE_READ(regs, syscallno);
	*compat = pstate & SE_PSR_MODE32_BIT;
	return !(pstate & SE_PSR_MODE_MASK);
}

#endif

enum se_uring_nr {
	SE_NR_IO_URING_ENTER = 426, /* the same everywhere */
};

/*
 * The call in which the current task may work for its io_uring; that of a worker, or of the thread that polls the queue, is
 * io_uring_enter(). False if it has no ring, or is in a 32-bit call, whose numbers are others, but for that one.
 */
static __always_inline bool se_ring_call(struct task_struct *task, long *nr)
{
	bool compat = false;

	*nr = SE_NR_IO_URING_ENTER;
	if (BPF_CORE_READ(task, flags) & SE_PF_IO_WORKER)
		return true;
	if (!BPF_CORE_READ((struct task_struct___uring *)task, io_uring))
		return false;
	return se_saved_call(task, nr, &compat) && (!compat || *nr == SE_NR_IO_URING_ENTER);
}

/*
 * Whether what the current task does to a file it does for an io_uring. Workers and the thread that polls the queue do
 * nothing else, though the last of them to end also closes what the program left open; a thread of the program does so
 * within io_uring_enter(). What it does on its way out of other calls cannot be told from these, and there are few such
 * requests for files, which never wait to become ready.
 */
static __always_inline bool se_is_submitting(struct task_struct *task)
{
	long nr = -1;

	return se_ring_call(task, &nr) && nr == SE_NR_IO_URING_ENTER;
}

/*
 * Whether what the current task does now it does for an io_uring. Workers and the thread that polls the queue do
 * nothing else. A thread of the program works for the ring within io_uring_enter(), and also on its way out of any
 * other call or interrupt; so of one that has a ring everything counts that no system call of the network explains.
 */
static __always_inline bool se_in_io_uring(struct task_struct *task)
{
	long nr = -1;

	if (!se_ring_call(task, &nr))
		return false;
	return !((nr >= SE_NR_SOCKET && nr <= SE_NR_LISTEN) || nr == SE_NR_ACCEPT4 ||
		 nr == SE_NR_SENDMMSG || nr == SE_NR_WRITE || nr == SE_NR_WRITEV);
}

#endif
