//! The queue in front of a sink: bounded by bytes, in order, with an exact account of what went where.
//!
//! **When it is full.** Loss is meant to be seen in one place, the ring between the kernel and the agent. So
//! while the sink makes progress, [`Queue::offer`] waits for room: the workers stop, the reader stops, the ring
//! fills, and the kernel side counts. A sink that does not write must stop nobody, so `offer` never waits
//! - while a write fails ([`Queue::fail`]),
//! - once nothing was written for [`PATIENCE`] though the queue is full: the disk or terminal hangs,
//! - with [`WhenFull::Drop`]: a sink that others must not wait for, even while it works.
//!
//! Then the batch is lost for this sink. The *newest* goes, not the oldest: what is kept stays a gapless run
//! that ends where the trouble became too long, the beginning of an incident is what an analyst needs most, and
//! one record at one place tells all that is missing. A lost batch leaves a [`Loss`] where it would have stood;
//! neighbours merge, so an outage of days takes as much room as one of a second.
//!
//! **Order.** Batches come from several workers. A worker offers its own in rising order, so the one that all
//! wait for is never behind a waiting one; it is let in as soon as nothing is ready to be written, even over the
//! limit. That bounds memory to the limit and one batch, and nothing can block for good.
//!
//! What the sink has taken counts as queued until [`Queue::release`]: the account closes at any moment that no
//! `offer` is under way.

mod ready;

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::batch::{Batch, Line};
use super::config::Config;
use super::loss::{Counts, Loss};
use super::order::Order;
use super::output::Error;
use super::state::SinkState;
use crate::metrics::{Metrics, Outcome, Reason, SinkName};
use crate::util::limit::Limit;
pub(super) use ready::{Item, cost};
use ready::{Ready, Slot};

/// How long `offer` waits for a full sink that does not get on.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// A sink that fails and recovers all the time says so this often.
const SAY_AGAIN: Duration = Duration::from_secs(30);

/// What `offer` does when the queue of a working sink is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// Waits, so that the loss, if any, happens in the ring.
    Wait,
    /// Loses the batch for this sink.
    Drop,
}

/// What the worker is told out of turn.
#[derive(Debug)]
pub(super) enum Control {
    /// Open the files again.
    Reopen,
    /// Take on other settings, and say whether that worked.
    Reconfigure(Arc<Config>, Sender<Result<(), Error>>),
}

/// What the worker does next.
#[derive(Debug)]
pub(super) enum Next {
    /// As told.
    Control(Control),
    /// Write what was taken.
    Items,
    /// Nothing came for a while.
    Idle,
    /// Everything is written and nothing more will come.
    Stop,
}

#[derive(Debug)]
struct Inner {
    order: Order<Slot>,
    ready: Ready,
    control: VecDeque<Control>,
    /// Memory of all batches here and in the worker's hands.
    bytes: usize,
    /// Events in them.
    events: u64,
    limit: usize,
    /// The worker sleeps until there are so many lines; `usize::MAX` while it is awake.
    wanted: usize,
    /// The worker has taken something that is not done yet.
    in_hand: bool,
    failed: bool,
    stalled: bool,
    stop_at: Option<Instant>,
    closed: Option<Reason>,
}

/// The queue in front of one sink.
#[derive(Debug)]
pub(super) struct Queue {
    name: SinkName,
    when_full: WhenFull,
    patience: Duration,
    counts_drops: bool,
    metrics: Arc<Metrics>,
    state: Arc<SinkState>,
    inner: Mutex<Inner>,
    /// The worker waits here.
    work: Condvar,
    /// Producers wait here.
    room: Condvar,
    said: Limit,
    said_back: Limit,
}

impl Queue {
    pub(super) fn new(
        state: Arc<SinkState>,
        limit: usize,
        when_full: WhenFull,
        patience: Duration,
        counts_drops: bool,
        metrics: Arc<Metrics>,
    ) -> Self {
        let inner = Inner {
            order: Order::default(),
            ready: Ready::default(),
            control: VecDeque::new(),
            bytes: 0,
            events: 0,
            limit,
            wanted: usize::MAX,
            in_hand: false,
            failed: false,
            stalled: false,
            stop_at: None,
            closed: None,
        };
        Queue {
            name: state.name(),
            when_full,
            patience,
            counts_drops,
            metrics,
            state,
            inner: Mutex::new(inner),
            work: Condvar::new(),
            room: Condvar::new(),
            said: Limit::new(SAY_AGAIN),
            said_back: Limit::new(SAY_AGAIN),
        }
    }

    pub(super) fn name(&self) -> SinkName {
        self.name
    }

    pub(super) fn state(&self) -> &Arc<SinkState> {
        &self.state
    }

