//! The thread `se-findings`: hits of rules in, lines of findings out.
//!
//! Workers hand over what they find in the order of their batches, more or less; here it is counted, folded and written
//! to the sinks. A hit of a shadow rule, or of a rule below the configured level, is counted and not written. When the
//! thread does not keep up, workers wait: loss then happens in the kernel, where it is counted, as for events.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::detect::combine::Combiner;
use crate::detect::digest::Digests;
use crate::detect::finding::{self, Together};
use crate::detect::fold::Folder;
use crate::detect::judge::Hit;
use crate::detect::{self, sigma};
use crate::metrics::{Level, Metrics};
use crate::sink::Sinks;
use crate::util::beacon::Beacon;
use crate::util::clock;

/// How long to wait for a hit before windows are looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Where hits come from and lines go.
pub struct Findings {
    /// Hits of a batch.
    pub hits: Receiver<Vec<Hit>>,
    /// Settings; replaced on reload.
    pub config: Arc<RwLock<detect::Config>>,
    /// Where lines go.
    pub sinks: Arc<Sinks>,
    /// The counts.
    pub metrics: Arc<Metrics>,
    /// Windows end by this host's clock; in a replay only by the times of events.
    pub is_live: bool,
}

impl std::fmt::Debug for Findings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Findings").finish_non_exhaustive()
    }
}

impl Findings {
    /// Runs until the workers are gone, then tells what is still folded.
    pub fn run(self, beacon: &Beacon) {
        let (mut folder, mut combiner) = (Folder::default(), Combiner::default());
        let mut digests = Digests::default();
        let mut fired = Vec::new();
        let mut lines = Vec::new();
        loop {
            let received = self.hits.recv_timeout(LOOK);
            beacon.beat();
            match received {
                Ok(hits) => hits.into_iter().for_each(|hit| {
                    combiner.hit(&hit, &mut fired);
                    let hit = if hit.program.is_some() { digests.ask(hit) } else { Some(hit) };
                    hit.into_iter().for_each(|hit| self.take(hit, &mut folder, &mut lines));
                }),
                Err(RecvTimeoutError::Timeout) if self.is_live => {
                    folder.close(clock::boot_ns(), &mut lines);
                    combiner.expire(Some(clock::boot_ns()), &mut fired);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            for hit in digests.answered() {
                self.take(hit, &mut folder, &mut lines);
            }
            self.metrics.hashes_refused.add(digests.take_refused());
            self.tell(&mut fired, &mut lines);
            self.write(&mut lines);
        }
        folder.close_all(&mut lines);
        // What waits for its order is complete now; windows that are not over stay untold, as they would be told wrong.
        combiner.finish(&mut fired);
        self.tell(&mut fired, &mut lines);
        self.write(&mut lines);
    }

    fn take(&self, hit: Hit, folder: &mut Folder, lines: &mut Vec<Vec<u8>>) {
        let level = label(hit.about.level);
        let config = self.config.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        if hit.is_silent || hit.about.level < config.min_level {
            self.metrics.findings_silent.at(level).inc();
            return;
        }
        self.metrics.findings.at(level).inc();
        if config.log_findings {
            drop(config);
            folder.hit(hit, lines);
        }
    }

    /// Correlations that fired, each a finding; their state keeps repeats quiet.
    fn tell(&self, fired: &mut Vec<Together>, lines: &mut Vec<Vec<u8>>) {
        for together in fired.drain(..) {
            let level = label(together.about.level);
            let config = self.config.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            if together.about.level < config.min_level {
                self.metrics.findings_silent.at(level).inc();
                continue;
            }
            self.metrics.findings.at(level).inc();
            if config.log_findings {
                lines.push(finding::together(&together));
            }
        }
    }

    fn write(&self, lines: &mut Vec<Vec<u8>>) {
        for mut line in lines.drain(..) {
            line.push(b'\n');
            self.metrics.finding_lines.inc();
            self.sinks.finding(&line);
        }
    }
}

/// The label of a level.
fn label(level: sigma::rule::Level) -> Level {
    match level {
        sigma::rule::Level::Informational => Level::Informational,
        sigma::rule::Level::Low => Level::Low,
        sigma::rule::Level::Medium => Level::Medium,
        sigma::rule::Level::High => Level::High,
        sigma::rule::Level::Critical => Level::Critical,
    }
}
