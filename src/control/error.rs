//! Why a run could not begin, or ended by itself.

use std::error::Error as StdError;

use super::{directory, http, lock, source, state};
use crate::kernel::{loader, plan};
use crate::sink;

/// Why the agent does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another agent runs, or the lock cannot be made.
    #[error(transparent)]
    Lock(#[from] lock::Error),
    /// This host or this user cannot do it.
    #[error(transparent)]
    Plan(#[from] plan::Error),
    /// The kernel refused the programs.
    #[error(transparent)]
    Load(#[from] loader::Error),
    /// A directory is missing and cannot be made.
    #[error(transparent)]
    Directory(#[from] directory::Error),
    /// A destination cannot be opened.
    #[error(transparent)]
    Sink(#[from] sink::Error),
    /// The state file cannot be written.
    #[error(transparent)]
    State(#[from] state::Error),
    /// HTTP cannot be offered.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// Records cannot be read.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// A part of the agent could not be started.
    #[error("starting {what}: {cause}")]
    Start {
        /// The part.
        what: &'static str,
        /// Why.
        cause: Box<dyn StdError + Send + Sync>,
    },
    /// A thread that the agent cannot do without has ended.
    #[error("the thread {name} ended unexpectedly; its panic message is in the log above")]
    ThreadDied {
        /// The thread.
        name: String,
    },
    /// A destination refuses what is replayed. The reason names it.
    #[error("the replay is not whole: {reason}")]
    Unwritten {
        /// What the sink said.
        reason: String,
    },
    /// A capture file could not be read or written.
    #[error(transparent)]
    Capture(#[from] crate::kernel::capture::Error),
}

/// An error with all its causes, in one line.
pub fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        // Some errors print their cause already.
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = cause.source();
    }
    text
}
