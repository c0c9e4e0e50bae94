//! What the record does not say itself: the process behind the pid, its ancestors, its container, the names of
//! its users. Owns the per-host state.
//!
//! ```text
//! Event -> Enricher::apply -> Subject      on the ring's thread, in the ring's order, never waiting
//!             |- table      processes by pid and start time
//!             |- domains    names by which addresses were found
//!             '- cgroups    control groups by id, with their containers
//!                  '- se-labels  what runtimes call them, off the path of events
//! Names::user / group                      on the workers' threads, when the line is written
//!             '- se-names   files and the name service, off the path of events
//! ```
//!
//! At start, and after the kernel side lost records: [`Enricher::begin_resync`], then a snapshot event of every
//! process through [`Enricher::apply`], or [`Enricher::seed_from_procfs`] where the kernel has no task iterator,
//! then [`Enricher::end_resync`].

pub mod cgroups;
pub mod config;
pub mod container;
pub mod domains;
mod entries;
pub mod getent;
mod given;
mod hash;
pub mod host;
pub mod identity;
mod image;
pub mod labels;
mod lineage;
pub mod subject;
pub mod table;
#[cfg(test)]
mod tests;
pub mod users;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use config::Config;
pub use subject::Subject;
pub use table::Table;
pub use users::{Names, Resolver};

use crate::event::{Body, Event, Host, Program, Task};
use crate::metrics::Metrics;
use crate::procfs::Procfs;
use crate::util::thread::Thread;
use cgroups::Cgroups;
use domains::Domains;
use given::Given;
use labels::{Answerer, Asker};

/// How often the table's nodes are counted, which costs a walk over them.
const COUNT_EVERY_NS: u64 = 15_000_000_000;

/// Where the facts of this host are. A replay has none: what runs here is not what was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// The proc filesystem.
    pub proc: Procfs,
    /// The directory whose `etc` has the accounts.
    pub root: PathBuf,
    /// The program that knows accounts of the name service; see [`getent::find`].
    pub getent: Option<PathBuf>,
    /// The host's root directory, in which runtimes keep what they know of their containers.
    pub host_root: PathBuf,
}

impl Sources {
    /// Those of the host that the agent runs on.
    pub fn of_this_host(proc: Procfs) -> Self {
        // In a container the host is behind the root of its first process.
        let is_own = proc.root() == Path::new("/proc");
        let host_root = if is_own { PathBuf::from("/") } else { proc.root().join("1/root") };
        Sources { proc, root: PathBuf::from("/"), getent: getent::find(), host_root }
    }
}

/// What waits for files and programs in the place of the ring's thread.
#[derive(Debug, Default)]
pub struct Background {
    names: Option<Resolver>,
    labels: Option<Answerer>,
}

impl Background {
    /// Starts the threads.
    pub fn start(self) -> io::Result<Vec<Thread>> {
        let names = self.names.map(Resolver::start);
        let labels = self.labels.map(Answerer::start);
        names.into_iter().chain(labels).collect()
    }
}

/// See the module. Owned by one thread.
#[derive(Debug)]
pub struct Enricher {
    table: Table,
    cgroups: Cgroups,
    domains: Domains,
    names: Names,
    given: Given,
    proc: Option<Procfs>,
    args_keep_bytes: usize,
    next_count_ns: u64,
}

impl Enricher {
    /// An enricher that knows this host's control groups and accounts, but no process yet. What is beside it is to be
    /// started; without sources there is nothing, and no resolver of names where they are not wanted.
    pub fn new(
        config: &Config,
        host: &Host,
        sources: Option<&Sources>,
        metrics: &Arc<Metrics>,
    ) -> (Enricher, Background) {
        let proc = sources.map(|sources| sources.proc.clone());
        let (asker, labels) = sources
            .map(|sources| labels::channel(sources.host_root.clone()))
            .map_or((Asker::disabled(), None), |(asker, answerer)| (asker, Some(answerer)));
        let mut cgroups = Cgroups::new(proc.clone(), asker, Arc::clone(metrics));
        cgroups.seed();
        let named = sources.filter(|_| config.resolve_names);
        let (names, resolver) = named
            .map(|sources| Names::new(&sources.root, sources.getent.clone(), Arc::clone(metrics)))
            .map_or((Names::disabled(), None), |(names, resolver)| (names, Some(resolver)));
        let enricher = Enricher {
            table: Table::new(config, host.boot_id, Arc::clone(metrics)),
            cgroups,
            domains: Domains::default(),
            names,
            given: Given::new(proc.clone()),
            proc,
            args_keep_bytes: config.args_keep_bytes,
            next_count_ns: 0,
        };
        (enricher, Background { names: resolver, labels })
    }

