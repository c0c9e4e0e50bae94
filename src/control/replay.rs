//! A capture through the same pipeline as live records, from decoding to the written line, without privileges; with
//! rules also to findings. What programs usually do is not known of the recorded host, so nothing is new to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};

use super::error::Error;
use super::findings::Findings;
use super::loss;
use super::pipeline::{Clock, Kinds, Pace, Pipeline};
use super::rules::Slot;
use super::source::{self, Source};
use super::worker::{Detection, Worker};
use crate::detect;
use crate::detect::load::Rules;
use crate::detect::trail::Trail;
use crate::enrich::{self, Enricher, Names};
use crate::event::Kind;
use crate::event::ecs::Frame;
use crate::kernel::capture::{self, Existing};
use crate::kernel::records::Records;
use crate::metrics::{Metrics, Stage};
use crate::sink::{self, Sinks};
use crate::util::thread;

/// A replay never loses lines for want of time: its reader may be a pager that stands still.
const PATIENT: Duration = Duration::from_secs(24 * 3600);

/// How often to look whether a destination still writes.
const LOOK: Duration = Duration::from_millis(200);

/// Pieces of work between the threads. Nothing comes in bursts here, and what is handed on soon is still in the
/// processor's cache.
const WORK_QUEUE: usize = 2;

/// Bytes that may wait for a sink, for the same reason.
const SINK_BUFFER_BYTES: usize = 1 << 20;

/// What to replay, and how.
#[derive(Debug)]
pub struct Replay {
    /// The capture.
    pub file: PathBuf,
    /// Destinations.
    pub sinks: sink::Config,
    /// What to do about an output file that has something in it.
    pub existing: Existing,
    /// Enrichment. User and group names come from below [`Replay::root`].
    pub enrich: enrich::Config,
    /// Records in one piece of work.
    pub batch: usize,
    /// Threads that write lines.
    pub workers: usize,
    /// Where the recorded host's `etc/passwd` and `etc/group` are; without it there are no names.
    pub root: Option<PathBuf>,
    /// By what events are judged; none if they are not.
    pub detection: Option<Backtest>,
}

/// Rules that are tried on a capture.
#[derive(Debug, Clone)]
pub struct Backtest {
    /// The rules.
    pub rules: Arc<Rules>,
    /// Which findings are told.
    pub config: detect::Config,
    /// Lines of events are not written.
    pub only_findings: bool,
}

/// What a replay did.
#[derive(Debug)]
pub struct Replayed {
    /// Records read.
    pub records: u64,
    /// Lines of events made.
    pub lines: u64,
    /// Findings, and lines that told of repeats.
    pub findings: u64,
    /// How long it took.
    pub took: Duration,
    /// Why the rest of the capture cannot be read; what comes before it was written.
    pub broken: Option<capture::Error>,
}

