//! The run of the agent, from the first check to the last line.
//!
//! Started right to left, sinks first and probes last, so that no record finds a stage missing; stopped left to
//! right, so that everything that was seen is written. While it runs, this thread takes signals, notices losses
//! and dead threads, feeds systemd's watchdog, and repairs what it may.

use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::board::Board;
use super::canary::{Canary, Verdict};
use super::error::Error;
use super::findings::Findings;
use super::http::Http;
use super::lock::{self, Lock};
use super::overflow::Overflow;
use super::pipeline::{Clock, Command, Kinds, Pace, Pipeline, Work};
use super::probes::Probes;
use super::signals::{Request, Signals};
use super::worker::{Detection, Worker};
use super::{directory, loss, own, privileges, rules, state, summary};
use crate::config::{Errors, Resolved};
use crate::detect;
use crate::detect::trail::Trail;
use crate::enrich::{Enricher, Names, Sources, host};
use crate::event::ecs::Frame;
use crate::event::{Host, Kind};
use crate::metrics::{ErrorType, Metrics, SinkName};
use crate::procfs::Procfs;
use crate::sink::{self, Sinks};
use crate::util::clock::{self, Offset};
use crate::util::thread::{self, Thread};

/// Everything that was seen must be written within this time after the order to stop.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// The part of it that reading what is left in the ring may take.
const DRAIN_WITHIN: Duration = Duration::from_secs(2);

/// How often this thread looks around.
const TICK: Duration = Duration::from_secs(1);

/// After a loss the process table is compared with what runs, but no more often than this.
const RESYNC_EVERY: Duration = Duration::from_secs(10);

/// Files, executables and control groups that the filters name are looked up again this often.
const WATCH_EVERY: Duration = Duration::from_secs(60);

/// Pieces of work between the pipeline and the workers: enough to ride out a slow write, small enough that a
/// stuck sink soon shows in the ring's counters.
const WORK_QUEUE: usize = 64;

/// Canary reports that may wait; the canary thread takes each within seconds.
const CANARY_REPORTS: usize = 16;

/// What a run begins with.
pub struct Start {
    /// The configuration.
    pub config: Resolved,
    /// Reads the configuration again, for SIGHUP.
    pub reload: Box<dyn Fn() -> Result<Resolved, Errors>>,
    /// Changes the level of the agent's own log.
    pub set_log_level: Box<dyn Fn(&str)>,
    /// Print a summary at the end.
    pub summary: bool,
}

impl std::fmt::Debug for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Start").field("summary", &self.summary).finish_non_exhaustive()
    }
}

/// Runs the agent until it is told to stop.
pub fn run(start: Start) -> Result<(), Error> {
    let began = Instant::now();
    let mut signals =
        Signals::block().map_err(|e| Error::Start { what: "taking signals", cause: e.into() })?;
    let mut agent = Agent::start(start)?;
    let outcome = agent.watch(&mut signals);
    let (reason, result) = match outcome {
        Ok(reason) => (reason, Ok(())),
        Err(error) => ("failure", Err(error)),
    };
    let want_summary = agent.summary;
    let metrics = Arc::clone(&agent.metrics);
    agent.stop(reason);
    if want_summary {
        eprintln!("{}", summary::text(&metrics, began.elapsed(), summary::Usage::of_this_process()));
    }
    result
}

/// The running agent.
struct Agent {
    config: Resolved,
    reload: Box<dyn Fn() -> Result<Resolved, Errors>>,
    set_log_level: Box<dyn Fn(&str)>,
    summary: bool,
    metrics: Arc<Metrics>,
    host: Host,
    board: Arc<Board>,
    probes: Probes,
    sinks: Arc<Sinks>,
    http: Http,
    frame: Arc<RwLock<Frame>>,
    commands: Sender<Command>,
    ring: Thread,
    next_sequence: Receiver<u64>,
    workers: Vec<Thread>,
    findings: Thread,
    /// Settings of detection, the way to say that they changed, and who heeds that.
    detection: (Arc<RwLock<detect::Config>>, Sender<()>, Thread),
    canary: Option<(Sender<()>, Thread)>,
    resynced: Instant,
    overflow: Overflow,
    /// When the lists of the filters were last looked up.
    watched: Instant,
    names: Names,
    background: Vec<Thread>,
    _lock: Lock,
}

