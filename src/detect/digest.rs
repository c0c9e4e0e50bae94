//! Executables against the digests of indicator lists.
//!
//! A worker that sees an exec hands over a hit that is only one if the program's digest is listed. Whether it is is known
//! at once for a file that was hashed before, and else when the thread `se-hash` has read it; nobody waits for that.
//! Nothing is hashed without a list that has digests. What cannot be hashed (too large, changed since, the queue full,
//! a file system whose device numbers differ from those that stat() gives) is counted.

use std::collections::HashMap;
use std::path::PathBuf;

use super::indicator::hash::{HashCache, Hasher, Identity, Request, Settings, Sha256, hex};
use super::judge::Hit;
use crate::event::Exec;

/// The file of an exec, as stat() would give it.
pub fn identity(exec: &Exec<'_>) -> Identity {
    let program = &exec.program;
    let (major, minor) = (u64::from(program.device.0), u64::from(program.device.1));
    // The layout of dev_t in the C library, see makedev(3).
    let device = (major & !0xfff) << 32 | (major & 0xfff) << 8 | (minor & !0xff) << 12 | minor & 0xff;
    Identity {
        device,
        inode: program.inode,
        size_bytes: program.size_bytes,
        mtime_ns: program.mtime_ns,
        ctime_ns: program.ctime_ns,
    }
}

/// Digests that are known, and hits that wait for theirs.
#[derive(Debug, Default)]
pub struct Digests {
    hasher: Option<Hasher>,
    cache: HashCache,
    waiting: HashMap<u64, Hit>,
    next: u64,
    refused: u64,
}

impl Digests {
    /// The hit, if its digest is known and listed. One that is not known is asked for.
    pub fn ask(&mut self, hit: Hit) -> Option<Hit> {
        let (identity, path) = hit.program.clone()?;
        if let Some(digest) = self.cache.get(&identity) {
            return listed(hit, &digest);
        }
        if self.hasher.is_none() {
            self.hasher = Hasher::start(Settings::default())
                .inspect_err(|error| log::error!("executables are not hashed: {error}"))
                .ok();
        }
        let token = self.next;
        self.next += 1;
        let request = Request { path, identity, token };
        match self.hasher.as_ref().map(|hasher| hasher.request(request)) {
            Some(Ok(())) => {
                self.waiting.insert(token, hit);
            }
            _ => self.refused += 1,
        }
        None
    }

    /// Hits whose digests have come and are listed.
    pub fn answered(&mut self) -> Vec<Hit> {
        let Some(hasher) = &self.hasher else { return Vec::new() };
        let answers: Vec<_> = hasher.answers().try_iter().collect();
        let mut hits = Vec::new();
        for answer in answers {
            let waiting = self.waiting.remove(&answer.token);
            match answer.outcome {
                Ok(digest) => {
                    self.cache.insert(answer.identity, digest);
                    hits.extend(waiting.and_then(|hit| listed(hit, &digest)));
                }
                Err(error) => {
                    self.refused += 1;
                    log::debug!("{error}");
                }
            }
        }
        hits
    }

    /// Executables that could not be hashed since the last call.
    pub fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }
}

fn listed(mut hit: Hit, digest: &Sha256) -> Option<Hit> {
    let matched = hit.rules.indicators.sha256(digest)?;
    let mut shown: Vec<(Box<str>, String)> =
        vec![("Hashes".into(), format!("SHA256={}", hex(digest))), ("list".into(), matched.list.to_owned())];
    shown.extend(matched.note.map(|note| ("note".into(), note.to_owned())));
    hit.matched = shown;
    Some(hit)
}

/// Where the thread finds the file: by its path on the host, and by the process where that is in a container.
pub fn path(exec: &Exec<'_>, in_container: bool) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    if in_container {
        return PathBuf::from(format!("/proc/{}/exe", exec.task.pid));
    }
    PathBuf::from(std::ffi::OsStr::from_bytes(exec.program.executable))
}
