//! Sensors of files and mounts.

use super::{Entry, Level, Rung, Sensor, Use, calls, remarked, trampoline};
use crate::event::Kind;
use crate::kernel::plan::calls::{Call, Results};
use crate::metrics::label::Program;

/// What was done to an object that a descriptor means.
const fn object(program: Program, of: &'static [Call], bounded: &'static str) -> Entry {
    calls(program, of, Results::Good, "kernel", Some(bounded))
}

/// What was done to something that a string names.
const fn name(program: Program, of: &'static [Call], bounded: &'static str) -> Entry {
    calls(program, of, Results::Good, "user", Some(bounded))
}

/// Trampolines, or else the return of system calls.
macro_rules! sensor {
    ($($kind:ident),+; $trampolines:ident; $($entry:expr),+ $(,)?) => {
        Sensor {
            kinds: &[$(Kind::$kind),+],
            usage: Use::Wanted,
            rungs: &[trampoline::$trampolines, Rung { level: Level::Syscall, entries: &[$($entry),+] }],
        }
    };
}

const CALL_OPEN: Entry = object(
    Program::CallOpen,
    &[Call::Open, Call::Openat, Call::Openat2, Call::Creat, Call::OpenByHandleAt],
    "se_sc_open_bnd",
);

pub(super) const SENSORS: &[Sensor] = &[
    sensor!(FileOpen, FileRead; OPEN; CALL_OPEN),
    sensor!(
        FileClose; CLOSE;
        // What is closed is recognised by what was opened.
        CALL_OPEN,
        remarked(
            calls(Program::CallClose, &[Call::Close], Results::All, "kernel", Some("se_sc_close_bnd")),
            "only closes by close() of what open() returned are seen, not those by dup2, close_range, exec or exit",
        ),
    ),
    sensor!(
        FileRename; RENAME;
        name(
            Program::CallRename,
            &[Call::Rename, Call::Renameat, Call::Renameat2],
            "se_sc_ren_bnd",
        ),
    ),
    sensor!(
        FileDelete; DELETE;
        name(Program::CallDelete, &[Call::Unlink, Call::Unlinkat, Call::Rmdir], "se_sc_del_bnd"),
    ),
    sensor!(
        FileLink; LINK;
        name(Program::CallLink, &[Call::Link, Call::Linkat], "se_sc_link_bnd"),
        name(Program::CallSymlink, &[Call::Symlink, Call::Symlinkat], "se_sc_sym_bnd"),
    ),
    sensor!(
        FileMkdir; MKDIR;
        name(
            Program::CallMkdir,
            &[Call::Mkdir, Call::Mkdirat, Call::Mknod, Call::Mknodat],
            "se_sc_mkdir_bnd",
        ),
    ),
    sensor!(
        FileMode; MODE;
        name(
            Program::CallMode,
            &[Call::Chmod, Call::Fchmod, Call::Fchmodat, Call::Fchmodat2],
            "se_sc_mode_bnd",
        ),
    ),
    sensor!(
        FileOwner; OWNER;
        name(
            Program::CallOwner,
            &[
                Call::Chown,
                Call::Fchown,
                Call::Lchown,
                Call::Fchownat,
                Call::Chown32,
                Call::Fchown32,
                Call::Lchown32,
            ],
            "se_sc_owner_bnd",
        ),
    ),
    sensor!(
        FileXattr; XATTR;
        name(
            Program::CallXattr,
            &[
                Call::Setxattr,
                Call::Lsetxattr,
                Call::Fsetxattr,
                Call::Setxattrat,
                Call::Removexattr,
                Call::Lremovexattr,
                Call::Fremovexattr,
                Call::Removexattrat,
            ],
            "se_sc_xattr_bnd",
        ),
    ),
    sensor!(
        FileTruncate; TRUNCATE;
        name(
            Program::CallTruncate,
            &[Call::Truncate, Call::Ftruncate, Call::Truncate64, Call::Ftruncate64],
            "se_sc_trunc_bnd",
        ),
    ),
    sensor!(
        FileTimes; TIMES;
        name(
            Program::CallTimes,
            &[Call::Utime, Call::Utimes, Call::Futimesat, Call::Utimensat, Call::UtimensatTime64],
            "se_sc_times_bnd",
        ),
    ),
    sensor!(
        Mount; MOUNT;
        name(Program::CallMount, &[Call::Mount], "se_sc_mount_bnd"),
        name(Program::CallUmount, &[Call::Umount2, Call::Umount], "se_sc_umnt_bnd"),
        object(Program::CallRoot, &[Call::Chroot, Call::PivotRoot], "se_sc_root_bnd"),
        name(Program::CallMove, &[Call::MoveMount], "se_sc_move_bnd"),
        object(Program::CallFsmount, &[Call::Fsmount], "se_sc_fsmnt_bnd"),
    ),
];
