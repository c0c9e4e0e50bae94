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

#endif
