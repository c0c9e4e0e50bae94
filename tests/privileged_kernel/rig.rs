//! The kernel side alone, loaded for real: programs in, decoded records out.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, thread};

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use sentinel_edge::decode::decode;
use sentinel_edge::event::{Body, Event, Exec, ExecFailed, Exit, Fork, Kind};
use sentinel_edge::kernel::counters::Counters;
use sentinel_edge::kernel::loader::Kernel;
use sentinel_edge::kernel::plan::{Plan, plan};
use sentinel_edge::kernel::reader::Reader;
use sentinel_edge::kernel::records::Records;
use sentinel_edge::kernel::{Config, support};
use sentinel_edge::metrics::label::{Reason, Stage};
use sentinel_edge::metrics::{Metrics, Program};

use crate::acts::act;

/// How long an event may take to come out of the ring.
const PATIENCE: Duration = Duration::from_secs(30);

/// What differs between tests.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub ring_bytes: u32,
    pub args_max_bytes: u32,
    pub env_max_bytes: u32,
    /// The programs with the bounded loop, even where bpf_loop() is there.
    pub bounded: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { ring_bytes: 4 << 20, args_max_bytes: 32768, env_max_bytes: 8192, bounded: false }
    }
}

/// Loaded and attached programs, and every record they made so far.
pub struct Rig {
    pub kernel: Kernel,
    pub metrics: Arc<Metrics>,
    /// Paths are walked by bpf_loop().
    pub deep: bool,
    reader: Reader,
    counters: Counters,
    records: Vec<Vec<u8>>,
}

/// The plan for this host, perhaps with the lower rung.
fn planned(config: &Config, bounded: bool) -> Plan {
    let facts = support::probe(&support::Roots::default());
    let mut plan = plan(&facts, config).expect("a kernel that the agent supports, and root");
    if bounded {
        for program in &mut plan.programs {
            program.symbol = match program.program {
                Program::Exec => "se_exec_bnd",
                Program::ExecFailed => "se_failed_bnd",
                _ => program.symbol,
            };
        }
        plan.snapshot.symbol = "se_snap_bnd";
    }
    plan
}

impl Rig {
    pub fn new() -> Self {
        Rig::with(Options::default())
    }

    pub fn with(options: Options) -> Self {
        let config = Config {
            ring_buffer_bytes: options.ring_bytes,
            args_max_bytes: options.args_max_bytes,
            env_max_bytes: options.env_max_bytes,
            kinds: Kind::ALL.to_vec(),
            poll_timeout: Duration::from_millis(100),
            busy_window: Duration::from_millis(1),
            batch: 256,
            auto_recovery: true,
        };
        // What the verifier has to say, if it refuses a program.
        let _ = env_logger::try_init();
        let plan = planned(&config, options.bounded);
        let mut kernel = Kernel::load(&config, &plan, std::process::id()).expect("loading");
        let metrics = Arc::new(Metrics::default());
        let reader = kernel.reader(Arc::clone(&metrics)).expect("a reader");
        let counters = kernel.counters().expect("counters");
        kernel.attach().expect("attaching");
        for sensor in kernel.sensors() {
            assert_eq!(sensor.missing, None, "{}", sensor.symbol);
        }
        Rig {
            kernel,
            metrics,
            deep: plan.snapshot.symbol == "se_snapshot",
            reader,
            counters,
            records: Vec::new(),
        }
    }

    /// Takes what the ring holds now.
    pub fn drain(&mut self) {
        let mut records = Records::default();
        loop {
            self.reader.drain(4096, &mut records).expect("draining");
            if records.is_empty() {
                return;
            }
            self.records.extend(records.iter().map(<[u8]>::to_vec));
        }
    }

