//! Records and samples of privileges and evasion.

use super::actor::{actor, object};
use super::{Tail, bits, name, task};
use crate::event::privilege::op;
use crate::event::{Body, Credentials, Creds, Event, Hook, Kind, Object, Origin, Privilege, Target, Task};
use crate::kernel::abi::types::{
    se_credentials, se_credentials_flag, se_creds, se_header, se_object, se_privilege,
    se_privilege_flag as flag, se_target, se_task_flag,
};

pub(super) fn encode_privilege(event: &Event<'_>, privilege: &Privilege<'_>) -> Vec<u8> {
    let mut tail = Tail::behind::<se_privilege>();
    let raw = se_privilege {
        header: se_header::default(),
        actor: actor(&privilege.task, &privilege.origin),
        arg: privilege.arguments,
        target: privilege.target.as_ref().map_or_else(se_target::default, target),
        object: privilege.object.as_ref().map_or_else(se_object::default, object),
        op: privilege.op,
        error: 0i32.saturating_sub_unsigned(privilege.errno),
        flags: bits([
            (privilege.signed == Some(true), flag::SE_PRIVILEGE_SIGNED.0),
            (privilege.signed == Some(false), flag::SE_PRIVILEGE_UNSIGNED.0),
            (privilege.own_object, flag::SE_PRIVILEGE_OWN_OBJECT.0),
            (privilege.anonymous, flag::SE_PRIVILEGE_ANONYMOUS.0),
            (privilege.written, flag::SE_PRIVILEGE_WRITTEN.0),
            (privilege.write_exec, flag::SE_PRIVILEGE_WRITE_EXEC.0),
            (privilege.flip, flag::SE_PRIVILEGE_FLIP.0),
            (privilege.leaves, flag::SE_PRIVILEGE_LEAVES.0),
            (privilege.from_memory, flag::SE_PRIVILEGE_FROM_MEMORY.0),
            (privilege.unload, flag::SE_PRIVILEGE_UNLOAD.0),
            (privilege.unsure, flag::SE_PRIVILEGE_UNSURE.0),
        ]),
        pad: 0,
        name: tail.piece(privilege.name),
        path: tail.piece(privilege.path),
    };
    tail.join(event, &raw)
}

fn target(target: &Target<'_>) -> se_target {
    se_target {
        start_ns: target.start_ns,
        pid: target.pid,
        tid: target.tid,
        uid: target.uid,
        flags: bits([
            (target.kernel_thread, se_task_flag::SE_TASK_KTHREAD.0),
            (target.agent, se_task_flag::SE_TASK_AGENT.0),
        ]),
        comm: name(target.comm),
    }
}

pub(super) fn encode_credentials(event: &Event<'_>, credentials: &Credentials<'_>) -> Vec<u8> {
    let raw = se_credentials {
        header: se_header::default(),
        task: task(&credentials.task),
        old: credentials.old.as_ref().map_or_else(se_creds::default, creds),
        error: 0i32.saturating_sub_unsigned(credentials.errno),
        flags: bits([
            (credentials.old.is_some(), se_credentials_flag::SE_CREDENTIALS_OLD.0),
            (credentials.origin.via_io_uring, se_credentials_flag::SE_CREDENTIALS_IO_URING.0),
        ]),
        hook: credentials.origin.hook as u32,
        call: credentials.origin.call,
        asked: credentials.asked,
    };
    Tail::behind::<se_credentials>().join(event, &raw)
}

fn creds(creds: &Creds) -> se_creds {
    se_creds {
        cap_permitted: creds.cap_permitted,
        cap_effective: creds.cap_effective,
        cap_inheritable: creds.cap_inheritable,
        cap_bounding: creds.cap_bounding,
        cap_ambient: creds.cap_ambient,
        uid: creds.uid,
        gid: creds.gid,
        euid: creds.euid,
        egid: creds.egid,
        suid: creds.suid,
        sgid: creds.sgid,
        fsuid: creds.fsuid,
        fsgid: creds.fsgid,
        user_ns: creds.user_ns,
        securebits: creds.securebits,
    }
}

/// Numbers of system calls in `enum se_call`.
mod call {
    pub(super) const SETUID: u32 = 69;
    pub(super) const SETRESUID: u32 = 73;
    pub(super) const SETGROUPS: u32 = 77;
}

/// `shell` is a full task; privilege events have the brief one of the same shell.
pub(super) fn samples(shell: &Task<'static>) -> Vec<(&'static str, u16, Body<'static>)> {
    let mut all = credential_samples(shell);
    let privilege = |privilege: Privilege<'static>| Body::Privilege(Box::new(privilege));
    all.extend(process_samples(shell).into_iter().map(|(name, event)| (name, 1, privilege(event))));
    all.extend(kernel_samples(shell).into_iter().map(|(name, event)| (name, 0, privilege(event))));
    all.extend(host_samples(shell).into_iter().map(|(name, event)| (name, 1, privilege(event))));
    all
}

