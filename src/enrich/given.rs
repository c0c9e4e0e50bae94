//! Whether the path that a process passed in leads to the file that the kernel opened.
//!
//! The kernel side hands over the path in user memory only if its last name is not that of the opened file. A symbolic
//! link is the common reason, and a harmless one. The other is that somebody rewrote the path, or turned the link,
//! while the call was on its way: then who trusts the path is deceived. So the path is looked up once more, from the
//! root of the process:
//!
//! - it leads to the same inode: a link, no swap;
//! - it leads to another one: a swap;
//! - nothing can be said (the process or the file is gone, the file system has no stable inode numbers, or the answer
//!   is not in the kernel's caches): not a swap; the event shows the path.
//!
//! The look-up never waits for a disk or a server: RESOLVE_CACHED of Linux 5.12, without which nothing is said.
//! [`PER_SECOND`] bounds its cost. A relative path means the working directory only in calls that take no other
//! directory; in others it can clear of a swap and not convict.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::libc;
use nix::sys::stat::fstat;

use crate::event::{File, Kind};
use crate::procfs::Procfs;

/// Most look-ups a second.
const PER_SECOND: u32 = 500;

/// PROC_SUPER_MAGIC.
const PROC_MAGIC: u64 = 0x9fa0;

/// `enum se_call`: the calls whose relative paths begin in the working directory.
const FROM_CWD: [u32; 2] = [3, 6];

/// See the module.
#[derive(Debug)]
pub(super) struct Given {
    proc: Option<Procfs>,
    second: u64,
    done: u32,
}

impl Given {
    /// Without /proc, as in a replay, nothing is ever said.
    pub fn new(proc: Option<Procfs>) -> Self {
        Given { proc, second: 0, done: 0 }
    }

    /// The path leads elsewhere.
    pub fn is_swapped(&mut self, event: &File<'_>, time_ns: u64) -> bool {
        let is_open = matches!(event.kind, Kind::FileOpen | Kind::FileRead) && event.errno == 0;
        if !is_open || event.given.is_empty() || event.object.inode == 0 || event.origin.merged > 0 {
            return false;
        }
        // On an overlay inode numbers are those of a layer below, or made up. And links such as /etc/mtab lead into
        // /proc/self, which is another process for whoever looks it up.
        if event.object.overlay || event.object.fs_magic == PROC_MAGIC {
            return false;
        }
        let Some(proc) = &self.proc else { return false };
        let second = time_ns / 1_000_000_000;
        if second != self.second {
            (self.second, self.done) = (second, 0);
        }
        if self.done >= PER_SECOND {
            return false;
        }
        self.done += 1;
        let is_absolute = event.given.first() == Some(&b'/');
        let found = inode(proc, event.task.pid, event.given, is_absolute);
        let is_sure = is_absolute || FROM_CWD.contains(&event.origin.call);
        found.is_some_and(|inode| inode != event.object.inode && is_sure)
    }
}

/// The inode that the path leads to now, if the kernel knows without asking anybody.
fn inode(proc: &Procfs, pid: u32, path: &[u8], is_absolute: bool) -> Option<u64> {
    let flags = (OFlag::O_PATH | OFlag::O_DIRECTORY).bits();
    let root =
        OpenOptions::new().read(true).custom_flags(flags).open(proc.path(format!("{pid}/root"))).ok()?;
    let mut whole = PathBuf::new();
    if !is_absolute {
        // As the agent sees it; of a process with another root it is not below that one, and nothing is found.
        whole.push(std::fs::read_link(proc.path(format!("{pid}/cwd"))).ok()?);
    }
    whole.push(OsStr::from_bytes(path));
    let resolve = ResolveFlag::RESOLVE_IN_ROOT
        | ResolveFlag::RESOLVE_NO_MAGICLINKS
        | ResolveFlag::from_bits_retain(libc::RESOLVE_CACHED);
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(resolve);
    let found = openat2(root.as_fd(), whole.as_path(), how).ok()?;
    fstat(found).ok().map(|stat| stat.st_ino)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::path::Path;

    use super::*;
    use crate::event::{FileOp, Hook, Object, Origin, Task};

    /// An open by this process of the file at `opened`, with `given` in user memory.
    fn event<'a>(opened: &Path, given: &'a Path, call: u32) -> File<'a> {
        File {
            kind: Kind::FileOpen,
            task: Task { pid: std::process::id(), ..Task::default() },
            origin: Origin { hook: Hook::SysExit, call, ..Origin::default() },
            object: Object { inode: fs::metadata(opened).unwrap().ino(), ..Object::default() },
            before: None,
            arguments: [0; 2],
            op: FileOp::Open,
            errno: 0,
            open_flags: 0,
            path: b"",
            other: b"",
            name: b"",
            given: given.as_os_str().as_bytes(),
            written: None,
            replaced: false,
            other_cut: false,
            other_joined: false,
            other_fault: false,
            pending: false,
        }
    }

    #[test]
    fn a_link_is_no_swap_and_another_file_is_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| fs::canonicalize(directory.path()).unwrap().join(name);
        fs::write(path("a"), "").unwrap();
        fs::write(path("b"), "").unwrap();
        symlink("a", path("link")).unwrap();
        // Into the kernel's caches.
        for name in ["a", "b", "link"] {
            fs::metadata(path(name)).unwrap();
        }
        let mut given = Given::new(Some(Procfs::default()));
        let mut is_swapped = |opened: &str, text: &Path| given.is_swapped(&event(&path(opened), text, 4), 0);
        assert!(!is_swapped("a", &path("link")), "leads to the opened file");
        assert!(!is_swapped("a", &path("gone")), "cannot be told");
        // Before Linux 5.12 nothing is ever said.
        let knows =
            inode(&Procfs::default(), std::process::id(), path("b").as_os_str().as_bytes(), true).is_some();
        assert_eq!(is_swapped("a", &path("b")), knows);
        assert_eq!(is_swapped("b", &path("link")), knows);
        assert!(!is_swapped("a", Path::new("b")), "a relative path of openat() may mean any directory");
        for change in [|o: &mut Object| o.overlay = true, |o: &mut Object| o.fs_magic = PROC_MAGIC] {
            let (opened, text) = (path("a"), path("b"));
            let mut event = event(&opened, &text, 4);
            change(&mut event.object);
            assert!(!Given::new(Some(Procfs::default())).is_swapped(&event, 0));
        }
        assert!(!Given::new(None).is_swapped(&event(&path("a"), &path("b"), 4), 0));
    }

    #[test]
    fn look_ups_are_limited_by_the_second() {
        let directory = tempfile::tempdir().unwrap();
        let (a, b) = (directory.path().join("a"), directory.path().join("b"));
        fs::write(&a, "").unwrap();
        fs::write(&b, "").unwrap();
        let mut given = Given::new(Some(Procfs::default()));
        for _ in 0..PER_SECOND + 5 {
            given.is_swapped(&event(&a, &b, 4), 7_000_000_000);
        }
        assert_eq!(given.done, PER_SECOND);
        given.is_swapped(&event(&a, &b, 4), 8_000_000_000);
        assert_eq!(given.done, 1);
    }
}
