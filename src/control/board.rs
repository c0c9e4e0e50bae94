//! Where the parts of the agent report, and where HTTP asks: facts for health, and gauges for metrics.
//!
//! Counters that others own (the kernel's, /proc's) are copied into the metrics when somebody asks, no more often
//! than they can change; so an idle agent does no work for a /metrics that nobody reads.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::canary::Verdict;
use super::health::{CanaryFact, ClassFact, Facts, RulesFact, SensorFact, SinkFact, ThreadFact};
use super::http::{Answers, Status};
use crate::config::Resolved;
use crate::event::Kind;
use crate::kernel::abi::ABI_VERSION;
use crate::kernel::counters::Counters;
use crate::kernel::plan::Level;
use crate::metrics::{ErrorType, Label, Metrics, Reason, ThreadName};
use crate::procfs::Procfs;
use crate::procfs::usage::Usage;
use crate::sink::SinkState;
use crate::util::beacon::Beacon;
use crate::util::clock;

/// Losses count as recent for this long.
const LATELY: Duration = Duration::from_secs(60);

/// Threads that wait for work and only come round when there is some.
const MAY_WAIT: [ThreadName; 2] = [ThreadName::Worker, ThreadName::Canary];

/// See the module.
#[derive(Debug)]
pub struct Board {
    metrics: Arc<Metrics>,
    proc: Procfs,
    verdict: Arc<Mutex<Verdict>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    started: bool,
    canary_limit: Option<Duration>,
    threads: Vec<Arc<Beacon>>,
    sinks: Vec<Arc<SinkState>>,
    sensors: Vec<SensorFact>,
    classes: Vec<ClassFact>,
    counters: Option<Counters>,
    rules: Arc<Mutex<Option<RulesFact>>>,
    reload_error: Option<String>,
    /// Losses by reason at moments of the last minute, oldest first.
    losses: VecDeque<(Instant, Vec<u64>)>,
    cpu: Option<(Instant, f64)>,
    /// When the gauges of the agent's own use were last refreshed without anybody asking, and how often they are.
    used: Option<Instant>,
    metrics_interval: Duration,
}

