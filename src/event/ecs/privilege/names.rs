//! Numbers of the kernel's interface that privilege events carry, and their names, from the headers of Linux 6.18.
//!
//! What a newer kernel adds has no name here; writers then give the number.

use std::borrow::Cow;

/// Commands of bpf(), by number.
pub(super) const BPF_COMMANDS: [&str; 38] = [
    "BPF_MAP_CREATE",
    "BPF_MAP_LOOKUP_ELEM",
    "BPF_MAP_UPDATE_ELEM",
    "BPF_MAP_DELETE_ELEM",
    "BPF_MAP_GET_NEXT_KEY",
    "BPF_PROG_LOAD",
    "BPF_OBJ_PIN",
    "BPF_OBJ_GET",
    "BPF_PROG_ATTACH",
    "BPF_PROG_DETACH",
    "BPF_PROG_TEST_RUN",
    "BPF_PROG_GET_NEXT_ID",
    "BPF_MAP_GET_NEXT_ID",
    "BPF_PROG_GET_FD_BY_ID",
    "BPF_MAP_GET_FD_BY_ID",
    "BPF_OBJ_GET_INFO_BY_FD",
    "BPF_PROG_QUERY",
    "BPF_RAW_TRACEPOINT_OPEN",
    "BPF_BTF_LOAD",
    "BPF_BTF_GET_FD_BY_ID",
    "BPF_TASK_FD_QUERY",
    "BPF_MAP_LOOKUP_AND_DELETE_ELEM",
    "BPF_MAP_FREEZE",
    "BPF_BTF_GET_NEXT_ID",
    "BPF_MAP_LOOKUP_BATCH",
    "BPF_MAP_LOOKUP_AND_DELETE_BATCH",
    "BPF_MAP_UPDATE_BATCH",
    "BPF_MAP_DELETE_BATCH",
    "BPF_LINK_CREATE",
    "BPF_LINK_UPDATE",
    "BPF_LINK_GET_FD_BY_ID",
    "BPF_LINK_GET_NEXT_ID",
    "BPF_ENABLE_STATS",
    "BPF_ITER_CREATE",
    "BPF_LINK_DETACH",
    "BPF_PROG_BIND_MAP",
    "BPF_TOKEN_CREATE",
    "BPF_PROG_STREAM_READ_BY_FD",
];

/// Types of BPF programs, `BPF_PROG_TYPE_*`, by number.
pub(super) const BPF_PROGRAMS: [&str; 33] = [
    "unspec",
    "socket_filter",
    "kprobe",
    "sched_cls",
    "sched_act",
    "tracepoint",
    "xdp",
    "perf_event",
    "cgroup_skb",
    "cgroup_sock",
    "lwt_in",
    "lwt_out",
    "lwt_xmit",
    "sock_ops",
    "sk_skb",
    "cgroup_device",
    "sk_msg",
    "raw_tracepoint",
    "cgroup_sock_addr",
    "lwt_seg6local",
    "lirc_mode2",
    "sk_reuseport",
    "flow_dissector",
    "cgroup_sysctl",
    "raw_tracepoint_writable",
    "cgroup_sockopt",
    "tracing",
    "struct_ops",
    "ext",
    "lsm",
    "sk_lookup",
    "syscall",
    "netfilter",
];

/// Types of BPF maps, `BPF_MAP_TYPE_*`, by number.
pub(super) const BPF_MAPS: [&str; 34] = [
    "unspec",
    "hash",
    "array",
    "prog_array",
    "perf_event_array",
    "percpu_hash",
    "percpu_array",
    "stack_trace",
    "cgroup_array",
    "lru_hash",
    "lru_percpu_hash",
    "lpm_trie",
    "array_of_maps",
    "hash_of_maps",
    "devmap",
    "sockmap",
    "cpumap",
    "xskmap",
    "sockhash",
    "cgroup_storage",
    "reuseport_sockarray",
    "percpu_cgroup_storage",
    "queue",
    "stack",
    "sk_storage",
    "devmap_hash",
    "struct_ops",
    "ringbuf",
    "inode_storage",
    "task_storage",
    "bloom_filter",
    "user_ringbuf",
    "cgrp_storage",
    "arena",
];

/// Types of BPF links, `BPF_LINK_TYPE_*`, by number.
pub(super) const BPF_LINKS: [&str; 15] = [
    "unspec",
    "raw_tracepoint",
    "tracing",
    "cgroup",
    "iter",
    "netns",
    "xdp",
    "perf_event",
    "kprobe_multi",
    "struct_ops",
    "netfilter",
    "tcx",
    "uprobe_multi",
    "netkit",
    "sockmap",
];