impl Agent {
    fn start(start: Start) -> Result<Agent, Error> {
        let Start { mut config, reload, set_log_level, summary } = start;
        without_proof(&mut config);
        let control = &config.control;
        // Before anything is made or asked for, so that who may not run it is told that, and not which directory.
        let plan = Probes::plan(&config.kernel)?;
        let lock = lock::take(&control.runtime_dir)?;
        // Before the first thread, as each inherits it.
        if let Err(error) = privileges::raise_priority() {
            log::info!("running at the priority of an ordinary program: {error}");
        }
        let metrics = Arc::new(Metrics::default());
        let proc = Procfs::new(&control.proc_root);
        let host = host::read(&proc, "/".as_ref(), control.host_name.as_deref());
        let boot = host.boot_id.text();

        // Sinks first.
        let mut frame = Frame::new(&host, config.enrich.env_allow.clone().into(), config.enrich.ancestors);
        frame.wall_offset_ns = Offset::measure().ns();
        let frame = Arc::new(RwLock::new(frame));
        let logged = config.sink.file.as_ref().and_then(|file| sink::last_sequence(&file.path));
        let (reports, written) = bounded(CANARY_REPORTS);
        let context = sink::Context {
            metrics: Arc::clone(&metrics),
            loss_line: loss::line(Arc::clone(&frame)),
            written: Some(reports),
            patience: sink::PATIENCE,
        };
        let sinks = Arc::new(Sinks::start(&config.sink, &context)?);
        directory::make(&control.state_dir, 0o700)?;
        let last = state::read(&control.state_dir);
        let sequence = state::next_sequence(last.as_ref(), logged, &boot);
        let run = state::Run { boot_id: boot.clone(), next_sequence: sequence, ended: false };
        state::write(&control.state_dir, &run)?;

        // HTTP next, so that a port in use is told before anything is attached.
        let verdict = Arc::new(Mutex::new(Verdict::default()));
        let board = Arc::new(Board::new(&config, Arc::clone(&verdict), Arc::clone(&metrics)));
        board.sinks(sinks.states().map(Arc::clone).collect());
        let http = Http::start(&control.http, Arc::clone(&board) as _, Arc::clone(&metrics))?;

        // Rules are compiled beside what follows, which waits for the kernel mostly.
        let shared =
            rules::Shared::new(config.detect.clone(), &control.state_dir, &control.runtime_dir, &metrics);
        board.rules(Arc::clone(&shared.fact));
        let begin = shared.clone();
        let compiling = std::thread::Builder::new()
            .name("se-rules".into())
            .spawn(move || rules::Keeper::start(begin))
            .map_err(|e| Error::Start { what: "the thread se-rules", cause: e.into() })?;

        // The kernel side, and the table of what runs already; only then may records be taken.
        let sources = Sources::of_this_host(proc);
        let (mut enricher, background) = Enricher::new(&config.enrich, &host, Some(&sources), &metrics);
        let mut probes = Probes::attach(&config.kernel, &plan, &metrics)?;
        probes.seed(&mut enricher);
        board.sensors(probes.facts(), probes.classes());
        board.counters(probes.counters()?);
        let source = probes.source(&config.kernel)?;

        // The flow itself, which begins with the agent's own record, before the first event.
        let start_record =
            own::started(&own_frame(&frame), &host, &probes, state::previous(last.as_ref(), &boot));
        sinks.record(&start_record);
        let (work_in, work_out) = bounded::<Work>(WORK_QUEUE);
        let (commands, orders) = bounded(16);
        let (sequence_in, next_sequence) = bounded(1);
        let names = enricher.names();
        let pipeline = Pipeline {
            source,
            enricher,
            selected: kinds(&config),
            sequence,
            clock: Clock::Live,
            pace: Pace {
                batch: config.kernel.batch,
                poll_timeout: config.kernel.poll_timeout,
                busy_window: config.kernel.busy_window,
                drain_limit: DRAIN_WITHIN,
            },
            work: work_in,
            commands: orders,
            metrics: Arc::clone(&metrics),
        };
        let (hits_in, hits) = bounded(WORK_QUEUE);
        let keeper = compiling.join().map_err(|_| Error::ThreadDied { name: "se-rules".into() })?;
        let worker = Worker {
            work: work_out,
            frame: Arc::clone(&frame),
            names: names.clone(),
            sinks: Arc::clone(&sinks),
            metrics: Arc::clone(&metrics),
            detection: Some(Detection {
                slot: Arc::clone(&shared.slot),
                novelty: Arc::clone(&shared.novelty),
                trail: Arc::new(Trail::new(config.detect.trail_bytes)),
                hits: hits_in,
                only_findings: false,
            }),
        };
        let spawn = |name: String, body: Box<dyn FnOnce(&crate::util::beacon::Beacon) + Send>| {
            thread::spawn(&name, body).map_err(|e| Error::Start { what: "a thread", cause: e.into() })
        };
        let mut workers = Vec::new();
        for n in 0..control.workers.max(1) {
            let worker = worker.clone();
            workers.push(spawn(format!("se-worker-{n}"), Box::new(move |beacon| worker.run(beacon)))?);
        }
        drop(worker);
        let findings = Findings {
            hits,
            config: Arc::clone(&shared.config),
            sinks: Arc::clone(&sinks),
            metrics: Arc::clone(&metrics),
            is_live: true,
        };
        let findings = spawn("se-findings".into(), Box::new(move |beacon| findings.run(beacon)))?;
        let (rules_changed, told) = bounded(1);
        let keeper = spawn("se-rules".into(), Box::new(move |beacon| keeper.run(&told, beacon)))?;
        let ring = spawn(
            "se-ring".into(),
            Box::new(move |beacon| {
                let next = pipeline.run(beacon);
                let _ = sequence_in.send(next);
            }),
        )?;
        let background = background
            .start()
            .map_err(|e| Error::Start { what: "the threads se-names and se-labels", cause: e.into() })?;
        let canary = match control.canary {
            Some(config) => {
                let (stop, stopped) = bounded(0);
                let canary =
                    Canary { config, written, stop: stopped, verdict, metrics: Arc::clone(&metrics) };
                let thread = spawn("se-canary".into(), Box::new(move |beacon| canary.run(beacon)))?;
                Some((stop, thread))
            }
            None => None,
        };
        board.threads(
            std::iter::once(&ring)
                .chain(&workers)
                .chain([&findings, &keeper])
                .chain(canary.iter().map(|(_, thread)| thread))
                .chain(&background)
                .map(|thread| Arc::clone(&thread.beacon))
                .chain(sinks.beacons().iter().map(Arc::clone))
                .chain(http.beacons())
                .collect(),
        );
        let agent = Agent {
            config,
            reload,
            set_log_level,
            summary,
            metrics,
            host,
            board,
            probes,
            sinks,
            http,
            frame,
            commands,
            ring,
            next_sequence,
            workers,
            findings,
            detection: (shared.config, rules_changed, keeper),
            canary,
            // The first loss is heeded at once.
            resynced: Instant::now().checked_sub(RESYNC_EVERY).unwrap_or_else(Instant::now),
            overflow: Overflow::default(),
            watched: Instant::now(),
            names,
            background,
            _lock: lock,
        };
        agent.say_started();
        Ok(agent)
    }

