//! The bearer token, from a file that nobody else can read.
//!
//! Only its SHA-256 is kept, so neither a core file nor a stray log line can tell it. A candidate is hashed too
//! and the digests are compared in constant time: the time says nothing of where two tokens differ, nor of the
//! token's length.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Shortest token in bytes; 32 random hexadecimal digits are 128 bits.
const SHORTEST: usize = 32;
/// Longest token in bytes; it must fit into the head of a request.
const LONGEST: usize = 4096;

/// Why a token file is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{path}: cannot read the token file")]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// It is a directory, a pipe or the like.
    #[error("{path}: the token file is not a regular file")]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// Others can read or write it.
    #[error("{path}: the token file has mode {mode:04o}, others must not have access to it: chmod 0600")]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Somebody else owns it.
    #[error("{path}: the token file belongs to user {uid}, it must be root's or the agent's own")]
    Owner {
        /// The file.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// Too short or too long.
    #[error("{path}: the token has {length} bytes, it must have {SHORTEST} to {LONGEST}")]
    Length {
        /// The file.
        path: PathBuf,
        /// Bytes after trimming.
        length: usize,
    },
    /// It can never arrive in a header.
    #[error("{path}: the token must be one line of printable ASCII without spaces")]
    Characters {
        /// The file.
        path: PathBuf,
    },
}

/// What a client must show.
#[derive(Debug)]
pub(super) struct Token {
    digest: [u8; 32],
}

impl Token {
    /// Reads the file; white space around the token does not count.
    pub fn read(path: &Path) -> Result<Token, Error> {
        let failed = |source| Error::Read { path: path.to_owned(), source };
        // Without O_NONBLOCK, opening a pipe would wait for a writer.
        let flags = (OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).bits();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(Error::NotAFile { path: path.to_owned() });
        }
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(Error::Permissions { path: path.to_owned(), mode });
        }
        let uid = metadata.uid();
        if uid != 0 && uid != nix::unistd::geteuid().as_raw() {
            return Err(Error::Owner { path: path.to_owned(), uid });
        }
        let mut text = Vec::new();
        // White space around a token of any permitted length is permitted, within reason.
        file.take(2 * LONGEST as u64).read_to_end(&mut text).map_err(failed)?;
        let token = text.trim_ascii();
        if !(SHORTEST..=LONGEST).contains(&token.len()) {
            return Err(Error::Length { path: path.to_owned(), length: token.len() });
        }
        if !token.iter().all(u8::is_ascii_graphic) {
            return Err(Error::Characters { path: path.to_owned() });
        }
        Ok(Token { digest: Sha256::digest(token).into() })
    }

    /// The candidate is the token.
    pub fn matches(&self, candidate: &[u8]) -> bool {
        let digest: [u8; 32] = Sha256::digest(candidate).into();
        digest.ct_eq(&self.digest).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn read(text: &str, mode: u32) -> Result<Token, Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        Token::read(&path)
    }

    #[test]
    fn only_the_very_token_matches() {
        let token = read(&format!("  {TOKEN}\n"), 0o600).unwrap();
        assert!(token.matches(TOKEN.as_bytes()));
        for near in [&TOKEN[..31], &format!("{TOKEN}0"), &TOKEN.to_uppercase(), &format!("{TOKEN} "), ""] {
            assert!(!token.matches(near.as_bytes()), "{near:?}");
        }
        assert!(!format!("{token:?}").contains("0123456789abcdef"));
    }

    #[test]
    fn a_file_that_others_can_reach_is_refused() {
        for mode in [0o640, 0o604, 0o620, 0o644, 0o666, 0o610] {
            assert!(matches!(read(TOKEN, mode), Err(Error::Permissions { mode: m, .. }) if m == mode));
        }
        for mode in [0o600, 0o400] {
            assert!(read(TOKEN, mode).is_ok());
        }
    }

    #[test]
    fn tokens_that_are_weak_or_can_never_arrive_are_refused() {
        assert!(matches!(read(&TOKEN[1..], 0o600), Err(Error::Length { length: 31, .. })));
        assert!(matches!(read(" \n", 0o600), Err(Error::Length { length: 0, .. })));
        assert!(matches!(read(&"x".repeat(5000), 0o600), Err(Error::Length { .. })));
        assert!(matches!(read(&format!("{TOKEN}\n{TOKEN}"), 0o600), Err(Error::Characters { .. })));
        assert!(matches!(read(&format!("{TOKEN}é"), 0o600), Err(Error::Characters { .. })));
    }

    #[test]
    fn pipes_and_directories_do_not_hang() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Token::read(dir.path()), Err(Error::NotAFile { .. })));
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert!(matches!(Token::read(&pipe), Err(Error::NotAFile { .. })));
        assert!(matches!(Token::read(&dir.path().join("none")), Err(Error::Read { .. })));
    }
}
