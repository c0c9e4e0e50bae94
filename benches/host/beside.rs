//! A load with a watcher beside it against the same load alone, in alternating pairs, as [`crate::versus`] does it for
//! processes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::agent::Agent;
use crate::job::Job;
use crate::load::{Load, Loads, Run};
use crate::peers::Peer;
use crate::settings::Settings;
use crate::stats::{Samples, micros};
use crate::tally::Tally;
use crate::versus::Watcher;
use crate::{Result, host};

/// What is to be measured.
pub struct Setting {
    /// The work.
    pub load: Load,
    /// Who watches it.
    pub watcher: Watcher,
    /// Its version.
    pub version: String,
    /// What the agent is told; nothing for a peer.
    pub settings: Settings,
    /// No sensor needs a program on every system call.
    pub quiet: bool,
}

/// What all pairs gave.
pub struct Beside {
    /// What was measured.
    pub setting: Setting,
    /// Opens, calls, files compiled, connections a run.
    pub operations: u64,
    /// CPU time without a watcher, seconds.
    pub alone_cpu_s: Samples,
    /// Wall time without a watcher, seconds.
    pub alone_wall_s: Samples,
    /// The load's CPU time with the watcher over that without, by pair.
    pub cpu_ratio: Samples,
    /// Wall time with it over wall time without, by pair.
    pub wall_ratio: Samples,
    /// CPU that the watcher adds to the load, microseconds an operation.
    pub added_us: Samples,
    /// CPU of the watcher, microseconds an operation.
    pub watcher_us: Samples,
    /// CPU of the watcher, microseconds a line.
    pub line_us: Samples,
    /// Lines of the load's events.
    pub seen: Samples,
    /// Further events that they stand for.
    pub merged: Samples,
    /// Events that are neither, of those that must be there; of a load without such, those that the watcher says it lost.
    pub lost: Samples,
    /// Megabytes written a run.
    pub written_mb: Samples,
    /// Resident memory after the load, MB.
    pub resident_mb: Samples,
    /// Lines by class, of the last run.
    pub classes: BTreeMap<String, u64>,
    /// Runs in which everything is accounted for and nothing lost.
    pub complete_runs: usize,
    /// Runs.
    pub runs: usize,
}

/// What a start leaves to do, such as pages to write back, is not the load's.
const CALM: Duration = Duration::from_millis(500);

/// How often the lines are looked at again if something is missing: a merged line comes when its window ends.
const RECOUNTS: usize = 4;

/// One run with a watcher.
struct Watched {
    run: Run,
    cpu: Duration,
    tally: Tally,
    resident_mb: f64,
}

impl Setting {
    /// Events that must be there for each operation; none if the load interests nobody, or in the quiet configuration.
    pub fn events(&self) -> Option<u64> {
        if self.quiet { None } else { self.load.events() }
    }
}

impl Watched {
    /// Lines of the events that must be there; all lines if none must.
    fn seen(&self, setting: &Setting) -> u64 {
        setting.events().map_or(self.tally.lines, |_| self.tally.seen(setting.load))
    }

    /// Events missing of those that must be there. More than were made are as wrong as fewer; completeness tells.
    fn lost(&self, setting: &Setting) -> u64 {
        let events = setting.events().map(|n| n * self.run.operations);
        events.map_or(self.tally.lost, |events| events.saturating_sub(self.tally.accounted(setting.load)))
    }

    fn is_complete(&self, setting: &Setting) -> bool {
        let is_accounted = |_| self.tally.is_accounted(setting.load, self.run.operations);
        self.tally.lost == 0 && setting.events().is_none_or(is_accounted)
    }
}

