//! The `file` object of file events, and what ECS has no words for.
//!
//! `file.path` is the name that is there after the operation: of a rename the new one, of a link the further one, of a
//! mount the directory. Where it was before is `sentineledge.file.source_path`.
//!
//! A path that is joined is shown without detours (see [`Path`](crate::event::Path)); as it came it is in
//! `sentineledge.file.unresolved_path`.

use super::Names;
use super::notes::Notes;
use crate::event::json::{Object, decimal, key};
use crate::event::process::base_name;
use crate::event::{File, FileOp, Kind, Object as Subject};

/// `S_IFMT` and the types in it, see inode(7).
const TYPE_MASK: u32 = 0o170_000;
const TYPES: [(u32, &str); 7] = [
    (0o100_000, "file"),
    (0o040_000, "dir"),
    (0o120_000, "symlink"),
    (0o060_000, "block_device"),
    (0o020_000, "character_device"),
    (0o010_000, "fifo"),
    (0o140_000, "socket"),
];

/// Flags of an open that tell something about its purpose, by name; where x86 and arm64 have the same numbers.
const OPEN_FLAGS: [(u32, &str); 9] = [
    (0o100, "O_CREAT"),
    (0o200, "O_EXCL"),
    (0o400, "O_NOCTTY"),
    (0o1000, "O_TRUNC"),
    (0o2000, "O_APPEND"),
    (0o4000, "O_NONBLOCK"),
    (0o4_010_000, "O_SYNC"),
    (0o2_000_000, "O_CLOEXEC"),
    (0o20_000_000, "O_TMPFILE"),
];

