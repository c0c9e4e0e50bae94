/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Which system call it was and what it was given, per architecture and for 32-bit callers. */
#ifndef SE_SYSCALL_BPF_H
#define SE_SYSCALL_BPF_H

#include "common.bpf.h"

/* An execve or execveat as it was called. */
struct se_execve {
	__u64 filename; /* addresses in user memory */
	__u64 argv;
	bool compat; /* pointers are 32 bits wide */
};

#if defined(__TARGET_ARCH_x86)

enum se_nr {
	SE_NR_EXECVE = 59,
	SE_NR_EXECVEAT = 322,
	SE_NR_EXECVE_32 = 11,
	SE_NR_EXECVEAT_32 = 358,
	SE_NR_EXECVE_X32 = 0x40000000 + 520,
	SE_NR_EXECVEAT_X32 = 0x40000000 + 545,
	SE_TS_COMPAT = 2, /* thread_info.status: in a 32-bit system call */
};

/*
 * Fills `call` if the call that returns is an execve or execveat. The numbers of 32-bit calls mean
 * other calls to 64-bit programs and the other way round, so the way in decides.
 */
static __always_inline bool se_execve(struct pt_regs *regs, struct se_execve *call)
{
	__u32 nr = regs->orig_ax;
	struct task_struct *task;
	bool at;

	if (nr != SE_NR_EXECVE && nr != SE_NR_EXECVEAT && nr != SE_NR_EXECVE_32 &&
	    nr != SE_NR_EXECVEAT_32 && nr != SE_NR_EXECVE_X32 && nr != SE_NR_EXECVEAT_X32)
		return false;
	task = (void *)bpf_get_current_task();
	if (BPF_CORE_READ(task, thread_info.status) & SE_TS_COMPAT) {
		if (nr != SE_NR_EXECVE_32 && nr != SE_NR_EXECVEAT_32)
			return false;
		at = nr == SE_NR_EXECVEAT_32;
		call->filename = (__u32)(at ? regs->cx : regs->bx);
		call->argv = (__u32)(at ? regs->dx : regs->cx);
		call->compat = true;
		return true;
	}
	if (nr == SE_NR_EXECVE_32 || nr == SE_NR_EXECVEAT_32)
		return false;
	at = nr == SE_NR_EXECVEAT || nr == SE_NR_EXECVEAT_X32;
	call->filename = at ? regs->si : regs->di;
	call->argv = at ? regs->dx : regs->si;
	call->compat = nr == SE_NR_EXECVE_X32 || nr == SE_NR_EXECVEAT_X32;
	return true;
}

#elif defined(__TARGET_ARCH_arm64)

enum se_nr {
	SE_NR_EXECVE = 221,
	SE_NR_EXECVEAT = 281,
	SE_NR_EXECVE_32 = 11,
	SE_NR_EXECVEAT_32 = 387,
	SE_TIF_32BIT = 22,
};

static __always_inline bool se_execve(struct pt_regs *regs, struct se_execve *call)
{
	__s32 nr = regs->syscallno;
	struct task_struct *task;
	bool at;

	if (nr != SE_NR_EXECVE && nr != SE_NR_EXECVEAT && nr != SE_NR_EXECVE_32 &&
	    nr != SE_NR_EXECVEAT_32)
		return false;
	task = (void *)bpf_get_current_task();
	call->compat = BPF_CORE_READ(task, thread_info.flags) & 1UL << SE_TIF_32BIT;
	if (call->compat != (nr == SE_NR_EXECVE_32 || nr == SE_NR_EXECVEAT_32))
		return false;
	at = nr == SE_NR_EXECVEAT || nr == SE_NR_EXECVEAT_32;
	call->filename = at ? regs->regs[1] : regs->orig_x0;
	call->argv = at ? regs->regs[2] : regs->regs[1];
	return true;
}

#else
#error "system call numbers of this architecture are not known"
#endif

#endif