fn credential_samples(shell: &Task<'static>) -> Vec<(&'static str, u16, Body<'static>)> {
    let origin = |call| Origin { hook: Hook::SysExit, call, ..Origin::default() };
    let none = u32::MAX;
    let dropped = Credentials {
        task: *shell,
        origin: origin(call::SETRESUID),
        old: Some(Creds { uid: 0, euid: 0, suid: 0, fsuid: 0, cap_permitted: 3, ..Creds::from(shell) }),
        errno: 0,
        asked: [1000, 1000, none, none],
    };
    let refused = Credentials {
        origin: origin(call::SETUID),
        old: None,
        errno: 1,
        asked: [0, none, none, none],
        ..dropped.clone()
    };
    let groups = Credentials {
        origin: origin(call::SETGROUPS),
        errno: 0,
        asked: [4, none, none, none],
        ..refused.clone()
    };
    let by_ring =
        Credentials { origin: Origin { via_io_uring: true, ..origin(call::SETUID) }, ..groups.clone() };
    let gained = Credentials {
        task: Task { euid: 0, fsuid: 0, cap_effective: 1 << 21 | 1, cap_permitted: 1 << 21 | 1, ..*shell },
        old: Some(Creds::from(shell)),
        ..dropped.clone()
    };
    let body = |event| Body::Credentials(Box::new(event));
    vec![
        ("credentials", 0, body(dropped)),
        ("credentials_gained", 0, body(gained)),
        ("credentials_refused", 1, body(refused)),
        ("credentials_groups", 0, body(groups)),
        ("credentials_io_uring", 0, body(by_ring)),
    ]
}

/// An event of this kind at the return of a call, with nothing in it.
fn plain(kind: Kind, shell: &Task<'static>) -> Privilege<'static> {
    let task = Task {
        start_ns: shell.start_ns,
        parent_start_ns: shell.parent_start_ns,
        cgroup_id: shell.cgroup_id,
        cap_effective: 1 << 19,
        pid: shell.pid,
        tid: shell.tid,
        ppid: shell.ppid,
        uid: shell.uid,
        gid: shell.gid,
        euid: shell.euid,
        egid: shell.egid,
        fsuid: shell.fsuid,
        fsgid: shell.fsgid,
        loginuid: shell.loginuid,
        mnt_ns: shell.mnt_ns,
        net_ns: shell.net_ns,
        user_ns: shell.user_ns,
        comm: shell.comm,
        brief: true,
        ..Task::default()
    };
    Privilege {
        kind,
        task,
        origin: Origin { hook: Hook::SysExit, ..Origin::default() },
        arguments: [0; 8],
        target: None,
        object: None,
        op: 0,
        errno: 0,
        name: b"",
        path: b"",
        signed: None,
        own_object: false,
        anonymous: false,
        written: false,
        write_exec: false,
        flip: false,
        leaves: false,
        from_memory: false,
        unload: false,
        unsure: false,
    }
}

fn at(hook: Hook) -> Origin {
    Origin { hook, ..Origin::default() }
}

fn by_user() -> Origin {
    Origin { grade_user: true, ..at(Hook::SysExit) }
}

const VICTIM: Target<'_> = Target {
    start_ns: 86_300_000_000_777,
    pid: 811,
    tid: 812,
    uid: 0,
    comm: b"sshd",
    kernel_thread: false,
    agent: false,
};

fn file(inode: u64) -> Object {
    Object {
        inode,
        fs_magic: super::samples::EXT4,
        size_bytes: 16_384,
        mtime_ns: super::samples::BUILT_NS,
        ctime_ns: super::samples::BUILT_NS,
        device: (259, 2),
        mode: 0o100_644,
        nlink: 1,
        ..Object::default()
    }
}

fn arguments<const N: usize>(given: [u64; N]) -> [u64; 8] {
    let mut all = [0; 8];
    all.iter_mut().zip(given).for_each(|(to, from)| *to = from);
    all
}

