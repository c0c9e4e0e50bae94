//! The kernel side as the run sees it: planned, loaded, attached, watched and detached.

use std::io;
use std::process;
use std::sync::Arc;
use std::time::Duration;

use super::error::Error;
use super::health::{ClassFact, SensorFact};
use super::source::{self, Source};
use crate::decode;
use crate::enrich::Enricher;
use crate::event::Kind;
use crate::kernel::abi::Layout as _;
use crate::kernel::abi::types::se_header;
use crate::kernel::counters::Counters;
use crate::kernel::loader::Kernel;
use crate::kernel::merge::{Merger, Unplaceds, Untold};
use crate::kernel::plan::{self, Plan, Planned};
use crate::kernel::reader::Reader;
use crate::kernel::records::Records;
use crate::kernel::{self, classes, snapshot, support};
use crate::metrics::{ErrorType, Metrics, Program};
use crate::util::clock;

/// The attached programs.
#[derive(Debug)]
pub struct Probes {
    kernel: Kernel,
    metrics: Arc<Metrics>,
    /// Kinds that are to be reported, and those that were when the programs were loaded.
    kinds: Vec<Kind>,
    loaded: Vec<Kind>,
    unplaced: Unplaceds,
}

impl Probes {
    /// What would be loaded on this host, or what keeps it from that.
    pub fn plan(config: &kernel::Config) -> Result<Plan, Error> {
        let mut facts = support::probe(&support::Roots::default());
        // Without privileges the trial would only repeat what is said already.
        if plan::wants_trampolines(config) && plan::obstacles(&facts).is_empty() {
            facts.try_trampolines();
        }
        Ok(plan::plan(&facts, config)?)
    }

    /// Loads and attaches. From here on records wait in the ring.
    pub fn attach(config: &kernel::Config, plan: &Plan, metrics: &Arc<Metrics>) -> Result<Probes, Error> {
        let mut kernel = Kernel::load(config, plan, process::id())?;
        kernel.attach()?;
        let probes = Probes {
            kernel,
            metrics: Arc::clone(metrics),
            kinds: config.kinds.clone(),
            loaded: config.kinds.clone(),
            unplaced: Unplaceds::default(),
        };
        probes.show();
        Ok(probes)
    }

    /// Fills the process table with what runs already. Taken after attaching: a process that begins meanwhile is in
    /// the snapshot, or in the ring, or in both, and the table tells by the times. Returns the records, if the
    /// kernel made them.
    pub fn seed(&self, enricher: &mut Enricher) -> Option<Records> {
        let began_ns = clock::boot_ns();
        enricher.begin_resync(began_ns);
        let records = match self.kernel.snapshot() {
            Ok(records) => {
                apply(enricher, &records);
                // The iterator leaves some out: on Linux 6.18 pid 1 was seen missing.
                enricher.seed_from_procfs(began_ns);
                Some(records)
            }
            Err(error) => {
                log::warn!("{error}; reading /proc instead, so what runs already is known in part");
                enricher.seed_from_procfs(began_ns);
                None
            }
        };
        enricher.end_resync(clock::boot_ns());
        records
    }

    /// Every process that runs now.
    pub fn snapshot(&self) -> Result<Records, snapshot::Error> {
        self.kernel.snapshot()
    }

    /// The records, for the pipeline; once only.
    pub fn source(&mut self, config: &kernel::Config) -> Result<Ring, Error> {
        let reader = self.kernel.reader(Arc::clone(&self.metrics))?;
        let merger = self.kernel.merger(config, Arc::clone(&self.metrics))?;
        if let Some(merger) = &merger {
            self.unplaced = merger.unplaced();
        }
        Ok(Ring { reader, merger })
    }

    /// Merged events that no record tells of, since the last call.
    pub fn untold(&self) -> Option<Untold> {
        self.unplaced.take()
    }

    /// Makes this configuration's lists the ones in effect: what is watched and what is left out.
    pub fn watch(&mut self, config: &kernel::Config) {
        self.kinds.clone_from(&config.kinds);
        let outcome = self.kernel.watch().apply(config);
        self.tell(outcome);
    }

    /// Looks up again what the lists name, as files, executables and control groups come and go.
    pub fn refresh_watch(&mut self) {
        if let Err(error) = self.kernel.watch().refresh() {
            self.tell(Err(error));
        }
    }

    fn tell(&self, outcome: Result<Vec<String>, kernel::watch::Error>) {
        match outcome {
            Ok(remarks) => remarks.iter().for_each(|remark| log::warn!("{remark}")),
            Err(error) => {
                self.metrics.errors.at(ErrorType::Bpf).inc();
                log::error!("{error}");
            }
        }
    }

