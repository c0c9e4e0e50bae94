//! `GET /health`, `/ready`, `/version` and `/metrics`, for networks that are not friendly.
//!
//! ```text
//! client =TCP=> gate (caps) -> connection (deadline, TLS, strict parser, token) =Unix socket=> server (tiny_http)
//!                                                                                                 -> route -> Answers
//! ```
//!
//! tiny_http has no timeouts, no limits and a lax parser, and its accept thread can be ended from outside, so it
//! never faces a network: it listens on a private Unix socket, and whatever reaches it was read completely,
//! checked and written anew by the gate. Step by step:
//!
//! 1. `gate` owns the TCP listeners, all on one thread that never ends of an error, and counts connections in
//!    all and by address; what is over a cap is closed at once.
//! 2. `connection` runs on a thread per connection, under one deadline for everything that happens on it:
//!    TLS handshake, request, answer.
//! 3. [`request`] accepts a small, exact subset of HTTP/1.1; `token` checks the bearer token.
//! 4. `forward` writes a new request to the Unix socket and reads a bounded answer.
//! 5. `server` runs tiny_http and builds it anew when it dies; `route` decides what is told to whom.
//!
//! Every request closes its connection. Not here: what health *is*, which [`Answers`] knows.
//!
//! Cost: seven threads that sleep, a thread of 256 KiB stack per connection, and at most
//! 8 KiB of head, 64 KiB of body and one answer in memory for each.

mod admission;
mod connection;
mod deadline;
mod forward;
mod gate;
mod holder;
mod listen;
pub mod request;
mod reserve;
mod route;
mod server;
mod tls;
mod token;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::config::HttpConfig;
use crate::metrics::Metrics;
use crate::util::beacon::Beacon;
use gate::{Gate, Settings};
use server::Server;
pub use tls::Error as TlsError;
pub use token::Error as TokenError;

/// A judgement with its reasons.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Answered as 200 or 503.
    pub up: bool,
    /// Everything, for who may see it.
    pub body: serde_json::Value,
    /// Status and reasons only, for probes without the token.
    pub brief: serde_json::Value,
}

/// Who knows the answers. Called on two threads, must not block for long.
pub trait Answers: Send + Sync {
    /// `GET /health`: the agent does its work.
    fn health(&self) -> Status;
    /// `GET /ready`: events are proven to flow.
    fn ready(&self) -> Status;
    /// `GET /version`.
    fn version(&self) -> serde_json::Value;
    /// `GET /metrics`, in Prometheus' text format 0.0.4.
    fn metrics(&self) -> String;
}

/// Why HTTP cannot start or reload.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address can be reached from other hosts, and nothing protects it.
    #[error(
        "{key}: {address} is reachable from other hosts, which needs both TLS and a token \
         (or allow_insecure = true, knowingly)"
    )]
    Insecure {
        /// Configuration key.
        key: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// Somebody else listens there.
    #[error("{key}: cannot listen on {address}: the port is in use{}", by(holder.as_deref()))]
    InUse {
        /// Configuration key.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Who holds it, as far as /proc tells.
        holder: Option<String>,
    },
    /// The kernel refuses the port.
    #[error("{key}: not permitted to listen on {address}: {}", who_refuses(address.port()))]
    NotPermitted {
        /// Configuration key.
        key: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// Any other reason not to listen.
    #[error("{key}: cannot listen on {address}")]
    Listen {
        /// Configuration key.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// The reason.
        source: io::Error,
    },
    /// The private socket is served by another process.
    #[error("{path}: another process listens on the private HTTP socket; does a second agent run?")]
    SocketInUse {
        /// The socket.
        path: PathBuf,
    },
    /// The private socket cannot be made.
    #[error("{path}: cannot make the private HTTP socket")]
    Socket {
        /// The socket.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// Certificates or key.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// The bearer token.
    #[error(transparent)]
    Token(#[from] token::Error),
    /// No thread, random numbers or descriptors to be had.
    #[error("cannot {what} for HTTP")]
    Resources {
        /// What was being made.
        what: &'static str,
        /// The reason.
        source: io::Error,
    },
}

fn by(holder: Option<&str>) -> String {
    holder.map_or_else(String::new, |holder| format!(", held by {holder}"))
}

/// What has to be done about a port that the kernel refuses.
fn who_refuses(port: u16) -> &'static str {
    if port < 1024 {
        "ports below 1024 need CAP_NET_BIND_SERVICE"
    } else {
        "SELinux or AppArmor forbids it; where it is SELinux, give the port the type sentineledge_port_t"
    }
}

/// The HTTP side of the agent. Dropping it stops it.
pub struct Http {
    answers: Arc<dyn Answers>,
    metrics: Arc<Metrics>,
    running: Mutex<Option<Running>>,
}

struct Running {
    gate: Gate,
    server: Server,
}

impl Http {
    /// Binds all listeners, reads certificates and token, starts the threads. Without listeners nothing runs
    /// until a [`Http::reload`] brings some.
    pub fn start(
        config: &HttpConfig,
        answers: Arc<dyn Answers>,
        metrics: Arc<Metrics>,
    ) -> Result<Http, Error> {
        let http = Http { answers, metrics, running: Mutex::new(None) };
        http.reload(config)?;
        Ok(http)
    }

    /// Takes over another configuration: certificates and token are read again, listeners that are new are
    /// opened, those that are gone closed, limits changed. All of it or, on an error, nothing: then everything
    /// goes on as before. Connections that are open keep what they started with. The path of the private socket
    /// is fixed while HTTP runs.
    pub fn reload(&self, config: &HttpConfig) -> Result<(), Error> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if config.listeners.is_empty() {
            *running = None;
            return Ok(());
        }
        if let Some(running) = running.as_ref() {
            running.gate.replace(Settings::prepare(config, Some(&running.gate.settings()))?);
            return Ok(());
        }
        let settings = Settings::prepare(config, None)?;
        let server = Server::start(&config.socket, Arc::clone(&self.answers), Arc::clone(&self.metrics))?;
        let gate = Gate::start(settings, server.upstream(), Arc::clone(&self.metrics))?;
        *running = Some(Running { gate, server });
        Ok(())
    }

    /// Where it listens, in the order of the configuration, with the ports that the kernel chose for port 0.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.as_ref().map_or_else(Vec::new, |running| running.gate.settings().addresses())
    }

    /// Liveness of the threads `se-gate` and `se-http`; both beat at least every two seconds.
    pub fn beacons(&self) -> Vec<Arc<Beacon>> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.as_ref().map_or_else(Vec::new, |running| vec![running.gate.beacon(), running.server.beacon()])
    }

    /// Closes the listeners, then ends the threads. Open connections have half a second to come to their end.
    pub fn stop(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(running);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.gate.stop();
        self.server.stop();
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("addresses", &self.addresses()).finish_non_exhaustive()
    }
}