/// Where BPF programs attach, `enum bpf_attach_type`, by number.
pub(super) const BPF_ATTACHMENTS: [&str; 58] = [
    "cgroup_inet_ingress",
    "cgroup_inet_egress",
    "cgroup_inet_sock_create",
    "cgroup_sock_ops",
    "sk_skb_stream_parser",
    "sk_skb_stream_verdict",
    "cgroup_device",
    "sk_msg_verdict",
    "cgroup_inet4_bind",
    "cgroup_inet6_bind",
    "cgroup_inet4_connect",
    "cgroup_inet6_connect",
    "cgroup_inet4_post_bind",
    "cgroup_inet6_post_bind",
    "cgroup_udp4_sendmsg",
    "cgroup_udp6_sendmsg",
    "lirc_mode2",
    "flow_dissector",
    "cgroup_sysctl",
    "cgroup_udp4_recvmsg",
    "cgroup_udp6_recvmsg",
    "cgroup_getsockopt",
    "cgroup_setsockopt",
    "trace_raw_tp",
    "trace_fentry",
    "trace_fexit",
    "modify_return",
    "lsm_mac",
    "trace_iter",
    "cgroup_inet4_getpeername",
    "cgroup_inet6_getpeername",
    "cgroup_inet4_getsockname",
    "cgroup_inet6_getsockname",
    "xdp_devmap",
    "cgroup_inet_sock_release",
    "xdp_cpumap",
    "sk_lookup",
    "xdp",
    "sk_skb_verdict",
    "sk_reuseport_select",
    "sk_reuseport_select_or_migrate",
    "perf_event",
    "trace_kprobe_multi",
    "lsm_cgroup",
    "struct_ops",
    "netfilter",
    "tcx_ingress",
    "tcx_egress",
    "trace_uprobe_multi",
    "cgroup_unix_connect",
    "cgroup_unix_sendmsg",
    "cgroup_unix_recvmsg",
    "cgroup_unix_getpeername",
    "cgroup_unix_getsockname",
    "netkit_primary",
    "netkit_peer",
    "trace_kprobe_session",
    "trace_uprobe_session",
];

/// Operations of keyctl(), by number.
pub(super) const KEYCTL: [&str; 33] = [
    "KEYCTL_GET_KEYRING_ID",
    "KEYCTL_JOIN_SESSION_KEYRING",
    "KEYCTL_UPDATE",
    "KEYCTL_REVOKE",
    "KEYCTL_CHOWN",
    "KEYCTL_SETPERM",
    "KEYCTL_DESCRIBE",
    "KEYCTL_CLEAR",
    "KEYCTL_LINK",
    "KEYCTL_UNLINK",
    "KEYCTL_SEARCH",
    "KEYCTL_READ",
    "KEYCTL_INSTANTIATE",
    "KEYCTL_NEGATE",
    "KEYCTL_SET_REQKEY_KEYRING",
    "KEYCTL_SET_TIMEOUT",
    "KEYCTL_ASSUME_AUTHORITY",
    "KEYCTL_GET_SECURITY",
    "KEYCTL_SESSION_TO_PARENT",
    "KEYCTL_REJECT",
    "KEYCTL_INSTANTIATE_IOV",
    "KEYCTL_INVALIDATE",
    "KEYCTL_GET_PERSISTENT",
    "KEYCTL_DH_COMPUTE",
    "KEYCTL_PKEY_QUERY",
    "KEYCTL_PKEY_ENCRYPT",
    "KEYCTL_PKEY_DECRYPT",
    "KEYCTL_PKEY_SIGN",
    "KEYCTL_PKEY_VERIFY",
    "KEYCTL_RESTRICT_KEYRING",
    "KEYCTL_MOVE",
    "KEYCTL_CAPABILITIES",
    "KEYCTL_WATCH_KEY",
];

/// Requests of ptrace().
pub(super) const PTRACE: &[(u32, &str)] = &[
    (0, "PTRACE_TRACEME"),
    (4, "PTRACE_POKETEXT"),
    (5, "PTRACE_POKEDATA"),
    (6, "PTRACE_POKEUSR"),
    (13, "PTRACE_SETREGS"),
    (15, "PTRACE_SETFPREGS"),
    (16, "PTRACE_ATTACH"),
    (19, "PTRACE_SETFPXREGS"),
    (0x4203, "PTRACE_SETSIGINFO"),
    (0x4205, "PTRACE_SETREGSET"),
    (0x4206, "PTRACE_SEIZE"),
    (0x4212, "PTRACE_SET_SYSCALL_INFO"),
];

