//! Events such as a busy host makes, with the corners that decoding must get right.

use crate::event::{
    Body, Cgroup, CgroupChange, Event, Exec, ExecFailed, Exit, Fork, Program, Snapshot, Task,
};

/// An event with a name that a file can have.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The kind, then what is special about it.
    pub name: &'static str,
    /// The event.
    pub event: Event<'static>,
}

/// Every capability that Linux 6.x knows, 0 to 40.
const CAP_FULL: u64 = (1 << 41) - 1;
pub(super) const EXT4: u64 = 0xef53;
const OVERLAYFS: u64 = 0x794c_7630;
const TMPFS: u64 = 0x0102_1994;
/// 2026-11-22 04:00:00 UTC.
pub(super) const BUILT_NS: i64 = 1_795_320_000_000_000_000;

/// Each kind at least once, in a steady order.
pub fn samples() -> Vec<Sample> {
    let mut bodies = vec![
        ("exec", 1, Body::Exec(Box::new(exec()))),
        ("exec_script_in_container", 0, Body::Exec(Box::new(script_in_container()))),
        ("exec_memfd_deleted", 1, Body::Exec(Box::new(memfd()))),
        ("exec_setuid_cut", 0, Body::Exec(Box::new(setuid_cut()))),
        ("exec_failed", 1, Body::ExecFailed(Box::new(exec_failed()))),
        ("exec_failed_fault", 1, Body::ExecFailed(Box::new(exec_failed_fault()))),
        ("fork", 0, Body::Fork(Box::new(fork()))),
        ("exit", 1, Body::Exit(Box::new(exit(3 << 8)))),
        ("exit_signal_core", 0, Body::Exit(Box::new(exit(11 | 0x80)))),
        ("cgroup_created", 0, Body::Cgroup(cgroup(CgroupChange::Created))),
        ("cgroup_released", 1, Body::Cgroup(cgroup(CgroupChange::Released))),
        ("cgroup_renamed", 1, Body::Cgroup(cgroup(CgroupChange::Renamed))),
        ("snapshot", 0, Body::Snapshot(Box::new(Snapshot { task: task(), program: Some(program()) }))),
        ("snapshot_kernel_thread", 1, Body::Snapshot(Box::new(kernel_thread()))),
    ];
    let files = super::file::samples(super::actor::brief(task()));
    bodies.extend(files.into_iter().map(|(name, file)| (name, 0, Body::File(Box::new(file)))));
    bodies.extend(super::privilege::samples(&task()));
    bodies.extend(super::network::samples());
    // What runs already ends a capture as well as it begins one.
    bodies.sort_by_key(|(_, _, body)| matches!(body, Body::Snapshot(_)));
    let times = (86_400_000_000_000..).step_by(1_000_003);
    let sample = |(time_ns, (name, cpu, body))| Sample { name, event: Event { time_ns, cpu, body } };
    times.zip(bodies).map(sample).collect()
}

/// A shell that a user got by ssh.
pub(super) fn task() -> Task<'static> {
    Task {
        start_ns: 86_399_000_000_123,
        parent_start_ns: 86_398_000_000_456,
        leader_start_ns: 86_398_500_000_789,
        cgroup_id: 4_711,
        cap_bounding: CAP_FULL,
        pid: 31_337,
        tid: 31_337,
        ppid: 31_300,
        sid: 31_300,
        pgid: 31_337,
        ns_pid: 31_337,
        ns_tid: 31_337,
        uid: 1000,
        gid: 1000,
        euid: 1000,
        egid: 1000,
        suid: 1000,
        sgid: 1000,
        fsuid: 1000,
        fsgid: 1000,
        loginuid: Some(1000),
        sessionid: Some(7),
        mnt_ns: 4_026_531_841,
        pid_ns: 4_026_531_836,
        net_ns: 4_026_531_840,
        user_ns: 4_026_531_837,
        uts_ns: 4_026_531_838,
        ipc_ns: 4_026_531_839,
        cgroup_ns: 4_026_531_835,
        tty: Some((136, 3)),
        tty_name: b"pts3",
        comm: b"tar",
        ..Task::default()
    }
}

fn program() -> Program<'static> {
    Program {
        executable: b"/usr/bin/tar",
        cwd: b"/home/ada/work",
        inode: 1_051_234,
        device: (259, 2),
        mtime_ns: BUILT_NS,
        ctime_ns: BUILT_NS + 5_000_000_123,
        size_bytes: 531_928,
        fs_magic: EXT4,
        mode: 0o100_755,
        nlink: 1,
        ..Program::default()
    }
}

fn exec() -> Exec<'static> {
    let args: &[u8] = b"tar\0--create\0--file=/tmp/out.tar\0--exclude=target\0src\0";
    let env: &[u8] =
        b"LANG=C.UTF-8\0PATH=/usr/local/bin:/usr/bin:/bin\0LD_PRELOAD=/tmp/x.so\0HOME=/home/ada\0";
    Exec {
        task: task(),
        program: program(),
        filename: b"/usr/bin/tar",
        interpreter: None,
        args_head: args,
        args_tail: b"",
        args_len: args.len() as u64,
        argc: 5,
        env,
        env_len: env.len() as u64,
        envc: 4,
        old_tid: None,
        args_cut: false,
        args_fault: false,
        env_cut: false,
        env_fault: false,
        filename_cut: false,
        script: false,
        secure: false,
        by_fd: false,
    }
}

