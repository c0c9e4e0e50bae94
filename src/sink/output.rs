//! What a destination must be able to do. It writes, and says truthfully how far it came; queue, order, retry,
//! loss and counts belong to the worker.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::batch::Line;
use super::config::Config;
use crate::util::clock;

/// Wall time, nanoseconds since the Unix epoch; tests give their own.
pub type WallClock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The machine's wall clock.
pub fn wall_clock() -> WallClock {
    Arc::new(clock::wall_ns)
}

/// Lines next to each other in memory.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// The bytes, whole lines only.
    pub bytes: &'a [u8],
    /// Where the lines end, counted from `base`. Empty for a record of the agent itself, which is one line.
    pub lines: &'a [Line],
    /// What [`Line::end`] of the line before the first one was.
    pub base: usize,
}

impl<'a> Part<'a> {
    /// The lines with their bytes.
    pub fn iter(&self) -> impl Iterator<Item = (Option<&'a Line>, &'a [u8])> + use<'a> {
        let (bytes, base) = (self.bytes, self.base);
        let mut start = 0;
        let lines = self.lines.iter().map(move |line| {
            let end = line.end - base;
            let text = bytes.get(start..end).unwrap_or_default();
            start = end;
            (Some(line), text)
        });
        lines.chain(self.lines.is_empty().then_some((None, bytes)))
    }

    /// Bytes of the whole lines that end at or before `limit`.
    pub fn whole_lines_within(&self, limit: usize) -> usize {
        if self.bytes.len() <= limit {
            return self.bytes.len();
        }
        let fitting = self.lines.partition_point(|line| line.end - self.base <= limit);
        fitting.checked_sub(1).and_then(|last| self.lines.get(last)).map_or(0, |line| line.end - self.base)
    }

    /// Length of the first line.
    pub fn first_line(&self) -> usize {
        self.lines.first().map_or(self.bytes.len(), |line| line.end - self.base)
    }
}

/// Bytes of the whole lines of all `parts` within `limit`.
pub(super) fn whole_lines_within(parts: &[Part<'_>], limit: usize) -> usize {
    let mut whole = 0;
    for part in parts {
        let here = part.whole_lines_within(limit - whole);
        whole += here;
        if here < part.bytes.len() {
            break;
        }
    }
    whole
}

/// How far a write came.
#[derive(Debug)]
pub struct Progress {
    /// Bytes of whole lines that are in place. May be less than all without an error: the file was full, say.
    pub bytes: usize,
    /// Why it did not come further. With no error, at least one line was written.
    pub error: Option<Error>,
}

impl From<Error> for Progress {
    fn from(error: Error) -> Self {
        Progress { bytes: 0, error: Some(error) }
    }
}

/// A destination.
pub trait Output: Send {
    /// Writes whole lines in order. After an error the next call begins with the first line that is not in place.
    fn write(&mut self, parts: &[Part<'_>]) -> Progress;

    /// Called about every second, and before a write is tried again after an error: makes sure that what is
    /// written arrives where it should.
    fn check(&mut self) -> Result<(), Error>;

    /// Opens anew what may have been moved away.
    fn reopen(&mut self) -> Result<(), Error> {
        self.check()
    }

    /// Takes on other settings. After an error the old ones stay.
    fn reconfigure(&mut self, config: &Config) -> Result<(), Error>;

    /// The end: makes durable what can be.
    fn finish(&mut self) {}

    /// Where the line is that ends `back` bytes before the end of what the last [`Output::write`] reported.
    fn place(&self, back: usize, len: usize) -> Place {
        let _ = (back, len);
        Place::Stream
    }
}

/// The canary's line was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its nonce.
    pub nonce: u64,
    /// Where it is.
    pub place: Place,
}

/// Where a line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a file.
    File {
        /// The path it was written to. By now the file may have another name, as it may be rotated.
        path: PathBuf,
        /// The file's inode number, which tells.
        inode: u64,
        /// Offset of the line's first byte.
        offset: u64,
        /// Length with newline.
        len: usize,
    },
    /// In a stream, from which nothing can be read back.
    Stream,
}

impl Place {
    /// Reads the line back, through its path as a reader would; in a rotated file beside it if it was rotated
    /// since. `None` for a stream.
    pub fn read(&self) -> io::Result<Option<Vec<u8>>> {
        let Place::File { path, inode, offset, len } = self else { return Ok(None) };
        let file = match File::open(path) {
            Ok(file) if file.metadata()?.ino() == *inode => file,
            Ok(_) => rotated(path, *inode)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => rotated(path, *inode)?,
            Err(error) => return Err(error),
        };
        let mut line = vec![0; *len];
        file.read_exact_at(&mut line, *offset)?;
        Ok(Some(line))
    }
}

fn rotated(path: &Path, inode: u64) -> io::Result<File> {
    let gone = || io::Error::new(io::ErrorKind::NotFound, format!("{} is another file now", path.display()));
    let directory = path.parent().ok_or_else(gone)?;
    for entry in fs::read_dir(directory)?.flatten() {
        // Not DirEntry::ino, which is the lower file's on an overlay.
        if entry.metadata().is_ok_and(|meta| meta.ino() == inode) {
            return File::open(entry.path());
        }
    }
    Err(gone())
}

/// Why a sink cannot write.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Opening the log file.
    #[error("cannot open the log file {path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Creating the directory of the log file or the socket.
    #[error("cannot create the directory {path}: {source}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something else than a file is in the way.
    #[error("cannot use {path} as the log file: it is not a regular file")]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Another process writes the file.
    #[error("cannot use {path} as the log file: another process holds its lock")]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// Cutting off a torn last line.
    #[error("cannot cut the torn last line off {path}: {source}")]
    Repair {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Writing.
    #[error("cannot write to {target}: {source}")]
    Write {
        /// The file or stream.
        target: Target,
        /// What the system said.
        source: io::Error,
    },
    /// The reader of standard output is gone for good.
    #[error("nobody reads standard output any more")]
    Ended,
    /// Opening the socket for `tail`.
    #[error("cannot listen on {path}: {source}")]
    Listen {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Starting a thread.
    #[error("cannot start the thread {name}: {source}")]
    Thread {
        /// The thread.
        name: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A reload asks for what only a restart can do.
    #[error("the {sink} sink cannot be switched on or off while the agent runs; restart it")]
    NeedsRestart {
        /// The sink.
        sink: &'static str,
    },
    /// The sink's thread does not answer.
    #[error("the {sink} sink does not take new settings: it hangs in a write, or has ended")]
    NoAnswer {
        /// The sink.
        sink: &'static str,
    },
}

impl Error {
    /// True if time alone may cure it, such as a full disk: then the agent starts nevertheless and waits.
    pub fn is_passing(&self) -> bool {
        use nix::libc::{EDQUOT, EIO, EMFILE, ENFILE, ENOSPC, EROFS, ESTALE};
        let source = match self {
            Error::Open { source, .. }
            | Error::Directory { source, .. }
            | Error::Repair { source, .. }
            | Error::Write { source, .. } => source,
            _ => return false,
        };
        source
            .raw_os_error()
            .is_some_and(|code| [ENOSPC, EDQUOT, EROFS, EIO, ESTALE, EMFILE, ENFILE].contains(&code))
    }
}

/// A file or a stream, for messages.
#[derive(Debug, Clone)]
pub enum Target {
    /// A file.
    File(PathBuf),
    /// Standard output.
    Stdout,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::File(path) => write!(f, "{}", path.display()),
            Target::Stdout => f.write_str("standard output"),
        }
    }
}