    /// The kernel side's counters.
    pub fn counters(&self) -> Result<Counters, Error> {
        Ok(self.kernel.counters()?)
    }

    /// Notices programs that somebody detached, and attaches them again if it may.
    pub fn check(&mut self, may_recover: bool) {
        let lost = self.kernel.lost();
        if lost.is_empty() {
            return;
        }
        for name in lost {
            self.metrics.errors.at(ErrorType::Bpf).inc();
            if !may_recover {
                log::error!("{name} was detached by somebody; events are missing (auto_recovery is off)");
                continue;
            }
            match self.kernel.reattach(name) {
                Ok(()) => log::warn!(
                    "{name} was detached by somebody; attached again, events in between are missing"
                ),
                Err(error) => {
                    log::error!("{name} was detached by somebody and cannot be attached again: {error}")
                }
            }
        }
        self.show();
    }

    /// Sets the gauges that tell which programs are attached.
    fn show(&self) {
        let lost = self.kernel.lost();
        for program in Program::ALL {
            let sensor = self.kernel.sensors().iter().find(|sensor| sensor.program == *program);
            let up = sensor.is_some_and(|s| s.missing.is_none() && !lost.contains(&s.symbol));
            self.metrics.program_up.at(*program).set(f64::from(u8::from(up)));
        }
    }

    /// For health.
    pub fn facts(&self) -> Vec<SensorFact> {
        let lost = self.kernel.lost();
        let fact = |sensor: &Planned| SensorFact {
            program: sensor.symbol,
            hook: sensor.hook,
            grade: sensor.grade,
            classes: sensor.kinds.iter().map(|kind| kind.name()).collect(),
            missing: match &sensor.missing {
                None if lost.contains(&sensor.symbol) => Some("detached by somebody".to_owned()),
                missing => missing.clone(),
            },
            has_failed: sensor.has_failed || lost.contains(&sensor.symbol),
            remark: sensor.remark.clone(),
        };
        self.kernel.sensors().iter().map(fact).collect()
    }

    /// Records of this kind come, whether they are reported or not: it was wanted at the load, or the process table
    /// needs it.
    pub fn makes(&self, kind: Kind) -> bool {
        let needed = [Kind::Exec, Kind::Fork, Kind::Exit].contains(&kind);
        needed || self.loaded.contains(&kind)
    }

    /// How each class is seen.
    pub fn classes(&self) -> Vec<ClassFact> {
        let lost = self.kernel.lost();
        let mut sensors = self.kernel.sensors().to_vec();
        for sensor in sensors.iter_mut().filter(|sensor| lost.contains(&sensor.symbol)) {
            sensor.missing.get_or_insert_with(|| "detached by somebody".to_owned());
        }
        classes::classes(&sensors, &self.kinds)
    }

    /// Detaches; what was submitted stays in the ring until the reader has taken it.
    pub fn detach(&mut self) {
        self.kernel.detach();
    }
}

/// Brings the table up to date with snapshot records.
pub fn apply(enricher: &mut Enricher, records: &Records) {
    for record in records.iter() {
        match decode::decode(record) {
            Ok(event) => {
                enricher.apply(&event);
            }
            // The kernel side wrote it a moment ago, so this is a fault of ours.
            Err(error) => log::error!("a snapshot record makes no sense: {error}"),
        }
    }
}

/// The rings as a source, in the order of time, with what the kernel side merged.
#[derive(Debug)]
pub struct Ring {
    reader: Reader,
    merger: Option<Merger>,
}

impl Source for Ring {
    fn wait(&mut self, timeout: Duration) -> Result<(), source::Error> {
        self.reader.wait(timeout).map_err(failed)
    }

    fn drain(&mut self, most: usize, into: &mut Records) -> Result<(), source::Error> {
        let critical = self.reader.drain(most, into).map_err(failed)?;
        let Some(merger) = &mut self.merger else {
            into.interleave(critical, time_ns);
            return Ok(());
        };
        merger.observe(into);
        into.interleave(critical, time_ns);
        merger.turn(clock::boot_ns(), into).map_err(failed)
    }

    fn finish(&mut self, into: &mut Records) -> Result<(), source::Error> {
        into.clear();
        self.merger.as_mut().map_or(Ok(()), |merger| merger.finish(into).map_err(failed))
    }

    fn fill(&self) -> f64 {
        self.reader.fill()
    }
}

/// The time of a record, 0 of what is none.
fn time_ns(record: &[u8]) -> u64 {
    se_header::read(record).map_or(0, |header| header.ts_ns)
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> source::Error {
    source::Error { from: "the kernel".to_owned(), cause: io::Error::other(error).into() }
}