/// What is done to other processes, and the faces that one puts on.
fn process_samples(shell: &Task<'static>) -> Vec<(&'static str, Privilege<'static>)> {
    let of = |kind| plain(kind, shell);
    let leader = Target { tid: 811, ..VICTIM };
    vec![
        (
            "ptrace",
            Privilege { op: 16, arguments: arguments([0, 0, 811]), target: Some(leader), ..of(Kind::Ptrace) },
        ),
        (
            "ptrace_poke",
            Privilege {
                op: 5,
                arguments: arguments([0x7f12_3456_7000, 0x9090_9090_9090_cc90, 812]),
                target: Some(VICTIM),
                origin: Origin { merged: 41, ..at(Hook::SysExit) },
                ..of(Kind::Ptrace)
            },
        ),
        (
            "process_memory",
            Privilege {
                op: op::MEMORY_WRITE,
                arguments: arguments([4096, 811]),
                target: Some(leader),
                ..of(Kind::ProcessMemory)
            },
        ),
        (
            "process_memory_descriptor",
            Privilege {
                op: op::MEMORY_GETFD,
                arguments: arguments([7, 3]),
                target: Some(leader),
                object: Some(file(77)),
                path: b"/var/lib/secrets.db",
                ..of(Kind::ProcessMemory)
            },
        ),
        (
            "namespace_unshare",
            Privilege {
                op: op::NS_UNSHARE,
                arguments: arguments([
                    0x1002_0000,
                    0,
                    4_026_531_838,
                    4_026_531_839,
                    4_026_531_836,
                    4_026_531_835,
                ]),
                ..of(Kind::Namespace)
            },
        ),
        (
            "namespace_setns",
            Privilege {
                op: op::NS_SETNS,
                arguments: arguments([0x4000_0000, 4_026_532_800, 4_026_531_838]),
                name: b"net",
                leaves: true,
                ..of(Kind::Namespace)
            },
        ),
        (
            "signal",
            Privilege {
                op: 9,
                arguments: arguments([0, 1]),
                target: Some(Target { agent: true, comm: b"sentinel-edge", ..leader }),
                origin: at(Hook::SignalGenerate),
                ..of(Kind::Signal)
            },
        ),
        (
            "signal_forged",
            Privilege {
                op: 34,
                arguments: arguments([(-2i64).cast_unsigned(), 0, 1]),
                target: Some(Target { kernel_thread: true, comm: b"kthreadd", ..leader }),
                origin: at(Hook::SignalGenerate),
                ..of(Kind::Signal)
            },
        ),
        (
            "prctl_name",
            Privilege { op: 15, name: b"kworker/0:1", origin: at(Hook::TaskRename), ..of(Kind::Prctl) },
        ),
        ("prctl_dumpable", Privilege { op: 4, arguments: arguments([1]), ..of(Kind::Prctl) }),
        (
            "keyring",
            Privilege {
                op: 11,
                arguments: arguments([64, 0x1234_5678, 0x7fff_0000_0000, 64]),
                ..of(Kind::Keyring)
            },
        ),
        (
            "keyring_request",
            Privilege {
                op: op::KEY_REQUEST,
                errno: 126,
                name: b"example:secret",
                path: b"user",
                origin: by_user(),
                ..of(Kind::Keyring)
            },
        ),
    ]
}

