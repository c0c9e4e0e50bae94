//! Privileges, and credentials that change.

use std::mem::offset_of;

use super::actor::{actor, errno, hook, object, origin};
use super::tail::Tail;
use super::task::{task, until_nul};
use super::{Error, fixed};
use crate::event::{Credentials, Creds, Kind, Origin, Privilege, Target};
use crate::kernel::abi::types::{
    se_credentials, se_credentials_flag as credentials_flag, se_creds, se_privilege,
    se_privilege_flag as flag, se_target, se_task_flag as task_flag,
};

#[inline]
pub(super) fn privilege(kind: Kind, record: &[u8]) -> Result<Privilege<'_>, Error> {
    let raw: se_privilege = fixed(kind, record)?;
    let tail = Tail::behind::<se_privilege>(kind, record);
    let has = |bit: flag| raw.flags & bit.0 != 0;
    let signed = match (has(flag::SE_PRIVILEGE_SIGNED), has(flag::SE_PRIVILEGE_UNSIGNED)) {
        (false, false) => None,
        (signed, _) => Some(signed),
    };
    const COMM: usize = offset_of!(se_privilege, target) + offset_of!(se_target, comm);
    let comm = record.get(COMM..).and_then(|bytes| bytes.get(..raw.target.comm.len())).unwrap_or_default();
    let target = Target {
        start_ns: raw.target.start_ns,
        pid: raw.target.pid,
        tid: raw.target.tid,
        uid: raw.target.uid,
        comm: until_nul(comm),
        kernel_thread: raw.target.flags & task_flag::SE_TASK_KTHREAD.0 != 0,
        agent: raw.target.flags & task_flag::SE_TASK_AGENT.0 != 0,
    };
    Ok(Privilege {
        kind,
        task: actor(record, offset_of!(se_privilege, actor), &raw.actor),
        origin: origin(kind, &raw.actor)?,
        arguments: raw.arg,
        target: Some(target).filter(|target| target.pid != 0),
        object: Some(object(&raw.object)).filter(|object| object.inode != 0),
        op: raw.op,
        errno: errno(kind, raw.error)?,
        name: tail.piece("name", raw.name)?,
        path: tail.piece("path", raw.path)?,
        signed,
        own_object: has(flag::SE_PRIVILEGE_OWN_OBJECT),
        anonymous: has(flag::SE_PRIVILEGE_ANONYMOUS),
        written: has(flag::SE_PRIVILEGE_WRITTEN),
        write_exec: has(flag::SE_PRIVILEGE_WRITE_EXEC),
        flip: has(flag::SE_PRIVILEGE_FLIP),
        leaves: has(flag::SE_PRIVILEGE_LEAVES),
        from_memory: has(flag::SE_PRIVILEGE_FROM_MEMORY),
        unload: has(flag::SE_PRIVILEGE_UNLOAD),
        unsure: has(flag::SE_PRIVILEGE_UNSURE),
    })
}

#[inline]
pub(super) fn credentials(record: &[u8]) -> Result<Credentials<'_>, Error> {
    const KIND: Kind = Kind::Credentials;
    let raw: se_credentials = fixed(KIND, record)?;
    let has = |bit: credentials_flag| raw.flags & bit.0 != 0;
    Ok(Credentials {
        task: task(record, offset_of!(se_credentials, task), &raw.task),
        origin: Origin {
            hook: hook(KIND, raw.hook)?,
            call: raw.call,
            via_io_uring: has(credentials_flag::SE_CREDENTIALS_IO_URING),
            ..Origin::default()
        },
        old: has(credentials_flag::SE_CREDENTIALS_OLD).then(|| creds(&raw.old)),
        errno: errno(KIND, raw.error)?,
        asked: raw.asked,
    })
}

fn creds(raw: &se_creds) -> Creds {
    Creds {
        cap_permitted: raw.cap_permitted,
        cap_effective: raw.cap_effective,
        cap_inheritable: raw.cap_inheritable,
        cap_bounding: raw.cap_bounding,
        cap_ambient: raw.cap_ambient,
        uid: raw.uid,
        gid: raw.gid,
        euid: raw.euid,
        egid: raw.egid,
        suid: raw.suid,
        sgid: raw.sgid,
        fsuid: raw.fsuid,
        fsgid: raw.fsgid,
        user_ns: raw.user_ns,
        securebits: raw.securebits,
    }
}

#[cfg(test)]
mod tests {
    use crate::event::privilege::op;
    use crate::kernel::abi::types::se_privilege_op as raw;

    #[test]
    fn operations_have_the_numbers_of_the_kernel_side() {
        for (ours, theirs) in [
            (op::MEMORY_READ, raw::SE_OP_MEMORY_READ),
            (op::MEMORY_WRITE, raw::SE_OP_MEMORY_WRITE),
            (op::MEMORY_GETFD, raw::SE_OP_MEMORY_GETFD),
            (op::MODULE_LOAD, raw::SE_OP_MODULE_LOAD),
            (op::MODULE_UNLOAD, raw::SE_OP_MODULE_UNLOAD),
            (op::KEXEC_LOAD, raw::SE_OP_KEXEC_LOAD),
            (op::KEXEC_FILE_LOAD, raw::SE_OP_KEXEC_FILE_LOAD),
            (op::MEMFD_CREATE, raw::SE_OP_MEMFD_CREATE),
            (op::MEMFD_SECRET, raw::SE_OP_MEMFD_SECRET),
            (op::EXEC_MMAP, raw::SE_OP_EXEC_MMAP),
            (op::EXEC_MPROTECT, raw::SE_OP_EXEC_MPROTECT),
            (op::NS_UNSHARE, raw::SE_OP_NS_UNSHARE),
            (op::NS_SETNS, raw::SE_OP_NS_SETNS),
            (op::KEY_ADD, raw::SE_OP_KEY_ADD),
            (op::KEY_REQUEST, raw::SE_OP_KEY_REQUEST),
            (op::NAME_HOST, raw::SE_OP_NAME_HOST),
            (op::NAME_DOMAIN, raw::SE_OP_NAME_DOMAIN),
            (op::CLOCK_SET, raw::SE_OP_CLOCK_SET),
            (op::CLOCK_ADJUST, raw::SE_OP_CLOCK_ADJUST),
            (op::SWAP_ON, raw::SE_OP_SWAP_ON),
            (op::SWAP_OFF, raw::SE_OP_SWAP_OFF),
        ] {
            assert_eq!(ours, theirs.0, "{theirs:?}");
        }
    }
}
