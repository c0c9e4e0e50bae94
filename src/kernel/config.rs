//! What the kernel side needs to know of the configuration: sections `[ebpf]`, `[process]` and `[events]`.

use std::time::Duration;

use crate::event::Kind;

/// Resolved settings of the kernel side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Size of the critical ring: a power of two times the page size.
    pub ring_buffer_bytes: u32,
    /// Most bytes of arguments kept of an exec, a power of two from 4096 to 131072.
    pub args_max_bytes: u32,
    /// Most bytes of environment that the kernel side hands over, a power of two from 0 (none) to 32768.
    pub env_max_bytes: u32,
    /// Kinds that are to be reported. What the process table needs is attached in any case.
    pub kinds: Vec<Kind>,
    /// How long the reader sleeps in the kernel when nothing comes.
    pub poll_timeout: Duration,
    /// Pause after a turn that found records; doubled while little comes.
    pub busy_window: Duration,
    /// Most records handed to a worker at once.
    pub batch: usize,
    /// Attach again what was detached, and compare the process table with what runs after a loss.
    pub auto_recovery: bool,
}
