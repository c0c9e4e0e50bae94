/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What the handlers of file system calls have in common. */
#ifndef SE_HANDLER_BPF_H
#define SE_HANDLER_BPF_H

#include "file.bpf.h"
#include "syscall.bpf.h"

/* A handler and its twin for kernels without bpf_loop(). */
#define SE_HANDLER(name, body)                                          \
	SEC("tp_btf/sys_exit")                                          \
	int SE_PROG(se_sc_##name, struct pt_regs *regs, long ret)       \
	{                                                               \
		body(regs, ret, SE_WALK_LOOP);                          \
		return 0;                                               \
	}                                                               \
	SEC("tp_btf/sys_exit")                                          \
	int SE_PROG(se_sc_##name##_bnd, struct pt_regs *regs, long ret) \
	{                                                               \
		body(regs, ret, SE_WALK_BOUNDED);                       \
		return 0;                                               \
	}

/* What a system call did. */
static __always_inline struct se_deed se_call_deed(__u32 call, __u32 kind, __u32 op)
{
	return (struct se_deed){SE_LANE_SYSCALL, SE_HOOK_SYS_EXIT, call, kind, op};
}

static __always_inline void se_file__output(struct se_buf *buf, __u32 kind)
{
	se_output(&buf->header, kind, SE_RECORD_MAX);
}

#endif