/// Those whose numbers differ.
pub(super) type OwnFlags = [(u32, &'static str); 2];

/// The numbers of a host's machine, named as uname(2) has it. It need not be this one: a recording may be from elsewhere.
pub(super) fn own_flags(machine: &str) -> OwnFlags {
    match machine {
        "aarch64" | "armv8l" => [(0o200_000, "O_DIRECT"), (0o100_000, "O_NOFOLLOW")],
        _ => [(0o40_000, "O_DIRECT"), (0o400_000, "O_NOFOLLOW")],
    }
}

/// Flags of mount(2), include/uapi/linux/mount.h.
const MOUNT_FLAGS: [(u64, &str); 14] = [
    (1, "MS_RDONLY"),
    (2, "MS_NOSUID"),
    (4, "MS_NODEV"),
    (8, "MS_NOEXEC"),
    (16, "MS_SYNCHRONOUS"),
    (32, "MS_REMOUNT"),
    (1024, "MS_NOATIME"),
    (4096, "MS_BIND"),
    (8192, "MS_MOVE"),
    (16384, "MS_REC"),
    (1 << 17, "MS_UNBINDABLE"),
    (1 << 18, "MS_PRIVATE"),
    (1 << 19, "MS_SLAVE"),
    (1 << 20, "MS_SHARED"),
];

/// Times that are set this far before the moment of the call are called back-dated. Tools that copy or unpack files do
/// that too; it is for a rule to say where it matters.
const BACKDATED_NS: u64 = 60_000_000_000;

/// Access and modification time that utimensat() leaves alone come as this.
const OMITTED: u64 = u64::MAX;

/// `event.type`, where it is not the kind's.
pub(super) fn types(event: &File<'_>) -> Option<&'static [&'static str]> {
    match event.op {
        FileOp::Create => Some(&["creation"]),
        FileOp::Open if event.kind == Kind::FileOpen => Some(&["access", "change"]),
        _ => None,
    }
}

/// Writes `"file":{...}`.
pub(super) fn write(o: &mut Object<'_>, event: &File<'_>, names: &dyn Names, notes: &mut Notes) {
    let (path, _) = event.paths();
    let text = path.text();
    o.object(key!("file"), |o| {
        notes.cut("file.path", path.is_cut);
        if !text.is_empty() {
            notes.text(o, "file.path", key!("path"), &text);
            let name = base_name(&text);
            if !name.is_empty() {
                notes.text(o, "file.name", key!("name"), name);
                if let Some(extension) = extension(name) {
                    notes.text(o, "file.extension", key!("extension"), extension);
                }
            }
            if let Some(directory) = directory(&text) {
                notes.text(o, "file.directory", key!("directory"), directory);
            }
        }
        if event.op == FileOp::Symlink && !event.other.is_empty() {
            notes.cut("file.target_path", event.other_cut);
            notes.text(o, "file.target_path", key!("target_path"), event.other);
        }
        object(o, event, names);
    });
}

/// What the kernel holds of the file; where nothing but new values is known, those.
fn object(o: &mut Object<'_>, event: &File<'_>, names: &dyn Names) {
    let object = &event.object;
    let is_known = object.inode != 0;
    if is_known {
        if let Some((_, name)) = TYPES.iter().find(|(bits, _)| *bits == object.mode & TYPE_MASK) {
            o.plain(key!("type"), name.as_bytes());
        }
        o.digits(key!("inode"), object.inode);
        o.plain(key!("device"), &device(object.device));
    }
    if event.has_mode() {
        o.plain(key!("mode"), &mode(object.mode));
    }
    if let Some(uid) = event.owner() {
        o.digits(key!("uid"), u64::from(uid));
        if let Some(owner) = names.user(uid) {
            o.text(key!("owner"), owner.as_bytes());
        }
    }
    if (is_known || event.op == FileOp::Chown) && object.gid != u32::MAX {
        o.digits(key!("gid"), u64::from(object.gid));
        if let Some(group) = names.group(object.gid) {
            o.text(key!("group"), group.as_bytes());
        }
    }
    if is_known {
        o.time(key!("mtime"), u64::try_from(object.mtime_ns).unwrap_or(0));
        o.time(key!("ctime"), u64::try_from(object.ctime_ns).unwrap_or(0));
    }
    if is_known || event.op == FileOp::Truncate {
        o.number(key!("size"), object.size_bytes);
    }
}

/// The rest, under `sentineledge`.
pub(super) fn own(o: &mut Object<'_>, event: &File<'_>, flags: &OwnFlags, wall_ns: u64, notes: &mut Notes) {
    let (path, source) = event.paths();
    o.object(key!("file"), |o| {
        o.plain(key!("operation"), event.op.name().as_bytes());
        if let Some(source) = &source {
            notes.cut("sentineledge.file.source_path", source.is_cut);
            notes.text(o, "sentineledge.file.source_path", key!("source_path"), &source.text());
        }
        if path.is_joined && *path.text() != *path.raw {
            notes.text(o, "sentineledge.file.unresolved_path", key!("unresolved_path"), path.raw);
        }
        if !event.given.is_empty() {
            notes.text(o, "sentineledge.file.given_path", key!("given_path"), event.given);
        }
        match event.op {
            FileOp::Open | FileOp::Create => open_flags(o, event.open_flags, flags),
            FileOp::Setxattr | FileOp::Removexattr => {
                notes.text(o, "sentineledge.file.attribute", key!("attribute"), event.name)
            }
            FileOp::Utimes => times(o, event, wall_ns),
            FileOp::Close => {
                if let Some(written) = event.written {
                    o.boolean(key!("written"), written);
                }
            }
            _ => {}
        }
        o.flag(key!("replaced"), event.replaced);
        if let Some(before) = &event.before {
            o.object(key!("before"), |o| self::before(o, before));
        }
        let object = &event.object;
        if object.inode != 0 {
            o.number(key!("links"), u64::from(object.nlink));
            o.hex(key!("filesystem_magic"), object.fs_magic);
        }
        o.flag(key!("deleted"), object.deleted);
        o.flag(key!("memfd"), object.memfd);
        o.flag(key!("overlay"), object.overlay);
        o.flag(key!("overlay_upper"), object.overlay_upper);
        o.flag(key!("detached"), object.path_detached);
        o.flag(key!("path_unreadable"), object.path_fault || event.other_fault);
    });
    if event.kind == Kind::Mount {
        mount(o, event, notes);
    }
}

fn mount(o: &mut Object<'_>, event: &File<'_>, notes: &mut Notes) {
    o.object(key!("mount"), |o| {
        if !event.other.is_empty() {
            notes.cut("sentineledge.mount.source", event.other_cut);
            notes.text(o, "sentineledge.mount.source", key!("source"), event.other);
        }
        if !event.name.is_empty() {
            notes.text(o, "sentineledge.mount.type", key!("type"), event.name);
        }
        let [flags, _] = event.arguments;
        if flags != 0 && event.op == FileOp::Mount {
            let set = MOUNT_FLAGS.iter().filter(|(bit, _)| flags & bit != 0);
            o.texts(key!("flags"), set.map(|(_, name)| name.as_bytes()));
        }
    });
}

fn before(o: &mut Object<'_>, before: &Subject) {
    o.digits(key!("inode"), before.inode);
    o.plain(key!("mode"), &mode(before.mode));
    o.digits(key!("uid"), u64::from(before.uid));
    o.digits(key!("gid"), u64::from(before.gid));
    o.number(key!("size"), before.size_bytes);
    o.number(key!("links"), u64::from(before.nlink));
}

pub(super) fn open_flags(o: &mut Object<'_>, flags: u32, own: &OwnFlags) {
    let access = match flags & 3 {
        0 => "O_RDONLY",
        1 => "O_WRONLY",
        _ => "O_RDWR",
    };
    let set = OPEN_FLAGS.iter().chain(own).filter(|(bits, _)| flags & bits == *bits);
    o.texts(key!("flags"), std::iter::once(access).chain(set.map(|(_, name)| *name)).map(str::as_bytes));
}

/// Times as they were set.
fn times(o: &mut Object<'_>, event: &File<'_>, wall_ns: u64) {
    let [accessed, modified] = event.arguments;
    if accessed != OMITTED {
        o.time(key!("set_accessed"), accessed);
    }
    if modified != OMITTED {
        o.time(key!("set_mtime"), modified);
        o.flag(key!("backdated"), modified.saturating_add(BACKDATED_NS) < wall_ns);
    }
}

/// Major and minor number with a colon between.
pub(super) fn device((major, minor): (u32, u32)) -> Vec<u8> {
    let mut text = Vec::with_capacity(16);
    decimal(&mut text, u64::from(major));
    text.push(b':');
    decimal(&mut text, u64::from(minor));
    text
}

/// Four octal digits.
pub fn mode(mode: u32) -> [u8; 4] {
    [9, 6, 3, 0].map(|shift| b'0' + u8::try_from(mode >> shift & 7).unwrap_or(0))
}

/// What is behind the last dot, if there is something before it too.
fn extension(name: &[u8]) -> Option<&[u8]> {
    let dot = name.iter().rposition(|&b| b == b'.').filter(|&at| at > 0)?;
    name.get(dot + 1..).filter(|rest| !rest.is_empty())
}

/// The path without its last component.
fn directory(path: &[u8]) -> Option<&[u8]> {
    let slash = path.iter().rposition(|&b| b == b'/')?;
    if slash == 0 { Some(b"/") } else { path.get(..slash) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_extensions() {
        assert_eq!(extension(b"a.tar.gz"), Some(&b"gz"[..]));
        assert_eq!(extension(b".bashrc"), None);
        assert_eq!(extension(b"x."), None);
        assert_eq!(directory(b"/x"), Some(&b"/"[..]));
        assert_eq!(directory(b"/a/b"), Some(&b"/a"[..]));
        assert_eq!(directory(b"memfd:x"), None);
        assert_eq!(&mode(0o104_755), b"4755");
        assert_eq!(device((8, 17)), b"8:17");
    }
}
