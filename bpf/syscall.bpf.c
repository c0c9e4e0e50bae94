// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The last rung of the ladder: one program at the return of every system call, for what has no better hook on
 * this host.
 *
 * Every system call pays for it, so it looks at the number first and is gone within nanoseconds when nobody
 * wants the call. Else it goes on to the program that handles the call, each verified on its own and loaded
 * only if it is needed. The array of those programs is filled before this one is attached and then frozen, so
 * that nobody can empty it and blind us.
 */
#include "lib/syscall.bpf.h"
#include "lib/maps.bpf.h"

char LICENSE[] SEC("license") = "GPL";

SEC("tp_btf/sys_exit")
int BPF_PROG(se_sys_exit, struct pt_regs *regs, long ret)
{
	__u32 nr = se_syscall_nr(regs), call;
	__u8 route;

	if (nr >= SE_NR_MAX)
		return 0;
	route = se_calls_any[nr];
	if (!route)
		return 0;
	if (ret < 0 && ret >= -4095) {
		if (!(route & SE_ROUTE_FAILED))
			return 0;
	} else if (route & SE_ROUTE_ONLY_FAILED) {
		return 0;
	}
	call = se_syscall_call(regs);
	switch (call) {
	case SE_CALL_NONE:
		return 0;
	/* By a constant the kernel patches in a jump, which costs a fraction of looking one up. */
	case SE_CALL_OPENAT:
		bpf_tail_call_static(ctx, &se_handlers, SE_CALL_OPENAT);
		return 0;
	case SE_CALL_CLOSE:
		bpf_tail_call_static(ctx, &se_handlers, SE_CALL_CLOSE);
		return 0;
	default:
		bpf_tail_call(ctx, &se_handlers, call);
		return 0;
	}
}