impl Board {
    /// A board of an agent that is starting.
    pub fn new(config: &Resolved, verdict: Arc<Mutex<Verdict>>, metrics: Arc<Metrics>) -> Self {
        let proc = Procfs::default();
        metrics.build.set(vec![
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("commit", env!("SENTINEL_COMMIT").to_owned()),
            ("kernel_abi", ABI_VERSION.to_string()),
        ]);
        let board = Board { metrics, proc, verdict, state: Mutex::default() };
        board.config(config);
        board
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The configuration in effect.
    pub fn config(&self, config: &Resolved) {
        self.metrics.config.set(vec![("sha256", config.hash())]);
        self.state().metrics_interval = config.control.metrics_interval;
        self.state().canary_limit =
            config.control.canary.map(|c| c.interval + c.timeout + Duration::from_secs(1));
    }

    /// The sinks to judge.
    pub fn sinks(&self, sinks: Vec<Arc<SinkState>>) {
        self.state().sinks = sinks;
    }

    /// The threads to judge; the flow runs from here on.
    pub fn threads(&self, threads: Vec<Arc<Beacon>>) {
        let mut state = self.state();
        state.threads = threads;
        state.started = true;
    }

    /// The sensors and the classes as they are now.
    pub fn sensors(&self, sensors: Vec<SensorFact>, classes: Vec<ClassFact>) {
        for class in &classes {
            let level = class.level.map_or(0, Level::number);
            self.metrics.sensor_level.at(class.kind).set(f64::from(level));
            let is_blind = class.is_wanted && class.level.is_none();
            self.metrics.sensor_blind.at(class.kind).set(f64::from(u8::from(is_blind)));
        }
        let mut state = self.state();
        (state.sensors, state.classes) = (sensors, classes);
    }

    /// The kernel side's counters.
    pub fn counters(&self, counters: Counters) {
        self.state().counters = Some(counters);
    }

    /// Where the state of the rules is told.
    pub fn rules(&self, fact: Arc<Mutex<Option<RulesFact>>>) {
        self.state().rules = fact;
    }

    /// Why the last reload was refused.
    pub fn reload_error(&self, reason: Option<String>) {
        self.state().reload_error = reason;
    }

    /// To be called about once a second. True while the threads do their work, which is what the watchdog asks.
    pub fn tick(&self) -> bool {
        let mut state = self.state();
        self.copy_kernel(&mut state);
        let now = Instant::now();
        while state.losses.front().is_some_and(|(at, _)| now.duration_since(*at) > LATELY) {
            state.losses.pop_front();
        }
        if state.losses.back().is_none_or(|(at, _)| now.duration_since(*at) >= Duration::from_secs(1)) {
            let losses = self.losses();
            state.losses.push_back((now, losses));
        }
        if state.used.is_none_or(|at| now.duration_since(at) >= state.metrics_interval) {
            state.used = Some(now);
            self.copy_usage(&mut state);
        }
        let facts = self.facts(&state);
        let (health, ready) = (facts.health().up, facts.ready().up);
        self.metrics.healthy.set(f64::from(u8::from(health)));
        self.metrics.ready.set(f64::from(u8::from(ready)));
        facts.is_alive()
    }

    /// Events lost for each reason so far, in the order of [`Reason::ALL`], and last what the kernel skipped of unknown
    /// classes. What is left out on purpose is no loss.
    fn losses(&self) -> Vec<u64> {
        let on_purpose = [Reason::Filtered, Reason::Deduplicated, Reason::Summarised];
        let lost = |reason: Reason| -> u64 {
            if on_purpose.contains(&reason) {
                return 0;
            }
            Kind::ALL.iter().map(|kind| self.metrics.events_dropped.at((*kind, reason)).get()).sum()
        };
        Reason::ALL.iter().map(|reason| lost(*reason)).chain([self.metrics.unknown_skips()]).collect()
    }

    fn copy_kernel(&self, state: &mut State) {
        if let Some(counters) = &mut state.counters
            && let Err(error) = counters.refresh(&self.metrics)
        {
            self.metrics.errors.at(ErrorType::Bpf).inc();
            log::warn!("{error}");
        }
    }

    fn facts(&self, state: &State) -> Facts {
        let thread = |beacon: &Arc<Beacon>| ThreadFact {
            name: beacon.name().to_owned(),
            age: beacon.age(),
            ended: beacon.has_ended(),
            may_wait: MAY_WAIT.iter().any(|name| beacon.name().starts_with(name.name())),
        };
        let now_ns = clock::boot_ns();
        let sink = |sink: &Arc<SinkState>| SinkFact {
            name: sink.name().name(),
            up: sink.is_up(),
            reason: sink.reason(),
            since: Duration::from_nanos(now_ns.saturating_sub(sink.since_ns())),
        };
        let verdict = self.verdict.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let canary = state.canary_limit.map(|limit| CanaryFact {
            last_success: verdict.last_success.map(|(at, latency)| (at.elapsed(), latency)),
            failure: verdict.reason,
            limit,
        });
        let now = self.losses();
        let before = state.losses.front().map(|(_, losses)| losses.as_slice()).unwrap_or_default();
        let lately: Vec<u64> =
            now.iter().zip(before).map(|(now, before)| now.saturating_sub(*before)).collect();
        let lately_lost = Reason::ALL.iter().zip(&lately).map(|(reason, lost)| (reason.name(), *lost));
        Facts {
            started: state.started,
            threads: state.threads.iter().map(thread).collect(),
            sinks: state.sinks.iter().map(sink).collect(),
            sensors: state.sensors.clone(),
            classes: state.classes.clone(),
            canary,
            rules: state.rules.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            reload_error: state.reload_error.clone(),
            lately_lost: lately_lost.filter(|(_, lost)| *lost > 0).collect(),
            lately_skipped: lately.get(Reason::ALL.len()).copied().unwrap_or(0),
        }
    }

    fn copy_usage(&self, state: &mut State) {
        let Some(usage) = Usage::read(&self.proc) else {
            self.metrics.errors.at(ErrorType::Procfs).inc();
            return;
        };
        #[expect(clippy::cast_precision_loss, reason = "gauges are floating point; 2^53 bytes are 8 PiB")]
        let float = |n: u64| n as f64;
        let metrics = &self.metrics;
        metrics.memory_usage.set(float(usage.resident_bytes));
        metrics.process_resident.set(float(usage.resident_bytes));
        metrics.process_virtual.set(float(usage.virtual_bytes));
        metrics.process_cpu.set(usage.cpu_seconds);
        metrics.process_fds.set(float(usage.open_fds));
        metrics.process_max_fds.set(float(usage.max_fds));
        let booted = Duration::from_nanos(clock::wall_ns()).as_secs_f64()
            - Duration::from_nanos(clock::boot_ns()).as_secs_f64();
        metrics.process_start.set(booted + usage.start_boot_seconds);
        // A share over less than a second would be mostly rounding.
        let (since, before) = state.cpu.unwrap_or_else(|| (Instant::now(), usage.cpu_seconds));
        let passed = since.elapsed();
        if passed >= Duration::from_secs(1) {
            metrics.cpu_usage.set((usage.cpu_seconds - before) / passed.as_secs_f64() * 100.0);
            state.cpu = Some((Instant::now(), usage.cpu_seconds));
        } else if state.cpu.is_none() {
            state.cpu = Some((since, before));
        }
    }

    fn copy_threads(&self, state: &State) {
        for name in ThreadName::ALL {
            let alive =
                state.threads.iter().filter(|b| b.name().starts_with(ThreadName::NAMES[name.index()]));
            let alive = u32::try_from(alive.filter(|b| !b.has_ended()).count()).unwrap_or(u32::MAX);
            self.metrics.threads.at(*name).set(f64::from(alive));
        }
    }
}

impl Answers for Board {
    fn health(&self) -> Status {
        self.facts(&self.state()).health()
    }

