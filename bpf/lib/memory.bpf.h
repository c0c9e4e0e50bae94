/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What an address of the current task's memory is backed by: the kernel's own view of the area, after a call
 * changed it.
 *
 * Since 5.17 a helper finds the area under its lock, and gives up when somebody else holds that. Before, the tree
 * of areas is walked without; it may change meanwhile, which at worst makes the answer a neighbour or none.
 */
#ifndef SE_MEMORY_BPF_H
#define SE_MEMORY_BPF_H

#include "actor.bpf.h"
#include "path.bpf.h"

enum se_vm_flag {
	SE_VM_WRITE = 2,
	SE_VM_EXEC = 4,
	SE_VM_SHARED = 8,
	SE_VM_ACCOUNT = 0x100000, /* private and was writable at some time: counted as memory of its own */
	SE_AREA_DEPTH = 40, /* a red-black tree of the most areas that a process may have */
};

struct se_area {
	__u64 flags;
	__u64 start;
	struct file *file; /* NULL: anonymous */
	void *copied;	   /* not NULL: pages of its own, so something was written */
	bool is_known;
};

static __always_inline void se_area__read(struct se_area *dst, struct vm_area_struct *area)
{
	dst->flags = BPF_CORE_READ(area, vm_flags);
	dst->start = BPF_CORE_READ(area, vm_start);
	dst->file = BPF_CORE_READ(area, vm_file);
	dst->copied = BPF_CORE_READ(area, anon_vma);
	dst->is_known = true;
}

static long se_area_callback(struct task_struct *task, struct vm_area_struct *area,
			     struct se_area *dst)
{
	se_area__read(dst, area);
	return 0;
}

static __always_inline void se_area__find_in_tree(struct se_area *dst, __u64 address)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct mm_struct___tree *mm = (void *)BPF_CORE_READ(task, mm);
	struct vm_area_struct___tree *tree = NULL;
	struct rb_node *node;

	if (!bpf_core_field_exists(mm->mm_rb))
		return;
	node = BPF_CORE_READ(mm, mm_rb.rb_node);
#pragma clang loop unroll(disable)
	for (int i = 0; i < SE_AREA_DEPTH && node; i++) {
		struct vm_area_struct *area = (void *)node - bpf_core_field_offset(tree->vm_rb);

		if (BPF_CORE_READ(area, vm_end) <= address) {
			node = BPF_CORE_READ(node, rb_right);
		} else if (BPF_CORE_READ(area, vm_start) > address) {
			node = BPF_CORE_READ(node, rb_left);
		} else {
			se_area__read(dst, area);
			return;
		}
	}
}

/* dst is zeroed. */
static __always_inline void se_area__find(struct se_area *dst, __u64 address,
					  const enum se_walker walker)
{
	if (walker == SE_WALK_LOOP)
		bpf_find_vma(bpf_get_current_task_btf(), address, se_area_callback, dst, 0);
	else
		se_area__find_in_tree(dst, address);
}

#endif
