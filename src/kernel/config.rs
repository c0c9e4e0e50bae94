//! What the kernel side needs to know of the configuration: sections `[ebpf]`, `[process]`, `[events]`, `[file]`,
//! `[network]` and `[filter]`.

pub mod pattern;

use std::path::PathBuf;
use std::time::Duration;

use super::plan::Level;
use crate::event::Kind;

/// Resolved settings of the kernel side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Size of the critical ring: a power of two times the page size.
    pub ring_buffer_bytes: u32,
    /// Size of the bulk ring, the same.
    pub bulk_ring_bytes: u32,
    /// Most records a second in the bulk ring; 0: no limit.
    pub bulk_rate: u64,
    /// Hold the bulk classes back harder while their ring is nearly full.
    pub backpressure: bool,
    /// Which rungs of the ladder may be used.
    pub hooks: Hooks,
    /// How long equal events are one event with a count; `None`: never.
    pub merge_window: Option<Duration>,
    /// What is watched and what is left out.
    pub filter: Filter,
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

/// Which rungs of the ladder may be used; the direct ones always may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hooks {
    /// The best that can be had.
    #[default]
    Auto,
    /// Trampolines and hooks of the security modules, not the return of system calls.
    Trampoline,
    /// The return of system calls, no trampolines.
    Syscall,
}

impl Hooks {
    /// The values in the configuration.
    pub const NAMES: &'static [&'static str] = &["auto", "trampoline", "syscall"];

    /// The value with this name.
    pub fn from_name(name: &str) -> Option<Hooks> {
        [Hooks::Auto, Hooks::Trampoline, Hooks::Syscall].into_iter().find(|hooks| hooks.name() == name)
    }

    /// The value in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Hooks::Auto => "auto",
            Hooks::Trampoline => "trampoline",
            Hooks::Syscall => "syscall",
        }
    }

    /// Whether programs of this level may be loaded.
    pub fn allows(self, level: Level) -> bool {
        match level {
            Level::Direct => true,
            Level::Trampoline => self != Hooks::Syscall,
            Level::Syscall => self != Hooks::Trampoline,
        }
    }
}

/// What is watched and what is left out in the kernel, as configured. [`watch`](super::watch) brings it into the maps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Paths whose reads are reported, see [`pattern`].
    pub watch_paths: Vec<String>,
    /// Paths nothing of which is reported, spelled the same.
    pub skip_paths: Vec<String>,
    /// Directories of the agent's own files: what the agent itself does there is not reported, what others do is.
    pub own_directories: Vec<PathBuf>,
    /// Executables whose files and connections are not reported.
    pub skip_executables: Vec<String>,
    /// Paths of control groups, the same; those below them included.
    pub skip_cgroups: Vec<String>,
    /// User ids, the same.
    pub skip_users: Vec<u32>,
    /// Names of users, the same; looked up whenever the filter is brought into the maps.
    pub skip_user_names: Vec<String>,
    /// Ports of either side, the same.
    pub skip_ports: Vec<u16>,
    /// Leave out pseudo file systems and terminals unless they are watched.
    pub skip_pseudo: bool,
    /// Report Unix sockets as well.
    pub unix_sockets: bool,
}
