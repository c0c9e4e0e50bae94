/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Records of struct se_privilege: admitted, opened with their actor, and filled with strings of either memory.
 *
 * Exclusions by executable, control group and user are for files, connections and memory. What is critical is
 * reported whoever does it, or an excluded program would be the one to attack through.
 */
#ifndef SE_PRIVILEGE_BPF_H
#define SE_PRIVILEGE_BPF_H

#include "filter.bpf.h"
#include "object.bpf.h"
#include "syscall.bpf.h"
#include "target.bpf.h"

enum se_errors {
	SE_MAX_ERRNO = 4095,
};

static __always_inline __s32 se_error(long ret)
{
	return ret < 0 && ret >= -SE_MAX_ERRNO ? ret : 0;
}

/* Like se_admit(); see above for the difference. `key` may be NULL. */
static __always_inline __u64 se_privilege__admit(__u32 kind, struct task_struct *task,
						 struct se_merge_key *key)
{
	__u64 now_ns;

	if (se_is_bulk(kind))
		return se_admit(kind, task, key);
	now_ns = bpf_ktime_get_boot_ns();
	se_count(kind, SE_ATTEMPTED);
	if (key && se_merge_window_ns) {
		key->kind = kind;
		key->pid = BPF_CORE_READ(task, tgid);
		key->start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
		if (se_is_merged(key, now_ns)) {
			se_count(kind, SE_DEDUPLICATED);
			return 0;
		}
	}
	return now_ns;
}

/* The record in the lane's buffer, with its actor. NULL: merged into an earlier one. */
static __always_inline struct se_buf *se_privilege__open(__u32 lane, __u32 kind, __u32 hook,
							 __u32 call, struct se_merge_key *key)
{
	__u64 now_ns = se_privilege__admit(kind, (void *)bpf_get_current_task(), key);
	struct se_buf *buf;

	if (!now_ns)
		return NULL;
	buf = se_open(lane, kind, sizeof(struct se_privilege), now_ns);
	if (buf)
		se_actor__fill(&buf->privilege.actor, hook, call);
	return buf;
}

/* The same for a system call that returns, with its error. */
static __always_inline struct se_buf *se_privilege__called(__u32 kind, struct pt_regs *regs,
							   long ret, struct se_merge_key *key)
{
	struct se_buf *buf;

	if (!se_is_wanted(kind) || se_is_restart(ret))
		return NULL;
	buf = se_privilege__open(SE_LANE_SYSCALL, kind, SE_HOOK_SYS_EXIT, se_syscall_call(regs),
				 key);
	if (buf)
		buf->privilege.error = se_error(ret);
	return buf;
}

static __always_inline void se_privilege__submit(struct se_buf *buf, __u32 kind)
{
	se_output(&buf->header, kind, SE_RECORD_MAX);
}

/* The same in the ring itself, for records without strings that an interrupt may make. */
static __always_inline struct se_privilege *se_privilege__reserve(__u32 kind, __u32 hook,
								  struct se_merge_key *key)
{
	__u64 now_ns = se_privilege__admit(kind, (void *)bpf_get_current_task(), key);
	struct se_privilege *record;

	if (!now_ns)
		return NULL;
	record = bpf_ringbuf_reserve(&se_ring, sizeof(*record), 0);
	if (!record) {
		se_count(kind, SE_RING_FULL);
		return NULL;
	}
	__builtin_memset(record, 0, sizeof(*record));
	se_stamp_at(&record->header, kind, sizeof(*record), now_ns);
	se_actor__fill(&record->actor, hook, SE_CALL_NONE);
	return record;
}

/* Appends a string of the caller's memory; `max` counts its NUL. What cannot be read is left out. */
static __always_inline void se_privilege__given(struct se_buf *buf, struct se_str *str,
						__u64 address, const __u32 max)
{
	void *dst = se_room(&buf->header, SE_ROOM);
	long n;

	if (!dst || !address)
		return;
	buf->privilege.actor.flags |= SE_ACTOR_GRADE_USER;
	n = bpf_probe_read_user_str(dst, max, (void *)address);
	if (n <= 0)
		return;
	str->off = buf->header.len;
	str->len = n - 1;
	se_grow(&buf->header, n - 1);
	if (n == max)
		buf->privilege.actor.flags |= SE_ACTOR_TRIMMED;
}

/* Appends a string of the kernel. */
static __always_inline void se_privilege__named(struct se_buf *buf, struct se_str *str,
						const void *src, const __u32 max)
{
	se_append_string(&buf->header, SE_ROOM, str, src, max);
}

/* The file behind it, without and with its path. */
static __always_inline void se_privilege__object(struct se_buf *buf, struct file *file)
{
	se_object__fill(&buf->privilege.object, BPF_CORE_READ(file, f_inode),
			BPF_CORE_READ(file, f_path.dentry));
}

static __always_inline void se_privilege__file(struct se_buf *buf, struct task_struct *task,
					       struct file *file, const enum se_walker walker)
{
	se_privilege__object(buf, file);
	se_append_path(&buf->header, SE_ROOM, &buf->privilege.path, &buf->privilege.object.flags,
		       SE_OBJECT_PATH_CUT, SE_OBJECT_PATH_DETACHED, &buf->walk, task,
		       BPF_CORE_READ(file, f_path.mnt), BPF_CORE_READ(file, f_path.dentry), walker);
}

#endif