    fn ready(&self) -> Status {
        self.facts(&self.state()).ready()
    }

    fn version(&self) -> Value {
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "commit": env!("SENTINEL_COMMIT"),
            "kernel_abi": ABI_VERSION,
        })
    }

    fn metrics(&self) -> String {
        {
            let mut state = self.state();
            self.copy_kernel(&mut state);
            if let Some(counters) = &state.counters {
                counters.refresh_maps(&self.metrics);
            }
            self.copy_usage(&mut state);
            self.copy_threads(&state);
        }
        self.metrics.render()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wanted_and_not_seen_is_blind() {
        let config = crate::config::parse_str("config.toml", "").expect("the defaults are right");
        let metrics = Arc::new(Metrics::default());
        let board = Board::new(&config, Arc::default(), Arc::clone(&metrics));
        let class = |kind, is_wanted, level| ClassFact {
            kind,
            is_wanted,
            level,
            hooks: Vec::new(),
            grade: "kernel",
            missing: None,
            remark: None,
        };
        let blind = |kind| metrics.sensor_blind.at(kind).get();
        board.sensors(
            Vec::new(),
            vec![
                class(Kind::Exec, true, Some(Level::Direct)),
                class(Kind::Fork, true, None),
                class(Kind::Exit, false, None),
            ],
        );
        assert_eq!([Kind::Exec, Kind::Fork, Kind::Exit].map(blind), [0.0, 1.0, 0.0]);
        // A reload that no longer wants it.
        board.sensors(Vec::new(), vec![class(Kind::Fork, false, None)]);
        assert_eq!(blind(Kind::Fork), 0.0);
    }
}
