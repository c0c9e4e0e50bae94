/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The system call that the current task is in, seen from a tracepoint somewhere inside of it: its number and its
 * first argument, from the registers that were saved on the way in.
 *
 * Since 5.15 there is a helper for them. Before, they are at the end of the stack, whose size no BTF tells; 16 KiB
 * is what every distribution has there. Who asks compares the number, so that a wrong guess finds nothing.
 */
#ifndef SE_ENTRY_BPF_H
#define SE_ENTRY_BPF_H

#include "syscall.bpf.h"

static __always_inline struct pt_regs *se_entry_regs(struct task_struct *task)
{
	struct task_struct___privilege *more = (void *)task;

	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	return BPF_CORE_READ(more, stack) + SE_STACK_BYTES - bpf_core_type_size(struct pt_regs);
}

#if defined(__TARGET_ARCH_x86)

static __always_inline __u32 se_entry_nr(struct pt_regs *regs)
{
	return (__u32)BPF_CORE_READ(regs, orig_ax) & ~SE_X32_BIT;
}

static __always_inline __u32 se_entry_first(struct pt_regs *regs)
{
	return se_syscall_is_32(regs) ? BPF_CORE_READ(regs, bx) : BPF_CORE_READ(regs, di);
}

/* By number: finit_module(), and the calls that carry a siginfo of the caller's making. */
static __always_inline bool se_is_finit_module(struct pt_regs *regs)
{
	return se_entry_nr(regs) == (se_syscall_is_32(regs) ? 350 : 313);
}

static __always_inline bool se_is_sigqueueinfo(struct pt_regs *regs)
{
	__u32 nr = se_entry_nr(regs);

	if (se_syscall_is_32(regs))
		return nr == 178 || nr == 335 || nr == 424;
	return nr == 129 || nr == 297 || nr == 424 || nr == 524 || nr == 536;
}

#elif defined(__TARGET_ARCH_arm64)

static __always_inline __u32 se_entry_first(struct pt_regs *regs)
{
	return BPF_CORE_READ(regs, orig_x0);
}

static __always_inline bool se_is_finit_module(struct pt_regs *regs)
{
	return (__u32)BPF_CORE_READ(regs, syscallno) == (se_syscall_is_32(regs) ? 379 : 273);
}

static __always_inline bool se_is_sigqueueinfo(struct pt_regs *regs)
{
	__u32 nr = BPF_CORE_READ(regs, syscallno);

	if (se_syscall_is_32(regs))
		return nr == 178 || nr == 363 || nr == 424;
	return nr == 138 || nr == 240 || nr == 424;
}

#endif
#endif
