//! The whole agent on the running kernel: what it costs and how fast it is, beside auditd and bpftrace.
//!
//! Runs the release binary that `make build` leaves, needs root, and takes about ten minutes. Written to
//! docs/performance.md when everything was asked for. These are not tests: a busy machine gives worse figures and
//! nothing fails; what cannot be measured is named in the report.
//!
//! `cargo bench --bench host -- [PART...] [--pairs N] [--count N] [--hooks auto|trampoline|syscall]`, with the parts of
//! [`PARTS`]; none means all. `--count` is the number of processes of a storm, 20,000 if not given; all other loads
//! shrink and grow with it.

mod agent;
mod beside;
mod guest;
mod host;
mod job;
mod load;
mod load_report;
mod measure;
mod names;
mod peers;
mod report;
mod rules;
mod settings;
mod stats;
mod tally;
mod versus;
mod workload;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use nix::unistd::Uid;

use beside::{Setting, beside};
use load::{Load, Loads};
use peers::Kind;
use report::Report;
use settings::Settings;
use versus::{Watcher, versus};
use workload::Programs;

/// Whatever went wrong, for a person.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What can be measured, in the order of measuring. auditd, in the parts of the peers, leaves traces in the kernel, so
/// what is ours comes before. "quiet" is getppid, build, unwatched and tcp with no sensor on every system call.
const PARTS: [&str; 16] = [
    "idle",
    "start",
    "storm",
    "replay",
    "latency",
    "rules",
    "opens",
    "distinct",
    "getppid",
    "build",
    "unwatched",
    "tcp",
    "quiet",
    "peers",
    "peers-loads",
    "guest",
];

struct Arguments {
    parts: BTreeSet<String>,
    /// Pairs and repetitions.
    pairs: usize,
    /// Processes a storm; the loads are of a size in proportion.
    count: u64,
    /// The rung of the ladder that the loads are measured on; the agent's choice if not given.
    hooks: Option<String>,
}

fn arguments() -> Result<Arguments> {
    let mut parsed = Arguments { parts: BTreeSet::new(), pairs: 5, count: 20_000, hooks: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || {
            words.next().and_then(|n| n.parse::<u64>().ok()).ok_or_else(|| format!("{word} wants a number"))
        };
        match word.as_str() {
            "--pairs" => parsed.pairs = usize::try_from(number()?)?,
            "--count" => parsed.count = number()?,
            "--hooks" => parsed.hooks = Some(words.next().ok_or("--hooks wants a word")?),
            // Cargo adds it.
            "--bench" => {}
            part if PARTS.contains(&part) => drop(parsed.parts.insert(word)),
            other => return Err(format!("{other} is none of {}", PARTS.join(", ")).into()),
        }
    }
    if parsed.parts.is_empty() {
        parsed.parts = PARTS.map(str::to_owned).into();
    }
    Ok(parsed)
}

/// What every measurement needs.
struct Bench {
    arguments: Arguments,
    /// The agent's own version line.
    version: String,
    directory: PathBuf,
    programs: Programs,
}

impl Bench {
    fn wants(&self, part: &str) -> bool {
        let is_wanted = self.arguments.parts.contains(part);
        if is_wanted {
            eprintln!("{part} ...");
        }
        is_wanted
    }

    /// The parts of the first agent: processes alone.
    fn processes(&self, report: &mut Report) -> Result<()> {
        let (pairs, count) = (self.arguments.pairs, self.arguments.count);
        let (directory, programs) = (self.directory.as_path(), &self.programs);
        if self.wants("idle") {
            let directory = directory.join("idle");
            fs::create_dir_all(&directory)?;
            report.idle = Some(measure::idle(&directory, pairs, Duration::from_secs(10))?);
        }
        if self.wants("start") {
            report.start = Some(measure::start(directory, programs, pairs)?);
        }
        if self.wants("storm") {
            for watcher in [Watcher::Ours, Watcher::Unjudged] {
                let version = self.version.clone();
                report.storms.push(versus(watcher, version, directory, programs, count, pairs)?);
            }
        }
        if self.wants("replay") {
            report.replay = Some(measure::replay(directory, programs, count * 2, pairs)?);
        }
        if self.wants("rules") {
            report.rules = Some(rules::measure(directory, pairs)?);
        }
        if self.wants("latency") {
            let length = Duration::from_secs(5);
            report.latency = Some(measure::latency(directory, programs, 10_000, length, pairs)?);
        }
        Ok(())
    }

