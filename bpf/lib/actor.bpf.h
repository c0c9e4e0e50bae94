/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Fills struct se_actor: who acts, for the kinds of which there are many. */
#ifndef SE_ACTOR_BPF_H
#define SE_ACTOR_BPF_H

#include "task.bpf.h"
#include "uring.bpf.h"

static __always_inline void se_actor__read(struct se_actor *dst, struct task_struct *task,
					   const bool trusted)
{
	struct task_struct *parent = SE_READ(trusted, task, real_parent);
	struct nsproxy *nsproxy = SE_READ(trusted, task, nsproxy);
	const struct cred *cred = SE_READ(trusted, task, cred);
	struct mm_struct *mm = SE_READ(trusted, task, mm);
	__u32 flags = SE_READ(trusted, task, flags);

	dst->start_ns = SE_READ(trusted, task, group_leader, start_boottime);
	dst->parent_start_ns = SE_READ(trusted, parent, group_leader, start_boottime);
	dst->pid = SE_READ(trusted, task, tgid);
	dst->tid = SE_READ(trusted, task, pid);
	dst->ppid = SE_READ(trusted, parent, tgid);
	dst->uid = SE_READ(trusted, cred, uid.val);
	dst->gid = SE_READ(trusted, cred, gid.val);
	dst->euid = SE_READ(trusted, cred, euid.val);
	dst->egid = SE_READ(trusted, cred, egid.val);
	dst->fsuid = SE_READ(trusted, cred, fsuid.val);
	dst->fsgid = SE_READ(trusted, cred, fsgid.val);
	dst->user_ns = SE_READ(trusted, cred, user_ns, ns.inum);
	dst->cap_effective = SE_CAP(trusted, cred, cap_effective);
	dst->loginuid = -1;
	if (bpf_core_field_exists(task->loginuid))
		dst->loginuid = SE_READ(trusted, task, loginuid.val);
	dst->mnt_ns = SE_READ(trusted, nsproxy, mnt_ns, ns.inum);
	dst->net_ns = SE_READ(trusted, nsproxy, net_ns, ns.inum);
	se_cgroup__fill(&dst->cgroup_id, &dst->hierarchy, task, trusted);
	if (flags & SE_PF_KTHREAD)
		dst->flags |= SE_TASK_KTHREAD;
	else if (mm && SE_READ(trusted, mm, task_size) <= 1ULL << 32)
		dst->flags |= SE_TASK_COMPAT;
	if (SE_READ(trusted, task, seccomp.mode) == SE_SECCOMP_MODE_FILTER)
		dst->flags |= SE_TASK_SECCOMP;
	if (SE_READ(trusted, task, atomic_flags) & 1UL << SE_PFA_NO_NEW_PRIVS)
		dst->flags |= SE_TASK_NO_NEW_PRIVS;
	if (dst->pid == se_agent_tgid || dst->ppid == se_agent_tgid)
		dst->flags |= SE_TASK_AGENT;
	bpf_core_read(dst->comm, sizeof(dst->comm), &task->comm);
}

/* Whether it acts for an io_uring, as far as the hook can tell. */
static __always_inline bool se_actor__by_ring(__u32 hook)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	switch (hook) {
	case SE_HOOK_SYS_EXIT: /* never an io_uring's */
		return false;
	case SE_HOOK_FENTRY: /* all of files and credentials */
	case SE_HOOK_FEXIT:
		return se_is_submitting(task);
	default:
		return se_in_io_uring(task);
	}
}

/* The current task. dst is zeroed. */
static __always_inline void se_actor__fill(struct se_actor *dst, __u32 hook, __u32 call)
{
	if (se_has_typed_current())
		se_actor__read(dst, se_current_typed(), true);
	else
		se_actor__read(dst, (void *)bpf_get_current_task(), false);
	if (se_actor__by_ring(hook))
		dst->flags |= SE_ACTOR_IO_URING;
	dst->hook = hook;
	dst->call = call;
}

#endif
