//! Where values come from: flags, variables, file; and the few facts of the host that defaults depend on.

use std::fmt;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::thread;

use nix::sys::statfs::{PROC_SUPER_MAGIC, statfs};
use nix::unistd::{SysconfVar, sysconf};

/// The file that is read when nobody names one. It need not exist.
pub const DEFAULT_PATH: &str = "/etc/sentineledge/config.toml";

/// The variable that names the file.
pub const PATH_VARIABLE: &str = "SENTINEL_CONFIG_PATH";

/// The variable that names the host, as Kubernetes manifests set it.
pub const NODE_VARIABLE: &str = "NODE_NAME";

/// What a variable sets of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The value.
    Whole,
    /// The port of an address.
    Port,
}

/// A variable that sets a key.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Section of the key.
    pub section: &'static str,
    /// Name of the key.
    pub key: &'static str,
    /// What it sets of it.
    pub part: Part,
}

/// The variables; of two for one key the first goes before the second.
pub const VARIABLES: &[Variable] = &[
    variable("RUST_LOG", "logging", "level", Part::Whole),
    variable("SENTINEL_LOG_LEVEL", "logging", "level", Part::Whole),
    variable("SENTINEL_METRICS_ENABLED", "core", "metrics_enabled", Part::Whole),
    variable("SENTINEL_RING_BUFFER_SIZE", "ebpf", "ring_buffer_size", Part::Whole),
    variable("SENTINEL_MAX_EVENTS_PER_SEC", "ebpf", "max_events_per_sec", Part::Whole),
    variable("SENTINEL_PROMETHEUS_PORT", "monitoring", "prometheus_endpoint", Part::Port),
];

const fn variable(name: &'static str, section: &'static str, key: &'static str, part: Part) -> Variable {
    Variable { name, section, key, part }
}

/// Every variable with what it sets, for documents.
pub fn described() -> impl Iterator<Item = (&'static str, String)> {
    let path = (PATH_VARIABLE, "The file; --config goes before it.".to_owned());
    let node = (NODE_VARIABLE, "The host's name in events.".to_owned());
    let keys = VARIABLES.iter().map(|variable| {
        let part = if variable.part == Part::Port { ", the port only" } else { "" };
        (variable.name, format!("[{}] {}{part}.", variable.section, variable.key))
    });
    std::iter::once(path).chain(keys).chain(std::iter::once(node))
}

/// The flags that set a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--log-level`: `[logging] level`.
    pub log_level: Option<String>,
    /// `--stdout`: `[logging] stdout`.
    pub stdout: Option<String>,
}

impl Flags {
    /// Each flag that is set: its name, section and name of its key, its text.
    pub(super) fn set(&self) -> impl Iterator<Item = (&'static str, &'static str, &'static str, &str)> {
        let level = self.log_level.as_deref().map(|text| ("--log-level", "logging", "level", text));
        let stdout = self.stdout.as_deref().map(|text| ("--stdout", "logging", "stdout", text));
        level.into_iter().chain(stdout)
    }
}

/// The facts of the host that defaults and checks depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host {
    /// Size of a page.
    pub page_bytes: u64,
    /// CPUs that the agent may run on.
    pub cpus: usize,
    /// CPUs of the host.
    pub online_cpus: usize,
    /// Memory of the host.
    pub memory_bytes: u64,
    /// A proc file system is mounted at /host/proc.
    pub host_proc: bool,
    /// Standard output is a terminal.
    pub terminal: bool,
    /// Colours are wanted: there is a terminal, and neither NO_COLOR nor TERM=dumb is set.
    pub colour: bool,
}

/// Where a container finds its host's /proc.
pub(super) const HOST_PROC: &str = "/host/proc";

impl Host {
    /// Finds them out.
    pub fn detect() -> Self {
        let ask = |what| sysconf(what).ok().flatten().and_then(|n| u64::try_from(n).ok());
        let page_bytes = ask(SysconfVar::PAGE_SIZE).unwrap_or(4096);
        let cpus = thread::available_parallelism().map_or(1, usize::from);
        let host_proc = statfs(Path::new(HOST_PROC)).is_ok_and(|fs| fs.filesystem_type() == PROC_SUPER_MAGIC);
        let terminal = io::stdout().is_terminal();
        let unset = |name| std::env::var_os(name).is_none_or(|v| v.is_empty());
        Host {
            page_bytes,
            cpus,
            online_cpus: ask(SysconfVar::_NPROCESSORS_ONLN)
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(cpus),
            memory_bytes: ask(SysconfVar::_PHYS_PAGES).unwrap_or(0).saturating_mul(page_bytes),
            host_proc,
            terminal,
            colour: terminal && unset("NO_COLOR") && std::env::var_os("TERM").is_none_or(|t| t != "dumb"),
        }
    }

    /// A small host for tests: pages of 4096 bytes, 2 CPUs, 1 GiB, no container, no terminal.
    pub const fn plain() -> Self {
        Host {
            page_bytes: 4096,
            cpus: 2,
            online_cpus: 2,
            memory_bytes: 1 << 30,
            host_proc: false,
            terminal: false,
            colour: false,
        }
    }
}

/// Everything that values can come from.
pub struct Sources<'a> {
    /// The file that `--config` names.
    pub path: Option<PathBuf>,
    /// The flags that set a key.
    pub flags: Flags,
    /// A variable of the environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The facts of the host.
    pub host: Host,
    /// A [`DEFAULT_PATH`] that this user may not read counts as missing: for commands that need no root.
    pub lenient: bool,
}

impl Sources<'_> {
    /// A variable, unless it is empty.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.trim().is_empty())
    }
}

impl fmt::Debug for Sources<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sources { path, flags, env: _, host, lenient } = self;
        f.debug_struct("Sources")
            .field("path", path)
            .field("flags", flags)
            .field("host", host)
            .field("lenient", lenient)
            .finish_non_exhaustive()
    }
}
