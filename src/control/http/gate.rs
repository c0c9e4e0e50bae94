//! Owner of the TCP listeners: accepts, counts, and hands each connection to a thread of its own.
//!
//! One thread, `se-gate`, polls all listeners and never ends of an error: a failing `accept` is counted and
//! followed by a short pause, since a listener that cannot be emptied stays readable and would otherwise spin.
//! Settings are one immutable value behind a lock; a reload swaps it and wakes the thread, and connections keep
//! the terms they began with.
//!
//! What is over a cap costs no thread: a plain connection gets a canned 503, a TLS one is just closed.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::Builder;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use rustls::ServerConfig;

use super::admission::{Admission, Limits, Permit};
use super::connection::{self, Conversation};
use super::forward::{Upstream, is_exhausted};
use super::reserve::{Loan, Reserve};
use super::token::Token;
use super::{Error, listen, tls};
use crate::control::config::{HttpConfig, Listener};
use crate::metrics::{ErrorType, Metrics};
use crate::util::beacon::Beacon;
use crate::util::limit::Limit;
use crate::util::thread::{Thread, spawn};

/// How often the thread beats and fills its reserve of descriptors.
const BEAT_MS: u16 = 1000;
/// After a failing accept.
const PAUSE: Duration = Duration::from_millis(50);
/// Connections taken from one listener before the others are looked at.
const BATCH: usize = 16;
/// Stack of a connection's thread; a TLS handshake in a debug build takes a third of it.
const STACK: usize = 256 * 1024;
/// A connection that is served with the last descriptors may not keep them long.
const DEADLINE_ON_LOAN: Duration = Duration::from_secs(1);
/// How long stopping waits for open connections.
const PATIENCE: Duration = Duration::from_millis(500);
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n\
    Content-Type: text/plain; charset=utf-8\r\nContent-Length: 21\r\n\r\ntoo many connections\n";

/// Everything that a reload can change, together.
#[derive(Debug)]
pub(super) struct Settings {
    listeners: Vec<Open>,
    terms: Arc<Terms>,
}

/// On what terms a connection is served.
#[derive(Debug)]
pub(super) struct Terms {
    limits: Limits,
    /// One deadline for all that happens on a connection.
    pub deadline: Duration,
    /// TLS, on all listeners.
    pub tls: Option<Arc<ServerConfig>>,
    /// The bearer token.
    pub token: Option<Token>,
}

#[derive(Debug)]
struct Open {
    listener: Listener,
    socket: Arc<TcpListener>,
}

impl Settings {
    /// Checks a configuration, reads its files and opens its listeners, taking over those that `old` has open.
    pub fn prepare(config: &HttpConfig, old: Option<&Settings>) -> Result<Settings, Error> {
        listen::check_exposure(config)?;
        let tls = config.tls.as_ref().map(tls::load).transpose()?;
        let token = config.token_file.as_deref().map(Token::read).transpose()?;
        let open = |listener: &Listener| -> Result<Open, Error> {
            let kept = old.and_then(|old| old.listeners.iter().find(|o| o.listener == *listener));
            let socket = match kept {
                Some(kept) => Arc::clone(&kept.socket),
                None => Arc::new(listen::open(listener)?),
            };
            Ok(Open { listener: listener.clone(), socket })
        };
        let listeners = config.listeners.iter().map(open).collect::<Result<_, _>>()?;
        let limits =
            Limits { in_all: config.max_connections, per_address: config.max_connections_per_address };
        Ok(Settings { listeners, terms: Arc::new(Terms { limits, deadline: config.deadline, tls, token }) })
    }

    /// Where the listeners are.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|open| open.socket.local_addr().ok()).collect()
    }
}

/// What the gate's thread and the agent share.
#[derive(Debug)]
struct Shared {
    settings: RwLock<Arc<Settings>>,
    stopping: AtomicBool,
    wake: EventFd,
    admission: Arc<Admission>,
}

impl Shared {
    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, settings: Settings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }
}

/// The running gate.
pub(super) struct Gate {
    shared: Arc<Shared>,
    thread: Option<Thread>,
    beacon: Arc<Beacon>,
}