/// Options of prctl().
pub(super) const PRCTL: &[(u32, &str)] = &[
    (4, "PR_SET_DUMPABLE"),
    (8, "PR_SET_KEEPCAPS"),
    (15, "PR_SET_NAME"),
    (22, "PR_SET_SECCOMP"),
    (28, "PR_SET_SECUREBITS"),
    (35, "PR_SET_MM"),
    (47, "PR_CAP_AMBIENT"),
    (0x5961_6d61, "PR_SET_PTRACER"),
];

/// Types of performance events.
pub(super) const PERF: &[(u32, &str)] =
    &[(0, "hardware"), (1, "software"), (2, "tracepoint"), (3, "hw_cache"), (4, "raw"), (5, "breakpoint")];

/// Commands of reboot().
pub(super) const REBOOT: &[(u32, &str)] = &[
    (0x0123_4567, "RESTART"),
    (0xcdef_0123, "HALT"),
    (0x89ab_cdef, "CAD_ON"),
    (0, "CAD_OFF"),
    (0x4321_fedc, "POWER_OFF"),
    (0xa1b2_c3d4, "RESTART2"),
    (0xd000_fce2, "SW_SUSPEND"),
    (0x4558_4543, "KEXEC"),
];

/// Clocks that can be set or adjusted.
pub(super) const CLOCKS: &[(u32, &str)] = &[(0, "CLOCK_REALTIME"), (1, "CLOCK_MONOTONIC"), (11, "CLOCK_TAI")];

/// How a signal was sent, `si_code`.
pub(super) const SIGNAL_CODES: &[(i32, &str)] = &[
    (0, "SI_USER"),
    (-1, "SI_QUEUE"),
    (-2, "SI_TIMER"),
    (-3, "SI_MESGQ"),
    (-4, "SI_ASYNCIO"),
    (-5, "SI_SIGIO"),
    (-6, "SI_TKILL"),
    (-7, "SI_DETHREAD"),
    (-60, "SI_ASYNCNL"),
];

/// Types of namespaces, by their flag of clone().
pub(super) const NAMESPACES: &[(u64, &str)] = &[
    (0x80, "time"),
    (0x0002_0000, "mnt"),
    (0x0200_0000, "cgroup"),
    (0x0400_0000, "uts"),
    (0x0800_0000, "ipc"),
    (0x1000_0000, "user"),
    (0x2000_0000, "pid"),
    (0x4000_0000, "net"),
];

/// Flags of memfd_create().
pub(super) const MEMFD: &[(u64, &str)] = &[
    (1, "MFD_CLOEXEC"),
    (2, "MFD_ALLOW_SEALING"),
    (4, "MFD_HUGETLB"),
    (8, "MFD_NOEXEC_SEAL"),
    (16, "MFD_EXEC"),
];

/// Flags of userfaultfd().
pub(super) const USERFAULTFD: &[(u64, &str)] =
    &[(1, "UFFD_USER_MODE_ONLY"), (0o4000, "O_NONBLOCK"), (0o2_000_000, "O_CLOEXEC")];

/// Flags of io_uring_setup().
pub(super) const IO_URING: &[(u64, &str)] = &[
    (1 << 0, "IORING_SETUP_IOPOLL"),
    (1 << 1, "IORING_SETUP_SQPOLL"),
    (1 << 2, "IORING_SETUP_SQ_AFF"),
    (1 << 3, "IORING_SETUP_CQSIZE"),
    (1 << 4, "IORING_SETUP_CLAMP"),
    (1 << 5, "IORING_SETUP_ATTACH_WQ"),
    (1 << 6, "IORING_SETUP_R_DISABLED"),
    (1 << 7, "IORING_SETUP_SUBMIT_ALL"),
    (1 << 8, "IORING_SETUP_COOP_TASKRUN"),
    (1 << 9, "IORING_SETUP_TASKRUN_FLAG"),
    (1 << 10, "IORING_SETUP_SQE128"),
    (1 << 11, "IORING_SETUP_CQE32"),
    (1 << 12, "IORING_SETUP_SINGLE_ISSUER"),
    (1 << 13, "IORING_SETUP_DEFER_TASKRUN"),
    (1 << 14, "IORING_SETUP_NO_MMAP"),
    (1 << 15, "IORING_SETUP_REGISTERED_FD_ONLY"),
    (1 << 16, "IORING_SETUP_NO_SQARRAY"),
    (1 << 17, "IORING_SETUP_HYBRID_IOPOLL"),
    (1 << 18, "IORING_SETUP_CQE_MIXED"),
];

