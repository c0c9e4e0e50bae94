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

const struct se_watch_path *se_anchor_watch_path;
const struct se_watch_name *se_anchor_watch_name;
const struct se_verdict *se_anchor_verdict;
const struct se_file_id *se_anchor_file_id;
const struct se_merge_key *se_anchor_merge_key;
const struct se_merge *se_anchor_merge;
const struct se_switches *se_anchor_switches;
const struct se_bpf_id *se_anchor_bpf_id;

enum se_abi se_anchor_abi;
enum se_watch se_anchor_watch;
enum se_route se_anchor_route;
enum se_skip se_anchor_skip;
enum se_kind se_anchor_kind;
enum se_outcome se_anchor_outcome;
enum se_limit se_anchor_limit;
enum se_task_flag se_anchor_task_flag;
enum se_image_flag se_anchor_image_flag;
enum se_exec_flag se_anchor_exec_flag;
enum se_exec_failed_flag se_anchor_exec_failed_flag;
enum se_cgroup_op se_anchor_cgroup_op;
enum se_actor_flag se_anchor_actor_flag;
enum se_hook se_anchor_hook;
enum se_call se_anchor_call;
enum se_object_flag se_anchor_object_flag;
enum se_file_op se_anchor_file_op;
enum se_file_flag se_anchor_file_flag;
enum se_net_op se_anchor_net_op;
enum se_net_flag se_anchor_net_flag;
enum se_net_part se_anchor_net_part;
enum se_privilege_flag se_anchor_privilege_flag;
enum se_privilege_op se_anchor_privilege_op;
enum se_bpf_type se_anchor_bpf_type;
enum se_credentials_flag se_anchor_credentials_flag;
enum se_size se_anchor_size;
