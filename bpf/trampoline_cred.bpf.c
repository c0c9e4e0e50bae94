// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Credentials on the middle rung: every change of a task's own, from the function that puts new ones in place.
 *
 * Seen here and by no system call: what prctl(), unshare(), setns() and keyctl() change, and an exploit that calls
 * the function from inside the kernel. Left out: exec, whose event has the credentials, and changes of nothing that a
 * record tells, such as keyrings.
 */
#include "lib/actor.bpf.h"
#include "lib/emit.bpf.h"
#include "lib/trampoline.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct task_struct___executing {
	unsigned int in_execve : 1;
};

struct cred___rest {
	unsigned int securebits;
	struct group_info *group_info;
};

#pragma clang attribute pop

/* dst is zeroed. */
static __always_inline void se_creds__fill(struct se_creds *dst, const struct cred *cred)
{
	dst->cap_permitted = SE_CAP(false, cred, cap_permitted);
	dst->cap_effective = SE_CAP(false, cred, cap_effective);
	dst->cap_inheritable = SE_CAP(false, cred, cap_inheritable);
	dst->cap_bounding = SE_CAP(false, cred, cap_bset);
	dst->cap_ambient = SE_CAP(false, cred, cap_ambient);
	dst->uid = BPF_CORE_READ(cred, uid.val);
	dst->gid = BPF_CORE_READ(cred, gid.val);
	dst->euid = BPF_CORE_READ(cred, euid.val);
	dst->egid = BPF_CORE_READ(cred, egid.val);
	dst->suid = BPF_CORE_READ(cred, suid.val);
	dst->sgid = BPF_CORE_READ(cred, sgid.val);
	dst->fsuid = BPF_CORE_READ(cred, fsuid.val);
	dst->fsgid = BPF_CORE_READ(cred, fsgid.val);
	dst->user_ns = BPF_CORE_READ(cred, user_ns, ns.inum);
	dst->securebits = BPF_CORE_READ((struct cred___rest *)cred, securebits);
}

static __always_inline bool se_creds_differ(const struct se_creds *a, const struct se_creds *b)
{
	const __u64 *left = (void *)a, *right = (void *)b;
	__u64 differing = 0;

	for (int i = 0; i < sizeof(*a) / sizeof(__u64); i++)
		differing |= left[i] ^ right[i];
	return differing;
}

static __always_inline const void *se_creds_groups(const struct cred *cred)
{
	return BPF_CORE_READ((struct cred___rest *)cred, group_info);
}

/* The task as it is about to be. */
static __always_inline void se_task__take(struct se_task *dst, const struct se_creds *creds)
{
	dst->cap_permitted = creds->cap_permitted;
	dst->cap_effective = creds->cap_effective;
	dst->cap_inheritable = creds->cap_inheritable;
	dst->cap_bounding = creds->cap_bounding;
	dst->cap_ambient = creds->cap_ambient;
	dst->uid = creds->uid;
	dst->gid = creds->gid;
	dst->euid = creds->euid;
	dst->egid = creds->egid;
	dst->suid = creds->suid;
	dst->sgid = creds->sgid;
	dst->fsuid = creds->fsuid;
	dst->fsgid = creds->fsgid;
	dst->user_ns = creds->user_ns;
}

/*
 * (new credentials). It cannot fail. Groups beside the first are compared by the address of their list, which is never
 * changed in place: setgroups() with what was there already is told as well, as its call is on the rung below.
 */
static __always_inline void on_commit(__u64 *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	const struct cred *cred = (void *)se_arg(ctx, 0);
	struct se_creds now = {}, before = {};
	struct se_credentials *record;
	const struct cred *old;

	if (BPF_CORE_READ_BITFIELD_PROBED((struct task_struct___executing *)task, in_execve))
		return;
	se_creds__fill(&now, cred);
	old = BPF_CORE_READ(task, cred);
	se_creds__fill(&before, old);
	if (!se_creds_differ(&now, &before) && se_creds_groups(cred) == se_creds_groups(old))
		return;
	record = se_reserve(SE_KIND_CREDENTIALS, struct se_credentials);
	if (!record)
		return;
	se_task__fill(&record->task, task, false);
	se_task__take(&record->task, &now);
	__builtin_memset(record->asked, 0xff, sizeof(record->asked));
	record->old = before;
	record->flags = SE_CREDENTIALS_OLD;
	record->hook = SE_HOOK_FENTRY;
	if (se_is_submitting(task))
		record->flags |= SE_CREDENTIALS_IO_URING;
	se_submit(SE_KIND_CREDENTIALS, record);
}

SE_TRAMPOLINE_PLAIN(se_t_creds, "fentry/commit_creds", on_commit)
