//! What was done to files.

use super::{Kind, Origin, Path, Task};

/// A file as the kernel holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Object {
    /// Inode number; 0: the file is not known.
    pub inode: u64,
    /// The filesystem's magic number.
    pub fs_magic: u64,
    /// Size.
    pub size_bytes: u64,
    /// Modification time, wall clock, nanoseconds.
    pub mtime_ns: i64,
    /// Change time, wall clock, nanoseconds.
    pub ctime_ns: i64,
    /// Device of the filesystem, major and minor.
    pub device: (u32, u32),
    /// File type and permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// Names of the inode; 0 means deleted.
    pub nlink: u32,
    /// The head of the path is missing.
    pub path_cut: bool,
    /// The path does not begin at the mount namespace's root.
    pub path_detached: bool,
    /// No name is left.
    pub deleted: bool,
    /// Lives in a memfd.
    pub memfd: bool,
    /// Lives on an overlay filesystem.
    pub overlay: bool,
    /// ... in its upper layer.
    pub overlay_upper: bool,
    /// Directory from the kernel, the rest from user memory and not resolved.
    pub path_joined: bool,
    /// The path in user memory was not readable.
    pub path_fault: bool,
}

/// What exactly was done. The numbers are those of `enum se_file_op`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum FileOp {
    /// Opened.
    Open = 1,
    /// Opened, which made the file.
    Create = 2,
    /// Closed.
    Close = 3,
    /// Got another name.
    Rename = 4,
    /// Two names swapped what they mean.
    Exchange = 5,
    /// A name was removed.
    Unlink = 6,
    /// A directory was removed.
    Rmdir = 7,
    /// Got a further name.
    Link = 8,
    /// A symbolic link was made.
    Symlink = 9,
    /// A directory was made.
    Mkdir = 10,
    /// A device, pipe or socket was made.
    Mknod = 11,
    /// Permissions were set.
    Chmod = 12,
    /// Owner or group was set.
    Chown = 13,
    /// An extended attribute was set.
    Setxattr = 14,
    /// An extended attribute was removed.
    Removexattr = 15,
    /// The length was set.
    Truncate = 16,
    /// Times were set.
    Utimes = 17,
    /// Mounted.
    Mount = 18,
    /// Unmounted.
    Umount = 19,
    /// The root of the mount namespace changed.
    PivotRoot = 20,
    /// The root of the process changed.
    Chroot = 21,
    /// A mount moved.
    MoveMount = 22,
}

impl FileOp {
    /// Every operation, in the order of the numbers.
    pub const ALL: &'static [FileOp] = &[
        FileOp::Open,
        FileOp::Create,
        FileOp::Close,
        FileOp::Rename,
        FileOp::Exchange,
        FileOp::Unlink,
        FileOp::Rmdir,
        FileOp::Link,
        FileOp::Symlink,
        FileOp::Mkdir,
        FileOp::Mknod,
        FileOp::Chmod,
        FileOp::Chown,
        FileOp::Setxattr,
        FileOp::Removexattr,
        FileOp::Truncate,
        FileOp::Utimes,
        FileOp::Mount,
        FileOp::Umount,
        FileOp::PivotRoot,
        FileOp::Chroot,
        FileOp::MoveMount,
    ];

    /// The operation with this number.
    pub fn from_number(number: u32) -> Option<FileOp> {
        FileOp::ALL.iter().copied().find(|op| *op as u32 == number)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            FileOp::Open => "open",
            FileOp::Create => "create",
            FileOp::Close => "close",
            FileOp::Rename => "rename",
            FileOp::Exchange => "exchange",
            FileOp::Unlink => "unlink",
            FileOp::Rmdir => "rmdir",
            FileOp::Link => "link",
            FileOp::Symlink => "symlink",
            FileOp::Mkdir => "mkdir",
            FileOp::Mknod => "mknod",
            FileOp::Chmod => "chmod",
            FileOp::Chown => "chown",
            FileOp::Setxattr => "setxattr",
            FileOp::Removexattr => "removexattr",
            FileOp::Truncate => "truncate",
            FileOp::Utimes => "utimes",
            FileOp::Mount => "mount",
            FileOp::Umount => "umount",
            FileOp::PivotRoot => "pivot_root",
            FileOp::Chroot => "chroot",
            FileOp::MoveMount => "move_mount",
        }
    }
}

/// Something was done to a file.
#[derive(Debug, Clone, PartialEq)]
pub struct File<'a> {
    /// One of the file kinds, or a mount.
    pub kind: Kind,
    /// Who did it.
    pub task: Task<'a>,
    /// How it was seen.
    pub origin: Origin,
    /// The file after the operation, or before it if it is gone.
    pub object: Object,
    /// The file before the operation, or the one that it replaced (see `replaced`).
    pub before: Option<Object>,
    /// Mount flags; or the times that were set, wall clock in nanoseconds, access and modification.
    pub arguments: [u64; 2],
    /// What exactly was done.
    pub op: FileOp,
    /// Positive errno, 0 if it worked.
    pub errno: u32,
    /// `O_*` of an open.
    pub open_flags: u32,
    /// Path of the file, or where it was before.
    pub path: &'a [u8],
    /// Where it is now, the further name, the content of a symbolic link, what was mounted, or where the old root
    /// went.
    pub other: &'a [u8],
    /// Name of the extended attribute, or type of the filesystem.
    pub name: &'a [u8],
    /// The path in user memory, where its name is not the object's.
    pub given: &'a [u8],
    /// A close: the contents changed since the open.
    pub written: Option<bool>,
    /// A rename: the new name meant another file, which is `before`.
    pub replaced: bool,
    /// Asked for through an io_uring; nobody is told whether it worked.
    pub pending: bool,
    /// `other` lost its head.
    pub other_cut: bool,
    /// `other` is a directory from the kernel and the rest from user memory.
    pub other_joined: bool,
    /// `other` was not readable.
    pub other_fault: bool,
}

impl<'a> File<'a> {
    /// Where the file is after the operation, and where it came from if that is another place.
    pub fn paths(&self) -> (Path<'a>, Option<Path<'a>>) {
        let path = Path { raw: self.path, is_joined: self.object.path_joined, is_cut: self.object.path_cut };
        let other = Path { raw: self.other, is_joined: self.other_joined, is_cut: self.other_cut };
        match self.op {
            FileOp::Rename | FileOp::Exchange | FileOp::Link | FileOp::MoveMount => (other, Some(path)),
            _ => (path, None),
        }
    }

    /// The record holds permissions: those of the file that the kernel knows, or those that were asked for.
    pub fn has_mode(&self) -> bool {
        self.object.inode != 0 || matches!(self.op, FileOp::Chmod | FileOp::Mkdir | FileOp::Mknod)
    }

    /// The owner, known or asked for; chown() leaves alone what is given as -1.
    pub fn owner(&self) -> Option<u32> {
        let is_told = self.object.inode != 0 || self.op == FileOp::Chown;
        Some(self.object.uid).filter(|uid| is_told && *uid != u32::MAX)
    }
}
