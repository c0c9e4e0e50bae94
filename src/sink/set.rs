//! All sinks of a configuration, as one: started, fed, reloaded and stopped together.
//!
//! The log file is the main sink; without it, standard output is. The pipeline waits for the main one only
//! ([`WhenFull`]), and only its losses count as losses of the agent. `tail` keeps nobody waiting.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::batch::Batch;
use super::config::Config;
use super::file::FileOutput;
use super::loss::LossLine;
use super::output::{Error, Output, Written, wall_clock};
use super::queue::WhenFull;
use super::state::SinkState;
use super::stdout::StreamOutput;
use super::tail::Tail;
use super::worker::{self, Handle, Setup};
use crate::metrics::{Metrics, SinkName};
use crate::util::beacon::Beacon;
use crate::util::thread::Thread;

/// What all sinks share.
#[derive(Clone)]
pub struct Context {
    /// Where to count.
    pub metrics: Arc<Metrics>,
    /// Writes the line about a loss.
    pub loss_line: Arc<LossLine>,
    /// Told of canaries that the main sink has written; a bounded channel that is never waited for.
    pub written: Option<Sender<Written>>,
    /// How long the pipeline waits for the main sink while that is well but takes nothing more; then the sink loses
    /// and counts. [`PATIENCE`](super::PATIENCE) for a live host; zero: not at all.
    pub patience: Duration,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("patience", &self.patience).finish_non_exhaustive()
    }
}

/// The sinks of a configuration. Shared by the workers, as every method takes `&self`.
#[derive(Debug)]
pub struct Sinks {
    handles: Vec<Handle>,
    tail: Option<Tail>,
    threads: Mutex<Vec<(Handle, Thread)>>,
    beacons: Vec<Arc<Beacon>>,
}

impl Sinks {
    /// Opens everything and starts the threads. An error if something cannot be opened and will not cure itself.
    pub fn start(config: &Config, context: &Context) -> Result<Sinks, Error> {
        let mut sinks =
            Sinks { handles: Vec::new(), tail: None, threads: Mutex::default(), beacons: Vec::new() };
        if let Some(file) = &config.file {
            let output = FileOutput::new(file.clone(), wall_clock(), Arc::clone(&context.metrics))?;
            sinks.add(SinkName::File, config, context, Box::new(output))?;
        }
        if let Some(format) = config.stdout {
            sinks.add(SinkName::Stdout, config, context, Box::new(StreamOutput::stdout(format)?))?;
        }
        if let Some(tail) = &config.tail {
            let tail = Tail::start(tail.clone(), config.worker.buffer_bytes, Arc::clone(&context.metrics))?;
            sinks.beacons.push(tail.beacon());
            sinks.tail = Some(tail);
        }
        Ok(sinks)
    }

    fn add(
        &mut self,
        name: SinkName,
        config: &Config,
        context: &Context,
        output: Box<dyn Output>,
    ) -> Result<(), Error> {
        let main = self.handles.is_empty();
        let waits = main && !context.patience.is_zero();
        let setup = Setup {
            name,
            worker: config.worker,
            when_full: if waits { WhenFull::Wait } else { WhenFull::Drop },
            counts_drops: main,
            patience: context.patience,
            metrics: Arc::clone(&context.metrics),
            loss_line: Arc::clone(&context.loss_line),
            written: context.written.clone().filter(|_| main),
        };
        let (handle, thread) =
            worker::start(setup, output).map_err(|source| Error::Thread { name: name.name(), source })?;
        self.beacons.push(Arc::clone(&thread.beacon));
        self.handles.push(handle.clone());
        self.threads.get_mut().unwrap_or_else(PoisonError::into_inner).push((handle, thread));
        Ok(())
    }

    /// Hands the batch to every sink; see [`Handle::offer`] for how long that may take.
    pub fn offer(&self, batch: &Arc<Batch>) {
        for handle in &self.handles {
            handle.offer(batch);
        }
        if let Some(tail) = &self.tail {
            tail.offer(batch);
        }
    }

    /// Adds the line of a finding (newline included) to every sink.
    pub fn finding(&self, line: &[u8]) {
        self.record(line);
        if let Some(tail) = &self.tail {
            tail.tell(line);
        }
    }

    /// Adds a line of the agent's own (newline included) to every sink but `tail`.
    pub fn record(&self, line: &[u8]) {
        for handle in &self.handles {
            handle.record(line);
        }
    }

    /// Opens the files again, now.
    pub fn reopen(&self) {
        for handle in &self.handles {
            handle.reopen();
        }
    }

    /// Takes on other settings. Switching a sink on or off needs a restart, which is said by an error before
    /// anything is changed. What was changed before another error stays changed.
    pub fn reconfigure(&self, config: &Config) -> Result<(), Error> {
        let wanted = [
            (SinkName::File, config.file.is_some()),
            (SinkName::Stdout, config.stdout.is_some()),
            (SinkName::Tail, config.tail.is_some()),
        ];
        for (name, wanted) in wanted {
            let running = match name {
                SinkName::Tail => self.tail.is_some(),
                _ => self.handles.iter().any(|handle| handle.state().name() == name),
            };
            if running != wanted {
                return Err(Error::NeedsRestart { sink: name.name() });
            }
        }
        let config = Arc::new(config.clone());
        for handle in &self.handles {
            handle.reconfigure(&config)?;
        }
        match (&self.tail, &config.tail) {
            (Some(tail), Some(config)) => tail.reconfigure(config.clone()),
            _ => Ok(()),
        }
    }

    /// Waits until everything offered so far is written; false if that takes longer than `timeout`.
    pub fn flush(&self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        // Every sink gets its chance, also when the one before used up the time.
        let mut all = true;
        for handle in &self.handles {
            all &= handle.flush(until.saturating_duration_since(Instant::now()));
        }
        all
    }

    /// Writes what is there and ends all threads, within `timeout`; what takes longer is lost, counted and
    /// logged. A thread that hangs in a write is left behind. Producers must have ended before. True if
    /// everything came to a regular end.
    pub fn stop(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        for handle in &self.handles {
            handle.stop(deadline);
        }
        let mut regular = true;
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        // A thread that keeps the deadline still has to sync and say goodbye.
        let grace = deadline + Duration::from_millis(500);
        for (handle, thread) in threads {
            while !thread.is_finished() && Instant::now() < grace {
                std::thread::sleep(Duration::from_millis(2));
            }
            if thread.is_finished() {
                regular &= thread.join();
            } else {
                log::error!("the {} sink hangs in a write and is left behind", handle.state().name().name());
                handle.abandon();
                regular = false;
            }
        }
        if let Some(tail) = &self.tail {
            regular &= tail.stop();
        }
        regular
    }

    /// How each sink does, but `tail`, which cannot fail.
    pub fn states(&self) -> impl Iterator<Item = &Arc<SinkState>> {
        self.handles.iter().map(Handle::state)
    }

    /// The liveness of each thread.
    pub fn beacons(&self) -> &[Arc<Beacon>] {
        &self.beacons
    }
}

impl Drop for Sinks {
    /// Ends what a failed start or an early return has left running.
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}
