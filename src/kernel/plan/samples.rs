//! An invented host and configuration, for tests here and of those who show what was planned.

use std::time::Duration;

use crate::event::Kind;
use crate::kernel::Config;
use crate::kernel::support::{Btf, Capabilities, Facts, Lockdown, Memlock, Release};

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
            ]),
            helpers: set(&["loop", "map_lookup_elem"]),
            iterators: set(&["task", "map"]),
        }),
        euid: Ok(0),
        capabilities: Ok(Capabilities(u64::MAX)),
        host_user_namespace: Ok(true),
        host_pid_namespace: Ok(true),
        bpf_call: Ok(()),
        seccomp_filter: Ok(false),
        memlock: Ok(Memlock { soft: Some(8 << 20), hard: Some(8 << 20) }),
        lockdown: Lockdown::Off,
        security_modules: Err("not mounted".into()),
        cgroup2: Ok("/sys/fs/cgroup".into()),
        tracefs: Err("no tracefs is mounted".into()),
        unprivileged_bpf_disabled: Ok(2),
        jit: Ok(1),
    }
}

/// A configuration that reports these kinds.
pub(crate) fn config(kinds: &[Kind]) -> Config {
    Config {
        ring_buffer_bytes: 1 << 20,
        args_max_bytes: 32 << 10,
        env_max_bytes: 4 << 10,
        kinds: kinds.to_vec(),
        poll_timeout: Duration::from_millis(100),
        busy_window: Duration::from_micros(100),
        batch: 64,
        auto_recovery: true,
    }
}
