//! Events made by hand, and a table to apply them to.

use std::sync::Arc;

use sentinel_edge::enrich::{Config, Subject, Table};
use sentinel_edge::event::{
    Body, BootId, Event, Exec, ExecFailed, Exit, Fork, Process, Program, Snapshot, Task,
};
use sentinel_edge::metrics::Metrics;

pub const BOOT: BootId = BootId([3; 16]);

/// Pid and start.
pub type Id = (u32, u64);

pub const INIT: Id = (1, 1);
pub const NOBODY: Id = (0, 0);

pub fn config(entries: usize, ancestors: u16) -> Config {
    Config {
        table_entries: entries,
        args_keep_bytes: 64,
        ancestors,
        resolve_names: true,
        env_allow: Vec::new(),
    }
}

pub fn task(id: Id, parent: Id) -> Task<'static> {
    let (pid, start_ns) = id;
    Task {
        pid,
        tid: pid,
        start_ns,
        ppid: parent.0,
        parent_start_ns: parent.1,
        comm: b"comm",
        ..Task::default()
    }
}

pub fn event(time_ns: u64, body: Body<'_>) -> Event<'_> {
    Event { time_ns, cpu: 0, body }
}

pub fn fork(time_ns: u64, child: Id, creator: Id) -> Event<'static> {
    fork_below(time_ns, child, creator, creator)
}

/// A fork with CLONE_PARENT.
pub fn fork_below(time_ns: u64, child: Id, creator: Id, parent: Id) -> Event<'static> {
    fork_of(time_ns, task(child, parent), creator)
}

pub fn fork_of(time_ns: u64, child: Task<'static>, creator: Id) -> Event<'static> {
    let (creator_pid, creator_start_ns) = creator;
    let fork = Fork { task: child, creator_pid, creator_tid: creator_pid, creator_start_ns };
    event(time_ns, Body::Fork(Box::new(fork)))
}

pub fn program(executable: &str) -> Program<'_> {
    Program { executable: executable.as_bytes(), cwd: b"/", ..Program::default() }
}

pub fn exec<'a>(time_ns: u64, id: Id, parent: Id, executable: &'a str, args: &'a [u8]) -> Event<'a> {
    let exec = Exec {
        task: task(id, parent),
        program: program(executable),
        filename: executable.as_bytes(),
        args_head: args,
        args_len: args.len() as u64,
        argc: 1,
        ..Exec::default()
    };
    event(time_ns, Body::Exec(Box::new(exec)))
}

pub fn exec_failed(time_ns: u64, id: Id, parent: Id) -> Event<'static> {
    exec_failed_of(time_ns, task(id, parent))
}

pub fn exec_failed_of(time_ns: u64, task: Task<'static>) -> Event<'static> {
    let failed = ExecFailed {
        task,
        errno: 2,
        filename: b"/missing",
        filename_fault: false,
        filename_cut: false,
        args: b"",
        args_count: 0,
        args_cut: false,
        cwd: b"/",
        cwd_cut: false,
    };
    event(time_ns, Body::ExecFailed(Box::new(failed)))
}

pub fn exit(time_ns: u64, id: Id, parent: Id) -> Event<'static> {
    exit_of(time_ns, task(id, parent))
}

pub fn exit_of(time_ns: u64, task: Task<'static>) -> Event<'static> {
    let exit = Exit { task, cpu_ns: 0, utime_ns: 0, stime_ns: 0, max_rss_bytes: 0, status: 0 };
    event(time_ns, Body::Exit(Box::new(exit)))
}

pub fn snapshot(time_ns: u64, id: Id, parent: Id, executable: &str) -> Event<'_> {
    snapshot_of(time_ns, task(id, parent), Some(program(executable)))
}

pub fn snapshot_of<'a>(time_ns: u64, task: Task<'a>, program: Option<Program<'a>>) -> Event<'a> {
    event(time_ns, Body::Snapshot(Box::new(Snapshot { task, program })))
}

pub struct Fixture {
    pub table: Table,
    pub metrics: Arc<Metrics>,
}

impl Fixture {
    pub fn new(config: &Config) -> Fixture {
        let metrics = Arc::<Metrics>::default();
        Fixture { table: Table::new(config, BOOT, Arc::clone(&metrics)), metrics }
    }

    /// A table that knows pid 1.
    pub fn started(entries: usize, ancestors: u16) -> Fixture {
        let mut fixture = Fixture::new(&config(entries, ancestors));
        fixture.apply(&snapshot(10, INIT, NOBODY, "/init"));
        fixture
    }

    pub fn apply(&mut self, event: &Event<'_>) -> Subject {
        self.table.apply(event)
    }

    /// What the owner of this pid runs.
    pub fn runs(&self, pid: u32) -> Option<String> {
        self.table.alive(pid).map(|process| executable(&process))
    }
}

pub fn executable(process: &Process) -> String {
    String::from_utf8_lossy(&process.image.executable).into_owned()
}

/// Pid and program of every ancestor.
pub fn chain(process: &Process) -> Vec<(u32, String)> {
    process.ancestors().map(|p| (p.pid, executable(p))).collect()
}

pub fn named(chain: &[(u32, &str)]) -> Vec<(u32, String)> {
    chain.iter().map(|(pid, name)| (*pid, (*name).to_owned())).collect()
}
