/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Fills struct se_task: who acts, as what, where. */
#ifndef SE_TASK_BPF_H
#define SE_TASK_BPF_H

#include "flavors.bpf.h"
#include "knobs.bpf.h"

/* Since 5.11 the current task can be had with its type known, which makes reading it cheap. */
static __always_inline bool se_has_typed_current(void)
{
	return bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf);
}

/*
 * A task whose type the verifier knows. Where it can be cast it is: of a pointer that comes from a tracepoint or a
 * helper the verifier finds out at every step whether what it points to can be trusted, by a search through all of the
 * kernel's types. That took a third of the time that all programs take to load.
 */
static __always_inline struct task_struct *se_typed(struct task_struct *task)
{
	return se_can_cast() ? SE_CAST(struct task_struct, task) : task;
}

/* The current task, if se_has_typed_current(). */
static __always_inline struct task_struct *se_current_typed(void)
{
	return se_typed(bpf_get_current_task_btf());
}

static __always_inline struct task_struct *se_current(void)
{
	return se_has_typed_current() ? se_current_typed() : (void *)bpf_get_current_task();
}

/* Start of the thread group that a struct pid leads, 0 if its leader is gone. */
static __always_inline __u64 se_pid_start_ns(struct pid *pid)
{
	struct hlist_node *node = BPF_CORE_READ(pid, tasks[PIDTYPE_TGID].first);
	struct task_struct *task;

	if (!node)
		return 0;
	task = (void *)node - bpf_core_field_offset(struct task_struct, pid_links[PIDTYPE_TGID]);
	return BPF_CORE_READ(task, start_boottime);
}

/*
 * The number by which the innermost namespace of a task's struct pid knows it, and that namespace.
 * Read and not dereferenced: to the verifier the result is a number, while it refuses to add a
 * variable to a pointer whose type it knows (6.1 and before).
 */
static __always_inline void se_pid_inner(struct task_struct *task, struct upid *inner)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	void *numbers = (void *)pid + bpf_core_field_offset(struct pid, numbers);
	__u32 level = BPF_CORE_READ(pid, level);

	bpf_probe_read_kernel(inner, sizeof(*inner),
			      numbers + level * bpf_core_type_size(struct upid));
}

/*
 * The control group: of the default hierarchy, unless the task sits in its root and a version 1
 * controller has put it deeper, as on hosts that mount both.
 */
static __always_inline void se_cgroup__fill(__u64 *cgroup_id, __u32 *hierarchy,
					    struct task_struct *task, const bool trusted)
{
	struct css_set *set = SE_READ(trusted, task, cgroups);
	struct cgroup *cgroup = SE_READ(trusted, set, dfl_cgrp);
	int level = SE_READ(trusted, cgroup, level);

	*cgroup_id = SE_READ(trusted, cgroup, kn, id);
#define SE_DEEPER(controller)                                                          \
	if (!level && bpf_core_enum_value_exists(enum cgroup_subsys_id, controller)) { \
		int __i = bpf_core_enum_value(enum cgroup_subsys_id, controller);      \
		struct cgroup_subsys_state *__css = NULL;                              \
		struct cgroup *__v1;                                                   \
		if (trusted)                                                           \
			__css = set->subsys[__i];                                      \
		else                                                                   \
			bpf_core_read(&__css, sizeof(__css), &set->subsys[__i]);       \
		__v1 = SE_READ(trusted, __css, cgroup);                                \
		level = SE_READ(trusted, __v1, level);                                 \
		if (level > 0) {                                                       \
			*cgroup_id = SE_READ(trusted, __v1, kn, id);                   \
			*hierarchy = SE_READ(trusted, __v1, root, hierarchy_id);       \
		}                                                                      \
	}
	SE_DEEPER(memory_cgrp_id)
	SE_DEEPER(pids_cgrp_id)
	SE_DEEPER(cpu_cgrp_id)
	SE_DEEPER(devices_cgrp_id)
#undef SE_DEEPER
}

