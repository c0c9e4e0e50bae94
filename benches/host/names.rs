//! What the benchmark relies on of the agent's names: keys of the configuration, classes, fields of lines, labels.
//!
//! All of them stand here and nowhere else, so that a renamed key or class is one edit.

use std::borrow::Cow;

use serde::Deserialize;

/// A key of the configuration: its section and its name.
pub type Key = (&'static str, &'static str);

/// Switches of the classes, by class.
pub const CLASSES: &str = "events";
/// Where a hook may be taken from: "auto", "trampoline" or "syscall".
pub const HOOKS: Key = ("ebpf", "hooks");
/// Whether events are judged by rules.
pub const DETECTION: Key = ("security", "enable_threat_detection");
/// Paths whose reads are reported; a slash at the end stands for all below.
pub const WATCH: Key = ("file", "watch_paths");

/// Keys of a storm of which every event is to be recorded: no limit on the bulk classes.
pub const STORM: &[(Key, &str)] = &[(("ebpf", "max_events_per_sec"), "10000000")];

/// Classes that stay on in the quiet configuration, since they need no program on every system call. The others are
/// switched off.
pub const QUIET: &[&str] = &["exec", "fork", "exit"];

/// Classes that an open of a watched file can be reported as.
pub const OPENS: &[&str] = &["file_open", "file_read"];
/// Classes of both ends of a connection; each connection has one event of each.
pub const CONNECTIONS: &[&str] = &["net_connect", "net_accept"];

/// The metric of events that never became a line, by reason.
pub const DROPPED: &str = "sentinel_events_dropped_total";
/// Reasons of that metric that are no loss: the configuration wanted it, or another line accounts for the event.
pub const NO_LOSS: &[&str] = &["filtered", "deduplicated", "summarised"];

/// What is read of a line of a file or network event.
#[derive(Debug, Deserialize)]
pub struct Line<'a> {
    #[serde(default)]
    process: Process,
    #[serde(borrow, default)]
    file: File<'a>,
    #[serde(borrow, default)]
    sentineledge: Own<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct Process {
    #[serde(default)]
    pid: u32,
}

#[derive(Debug, Default, Deserialize)]
struct File<'a> {
    #[serde(borrow, default)]
    path: Cow<'a, str>,
}

#[derive(Debug, Default, Deserialize)]
struct Own<'a> {
    #[serde(borrow, default)]
    class: Cow<'a, str>,
    #[serde(default)]
    merged: Merged,
}

#[derive(Debug, Default, Deserialize)]
struct Merged {
    #[serde(default)]
    count: u64,
}

impl Line<'_> {
    /// The class; empty for the agent's own records.
    pub fn class(&self) -> &str {
        &self.sentineledge.class
    }

    /// Path of the file, empty if the event has none.
    pub fn path(&self) -> &str {
        &self.file.path
    }

    /// The process, 0 if the line is of none.
    pub fn pid(&self) -> u32 {
        self.process.pid
    }

    /// Further events that the line stands for.
    pub fn merged(&self) -> u64 {
        self.sentineledge.merged.count
    }
}