    fn say_started(&self) {
        for fact in self.probes.classes().iter().filter(|fact| fact.is_wanted) {
            if let Some(why) = &fact.missing {
                log::info!("{} cannot be seen on this host: {why}", fact.kind);
            }
            if let Some(remark) = &fact.remark {
                log::debug!("{}: {remark}", fact.kind);
            }
        }
        let listeners: Vec<_> = self.http.addresses().iter().map(ToString::to_string).collect();
        let at =
            if listeners.is_empty() { "no HTTP".into() } else { format!("http on {}", listeners.join(", ")) };
        log::info!("watching this host; {}; {at}", describe(&self.config.sink));
        if self.summary && self.config.sink.stdout.is_none() {
            log::info!("to see events here as well, start it with --stdout auto, or follow it with `tail`");
        }
        notify(&[sd_notify::NotifyState::Ready, sd_notify::NotifyState::Status("watching this host")]);
    }

    /// Runs until told to stop, or until something dies that the agent cannot do without.
    fn watch(&mut self, signals: &mut Signals) -> Result<&'static str, Error> {
        loop {
            match signals.wait(TICK).map_err(|e| Error::Start { what: "taking signals", cause: e.into() })? {
                Some(Request::Stop(signal)) => return Ok(signal),
                Some(Request::Reload) => self.reload(),
                None => {}
            }
            // Before the threads, of which the one that found this out has ended.
            if self.sinks.states().any(|s| s.name() == SinkName::Stdout && s.has_ended()) {
                return Ok("standard output was closed");
            }
            if let Some(dead) = self.dead_thread() {
                self.metrics.errors.at(ErrorType::Panic).inc();
                return Err(Error::ThreadDied { name: dead });
            }
            self.heed_losses();
            if let Some(line) = own::merged(&self.frame(), &self.probes) {
                self.sinks.record(&line);
            }
            if self.watched.elapsed() >= WATCH_EVERY {
                self.watched = Instant::now();
                self.probes.refresh_watch();
            }
            self.probes.check(self.config.kernel.auto_recovery);
            self.board.sensors(self.probes.facts(), self.probes.classes());
            if self.board.tick() {
                notify(&[sd_notify::NotifyState::Watchdog]);
            }
        }
    }

    fn dead_thread(&self) -> Option<String> {
        let vital =
            std::iter::once(&self.ring).chain(&self.workers).chain([&self.findings, &self.detection.2]);
        let sinks = self.sinks.beacons().iter().filter(|b| b.has_ended()).map(|b| b.name().to_owned());
        let ended = vital.filter(|thread| thread.is_finished()).map(|thread| thread.beacon.name().to_owned());
        ended.chain(sinks).next()
    }

    /// After a loss in the kernel, the log says so, and entries of the process table may be missing or stale.
    fn heed_losses(&mut self) {
        let frame = self.frame();
        own::losses(&frame, &mut self.overflow, &self.metrics)
            .iter()
            .for_each(|line| self.sinks.record(line));
        self.overflow.sayings().iter().for_each(|line| log::warn!("{line}"));
        let may = self.config.kernel.auto_recovery && self.resynced.elapsed() >= RESYNC_EVERY;
        if !self.overflow.is_table_stale || !may {
            return;
        }
        self.resynced = Instant::now();
        let began_ns = clock::boot_ns();
        match self.probes.snapshot() {
            // A full queue means that the pipeline is behind; the next turn comes in ten seconds.
            Ok(records) => {
                let sent = self.commands.try_send(Command::Resync { began_ns, records });
                self.overflow.is_table_stale = sent.is_err();
            }
            Err(error) => log::warn!("cannot compare the process table with what runs: {error}"),
        }
    }

    /// SIGHUP: files are opened anew in any case; the new configuration takes effect whole or not at all.
    fn reload(&mut self) {
        notify_reloading();
        self.sinks.reopen();
        let outcome = (self.reload)().map_err(|errors| errors.to_string()).and_then(|new| self.adopt(new));
        match outcome {
            Ok(()) => {
                self.metrics.reloads.inc();
                self.board.reload_error(None);
            }
            Err(reason) => {
                self.metrics.reload_failures.inc();
                self.metrics.errors.at(ErrorType::Config).inc();
                log::error!("the configuration stays as it was: {reason}");
                self.board.reload_error(Some(reason));
            }
        }
        notify(&[sd_notify::NotifyState::Ready]);
    }

    fn adopt(&mut self, mut new: Resolved) -> Result<(), String> {
        without_proof(&mut new);
        // The canary's thread keeps its pace until the next start, and health must judge it by that.
        new.control.canary = self.config.control.canary;
        for change in new.changes(&self.config) {
            if change.needs_restart {
                log::warn!("{} changed; it takes effect at the next start", change.key);
            }
        }
        for kind in new.kernel.kinds.iter().filter(|kind| !self.probes.makes(**kind)) {
            log::warn!("[events] {kind} = true takes effect at the next start, when its program is loaded");
        }
        self.http.reload(&new.control.http).map_err(|e| super::error::chain(&e))?;
        if let Err(error) = self.sinks.reconfigure(&new.sink) {
            // All or nothing: back to what was in effect, which worked a moment ago.
            for undone in [
                self.http.reload(&self.config.control.http).map_err(|e| super::error::chain(&e)),
                self.sinks.reconfigure(&self.config.sink).map_err(|e| super::error::chain(&e)),
            ] {
                undone.unwrap_or_else(|reason| log::error!("going back to the old configuration: {reason}"));
            }
            return Err(super::error::chain(&error));
        }
        let mut frame = Frame::new(&self.host, new.enrich.env_allow.clone().into(), new.enrich.ancestors);
        frame.wall_offset_ns = Offset::measure().ns();
        *self.frame.write().unwrap_or_else(std::sync::PoisonError::into_inner) = frame;
        let _ = self.commands.send(Command::Select(kinds(&new)));
        self.probes.watch(&new.kernel);
        let (detection, changed, _) = &self.detection;
        *detection.write().unwrap_or_else(std::sync::PoisonError::into_inner) = new.detect.clone();
        // Full: it was told already and will look.
        let _ = changed.try_send(());
        self.watched = Instant::now();
        (self.set_log_level)(&new.control.log_level);
        self.board.config(&new);
        self.config = new;
        Ok(())
    }

    fn frame(&self) -> Frame {
        own_frame(&self.frame)
    }

    /// Stops left to right and writes what is left.
    fn stop(mut self, reason: &str) {
        let deadline = Instant::now() + STOP_WITHIN;
        log::info!("stopping: {reason}");
        notify(&[sd_notify::NotifyState::Stopping]);
        if let Some((stop, thread)) = self.canary {
            drop(stop);
            thread.join();
        }
        self.probes.detach();
        let _ = self.commands.send_timeout(Command::Stop, DRAIN_WITHIN);
        self.ring.join();
        let next_sequence = self.next_sequence.try_recv().ok();
        for worker in self.workers {
            worker.join();
        }
        // It ends when the workers are gone, with what was still folded.
        self.findings.join();
        let (_, rules_changed, keeper) = self.detection;
        drop(rules_changed);
        keeper.join();
        let frame = own_frame(&self.frame);
        // What was lost or could not be placed between the last look and the end.
        self.board.tick();
        let mut lines = own::losses(&frame, &mut self.overflow, &self.metrics);
        lines.extend(own::merged(&frame, &self.probes));
        lines.push(own::stopped(&frame, reason, next_sequence.map_or(0, |n| n.saturating_sub(1))));
        lines.iter().for_each(|line| self.sinks.record(line));
        self.sinks.stop(deadline.saturating_duration_since(Instant::now()));
        if let Some(next_sequence) = next_sequence {
            let run = state::Run { boot_id: self.host.boot_id.text(), next_sequence, ended: true };
            if let Err(error) = state::write(&self.config.control.state_dir, &run) {
                log::error!("{error}");
            }
        }
        self.http.stop();
        self.names.stop();
        for thread in self.background {
            thread.join();
        }
        // For the summary: what happened between the last look at the counters and the end.
        self.board.tick();
    }
}

