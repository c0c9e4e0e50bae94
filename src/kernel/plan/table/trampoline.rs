//! Rungs of trampolines, put into the sensors of their subjects.
//!
//! Most are pairs: what the beginning of a function shows is needed at its end. The numbers of arguments are those that
//! the programs know what to make of, see `bpf/lib/trampoline.bpf.h`.

use super::{Entry, Level, Rung, calls, deep, privilege, remarked, trampoline};
use crate::kernel::plan::calls::Results;
use crate::metrics::label::Program;

const fn rung(entries: &'static [Entry]) -> Rung {
    Rung { level: Level::Trampoline, entries }
}

const OPEN_BEGINS: Entry =
    trampoline(Program::OpenBegins, "do_dentry_open", &[2, 3], "fentry/do_dentry_open");
const OPENED: Entry =
    deep(trampoline(Program::Opened, "do_dentry_open", &[2, 3], "fexit/do_dentry_open"), "se_t_open_bnd");

/// Opens.
pub(super) const OPEN: Rung = rung(&[OPEN_BEGINS, OPENED]);

/// Closes of what was open for writing; the open notes what there was before.
pub(super) const CLOSE: Rung = rung(&[
    OPEN_BEGINS,
    OPENED,
    deep(trampoline(Program::Closed, "__fput", &[1], "fentry/__fput"), "se_t_close_bnd"),
]);

/// Renames.
pub(super) const RENAME: Rung = rung(&[
    trampoline(Program::RenameBegins, "security_path_rename", &[5], "fentry/security_path_rename"),
    deep(trampoline(Program::Renamed, "vfs_rename", &[1], "fexit/vfs_rename"), "se_t_rename_bnd"),
]);

/// Files and directories that go.
pub(super) const DELETE: Rung = rung(&[
    trampoline(Program::UnlinkBegins, "security_path_unlink", &[2], "fentry/security_path_unlink"),
    deep(trampoline(Program::Unlinked, "vfs_unlink", &[3, 4], "fexit/vfs_unlink"), "se_t_unlink_bnd"),
    trampoline(Program::RmdirBegins, "security_path_rmdir", &[2], "fentry/security_path_rmdir"),
    deep(trampoline(Program::Removed, "d_delete", &[1], "fentry/d_delete"), "se_t_rmdir_bnd"),
]);

/// Links of both sorts.
pub(super) const LINK: Rung = rung(&[
    trampoline(Program::LinkBegins, "security_path_link", &[3], "fentry/security_path_link"),
    deep(trampoline(Program::Linked, "vfs_link", &[4, 5], "fexit/vfs_link"), "se_t_link_bnd"),
    trampoline(Program::SymlinkBegins, "security_path_symlink", &[3], "fentry/security_path_symlink"),
    deep(trampoline(Program::Symlinked, "vfs_symlink", &[3, 4, 5], "fexit/vfs_symlink"), "se_t_symln_bnd"),
]);

/// Directories, devices and pipes that are made.
pub(super) const MKDIR: Rung = rung(&[
    trampoline(Program::MkdirBegins, "security_path_mkdir", &[3], "fentry/security_path_mkdir"),
    deep(trampoline(Program::DirectoryMade, "vfs_mkdir", &[3, 4, 5], "fexit/vfs_mkdir"), "se_t_mkdir_bnd"),
    trampoline(Program::MknodBegins, "security_path_mknod", &[4], "fentry/security_path_mknod"),
    deep(trampoline(Program::NodeMade, "vfs_mknod", &[4, 5, 6], "fexit/vfs_mknod"), "se_t_mknod_bnd"),
]);

/// Permissions.
pub(super) const MODE: Rung = rung(&[
    trampoline(Program::ChmodBegins, "chmod_common", &[2], "fentry/chmod_common"),
    deep(trampoline(Program::ModeChanged, "chmod_common", &[2], "fexit/chmod_common"), "se_t_chmod_bnd"),
]);

/// Owners.
pub(super) const OWNER: Rung = rung(&[
    trampoline(Program::ChownBegins, "chown_common", &[3], "fentry/chown_common"),
    deep(trampoline(Program::OwnerChanged, "chown_common", &[3], "fexit/chown_common"), "se_t_chown_bnd"),
]);

/// Extended attributes.
pub(super) const XATTR: Rung = rung(&[
    deep(trampoline(Program::XattrSet, "vfs_setxattr", &[5, 6], "fexit/vfs_setxattr"), "se_t_setxat_bnd"),
    deep(
        trampoline(Program::XattrRemoved, "vfs_removexattr", &[2, 3], "fexit/vfs_removexattr"),
        "se_t_remxat_bnd",
    ),
]);

/// Lengths.
pub(super) const TRUNCATE: Rung = rung(&[
    trampoline(Program::TruncatePath, "vfs_truncate", &[2], "fentry/vfs_truncate"),
    trampoline(Program::TruncateBegins, "do_truncate", &[4, 5], "fentry/do_truncate"),
    deep(trampoline(Program::Truncated, "do_truncate", &[4, 5], "fexit/do_truncate"), "se_t_trunc_bnd"),
]);

/// Times.
pub(super) const TIMES: Rung = rung(&[
    trampoline(Program::TimesBegin, "vfs_utimes", &[2], "fentry/vfs_utimes"),
    deep(trampoline(Program::TimesSet, "vfs_utimes", &[2], "fexit/vfs_utimes"), "se_t_times_bnd"),
]);

/// Mounts and roots.
pub(super) const MOUNT: Rung = rung(&[
    deep(trampoline(Program::Mounted, "path_mount", &[5], "fexit/path_mount"), "se_t_mount_bnd"),
    trampoline(Program::UmountBegins, "path_umount", &[2], "fentry/path_umount"),
    deep(trampoline(Program::Unmounted, "path_umount", &[2], "fexit/path_umount"), "se_t_umount_bnd"),
    deep(
        remarked(
            trampoline(Program::PivotRoot, "security_sb_pivotroot", &[2], "fexit/security_sb_pivotroot"),
            "seen when the security modules allow it, just before it is done",
        ),
        "se_t_pivot_bnd",
    ),
    deep(
        trampoline(Program::Chroot, "security_path_chroot", &[1], "fexit/security_path_chroot"),
        "se_t_chroot_bnd",
    ),
    deep(
        remarked(
            trampoline(Program::MoveMount, "security_move_mount", &[2], "fexit/security_move_mount"),
            "seen when the security modules allow it, just before it is done",
        ),
        "se_t_moved_bnd",
    ),
]);

const COMMIT: Entry = trampoline(Program::CredentialsCommitted, "commit_creds", &[1], "fentry/commit_creds");

/// Credentials; what is refused never gets to the function.
pub(super) const CREDENTIALS_AND_REFUSALS: Rung =
    rung(&[COMMIT, calls(Program::CallCreds, privilege::CREDENTIALS, Results::Bad, "kernel", None)]);

/// Credentials without what is refused.
pub(super) const CREDENTIALS: Rung = rung(&[COMMIT]);
