//! Running processes: what the kernel's task iterator does not tell, and the fallback where there is none.
//!
//! /proc gives a start time in ticks of 10 ms, rounded down; records give nanoseconds of the same clock. Two
//! starts are taken for the same if they fall into one tick, which no pid can be reused within. (In a time
//! namespace of its own the agent would see shifted starts; it is not meant to run in one.)
//!
//! Fields other than [`Process::stat`] are optional: a process may exit at any moment, and another user's links
//! need a privilege to be read.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;

use super::stat::Stat;
use super::{Procfs, fields, lines, number};

/// Most bytes read of a file of a process.
const FILE_MAX: usize = 64 * 1024;

/// A running process as /proc shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Identity and the like.
    pub stat: Stat,
    /// Path of the program.
    pub executable: Option<Vec<u8>>,
    /// The program's file has no name any more.
    pub executable_deleted: bool,
    /// NUL-separated arguments, as the process shows them now.
    pub args: Vec<u8>,
    /// Working directory.
    pub cwd: Option<Vec<u8>>,
    /// Credentials.
    pub ids: Option<Ids>,
}

/// Credentials out of `/proc/PID/status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ids {
    /// Real, effective, saved and filesystem user.
    pub users: [u32; 4],
    /// Real, effective, saved and filesystem group.
    pub groups: [u32; 4],
}

impl Ids {
    /// Parses `/proc/PID/status`.
    pub fn parse(status: &[u8]) -> Option<Ids> {
        let four = |key: &[u8]| {
            // `Name:` comes first and its value has line feeds escaped, so no process can fake a line.
            let line = lines(status).find_map(|line| line.strip_prefix(key))?;
            let mut ids = [0; 4];
            let mut texts = fields(line);
            for id in &mut ids {
                *id = number(texts.next()?)?;
            }
            Some(ids)
        };
        Some(Ids { users: four(b"Uid:")?, groups: four(b"Gid:")? })
    }
}

impl Procfs {
    /// Pids of all processes, ascending. Empty if the directory cannot be read.
    pub fn pids(&self) -> Vec<u32> {
        let entries = fs::read_dir(self.root()).into_iter().flatten().flatten();
        let mut pids: Vec<u32> = entries.filter_map(|e| number(e.file_name().as_encoded_bytes())).collect();
        pids.sort_unstable();
        pids
    }

    /// Identity of a process.
    pub fn stat(&self, pid: u32) -> Option<Stat> {
        Stat::parse(&self.read(format!("{pid}/stat"), 4096).ok()?)
    }

    /// NUL-separated arguments of the process with this start (boot clock, nanoseconds), `limit` bytes at most.
    /// The start is compared after reading: if the pid has it then, it had it before.
    pub fn cmdline(&self, pid: u32, start_ns: u64, limit: usize) -> Option<Vec<u8>> {
        let args = self.read(format!("{pid}/cmdline"), limit).ok()?;
        let stat = self.stat(pid)?;
        (stat.start_ns() == start_ns - start_ns % 10_000_000).then_some(args)
    }

