/* SPDX-License-Identifier: GPL-2.0-only */
/* Kernel types that bpf/ reads, by hand; see ../README.md. */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#include "../kernel.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct pt_regs {
	unsigned long bx, cx, dx, si, di, bp, r8, r9, r10;
	unsigned long orig_ax;
};

#pragma clang attribute pop

#endif
