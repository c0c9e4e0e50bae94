/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Where kernels from 5.8 on differ, one entry per change. libbpf ignores what follows ___ in a
 * type's name, so a flavour is the same kernel type with another generation's fields. The branch
 * whose fields the running kernel lacks is constant to the verifier and never looked at.
 */
#ifndef SE_FLAVORS_BPF_H
#define SE_FLAVORS_BPF_H

#include "common.bpf.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* Capabilities: two words until 6.2, one u64 since 6.3 (f122a08b197d). */
struct cred___words {
	struct {
		__u32 cap[2];
	} cap_inheritable, cap_permitted, cap_effective, cap_bset, cap_ambient;
};

struct cred___one {
	struct {
		u64 val;
	} cap_inheritable, cap_permitted, cap_effective, cap_bset, cap_ambient;
};

struct timespec64 {
	s64 tv_sec;
	long tv_nsec;
};

/* Inode times: timespec64, ctime renamed in 6.6 (13bc24457850), seconds and nanoseconds since 6.11.
 */
struct inode___plain {
	struct timespec64 i_mtime, i_ctime;
};

struct inode___renamed {
	struct timespec64 i_mtime, __i_ctime;
};

struct inode___renamed_both {
	struct timespec64 __i_mtime, __i_ctime;
};

struct inode___split {
	s64 i_mtime_sec, i_ctime_sec;
	u32 i_mtime_nsec, i_ctime_nsec;
};

/* References to an open file: a count until 6.12, since 6.13 one that is negative at the end (90ee6ed776c0). */
struct file___counted {
	struct {
		s64 counter;
	} f_count;
};

struct file___referenced {
	struct {
		struct {
			s64 counter;
		} refcnt;
	} f_ref;
};

/* sched_process_exit tells whether the thread is the group's last one since 6.16. */
struct trace_event_raw_sched_process_exit___dead {
	bool group_dead;
};

#pragma clang attribute pop

#define SE_CAP(trusted, cred, set)                                               \
	({                                                                       \
		__u64 __caps;                                                    \
		if (bpf_core_field_exists(((struct cred___one *)0)->set.val)) {  \
			const struct cred___one *__c = (void *)(cred);           \
			__caps = SE_READ(trusted, __c, set.val);                 \
		} else {                                                         \
			const struct cred___words *__c = (void *)(cred);         \
			__caps = SE_READ(trusted, __c, set.cap[0]) |             \
				 (__u64)SE_READ(trusted, __c, set.cap[1]) << 32; \
		}                                                                \
		__caps;                                                          \
	})

static __always_inline __s64 se_ns(__s64 sec, __s64 nsec)
{
	return sec * 1000000000 + nsec;
}

#define SE_TIMESPEC(src, field) se_ns(SE_LOAD(src, field.tv_sec), SE_LOAD(src, field.tv_nsec))

static __always_inline __s64 se_mtime_ns(const struct inode *inode)
{
	const struct inode___split *split = (void *)inode;
	const struct inode___plain *plain = (void *)inode;
	const struct inode___renamed_both *renamed = (void *)inode;

	if (bpf_core_field_exists(split->i_mtime_sec))
		return se_ns(SE_LOAD(split, i_mtime_sec), SE_LOAD(split, i_mtime_nsec));
	if (bpf_core_field_exists(renamed->__i_mtime))
		return SE_TIMESPEC(renamed, __i_mtime);
	return SE_TIMESPEC(plain, i_mtime);
}

static __always_inline __s64 se_ctime_ns(const struct inode *inode)
{
	const struct inode___split *split = (void *)inode;
	const struct inode___plain *plain = (void *)inode;
	const struct inode___renamed *renamed = (void *)inode;

	/* Since 6.13 the top bit of the nanoseconds says that somebody asked for the time. */
	if (bpf_core_field_exists(split->i_ctime_sec))
		return se_ns(SE_LOAD(split, i_ctime_sec),
			     SE_LOAD(split, i_ctime_nsec) & 0x7fffffff);
	if (bpf_core_field_exists(renamed->__i_ctime))
		return SE_TIMESPEC(renamed, __i_ctime);
	return SE_TIMESPEC(plain, i_ctime);
}

#endif
