//! What control needs to know of the configuration: sections `[core]` and `[monitoring]`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Resolved settings of the run as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Level of the agent's own log: off, error, warn, info, debug or trace.
    pub log_level: String,
    /// Threads that turn events into lines.
    pub workers: usize,
    /// What outlives a restart: where the sequence stopped, and how the last run ended.
    pub state_dir: PathBuf,
    /// Sockets and the lock of the one running agent.
    pub runtime_dir: PathBuf,
    /// `/proc`, or where the host's is mounted in a container.
    pub proc_root: PathBuf,
    /// The host's name in events; `None`: as the kernel has it.
    pub host_name: Option<String>,
    /// How often gauges that cost something are refreshed.
    pub metrics_interval: Duration,
    /// The proof that events flow; `None` switches it off.
    pub canary: Option<CanaryConfig>,
    /// HTTP.
    pub http: HttpConfig,
}

/// The proof that events flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CanaryConfig {
    /// Time between canaries.
    pub interval: Duration,
    /// How long one may take to come back.
    pub timeout: Duration,
}

/// HTTP listeners and their limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// Where to listen; empty: no HTTP at all.
    pub listeners: Vec<Listener>,
    /// The private socket that tiny_http listens on.
    pub socket: PathBuf,
    /// Certificate and key; `None`: plain HTTP.
    pub tls: Option<TlsConfig>,
    /// File with the bearer token.
    pub token_file: Option<PathBuf>,
    /// Connections at a time.
    pub max_connections: usize,
    /// Connections at a time from one address.
    pub max_connections_per_address: usize,
    /// A connection is cut after this time, whatever it is doing.
    pub deadline: Duration,
    /// Listen beyond loopback even without both TLS and a token.
    pub allow_insecure: bool,
}

/// One address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Address and port.
    pub address: SocketAddr,
    /// The configuration key that it comes from, for error messages.
    pub key: &'static str,
}

/// Certificate and key, PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// Certificate chain.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
    /// Clients must show a certificate of this authority.
    pub client_ca: Option<PathBuf>,
}
