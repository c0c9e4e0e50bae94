/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Which system call returns and what it was given, the same for every architecture and for 32-bit
 * callers.
 *
 * The numbers of 32-bit calls mean other calls to 64-bit programs and the other way round, so the way in
 * decides. Arguments come from the registers that the kernel saved on the way in; the caller cannot change
 * them while the call runs. Only what they point to is the caller's.
 */
#ifndef SE_SYSCALL_BPF_H
#define SE_SYSCALL_BPF_H

#include "knobs.bpf.h"

struct se_args {
	__u64 arg[6];
	bool compat; /* pointers and longs are 32 bits wide */
};

/* A field of the current task. This is asked several times in every call that is handled, so it must be cheap. */
#define SE_CURRENT_READ(field)                                                       \
	(bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf) \
		 ? ((struct task_struct *)bpf_get_current_task_btf())->field         \
		 : BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), field))

#if defined(__TARGET_ARCH_x86)

enum {
	SE_TS_COMPAT = 2,	 /* thread_info.status: in a 32-bit system call */
	SE_X32_BIT = 0x40000000, /* in the number of calls of the x32 ABI */
	SE_X32_FIRST = 512, /* first of those that have numbers of their own, with 32-bit structs */
};

static __always_inline __u32 se_syscall_nr(struct pt_regs *regs)
{
	return (__u32)regs->orig_ax & ~SE_X32_BIT;
}

static __always_inline bool se_syscall_is_32(struct pt_regs *regs)
{
	return SE_CURRENT_READ(thread_info.status) & SE_TS_COMPAT;
}

static __always_inline void se_syscall_args(struct pt_regs *regs, struct se_args *args)
{
	if (se_syscall_is_32(regs)) {
		args->arg[0] = (__u32)regs->bx;
		args->arg[1] = (__u32)regs->cx;
		args->arg[2] = (__u32)regs->dx;
		args->arg[3] = (__u32)regs->si;
		args->arg[4] = (__u32)regs->di;
		args->arg[5] = (__u32)regs->bp;
		args->compat = true;
		return;
	}
	args->arg[0] = regs->di;
	args->arg[1] = regs->si;
	args->arg[2] = regs->dx;
	args->arg[3] = regs->r10;
	args->arg[4] = regs->r8;
	args->arg[5] = regs->r9;
	args->compat = se_syscall_nr(regs) >= SE_X32_FIRST && regs->orig_ax & SE_X32_BIT;
}

#elif defined(__TARGET_ARCH_arm64)

enum {
	SE_TIF_32BIT = 22,
};

static __always_inline __u32 se_syscall_nr(struct pt_regs *regs)
{
	return regs->syscallno;
}

static __always_inline bool se_syscall_is_32(struct pt_regs *regs)
{
	return SE_CURRENT_READ(thread_info.flags) & 1UL << SE_TIF_32BIT;
}

static __always_inline void se_syscall_args(struct pt_regs *regs, struct se_args *args)
{
	args->arg[0] = regs->orig_x0;
	args->arg[1] = regs->regs[1];
	args->arg[2] = regs->regs[2];
	args->arg[3] = regs->regs[3];
	args->arg[4] = regs->regs[4];
	args->arg[5] = regs->regs[5];
	args->compat = se_syscall_is_32(regs);
}

#else
#error "the registers of this architecture are not known"
#endif

/* enum se_call of the call with this number that the current task is in, SE_CALL_NONE if nobody wants it. */
static __always_inline __u32 se_syscall_numbered(__u32 nr, bool is_32)
{
	if (is_32)
		return nr < SE_NR_32_MAX ? se_calls_32[nr] : SE_CALL_NONE;
	return nr < SE_NR_MAX ? se_calls[nr] : SE_CALL_NONE;
}

/* The same of the call that returns. */
static __always_inline __u32 se_syscall_call(struct pt_regs *regs)
{
	return se_syscall_numbered(se_syscall_nr(regs), se_syscall_is_32(regs));
}

/* Results by which the kernel makes the call start anew after a signal: no program ever sees them.
 */
static __always_inline bool se_is_restart(long ret)
{
	return ret <= -512 && ret >= -516;
}

/*
 * A pointer or a long in user memory; false if it was not readable. Structs of pointers and longs have other
 * layouts for 32-bit callers.
 */
static __always_inline bool se_user_long(__u64 *value, __u64 address, bool compat)
{
	__u32 narrow = 0;

	if (!compat)
		return !bpf_probe_read_user(value, sizeof(*value), (void *)address);
	if (bpf_probe_read_user(&narrow, sizeof(narrow), (void *)address))
		return false;
	*value = narrow;
	return true;
}

#endif
