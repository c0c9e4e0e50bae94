//! Makes records for tests, benches and fuzz seeds: the inverse of [`decode`](super::decode).
//!
//! [`encode`] lays out a record as the kernel side would: the fixed part, then the pieces of the tail in the order
//! of their fields, absent ones as (0, 0). [`samples`] are events such as a busy host makes, each kind at least
//! once, from which golden records and fuzz seeds are written.
//!
//! Nothing of the running agent calls this. It is part of the library, not of a test, because benches and the
//! fuzzing crate need it too.

mod actor;
mod file;
mod network;
mod privilege;
mod samples;

pub use samples::{Sample, samples};

use crate::event::{
    Body, Cgroup, CgroupChange, Event, Exec, ExecFailed, Exit, Fork, Program, Snapshot, Task,
};
use crate::kernel::abi::Layout;
use crate::kernel::abi::types::{
    se_cgroup, se_cgroup_op, se_exec, se_exec_failed, se_exec_failed_flag, se_exec_flag, se_exit, se_fork,
    se_header, se_image, se_image_flag, se_snapshot, se_str, se_task, se_task_flag,
};

/// The bytes of a record that decodes to `event`.
///
/// Three things have no form in a record and come back differently: names longer than their field are cut to it
/// and at a NUL, an id of 0xffffffff is unset, and an error number over `i32::MAX` saturates.
pub fn encode(event: &Event<'_>) -> Vec<u8> {
    match &event.body {
        Body::Exec(exec) => encode_exec(event, exec),
        Body::ExecFailed(failed) => encode_exec_failed(event, failed),
        Body::Fork(fork) => encode_fork(event, fork),
        Body::Exit(exit) => encode_exit(event, exit),
        Body::Cgroup(cgroup) => encode_cgroup(event, cgroup),
        Body::Snapshot(snapshot) => encode_snapshot(event, snapshot),
        Body::File(file) => file::encode(event, file),
        Body::Credentials(credentials) => privilege::encode_credentials(event, credentials),
        Body::Privilege(privilege) => privilege::encode_privilege(event, privilege),
        Body::Network(net) => network::encode(event, net),
    }
}

fn encode_exec(event: &Event<'_>, exec: &Exec<'_>) -> Vec<u8> {
    let mut tail = Tail::behind::<se_exec>();
    let image = image(&mut tail, &exec.program);
    let filename = tail.piece(exec.filename);
    let interp = exec.interpreter.map_or_else(se_str::default, |name| tail.present(name));
    let raw = se_exec {
        header: se_header::default(),
        task: task(&exec.task),
        image,
        args_len: exec.args_len,
        env_len: exec.env_len,
        argc: exec.argc,
        envc: exec.envc,
        old_tid: exec.old_tid.unwrap_or_default(),
        flags: bits([
            (exec.script, se_exec_flag::SE_EXEC_SCRIPT.0),
            (exec.secure, se_exec_flag::SE_EXEC_SECURE.0),
            (exec.args_cut, se_exec_flag::SE_EXEC_ARGS_CUT.0),
            (exec.args_fault, se_exec_flag::SE_EXEC_ARGS_FAULT.0),
            (exec.env_cut, se_exec_flag::SE_EXEC_ENV_CUT.0),
            (exec.env_fault, se_exec_flag::SE_EXEC_ENV_FAULT.0),
            (exec.filename_cut, se_exec_flag::SE_EXEC_FILENAME_CUT.0),
            (exec.by_fd, se_exec_flag::SE_EXEC_BY_FD.0),
        ]),
        filename,
        interp,
        args_head: tail.piece(exec.args_head),
        args_tail: tail.piece(exec.args_tail),
        env: tail.piece(exec.env),
    };
    tail.join(event, &raw)
}

