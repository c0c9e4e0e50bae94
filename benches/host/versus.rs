//! The exec storm with a watcher against the same storm without, in alternating pairs.
//!
//! The machine's speed drifts, so every run with a watcher has a run without beside it, and what counts is the
//! ratio within a pair. The order within pairs alternates too.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::agent::Agent;
use crate::job::Job;
use crate::names::DETECTION;
use crate::peers::{Kind, Peer};
use crate::settings::Settings;
use crate::stats::{Samples, micros};
use crate::workload::{Programs, Storm};
use crate::{Result, host};

/// Who watches the storm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watcher {
    /// SentinelEdge.
    Ours,
    /// The same without rules.
    Unjudged,
    /// Another one.
    Peer(Kind),
}

impl Watcher {
    /// The name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Watcher::Ours => "SentinelEdge",
            Watcher::Unjudged => "SentinelEdge without detection",
            Watcher::Peer(kind) => kind.name(),
        }
    }
}

/// What all pairs of a watcher gave.
pub struct Versus {
    /// Who.
    pub watcher: Watcher,
    /// Its version.
    pub version: String,
    /// Processes a run.
    pub count: u64,
    /// Wall time without a watcher, seconds.
    pub alone_s: Samples,
    /// Wall time with it, seconds.
    pub watched_s: Samples,
    /// Wall time with it over wall time without, by pair.
    pub wall_ratio: Samples,
    /// The workload's CPU time with it over that without, by pair.
    pub cpu_ratio: Samples,
    /// CPU of the watcher, microseconds a process.
    pub watcher_us: Samples,
    /// CPU that the watcher adds to the workload, microseconds a process.
    pub added_us: Samples,
    /// Processes whose exec was reported, percent.
    pub reported_percent: Samples,
    /// Runs in which every fork, exec and exit was reported once; only ours reports them all.
    pub complete_runs: usize,
    /// Runs.
    pub runs: usize,
    /// Bytes written for a process.
    pub bytes: Samples,
    /// Resident memory after the storm, MB.
    pub resident_mb: Samples,
}

/// One run with a watcher.
struct Watched {
    storm: Storm,
    cpu: Duration,
    reported: u64,
    complete: bool,
    bytes: u64,
    resident_mb: f64,
}

fn watched(
    watcher: Watcher,
    directory: &Path,
    programs: &Programs,
    count: u64,
    mark: &str,
) -> Result<Watched> {
    match watcher {
        Watcher::Ours | Watcher::Unjudged => {
            let settings = match watcher {
                Watcher::Unjudged => Settings::default().with(DETECTION, "false"),
                _ => Settings::default(),
            };
            let agent = Agent::start_ready(directory, &settings)?;
            let before = agent.cpu();
            let storm = programs.storm(count, mark, 0)?;
            agent.settle();
            let cpu = agent.cpu() - before;
            let resident_mb = host::resident_mb(agent.pid());
            let account = agent.account(&storm, &programs.tiny, mark)?;
            agent.stop()?;
            let complete = account.is_complete(storm.count);
            if !complete {
                eprintln!("  of {} processes: {account:?}", storm.count);
            }
            Ok(Watched { storm, cpu, reported: account.execs, complete, bytes: account.bytes, resident_mb })
        }
        Watcher::Peer(kind) => {
            let job = Job::Execs { mark: mark.to_owned() };
            let mut peer = Peer::start(kind, directory, &job)?;
            let before = peer.cpu();
            let storm = programs.storm(count, mark, 0)?;
            peer.settle();
            let cpu = peer.cpu() - before;
            let resident_mb = peer.resident_mb();
            peer.stop()?;
            let tally = peer.tally(0, &job, 0)?;
            let reported = tally.classes.values().sum();
            let complete = reported == storm.count;
            Ok(Watched { storm, cpu, reported, complete, bytes: tally.bytes, resident_mb })
        }
    }
}

/// Runs `pairs` pairs of storms of `count` processes.
pub fn versus(
    watcher: Watcher,
    version: String,
    directory: &Path,
    programs: &Programs,
    count: u64,
    pairs: usize,
) -> Result<Versus> {
    // Not counted: the first storm pays for cold caches.
    programs.storm(count, "se-warm", 0)?;
    let (mut alone, mut with) = (Vec::new(), Vec::new());
    for pair in 0..pairs {
        let directory = directory.join(format!("{}-{pair}", watcher.name().replace(' ', "-")));
        fs::create_dir_all(&directory)?;
        let mark = format!("se-storm-{pair}");
        if pair % 2 == 0 {
            alone.push(programs.storm(count, "se-alone", 0)?);
        }
        with.push(watched(watcher, &directory, programs, count, &mark)?);
        if pair % 2 == 1 {
            alone.push(programs.storm(count, "se-alone", 0)?);
        }
        // Hundreds of megabytes a run.
        fs::remove_dir_all(&directory)?;
        if let (Some(a), Some(w)) = (alone.last(), with.last()) {
            let ratio = w.storm.wall.as_secs_f64() / a.wall.as_secs_f64();
            eprintln!("  {} pair {}: wall ratio {ratio:.3}", watcher.name(), pair + 1);
        }
    }
    let both = || alone.iter().zip(&with);
    let of = |value: &dyn Fn(&Watched) -> f64| with.iter().map(value).collect::<Samples>();
    Ok(Versus {
        watcher,
        version,
        count: with.first().map_or(0, |w| w.storm.count),
        alone_s: alone.iter().map(|s| s.wall.as_secs_f64()).collect(),
        watched_s: of(&|w| w.storm.wall.as_secs_f64()),
        wall_ratio: both().map(|(a, w)| w.storm.wall.as_secs_f64() / a.wall.as_secs_f64()).collect(),
        cpu_ratio: both().map(|(a, w)| w.storm.cpu.as_secs_f64() / a.cpu.as_secs_f64()).collect(),
        watcher_us: of(&|w| micros(w.cpu) / w.storm.count as f64),
        added_us: both().map(|(a, w)| (micros(w.storm.cpu) - micros(a.cpu)) / w.storm.count as f64).collect(),
        reported_percent: of(&|w| w.reported as f64 / w.storm.count as f64 * 100.0),
        complete_runs: with.iter().filter(|w| w.complete).count(),
        runs: with.len(),
        bytes: of(&|w| w.bytes as f64 / w.storm.count as f64),
        resident_mb: of(&|w| w.resident_mb),
    })
}
