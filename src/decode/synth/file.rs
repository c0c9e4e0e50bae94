//! Records and samples of files.

use super::actor::{actor, error, object};
use super::{Tail, bits};
use crate::event::{Event, File, FileOp, Hook, Kind, Object, Origin, Task};
use crate::kernel::abi::types::{se_file, se_file_flag as flag, se_header, se_object};

/// The record of a file event.
pub(super) fn encode(event: &Event<'_>, file: &File<'_>) -> Vec<u8> {
    let mut tail = Tail::behind::<se_file>();
    let raw = se_file {
        header: se_header::default(),
        actor: actor(&file.task, &file.origin),
        object: object(&file.object),
        before: file.before.as_ref().map_or_else(se_object::default, object),
        arg: file.arguments,
        op: file.op as u32,
        error: error(file.errno),
        open_flags: file.open_flags,
        flags: bits([
            (file.before.is_some(), flag::SE_FILE_BEFORE.0),
            (file.written == Some(true), flag::SE_FILE_WRITTEN.0),
            (file.written.is_none() && file.kind == Kind::FileClose, flag::SE_FILE_WRITTEN_UNSURE.0),
            (file.other_cut, flag::SE_FILE_OTHER_CUT.0),
            (file.other_joined, flag::SE_FILE_OTHER_JOINED.0),
            (file.other_fault, flag::SE_FILE_OTHER_FAULT.0),
            (file.replaced, flag::SE_FILE_REPLACED.0),
            (file.pending, flag::SE_FILE_PENDING.0),
        ]),
        path: tail.piece(file.path),
        other: tail.piece(file.other),
        name: tail.piece(file.name),
        given: tail.piece(file.given),
    };
    tail.join(event, &raw)
}

const EXT4: u64 = 0xef53;
/// 2026-11-22 04:00:00 UTC.
const THEN_NS: i64 = 1_795_320_000_000_000_000;

fn plain() -> Object {
    Object {
        inode: 1_310_721,
        fs_magic: EXT4,
        size_bytes: 1_024,
        mtime_ns: THEN_NS,
        ctime_ns: THEN_NS + 1,
        device: (8, 1),
        mode: 0o100_644,
        uid: 1000,
        gid: 1000,
        nlink: 1,
        ..Object::default()
    }
}

/// What most samples have in common.
fn base(task: Task<'static>, kind: Kind, op: FileOp, path: &'static [u8]) -> File<'static> {
    File {
        kind,
        task,
        origin: Origin { hook: Hook::SysExit, ..Origin::default() },
        object: plain(),
        before: None,
        arguments: [0; 2],
        op,
        errno: 0,
        open_flags: 0,
        path,
        other: b"",
        name: b"",
        given: b"",
        written: None,
        replaced: false,
        other_cut: false,
        other_joined: false,
        other_fault: false,
        pending: false,
    }
}