/* `trusted`: the verifier knows the type of `task`, see SE_READ(). dst is zeroed. */
static __always_inline void se_task__fill(struct se_task *dst, struct task_struct *task,
					  const bool trusted)
{
	struct task_struct *leader = SE_READ(trusted, task, group_leader);
	struct task_struct *parent = SE_READ(trusted, task, real_parent);
	struct signal_struct *signal = SE_READ(trusted, task, signal);
	struct nsproxy *nsproxy = SE_READ(trusted, task, nsproxy);
	const struct cred *cred = SE_READ(trusted, task, cred);
	struct pid *session = SE_READ(trusted, signal, pids[PIDTYPE_SID]);
	struct pid *group = SE_READ(trusted, signal, pids[PIDTYPE_PGID]);
	struct tty_struct *tty = SE_READ(trusted, signal, tty);
	struct mm_struct *mm = SE_READ(trusted, task, mm);
	struct upid inner = {};

	dst->start_ns = SE_READ(trusted, leader, start_boottime);
	dst->parent_start_ns = SE_READ(trusted, parent, group_leader, start_boottime);
	dst->leader_start_ns = se_pid_start_ns(session);
	dst->pid = SE_READ(trusted, task, tgid);
	dst->tid = SE_READ(trusted, task, pid);
	dst->ppid = SE_READ(trusted, parent, tgid);
	dst->sid = BPF_CORE_READ(session, numbers[0].nr);
	dst->pgid = BPF_CORE_READ(group, numbers[0].nr);

	se_pid_inner(task, &inner);
	dst->ns_tid = inner.nr;
	dst->ns_pid = inner.nr;
	dst->pid_ns = BPF_CORE_READ(inner.ns, ns.inum);
	if (dst->pid != dst->tid) {
		se_pid_inner(leader, &inner);
		dst->ns_pid = inner.nr;
	}

	dst->uid = SE_READ(trusted, cred, uid.val);
	dst->gid = SE_READ(trusted, cred, gid.val);
	dst->euid = SE_READ(trusted, cred, euid.val);
	dst->egid = SE_READ(trusted, cred, egid.val);
	dst->suid = SE_READ(trusted, cred, suid.val);
	dst->sgid = SE_READ(trusted, cred, sgid.val);
	dst->fsuid = SE_READ(trusted, cred, fsuid.val);
	dst->fsgid = SE_READ(trusted, cred, fsgid.val);
	dst->cap_permitted = SE_CAP(trusted, cred, cap_permitted);
	dst->cap_effective = SE_CAP(trusted, cred, cap_effective);
	dst->cap_inheritable = SE_CAP(trusted, cred, cap_inheritable);
	dst->cap_bounding = SE_CAP(trusted, cred, cap_bset);
	dst->cap_ambient = SE_CAP(trusted, cred, cap_ambient);

	/* Both depend on CONFIG_AUDIT. */
	dst->loginuid = -1;
	dst->sessionid = -1;
	if (bpf_core_field_exists(task->loginuid)) {
		dst->loginuid = SE_READ(trusted, task, loginuid.val);
		dst->sessionid = SE_READ(trusted, task, sessionid);
	}

	dst->mnt_ns = SE_READ(trusted, nsproxy, mnt_ns, ns.inum);
	dst->net_ns = SE_READ(trusted, nsproxy, net_ns, ns.inum);
	dst->uts_ns = SE_READ(trusted, nsproxy, uts_ns, ns.inum);
	dst->ipc_ns = SE_READ(trusted, nsproxy, ipc_ns, ns.inum);
	dst->cgroup_ns = SE_READ(trusted, nsproxy, cgroup_ns, ns.inum);
	dst->user_ns = SE_READ(trusted, cred, user_ns, ns.inum);
	se_cgroup__fill(&dst->cgroup_id, &dst->hierarchy, task, trusted);

	if (SE_READ(trusted, task, flags) & SE_PF_KTHREAD)
		dst->flags |= SE_TASK_KTHREAD;
	/* A 32-bit program has a 32-bit address space; the flag words differ per architecture. */
	else if (mm && SE_READ(trusted, mm, task_size) <= 1ULL << 32)
		dst->flags |= SE_TASK_COMPAT;
	if (SE_READ(trusted, task, seccomp.mode) == SE_SECCOMP_MODE_FILTER)
		dst->flags |= SE_TASK_SECCOMP;
	if (SE_READ(trusted, task, atomic_flags) & 1UL << SE_PFA_NO_NEW_PRIVS)
		dst->flags |= SE_TASK_NO_NEW_PRIVS;
	if (dst->pid == se_agent_tgid || dst->ppid == se_agent_tgid)
		dst->flags |= SE_TASK_AGENT;

	if (tty) {
		struct tty_driver *driver = BPF_CORE_READ(tty, driver);

		dst->tty_major = BPF_CORE_READ(driver, major);
		dst->tty_minor = BPF_CORE_READ(driver, minor_start) + BPF_CORE_READ(tty, index);
		bpf_core_read(dst->tty_name, sizeof(dst->tty_name), &tty->name);
	}
	bpf_core_read(dst->comm, sizeof(dst->comm), &task->comm);
}

#endif