    /// Takes over changed settings, but for `resolve_names`, which takes effect at the next start.
    pub fn reconfigure(&mut self, config: &Config) {
        self.table.reconfigure(config);
        self.args_keep_bytes = config.args_keep_bytes;
    }

    /// Brings the state up to date with an event and says whom it is about.
    pub fn apply(&mut self, event: &Event<'_>) -> Subject {
        let mut subject = match &event.body {
            Body::Cgroup(cgroup) => {
                self.cgroups.apply(cgroup, event.time_ns);
                return Subject::default();
            }
            Body::Snapshot(snapshot) => {
                // A byte more than is kept, so that the length tells of a cut.
                let (pid, start_ns) = (snapshot.task.pid, snapshot.task.start_ns);
                let wanted = self.proc.as_ref().filter(|_| self.table.wants_args(snapshot));
                let args = wanted.and_then(|proc| proc.cmdline(pid, start_ns, self.args_keep_bytes + 1));
                self.table.snapshot(event.time_ns, snapshot, args.as_deref())
            }
            _ => self.table.apply(event),
        };
        if let Body::Network(network) = &event.body {
            subject.destination_domain = self.domains.apply(network);
        }
        if let Body::File(file) = &event.body {
            subject.argument_swap = self.given.is_swapped(file, event.time_ns);
        }
        if let Some(task) = event.task()
            && let Some(group) = self.cgroups.get(task.hierarchy, task.cgroup_id, event.time_ns)
        {
            subject.container.clone_from(&group.container);
            subject.cgroup_path = Some(Arc::clone(&group.path));
        }
        subject
    }

    /// A snapshot of all processes begins; see [`Table::begin_resync`].
    pub fn begin_resync(&mut self, now_ns: u64) {
        self.table.begin_resync(now_ns);
    }

    /// The snapshot is complete; see [`Table::end_resync`].
    pub fn end_resync(&mut self, now_ns: u64) {
        self.table.end_resync(now_ns);
    }

    /// Takes every process in that /proc shows, in the place of a snapshot by the kernel, and says how many. Times
    /// are known to the tick only; `now_ns` must be read before.
    pub fn seed_from_procfs(&mut self, now_ns: u64) -> usize {
        let Some(proc) = &self.proc else { return 0 };
        let read = |pid| proc.process(pid, self.args_keep_bytes + 1);
        let mut processes: Vec<_> = proc.pids().into_iter().filter_map(read).collect();
        // Parents first. Within a tick the pids tell, but for a wrap.
        processes.sort_unstable_by_key(|p| (p.stat.start_ticks, p.stat.pid));
        for process in &processes {
            let stat = &process.stat;
            let task = Task {
                pid: stat.pid,
                ppid: stat.ppid,
                start_ns: stat.start_ns(),
                comm: &stat.comm,
                kernel_thread: stat.is_kernel_thread(),
                tty: stat.tty(),
                ..Task::default()
            };
            let program = process.executable.as_ref().map(|executable| Program {
                executable,
                cwd: process.cwd.as_deref().unwrap_or_default(),
                ..Program::default()
            });
            self.table.seed(now_ns, &task, program.as_ref(), &process.args);
        }
        processes.len()
    }

    /// Looks up the names of users and groups. For every thread that writes events.
    pub fn names(&self) -> Names {
        self.names.clone()
    }

    /// Processes by pid.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// What time asks for: forgets what is long gone, looks for what was missed, updates the gauges. To be called
    /// several times a second with the boot clock, or in a replay the time of the last event.
    pub fn tick(&mut self, now_ns: u64) {
        let count = now_ns >= self.next_count_ns;
        if count {
            self.next_count_ns = now_ns.saturating_add(COUNT_EVERY_NS);
        }
        self.table.tick(now_ns, count);
        self.cgroups.tick(now_ns);
    }
}
