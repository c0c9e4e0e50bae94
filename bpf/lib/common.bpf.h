/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What every file in bpf/ begins with, and the few constants of the kernel that no header carries.
 */
#ifndef SE_COMMON_BPF_H
#define SE_COMMON_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "../abi.h"

enum se_kernel {
	SE_CHUNK = 4096, /* the smallest page: no read of user memory crosses a multiple of it */
	SE_NAME_MAX = 255,

	SE_PF_KTHREAD = 0x00200000,
	SE_PFA_NO_NEW_PRIVS = 0, /* a bit number */
	SE_SIGNAL_GROUP_EXIT = 4,
	SE_SECCOMP_MODE_FILTER = 2,
	SE_SB_KERNMOUNT = 1 << 22,
	SE_MINOR_BITS = 20,

	SE_TMPFS_MAGIC = 0x01021994,
	SE_OVERLAYFS_MAGIC = 0x794c7630,
};

#define SE_HUGETLBFS_MAGIC 0x958458f6ULL

/*
 * Reads a field along a chain of pointers, SE_READ(task, signal, flags). Where the pointer comes
 * from the arguments of a BTF tracepoint the verifier knows its type, and a plain load is enough:
 * it costs a tenth of a call to bpf_probe_read_kernel() and yields 0 on a bad address just the
 * same.
 */
#define SE_READ(trusted, src, ...) \
	((trusted) ? ___arrow(src, __VA_ARGS__) : BPF_CORE_READ(src, __VA_ARGS__))

#endif
