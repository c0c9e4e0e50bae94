//! The thread `se-canary`: proof that events flow, from the kernel to the written file.
//!
//! Every few seconds it starts the agent's own program with [`COMMAND`] and a random number. That exec must come
//! through the kernel's hook, the ring, the decoder, a worker and the file sink, and its line must be found in
//! the file, at the place that the sink names, in time. Nothing of that is short-circuited, so /ready is proven
//! rather than claimed. The child does nothing and exits; its events are marked as the agent's own.

use std::io;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, select};

use super::config::CanaryConfig;
use crate::metrics::{ErrorType, Metrics};
use crate::sink::{Place, Written};
use crate::util::beacon::Beacon;
use crate::util::clock;
use crate::util::limit::Limit;

/// First argument of the agent's program that makes it a canary.
pub const COMMAND: &str = "canary";

/// What the last canaries said.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// When one last came back, and how long it took.
    pub last_success: Option<(Instant, Duration)>,
    /// Failures since then.
    pub failures: u32,
    /// What went wrong last.
    pub reason: Option<String>,
}

/// The canary thread's settings and company.
#[derive(Debug)]
pub struct Canary {
    /// Timing.
    pub config: CanaryConfig,
    /// The sinks' reports of written canaries.
    pub written: Receiver<Written>,
    /// Closed when the agent stops.
    pub stop: Receiver<()>,
    /// Shared with health.
    pub verdict: Arc<Mutex<Verdict>>,
    /// The counts.
    pub metrics: Arc<Metrics>,
}

impl Canary {
    /// Sends canaries until the agent stops.
    pub fn run(&self, beacon: &Beacon) {
        let said = Limit::new(Duration::from_secs(60));
        loop {
            beacon.beat();
            let started = Instant::now();
            match self.send() {
                Some(Ok(latency)) => {
                    self.metrics.canary_latency.observe(latency);
                    self.metrics.canary_last.set(Duration::from_nanos(clock::wall_ns()).as_secs_f64());
                    let mut verdict = self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
                    *verdict =
                        Verdict { last_success: Some((Instant::now(), latency)), failures: 0, reason: None };
                }
                Some(Err(reason)) => {
                    self.metrics.canary_failures.inc();
                    self.metrics.errors.at(ErrorType::Canary).inc();
                    if let Some(held_back) = said.pass() {
                        log::warn!("canary: {reason} ({held_back} more since last said)");
                    }
                    let mut verdict = self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
                    verdict.failures += 1;
                    verdict.reason = Some(reason);
                }
                None => return,
            }
            let rest = self.config.interval.saturating_sub(started.elapsed());
            if self.stop.recv_timeout(rest) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    /// One canary. `None` if the agent stops meanwhile; else how long it took, or why it failed.
    fn send(&self) -> Option<Result<Duration, String>> {
        // Late reports of earlier canaries mean nothing any more.
        while self.written.try_recv().is_ok() {}
        let nonce = clock::boot_ns() ^ u64::from(std::process::id()).rotate_left(48);
        let sent_ns = clock::boot_ns();
        let mut child = match spawn(nonce) {
            Ok(child) => child,
            Err(error) => return Some(Err(format!("cannot start the agent's own program: {error}"))),
        };
        let deadline = Instant::now() + self.config.timeout;
        let result = loop {
            select! {
                recv(self.written) -> written => match written {
                    Ok(written) if written.nonce == nonce => {
                        let found = find(&written.place, nonce);
                        break Some(found.map(|()| Duration::from_nanos(clock::boot_ns().saturating_sub(sent_ns))));
                    }
                    Ok(_) => {}
                    Err(_) => break None,
                },
                recv(self.stop) -> _ => break None,
                default(deadline.saturating_duration_since(Instant::now())) => {
                    let ms = self.config.timeout.as_millis();
                    break Some(Err(format!("the canary's exec was not written within {ms} ms")));
                }
            }
        };
        // It has long exited; this only takes its status.
        let _ = child.wait();
        result
    }
}

fn spawn(nonce: u64) -> io::Result<Child> {
    Command::new("/proc/self/exe")
        .args([COMMAND, &format!("{nonce:016x}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .env_clear()
        .spawn()
}

/// Reads the canary's line back from where the sink says that it is.
fn find(place: &Place, nonce: u64) -> Result<(), String> {
    match place.read() {
        Ok(None) => Ok(()),
        Ok(Some(line)) if memchr::memmem::find(&line, format!("{nonce:016x}").as_bytes()).is_some() => Ok(()),
        Ok(Some(_)) => Err("the canary's line is not in the log where it was written".into()),
        Err(error) => Err(format!("cannot read the canary's line back from the log: {error}")),
    }
}
