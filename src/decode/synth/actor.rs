//! The inverse of `decode/actor.rs`: who acts, how it was seen, and a file.

use super::{bits, name};
use crate::event::{Object, Origin, Task};
use crate::kernel::abi::types::{se_actor, se_actor_flag, se_object, se_object_flag, se_task_flag};

/// The actor of a brief task.
pub(super) fn actor(task: &Task<'_>, origin: &Origin) -> se_actor {
    se_actor {
        start_ns: task.start_ns,
        parent_start_ns: task.parent_start_ns,
        cgroup_id: task.cgroup_id,
        cap_effective: task.cap_effective,
        pid: task.pid,
        tid: task.tid,
        ppid: task.ppid,
        uid: task.uid,
        gid: task.gid,
        euid: task.euid,
        egid: task.egid,
        fsuid: task.fsuid,
        fsgid: task.fsgid,
        loginuid: task.loginuid.unwrap_or(u32::MAX),
        mnt_ns: task.mnt_ns,
        net_ns: task.net_ns,
        user_ns: task.user_ns,
        hierarchy: task.hierarchy,
        flags: bits([
            (task.kernel_thread, se_task_flag::SE_TASK_KTHREAD.0),
            (task.compat, se_task_flag::SE_TASK_COMPAT.0),
            (task.seccomp, se_task_flag::SE_TASK_SECCOMP.0),
            (task.no_new_privs, se_task_flag::SE_TASK_NO_NEW_PRIVS.0),
            (task.agent, se_task_flag::SE_TASK_AGENT.0),
            (origin.via_io_uring, se_actor_flag::SE_ACTOR_IO_URING.0),
            (origin.grade_user, se_actor_flag::SE_ACTOR_GRADE_USER.0),
            (origin.argument_swap, se_actor_flag::SE_ACTOR_ARGUMENT_SWAP.0),
            (origin.watched, se_actor_flag::SE_ACTOR_WATCHED.0),
            (origin.trimmed, se_actor_flag::SE_ACTOR_TRIMMED.0),
        ]),
        hook: origin.hook as u32,
        call: origin.call,
        merged: origin.merged,
        comm: name(task.comm),
    }
}

/// A file.
pub(super) fn object(object: &Object) -> se_object {
    let (dev_major, dev_minor) = object.device;
    se_object {
        inode: object.inode,
        fs_magic: object.fs_magic,
        size_bytes: object.size_bytes,
        mtime_ns: object.mtime_ns,
        ctime_ns: object.ctime_ns,
        dev_major,
        dev_minor,
        mode: object.mode,
        uid: object.uid,
        gid: object.gid,
        nlink: object.nlink,
        flags: bits([
            (object.path_cut, se_object_flag::SE_OBJECT_PATH_CUT.0),
            (object.path_detached, se_object_flag::SE_OBJECT_PATH_DETACHED.0),
            (object.deleted, se_object_flag::SE_OBJECT_DELETED.0),
            (object.memfd, se_object_flag::SE_OBJECT_MEMFD.0),
            (object.overlay, se_object_flag::SE_OBJECT_OVERLAY.0),
            (object.overlay_upper, se_object_flag::SE_OBJECT_OVERLAY_UPPER.0),
            (object.path_joined, se_object_flag::SE_OBJECT_PATH_JOINED.0),
            (object.path_fault, se_object_flag::SE_OBJECT_PATH_FAULT.0),
        ]),
        pad: 0,
    }
}

/// A negative errno, or 0.
pub(super) fn error(errno: u32) -> i32 {
    0i32.saturating_sub_unsigned(errno)
}

/// The part of a task that a record with an actor tells.
pub(super) fn brief(task: Task<'_>) -> Task<'_> {
    Task {
        start_ns: task.start_ns,
        parent_start_ns: task.parent_start_ns,
        cgroup_id: task.cgroup_id,
        cap_effective: task.cap_effective,
        pid: task.pid,
        tid: task.tid,
        ppid: task.ppid,
        uid: task.uid,
        gid: task.gid,
        euid: task.euid,
        egid: task.egid,
        fsuid: task.fsuid,
        fsgid: task.fsgid,
        loginuid: task.loginuid,
        mnt_ns: task.mnt_ns,
        net_ns: task.net_ns,
        user_ns: task.user_ns,
        hierarchy: task.hierarchy,
        comm: task.comm,
        kernel_thread: task.kernel_thread,
        compat: task.compat,
        seccomp: task.seccomp,
        no_new_privs: task.no_new_privs,
        agent: task.agent,
        brief: true,
        ..Task::default()
    }
}
