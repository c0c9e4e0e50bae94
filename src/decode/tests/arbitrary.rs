//! Events with arbitrary contents, dealt from numbers and byte strings that proptest generates and shrinks.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::event::{
    Body, Cgroup, CgroupChange, Credentials, Creds, Endpoint, Event, Exec, ExecFailed, Exit, File, FileOp,
    Fork, Hook, Kind, Network, NetworkOp, Object, Origin, Privilege, Program, Snapshot, Target, Task,
};

/// What an event's fields are dealt from; owned, since an event only borrows.
#[derive(Debug, Clone)]
pub(super) struct Stock {
    kind: Kind,
    numbers: Vec<u64>,
    strings: Vec<Vec<u8>>,
    flags: u64,
}

/// The kinds that are told by a file record.
const FILES: &[Kind] = &[
    Kind::FileOpen,
    Kind::FileRead,
    Kind::FileClose,
    Kind::FileRename,
    Kind::FileDelete,
    Kind::FileLink,
    Kind::FileMkdir,
    Kind::FileMode,
    Kind::FileOwner,
    Kind::FileXattr,
    Kind::FileTruncate,
    Kind::FileTimes,
    Kind::Mount,
];

/// The kinds that are told by a network record.
const NETWORK: &[Kind] = &[
    Kind::NetConnect,
    Kind::NetAccept,
    Kind::NetBind,
    Kind::NetListen,
    Kind::NetFlow,
    Kind::NetSocket,
    Kind::NetDns,
];

pub(super) fn stock() -> impl Strategy<Value = Stock> {
    let kind = proptest::sample::select(Kind::ALL);
    // Ends of ranges matter more than what lies between: sentinels and sums live there.
    let number = prop_oneof![Just(0), Just(u64::MAX), Just(u64::from(u32::MAX)), 0..5000u64, any::<u64>()];
    let string = prop_oneof![4 => vec(any::<u8>(), 0..40), 1 => vec(any::<u8>(), 3000..5000)];
    (kind, vec(number, 96), vec(string, 9), any::<u64>()).prop_map(|(kind, numbers, strings, flags)| Stock {
        kind,
        numbers,
        strings,
        flags,
    })
}

impl Stock {
    /// The event that this stock makes: one that a record can express.
    pub(super) fn event(&self) -> Event<'_> {
        let mut dealer =
            Dealer { numbers: self.numbers.iter(), strings: self.strings.iter(), flags: self.flags };
        let (time_ns, cpu) = (dealer.u64(), dealer.u16());
        let body = match self.kind {
            Kind::Exec => Body::Exec(Box::new(dealer.exec())),
            Kind::ExecFailed => Body::ExecFailed(Box::new(dealer.exec_failed())),
            Kind::Fork => Body::Fork(Box::new(dealer.fork())),
            Kind::Exit => Body::Exit(Box::new(dealer.exit())),
            Kind::Cgroup => Body::Cgroup(dealer.cgroup()),
            Kind::Snapshot => Body::Snapshot(Box::new(dealer.snapshot())),
            kind if FILES.contains(&kind) => Body::File(Box::new(dealer.file(kind))),
            Kind::Credentials => Body::Credentials(Box::new(dealer.credentials())),
            kind if NETWORK.contains(&kind) => Body::Network(Box::new(dealer.network(kind))),
            kind => Body::Privilege(Box::new(dealer.privilege(kind))),
        };
        Event { time_ns, cpu, body }
    }
}

/// Hands out one value after the other; a new field gets its value without touching the strategy.
struct Dealer<'a> {
    numbers: std::slice::Iter<'a, u64>,
    strings: std::slice::Iter<'a, Vec<u8>>,
    flags: u64,
}

#[expect(clippy::cast_possible_truncation, reason = "any number will do")]
impl<'a> Dealer<'a> {
    fn u64(&mut self) -> u64 {
        *self.numbers.next().expect("the stock holds a number for every field")
    }

