//! The two structs that several kinds share: the acting task and the program's file.

use std::mem::offset_of;

use super::Error;
use super::tail::Tail;
use crate::event::{Program, Task};
use crate::kernel::abi::types::{se_image, se_image_flag as image, se_task, se_task_flag as flag};

/// What audit uses for an id that was never set: (uid_t) -1.
pub(super) const UNSET: u32 = u32::MAX;

/// Builds the task from its copy `raw` and from the record, which holds it at offset `at` and which the names
/// are borrowed from.
#[inline]
pub(super) fn task<'a>(record: &'a [u8], at: usize, raw: &se_task) -> Task<'a> {
    let name = |offset: usize, length: usize| {
        // The fixed part was copied out of the record, so the range is there; if it ever were not, an empty
        // name would be the right answer.
        let bytes = record.get(at.saturating_add(offset)..).unwrap_or_default();
        until_nul(bytes.get(..length).unwrap_or_default())
    };
    let has = |bit: flag| raw.flags & bit.0 != 0;
    Task {
        start_ns: raw.start_ns,
        parent_start_ns: raw.parent_start_ns,
        leader_start_ns: raw.leader_start_ns,
        cgroup_id: raw.cgroup_id,
        cap_permitted: raw.cap_permitted,
        cap_effective: raw.cap_effective,
        cap_inheritable: raw.cap_inheritable,
        cap_bounding: raw.cap_bounding,
        cap_ambient: raw.cap_ambient,
        pid: raw.pid,
        tid: raw.tid,
        ppid: raw.ppid,
        sid: raw.sid,
        pgid: raw.pgid,
        ns_pid: raw.ns_pid,
        ns_tid: raw.ns_tid,
        uid: raw.uid,
        gid: raw.gid,
        euid: raw.euid,
        egid: raw.egid,
        suid: raw.suid,
        sgid: raw.sgid,
        fsuid: raw.fsuid,
        fsgid: raw.fsgid,
        loginuid: Some(raw.loginuid).filter(|&id| id != UNSET),
        sessionid: Some(raw.sessionid).filter(|&id| id != UNSET),
        mnt_ns: raw.mnt_ns,
        pid_ns: raw.pid_ns,
        net_ns: raw.net_ns,
        user_ns: raw.user_ns,
        uts_ns: raw.uts_ns,
        ipc_ns: raw.ipc_ns,
        cgroup_ns: raw.cgroup_ns,
        hierarchy: raw.hierarchy,
        tty: Some((raw.tty_major, raw.tty_minor)).filter(|&device| device != (0, 0)),
        tty_name: name(offset_of!(se_task, tty_name), raw.tty_name.len()),
        comm: name(offset_of!(se_task, comm), raw.comm.len()),
        kernel_thread: has(flag::SE_TASK_KTHREAD),
        compat: has(flag::SE_TASK_COMPAT),
        seccomp: has(flag::SE_TASK_SECCOMP),
        no_new_privs: has(flag::SE_TASK_NO_NEW_PRIVS),
        agent: has(flag::SE_TASK_AGENT),
        brief: false,
    }
}

/// Builds the program's file from its copy and the tail.
#[inline]
pub(super) fn program<'a>(tail: &Tail<'a>, raw: &se_image) -> Result<Program<'a>, Error> {
    let has = |bit: image| raw.flags & bit.0 != 0;
    Ok(Program {
        executable: tail.piece("image.exe", raw.exe)?,
        cwd: tail.piece("image.cwd", raw.cwd)?,
        inode: raw.inode,
        device: (raw.dev_major, raw.dev_minor),
        mtime_ns: raw.mtime_ns,
        ctime_ns: raw.ctime_ns,
        size_bytes: raw.size_bytes,
        fs_magic: raw.fs_magic,
        mode: raw.mode,
        owner_uid: raw.owner_uid,
        owner_gid: raw.owner_gid,
        nlink: raw.nlink,
        memfd: has(image::SE_IMAGE_MEMFD),
        overlay: has(image::SE_IMAGE_OVERLAY),
        overlay_upper: has(image::SE_IMAGE_OVERLAY_UPPER),
        executable_cut: has(image::SE_IMAGE_EXE_CUT),
        cwd_cut: has(image::SE_IMAGE_CWD_CUT),
        executable_detached: has(image::SE_IMAGE_EXE_DETACHED),
        cwd_detached: has(image::SE_IMAGE_CWD_DETACHED),
        cwd_deleted: has(image::SE_IMAGE_CWD_DELETED),
    })
}

/// The bytes before the first NUL: the kernel's fixed-size names may hold the rest of an older one behind it.
pub(super) fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&b| b == 0).next().unwrap_or_default()
}
