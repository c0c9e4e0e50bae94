// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Puts the types of abi.h into BTF so that build.rs can generate Rust from them. Never loaded.
 *
 * One pointer to each record keeps clang from dropping the type; ring-buffer-only types would
 * otherwise be missing from BTF.
 */
#include "vmlinux.h"
#pragma clang diagnostic push
#pragma clang diagnostic error "-Wpadded"
#include "abi.h"
#pragma clang diagnostic pop

#define X(name, number, record) const struct record *se_anchor_##record;
SE_KINDS(X)
#undef X

enum se_abi se_anchor_abi;
enum se_kind se_anchor_kind;
enum se_outcome se_anchor_outcome;
enum se_limit se_anchor_limit;
enum se_task_flag se_anchor_task_flag;
enum se_image_flag se_anchor_image_flag;
enum se_exec_flag se_anchor_exec_flag;
enum se_exec_failed_flag se_anchor_exec_failed_flag;
enum se_cgroup_op se_anchor_cgroup_op;
enum se_size se_anchor_size;