fn encode_exec_failed(event: &Event<'_>, failed: &ExecFailed<'_>) -> Vec<u8> {
    let mut tail = Tail::behind::<se_exec_failed>();
    let raw = se_exec_failed {
        header: se_header::default(),
        task: task(&failed.task),
        error: 0i32.saturating_sub_unsigned(failed.errno),
        flags: bits([
            (failed.args_cut, se_exec_failed_flag::SE_EXEC_FAILED_ARGS_CUT.0),
            (failed.filename_fault, se_exec_failed_flag::SE_EXEC_FAILED_FILENAME_FAULT.0),
            (failed.cwd_cut, se_exec_failed_flag::SE_EXEC_FAILED_CWD_CUT.0),
            (failed.filename_cut, se_exec_failed_flag::SE_EXEC_FAILED_FILENAME_CUT.0),
        ]),
        args_count: failed.args_count,
        pad: 0,
        filename: tail.piece(failed.filename),
        args: tail.piece(failed.args),
        cwd: tail.piece(failed.cwd),
    };
    tail.join(event, &raw)
}

fn encode_fork(event: &Event<'_>, fork: &Fork<'_>) -> Vec<u8> {
    let raw = se_fork {
        header: se_header::default(),
        task: task(&fork.task),
        creator_start_ns: fork.creator_start_ns,
        creator_pid: fork.creator_pid,
        creator_tid: fork.creator_tid,
    };
    Tail::behind::<se_fork>().join(event, &raw)
}

fn encode_exit(event: &Event<'_>, exit: &Exit<'_>) -> Vec<u8> {
    let raw = se_exit {
        header: se_header::default(),
        task: task(&exit.task),
        cpu_ns: exit.cpu_ns,
        utime_ns: exit.utime_ns,
        stime_ns: exit.stime_ns,
        max_rss_bytes: exit.max_rss_bytes,
        status: exit.status,
        pad: 0,
    };
    Tail::behind::<se_exit>().join(event, &raw)
}

fn encode_cgroup(event: &Event<'_>, cgroup: &Cgroup<'_>) -> Vec<u8> {
    let mut tail = Tail::behind::<se_cgroup>();
    let raw = se_cgroup {
        header: se_header::default(),
        id: cgroup.id,
        hierarchy: cgroup.hierarchy,
        op: match cgroup.change {
            CgroupChange::Created => se_cgroup_op::SE_CGROUP_MKDIR.0,
            CgroupChange::Released => se_cgroup_op::SE_CGROUP_RELEASE.0,
            CgroupChange::Renamed => se_cgroup_op::SE_CGROUP_RENAME.0,
        },
        path: tail.piece(cgroup.path),
    };
    tail.join(event, &raw)
}

fn encode_snapshot(event: &Event<'_>, snapshot: &Snapshot<'_>) -> Vec<u8> {
    let mut tail = Tail::behind::<se_snapshot>();
    let none = || se_image { flags: se_image_flag::SE_IMAGE_NONE.0, ..se_image::default() };
    let raw = se_snapshot {
        header: se_header::default(),
        task: task(&snapshot.task),
        image: snapshot.program.as_ref().map_or_else(none, |program| image(&mut tail, program)),
    };
    tail.join(event, &raw)
}

fn task_flags(task: &Task<'_>) -> u32 {
    bits([
        (task.kernel_thread, se_task_flag::SE_TASK_KTHREAD.0),
        (task.compat, se_task_flag::SE_TASK_COMPAT.0),
        (task.seccomp, se_task_flag::SE_TASK_SECCOMP.0),
        (task.no_new_privs, se_task_flag::SE_TASK_NO_NEW_PRIVS.0),
        (task.agent, se_task_flag::SE_TASK_AGENT.0),
    ])
}

