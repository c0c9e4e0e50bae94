//! The live view: a Unix socket on which `sentinel-edge tail` follows the events and findings.
//!
//! **Protocol.** The client sends one line of JSON, `{}` or `{"classes":["exec","exit","finding"]}`, within 5 seconds
//! and 4 KiB. From then on it gets the events of these classes, and the findings of rules for `finding`, as in the log, one
//! JSON line each. Whatever else the server has to say is a line with `sentineledge.tail`:
//!
//! | line | meaning |
//! | --- | --- |
//! | `{"error":"..."}` | the request was not understood or there are too many clients; the end |
//! | `{"missed":N}` | the server itself could not keep up; N lines of any class are missing here |
//! | `{"cut":true,"missed":N}` | this client reads too slowly; N of its lines are missing; the end |
//!
//! **No harm done.** One thread serves all clients with non-blocking sockets. Each has a bounded buffer; who lets
//! it run full gets what is in there and the line `cut`, within 5 seconds, and is closed. The way to the thread is
//! bounded too and never waited for. With no client, a batch costs one look at its number.
//!
//! **Account.** Events are offered while a client is connected; delivered when the thread has dealt them out, which
//! says nothing about what each client read; lost when the way to the thread was full. Findings are not in it, as they
//! are no events; those that the way has no room for are told as missed.
//!
//! **Access.** The socket has mode 0600 in a directory of mode 0750. It is made under another name and renamed, so
//! it is never there with other rights, and takes the place of one that a dead agent left.

mod client;
mod server;

pub use client::FINDING;

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::batch::Batch;
use super::config::TailConfig;
use super::loss::Counts;
use super::order::Order;
use super::output::Error;
use super::queue::cost;
use crate::metrics::{Metrics, Outcome, Reason, SinkName};
use crate::util::beacon::Beacon;
use crate::util::thread::{self, Thread};
use server::{Listener, Server, listen};

/// The server of the live view.
#[derive(Debug)]
pub struct Tail {
    shared: Arc<Shared>,
    beacon: Arc<Beacon>,
    thread: Mutex<Option<Thread>>,
}

/// Between the producers and the server's thread.
#[derive(Debug)]
struct Shared {
    metrics: Arc<Metrics>,
    /// Clients that are or may soon be served.
    clients: AtomicUsize,
    stop: AtomicBool,
    way: Mutex<Way>,
    /// Wakes the thread.
    bell: EventFd,
}

#[derive(Debug, Default)]
struct Way {
    order: Order<Option<Arc<Batch>>>,
    ready: Vec<Arc<Batch>>,
    findings: Vec<Box<[u8]>>,
    bytes: usize,
    events: u64,
    limit: usize,
    /// Events lost since the thread last looked.
    missed: u64,
    /// Where the server listens.
    path: PathBuf,
    /// The thread knows that there is something.
    rung: bool,
    /// Other settings for the thread.
    moved: Option<(TailConfig, Option<Listener>)>,
}

impl Tail {
    /// Listens, and starts the thread.
    pub fn start(config: TailConfig, buffer_bytes: usize, metrics: Arc<Metrics>) -> Result<Tail, Error> {
        let listener = listen(&config.path)?;
        let failed = |source: io::Error| Error::Thread { name: "se-sink-tail", source };
        let bell = EventFd::from_value_and_flags(0, EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)
            .map_err(|errno| failed(errno.into()))?;
        metrics.sink_up.at(SinkName::Tail).set(1.0);
        let shared = Arc::new(Shared {
            metrics,
            clients: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            way: Mutex::new(Way { limit: buffer_bytes, path: config.path.clone(), ..Way::default() }),
            bell,
        });
        let server = Server::new(config, listener, Arc::clone(&shared));
        let thread = thread::spawn("se-sink-tail", move |beacon| server.run(beacon)).map_err(failed)?;
        Ok(Tail { shared, beacon: Arc::clone(&thread.beacon), thread: Mutex::new(Some(thread)) })
    }

    /// Hands the batch to the clients, if there are any. Never waits.
    pub fn offer(&self, batch: &Arc<Batch>) {
        self.shared.offer(batch);
    }

    /// Hands a finding's line to the clients, if there are any. Never waits.
    pub fn tell(&self, line: &[u8]) {
        self.shared.tell(line);
    }

