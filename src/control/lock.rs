//! One agent at a time: an advisory lock on `<runtime_dir>/agent.lock` that holds the owner's pid.
//!
//! The lock goes with the process, however it ends, so a stale file never keeps a new agent from starting.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

/// Held while the agent runs.
#[derive(Debug)]
pub struct Lock {
    _file: Flock<File>,
}

/// The lock was not to be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another agent holds it.
    #[error("another agent is running on this host, with pid {pid} (lock {path})")]
    Taken {
        /// The other's pid, as it wrote it.
        pid: String,
        /// The lock file.
        path: PathBuf,
    },
    /// The file could not be made.
    #[error("locking {path}: {cause}")]
    Unusable {
        /// The lock file or its directory.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

/// Takes the lock, making the directory (0750) if it is missing.
pub fn take(runtime_dir: &Path) -> Result<Lock, Error> {
    let unusable = |path: &Path| {
        let path = path.to_owned();
        move |cause| Error::Unusable { path, cause }
    };
    fs::DirBuilder::new().recursive(true).mode(0o750).create(runtime_dir).map_err(unusable(runtime_dir))?;
    let path = runtime_dir.join("agent.lock");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o640)
        .open(&path)
        .map_err(unusable(&path))?;
    let mut file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(file) => file,
        Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            let pid = if pid.trim().is_empty() { "unknown".into() } else { pid.trim().to_owned() };
            return Err(Error::Taken { pid, path });
        }
        Err((_, errno)) => return Err(Error::Unusable { path, cause: errno.into() }),
    };
    let store = |file: &mut File| -> io::Result<()> {
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(format!("{}\n", std::process::id()).as_bytes())
    };
    store(&mut file).map_err(unusable(&path))?;
    Ok(Lock { _file: file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_the_pid_of_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let runtime = directory.path().join("run");
        let first = take(&runtime).unwrap();
        let second = take(&runtime).unwrap_err();
        assert!(second.to_string().contains(&format!("pid {}", std::process::id())), "{second}");
        drop(first);
        take(&runtime).unwrap();
    }
}
