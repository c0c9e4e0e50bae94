//! Readers of /proc and its like, with an injectable root.
//!
//! Everything here is a bounded read followed by a pure, tolerant parser: text that makes no sense yields `None`
//! or fewer fields, never a panic, as the names in it are chosen by whoever is being watched. Files vanish while
//! they are read; that is an ordinary `None` too. Nothing here is called for an ordinary event: it serves the
//! start, the recovery from losses and the agent's own metrics.
//!
//! - [`process`]: running processes; [`stat`]: the one line that identifies them
//! - [`mounts`]: `mountinfo`; [`hierarchy`]: numbers of cgroup hierarchies
//! - [`accounts`]: passwd and group files
//! - [`facts`]: host name, machine id, operating system, boot id
//! - [`usage`]: what the agent itself uses

pub mod accounts;
pub mod facts;
pub mod hierarchy;
pub mod mounts;
pub mod process;
pub mod stat;
pub mod usage;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A mounted proc filesystem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Procfs {
    root: PathBuf,
}

impl Procfs {
    /// The one mounted at `root`, such as `/proc`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Procfs { root: root.into() }
    }

    /// Where it is mounted.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The path of a file in it.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join(name)
    }

    /// Up to `limit` bytes of a file in it.
    pub fn read(&self, name: impl AsRef<Path>, limit: usize) -> io::Result<Vec<u8>> {
        read(&self.path(name), limit)
    }
}

impl Default for Procfs {
    fn default() -> Self {
        Procfs::new("/proc")
    }
}

/// Up to `limit` bytes of a file.
pub fn read(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A decimal number, and nothing else.
pub(crate) fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    // `from_str` would take a sign as well.
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

/// Fields separated by blanks.
pub(crate) fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|b| b.is_ascii_whitespace()).filter(|field| !field.is_empty())
}

/// Lines without their ends.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&b| b == b'\n').filter(|line| !line.is_empty())
}
