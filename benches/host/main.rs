//! The whole agent on the running kernel: what it costs and how fast it is, beside auditd and bpftrace.
//!
//! Runs the release binary that `make build` leaves, needs root, and takes about a quarter of an hour. Written to
//! docs/performance.md when everything was measured. These are not tests: a busy machine gives worse figures and
//! nothing fails.
//!
//! `cargo bench --bench host -- [PART...] [--pairs N] [--count N]`, with the parts of [`PARTS`]; none means all.

mod agent;
mod host;
mod measure;
mod peers;
mod report;
mod stats;
mod versus;
mod workload;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use nix::unistd::Uid;

use peers::Kind;
use report::Report;
use versus::{Watcher, versus};
use workload::Programs;

/// Whatever went wrong, for a person.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What can be measured, in the order of measuring. auditd, in peers, leaves traces in the kernel, so what is ours
/// comes before.
const PARTS: [&str; 6] = ["idle", "start", "storm", "replay", "latency", "peers"];

struct Arguments {
    parts: BTreeSet<String>,
    /// Pairs and repetitions.
    pairs: usize,
    /// Processes a storm.
    count: u64,
}

fn arguments() -> Result<Arguments> {
    let mut parsed = Arguments { parts: BTreeSet::new(), pairs: 7, count: 50_000 };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || {
            words.next().and_then(|n| n.parse::<u64>().ok()).ok_or_else(|| format!("{word} wants a number"))
        };
        match word.as_str() {
            "--pairs" => parsed.pairs = usize::try_from(number()?)?,
            "--count" => parsed.count = number()?,
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

fn measure(arguments: &Arguments) -> Result<Report> {
    if !Uid::effective().is_root() {
        return Err("loading eBPF programs needs root: sudo make bench".into());
    }
    let version = Command::new(agent::binary()).arg("--version").output();
    let version =
        version.map_err(|e| format!("{}: {e}; `make build` makes it", agent::binary().display()))?;
    let version = String::from_utf8_lossy(&version.stdout).lines().next().unwrap_or_default().to_owned();
    let scratch = tempfile::Builder::new().prefix("sentinel-bench-").tempdir_in("/var/tmp")?;
    let directory = scratch.path();
    let programs = Programs::compile(directory)?;
    let wanted = |part: &str| {
        let is_wanted = arguments.parts.contains(part);
        if is_wanted {
            eprintln!("{part} ...");
        }
        is_wanted
    };
    let (pairs, count) = (arguments.pairs, arguments.count);
    let mut report = Report { host: host::description(), version: version.clone(), ..Report::default() };
    if wanted("idle") {
        let directory = directory.join("idle");
        fs::create_dir_all(&directory)?;
        report.idle = Some(measure::idle(&directory, pairs, Duration::from_secs(10))?);
    }
    if wanted("start") {
        report.start = Some(measure::start(directory, &programs, pairs)?);
    }
    if wanted("storm") {
        report.storms.push(versus(Watcher::Ours, version, directory, &programs, count, pairs)?);
    }
    if wanted("replay") {
        report.replay = Some(measure::replay(directory, &programs, count * 2, pairs)?);
    }
    if wanted("latency") {
        report.latency = Some(measure::latency(directory, &programs, 10_000, Duration::from_secs(5), pairs)?);
    }
    if wanted("peers") {
        for kind in [Kind::Bpftrace, Kind::Auditd] {
            let result = match kind.available() {
                Ok(version) => versus(Watcher::Peer(kind), version, directory, &programs, count, pairs),
                Err(why) => Err(why.into()),
            };
            match result {
                Ok(storm) => report.storms.push(storm),
                Err(why) => report.absent.push((kind.name().to_owned(), why.to_string())),
            }
        }
    }
    Ok(report)
}

fn run() -> Result<()> {
    let arguments = arguments()?;
    let text = measure(&arguments)?.markdown();
    print!("{text}");
    if arguments.parts.len() == PARTS.len() {
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
