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
use sentinel_edge::event::{Body, Credentials, Event, Exec, ExecFailed, Exit, File, Fork, Kind, Network};
use sentinel_edge::kernel::counters::Counters;
use sentinel_edge::kernel::loader::Kernel;
use sentinel_edge::kernel::plan::{Attach, Plan, plan, wants_trampolines};
use sentinel_edge::kernel::reader::Reader;
use sentinel_edge::kernel::records::Records;
use sentinel_edge::kernel::{Config, Filter, Hooks, support};
use sentinel_edge::metrics::label::{Program, Reason, Stage};
use sentinel_edge::metrics::{Label as _, Metrics};

use crate::acts::act;

/// How long an event may take to come out of the ring.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the kernel side drops for.
pub const KERNEL_REASONS: [Reason; 6] = [
    Reason::RingFull,
    Reason::RateLimited,
    Reason::Skipped,
    Reason::Filtered,
    Reason::Deduplicated,
    Reason::Summarised,
];

/// What differs between tests.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub ring_bytes: u32,
    pub args_max_bytes: u32,
    pub env_max_bytes: u32,
    /// The programs with the bounded loop, even where bpf_loop() is there.
    pub bounded: bool,
    pub kinds: &'static [Kind],
    pub merge_window: Option<Duration>,
    pub filter: fn() -> Filter,
    /// A rung of the ladder, whatever SENTINEL_TEST_HOOKS says.
    pub hooks: Option<Hooks>,
    /// As on a host without the default hierarchy of control groups.
    pub no_cgroups: bool,
    /// Go on where a program cannot be had; [`Rig::missing`] tells.
    pub may_miss: bool,
}

impl Options {
    pub const DEFAULT: Options = Options {
        ring_bytes: 4 << 20,
        args_max_bytes: 32768,
        env_max_bytes: 8192,
        bounded: false,
        kinds: PROCESS,
        merge_window: None,
        filter: Filter::default,
        hooks: None,
        no_cgroups: false,
        may_miss: false,
    };
}

impl Default for Options {
    fn default() -> Self {
        Options::DEFAULT
    }
}

/// What the older tests look at; further kinds would only be in their way.
pub const PROCESS: &[Kind] =
    &[Kind::Exec, Kind::ExecFailed, Kind::Fork, Kind::Exit, Kind::Cgroup, Kind::Snapshot];

/// Everything of the network.
pub const NETWORK: &[Kind] = &[
    Kind::NetConnect,
    Kind::NetAccept,
    Kind::NetBind,
    Kind::NetListen,
    Kind::NetFlow,
    Kind::NetSocket,
    Kind::NetDns,
];

/// Everything that is done to files.
pub const FILE: &[Kind] = &[
    Kind::FileOpen,
    Kind::FileRead,
    Kind::FileClose,
    Kind::FileRename,
    Kind::FileDelete,
    Kind::FileLink,
    Kind::FileMkdir,
    Kind::FileMode,
    Kind::FileOwner,
    Kind::FileXattr,
    Kind::FileTruncate,
    Kind::FileTimes,
    Kind::Mount,
];

/// The rung of the ladder to test, by SENTINEL_TEST_HOOKS; the best without it.
pub fn hooks() -> Hooks {
    let name = std::env::var("SENTINEL_TEST_HOOKS").unwrap_or_else(|_| "auto".into());
    Hooks::from_name(&name).expect("SENTINEL_TEST_HOOKS is auto, trampoline or syscall")
}

/// Once with each of the two ways to walk a path. In a guest, which has a rung forced on it, only with that of its
/// kernel: both are tested on the host, and in emulation the verifier takes long.
pub fn either_way(options: Options) -> Vec<Options> {
    if is_guest() { vec![options] } else { vec![options, Options { bounded: true, ..options }] }
}

/// The test runs in emulation, where a rung is forced on it; tests/vm/guest/suites does that.
pub fn is_guest() -> bool {
    std::env::var_os("SENTINEL_TEST_HOOKS").is_some()
}