    /// Drains until an event satisfies the condition.
    pub fn wait_for(&mut self, what: &str, condition: impl Fn(&Event<'_>) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = 0;
        loop {
            self.drain();
            if self.records[seen..].iter().any(|record| condition(&event(record))) {
                return;
            }
            seen = self.records.len();
            assert!(Instant::now() < deadline, "no {what} came");
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Runs a command to its end; its pid and how it ended. All its events are there when this returns.
    pub fn run(&mut self, command: &mut Command) -> (u32, ExitStatus) {
        let mut child = command.stdin(Stdio::null()).spawn().expect("starting a command");
        let status = child.wait().expect("waiting for a child");
        self.wait_for_exit(child.id());
        (child.id(), status)
    }

    /// Plays a role to its end; its pid and how it ended. All its events are there when this returns.
    pub fn act(&mut self, role: impl FnOnce()) -> (u32, WaitStatus) {
        let pid = act(role);
        let status = reap(pid);
        self.wait_for_exit(pid);
        (pid, status)
    }

    fn wait_for_exit(&mut self, pid: u32) {
        self.wait_for("exit", |e| matches!(&e.body, Body::Exit(x) if x.task.pid == pid));
    }

    pub fn events(&self) -> impl Iterator<Item = Event<'_>> {
        self.records.iter().map(|record| event(record))
    }

    /// The last successful exec of a process.
    pub fn exec(&self, pid: u32) -> Exec<'_> {
        self.all(Exec::of).filter(|x| x.task.pid == pid).last().expect("an exec")
    }

    /// The execs of all processes.
    pub fn execs(&self) -> impl Iterator<Item = Exec<'_>> {
        self.all(Exec::of)
    }

    /// The refused execs of all processes.
    pub fn refused(&self) -> impl Iterator<Item = ExecFailed<'_>> {
        self.all(ExecFailed::of)
    }

    /// The one fork that made a process.
    pub fn fork(&self, pid: u32) -> Fork<'_> {
        let mut forks: Vec<_> = self.forks().filter(|x| x.task.pid == pid).collect();
        assert_eq!(forks.len(), 1, "one fork of {pid}");
        forks.remove(0)
    }

    pub fn forks(&self) -> impl Iterator<Item = Fork<'_>> {
        self.all(Fork::of)
    }

    pub fn exits(&self, pid: u32) -> Vec<Exit<'_>> {
        self.all(Exit::of).filter(|x| x.task.pid == pid).collect()
    }

    /// The one exit of a process.
    pub fn exit(&self, pid: u32) -> Exit<'_> {
        let mut exits = self.exits(pid);
        assert_eq!(exits.len(), 1, "one exit of {pid}: {exits:#?}");
        exits.remove(0)
    }

    fn all<'a, T: 'a>(&'a self, of: fn(Body<'a>) -> Option<T>) -> impl Iterator<Item = T> + 'a {
        self.events().filter_map(move |event| of(event.body))
    }

    /// Records by kind that came out so far.
    pub fn tally(&self) -> BTreeMap<Kind, u64> {
        let mut tally = BTreeMap::new();
        for event in self.events() {
            *tally.entry(event.kind()).or_default() += 1;
        }
        tally
    }

    pub fn refresh(&mut self) {
        self.counters.refresh(&self.metrics).expect("counters");
    }

    pub fn stage(&self, kind: Kind, stage: Stage) -> u64 {
        self.metrics.events.at((kind, stage)).get()
    }

    pub fn dropped(&self, kind: Kind, reason: Reason) -> u64 {
        self.metrics.events_dropped.at((kind, reason)).get()
    }
}

fn event(record: &[u8]) -> Event<'_> {
    decode(record).expect("a record that decodes")
}

/// The event of one kind that a body may be.
trait Of<'a>: Sized {
    fn of(body: Body<'a>) -> Option<Self>;
}

macro_rules! of {
    ($($kind:ident),+) => {$(
        impl<'a> Of<'a> for $kind<'a> {
            fn of(body: Body<'a>) -> Option<Self> {
                if let Body::$kind(event) = body { Some(*event) } else { None }
            }
        }
    )+};
}

of!(Exec, ExecFailed, Fork, Exit);

/// Waits for the end of a child.
pub fn reap(pid: u32) -> WaitStatus {
    waitpid(Pid::from_raw(i32::try_from(pid).expect("a pid")), None).expect("waiting for a child")
}

/// A directory that is gone afterwards, and in it a copy of a program that does nothing and succeeds.
pub struct Place {
    directory: tempfile::TempDir,
    pub program: PathBuf,
}

impl Place {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let program = directory.path().join("true");
        fs::copy("/bin/true", &program).expect("a copy of /bin/true");
        Place { directory, program }
    }

    pub fn path(&self) -> PathBuf {
        fs::canonicalize(self.directory.path()).expect("the directory")
    }
}

/// A shell command.
pub fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg0("sh").args(["-c", script]);
    command
}

pub fn bytes(path: &Path) -> &[u8] {
    use std::os::unix::ffi::OsStrExt;
    path.as_os_str().as_bytes()
}
