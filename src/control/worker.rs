//! Threads `se-worker-N`: work in, lines out, and what rules find in the events.
//!
//! A worker holds no state between two pieces of work, so their number may be chosen freely; sinks put the
//! batches back in order. A panic loses the batch at hand, is counted with every event in it, and an empty batch
//! keeps the order going.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use super::pipeline::Work;
use super::rules::Slot;
use crate::decode;
use crate::detect::judge::{Case, Hit, Judge};
use crate::detect::load::Rules;
use crate::detect::novelty::Novelty;
use crate::detect::trail::{Steps, Trail};
use crate::detect::view::Input;
use crate::enrich::Names;
use crate::event::ecs::{self, Frame};
use crate::event::{Body, Event, Kind};
use crate::metrics::{ErrorType, Metrics, Reason, Stage};
use crate::sink::{Batch, Line, Sinks};
use crate::util::beacon::Beacon;

/// Bytes to expect of a line, with some to spare: growing the buffer of a whole batch means copying it.
const TYPICAL_LINE_BYTES: usize = 3072;

/// What a worker needs.
#[derive(Clone)]
pub struct Worker {
    /// Where work comes from.
    pub work: Receiver<Work>,
    /// What is the same in all lines; replaced on reload.
    pub frame: Arc<std::sync::RwLock<Frame>>,
    /// Names of users and groups.
    pub names: Names,
    /// Where lines go.
    pub sinks: Arc<Sinks>,
    /// The counts.
    pub metrics: Arc<Metrics>,
    /// What is judged by; none if nothing is judged.
    pub detection: Option<Detection>,
}

impl std::fmt::Debug for Detection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Detection").field("slot", &self.slot).finish_non_exhaustive()
    }
}

/// What events are judged by.
#[derive(Clone)]
pub struct Detection {
    /// The rules in force.
    pub slot: Arc<Slot>,
    /// What programs usually do.
    pub novelty: Arc<Novelty>,
    /// What process trees did lately.
    pub trail: Arc<Trail>,
    /// Where hits go.
    pub hits: Sender<Vec<Hit>>,
    /// Lines of events are not written.
    pub only_findings: bool,
}

/// What a worker needs to judge, kept from batch to batch, and what it found in the one at hand.
#[derive(Default)]
struct Judging {
    judge: Judge,
    hits: Vec<Hit>,
    steps: Steps,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("sinks", &self.sinks).finish_non_exhaustive()
    }
}

/// Events of a batch by kind, added to the shared counters once a batch.
struct Tally([u64; Kind::COUNT]);

impl Default for Tally {
    fn default() -> Self {
        Tally([0; Kind::COUNT])
    }
}

impl Tally {
    fn each(&self) -> impl Iterator<Item = (Kind, u64)> {
        Kind::ALL.iter().zip(self.0).filter(|(_, n)| *n > 0).map(|(kind, n)| (*kind, n))
    }
}

impl Worker {
    /// Runs until the pipeline is gone.
    pub fn run(&self, beacon: &Beacon) {
        let mut judging = Judging::default();
        while let Ok(work) = self.work.recv() {
            beacon.beat();
            let mut frame = self.frame.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
            frame.wall_offset_ns = work.wall_offset_ns;
            frame.created_ns = work.created_ns;
            // One generation for all of the batch.
            let rules = self.detection.as_ref().and_then(|detection| detection.slot.get());
            let batch = catch_unwind(AssertUnwindSafe(|| {
                self.lines(&work, &frame, rules.as_ref().map(|rules| (rules, &mut judging)))
            }));
            let mut batch = batch.unwrap_or_else(|_| self.lost(&work));
            if self.detection.as_ref().is_some_and(|detection| detection.only_findings) {
                batch = Batch { index: batch.index, ..Batch::default() };
            }
            let batch = Arc::new(batch);
            self.sinks.offer(&batch);
            if let Some(detection) = &self.detection {
                if rules.is_none() {
                    detection.trail.forget();
                }
                // Also without hits, and after a panic: the trail counts on every batch.
                let hits = std::mem::take(&mut judging.hits);
                let hits = detection.trail.take(work.index, &mut judging.steps, hits);
                if !hits.is_empty() {
                    // The receiver outlives the workers.
                    let _ = detection.hits.send(hits);
                }
            }
        }
    }

    fn lines(&self, work: &Work, frame: &Frame, mut judging: Option<(&Arc<Rules>, &mut Judging)>) -> Batch {
        let mut batch = Batch {
            index: work.index,
            bytes: Vec::with_capacity(work.items.len() * TYPICAL_LINE_BYTES),
            lines: Vec::with_capacity(work.items.len()),
        };
        let (mut emitted, mut cut, mut failed) = (Tally::default(), Tally::default(), Tally::default());
        for item in &work.items {
            // The pipeline decoded these bytes already, so this cannot fail; if it did, the event is counted.
            let Ok(event) = decode::decode(work.records.get(item.record.clone())) else {
                failed.0[item.kind.index()] += 1;
                continue;
            };
            let start = batch.bytes.len();
            let is_cut = ecs::line(&event, &item.context, frame, &self.names, &mut batch.bytes);
            cut.0[item.kind.index()] += u64::from(is_cut);
            emitted.0[item.kind.index()] += 1;
            if let (Some((rules, judging)), Some(detection)) = (&mut judging, &self.detection) {
                let Judging { judge, hits, steps } = &mut **judging;
                let input = Input {
                    event: &event,
                    context: &item.context,
                    names: &self.names,
                    env_allow: &frame.env_allow,
                    line: batch.bytes.get(start..).unwrap_or_default(),
                };
                let (sequence, wall_offset_ns) = (item.context.sequence, frame.wall_offset_ns);
                judge.judge(&Case { rules, input, sequence, wall_offset_ns }, &detection.novelty, hits);
                if detection.trail.is_kept() {
                    steps.note(&event, &item.context, wall_offset_ns);
                }
            }
            batch.lines.push(Line {
                end: batch.bytes.len(),
                kind: item.kind,
                sequence: item.context.sequence,
                time_ns: event.time_ns,
                canary: canary_nonce(&event),
            });
        }
        for (kind, n) in emitted.each() {
            self.metrics.events.at((kind, Stage::Emitted)).add(n);
            self.metrics.events_processed.at(kind).add(n);
        }
        cut.each().for_each(|(kind, n)| self.metrics.truncated.at(kind).add(n));
        failed.each().for_each(|(kind, n)| self.metrics.events_dropped.at((kind, Reason::Failed)).add(n));
        batch
    }

    /// Counts a batch that a panic took. Counters of the batch are only added once it is complete.
    fn lost(&self, work: &Work) -> Batch {
        self.metrics.errors.at(ErrorType::Panic).inc();
        for item in &work.items {
            self.metrics.events_dropped.at((item.kind, Reason::Failed)).inc();
        }
        Batch { index: work.index, ..Batch::default() }
    }
}

/// The nonce, if this is the agent's own canary: its child, with the arguments that only the canary thread gives.
fn canary_nonce(event: &Event<'_>) -> Option<u64> {
    let Body::Exec(exec) = &event.body else { return None };
    if !exec.task.agent {
        return None;
    }
    let mut args = exec.args_head.split(|&b| b == 0);
    let (_, command, nonce) = (args.next()?, args.next()?, args.next()?);
    if command != super::canary::COMMAND.as_bytes() {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(nonce).ok()?, 16).ok()
}
