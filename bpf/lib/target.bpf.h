/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The process that something was done to, as the kernel holds it: from the number that the caller gave, in the
 * caller's own pid namespace, or from a pidfd.
 *
 * No helper finds a task by its number before 6.2, and the one since then knows the host's numbers only. So the
 * radix tree of the caller's namespace is walked here. Its nodes and the struct pids are freed by RCU, which
 * a program on a tracepoint holds off.
 */
#ifndef SE_TARGET_BPF_H
#define SE_TARGET_BPF_H

#include "object.bpf.h"
#include "task.bpf.h"

enum se_xarray {
	SE_XA_DEPTH = 5, /* four levels hold more numbers than there can be pids */
	SE_XA_SHIFT_MAX = 24,
	SE_XA_NODE_TAG = 2,
	SE_XA_TAGS = 3,
};

#define SE_PIDFS_MAGIC 0x50494446ULL

/* The struct pid with this number in that namespace, NULL if there is none. */
static __always_inline struct pid *se_pid_of(struct pid_namespace *namespace, __u32 nr)
{
	struct pid_namespace___ids *ids = (void *)namespace;
	void *entry = BPF_CORE_READ(ids, idr.idr_rt.xa_head), *slots;
	__u32 level = BPF_CORE_READ(ids, level), shift;
	struct upid found = {};
	struct xa_node *node;

#pragma clang loop unroll(disable)
	for (int i = 0; i < SE_XA_DEPTH; i++) {
		__u64 bits = (__u64)entry;

		if ((bits & SE_XA_TAGS) != SE_XA_NODE_TAG)
			break;
		node = (void *)(bits - SE_XA_NODE_TAG);
		shift = BPF_CORE_READ(node, shift);
		if (shift > SE_XA_SHIFT_MAX)
			return NULL;
		slots = (void *)node + bpf_core_field_offset(struct xa_node, slots);
		if (bpf_probe_read_kernel(&entry, sizeof(entry),
					  slots + (nr >> shift & 63) * sizeof(void *)))
			return NULL;
	}
	if (!entry || (__u64)entry & SE_XA_TAGS)
		return NULL;
	/* A number beyond the tree wraps around in it. */
	bpf_probe_read_kernel(&found, sizeof(found),
			      entry + bpf_core_field_offset(struct pid, numbers) +
				      (level & 31) * bpf_core_type_size(struct upid));
	return found.nr == nr ? entry : NULL;
}

/* The task that a struct pid is the thread id of, NULL if it is gone. */
static __always_inline struct task_struct *se_pid_task(struct pid *pid)
{
	struct hlist_node *node = BPF_CORE_READ(pid, tasks[PIDTYPE_PID].first);

	if (!node)
		return NULL;
	return (void *)node - bpf_core_field_offset(struct task_struct, pid_links[PIDTYPE_PID]);
}

/* The task that the current one knows by this number. */
static __always_inline struct task_struct *se_task_of(struct task_struct *task, __s32 nr)
{
	struct upid inner = {};
	struct pid *pid;

	if (nr <= 0)
		return NULL;
	se_pid_inner(task, &inner);
	pid = se_pid_of(inner.ns, nr);
	return pid ? se_pid_task(pid) : NULL;
}

/* The process behind a pidfd; its leader, or the thread of a pidfd for one. */
static __always_inline struct task_struct *se_pidfd_task(struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct inode___private *named = (void *)inode;
	struct file___private *plain = (void *)file;
	struct pid *pid;

	/* They have a file system of their own since 6.9. */
	if (BPF_CORE_READ(inode, i_sb, s_magic) == SE_PIDFS_MAGIC)
		pid = BPF_CORE_READ(named, i_private);
	else
		pid = BPF_CORE_READ(plain, private_data);
	return pid ? se_pid_task(pid) : NULL;
}

/* dst is zeroed. */
static __always_inline void se_target__fill(struct se_target *dst, struct task_struct *task)
{
	if (!task)
		return;
	dst->start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	dst->pid = BPF_CORE_READ(task, tgid);
	dst->tid = BPF_CORE_READ(task, pid);
	dst->uid = BPF_CORE_READ(task, cred, uid.val);
	if (BPF_CORE_READ(task, flags) & SE_PF_KTHREAD)
		dst->flags |= SE_TASK_KTHREAD;
	if (dst->pid == se_agent_tgid)
		dst->flags |= SE_TASK_AGENT;
	bpf_core_read(dst->comm, sizeof(dst->comm), &task->comm);
}

#endif