    /// Takes the batch or loses it; see the head of this file for how long that may take.
    pub(super) fn offer(&self, batch: &Arc<Batch>) {
        self.count(&Counts::of(&batch.lines), Outcome::Offered);
        let started = Instant::now();
        let mut inner = self.lock();
        let slot = loop {
            match inner.admission(batch, self.when_full) {
                Admission::Enter => {
                    inner.bytes += cost(batch);
                    inner.events += batch.lines.len() as u64;
                    break Slot::Batch(Arc::clone(batch));
                }
                Admission::Refuse(reason) => break Slot::Lost(self.lose(reason, &batch.lines)),
                Admission::Wait => {
                    let left = self.patience.saturating_sub(started.elapsed());
                    if left.is_zero() {
                        inner.stalled = true;
                        self.went_down(format!(
                            "nothing was written for {:?}, the queue is full",
                            self.patience
                        ));
                    } else {
                        inner = self.room.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
                    }
                }
            }
        };
        if inner.closed.is_none() {
            let Inner { order, ready, .. } = &mut *inner;
            let before = ready.lines;
            order.push(batch.index, slot, |slot| ready.append(slot));
            // A merged loss adds no line, but nobody waits for it either.
            if ready.lines > before {
                self.wake(&mut inner);
            }
        }
        self.show(&inner);
    }

    /// Puts in a line of the agent's own, behind what is there. It is no event and in no account; without room
    /// it is dropped with a warning, as nobody waits for it.
    pub(super) fn record(&self, line: &[u8]) {
        let mut inner = self.lock();
        if self.state.has_ended() {
            return;
        }
        if inner.closed.is_some() || (inner.bytes + line.len() > inner.limit && !inner.ready.items.is_empty())
        {
            log::warn!("the {} sink cannot take a record of the agent itself", self.name.name());
            return;
        }
        inner.bytes += line.len();
        inner.ready.push(Item::Text(line.to_vec()), 1);
        self.wake(&mut inner);
    }

    /// Asks to be told when everything that is in order by now was written.
    pub(super) fn flush(&self, reply: Sender<()>) {
        let mut inner = self.lock();
        if inner.closed.is_none() {
            inner.ready.push(Item::Flush(reply), 0);
            inner.ready.hurry = true;
            self.wake(&mut inner);
        }
    }

    /// Tells the worker something out of turn.
    pub(super) fn control(&self, control: Control) {
        let mut inner = self.lock();
        if inner.closed.is_none() {
            inner.control.push_back(control);
            self.work.notify_one();
        }
    }

    /// Other limit from now on.
    pub(super) fn resize(&self, limit: usize) {
        self.lock().limit = limit;
        self.room.notify_all();
    }

    /// The worker shall write what is there, until `deadline` at most, and end.
    pub(super) fn stop(&self, deadline: Instant) {
        let mut inner = self.lock();
        inner.stop_at = Some(deadline);
        self.work.notify_one();
    }

    /// When the worker must have ended, once it must.
    pub(super) fn stop_at(&self) -> Option<Instant> {
        self.lock().stop_at
    }

    /// Takes nothing more, and loses what is still here, for `reason`. What is in the worker's hands stays
    /// queued: whether it arrived is not known. Returns what is missing and not told yet, earlier losses first.
    pub(super) fn close(&self, reason: Reason) -> Vec<Loss> {
        let mut inner = self.lock();
        if inner.closed.is_some() {
            return Vec::new();
        }
        inner.closed = Some(reason);
        let Inner { order, ready, .. } = &mut *inner;
        order.drain(|slot| ready.append(slot));
        let mut untold: Vec<Loss> = Vec::new();
        for item in std::mem::take(&mut inner.ready).items {
            let loss = match item {
                Item::Loss(loss) => Some(*loss),
                Item::Batch(batch) => {
                    inner.bytes = inner.bytes.saturating_sub(cost(&batch));
                    inner.events = inner.events.saturating_sub(batch.lines.len() as u64);
                    self.lose(reason, &batch.lines)
                }
                Item::Text(_) | Item::Flush(_) => None,
            };
            Loss::gather(&mut untold, loss);
        }
        inner.control.clear();
        self.show(&inner);
        self.room.notify_all();
        self.work.notify_one();
        untold
    }