    fn u32(&mut self) -> u32 {
        self.u64() as u32
    }

    fn u16(&mut self) -> u16 {
        self.u64() as u16
    }

    fn i64(&mut self) -> i64 {
        self.u64().cast_signed()
    }

    fn flag(&mut self) -> bool {
        let flag = self.flags & 1 == 1;
        self.flags = self.flags.rotate_right(1);
        flag
    }

    fn bytes(&mut self) -> &'a [u8] {
        self.strings.next().expect("the stock holds a string for every field")
    }

    /// A name of at most 16 bytes without a NUL.
    fn name(&mut self) -> &'a [u8] {
        let bytes = self.bytes().split(|&b| b == 0).next().unwrap();
        &bytes[..bytes.len().min(16)]
    }

    fn task(&mut self) -> Task<'a> {
        Task {
            start_ns: self.u64(),
            parent_start_ns: self.u64(),
            leader_start_ns: self.u64(),
            cgroup_id: self.u64(),
            cap_permitted: self.u64(),
            cap_effective: self.u64(),
            cap_inheritable: self.u64(),
            cap_bounding: self.u64(),
            cap_ambient: self.u64(),
            pid: self.u32(),
            tid: self.u32(),
            ppid: self.u32(),
            sid: self.u32(),
            pgid: self.u32(),
            ns_pid: self.u32(),
            ns_tid: self.u32(),
            uid: self.u32(),
            gid: self.u32(),
            euid: self.u32(),
            egid: self.u32(),
            suid: self.u32(),
            sgid: self.u32(),
            fsuid: self.u32(),
            fsgid: self.u32(),
            loginuid: Some(self.u32()).filter(|&id| id != u32::MAX),
            sessionid: Some(self.u32()).filter(|&id| id != u32::MAX),
            mnt_ns: self.u32(),
            pid_ns: self.u32(),
            net_ns: self.u32(),
            user_ns: self.u32(),
            uts_ns: self.u32(),
            ipc_ns: self.u32(),
            cgroup_ns: self.u32(),
            hierarchy: self.u32(),
            tty: Some((self.u32(), self.u32())).filter(|&tty| tty != (0, 0)),
            tty_name: self.name(),
            comm: self.name(),
            kernel_thread: self.flag(),
            compat: self.flag(),
            seccomp: self.flag(),
            no_new_privs: self.flag(),
            agent: self.flag(),
            brief: false,
        }
    }

    fn program(&mut self) -> Program<'a> {
        Program {
            executable: self.bytes(),
            cwd: self.bytes(),
            inode: self.u64(),
            device: (self.u32(), self.u32()),
            mtime_ns: self.i64(),
            ctime_ns: self.i64(),
            size_bytes: self.u64(),
            fs_magic: self.u64(),
            mode: self.u32(),
            owner_uid: self.u32(),
            owner_gid: self.u32(),
            nlink: self.u32(),
            memfd: self.flag(),
            overlay: self.flag(),
            overlay_upper: self.flag(),
            executable_cut: self.flag(),
            cwd_cut: self.flag(),
            executable_detached: self.flag(),
            cwd_detached: self.flag(),
            cwd_deleted: self.flag(),
        }
    }

    fn exec(&mut self) -> Exec<'a> {
        Exec {
            task: self.task(),
            program: self.program(),
            filename: self.bytes(),
            interpreter: if self.flag() { Some(self.bytes()) } else { None },
            args_head: self.bytes(),
            args_tail: self.bytes(),
            args_len: self.u64(),
            argc: self.u32(),
            env: self.bytes(),
            env_len: self.u64(),
            envc: self.u32(),
            old_tid: Some(self.u32()).filter(|&tid| tid != 0),
            args_cut: self.flag(),
            args_fault: self.flag(),
            env_cut: self.flag(),
            env_fault: self.flag(),
            filename_cut: self.flag(),
            script: self.flag(),
            secure: self.flag(),
            by_fd: self.flag(),
        }
    }

    fn exec_failed(&mut self) -> ExecFailed<'a> {
        ExecFailed {
            task: self.task(),
            errno: self.u32() % 4095 + 1,
            filename: self.bytes(),
            filename_fault: self.flag(),
            filename_cut: self.flag(),
            args: self.bytes(),
            args_count: self.u32(),
            args_cut: self.flag(),
            cwd: self.bytes(),
            cwd_cut: self.flag(),
        }
    }

    fn fork(&mut self) -> Fork<'a> {
        Fork {
            task: self.task(),
            creator_pid: self.u32(),
            creator_tid: self.u32(),
            creator_start_ns: self.u64(),
        }
    }

    fn exit(&mut self) -> Exit<'a> {
        Exit {
            task: self.task(),
            cpu_ns: self.u64(),
            utime_ns: self.u64(),
            stime_ns: self.u64(),
            max_rss_bytes: self.u64(),
            status: self.u32(),
        }
    }

    fn cgroup(&mut self) -> Cgroup<'a> {
        let changes = [CgroupChange::Created, CgroupChange::Released, CgroupChange::Renamed];
        let change = changes[usize::from(self.u16()) % changes.len()];
        Cgroup { id: self.u64(), hierarchy: self.u32(), change, path: self.bytes() }
    }

    fn snapshot(&mut self) -> Snapshot<'a> {
        Snapshot { task: self.task(), program: if self.flag() { Some(self.program()) } else { None } }
    }

    /// Who acts, as far as a record with an actor tells.
    fn actor(&mut self) -> Task<'a> {
        Task {
            start_ns: self.u64(),
            parent_start_ns: self.u64(),
            cgroup_id: self.u64(),
            cap_effective: self.u64(),
            pid: self.u32(),
            tid: self.u32(),
            ppid: self.u32(),
            uid: self.u32(),
            gid: self.u32(),
            euid: self.u32(),
            egid: self.u32(),
            fsuid: self.u32(),
            fsgid: self.u32(),
            loginuid: Some(self.u32()).filter(|&id| id != u32::MAX),
            mnt_ns: self.u32(),
            net_ns: self.u32(),
            user_ns: self.u32(),
            hierarchy: self.u32(),
            comm: self.name(),
            kernel_thread: self.flag(),
            compat: self.flag(),
            seccomp: self.flag(),
            no_new_privs: self.flag(),
            agent: self.flag(),
            brief: true,
            ..Task::default()
        }
    }

    fn origin(&mut self) -> Origin {
        Origin {
            hook: Hook::ALL[usize::from(self.u16()) % Hook::ALL.len()],
            call: self.u32(),
            via_io_uring: self.flag(),
            grade_user: self.flag(),
            argument_swap: self.flag(),
            watched: self.flag(),
            trimmed: self.flag(),
            merged: self.u32(),
        }
    }

    fn object(&mut self) -> Object {
        Object {
            inode: self.u64(),
            fs_magic: self.u64(),
            size_bytes: self.u64(),
            mtime_ns: self.i64(),
            ctime_ns: self.i64(),
            device: (self.u32(), self.u32()),
            mode: self.u32(),
            uid: self.u32(),
            gid: self.u32(),
            nlink: self.u32(),
            path_cut: self.flag(),
            path_detached: self.flag(),
            deleted: self.flag(),
            memfd: self.flag(),
            overlay: self.flag(),
            overlay_upper: self.flag(),
            path_joined: self.flag(),
            path_fault: self.flag(),
        }
    }

    fn file(&mut self, kind: Kind) -> File<'a> {
        let has_before = self.flag();
        let written = if kind == Kind::FileClose { [None, Some(false), Some(true)] } else { [None; 3] };
        File {
            kind,
            task: self.actor(),
            origin: self.origin(),
            object: self.object(),
            before: has_before.then(|| self.object()),
            arguments: [self.u64(), self.u64()],
            op: FileOp::ALL[usize::from(self.u16()) % FileOp::ALL.len()],
            errno: self.u32() % 4096,
            open_flags: self.u32(),
            path: self.bytes(),
            other: self.bytes(),
            name: self.bytes(),
            given: self.bytes(),
            written: written[usize::from(self.u16()) % written.len()],
            replaced: self.flag(),
            other_cut: self.flag(),
            other_joined: self.flag(),
            other_fault: self.flag(),
            pending: self.flag(),
        }
    }

    fn target(&mut self) -> Option<Target<'a>> {
        let target = Target {
            start_ns: self.u64(),
            pid: self.u32(),
            tid: self.u32(),
            uid: self.u32(),
            comm: self.name(),
            kernel_thread: self.flag(),
            agent: self.flag(),
        };
        Some(target).filter(|target| target.pid != 0)
    }

    fn privilege(&mut self, kind: Kind) -> Privilege<'a> {
        Privilege {
            kind,
            task: self.actor(),
            origin: self.origin(),
            arguments: std::array::from_fn(|_| self.u64()),
            target: self.target(),
            object: Some(self.object()).filter(|object| object.inode != 0),
            op: self.u32(),
            errno: self.u32() % 4096,
            name: self.bytes(),
            path: self.bytes(),
            signed: if self.flag() { Some(self.flag()) } else { None },
            own_object: self.flag(),
            anonymous: self.flag(),
            written: self.flag(),
            write_exec: self.flag(),
            flip: self.flag(),
            leaves: self.flag(),
            from_memory: self.flag(),
            unload: self.flag(),
            unsure: self.flag(),
        }
    }

    fn credentials(&mut self) -> Credentials<'a> {
        let old = self.flag();
        Credentials {
            task: self.task(),
            origin: Origin {
                hook: Hook::ALL[usize::from(self.u16()) % Hook::ALL.len()],
                call: self.u32(),
                via_io_uring: self.flag(),
                ..Origin::default()
            },
            old: if old { Some(self.creds()) } else { None },
            errno: self.u32() % 4096,
            asked: std::array::from_fn(|_| self.u32()),
        }
    }

    fn creds(&mut self) -> Creds {
        Creds {
            cap_permitted: self.u64(),
            cap_effective: self.u64(),
            cap_inheritable: self.u64(),
            cap_bounding: self.u64(),
            cap_ambient: self.u64(),
            uid: self.u32(),
            gid: self.u32(),
            euid: self.u32(),
            egid: self.u32(),
            suid: self.u32(),
            sgid: self.u32(),
            fsuid: self.u32(),
            fsgid: self.u32(),
            user_ns: self.u32(),
            securebits: self.u32(),
        }
    }

    fn endpoint(&mut self) -> Endpoint {
        let mut address = [0; 16];
        address[..8].copy_from_slice(&self.u64().to_ne_bytes());
        address[8..].copy_from_slice(&self.u64().to_ne_bytes());
        Endpoint { address, port: self.u32() }
    }

    fn network(&mut self, kind: Kind) -> Network<'a> {
        Network {
            kind,
            task: self.actor(),
            origin: self.origin(),
            cookie: self.u64(),
            bytes_sent: self.u64(),
            bytes_received: self.u64(),
            packets_sent: self.u64(),
            packets_received: self.u64(),
            duration_ns: self.u64(),
            local: self.endpoint(),
            remote: self.endpoint(),
            given: Some(self.endpoint()).filter(|given| *given != Endpoint::default()),
            op: NetworkOp::ALL[usize::from(self.u16()) % NetworkOp::ALL.len()],
            errno: self.u32() % 4096,
            family: self.u32(),
            socket_type: self.u32(),
            protocol: self.u32(),
            backlog: self.u32(),
            interface: self.u32(),
            path: self.bytes(),
            payload: self.bytes(),
            incoming: self.flag(),
            pending: self.flag(),
            payload_cut: self.flag(),
            over_tcp: self.flag(),
            unowned: self.flag(),
        }
    }
}