    /// Everything of a process; `None` if it is gone, or its pid changed hands meanwhile. `args_limit` bounds
    /// the arguments in bytes.
    pub fn process(&self, pid: u32, args_limit: usize) -> Option<Process> {
        let stat = self.stat(pid)?;
        let link = |name: &str| fs::read_link(self.path(format!("{pid}/{name}"))).ok();
        let links = |name: &str| fs::metadata(self.path(format!("{pid}/{name}"))).ok().map(|m| m.nlink());
        let deleted = links("exe") == Some(0);
        let executable = link("exe").map(|path| {
            let path = path.into_os_string().into_vec();
            // A file may really be called so; only without a link left it is the kernel's word.
            let shown = path.strip_suffix(b" (deleted)").filter(|_| deleted);
            shown.map(<[u8]>::to_vec).unwrap_or(path)
        });
        let process = Process {
            executable,
            executable_deleted: deleted,
            args: self.read(format!("{pid}/cmdline"), args_limit).unwrap_or_default(),
            cwd: link("cwd").map(|path| path.into_os_string().into_vec()),
            ids: self.read(format!("{pid}/status"), FILE_MAX).ok().and_then(|text| Ids::parse(&text)),
            stat,
        };
        let now = self.stat(pid)?;
        (now.start_ticks == process.stat.start_ticks).then_some(process)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fake() -> (tempfile::TempDir, Procfs) {
        let dir = tempfile::tempdir().unwrap();
        let proc = Procfs::new(dir.path());
        (dir, proc)
    }

    fn put(proc: &Procfs, pid: u32, start_ticks: u64, args: &[u8]) {
        let dir = proc.path(pid.to_string());
        fs::create_dir_all(&dir).unwrap();
        let stat = format!("{pid} (a b) S 1 7 7 0 -1 64 0 0 0 0 0 0 0 0 20 0 1 0 {start_ticks} 0 0");
        fs::write(dir.join("stat"), stat).unwrap();
        fs::write(dir.join("cmdline"), args).unwrap();
    }

    #[test]
    fn arguments_only_of_the_process_that_was_meant() {
        let (_dir, proc) = fake();
        put(&proc, 7, 100, b"sh\0-c\0ls\0");
        assert_eq!(proc.cmdline(7, 1_000_000_000, 100).unwrap(), b"sh\0-c\0ls\0");
        assert_eq!(proc.cmdline(7, 1_009_999_999, 4).unwrap(), b"sh\0-");
        assert_eq!(proc.cmdline(7, 1_010_000_000, 100), None);
        assert_eq!(proc.cmdline(7, 999_999_999, 100), None);
        assert_eq!(proc.cmdline(8, 1_000_000_000, 100), None);
    }

    #[test]
    fn missing_links_are_missing_fields() {
        let (_dir, proc) = fake();
        put(&proc, 7, 100, b"x\0");
        let process = proc.process(7, 100).unwrap();
        assert_eq!((process.executable, process.cwd, process.ids), (None, None, None));
        assert_eq!(process.args, b"x\0");
        assert_eq!(proc.process(8, 100), None);
    }

    #[test]
    fn pids_are_numbers_only() {
        let (_dir, proc) = fake();
        for name in ["12", "3", "self", "sys", "4x", "+5", "99999999999"] {
            fs::create_dir(proc.path(name)).unwrap();
        }
        assert_eq!(proc.pids(), [3, 12]);
        assert!(Procfs::new("/nonexistent").pids().is_empty());
    }

    #[test]
    fn ourselves() {
        let proc = Procfs::default();
        let me = std::process::id();
        assert!(proc.pids().contains(&me));
        let process = proc.process(me, 4096).unwrap();
        assert_eq!(
            process.executable.unwrap(),
            std::env::current_exe().unwrap().as_os_str().as_encoded_bytes()
        );
        assert_eq!(process.cwd.unwrap(), std::env::current_dir().unwrap().as_os_str().as_encoded_bytes());
        assert_eq!(process.ids.unwrap().users[1], nix::unistd::geteuid().as_raw());
        assert!(process.args.ends_with(b"\0") && !process.executable_deleted);
    }

    #[test]
    fn status_lines_cannot_be_faked_by_a_name() {
        let status = b"Name:\tx\\nUid:\t0 0 0 0\nUmask:\t0022\nUid:\t1 2 3 4\nGid:\t5\t6\t7\t8\n";
        assert_eq!(Ids::parse(status), Some(Ids { users: [1, 2, 3, 4], groups: [5, 6, 7, 8] }));
        assert_eq!(Ids::parse(b"Uid:\t1 2 3\nGid:\t5\t6\t7\t8\n"), None);
    }

    proptest! {
        #[test]
        fn any_status_does_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Ids::parse(&bytes);
        }
    }
}
