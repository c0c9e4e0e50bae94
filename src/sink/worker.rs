//! The thread of a sink: takes lines from the queue, writes them, keeps the account, and goes on after errors.
//!
//! ```text
//! workers -> Handle::offer -> Queue (order, bound, loss) -> worker -> Output::write -> file, stdout
//!                                                             '-> metrics, SinkState, Written (canary)
//! ```
//!
//! 1. Collect up to `batch_lines` lines, or what came within `batch_timeout`; write them with one call.
//! 2. Walk over the lines that arrived: count them by class, report canaries.
//! 3. On an error: say so once, mark the sink as down, keep the rest and try again after 100 ms, doubling to 5 s.
//!    Meanwhile the queue fills up to its limit and then loses the newest.
//! 4. On success: the backlog, then one line about what is missing, at the place where it is missing.
//! 5. At the end: what is there, until the deadline; the rest is lost for the reason `shutdown` and logged.
//!
//! For every sink and class: offered = delivered + lost + queued. A line is delivered when the write call has
//! returned: in the kernel's hands, safe from our own death, not from a power loss.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};

use super::batch::Batch;
use super::config::{Config, WorkerConfig};
use super::hand::Hand;
use super::loss::{Loss, LossLine};
use super::output::{Error, Output, Part, Progress, Written};
use super::queue::{Control, Next, PATIENCE, Queue, WhenFull};
use super::state::SinkState;
use crate::metrics::{ErrorType, Metrics, Outcome, Reason, SinkName};
use crate::util::beacon::Beacon;
use crate::util::thread::{self, Thread};

/// How often the output checks itself, and the beacon beats, when nothing else happens.
const CHECK: Duration = Duration::from_millis(500);
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// What a sink's thread needs beside its output.
pub struct Setup {
    /// Which sink it is.
    pub name: SinkName,
    /// Queue, batching and buffer.
    pub worker: WorkerConfig,
    /// What happens when the queue is full although the sink works.
    pub when_full: WhenFull,
    /// Its losses count as losses of the agent (`sentinel_events_dropped_total`), not only of this sink. So for
    /// one sink only, or an event that two sinks lose would count twice.
    pub counts_drops: bool,
    /// How long a full queue waits for a sink that does not get on; [`PATIENCE`] but in tests.
    pub patience: Duration,
    /// Where to count.
    pub metrics: Arc<Metrics>,
    /// Writes the line about a loss.
    pub loss_line: Arc<LossLine>,
    /// Told of canaries that were written; never waited for.
    pub written: Option<Sender<Written>>,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup")
            .field("name", &self.name)
            .field("worker", &self.worker)
            .finish_non_exhaustive()
    }
}

impl Setup {
    /// With the usual patience, waiting when full, counting for the agent, without canary.
    pub fn new(
        name: SinkName,
        worker: WorkerConfig,
        metrics: Arc<Metrics>,
        loss_line: Arc<LossLine>,
    ) -> Self {
        Setup {
            name,
            worker,
            when_full: WhenFull::Wait,
            counts_drops: true,
            patience: PATIENCE,
            metrics,
            loss_line,
            written: None,
        }
    }
}

/// The producers' end of a sink.
#[derive(Debug, Clone)]
pub struct Handle(Arc<Queue>);

impl Handle {
    /// Hands the batch to the sink. Waits for a working sink while its queue is full, [`PATIENCE`] at most, and
    /// for a failing one never; then the batch is lost here, counted, and told in the sink once it works again.
    /// Every index must come once, if need be with an empty batch; each caller offers in rising order.
    pub fn offer(&self, batch: &Arc<Batch>) {
        self.0.offer(batch);
    }

    /// Adds a line of the agent's own (newline included) behind what was offered. It is in no account.
    pub fn record(&self, line: &[u8]) {
        self.0.record(line);
    }

    /// Waits until everything offered before is written; false if that takes longer than `timeout`.
    pub fn flush(&self, timeout: Duration) -> bool {
        let (reply, answer) = bounded(1);
        self.0.flush(reply);
        answer.recv_timeout(timeout).is_ok()
    }

    /// Opens the files again, now. Does not wait for it.
    pub fn reopen(&self) {
        self.0.control(Control::Reopen);
    }

