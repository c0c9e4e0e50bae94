//! What outlives a restart: where the sequence stopped, and whether the last run ended on its own terms.
//!
//! `<state_dir>/run.toml` is written when a run begins and when it ends. Together with the last line of the log
//! it gives the next run its first sequence number, so that numbers of one boot have no gap even after a crash.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Contents of the state file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The boot it ran in.
    pub boot_id: String,
    /// The next sequence number, as known when this was written.
    pub next_sequence: u64,
    /// It ended as it should.
    pub ended: bool,
}

/// The state file could not be used.
#[derive(Debug, thiserror::Error)]
#[error("{action} the state file {path}: {cause}")]
pub struct Error {
    action: &'static str,
    path: PathBuf,
    cause: io::Error,
}

/// The last run, if the file tells of one. A damaged file counts as none: it says nothing that can be trusted.
pub fn read(directory: &Path) -> Option<Run> {
    toml::from_str(&fs::read_to_string(path(directory)).ok()?).ok()
}

/// Replaces the file in one step.
pub fn write(directory: &Path, run: &Run) -> Result<(), Error> {
    let path = path(directory);
    let error = |action, cause| Error { action, path: path.clone(), cause };
    let text = toml::to_string(run).map_err(|e| error("writing", io::Error::other(e)))?;
    let temporary = path.with_extension("toml.new");
    let store = || -> io::Result<()> {
        let mut file = fs::File::create(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    store().map_err(|e| error("writing", e))?;
    fs::rename(&temporary, &path).map_err(|e| error("replacing", e))
}

fn path(directory: &Path) -> PathBuf {
    directory.join("run.toml")
}

/// How the last run ended, for the record of the start.
pub fn previous(last: Option<&Run>, boot_id: &str) -> &'static str {
    match last {
        None => "none known",
        Some(run) if run.ended => "stopped",
        Some(run) if run.boot_id == boot_id => "ended without stopping: killed or crashed",
        Some(_) => "ended with the host",
    }
}

/// The first sequence number of this run: one after the last of this boot, by the log or by the state file.
pub fn next_sequence(last: Option<&Run>, logged: Option<(String, u64)>, boot_id: &str) -> u64 {
    let by_log = logged.filter(|(boot, _)| boot == boot_id).map(|(_, sequence)| sequence + 1);
    let by_state = last.filter(|run| run.boot_id == boot_id).map(|run| run.next_sequence);
    match (by_log, by_state) {
        // After a crash the state file is older than the log.
        (Some(log), state) if last.is_some_and(|r| !r.ended) => log.max(state.unwrap_or(1)),
        (log, state) => log.into_iter().chain(state).max().unwrap_or(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(boot_id: &str, next_sequence: u64, ended: bool) -> Run {
        Run { boot_id: boot_id.into(), next_sequence, ended }
    }

    #[test]
    fn the_sequence_goes_on_within_a_boot_and_starts_anew_with_the_next() {
        let log = |boot: &str, n| Some((boot.to_owned(), n));
        assert_eq!(next_sequence(None, None, "a"), 1);
        assert_eq!(next_sequence(Some(&run("a", 10, true)), log("a", 9), "a"), 10);
        assert_eq!(next_sequence(Some(&run("a", 1, false)), log("a", 500), "a"), 501);
        assert_eq!(next_sequence(Some(&run("a", 10, true)), None, "a"), 10);
        assert_eq!(next_sequence(Some(&run("a", 10, true)), log("a", 9), "b"), 1);
        assert_eq!(next_sequence(None, log("a", 9), "a"), 10);
    }

    #[test]
    fn the_file_survives_and_damage_counts_as_none() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read(directory.path()), None);
        write(directory.path(), &run("a", 7, false)).unwrap();
        assert_eq!(read(directory.path()), Some(run("a", 7, false)));
        fs::write(path(directory.path()), "next_sequence = ").unwrap();
        assert_eq!(read(directory.path()), None);
        let missing = write(&directory.path().join("missing"), &run("a", 7, true)).unwrap_err();
        assert!(missing.to_string().starts_with("writing the state file "), "{missing}");
    }

    #[test]
    fn the_end_of_the_last_run_is_told() {
        assert_eq!(previous(None, "a"), "none known");
        assert_eq!(previous(Some(&run("a", 1, true)), "a"), "stopped");
        assert!(previous(Some(&run("a", 1, false)), "a").contains("crashed"));
        assert_eq!(previous(Some(&run("a", 1, false)), "b"), "ended with the host");
    }
}