    /// What the worker does next. Waits until `most` lines are there, the first of them is `linger` old, or
    /// nothing came for `idle`. What was taken before is done by now.
    pub(super) fn next(&self, items: &mut Vec<Item>, most: usize, linger: Duration, idle: Duration) -> Next {
        let idle_at = Instant::now() + idle;
        let mut inner = self.lock();
        if std::mem::take(&mut inner.in_hand) {
            self.room.notify_all();
        }
        loop {
            inner.wanted = usize::MAX;
            if let Some(control) = inner.control.pop_front() {
                return Next::Control(control);
            }
            let now = Instant::now();
            let stopping = inner.stop_at.is_some();
            let wake_at = match inner.ready.oldest {
                Some(oldest) => {
                    let due = oldest + linger;
                    if inner.ready.lines >= most || inner.ready.hurry || stopping || now >= due {
                        inner.in_hand = true;
                        inner.ready.take(items, most);
                        return Next::Items;
                    }
                    inner.wanted = most;
                    due
                }
                None if stopping => {
                    let Inner { order, ready, .. } = &mut *inner;
                    order.drain(|slot| ready.append(slot));
                    if ready.items.is_empty() {
                        return Next::Stop;
                    }
                    continue;
                }
                None if now >= idle_at => return Next::Idle,
                None => {
                    inner.wanted = 1;
                    idle_at
                }
            };
            let left = wake_at.saturating_duration_since(now);
            inner = self.work.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until `until`, or for something out of turn.
    pub(super) fn pause(&self, until: Instant) -> Option<Control> {
        let mut inner = self.lock();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if let Some(control) = inner.control.pop_front() {
                return Some(control);
            }
            if left.is_zero() {
                return None;
            }
            let stopping = inner.stop_at.is_some();
            inner = self.work.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
            if inner.stop_at.is_some() && !stopping {
                return None;
            }
        }
    }

    /// Something was written, or given up: its events and memory are no longer queued.
    pub(super) fn release(&self, events: u64, bytes: usize) {
        let mut inner = self.lock();
        inner.events = inner.events.saturating_sub(events);
        inner.bytes = inner.bytes.saturating_sub(bytes);
        let was_stalled = std::mem::take(&mut inner.stalled);
        if was_stalled && !inner.failed {
            self.came_back();
        }
        self.show(&inner);
        drop(inner);
        self.room.notify_all();
    }

    /// A write failed: nobody waits for this sink any more.
    pub(super) fn fail(&self, reason: String) {
        self.lock().failed = true;
        self.room.notify_all();
        self.went_down(reason);
    }

    /// A write worked again.
    pub(super) fn recover(&self) {
        let mut inner = self.lock();
        inner.failed = false;
        inner.stalled = false;
        drop(inner);
        self.came_back();
    }

    /// Counts events that became something.
    pub(super) fn count(&self, counts: &Counts, outcome: Outcome) {
        for (kind, n) in counts.iter() {
            self.metrics.sink_events.at((self.name, kind, outcome)).add(n);
        }
    }

    /// Counts the loss of these lines.
    pub(super) fn lose(&self, reason: Reason, lines: &[Line]) -> Option<Loss> {
        let loss = Loss::of(self.name, reason, lines)?;
        self.count(&loss.counts, Outcome::Lost);
        for (kind, n) in loss.counts.iter() {
            self.metrics.sink_dropped.at((self.name, kind, reason)).add(n);
            if self.counts_drops {
                self.metrics.events_dropped.at((kind, reason)).add(n);
            }
        }
        Some(loss)
    }

    fn went_down(&self, reason: String) {
        self.metrics.sink_up.at(self.name).set(0.0);
        if self.state.is_up()
            && let Some(held_back) = self.said.pass()
        {
            log::error!("the {} sink is down: {reason}{}", self.name.name(), again(held_back));
        }
        self.state.down(reason);
    }

    fn came_back(&self) {
        self.metrics.sink_up.at(self.name).set(1.0);
        if let Some(down_ns) = self.state.back() {
            let down = Duration::from_nanos(down_ns);
            if let Some(held_back) = self.said_back.pass() {
                log::warn!("the {} sink writes again after {down:.1?}{}", self.name.name(), again(held_back));
            }
        }
    }

    fn wake(&self, inner: &mut Inner) {
        if inner.ready.lines >= inner.wanted || inner.ready.hurry {
            // One wake-up is enough; the worker says anew what it wants.
            inner.wanted = usize::MAX;
            self.work.notify_one();
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge; counts stay far below 2^52")]
    fn show(&self, inner: &Inner) {
        self.metrics.sink_queued.at(self.name).set(inner.events as f64);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it holds the lock, and if it did, counts would be off by one batch at most.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What becomes of a batch.
#[derive(Debug, PartialEq, Eq)]
enum Admission {
    Enter,
    Wait,
    Refuse(Reason),
}

impl Inner {
    fn admission(&self, batch: &Batch, when_full: WhenFull) -> Admission {
        if let Some(reason) = self.closed {
            return Admission::Refuse(reason);
        }
        let all_wait_for_it = self.order.is_next(batch.index) && self.ready.items.is_empty() && !self.in_hand;
        let fits = self.bytes + cost(batch) <= self.limit;
        if batch.lines.is_empty() || fits || (all_wait_for_it && !self.failed) {
            Admission::Enter
        } else if self.failed {
            Admission::Refuse(Reason::Unwritable)
        } else if self.stalled || when_full == WhenFull::Drop {
            Admission::Refuse(Reason::QueueFull)
        } else {
            Admission::Wait
        }
    }
}

fn again(held_back: u64) -> String {
    if held_back == 0 { String::new() } else { format!(" (said before {held_back} times, not logged)") }
}
