//! The kernel side as the run sees it: planned, loaded, attached, watched and detached.

use std::io;
use std::process;
use std::sync::Arc;
use std::time::Duration;

use super::error::Error;
use super::health::SensorFact;
use super::source::{self, Source};
use crate::decode;
use crate::enrich::Enricher;
use crate::kernel::counters::Counters;
use crate::kernel::loader::Kernel;
use crate::kernel::plan::{self, Plan, Planned};
use crate::kernel::reader::Reader;
use crate::kernel::records::Records;
use crate::kernel::{self, snapshot, support};
use crate::metrics::{ErrorType, Metrics, Program};
use crate::util::clock;

/// The attached programs.
#[derive(Debug)]
pub struct Probes {
    kernel: Kernel,
    metrics: Arc<Metrics>,
}

impl Probes {
    /// What would be loaded on this host, or what keeps it from that.
    pub fn plan(config: &kernel::Config) -> Result<Plan, Error> {
        Ok(plan::plan(&support::probe(&support::Roots::default()), config)?)
    }

    /// Loads and attaches. From here on records wait in the ring.
    pub fn attach(config: &kernel::Config, plan: &Plan, metrics: &Arc<Metrics>) -> Result<Probes, Error> {
        let mut kernel = Kernel::load(config, plan, process::id())?;
        kernel.attach()?;
        let probes = Probes { kernel, metrics: Arc::clone(metrics) };
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
    pub fn source(&self) -> Result<Ring, Error> {
        Ok(Ring(self.kernel.reader(Arc::clone(&self.metrics))?))
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
            remark: sensor.remark.clone(),
        };
        self.kernel.sensors().iter().map(fact).collect()
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

/// The ring as a source.
#[derive(Debug)]
pub struct Ring(Reader);

impl Source for Ring {
    fn wait(&mut self, timeout: Duration) -> Result<(), source::Error> {
        self.0.wait(timeout).map_err(failed)
    }

    fn drain(&mut self, most: usize, into: &mut Records) -> Result<(), source::Error> {
        self.0.drain(most, into).map_err(failed)
    }

    fn fill(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a ring is smaller than 2^53 bytes")]
        let (used, size) = (self.0.used_bytes() as f64, self.0.size_bytes().max(1) as f64);
        used / size
    }
}

fn failed(error: kernel::reader::Error) -> source::Error {
    source::Error { from: "the kernel".to_owned(), cause: io::Error::other(error).into() }
}