    /// Takes on other settings and waits for the result; after an error the old ones stay.
    pub fn reconfigure(&self, config: &Arc<Config>) -> Result<(), Error> {
        let (reply, answer) = bounded(1);
        self.0.control(Control::Reconfigure(Arc::clone(config), reply));
        let no_answer = || Err(Error::NoAnswer { sink: self.0.name().name() });
        answer.recv_timeout(Duration::from_secs(5)).unwrap_or_else(|_| no_answer())
    }

    /// Tells the thread to write what is there and end, until `deadline`. Producers must have ended before.
    pub fn stop(&self, deadline: Instant) {
        self.0.stop(deadline);
    }

    /// Gives up what is queued, for a thread that hangs in a write beyond the deadline.
    pub fn abandon(&self) {
        report(&self.0.close(Reason::Shutdown));
    }

    /// How the sink does.
    pub fn state(&self) -> &Arc<SinkState> {
        self.0.state()
    }
}

/// Starts the thread of a sink.
pub fn start(setup: Setup, output: Box<dyn Output>) -> io::Result<(Handle, Thread)> {
    let name = match setup.name {
        SinkName::File => "se-sink-file",
        SinkName::Stdout => "se-sink-stdout",
        SinkName::Tail => "se-sink-tail",
    };
    let state = Arc::new(SinkState::new(setup.name));
    setup.metrics.sink_up.at(setup.name).set(1.0);
    let queue = Arc::new(Queue::new(
        state,
        setup.worker.buffer_bytes,
        setup.when_full,
        setup.patience,
        setup.counts_drops,
        Arc::clone(&setup.metrics),
    ));
    let handle = Handle(Arc::clone(&queue));
    let worker =
        Worker { queue, output, setup, hand: Hand::default(), trouble: None, checked: Instant::now() };
    let thread = thread::spawn(name, move |beacon| worker.run(beacon))?;
    Ok((handle, thread))
}

/// Since a write failed.
#[derive(Debug)]
struct Trouble {
    retry_at: Instant,
    pause: Duration,
}

struct Worker {
    queue: Arc<Queue>,
    output: Box<dyn Output>,
    setup: Setup,
    hand: Hand,
    trouble: Option<Trouble>,
    checked: Instant,
}

/// Closes the queue when the thread ends, by a panic too: then nobody waits for it.
struct Closer(Arc<Queue>);

impl Drop for Closer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail("its thread has ended by a panic".to_owned());
        }
        report(&self.0.close(Reason::Failed));
    }
}

impl Worker {
    fn run(mut self, beacon: &Beacon) {
        let _closer = Closer(Arc::clone(&self.queue));
        let mut items = Vec::new();
        while !self.queue.state().has_ended() {
            beacon.beat();
            if self.queue.stop_at().is_some_and(|at| Instant::now() >= at) {
                self.give_up();
                break;
            }
            if self.trouble.is_some() {
                self.sit_out();
            } else if !self.hand.is_empty() {
                self.write();
            } else {
                let WorkerConfig { batch_lines, batch_timeout, .. } = self.setup.worker;
                match self.queue.next(&mut items, batch_lines.max(1), batch_timeout, CHECK) {
                    Next::Control(control) => self.obey(control),
                    Next::Items => self.hand.fill(&mut items, &*self.setup.loss_line),
                    Next::Idle => self.check(),
                    Next::Stop => break,
                }
            }
            if self.checked.elapsed() >= CHECK && self.trouble.is_none() {
                self.check();
            }
        }
        self.output.finish();
        // Before the guard does, which would call it a failure.
        report(&self.queue.close(Reason::Shutdown));
    }

    /// Waits for the next try, and makes it when its time has come.
    fn sit_out(&mut self) {
        let Some(trouble) = &self.trouble else { return };
        let now = Instant::now();
        // Near the end every chance is taken.
        let soon = self.queue.stop_at().map_or(trouble.retry_at, |_| trouble.retry_at.min(now + FIRST_RETRY));
        if let Some(control) = self.queue.pause(soon.min(now + CHECK)) {
            self.obey(control);
        } else if Instant::now() >= soon {
            self.check();
            self.write();
        }
    }