    /// Takes on other settings; another path is listened on before the old one is given up.
    pub fn reconfigure(&self, config: TailConfig) -> Result<(), Error> {
        self.shared.reconfigure(config)
    }

    /// The thread's liveness.
    pub fn beacon(&self) -> Arc<Beacon> {
        Arc::clone(&self.beacon)
    }

    /// Sends the clients what is buffered, if they take it at once, and ends. False after a panic.
    pub fn stop(&self) -> bool {
        self.shared.stop.store(true, Relaxed);
        self.shared.ring();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.shared.metrics.sink_up.at(SinkName::Tail).set(0.0);
        thread.is_none_or(Thread::join)
    }
}

impl Shared {
    fn offer(&self, batch: &Arc<Batch>) {
        let mut way = self.way();
        let served = self.clients.load(Relaxed) > 0 && !batch.lines.is_empty();
        let mut slot = None;
        if served {
            let counts = Counts::of(&batch.lines);
            self.count(&counts, Outcome::Offered);
            if way.bytes + cost(batch) <= way.limit {
                way.bytes += cost(batch);
                way.events += counts.total();
                slot = Some(Arc::clone(batch));
            } else {
                way.missed += counts.total();
                self.count(&counts, Outcome::Lost);
                for (kind, n) in counts.iter() {
                    self.metrics.sink_dropped.at((SinkName::Tail, kind, Reason::QueueFull)).add(n);
                }
            }
        }
        let Way { order, ready, .. } = &mut *way;
        order.push(batch.index, slot, |slot| ready.extend(slot));
        self.show(&way);
        let ring = !way.ready.is_empty() && !std::mem::replace(&mut way.rung, true);
        drop(way);
        if ring {
            self.ring();
        }
    }

    fn tell(&self, line: &[u8]) {
        if self.clients.load(Relaxed) == 0 {
            return;
        }
        let mut way = self.way();
        if way.bytes + line.len() <= way.limit {
            way.bytes += line.len();
            way.findings.push(line.into());
        } else {
            way.missed += 1;
        }
        let ring = !std::mem::replace(&mut way.rung, true);
        drop(way);
        if ring {
            self.ring();
        }
    }

    /// What has come since the last call, and how many lines are missing from it. The memory of `done` is given back.
    fn collect(&self, done: &mut Vec<Arc<Batch>>, findings: &mut Vec<Box<[u8]>>) -> u64 {
        let mut way = self.way();
        findings.append(&mut way.findings);
        let told: usize = findings.iter().map(|line| line.len()).sum();
        way.bytes = way.bytes.saturating_sub(told);
        for batch in done.drain(..) {
            way.bytes = way.bytes.saturating_sub(cost(&batch));
            way.events = way.events.saturating_sub(batch.lines.len() as u64);
        }
        std::mem::swap(&mut way.ready, done);
        way.rung = false;
        self.show(&way);
        std::mem::take(&mut way.missed)
    }

    fn reconfigure(&self, config: TailConfig) -> Result<(), Error> {
        let mut way = self.way();
        let listener = if way.path == config.path { None } else { Some(listen(&config.path)?) };
        way.path.clone_from(&config.path);
        way.moved = Some((config, listener));
        drop(way);
        self.ring();
        Ok(())
    }

    fn count(&self, counts: &Counts, outcome: Outcome) {
        for (kind, n) in counts.iter() {
            self.metrics.sink_events.at((SinkName::Tail, kind, outcome)).add(n);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge; counts stay far below 2^52")]
    fn show(&self, way: &Way) {
        self.metrics.sink_queued.at(SinkName::Tail).set(way.events as f64);
    }

    fn ring(&self) {
        // Fails only when 2^64 - 1 rings are pending.
        let _ = self.bell.write(1);
    }

    fn way(&self) -> MutexGuard<'_, Way> {
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connects to the live view of a running agent and asks for these classes; all if there are none.
pub fn connect(path: &Path, classes: &[&str]) -> io::Result<UnixStream> {
    use std::io::Write;
    let mut stream = UnixStream::connect(path)?;
    let request =
        if classes.is_empty() { serde_json::json!({}) } else { serde_json::json!({ "classes": classes }) };
    writeln!(stream, "{request}")?;
    Ok(stream)
}