/// A copy of the frame that the agent's own records are written in.
fn own_frame(frame: &RwLock<Frame>) -> Frame {
    frame.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
}

/// Switches the canary off where it could never be seen: its exec is not reported, or goes nowhere.
fn without_proof(config: &mut Resolved) {
    let is_seen = config.kernel.kinds.contains(&Kind::Exec)
        && (config.sink.file.is_some() || config.sink.stdout.is_some());
    if !is_seen && config.control.canary.take().is_some() {
        log::warn!("no canary: execs are not reported, or to nowhere; /ready cannot prove that events flow");
    }
}

fn kinds(config: &Resolved) -> Kinds {
    config.kernel.kinds.iter().copied().filter(|kind: &Kind| !kind.is_internal()).collect()
}

/// Where events go, for people.
fn describe(config: &sink::Config) -> String {
    let file = config.file.as_ref().map(|file| format!("events go to {}", file.path.display()));
    let stdout = config.stdout.map(|_| "to standard output".to_owned());
    let parts: Vec<_> = file.into_iter().chain(stdout).collect();
    if parts.is_empty() { "events go nowhere".into() } else { parts.join(" and ") }
}

/// Tells systemd, if it listens.
fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!("cannot tell systemd: {error}");
    }
}

fn notify_reloading() {
    if let Ok(now) = sd_notify::NotifyState::monotonic_usec_now() {
        notify(&[sd_notify::NotifyState::Reloading, now]);
    }
}
