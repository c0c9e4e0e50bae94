//! The thread `se-ring`: records in, numbered work for the workers out.
//!
//! A turn takes up to a batch of records from the source, decodes them for the process table, which this thread
//! owns alone, gives every event that is to be written its sequence number, and hands bytes and context on as
//! one [`Work`]. Workers decode the bytes again: that costs less than owning a copy of every string.
//!
//! Between turns it sleeps. The kernel wakes a reader that waits in `poll`, and the wake-up costs more than the
//! record; so after a turn that found records it pauses without asking to be woken, first for the configured
//! busy window, then twice as long each time while little comes, never longer than [`LONGEST_PAUSE`], and not
//! at all while the ring is filling.
//!
//! Records come in the order of time, those of both rings together, so that a file event finds the process as it
//! was. Some are made here of what the kernel side merged; they are counted as `repeated` in the place of `read`.
//!
//! When the workers do not keep up, sending blocks and the ring fills: loss happens in the kernel, where it is
//! counted, and nowhere else.

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError};

use super::probes;
use super::source::{Error, Source};
use crate::decode;
use crate::enrich::Enricher;
use crate::event::Kind;
use crate::event::ecs::Context;
use crate::kernel::records::Records;
use crate::metrics::{ErrorType, Metrics, Reason, Stage};
use crate::util::beacon::Beacon;
use crate::util::clock::{self, Offset};
use crate::util::limit::Limit;

/// No pause between turns is longer; it bounds the latency that pauses can add.
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

/// Above this part of the ring in use there is no pause.
const BUSY_FILL: f64 = 0.125;

/// Records with the context of each, numbered without gaps.
#[derive(Debug)]
pub struct Work {
    /// Position among all work.
    pub index: u64,
    /// The records, one after the other.
    pub records: Records,
    /// The events to write, in order.
    pub items: Vec<Item>,
    /// Wall time minus boot clock.
    pub wall_offset_ns: i64,
    /// Wall time of the reading; 0 if it means nothing, as in a replay.
    pub created_ns: u64,
}

/// One event to write.
#[derive(Debug)]
pub struct Item {
    /// Where its record begins and ends in [`Work::records`].
    pub record: std::ops::Range<usize>,
    /// Its kind.
    pub kind: Kind,
    /// What the record does not say itself.
    pub context: Context,
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kinds(u64);

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        Kinds(kinds.into_iter().fold(0, |set, kind| set | 1 << kind.index()))
    }
}

impl Kinds {
    /// The kind is in the set.
    pub fn contains(self, kind: Kind) -> bool {
        self.0 >> kind.index() & 1 == 1
    }
}

/// What the rest of the agent asks of this thread.
#[derive(Debug)]
pub enum Command {
    /// Compare the process table with a snapshot: something was lost.
    Resync {
        /// Boot clock, read before the snapshot was begun.
        began_ns: u64,
        /// Its records.
        records: Records,
    },
    /// From now on write events of these kinds.
    Select(Kinds),
    /// Take what is in the ring, then end.
    Stop,
}

/// How the thread paces itself.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Most records in one turn.
    pub batch: usize,
    /// How long to wait in the kernel when nothing comes.
    pub poll_timeout: Duration,
    /// The first pause after a turn that found records.
    pub busy_window: Duration,
    /// Draining at the end takes no longer.
    pub drain_limit: Duration,
}

/// The time base of the events.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    /// The running host's; measured again every second, so that corrections of wall time are followed.
    Live,
    /// A capture's.
    Recorded(Offset),
}

/// Everything the thread owns.
pub struct Pipeline<S> {
    /// Where records come from.
    pub source: S,
    /// The process table and its company.
    pub enricher: Enricher,
    /// Kinds to write.
    pub selected: Kinds,
    /// The next sequence number.
    pub sequence: u64,
    /// The time base.
    pub clock: Clock,
    /// Pacing.
    pub pace: Pace,
    /// Where work goes.
    pub work: Sender<Work>,
    /// Where commands come from.
    pub commands: Receiver<Command>,
    /// The counts.
    pub metrics: Arc<Metrics>,
}

impl<S> std::fmt::Debug for Pipeline<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

/// State that only a running pipeline has.
struct Turns {
    index: u64,
    /// Nothing but the snapshot at the head of a capture has come yet.
    in_snapshot: bool,
    offset: Offset,
    measured: Instant,
    ticked: Instant,
    malformed: Limit,
    failing: Limit,
}

