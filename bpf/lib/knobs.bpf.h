/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Settings from the user side, written before the load by src/kernel/loader.rs. They live in frozen
 * .rodata, so to the verifier they are constants that bound sizes and cut dead branches, and nobody
 * can turn them while the programs run.
 */
#ifndef SE_KNOBS_BPF_H
#define SE_KNOBS_BPF_H

#include "common.bpf.h"

const volatile __u32 se_agent_tgid __weak = 0;
const volatile __u32 se_page_bytes __weak = 4096;
/* Most bytes in an exec record: [process] args_max_bytes and env_max_bytes. */
const volatile __u32 se_args_max __weak = SE_ARGS_DEFAULT;
const volatile __u32 se_env_max __weak = 0;
/*
 * Where in an exec record the last chunk of SE_CHUNK bytes may begin:
 * sizeof(struct se_exec) + 4 * SE_PATH_MAX + se_args_max + se_env_max. The buffers follow it, see
 * maps.
 */
const volatile __u32 se_exec_room __weak = sizeof(struct se_exec) + 4 * SE_PATH_MAX +
					   SE_ARGS_DEFAULT;

/* Programs on tracepoints can be preempted. */
const volatile __u8 se_preemptible __weak = 0;
/* Buffers a CPU, see enum se_lane. */
const volatile __u32 se_lanes __weak = 5;
/* Kinds of records that somebody wants, a bit each. */
const volatile __u64 se_kinds __weak = ~0ULL;
/* Those of them that are taken from the return of system calls, which does not see an io_uring at work. */
const volatile __u64 se_called_kinds __weak = ~0ULL;

/*
 * From the kernel's number of a system call to ours (enum se_call), for 64-bit and for 32-bit callers.
 * What nobody wants is 0. se_calls_any (enum se_route) says whether either table has an entry, so that the way in of the
 * call is looked at only then.
 */
const volatile __u8 se_calls_any[SE_NR_MAX] __weak = {};
const volatile __u8 se_calls[SE_NR_MAX] __weak = {};
const volatile __u8 se_calls_32[SE_NR_32_MAX] __weak = {};

/* Length of the merge window; 0: nothing is merged. */
const volatile __u64 se_merge_window_ns __weak = 0;
/* Which exclusions are configured (enum se_skip), so that the others cost nothing. */
const volatile __u32 se_skips __weak = 0;
/* Whether names of files or directories are watched or skipped wherever they are. */
const volatile __u8 se_has_names __weak = 0;
const volatile __u8 se_has_directory_names __weak = 0;
const volatile __u8 se_has_inodes __weak = 0;
/* Events of pseudo file systems and of terminals are noise, unless a path says otherwise. */
const volatile __u8 se_skip_pseudo __weak = 1;
/* Limit on records of the bulk ring, a second; 0: none. */
const volatile __u64 se_bulk_rate __weak = 0;
const volatile __u8 se_backpressure __weak = 0;
const volatile __u64 se_bulk_bytes __weak = 4194304;

/* BPF_PROG() for programs on tracepoints, which are not preempted. */
#define SE_PROG(name, args...)                                                  \
	name(unsigned long long *ctx);                                          \
	static __always_inline int ____##name(unsigned long long *ctx, ##args); \
	int name(unsigned long long *ctx)                                       \
	{                                                                       \
		int result;                                                     \
                                                                                \
		if (se_preemptible)                                             \
			se_enter();                                             \
		_Pragma("GCC diagnostic push")                                  \
			_Pragma("GCC diagnostic ignored \"-Wint-conversion\"")  \
				result = ____##name(___bpf_ctx_cast(args));     \
		_Pragma("GCC diagnostic pop") if (se_preemptible) se_leave();   \
		return result;                                                  \
	}                                                                       \
	static __always_inline int ____##name(unsigned long long *ctx, ##args)

#endif