fn task(task: &Task<'_>) -> se_task {
    let (tty_major, tty_minor) = task.tty.unwrap_or_default();
    se_task {
        start_ns: task.start_ns,
        parent_start_ns: task.parent_start_ns,
        leader_start_ns: task.leader_start_ns,
        cgroup_id: task.cgroup_id,
        cap_permitted: task.cap_permitted,
        cap_effective: task.cap_effective,
        cap_inheritable: task.cap_inheritable,
        cap_bounding: task.cap_bounding,
        cap_ambient: task.cap_ambient,
        pid: task.pid,
        tid: task.tid,
        ppid: task.ppid,
        sid: task.sid,
        pgid: task.pgid,
        ns_pid: task.ns_pid,
        ns_tid: task.ns_tid,
        uid: task.uid,
        gid: task.gid,
        euid: task.euid,
        egid: task.egid,
        suid: task.suid,
        sgid: task.sgid,
        fsuid: task.fsuid,
        fsgid: task.fsgid,
        loginuid: task.loginuid.unwrap_or(u32::MAX),
        sessionid: task.sessionid.unwrap_or(u32::MAX),
        mnt_ns: task.mnt_ns,
        pid_ns: task.pid_ns,
        net_ns: task.net_ns,
        user_ns: task.user_ns,
        uts_ns: task.uts_ns,
        ipc_ns: task.ipc_ns,
        cgroup_ns: task.cgroup_ns,
        hierarchy: task.hierarchy,
        flags: task_flags(task),
        tty_major,
        tty_minor,
        tty_name: name(task.tty_name),
        comm: name(task.comm),
    }
}

fn image(tail: &mut Tail, program: &Program<'_>) -> se_image {
    let (dev_major, dev_minor) = program.device;
    se_image {
        inode: program.inode,
        mtime_ns: program.mtime_ns,
        ctime_ns: program.ctime_ns,
        size_bytes: program.size_bytes,
        fs_magic: program.fs_magic,
        dev_major,
        dev_minor,
        mode: program.mode,
        owner_uid: program.owner_uid,
        owner_gid: program.owner_gid,
        nlink: program.nlink,
        flags: bits([
            (program.memfd, se_image_flag::SE_IMAGE_MEMFD.0),
            (program.overlay, se_image_flag::SE_IMAGE_OVERLAY.0),
            (program.overlay_upper, se_image_flag::SE_IMAGE_OVERLAY_UPPER.0),
            (program.executable_cut, se_image_flag::SE_IMAGE_EXE_CUT.0),
            (program.cwd_cut, se_image_flag::SE_IMAGE_CWD_CUT.0),
            (program.executable_detached, se_image_flag::SE_IMAGE_EXE_DETACHED.0),
            (program.cwd_detached, se_image_flag::SE_IMAGE_CWD_DETACHED.0),
            (program.cwd_deleted, se_image_flag::SE_IMAGE_CWD_DELETED.0),
        ]),
        pad: 0,
        exe: tail.piece(program.executable),
        cwd: tail.piece(program.cwd),
    }
}

fn bits<const N: usize>(flags: [(bool, u32); N]) -> u32 {
    flags.into_iter().filter(|&(set, _)| set).fold(0, |all, (_, bit)| all | bit)
}

fn name<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut field = [0; N];
    field.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
    field
}

/// The tail of a record in the making.
struct Tail {
    /// Where it begins in the record: the size of the fixed part.
    start: usize,
    bytes: Vec<u8>,
}

impl Tail {
    fn behind<R: Layout>() -> Self {
        Tail { start: R::SIZE, bytes: Vec::new() }
    }

    /// Appends a piece; an empty one is absent.
    fn piece(&mut self, bytes: &[u8]) -> se_str {
        if bytes.is_empty() { se_str::default() } else { self.present(bytes) }
    }

    /// Appends a piece that is there even if it is empty.
    fn present(&mut self, bytes: &[u8]) -> se_str {
        let off = saturated(self.start.saturating_add(self.bytes.len()));
        self.bytes.extend_from_slice(bytes);
        se_str { off, len: saturated(bytes.len()) }
    }

    /// The whole record: the fixed part, with its header filled in, and this tail.
    fn join<R: Layout>(self, event: &Event<'_>, fixed: &R) -> Vec<u8> {
        let header = se_header {
            ts_ns: event.time_ns,
            len: saturated(self.start.saturating_add(self.bytes.len())),
            kind: event.kind() as u16,
            cpu: event.cpu,
        };
        let body = fixed.bytes().get(se_header::SIZE..).unwrap_or_default();
        [header.bytes(), body, &self.bytes].concat()
    }
}

fn saturated(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