/// A shell script that was dropped into a container's upper layer, run by a thread that was not the leader.
fn script_in_container() -> Exec<'static> {
    let args: &[u8] = b"/bin/sh\0-e\0./entry point.sh\0--name=J\xc3\xbcrgen\0";
    Exec {
        task: Task {
            ns_pid: 17,
            ns_tid: 17,
            loginuid: None,
            sessionid: None,
            pid_ns: 4_026_532_700,
            mnt_ns: 4_026_532_698,
            cgroup_id: 90_210,
            cap_permitted: 0xa804_25fb,
            cap_effective: 0xa804_25fb,
            cap_bounding: 0xa804_25fb,
            uid: 0,
            euid: 0,
            tty: None,
            tty_name: b"",
            comm: b"entry point.sh",
            seccomp: true,
            no_new_privs: true,
            ..task()
        },
        program: Program {
            executable: b"/bin/busybox",
            cwd: b"/app",
            device: (0, 52),
            fs_magic: OVERLAYFS,
            overlay: true,
            overlay_upper: true,
            ..program()
        },
        filename: b"./entry point.sh",
        interpreter: Some(b"/bin/sh"),
        args_head: args,
        args_len: args.len() as u64,
        argc: 4,
        env: b"",
        env_len: 0,
        envc: 0,
        old_tid: Some(31_339),
        script: true,
        ..exec()
    }
}

/// Fileless: a program in a memfd, run by descriptor, from a directory that is gone.
fn memfd() -> Exec<'static> {
    Exec {
        task: Task { comm: b"3", compat: true, ..task() },
        program: Program {
            executable: b"/memfd:\xff\xfe payload (deleted)",
            cwd: b"/tmp/.x",
            device: (0, 1),
            fs_magic: TMPFS,
            mode: 0o100_777,
            nlink: 0,
            memfd: true,
            executable_detached: true,
            cwd_detached: true,
            cwd_deleted: true,
            ..program()
        },
        filename: b"",
        by_fd: true,
        env_fault: true,
        args_fault: true,
        ..exec()
    }
}

/// Every flag of cut pieces, with a head and a tail of arguments.
fn setuid_cut() -> Exec<'static> {
    Exec {
        task: Task {
            euid: 0,
            suid: 0,
            fsuid: 0,
            cap_permitted: CAP_FULL,
            cap_effective: CAP_FULL,
            cap_inheritable: 1 << 10,
            cap_ambient: 1 << 10,
            comm: b"sixteen-bytes-ok",
            tty_name: b"ttyS0",
            tty: Some((4, 64)),
            ..task()
        },
        program: Program {
            executable: b"deep/down/sudo",
            cwd: b"down/here",
            mode: 0o104_755,
            executable_cut: true,
            cwd_cut: true,
            mtime_ns: -1,
            ..program()
        },
        filename: b"/very/long",
        args_head: b"sudo\0head",
        args_tail: b"tail\0",
        args_len: 131_072,
        argc: 2_000,
        env_len: 65_536,
        args_cut: true,
        env_cut: true,
        filename_cut: true,
        secure: true,
        ..exec()
    }
}

fn exec_failed() -> ExecFailed<'static> {
    ExecFailed {
        task: task(),
        errno: 2,
        filename: b"/usr/local/bin/tar",
        filename_fault: false,
        filename_cut: false,
        args: b"tar\0--version\0",
        args_count: 2,
        args_cut: false,
        cwd: b"/home/ada/work",
        cwd_cut: false,
    }
}

fn exec_failed_fault() -> ExecFailed<'static> {
    ExecFailed {
        errno: 14,
        filename: b"",
        filename_fault: true,
        filename_cut: true,
        args: b"",
        args_count: 0,
        args_cut: true,
        cwd_cut: true,
        ..exec_failed()
    }
}

fn fork() -> Fork<'static> {
    Fork {
        task: Task { comm: b"bash", ..task() },
        creator_pid: 31_300,
        creator_tid: 31_301,
        creator_start_ns: 86_398_000_000_456,
    }
}

fn exit(status: u32) -> Exit<'static> {
    Exit {
        task: Task { tid: 31_340, ns_tid: 31_340, ..task() },
        cpu_ns: 12_345_678,
        utime_ns: 8_000_000,
        stime_ns: 4_000_000,
        max_rss_bytes: 3_456 * 1024,
        status,
    }
}

fn cgroup(change: CgroupChange) -> Cgroup<'static> {
    let scope =
        b"/system.slice/docker-4c01db0b339ccf9d3b55f1d1b5ba26a4d6d6a2d3f5b5c6a7e8f90123456789ab.scope";
    Cgroup { id: 90_210, hierarchy: 0, change, path: scope }
}

fn kernel_thread() -> Snapshot<'static> {
    Snapshot {
        task: Task {
            pid: 2,
            tid: 2,
            ppid: 0,
            sid: 0,
            pgid: 0,
            ns_pid: 2,
            ns_tid: 2,
            leader_start_ns: 0,
            uid: 0,
            gid: 0,
            euid: 0,
            egid: 0,
            suid: 0,
            sgid: 0,
            fsuid: 0,
            fsgid: 0,
            loginuid: None,
            sessionid: None,
            cap_permitted: CAP_FULL,
            cap_effective: CAP_FULL,
            tty: None,
            tty_name: b"",
            comm: b"kthreadd",
            kernel_thread: true,
            agent: true,
            ..task()
        },
        program: None,
    }
}
