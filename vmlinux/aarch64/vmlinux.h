/* SPDX-License-Identifier: GPL-2.0-only */
/* Kernel types that bpf/ reads, by hand; see ../README.md. */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#include "../kernel.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct pt_regs {
	u64 regs[31];
	u64 orig_x0;
	s32 syscallno;
};

#pragma clang attribute pop

#endif