impl Gate {
    /// Starts to accept.
    pub fn start(settings: Settings, upstream: Upstream, metrics: Arc<Metrics>) -> Result<Gate, Error> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let wake = EventFd::from_flags(flags)
            .map_err(|errno| Error::Resources { what: "get a descriptor", source: errno.into() })?;
        let shared = Arc::new(Shared {
            settings: RwLock::new(Arc::new(settings)),
            stopping: AtomicBool::new(false),
            wake,
            admission: Arc::default(),
        });
        let mut acceptor = Acceptor {
            shared: Arc::clone(&shared),
            upstream: Arc::new(upstream),
            metrics,
            reserve: Reserve::default(),
            said: Limit::new(Duration::from_secs(10)),
            number: 0,
        };
        let thread = spawn("se-gate", move |beacon| acceptor.run(beacon))
            .map_err(|source| Error::Resources { what: "start the thread se-gate", source })?;
        let beacon = Arc::clone(&thread.beacon);
        Ok(Gate { shared, thread: Some(thread), beacon })
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        self.shared.settings()
    }

    /// Puts others in force.
    pub fn replace(&self, settings: Settings) {
        self.shared.replace(settings);
        self.wake();
    }

    /// The thread's liveness.
    pub fn beacon(&self) -> Arc<Beacon> {
        Arc::clone(&self.beacon)
    }

    /// Ends the thread, which closes the listeners, and gives open connections a moment.
    pub fn stop(&mut self) {
        self.shared.stopping.store(true, SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take() {
            thread.join();
        }
        let until = Instant::now() + PATIENCE;
        while self.shared.admission.open() > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn wake(&self) {
        // Fails only when the counter is full, and then the thread is awake.
        let _ = self.shared.wake.write(1);
    }
}

/// The gate's thread.
struct Acceptor {
    shared: Arc<Shared>,
    upstream: Arc<Upstream>,
    metrics: Arc<Metrics>,
    reserve: Reserve,
    said: Limit,
    number: u64,
}

impl Acceptor {
    fn run(&mut self, beacon: &Beacon) {
        while !self.shared.stopping.load(SeqCst) {
            beacon.beat();
            self.reserve.fill(&self.shared.wake);
            let settings = self.shared.settings();
            match wait(&settings, &self.shared.wake) {
                Ok(ready) => {
                    for open in ready {
                        self.accept(&open.socket);
                    }
                }
                Err(Errno::EINTR) => (),
                Err(errno) => self.failed("wait for connections", &errno.into()),
            }
        }
        // Stopping waits for connections; the kernel shall not take new ones meanwhile.
        let terms = Arc::clone(&self.shared.settings().terms);
        self.shared.replace(Settings { listeners: Vec::new(), terms });
    }

    fn accept(&mut self, socket: &Arc<TcpListener>) {
        for _ in 0..BATCH {
            let mut result = socket.accept();
            let short = match &result {
                Ok(_) => Reserve::is_short(&self.shared.wake),
                Err(error) => is_exhausted(error),
            };
            let loan = if short { self.reserve.lend() } else { None };
            if loan.is_some() {
                self.metrics.errors.at(ErrorType::Http).inc();
                if result.is_err() {
                    result = socket.accept();
                }
            }
            match result {
                Ok((stream, peer)) => self.admit(stream, peer, socket, loan),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // The client was gone before it was accepted.
                Err(error)
                    if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                Err(error) => return self.failed("accept a connection", &error),
            }
        }
    }

    /// Takes the settings of this very moment: once a reload has returned, no connection is served on terms, nor
    /// through a listener, of before.
    fn admit(&mut self, stream: TcpStream, peer: SocketAddr, socket: &Arc<TcpListener>, loan: Option<Loan>) {
        let settings = self.shared.settings();
        let terms = &settings.terms;
        if !settings.listeners.iter().any(|open| Arc::ptr_eq(&open.socket, socket)) {
            return;
        }
        let Some(permit) = self.shared.admission.enter(peer.ip(), terms.limits) else {
            self.metrics.http_refused.inc();
            if terms.tls.is_none() {
                say_busy(stream);
            }
            return;
        };
        let deadline = if loan.is_some() { terms.deadline.min(DEADLINE_ON_LOAN) } else { terms.deadline };
        let conversation = Conversation {
            terms: Arc::clone(terms),
            upstream: Arc::clone(&self.upstream),
            metrics: Arc::clone(&self.metrics),
            until: Instant::now() + deadline,
        };
        self.number = (self.number + 1) % 10_000;
        let name = format!("se-conn-{}", self.number);
        let held: (Permit, Option<Loan>) = (permit, loan);
        let started = Builder::new().name(name).stack_size(STACK).spawn(move || {
            let _held = held;
            connection::run(&conversation, stream);
        });
        if let Err(error) = started {
            self.metrics.http_refused.inc();
            self.failed("start a thread for a connection", &error);
        }
    }

    fn failed(&self, what: &str, error: &io::Error) {
        self.metrics.errors.at(ErrorType::Http).inc();
        if let Some(held_back) = self.said.pass() {
            log::warn!("HTTP gate: cannot {what}: {error} ({held_back} times more since the last line)");
        }
        std::thread::sleep(PAUSE);
    }
}

/// Listeners with somebody waiting, or none when woken.
fn wait<'a>(settings: &'a Settings, wake: &EventFd) -> nix::Result<Vec<&'a Open>> {
    let mut fds: Vec<PollFd> = settings
        .listeners
        .iter()
        .map(|open| PollFd::new(open.socket.as_fd(), PollFlags::POLLIN))
        .chain([PollFd::new(wake.as_fd(), PollFlags::POLLIN)])
        .collect();
    poll(&mut fds, PollTimeout::from(BEAT_MS))?;
    if fds.pop().is_some_and(|fd| fd.any() == Some(true)) {
        let _ = wake.read();
    }
    let ready = settings.listeners.iter().zip(fds).filter(|(_, fd)| fd.any() == Some(true));
    Ok(ready.map(|(open, _)| open).collect())
}

/// A 503, as far as it goes without waiting.
fn say_busy(mut stream: TcpStream) {
    if stream.set_nonblocking(true).is_err() {
        return;
    }
    // What arrived already is read, for closing with unread bytes resets the connection and may take the
    // answer along.
    let _ = stream.read(&mut [0; 2048]);
    let _ = stream.write(BUSY);
    let _ = stream.shutdown(Shutdown::Write);
}
