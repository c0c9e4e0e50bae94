//! SHA-256 of executables, off the path of events.
//!
//! In these steps:
//!
//! 1. The caller asks its [`HashCache`] by the file's [`Identity`], which changes whenever the file's content may have.
//! 2. On a miss it hands a [`Request`] to the [`Hasher`], whose queue is bounded: a full one refuses at once.
//! 3. The thread `se-hash` opens the file, makes sure that it is the one asked for, reads it piece by piece at a
//!    limited rate, and makes sure that it did not change meanwhile.
//! 4. The caller takes the [`Answer`]s and puts the digests into the cache.
//!
//! What is left out: a file that was replaced or removed between the event and its turn ([`Refusal::Changed`] or
//! [`Refusal::Unopened`]), one larger than the cap, anything that is no regular file. A writer who sets the times back
//! can change a file without a new modification time, but not without a new change time: of that too the identity
//! consists. The opening itself does not compare it, as new links and permissions change it as well; the digest then
//! goes to the identity that was asked for, while the content is the same as far as size and modification time can tell.
//!
//! Opening follows symbolic links and never blocks on a pipe. A read that hangs (a network file system that is gone)
//! hangs the thread: [`Hasher::stop`] then leaves it behind.

mod cache;
#[cfg(test)]
mod tests;
mod worker;

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

pub use cache::HashCache;
pub use worker::{Full, Hasher};

/// A SHA-256 digest.
pub type Sha256 = [u8; 32];

/// Which file, with which content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The device, as `stat` gives it to programs.
    pub device: u64,
    /// The inode.
    pub inode: u64,
    /// The size, bytes.
    pub size_bytes: u64,
    /// Time of the last modification, nanoseconds since the Unix epoch.
    pub mtime_ns: i64,
    /// Time of the last change, of the inode too, nanoseconds since the Unix epoch.
    pub ctime_ns: i64,
}

impl Identity {
    /// Of a file that was looked at.
    pub fn of(metadata: &Metadata) -> Self {
        let ns = |seconds: i64, ns: i64| seconds.saturating_mul(1_000_000_000).saturating_add(ns);
        Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
            size_bytes: metadata.size(),
            mtime_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// The same file with the same content, as far as size and modification time can tell.
    fn matches(&self, other: &Identity) -> bool {
        Identity { ctime_ns: other.ctime_ns, ..*self } == *other
    }
}

/// How files are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Requests that may wait, and answers that may wait to be taken.
    pub queue: usize,
    /// Larger files are not hashed, bytes.
    pub most_bytes: u64,
    /// How fast files are read, bytes per second; 0 for no limit.
    pub bytes_per_second: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { queue: 256, most_bytes: 64 << 20, bytes_per_second: 50_000_000 }
    }
}

/// A file to hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where it is.
    pub path: PathBuf,
    /// What it must be.
    pub identity: Identity,
    /// Comes back with the answer.
    pub token: u64,
}

/// What came of a [`Request`].
#[derive(Debug)]
pub struct Answer {
    /// The request's.
    pub token: u64,
    /// The request's.
    pub identity: Identity,
    /// The digest, or why there is none.
    pub outcome: Result<Sha256, Refusal>,
}

/// Why a file was not hashed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It is larger than allowed.
    #[error("not hashed: the file has {size_bytes} bytes, more than the {most_bytes} that are hashed")]
    TooLarge {
        /// Its size, bytes.
        size_bytes: u64,
        /// The limit, bytes.
        most_bytes: u64,
    },
    /// Another file is there now, or it was written to.
    #[error("not hashed: the file is not the one any more that it was")]
    Changed,
    /// It is a directory, a pipe or a device.
    #[error("not hashed: it is no regular file")]
    NotRegular,
    /// It cannot be opened.
    #[error("not hashed: cannot open the file: {0}")]
    Unopened(#[source] io::Error),
    /// It cannot be read.
    #[error("not hashed: cannot read the file: {0}")]
    Unread(#[source] io::Error),
}

/// Hexadecimal digits of a digest, in lower case.
pub fn hex(digest: &Sha256) -> String {
    let halves = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    halves.filter_map(|half| char::from_digit(u32::from(half), 16)).collect()
}
