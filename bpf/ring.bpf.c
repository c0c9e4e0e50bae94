// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * io_urings that are made. What runs through them is in io_uring.bpf.c.
 */
#include "lib/privilege.bpf.h"

char LICENSE[] SEC("license") = "GPL";

SEC("tp_btf/io_uring_create")
int SE_PROG(se_ring_create, int fd, void *ring, u32 sq_entries, u32 cq_entries, u32 flags)
{
	struct se_privilege *record = se_privilege__reserve(SE_KIND_IO_URING,
							    SE_HOOK_IO_URING_CREATE, NULL);

	if (!record)
		return 0;
	record->arg[0] = sq_entries;
	record->arg[1] = cq_entries;
	record->arg[2] = flags;
	record->arg[3] = fd;
	se_submit(SE_KIND_IO_URING, record);
	return 0;
}

/* Attempts that were refused: rings can be switched off for all, or for those without rights. */
SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_ring, struct pt_regs *regs, long ret)
{
	struct se_args args = {};
	struct se_buf *buf;
	__u32 flags = 0;

	if (!se_error(ret))
		return 0;
	buf = se_privilege__called(SE_KIND_IO_URING, regs, ret, NULL);
	if (!buf)
		return 0;
	se_syscall_args(regs, &args);
	bpf_probe_read_user(&flags, sizeof(flags), (void *)args.arg[1] + 8);
	buf->privilege.actor.flags |= SE_ACTOR_GRADE_USER;
	buf->privilege.arg[0] = (__u32)args.arg[0];
	buf->privilege.arg[2] = flags;
	se_privilege__submit(buf, SE_KIND_IO_URING);
	return 0;
}