/// A path that was joined: nothing is known of the object.
fn joined(file: File<'static>) -> File<'static> {
    let object = Object { path_joined: true, ..Object::default() };
    File { object, origin: Origin { grade_user: true, ..file.origin }, ..file }
}

/// Every kind, and every flag once.
pub(super) fn samples(task: Task<'static>) -> Vec<(&'static str, File<'static>)> {
    use FileOp::*;
    let file = |kind, op, path| base(task, kind, op, path);
    let fexit = Origin { hook: Hook::Fexit, ..Origin::default() };
    vec![
        (
            "file_open_create",
            File { open_flags: 0o1101, ..file(Kind::FileOpen, Create, b"/home/alice/notes.txt") },
        ),
        (
            "file_open_merged",
            File {
                open_flags: 0o2_002_001,
                origin: Origin { hook: Hook::SysExit, merged: 41, ..Origin::default() },
                ..file(Kind::FileOpen, Open, b"/var/log/app.log")
            },
        ),
        (
            "file_read_watched_swap",
            File {
                open_flags: 0o400_000,
                origin: Origin {
                    hook: Hook::SysExit,
                    watched: true,
                    argument_swap: true,
                    ..Origin::default()
                },
                object: Object { mode: 0o100_640, uid: 0, gid: 42, ..plain() },
                given: b"/tmp/harmless",
                ..file(Kind::FileRead, Open, b"/etc/shadow")
            },
        ),
        (
            "file_read_io_uring_in_container",
            File {
                origin: Origin {
                    hook: Hook::IoUringComplete,
                    watched: true,
                    via_io_uring: true,
                    ..Origin::default()
                },
                object: Object { overlay: true, overlay_upper: true, path_detached: true, ..plain() },
                ..file(Kind::FileRead, Open, b"/root/.aws/credentials")
            },
        ),
        (
            "file_close_written",
            File { written: Some(true), ..file(Kind::FileClose, Close, b"/srv/www/index.php") },
        ),
        ("file_close_unsure", File { written: None, ..file(Kind::FileClose, Close, b"/srv/www/index.php") }),
        (
            "file_rename_joined",
            joined(File {
                other: b"/home/alice/../alice/b.sh",
                other_joined: true,
                ..file(Kind::FileRename, Rename, b"/home/alice/./a.sh")
            }),
        ),
        (
            "file_rename_replaced",
            File {
                other: b"/etc/ld.so.preload",
                before: Some(Object { inode: 99, mode: 0o100_644, nlink: 1, ..plain() }),
                replaced: true,
                origin: fexit,
                ..file(Kind::FileRename, Rename, b"/tmp/x")
            },
        ),
        (
            "file_delete",
            File {
                object: Object { nlink: 0, deleted: true, ..plain() },
                origin: fexit,
                ..file(Kind::FileDelete, Unlink, b"/var/log/wtmp")
            },
        ),
        (
            "file_link_fault",
            joined(File {
                other: b"",
                other_fault: true,
                other_joined: true,
                ..file(Kind::FileLink, Link, b"/usr/bin/sudo")
            }),
        ),
        (
            "file_link_symbolic",
            File { other: b"../secret\xff", ..file(Kind::FileLink, Symlink, b"/tmp/l\nx") },
        ),
        (
            "file_mkdir",
            File {
                object: Object { mode: 0o040_755, ..plain() },
                ..file(Kind::FileMkdir, Mkdir, b"/tmp/.hidden")
            },
        ),
        (
            "file_mode_setuid",
            File {
                object: Object { mode: 0o104_755, uid: 0, gid: 0, ..plain() },
                before: Some(Object { mode: 0o100_755, uid: 0, gid: 0, ..plain() }),
                origin: fexit,
                ..file(Kind::FileMode, Chmod, b"/usr/local/bin/helper")
            },
        ),
        ("file_owner_joined", joined(File { ..file(Kind::FileOwner, Chown, b"/home/alice//x") })),
        (
            "file_xattr",
            File { name: b"security.capability", ..file(Kind::FileXattr, Setxattr, b"/usr/bin/python3.11") },
        ),
        (
            "file_truncate",
            File {
                object: Object { size_bytes: 0, ..plain() },
                ..file(Kind::FileTruncate, Truncate, b"/var/log/auth.log")
            },
        ),
        (
            "file_times_backdated",
            File {
                arguments: [u64::MAX, 1_600_000_000_000_000_000],
                ..file(Kind::FileTimes, Utimes, b"/usr/bin/.cache")
            },
        ),
        (
            "mount_bind_cut",
            File {
                object: Object { path_joined: true, path_cut: true, ..Object::default() },
                other: b"/etc",
                name: b"none",
                arguments: [4096 | 16384, 0],
                other_cut: true,
                ..file(Kind::Mount, Mount, b"/mnt/host")
            },
        ),
        (
            "mount_denied",
            File {
                errno: 1,
                object: Object { path_fault: true, path_joined: true, ..Object::default() },
                name: b"proc",
                origin: Origin { trimmed: true, ..fexit },
                ..file(Kind::Mount, Mount, b"")
            },
        ),
        (
            "mount_chroot",
            File { object: Object { memfd: true, ..plain() }, ..file(Kind::Mount, Chroot, b"/srv/jail") },
        ),
    ]
}
