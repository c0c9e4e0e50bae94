//! An agent that only has its HTTP side, and clients that need not be polite.

use std::fmt::Debug;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};
use sentinel_edge::control::config::{HttpConfig, Listener};
use sentinel_edge::control::http::{Answers, Http, Status};
use sentinel_edge::metrics::Metrics;
use serde_json::json;
use tempfile::TempDir;

/// The deadline of connections in these tests.
pub const DEADLINE: Duration = Duration::from_millis(1500);
/// Long enough for anything to happen, short enough to fail in time.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Answers that a test can change.
#[derive(Debug)]
pub struct Canned {
    pub metrics: Arc<Metrics>,
    pub up: AtomicBool,
    pub panics: AtomicBool,
    pub padding: usize,
}

impl Answers for Canned {
    fn health(&self) -> Status {
        assert!(!self.panics.load(Relaxed), "asked to");
        let up = self.up.load(Relaxed);
        let brief = json!({"status": if up { "up" } else { "down" }, "reasons": []});
        Status { up, body: json!({"status": brief["status"], "threads": {"se-ring": "alive"}}), brief }
    }
    fn ready(&self) -> Status {
        self.health()
    }
    fn version(&self) -> serde_json::Value {
        json!({"version": "0.1.0"})
    }
    fn metrics(&self) -> String {
        self.metrics.render() + &"#".repeat(self.padding)
    }
}

/// A running HTTP side. Fields are dropped in order: it stops before its files go.
#[derive(Debug)]
pub struct Agent {
    pub http: Http,
    pub config: HttpConfig,
    pub answers: Arc<Canned>,
    _dir: TempDir,
}

pub fn config(dir: &TempDir) -> HttpConfig {
    let listener = |key| Listener { address: "127.0.0.1:0".parse().unwrap(), key };
    HttpConfig {
        listeners: vec![listener("monitoring.health_check_port"), listener("monitoring.prometheus_endpoint")],
        socket: dir.path().join("run/http.sock"),
        tls: None,
        token_file: None,
        max_connections: 32,
        max_connections_per_address: 8,
        deadline: DEADLINE,
        allow_insecure: false,
    }
}

pub fn canned(padding: usize) -> Arc<Canned> {
    let (up, panics) = (AtomicBool::new(true), AtomicBool::new(false));
    Arc::new(Canned { metrics: Arc::default(), up, panics, padding })
}

impl Agent {
    pub fn new() -> Agent {
        Agent::with(|_, _| ())
    }

    pub fn with(change: impl FnOnce(&mut HttpConfig, &TempDir)) -> Agent {
        Agent::padded(0, change)
    }

    /// `padding` makes /metrics longer.
    pub fn padded(padding: usize, change: impl FnOnce(&mut HttpConfig, &TempDir)) -> Agent {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(&dir);
        change(&mut config, &dir);
        let answers = canned(padding);
        let http =
            Http::start(&config, Arc::<Canned>::clone(&answers), Arc::clone(&answers.metrics)).unwrap();
        Agent { http, config, answers, _dir: dir }
    }

    /// The first listener.
    pub fn address(&self) -> SocketAddr {
        self.http.addresses()[0]
    }

    pub fn metrics(&self) -> &Metrics {
        &self.answers.metrics
    }

    /// Asserts what was counted; that is complete a moment after the clients were served.
    pub fn counted(&self, requests: u64, refused: u64) {
        let now = || (self.metrics().http_requests.get(), self.metrics().http_refused.get());
        eventually((requests, refused), || now().0 >= requests && now().1 >= refused);
        assert_eq!(now(), (requests, refused));
    }

    pub fn get(&self, path: &str) -> Reply {
        ask(self.address(), &get(path))
    }

    pub fn raw(&self, bytes: impl AsRef<[u8]>) -> Reply {
        ask(self.address(), bytes.as_ref())
    }
}

pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()
}

pub fn get_with(path: &str, header: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n").into_bytes()
}

/// All that came until the connection was closed.
#[derive(Debug)]
pub struct Reply {
    pub text: String,
}

impl Reply {
    /// HTTP status; 0 for a connection closed without an answer.
    pub fn status(&self) -> u16 {
        self.text.get(9..12).and_then(|s| s.parse().ok()).unwrap_or(0)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let head = self.text.split("\r\n\r\n").next().unwrap();
        head.lines().skip(1).find_map(|line| {
            let (n, value) = line.split_once(": ")?;
            n.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(self.body()).unwrap()
    }
}

/// Sends everything and reads to the end. A peer that closes early is no error, one that never does is.
pub fn exchange(mut stream: impl Read + Write, bytes: &[u8]) -> Reply {
    let _ = stream.write_all(bytes);
    let _ = stream.flush();
    let mut answer = Vec::new();
    let mut chunk = [0; 16384];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => answer.extend_from_slice(&chunk[..n]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("no end of the answer: {}", String::from_utf8_lossy(&answer))
            }
            Err(_) => break,
        }
    }
    Reply { text: String::from_utf8(answer).unwrap() }
}

pub fn dial(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    patient(stream)
}

pub fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

pub fn ask(address: SocketAddr, bytes: &[u8]) -> Reply {
    exchange(dial(address), bytes)
}

/// Connects from an address of one's own; all of 127.0.0.0/8 is local.
pub fn dial_from(source: Ipv4Addr, address: SocketAddr) -> TcpStream {
    let SocketAddr::V4(address) = address else { panic!("IPv4 only") };
    let fd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(fd.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(source, 0))).unwrap();
    connect(fd.as_raw_fd(), &SockaddrIn::from(address)).unwrap();
    patient(TcpStream::from(fd))
}

/// One of many hosts.
pub fn host(i: u16) -> Ipv4Addr {
    let [high, low] = i.to_be_bytes();
    Ipv4Addr::new(127, 1, high, low.max(1))
}

/// The peer has closed the connection.
pub fn is_closed(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let mut chunk = [0; 512];
    let closed = loop {
        match (&*stream).read(&mut chunk) {
            Ok(0) => break true,
            Ok(_) => (),
            Err(e) => break e.kind() != ErrorKind::WouldBlock,
        }
    };
    stream.set_nonblocking(false).unwrap();
    closed
}

/// Waits until `condition` holds and tells how long that took.
pub fn eventually(what: impl Debug, mut condition: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "{what:?} did not come");
        std::thread::sleep(Duration::from_millis(10));
    }
    start.elapsed()
}

/// A line of /proc/self/status, in its own unit.
pub fn status(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap().split_ascii_whitespace().next().unwrap().parse().unwrap()
}

pub fn in_thread(body: impl FnOnce() + Send + 'static) -> std::thread::JoinHandle<()> {
    std::thread::Builder::new().spawn(body).unwrap()
}