    fn obey(&mut self, control: Control) {
        match control {
            Control::Reopen => match self.output.reopen() {
                Ok(()) => self.write(),
                Err(error) => self.failed(&error),
            },
            Control::Reconfigure(config, reply) => {
                let result = self.output.reconfigure(&config);
                let taken_on = result.is_ok();
                // Whoever asked may have given up waiting.
                let _ = reply.send(result);
                if taken_on {
                    self.setup.worker = config.worker;
                    self.queue.resize(config.worker.buffer_bytes);
                    self.write();
                }
            }
        }
    }

    /// Lets the output look after itself. With nothing to write, that is all that can tell that trouble is over.
    fn check(&mut self) {
        self.checked = Instant::now();
        match self.output.check() {
            Err(error) => self.failed(&error),
            Ok(()) if self.hand.is_empty() => self.over(),
            Ok(()) => {}
        }
    }

    /// Writes all that is in hand, or up to an error.
    fn write(&mut self) {
        while let Some(parts) = self.hand.parts(self.setup.worker.batch_lines.max(1)) {
            let Progress { bytes, error } = self.output.write(&parts);
            drop(parts);
            if bytes > 0 || error.is_none() {
                self.arrived(bytes);
                self.over();
            }
            if let Some(error) = error {
                self.failed(&error);
                return;
            }
        }
    }

    /// Counts what is in place now.
    fn arrived(&mut self, bytes: usize) {
        let done = self.hand.advance(bytes, |nonce, back, len| {
            if let Some(written) = &self.setup.written {
                // A canary thread that does not listen misses this one and says so itself.
                let _ = written.try_send(Written { nonce, place: self.output.place(back, len) });
            }
        });
        self.queue.count(&done.counts, Outcome::Delivered);
        self.queue.release(done.counts.total(), done.cost);
        self.setup.metrics.sink_bytes.at(self.setup.name).add(bytes as u64);
        self.queue.state().wrote();
    }

    fn over(&mut self) {
        if self.trouble.take().is_some() {
            self.queue.recover();
        }
    }

    fn failed(&mut self, error: &Error) {
        if matches!(error, Error::Ended) {
            self.queue.state().end(error.to_string());
            self.setup.metrics.sink_up.at(self.setup.name).set(0.0);
            // Not reported: nobody misses what nobody reads.
            self.lose_hand(Reason::Unwritable);
            self.queue.close(Reason::Unwritable);
            return;
        }
        self.setup.metrics.errors.at(ErrorType::Sink).inc();
        let pause = self.trouble.as_ref().map_or(FIRST_RETRY, |t| (t.pause * 2).min(LAST_RETRY));
        self.trouble = Some(Trouble { retry_at: Instant::now() + pause, pause });
        self.queue.fail(error.to_string());
    }

    /// The deadline has come: tells what is lost, in the sink itself if that works.
    fn give_up(&mut self) {
        let mut untold = self.lose_hand(Reason::Shutdown);
        for loss in self.queue.close(Reason::Shutdown) {
            Loss::gather(&mut untold, Some(loss));
        }
        if self.trouble.is_none() && !untold.is_empty() {
            let mut line = Vec::new();
            for loss in &untold {
                line.clear();
                (self.setup.loss_line)(loss, &mut line);
                let _ = self.output.write(&[Part { bytes: &line, lines: &[], base: 0 }]);
            }
        }
        report(&untold);
    }

    fn lose_hand(&mut self, reason: Reason) -> Vec<Loss> {
        self.hand.abandon(|lines, cost| {
            let loss = self.queue.lose(reason, lines);
            self.queue.release(lines.len() as u64, cost);
            loss
        })
    }
}

/// Logs what could not be told in the sink.
fn report(untold: &[Loss]) {
    for loss in untold {
        let classes: Vec<String> = loss.counts.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
        log::error!(
            "the {} sink lost {} events ({}), sequence {} to {}: {}",
            loss.sink.name(),
            loss.counts.total(),
            classes.join(", "),
            loss.first_sequence,
            loss.last_sequence,
            loss.reason.name()
        );
    }
}

#[cfg(test)]
mod tests;
