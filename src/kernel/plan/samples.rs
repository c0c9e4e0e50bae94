//! An invented host and configuration, for tests here and of those who show what was planned.

use std::time::Duration;

use crate::event::Kind;
use crate::kernel::support::{Btf, Capabilities, Facts, Lockdown, Memlock, Release, btf};
use crate::kernel::{Config, Filter, Hooks};

/// A host of today, and root on it.
pub(crate) fn host() -> Facts {
    let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Facts {
        release: Release::parse("6.12.9-cloud-amd64"),
        machine: "x86_64".into(),
        btf: Ok(Btf {
            tracepoints: set(&[
                "sched_process_exec",
                "sched_process_fork",
                "sched_process_exit",
                "sys_exit",
                "cgroup_mkdir",
                "cgroup_release",
                "cgroup_rename",
                "io_uring_create",
                "module_load",
                "module_free",
                "signal_generate",
                "task_rename",
                "io_uring_submit_req",
                "io_uring_complete",
                "io_uring_cqe_overflow",
                "inet_sock_set_state",
            ]),
            arguments: [("io_uring_submit_req", 1), ("io_uring_complete", 3), ("io_uring_cqe_overflow", 5)]
                .map(|(name, count)| (name.to_owned(), count))
                .into(),
            helpers: set(&["loop", "map_lookup_elem"]),
            iterators: set(&["task", "map"]),
            functions: btf::TARGETS.iter().map(|name| ((*name).to_owned(), arguments(name))).collect(),
        }),
        euid: Ok(0),
        capabilities: Ok(Capabilities(u64::MAX)),
        host_user_namespace: Ok(true),
        host_pid_namespace: Ok(true),
        bpf_call: Ok(()),
        seccomp_filter: Ok(false),
        memlock: Ok(Memlock { soft: Some(8 << 20), hard: Some(8 << 20) }),
        lockdown: Lockdown::Off,
        trampolines: Ok(()),
        bpf_lsm: Err("bpf is not among the security modules".into()),
        security_modules: Err("not mounted".into()),
        cgroup2: Ok("/sys/fs/cgroup".into()),
        tracefs: Err("no tracefs is mounted".into()),
        unprivileged_bpf_disabled: Ok(2),
        jit: Ok(1),
    }
}

/// Number of arguments of a function in Linux 6.12.
fn arguments(function: &str) -> u32 {
    match function {
        "__fput" | "commit_creds" | "d_delete" | "security_path_chroot" | "vfs_rename" => 1,
        "chown_common" | "security_path_link" | "security_path_mkdir" | "security_path_symlink" => 3,
        "vfs_removexattr" => 3,
        "security_path_mknod" => 4,
        "vfs_mkdir" | "vfs_symlink" | "vfs_unlink" => 4,
        "do_truncate" | "path_mount" | "security_path_rename" | "vfs_link" | "vfs_mknod" => 5,
        "vfs_setxattr" => 6,
        _ => 2,
    }
}

/// A configuration that reports these kinds.
pub(crate) fn config(kinds: &[Kind]) -> Config {
    Config {
        ring_buffer_bytes: 1 << 20,
        bulk_ring_bytes: 1 << 20,
        bulk_rate: 0,
        backpressure: false,
        hooks: Hooks::Auto,
        merge_window: None,
        filter: Filter::default(),
        args_max_bytes: 32 << 10,
        env_max_bytes: 4 << 10,
        kinds: kinds.to_vec(),
        poll_timeout: Duration::from_millis(100),
        busy_window: Duration::from_micros(100),
        batch: 64,
        auto_recovery: true,
    }
}