/// What gets into the kernel, and memory that is executed.
fn kernel_samples(shell: &Task<'static>) -> Vec<(&'static str, Privilege<'static>)> {
    let of = |kind| plain(kind, shell);
    vec![
        (
            "module",
            Privilege {
                op: op::MODULE_LOAD,
                arguments: arguments([1 << 12 | 1 << 13]),
                name: b"rootkit",
                path: b"/tmp/rootkit.ko",
                object: Some(file(4242)),
                signed: Some(false),
                origin: at(Hook::ModuleLoad),
                ..of(Kind::Module)
            },
        ),
        (
            "module_refused",
            Privilege { op: op::MODULE_LOAD, errno: 129, from_memory: true, ..of(Kind::Module) },
        ),
        (
            "module_unload",
            Privilege {
                op: op::MODULE_UNLOAD,
                name: b"nf_tables",
                signed: Some(true),
                unload: true,
                origin: at(Hook::ModuleFree),
                ..of(Kind::Module)
            },
        ),
        (
            "kexec",
            Privilege {
                op: op::KEXEC_FILE_LOAD,
                errno: 1,
                arguments: arguments([4]),
                path: b"/boot/vmlinuz-6.1",
                object: Some(file(12)),
                ..of(Kind::Kexec)
            },
        ),
        (
            "kexec_memory",
            Privilege {
                op: op::KEXEC_LOAD,
                arguments: arguments([0x3e_0001, 4]),
                from_memory: true,
                ..of(Kind::Kexec)
            },
        ),
        (
            "bpf_load",
            Privilege {
                op: 5,
                arguments: arguments([231, 2, 2, 0, 0x1122_3344_5566_7788, 231]),
                name: b"hide_pid",
                ..of(Kind::Bpf)
            },
        ),
        (
            "bpf_own_map",
            Privilege {
                op: 2,
                errno: 1,
                arguments: arguments([19, 1, 1]),
                name: b"se_switch",
                own_object: true,
                ..of(Kind::Bpf)
            },
        ),
        (
            "bpf_attach",
            Privilege {
                op: 28,
                arguments: arguments([44, 3, 2, 25, 0x1122_3344_5566_7788, 231]),
                name: b"hide_pid",
                ..of(Kind::Bpf)
            },
        ),
        (
            "bpf_tracepoint",
            Privilege {
                op: 17,
                arguments: arguments([45, 3, 1, 0, 0x1122_3344_5566_7788, 231]),
                name: b"hide_pid",
                path: b"sys_enter",
                origin: by_user(),
                ..of(Kind::Bpf)
            },
        ),
        (
            "bpf_get",
            Privilege {
                op: 7,
                arguments: arguments([18, 1, 9]),
                path: b"/sys/fs/bpf/map",
                origin: by_user(),
                ..of(Kind::Bpf)
            },
        ),
        (
            "perf_event",
            Privilege { op: 1, arguments: arguments([0, u64::MAX, 0]), target: None, ..of(Kind::PerfEvent) },
        ),
        ("userfaultfd", Privilege { arguments: arguments([1]), ..of(Kind::Userfaultfd) }),
        (
            "memfd",
            Privilege {
                op: op::MEMFD_CREATE,
                arguments: arguments([1]),
                name: b"payload",
                object: Some(Object { memfd: true, nlink: 0, ..file(1033) }),
                ..of(Kind::Memfd)
            },
        ),
        ("memfd_secret", Privilege { op: op::MEMFD_SECRET, object: Some(file(1034)), ..of(Kind::Memfd) }),
        (
            "memory_exec",
            Privilege {
                op: op::EXEC_MPROTECT,
                arguments: arguments([0x7f00_1234_5000, 8192, 5]),
                anonymous: true,
                written: true,
                flip: true,
                ..of(Kind::MemoryExec)
            },
        ),
        (
            "memory_exec_file",
            Privilege {
                op: op::EXEC_MMAP,
                arguments: arguments([0x7f00_1234_6000, 4096, 7, 2]),
                path: b"/memfd:library",
                object: Some(Object { memfd: true, nlink: 0, path_detached: true, ..file(555) }),
                written: true,
                write_exec: true,
                ..of(Kind::MemoryExec)
            },
        ),
        (
            "memory_exec_unsure",
            Privilege {
                op: op::EXEC_MMAP,
                errno: 13,
                arguments: arguments([0, 4096, 7, 0x22]),
                anonymous: true,
                write_exec: true,
                written: true,
                unsure: true,
                ..of(Kind::MemoryExec)
            },
        ),
        (
            "io_uring",
            Privilege {
                arguments: arguments([128, 256, 2, 5]),
                origin: at(Hook::IoUringCreate),
                ..of(Kind::IoUring)
            },
        ),
    ]
}

/// What is set for the whole host.
fn host_samples(shell: &Task<'static>) -> Vec<(&'static str, Privilege<'static>)> {
    let of = |kind| plain(kind, shell);
    vec![
        (
            "host_name",
            Privilege {
                op: op::NAME_HOST,
                arguments: arguments([4_026_531_838]),
                name: b"n\xf6de",
                ..of(Kind::HostName)
            },
        ),
        (
            "clock_set",
            Privilege {
                op: op::CLOCK_SET,
                arguments: arguments([0, 1_795_320_000, 250_000_000]),
                origin: by_user(),
                ..of(Kind::Clock)
            },
        ),
        (
            "clock_adjust",
            Privilege {
                op: op::CLOCK_ADJUST,
                arguments: arguments([0, 1_795_320_000, 1_000, 3, (-250i64).cast_unsigned(), 65_536]),
                origin: by_user(),
                ..of(Kind::Clock)
            },
        ),
        (
            "clock_zone",
            Privilege { op: op::CLOCK_SET, arguments: arguments([0, 0, 0, 0, 0, 0, 1]), ..of(Kind::Clock) },
        ),
        (
            "swap",
            Privilege {
                op: op::SWAP_ON,
                arguments: arguments([0x8001]),
                path: b"/swapfile",
                origin: Origin { trimmed: true, ..by_user() },
                ..of(Kind::Swap)
            },
        ),
        (
            "reboot",
            Privilege { op: 0xa1b2_c3d4, errno: 1, name: b"recovery", origin: by_user(), ..of(Kind::Reboot) },
        ),
    ]
}