/// Replays a capture. An error if it cannot begin; what breaks off a capture is told in the result.
pub fn run(replay: &Replay, metrics: &Arc<Metrics>) -> Result<Replayed, Error> {
    let began = Instant::now();
    let reader = capture::Reader::open(&replay.file)?;
    let (host, clock) = (reader.header().host.clone(), reader.header().clock);
    let frame = Frame::new(&host, replay.enrich.env_allow.clone().into(), replay.enrich.ancestors);
    let frame = Arc::new(RwLock::new(frame));
    let context = sink::Context {
        metrics: Arc::clone(metrics),
        loss_line: loss::line(Arc::clone(&frame)),
        written: None,
        patience: PATIENT,
    };
    if let Some(file) = &replay.sinks.file {
        clear(&file.path, replay.existing)?;
    }
    let mut sinks = replay.sinks.clone();
    sinks.worker.buffer_bytes = sinks.worker.buffer_bytes.min(SINK_BUFFER_BYTES);
    let sinks = Arc::new(Sinks::start(&sinks, &context)?);
    // What runs on this host says nothing about the recorded one, so there are no sources but the names.
    let (enricher, _) = Enricher::new(&replay.enrich, &host, None, metrics);
    let (names, _resolver) = match &replay.root {
        Some(root) => {
            let (names, resolver) = Names::new(root, None, Arc::clone(metrics));
            (names, Some(resolver))
        }
        None => (Names::disabled(), None),
    };
    let (work_in, work_out) = bounded(WORK_QUEUE);
    let (_commands, orders) = bounded(1);
    let (broken_in, broken) = bounded(1);
    let (hits_in, hits) = bounded(WORK_QUEUE);
    let detection = replay.detection.as_ref().map(|backtest| Detection {
        slot: Arc::new(Slot::of(Arc::clone(&backtest.rules))),
        novelty: Arc::default(),
        trail: Arc::new(Trail::new(backtest.config.trail_bytes)),
        hits: hits_in,
        only_findings: backtest.only_findings,
    });
    let findings = replay.detection.as_ref().map(|backtest| Findings {
        hits,
        config: Arc::new(RwLock::new(detect::Config { log_findings: true, ..backtest.config.clone() })),
        sinks: Arc::clone(&sinks),
        metrics: Arc::clone(metrics),
        is_live: false,
    });
    let worker = Worker {
        work: work_out,
        frame,
        names,
        sinks: Arc::clone(&sinks),
        metrics: Arc::clone(metrics),
        detection,
    };
    let pipeline = Pipeline {
        source: Capture { reader, broken: broken_in, sinks: Arc::clone(&sinks), has_ended: false },
        enricher,
        selected: Kind::ALL.iter().copied().filter(|kind| !kind.is_internal()).collect::<Kinds>(),
        sequence: 1,
        clock: Clock::Recorded(clock),
        pace: Pace {
            batch: replay.batch,
            poll_timeout: Duration::ZERO,
            busy_window: Duration::ZERO,
            drain_limit: Duration::ZERO,
        },
        work: work_in,
        commands: orders,
        metrics: Arc::clone(metrics),
    };
    let spawn = |name: String, body: Box<dyn FnOnce(&crate::util::beacon::Beacon) + Send>| {
        thread::spawn(&name, body).map_err(|e| Error::Start { what: "a thread", cause: e.into() })
    };
    let mut threads = Vec::new();
    // First, so that it is joined last: workers wait for it.
    if let Some(findings) = findings {
        threads.push(spawn("se-findings".into(), Box::new(move |beacon| findings.run(beacon)))?);
    }
    for n in 0..replay.workers.max(1) {
        let worker = worker.clone();
        threads.push(spawn(format!("se-worker-{n}"), Box::new(move |beacon| worker.run(beacon)))?);
    }
    drop(worker);
    let (failed_in, failed) = bounded(1);
    threads.push(spawn(
        "se-ring".into(),
        Box::new(move |beacon| {
            let _ = failed_in.send(pipeline.run(beacon));
        }),
    )?);
    // The pipeline ends first and closes the channel that the workers wait on.
    let finished = threads.into_iter().rev().map(thread::Thread::join).fold(true, |all, ok| all & ok);
    // What comes late is worth waiting for, what does not go at all is not.
    while !is_in_the_way(&sinks) && !sinks.flush(LOOK) {}
    let trouble = sinks.states().find_map(|sink| sink.reason().filter(|_| !sink.has_ended()));
    let written = sinks.stop(if trouble.is_some() { Duration::ZERO } else { PATIENT });
    if let Some(reason) = trouble {
        return Err(Error::Unwritten { reason });
    }
    if !finished || !written || failed.try_recv().is_err() {
        return Err(Error::ThreadDied { name: "se-ring".into() });
    }
    let count = |stage| Kind::ALL.iter().map(|kind| metrics.events.at((*kind, stage)).get()).sum::<u64>();
    Ok(Replayed {
        records: count(Stage::Read) + count(Stage::Repeated),
        lines: count(Stage::Emitted),
        findings: metrics.finding_lines.get(),
        took: began.elapsed(),
        broken: broken.try_recv().ok(),
    })
}

/// Makes room for the output: the log sink would go on behind what is there, and number lines twice. What is no
/// regular file is left to the sink, which refuses it.
fn clear(path: &Path, existing: Existing) -> Result<(), Error> {
    let filled = fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && found.len() > 0);
    match existing {
        _ if !filled => Ok(()),
        Existing::Refuse => Err(capture::Error::Exists { path: path.to_owned() }.into()),
        Existing::Replace => fs::remove_file(path)
            .map_err(|source| capture::Error::Io { doing: "replace", path: path.to_owned(), source }.into()),
    }
}

/// A destination cannot be written to, or nobody reads it any more. Unlike the agent, which goes on, a replay is
/// done again when the cause is mended.
fn is_in_the_way(sinks: &Sinks) -> bool {
    sinks.states().any(|sink| !sink.is_up() || sink.has_ended())
}

/// A capture as a source. It ends where it cannot be read any more; trying again would not help, so the error goes
/// to whoever asked for the replay and not into the log.
struct Capture {
    reader: capture::Reader,
    broken: Sender<capture::Error>,
    sinks: Arc<Sinks>,
    has_ended: bool,
}

impl Source for Capture {
    fn wait(&mut self, _timeout: Duration) -> Result<(), source::Error> {
        Ok(())
    }

    fn drain(&mut self, most: usize, into: &mut Records) -> Result<(), source::Error> {
        into.clear();
        self.has_ended |= is_in_the_way(&self.sinks);
        while !self.has_ended && into.len() < most {
            match self.reader.next() {
                Some(Ok(record)) => into.push(record),
                Some(Err(error)) => {
                    // There is at most one, and room for it.
                    let _ = self.broken.try_send(error);
                    self.has_ended = true;
                    break;
                }
                None => {
                    self.has_ended = true;
                    break;
                }
            }
        }
        Ok(())
    }

    fn fill(&self) -> f64 {
        1.0
    }

    fn has_ended(&self) -> bool {
        self.has_ended
    }
}
