//! What can be wrong with a list.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Something wrong in a list, and where.
#[derive(Debug)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1; 0 for the file as a whole.
    pub line: u64,
    /// What is wrong.
    pub reason: Reason,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path.display(), self.reason),
            line => write!(f, "{}:{line}: {}", self.path.display(), self.reason),
        }
    }
}

impl std::error::Error for Problem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.reason)
    }
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// The file cannot be opened or read; what was read before counts.
    #[error("cannot read the list: {0}")]
    Unreadable(#[source] io::Error),
    /// A directory, a pipe or a device.
    #[error("is no regular file")]
    NotRegular,
    /// The file is larger than allowed; nothing of it counts.
    #[error("is {size_bytes} bytes large, more than the {most_bytes} allowed for a list")]
    TooLarge {
        /// Its size, bytes.
        size_bytes: u64,
        /// The limit, bytes.
        most_bytes: u64,
    },
    /// There are more lists than can be told apart.
    #[error("is one list too many")]
    TooManyLists,
    /// There are more entries than allowed.
    #[error("{left_out} entries are left out, as {most} are allowed in all lists together")]
    TooManyEntries {
        /// Entries of this list that do not count.
        left_out: u64,
        /// The limit.
        most: usize,
    },
    /// A line that is longer than any entry.
    #[error("the line is longer than {0} bytes")]
    LongLine(usize),
    /// A header with a kind that there is not.
    #[error("unknown kind '{0}'; expected ip, domain, sha256, path or auto")]
    UnknownKind(String),
    /// A line whose syntax is of no kind.
    #[error("'{0}' is no address, network, domain, SHA-256 or absolute path")]
    Unknown(String),
    /// No address.
    #[error("'{0}' is no address or network")]
    Address(String),
    /// A prefix that is longer than the address or no number.
    #[error("'{text}' has no prefix length from {least} to {most}")]
    Prefix {
        /// The entry.
        text: String,
        /// The shortest.
        least: u8,
        /// The longest.
        most: u8,
    },
    /// No domain.
    #[error("'{text}' is no domain: {why}")]
    Domain {
        /// The entry.
        text: String,
        /// Why not.
        why: &'static str,
    },
    /// No digest.
    #[error("'{0}' is no SHA-256: expected 64 hexadecimal digits")]
    Digest(String),
    /// No path.
    #[error("'{0}' is no absolute path: expected '/' at its beginning")]
    Path(String),
    /// There are more problems than are told.
    #[error("{0} more lines are wrong")]
    More(u64),
}
