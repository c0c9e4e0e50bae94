//! One question to the name service switch, through getent(1).
//!
//! The agent is linked statically and getent is not, so it can load what nsswitch.conf names. It runs with an
//! empty environment, no input, its errors dropped, a deadline and an answer of at most 256 KiB.
//! What it costs is one process for each id that is in no file, every few minutes at most.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::users::Database;
use crate::procfs::accounts;

/// How long getent may take; a directory that is slower is asked again minutes later.
const DEADLINE: Duration = Duration::from_secs(2);
/// Most bytes read of an answer; groups list their members.
const ANSWER_MAX: usize = 256 * 1024;
/// Exit code for a key that is in no database.
const NOT_FOUND: i32 = 2;

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum GetentError {
    /// The program did not start, or its answer could not be read.
    #[error("asking {program} for the name of {id}: {source}")]
    Run {
        /// The program.
        program: PathBuf,
        /// The id in question.
        id: u32,
        /// What the system said.
        source: io::Error,
    },
    /// It failed by its own account or by a signal.
    #[error("{program} could not look up {id}: {status}")]
    Failed {
        /// The program.
        program: PathBuf,
        /// The id in question.
        id: u32,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// It took too long and was killed.
    #[error("{program} took more than {DEADLINE:?} for {id}")]
    Deadline {
        /// The program.
        program: PathBuf,
        /// The id in question.
        id: u32,
    },
}

/// Where getent is, if anywhere. No search path: the environment must not choose what the agent runs.
pub fn find() -> Option<PathBuf> {
    ["/usr/bin/getent", "/bin/getent"].iter().map(PathBuf::from).find(|path| path.exists())
}

/// The name of an id; `None` if it has none.
pub(super) fn ask(program: &Path, database: Database, id: u32) -> Result<Option<Arc<str>>, GetentError> {
    let run = |source| GetentError::Run { program: program.to_owned(), id, source };
    let mut child = Command::new(program)
        .args([if database == Database::Users { "passwd" } else { "group" }, &id.to_string()])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(run)?;
    let deadline = Instant::now() + DEADLINE;
    let answer = match child.stdout.take() {
        Some(stdout) => read_until(stdout, deadline),
        None => Ok(Vec::new()),
    };
    let late = answer.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut);
    if answer.is_err() {
        // It may have ended meanwhile; then there is nobody to kill.
        let _ = child.kill();
    }
    let status = wait_until(&mut child, deadline).map_err(run)?;
    if late {
        return Err(GetentError::Deadline { program: program.to_owned(), id });
    }
    let answer = answer.map_err(run)?;
    match status.code() {
        Some(0) => {
            let found = accounts::parse(&answer).find(|(found, _)| *found == id);
            Ok(found.map(|(_, name)| String::from_utf8_lossy(name).into()))
        }
        Some(NOT_FOUND) => Ok(None),
        _ => Err(GetentError::Failed { program: program.to_owned(), id, status }),
    }
}

/// Reads up to the end or [`ANSWER_MAX`] bytes. After that the writer finds its pipe closed.
fn read_until(mut stdout: ChildStdout, deadline: Instant) -> io::Result<Vec<u8>> {
    let (mut answer, mut chunk) = (Vec::new(), [0; 4096]);
    while answer.len() < ANSWER_MAX {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        if poll(&mut [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)], timeout)? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match stdout.read(&mut chunk)? {
            0 => break,
            n => answer.extend_from_slice(&chunk[..n]),
        }
    }
    Ok(answer)
}

/// Waits for the end; kills at the deadline, so it does not wait long.
fn wait_until(child: &mut Child, deadline: Instant) -> io::Result<std::process::ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= deadline {
            let _ = child.kill();
            return child.wait();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn program(script: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("getent");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        (dir, path)
    }

    fn asked(script: &str) -> Result<Option<Arc<str>>, GetentError> {
        let (_dir, path) = program(script);
        ask(&path, Database::Users, 7)
    }

    #[test]
    fn answers() {
        assert_eq!(asked("echo ann:*:7:7::/:").unwrap().as_deref(), Some("ann"));
        assert_eq!(asked("echo ann:*:8:8::/:").unwrap(), None, "an answer to another question");
        assert_eq!(asked("exit 2").unwrap(), None);
        assert!(matches!(asked("exit 3"), Err(GetentError::Failed { .. })));
        assert!(matches!(asked("kill -9 $$"), Err(GetentError::Failed { .. })));
        assert!(matches!(ask(Path::new("/nonexistent"), Database::Groups, 7), Err(GetentError::Run { .. })));
    }

    #[test]
    fn the_environment_is_empty() {
        assert_eq!(
            asked("[ -z \"$HOME$USER$LD_PRELOAD\" ] && echo ann:*:7:").unwrap().as_deref(),
            Some("ann")
        );
    }

    #[test]
    fn endless_answers_end() {
        let begin = Instant::now();
        assert!(
            asked("while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx:; done").is_err()
        );
        assert!(begin.elapsed() < DEADLINE + Duration::from_secs(5));
    }

    #[test]
    fn silence_ends_at_the_deadline() {
        let begin = Instant::now();
        assert!(matches!(asked("exec sleep 60"), Err(GetentError::Deadline { .. })));
        assert!(begin.elapsed() < DEADLINE + Duration::from_secs(5));
        let begin = Instant::now();
        assert!(asked("exec >&-; exec sleep 60").is_err());
        assert!(begin.elapsed() < DEADLINE + Duration::from_secs(5));
    }

    #[test]
    fn the_real_one_knows_root() {
        let Some(program) = find() else { panic!("no getent on this host") };
        assert_eq!(ask(&program, Database::Users, 0).unwrap().as_deref(), Some("root"));
        assert_eq!(ask(&program, Database::Users, 4_000_000_000).unwrap(), None);
    }
}
