//! Lives of processes: exec, failed exec, fork, exit.

use std::mem::offset_of;

use super::tail::Tail;
use super::task::{program, task};
use super::{Error, fixed};
use crate::event::{Exec, ExecFailed, Exit, Fork, Kind};
use crate::kernel::abi::types::{
    se_exec, se_exec_failed, se_exec_failed_flag as failed_flag, se_exec_flag as flag, se_exit, se_fork,
};

/// The largest errno that a system call returns (MAX_ERRNO in include/linux/err.h).
const MAX_ERRNO: u32 = 4095;

#[inline]
pub(super) fn exec(record: &[u8]) -> Result<Exec<'_>, Error> {
    let raw: se_exec = fixed(Kind::Exec, record)?;
    let tail = Tail::behind::<se_exec>(Kind::Exec, record);
    let has = |bit: flag| raw.flags & bit.0 != 0;
    Ok(Exec {
        task: task(record, offset_of!(se_exec, task), &raw.task),
        program: program(&tail, &raw.image)?,
        filename: tail.piece("filename", raw.filename)?,
        interpreter: tail.optional("interp", raw.interp)?,
        args_head: tail.piece("args_head", raw.args_head)?,
        args_tail: tail.piece("args_tail", raw.args_tail)?,
        args_len: raw.args_len,
        argc: raw.argc,
        env: tail.piece("env", raw.env)?,
        env_len: raw.env_len,
        envc: raw.envc,
        old_tid: Some(raw.old_tid).filter(|&tid| tid != 0),
        args_cut: has(flag::SE_EXEC_ARGS_CUT),
        args_fault: has(flag::SE_EXEC_ARGS_FAULT),
        env_cut: has(flag::SE_EXEC_ENV_CUT),
        env_fault: has(flag::SE_EXEC_ENV_FAULT),
        filename_cut: has(flag::SE_EXEC_FILENAME_CUT),
        script: has(flag::SE_EXEC_SCRIPT),
        secure: has(flag::SE_EXEC_SECURE),
        by_fd: has(flag::SE_EXEC_BY_FD),
    })
}

#[inline]
pub(super) fn exec_failed(record: &[u8]) -> Result<ExecFailed<'_>, Error> {
    let raw: se_exec_failed = fixed(Kind::ExecFailed, record)?;
    let tail = Tail::behind::<se_exec_failed>(Kind::ExecFailed, record);
    let has = |bit: failed_flag| raw.flags & bit.0 != 0;
    let errno = raw.error.unsigned_abs();
    if raw.error >= 0 || errno > MAX_ERRNO {
        return Err(Error::Value { kind: Kind::ExecFailed, field: "error", value: raw.error.into() });
    }
    Ok(ExecFailed {
        task: task(record, offset_of!(se_exec_failed, task), &raw.task),
        errno,
        filename: tail.piece("filename", raw.filename)?,
        filename_fault: has(failed_flag::SE_EXEC_FAILED_FILENAME_FAULT),
        filename_cut: has(failed_flag::SE_EXEC_FAILED_FILENAME_CUT),
        args: tail.piece("args", raw.args)?,
        args_count: raw.args_count,
        args_cut: has(failed_flag::SE_EXEC_FAILED_ARGS_CUT),
        cwd: tail.piece("cwd", raw.cwd)?,
        cwd_cut: has(failed_flag::SE_EXEC_FAILED_CWD_CUT),
    })
}

#[inline]
pub(super) fn fork(record: &[u8]) -> Result<Fork<'_>, Error> {
    let raw: se_fork = fixed(Kind::Fork, record)?;
    Ok(Fork {
        task: task(record, offset_of!(se_fork, task), &raw.task),
        creator_pid: raw.creator_pid,
        creator_tid: raw.creator_tid,
        creator_start_ns: raw.creator_start_ns,
    })
}

#[inline]
pub(super) fn exit(record: &[u8]) -> Result<Exit<'_>, Error> {
    let raw: se_exit = fixed(Kind::Exit, record)?;
    Ok(Exit {
        task: task(record, offset_of!(se_exit, task), &raw.task),
        cpu_ns: raw.cpu_ns,
        utime_ns: raw.utime_ns,
        stime_ns: raw.stime_ns,
        max_rss_bytes: raw.max_rss_bytes,
        status: raw.status,
    })
}