/// Flags of kexec_load().
pub(super) const KEXEC: &[(u64, &str)] = &[
    (1, "KEXEC_ON_CRASH"),
    (2, "KEXEC_PRESERVE_CONTEXT"),
    (4, "KEXEC_UPDATE_ELFCOREHDR"),
    (8, "KEXEC_CRASH_HOTPLUG_SUPPORT"),
];

/// Flags of kexec_file_load().
pub(super) const KEXEC_FILE: &[(u64, &str)] = &[
    (1, "KEXEC_FILE_UNLOAD"),
    (2, "KEXEC_FILE_ON_CRASH"),
    (4, "KEXEC_FILE_NO_INITRAMFS"),
    (8, "KEXEC_FILE_DEBUG"),
    (16, "KEXEC_FILE_NO_CMA"),
];

/// Modes of adjtimex().
pub(super) const ADJUSTMENTS: &[(u64, &str)] = &[
    (1, "ADJ_OFFSET"),
    (2, "ADJ_FREQUENCY"),
    (4, "ADJ_MAXERROR"),
    (8, "ADJ_ESTERROR"),
    (0x10, "ADJ_STATUS"),
    (0x20, "ADJ_TIMECONST"),
    (0x80, "ADJ_TAI"),
    (0x100, "ADJ_SETOFFSET"),
    (0x1000, "ADJ_MICRO"),
    (0x2000, "ADJ_NANO"),
    (0x4000, "ADJ_TICK"),
    (0x8000, "ADJ_OFFSET_SINGLESHOT"),
];

/// What a module taints the kernel with.
pub(super) const TAINTS: &[(u64, &str)] = &[
    (1 << 0, "proprietary"),
    (1 << 1, "forced"),
    (1 << 10, "staging"),
    (1 << 12, "out_of_tree"),
    (1 << 13, "unsigned"),
    (1 << 15, "live_patch"),
    (1 << 18, "test"),
];

/// Calls that change credentials, by `enum se_call`.
pub(super) const CREDENTIAL_CALLS: &[(u32, &str)] = &[
    (69, "setuid"),
    (70, "setgid"),
    (71, "setreuid"),
    (72, "setregid"),
    (73, "setresuid"),
    (74, "setresgid"),
    (75, "setfsuid"),
    (76, "setfsgid"),
    (77, "setgroups"),
    (78, "capset"),
    (79, "setuid"),
    (80, "setgid"),
    (81, "setreuid"),
    (82, "setregid"),
    (83, "setresuid"),
    (84, "setresgid"),
    (85, "setfsuid"),
    (86, "setfsgid"),
    (87, "setgroups"),
];

/// The name of a number in a table by position.
pub(super) fn at(table: &'static [&'static str], number: u64) -> Option<&'static str> {
    table.get(usize::try_from(number).ok()?).copied()
}

/// The name of a number in a table of pairs.
pub(super) fn of<N: PartialEq>(table: &[(N, &'static str)], number: N) -> Option<&'static str> {
    table.iter().find(|(other, _)| *other == number).map(|(_, name)| *name)
}

/// The names of the bits that are set, in the table's order; bits without a name are one number at the end.
pub(super) fn bits(table: &[(u64, &'static str)], set: u64) -> Vec<Cow<'static, str>> {
    let set_bits = table.iter().filter(|(bit, _)| set & bit != 0);
    let rest = set_bits.clone().fold(set, |rest, (bit, _)| rest & !bit);
    let mut names: Vec<Cow<'static, str>> = set_bits.map(|(_, name)| Cow::Borrowed(*name)).collect();
    if rest != 0 {
        names.push(Cow::Owned(format!("{rest:#x}")));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_numbers_have_names_and_others_none() {
        assert_eq!(at(&BPF_COMMANDS, 28), Some("BPF_LINK_CREATE"));
        assert_eq!(at(&BPF_PROGRAMS, 29), Some("lsm"));
        assert_eq!(at(&BPF_COMMANDS, 99), None);
        assert_eq!(of(PTRACE, 0x4206), Some("PTRACE_SEIZE"));
        assert_eq!(of(PTRACE, 1), None);
    }

    #[test]
    fn bits_without_a_name_stay_visible() {
        assert_eq!(bits(NAMESPACES, 0x1002_0000), ["mnt", "user"]);
        assert_eq!(bits(MEMFD, 0x41), ["MFD_CLOEXEC", "0x40"]);
        assert_eq!(bits(MEMFD, 0), [""; 0]);
    }
}