fn watched(setting: &Setting, directory: &Path, loads: &Loads) -> Result<Watched> {
    let (load, files) = (setting.load, loads.files(setting.load));
    match setting.watcher {
        Watcher::Ours | Watcher::Unjudged => {
            let agent = Agent::start_ready(directory, &setting.settings)?;
            thread::sleep(CALM);
            let skip = fs::metadata(&agent.output).map_or(0, |m| m.len());
            let before = agent.cpu();
            let run = loads.run(load)?;
            agent.settle();
            let cpu = agent.cpu() - before;
            let resident_mb = host::resident_mb(agent.pid());
            let mut tally = Tally::of_lines(&agent.output, skip, load, &files, &run)?;
            for _ in 0..RECOUNTS {
                if setting.events().is_none() || tally.is_accounted(load, run.operations) {
                    break;
                }
                agent.settle();
                tally = Tally::of_lines(&agent.output, skip, load, &files, &run)?;
            }
            tally.lost = agent.lost()?;
            agent.stop()?;
            Ok(Watched { run, cpu, tally, resident_mb })
        }
        Watcher::Peer(kind) => {
            let job = Job::of(load, &files).ok_or("peers have no rule for this load")?;
            let mut peer = Peer::start(kind, directory, &job)?;
            thread::sleep(CALM);
            let skip = peer.written();
            let before = peer.cpu();
            let run = loads.run(load)?;
            peer.settle();
            let cpu = peer.cpu() - before;
            let resident_mb = peer.resident_mb();
            peer.stop()?;
            let tally = peer.tally(skip, &job, run.pid)?;
            Ok(Watched { run, cpu, tally, resident_mb })
        }
    }
}

/// Runs `pairs` pairs.
pub fn beside(setting: Setting, directory: &Path, loads: &Loads, pairs: usize) -> Result<Beside> {
    let load = setting.load;
    // Not counted: the first run pays for cold caches.
    loads.run(load)?;
    let (mut alone, mut with): (Vec<Run>, Vec<Watched>) = (Vec::new(), Vec::new());
    for pair in 0..pairs {
        let directory = directory.join(format!("{}-{}-{pair}", setting.watcher.name(), load.name()));
        fs::create_dir_all(&directory)?;
        if pair % 2 == 0 {
            alone.push(loads.run(load)?);
        }
        with.push(watched(&setting, &directory, loads)?);
        if pair % 2 == 1 {
            alone.push(loads.run(load)?);
        }
        // Hundreds of megabytes a run.
        fs::remove_dir_all(&directory)?;
        if let (Some(a), Some(w)) = (alone.last(), with.last()) {
            let ratio = w.run.cpu.as_secs_f64() / a.cpu.as_secs_f64();
            eprintln!("  {} {} pair {}: CPU ratio {ratio:.3}", setting.watcher.name(), load.name(), pair + 1);
            if !w.is_complete(&setting) {
                eprintln!("  of {} operations: {:?}", w.run.operations, w.tally);
            }
        }
    }
    let both = || alone.iter().zip(&with);
    let of = |value: &dyn Fn(&Watched) -> f64| with.iter().map(value).collect::<Samples>();
    let operations = |w: &Watched| w.run.operations as f64;
    Ok(Beside {
        operations: with.first().map_or(0, |w| w.run.operations),
        alone_cpu_s: alone.iter().map(|r| r.cpu.as_secs_f64()).collect(),
        alone_wall_s: alone.iter().map(|r| r.wall.as_secs_f64()).collect(),
        cpu_ratio: both().map(|(a, w)| w.run.cpu.as_secs_f64() / a.cpu.as_secs_f64()).collect(),
        wall_ratio: both().map(|(a, w)| w.run.wall.as_secs_f64() / a.wall.as_secs_f64()).collect(),
        added_us: both().map(|(a, w)| (micros(w.run.cpu) - micros(a.cpu)) / operations(w)).collect(),
        watcher_us: of(&|w| micros(w.cpu) / operations(w)),
        line_us: with
            .iter()
            .filter(|w| w.tally.lines > 0)
            .map(|w| micros(w.cpu) / w.tally.lines as f64)
            .collect(),
        seen: of(&|w| w.seen(&setting) as f64),
        merged: of(&|w| w.tally.merged as f64),
        lost: of(&|w| w.lost(&setting) as f64),
        written_mb: of(&|w| w.tally.bytes as f64 / 1e6),
        resident_mb: of(&|w| w.resident_mb),
        classes: with.last().map(|w| w.tally.classes.clone()).unwrap_or_default(),
        complete_runs: with.iter().filter(|w| w.is_complete(&setting)).count(),
        runs: with.len(),
        setting,
    })
}