    /// Adds what came out, or why nothing did: one part that fails leaves the others worth having.
    fn load(&self, setting: Setting, loads: &Loads, report: &mut Report) {
        let quiet = if setting.quiet { ", quiet" } else { "" };
        let name = format!("{} beside {}{quiet}", setting.load.name(), setting.watcher.name());
        match beside(setting, &self.directory, loads, self.arguments.pairs) {
            Ok(beside) => report.loads.push(beside),
            Err(why) => report.miss(name, &*why),
        }
    }

    /// The loads beside the agent.
    fn loads(&self, loads: &Loads, report: &mut Report) {
        let hooks = self.arguments.hooks.as_deref();
        for load in Load::ALL {
            if self.wants(load.name()) {
                let watched = load.is_watched().then(|| loads.files(load));
                let settings = Settings::storm(hooks, watched.as_deref());
                let version = self.version.clone();
                let setting = Setting { load, watcher: Watcher::Ours, version, settings, quiet: false };
                self.load(setting, loads, report);
            }
        }
        if self.wants("quiet") {
            for load in [Load::Getppid, Load::Build, Load::Unwatched, Load::Tcp] {
                let (settings, version) = (Settings::quiet(hooks), self.version.clone());
                let setting = Setting { load, watcher: Watcher::Ours, version, settings, quiet: true };
                self.load(setting, loads, report);
            }
        }
    }

    /// The peers, each with the jobs that are wanted of it.
    fn peers(&self, loads: &Loads, report: &mut Report) {
        let (pairs, count) = (self.arguments.pairs, self.arguments.count);
        let (storm, jobs) = (self.wants("peers"), self.wants("peers-loads"));
        if !storm && !jobs {
            return;
        }
        for kind in [Kind::Bpftrace, Kind::Auditd] {
            let (watcher, version) = match kind.available() {
                Ok(version) => (Watcher::Peer(kind), version),
                Err(why) => {
                    report.absent.push((kind.name().to_owned(), why));
                    continue;
                }
            };
            if storm {
                let name = format!("the storm beside {}", kind.name());
                match versus(watcher, version.clone(), &self.directory, &self.programs, count, pairs) {
                    Ok(storm) => report.storms.push(storm),
                    Err(why) => report.miss(name, &*why),
                }
            }
            for load in [Load::Opens, Load::Tcp] {
                if jobs {
                    let (version, settings) = (version.clone(), Settings::default());
                    let setting = Setting { load, watcher, version, settings, quiet: false };
                    self.load(setting, loads, report);
                }
            }
        }
    }
}

fn measure(arguments: Arguments) -> Result<Report> {
    if !Uid::effective().is_root() {
        return Err("loading eBPF programs needs root: sudo make bench".into());
    }
    let version = Command::new(agent::binary()).arg("--version").output();
    let version =
        version.map_err(|e| format!("{}: {e}; `make build` makes it", agent::binary().display()))?;
    let version = String::from_utf8_lossy(&version.stdout).lines().next().unwrap_or_default().to_owned();
    let scratch = tempfile::Builder::new().prefix("sentinel-bench-").tempdir_in("/var/tmp")?;
    // The agent reports true paths.
    let directory = fs::canonicalize(scratch.path())?;
    let programs = Programs::compile(&directory)?;
    let loads = Loads::prepare(&directory, arguments.count)?;
    let mut report = Report {
        host: host::description(),
        version: version.clone(),
        directory: directory.to_string_lossy().into_owned(),
        ..Report::default()
    };
    let bench = Bench { arguments, version, directory, programs };
    bench.processes(&mut report)?;
    bench.loads(&loads, &mut report);
    bench.peers(&loads, &mut report);
    if bench.wants("guest") {
        match guest::costs(&guest::log()) {
            Ok(costs) => report.costs = costs,
            Err(why) => report.miss("rungs in a guest".to_owned(), &*why),
        }
    }
    Ok(report)
}

fn run() -> Result<()> {
    let arguments = arguments()?;
    let is_whole = arguments.parts.len() == PARTS.len();
    let text = measure(arguments)?.markdown();
    print!("{text}");
    if is_whole {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md");
        fs::write(&path, text)?;
        eprintln!("written to docs/performance.md");
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