impl<S: Source> Pipeline<S> {
    /// Runs until stopped or the source ends. The next sequence number.
    pub fn run(mut self, beacon: &Beacon) -> u64 {
        let offset = match self.clock {
            Clock::Live => Offset::measure(),
            Clock::Recorded(offset) => offset,
        };
        let now = Instant::now();
        let minute = Duration::from_secs(60);
        let mut turns = Turns {
            index: 0,
            in_snapshot: matches!(self.clock, Clock::Recorded(_)),
            offset,
            measured: now,
            ticked: now,
            malformed: Limit::new(minute),
            failing: Limit::new(minute),
        };
        if turns.in_snapshot {
            // Its own time is not known yet; nobody who is missing in it is to be presumed gone.
            self.enricher.begin_resync(0);
        }
        let mut pause = self.pace.busy_window;
        loop {
            beacon.beat();
            if self.obey() {
                break;
            }
            self.keep_time(&mut turns);
            match self.turn(&mut turns) {
                Ok(0) if self.source.has_ended() => break,
                Ok(0) => {
                    pause = self.pace.busy_window;
                    if let Err(error) = self.source.wait(self.pace.poll_timeout) {
                        self.report(&turns, &error);
                    }
                }
                Ok(n) if n < self.pace.batch && self.source.fill() < BUSY_FILL => {
                    if !self.source.has_ended() {
                        sleep(pause);
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Ok(_) => pause = self.pace.busy_window,
                Err(error) => {
                    self.report(&turns, &error);
                    sleep(LONGEST_PAUSE);
                }
            }
        }
        let deadline = Instant::now() + self.pace.drain_limit;
        while Instant::now() < deadline && self.turn(&mut turns).is_ok_and(|n| n > 0) {
            beacon.beat();
        }
        self.finish(&mut turns);
        self.sequence
    }

    /// Takes what the source held back until now.
    fn finish(&mut self, turns: &mut Turns) {
        let mut records = Records::default();
        if let Err(error) = self.source.finish(&mut records) {
            self.report(turns, &error);
        }
        self.pass_on(turns, records);
    }

    fn report(&self, turns: &Turns, error: &Error) {
        self.metrics.errors.at(ErrorType::Ring).inc();
        if let Some(held_back) = turns.failing.pass() {
            log::error!("{error} ({held_back} more since last said)");
        }
    }

    /// Carries out what was asked. True if it was to stop.
    fn obey(&mut self) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Resync { began_ns, records }) => self.resync(began_ns, &records),
                Ok(Command::Select(kinds)) => self.selected = kinds,
                Ok(Command::Stop) => return true,
                Err(TryRecvError::Empty) => return false,
                // The control thread is gone, so nobody will ever ask again.
                Err(TryRecvError::Disconnected) => return matches!(self.clock, Clock::Live),
            }
        }
    }

    fn resync(&mut self, began_ns: u64, records: &Records) {
        self.enricher.begin_resync(began_ns);
        probes::apply(&mut self.enricher, records);
        self.enricher.end_resync(clock::boot_ns());
        self.metrics.table_resyncs.inc();
    }

    fn keep_time(&mut self, turns: &mut Turns) {
        const SECOND: Duration = Duration::from_secs(1);
        if turns.measured.elapsed() >= SECOND {
            turns.measured = Instant::now();
            if matches!(self.clock, Clock::Live) {
                turns.offset = Offset::measure();
            }
        }
        if turns.ticked.elapsed() >= SECOND && matches!(self.clock, Clock::Live) {
            turns.ticked = Instant::now();
            self.enricher.tick(clock::boot_ns());
        }
    }

    /// Takes up to a batch of records and hands them on. The number of records taken.
    fn turn(&mut self, turns: &mut Turns) -> Result<usize, Error> {
        let mut records = Records::default();
        let outcome = self.source.drain(self.pace.batch, &mut records);
        self.metrics.ring_wakeups.inc();
        let taken = self.pass_on(turns, records);
        outcome.map(|()| taken)
    }

    /// Hands records on as work. How many they were.
    fn pass_on(&mut self, turns: &mut Turns, records: Records) -> usize {
        let taken = records.len();
        let mut items = Vec::with_capacity(taken);
        for range in records.ranges() {
            self.accept(turns, &records, range, &mut items);
        }
        if !items.is_empty() {
            let created_ns = if matches!(self.clock, Clock::Live) { clock::wall_ns() } else { 0 };
            let wall_offset_ns = turns.offset.ns();
            let work = Work { index: turns.index, records, items, wall_offset_ns, created_ns };
            turns.index += 1;
            if let Err(refused) = self.work.send(work) {
                // All workers are gone; health says so, and the books must close.
                for item in &refused.0.items {
                    self.metrics.events_dropped.at((item.kind, Reason::Failed)).inc();
                }
            }
        }
        taken
    }

    fn accept(
        &mut self,
        turns: &mut Turns,
        records: &Records,
        range: std::ops::Range<usize>,
        items: &mut Vec<Item>,
    ) {
        let record = records.get(range.clone());
        match decode::decode(record) {
            Ok(event) => {
                let kind = event.kind();
                let is_repeated = event.origin().is_some_and(|origin| origin.merged > 0);
                let came = if is_repeated { Stage::Repeated } else { Stage::Read };
                self.metrics.events.at((kind, came)).inc();
                self.metrics.events.at((kind, Stage::Decoded)).inc();
                if turns.in_snapshot && kind != Kind::Snapshot {
                    turns.in_snapshot = false;
                    self.enricher.end_resync(event.time_ns);
                }
                let subject = self.enricher.apply(&event);
                if kind.is_internal() || !self.selected.contains(kind) {
                    self.metrics.events.at((kind, Stage::Suppressed)).inc();
                    return;
                }
                let context = Context {
                    sequence: self.sequence,
                    process: subject.process,
                    parent: subject.parent,
                    session_leader: subject.session_leader,
                    container: subject.container,
                    cgroup_path: subject.cgroup_path,
                    old_creds: subject.old_creds,
                    target: subject.target,
                    destination_domain: subject.destination_domain,
                    argument_swap: subject.argument_swap,
                };
                self.sequence += 1;
                items.push(Item { record: range, kind, context });
            }
            Err(error) => self.malformed(turns, record, &error),
        }
    }

    /// Counts a record that made no sense, under its kind as far as that can be told.
    fn malformed(&self, turns: &Turns, record: &[u8], error: &decode::Error) {
        // Of a record whose header is unreadable the class is unknown.
        if let Some(kind) = decode::kind(record) {
            self.metrics.events.at((kind, Stage::Read)).inc();
            self.metrics.events_dropped.at((kind, Reason::Malformed)).inc();
        }
        self.metrics.errors.at(ErrorType::Decode).inc();
        if let Some(held_back) = turns.malformed.pass() {
            log::warn!("dropped a malformed record: {error} ({held_back} more since last said)");
        }
    }
}
