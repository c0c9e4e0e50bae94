//! Who acts and how it was seen, of the kinds that carry `struct se_actor`.

use super::Error;
use super::task::{UNSET, until_nul};
use crate::event::{Hook, Kind, Object, Origin, Task};
use crate::kernel::abi::types::{
    se_actor, se_actor_flag as flag, se_object, se_object_flag as object_flag, se_task_flag as task_flag,
};

/// The largest errno that a system call returns (MAX_ERRNO in include/linux/err.h).
const MAX_ERRNO: u32 = 4095;

/// Builds the task from its copy `raw`; `comm` is borrowed from the record, where the actor begins at `at`.
#[inline]
pub(super) fn actor<'a>(record: &'a [u8], at: usize, raw: &se_actor) -> Task<'a> {
    let comm = at.saturating_add(std::mem::offset_of!(se_actor, comm));
    let comm = record.get(comm..).unwrap_or_default();
    let has = |bit: task_flag| raw.flags & bit.0 != 0;
    Task {
        start_ns: raw.start_ns,
        parent_start_ns: raw.parent_start_ns,
        cgroup_id: raw.cgroup_id,
        cap_effective: raw.cap_effective,
        pid: raw.pid,
        tid: raw.tid,
        ppid: raw.ppid,
        uid: raw.uid,
        gid: raw.gid,
        euid: raw.euid,
        egid: raw.egid,
        fsuid: raw.fsuid,
        fsgid: raw.fsgid,
        loginuid: Some(raw.loginuid).filter(|&id| id != UNSET),
        mnt_ns: raw.mnt_ns,
        net_ns: raw.net_ns,
        user_ns: raw.user_ns,
        hierarchy: raw.hierarchy,
        comm: until_nul(comm.get(..raw.comm.len()).unwrap_or_default()),
        kernel_thread: has(task_flag::SE_TASK_KTHREAD),
        compat: has(task_flag::SE_TASK_COMPAT),
        seccomp: has(task_flag::SE_TASK_SECCOMP),
        no_new_privs: has(task_flag::SE_TASK_NO_NEW_PRIVS),
        agent: has(task_flag::SE_TASK_AGENT),
        brief: true,
        ..Task::default()
    }
}

/// How it was seen.
#[inline]
pub(super) fn origin(kind: Kind, raw: &se_actor) -> Result<Origin, Error> {
    let has = |bit: flag| raw.flags & bit.0 != 0;
    Ok(Origin {
        hook: hook(kind, raw.hook)?,
        call: raw.call,
        via_io_uring: has(flag::SE_ACTOR_IO_URING),
        grade_user: has(flag::SE_ACTOR_GRADE_USER),
        argument_swap: has(flag::SE_ACTOR_ARGUMENT_SWAP),
        watched: has(flag::SE_ACTOR_WATCHED),
        trimmed: has(flag::SE_ACTOR_TRIMMED),
        merged: raw.merged,
    })
}

/// The hook with this number.
pub(super) fn hook(kind: Kind, number: u32) -> Result<Hook, Error> {
    Hook::from_number(number).ok_or_else(|| Error::Value { kind, field: "hook", value: number.into() })
}

/// A negative errno, or 0.
#[inline]
pub(super) fn errno(kind: Kind, error: i32) -> Result<u32, Error> {
    let errno = error.unsigned_abs();
    if error > 0 || errno > MAX_ERRNO {
        return Err(Error::Value { kind, field: "error", value: error.into() });
    }
    Ok(errno)
}

/// A file.
#[inline]
pub(super) fn object(raw: &se_object) -> Object {
    let has = |bit: object_flag| raw.flags & bit.0 != 0;
    Object {
        inode: raw.inode,
        fs_magic: raw.fs_magic,
        size_bytes: raw.size_bytes,
        mtime_ns: raw.mtime_ns,
        ctime_ns: raw.ctime_ns,
        device: (raw.dev_major, raw.dev_minor),
        mode: raw.mode,
        uid: raw.uid,
        gid: raw.gid,
        nlink: raw.nlink,
        path_cut: has(object_flag::SE_OBJECT_PATH_CUT),
        path_detached: has(object_flag::SE_OBJECT_PATH_DETACHED),
        deleted: has(object_flag::SE_OBJECT_DELETED),
        memfd: has(object_flag::SE_OBJECT_MEMFD),
        overlay: has(object_flag::SE_OBJECT_OVERLAY),
        overlay_upper: has(object_flag::SE_OBJECT_OVERLAY_UPPER),
        path_joined: has(object_flag::SE_OBJECT_PATH_JOINED),
        path_fault: has(object_flag::SE_OBJECT_PATH_FAULT),
    }
}
