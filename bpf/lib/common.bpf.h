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
	SE_STACK_BYTES = 16384, /* of a task in the kernel, on every distribution */

	SE_PF_KTHREAD = 0x00200000,
	SE_PF_IO_WORKER = 0x00000010,
	SE_PFA_NO_NEW_PRIVS = 0, /* a bit number */
	SE_SIGNAL_GROUP_EXIT = 4,
	SE_SECCOMP_MODE_FILTER = 2,
	SE_SB_KERNMOUNT = 1 << 22,
	SE_MINOR_BITS = 20,
	SE_THREAD_BYTES = 16384, /* a kernel stack, before bpf_task_pt_regs() */

	SE_O_NONBLOCK = 04000,
	SE_S_IFMT = 0170000,
	SE_S_IFCHR = 0020000,
	SE_S_IFDIR = 0040000,
	SE_S_IFIFO = 0010000,
	SE_S_IFREG = 0100000,
	SE_S_IFSOCK = 0140000,

	SE_PROC_MAGIC = 0x9fa0,
	SE_TMPFS_MAGIC = 0x01021994,
	SE_OVERLAYFS_MAGIC = 0x794c7630,
};

/*
 * A program that is preempted is in the way of others: a task that comes between and takes the same way is skipped by
 * the kernel, which keeps a program from interrupting itself on a CPU, and programs of a kind share buffers. So
 * programs forbid preemption while they run, where the kernel offers that (6.10): those on trampolines always, those
 * on tracepoints on kernels that do not do it for them (7.0, see SE_PROG()). What is skipped all the same, in the few
 * instructions before, is counted by the kernel and told as such.
 */
extern void bpf_preempt_disable(void) __ksym __weak;
extern void bpf_preempt_enable(void) __ksym __weak;
extern void bpf_local_irq_save(unsigned long *) __ksym __weak;
extern void bpf_local_irq_restore(unsigned long *) __ksym __weak;

static __always_inline void se_enter(void)
{
	if (bpf_ksym_exists(bpf_preempt_disable) && bpf_ksym_exists(bpf_preempt_enable))
		bpf_preempt_disable();
}

/*
 * A task that is to give way is switched as soon as preemption is allowed again, which would be in here, where it leaves
 * the others without this program until it goes on. With interrupts off it is not switched, and the next opportunity
 * is after the program's end (preempt_schedule(); the functions are there since 6.14).
 */
static __always_inline void se_leave(void)
{
	unsigned long flags;

	if (!bpf_ksym_exists(bpf_preempt_disable) || !bpf_ksym_exists(bpf_preempt_enable))
		return;
	if (!bpf_ksym_exists(bpf_local_irq_save) || !bpf_ksym_exists(bpf_local_irq_restore)) {
		bpf_preempt_enable();
		return;
	}
	bpf_local_irq_save(&flags);
	bpf_preempt_enable();
	bpf_local_irq_restore(&flags);
}

#define SE_HUGETLBFS_MAGIC 0x958458f6ULL

/*
 * Reads a field along a chain of pointers, SE_READ(task, signal, flags). Where the pointer comes
 * from the arguments of a BTF tracepoint the verifier knows its type, and a plain load is enough:
 * it costs a tenth of a call to bpf_probe_read_kernel() and yields 0 on a bad address just the
 * same.
 */
#define SE_READ(trusted, src, ...) \
	((trusted) ? ___arrow(src, __VA_ARGS__) : BPF_CORE_READ(src, __VA_ARGS__))

/* Since 6.2: tells the verifier what a number points to. Reads from there are as above. */
extern void *bpf_rdonly_cast(const void *address, __u32 type) __ksym __weak;

/*
 * Reads a field along a chain of pointers whose first one is only a number to the verifier: out of a map, or
 * the result of a probe read. A plain load where the kernel can be told the type, else the calls.
 */
#define SE_LOAD(src, ...)                                                            \
	({                                                                           \
		typeof(src) __src = (src);                                           \
		bpf_ksym_exists(bpf_rdonly_cast)                                     \
			? ___arrow(((typeof(src))bpf_rdonly_cast(                    \
					   __src, bpf_core_type_id_kernel(*__src))), \
				   __VA_ARGS__)                                      \
			: BPF_CORE_READ(__src, __VA_ARGS__);                         \
	})

/*
 * The same for a pointer that is to be kept: gives it its type back. Ask se_can_cast() first; to the verifier
 * the answer is a constant.
 */
#define se_can_cast() bpf_ksym_exists(bpf_rdonly_cast)
#define SE_CAST(type, pointer) ((type *)bpf_rdonly_cast((pointer), bpf_core_type_id_kernel(type)))

#endif
