//! What the sinks need to know of the configuration: section `[logging]` and the batching keys of `[ebpf]`.

use std::path::PathBuf;
use std::time::Duration;

/// Resolved settings of all sinks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The log file, unless output goes elsewhere.
    pub file: Option<FileConfig>,
    /// Standard output.
    pub stdout: Option<StdoutFormat>,
    /// The socket for `sentinel-edge tail`.
    pub tail: Option<TailConfig>,
    /// Queue, batching and buffer of every sink.
    pub worker: WorkerConfig,
}

/// Queue, batching and buffer of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerConfig {
    /// Lines that are written with one call, at most.
    pub batch_lines: usize,
    /// How long an incomplete batch may wait for more.
    pub batch_timeout: Duration,
    /// Bytes of lines that wait in the queue and the buffer while the sink cannot write; beyond it lines are
    /// lost, and counted.
    pub buffer_bytes: usize,
}

/// The log file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileConfig {
    /// Where it is.
    pub path: PathBuf,
    /// Rotate when it would grow beyond this.
    pub max_bytes: Option<u64>,
    /// Rotate when the day (UTC) of the event changes.
    pub daily: bool,
    /// Rotated files to keep.
    pub max_files: usize,
    /// Delete rotated files that are older than this many days.
    pub max_age_days: Option<u32>,
    /// Compress rotated files.
    pub compress: bool,
    /// Wait at the end until the disk has everything.
    pub durable: bool,
}

/// How lines look on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StdoutFormat {
    /// JSON lines.
    Json,
    /// Compact lines for people, with colours.
    Coloured,
    /// Compact lines for people, without colours.
    Plain,
}

/// The socket for `sentinel-edge tail`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailConfig {
    /// Path of the Unix socket.
    pub path: PathBuf,
    /// Clients at a time.
    pub max_clients: usize,
    /// Bytes that may wait for one client before it is cut off.
    pub client_buffer_bytes: usize,
}