/// Tests of subjects that trampolines have nothing to do with, processes and the network, take what is best.
fn hooks_for(kinds: &[Kind]) -> Hooks {
    let is_elsewhere = |kind: &Kind| PROCESS.contains(kind) || NETWORK.contains(kind);
    if hooks() == Hooks::Trampoline && kinds.iter().all(is_elsewhere) || kinds == PROCESS {
        Hooks::Auto
    } else {
        hooks()
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
    /// Processes whose exit was skipped.
    missed_exits: u64,
}

/// The plan for this host, perhaps with the lower rung.
pub fn planned(config: &Config, bounded: bool, no_cgroups: bool) -> Plan {
    let mut facts = support::probe(&support::Roots::default());
    if wants_trampolines(config) {
        facts.try_trampolines();
    }
    if no_cgroups {
        facts.cgroup2 = Err("none is to be had in this test".into());
    }
    if bounded && let Ok(btf) = &mut facts.btf {
        btf.helpers.remove("loop");
    }
    plan(&facts, config).expect("a kernel that the agent supports, and root")
}

impl Rig {
    pub fn new() -> Self {
        Rig::with(Options::default())
    }

    /// Every program that is wanted must be there.
    pub fn with(options: Options) -> Self {
        Rig::try_with(options, options.hooks.unwrap_or_else(|| hooks_for(options.kinds)))
            .unwrap_or_else(|missing| panic!("{missing}"))
    }

    /// The agent's configuration for these options.
    pub fn config(options: Options, hooks: Hooks) -> Config {
        Config {
            ring_buffer_bytes: options.ring_bytes,
            bulk_ring_bytes: options.ring_bytes,
            bulk_rate: 0,
            backpressure: false,
            hooks,
            merge_window: options.merge_window,
            filter: (options.filter)(),
            args_max_bytes: options.args_max_bytes,
            env_max_bytes: options.env_max_bytes,
            kinds: options.kinds.to_vec(),
            poll_timeout: Duration::from_millis(100),
            busy_window: Duration::from_millis(1),
            batch: 256,
            auto_recovery: true,
        }
    }

    /// On these hooks; else why a program that is wanted cannot be had.
    pub fn try_with(options: Options, hooks: Hooks) -> Result<Self, String> {
        let config = Rig::config(options, hooks);
        // What the verifier has to say, if it refuses a program.
        let _ = env_logger::try_init();
        let plan = planned(&config, options.bounded, options.no_cgroups);
        let mut kernel = Kernel::load(&config, &plan, std::process::id()).expect("loading");
        let metrics = Arc::new(Metrics::default());
        let reader = kernel.reader(Arc::clone(&metrics)).expect("a reader");
        let counters = kernel.counters().expect("counters");
        kernel.attach().expect("attaching");
        // What is forced may leave something out; the tests that force it say what they expect.
        if options.hooks.is_none() && !options.no_cgroups && !options.may_miss {
            // Requests of io_urings can be read since 6.0; the tests of those say what is missing.
            for sensor in kernel.sensors().iter().filter(|sensor| !sensor.hook.contains("io_uring")) {
                if let Some(missing) = &sensor.missing {
                    return Err(format!("{}: {missing}", sensor.symbol));
                }
            }
        }
        Ok(Rig {
            kernel,
            metrics,
            deep: plan.snapshot.symbol == "se_snapshot",
            reader,
            counters,
            records: Vec::new(),
            missed_exits: 0,
        })
    }

    /// See [`skipped`].
    pub fn skipped(&mut self, kind: Kind) -> u64 {
        self.refresh();
        skipped(&self.kernel, &self.metrics, kind)
    }

    /// Attempts of this kind that are known: those that the programs counted, and all that they were skipped for.
    pub fn attempted(&mut self, kind: Kind) -> u64 {
        let skipped = self.skipped(kind);
        self.stage(kind, Stage::Attempted) - self.dropped(kind, Reason::Skipped) + skipped
    }

    /// Detaches and takes what is left; then the books of these kinds close: attempted = submitted + what was left out or
    /// lost, and what was submitted came out.
    pub fn assert_closes(&mut self, kinds: &[Kind]) {
        self.kernel.detach();
        self.drain();
        self.refresh();
        let tally = self.tally();
        for kind in kinds {
            let lost: u64 = KERNEL_REASONS.iter().map(|reason| self.dropped(*kind, *reason)).sum();
            let submitted = self.stage(*kind, Stage::Submitted);
            assert_eq!(self.stage(*kind, Stage::Attempted), submitted + lost, "{kind}");
            assert_eq!(submitted, tally.get(kind).copied().unwrap_or(0), "{kind}");
        }
    }

    /// A program reports this kind.
    pub fn has(&self, kind: Kind) -> bool {
        self.hooks_of(kind).next().is_some()
    }

    /// The hooks of the programs that report this kind.
    pub fn hooks_of(&self, kind: Kind) -> impl Iterator<Item = &'static str> + '_ {
        let of_kind = self.kernel.sensors().iter().filter(move |sensor| sensor.kinds.contains(&kind));
        of_kind.filter(|sensor| sensor.missing.is_none()).map(|sensor| sensor.hook)
    }

    /// Why there are programs of this kind missing.
    pub fn missing(&self, kind: Kind) -> impl Iterator<Item = (&'static str, &str)> + '_ {
        let of_kind = self.kernel.sensors().iter().filter(move |sensor| sensor.kinds.contains(&kind));
        of_kind.filter_map(|sensor| Some((sensor.hook, sensor.missing.as_deref()?)))
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

    /// Of a process that was waited for, whose record was made by then; but where the kernel tells of a skipped exit that
    /// no other process missed, it may have been this one's.
    fn wait_for_exit(&mut self, pid: u32) {
        let deadline = Instant::now() + PATIENCE;
        let mut looked = 0;
        loop {
            self.drain();
            if !self.exits(pid).is_empty() {
                return;
            }
            looked += 1;
            if looked > 100 && self.skipped(Kind::Exit) > self.missed_exits {
                self.missed_exits += 1;
                return;
            }
            assert!(Instant::now() < deadline, "no exit came");
            thread::sleep(Duration::from_millis(2));
        }
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

    /// What a process did to files below a directory, in order.
    pub fn files_below<'a>(&'a self, pid: u32, below: &'a Path) -> impl Iterator<Item = File<'a>> {
        self.all(File::of).filter(move |x| x.task.pid == pid && x.path.starts_with(bytes(below)))
    }

    /// Changes of a process's credentials, in order.
    pub fn credentials(&self, pid: u32) -> impl Iterator<Item = Credentials<'_>> {
        self.all(Credentials::of).filter(move |x| x.task.pid == pid)
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

    /// Network events of one kind that the test itself or a child of it caused.
    pub fn network(&self, pid: u32, kind: Kind) -> Vec<Network<'_>> {
        let all = self.all(Network::of);
        all.filter(|net| net.kind == kind && (net.task.pid == pid || net.unowned)).collect()
    }

    /// What a process did to files, in the order of the records.
    pub fn files(&self, pid: u32) -> Vec<File<'_>> {
        self.all(File::of).filter(|file| file.task.pid == pid).collect()
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

of!(Credentials, Exec, ExecFailed, Exit, File, Fork, Network);

/// Runs that the kernel skipped of the programs that this kind comes from, after the counters were read. Since Linux 7.0
/// programs can be preempted, and whoever comes to the same one on that CPU meanwhile is not seen. So of what happened
/// at most so many events may be missing, and elsewhere none, as nothing is skipped there.
pub fn skipped(kernel: &Kernel, metrics: &Metrics, kind: Kind) -> u64 {
    let mut programs: Vec<Program> = Vec::new();
    for sensor in kernel.sensors().iter().filter(|sensor| sensor.missing.is_none()) {
        // What is closed is recognised by what was opened.
        let is_of_open = kind == Kind::FileClose && sensor.kinds.contains(&Kind::FileOpen);
        if sensor.kinds.contains(&kind) || is_of_open {
            let is_called = matches!(sensor.attach, Attach::Calls(..));
            programs.push(if is_called { Program::SysExit } else { sensor.program });
        }
    }
    programs.sort_unstable_by_key(|program| program.index());
    programs.dedup();
    programs.iter().map(|program| metrics.program_misses.at(*program).get()).sum()
}

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
