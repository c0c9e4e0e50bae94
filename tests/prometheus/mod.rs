//! A real Prometheus with the configuration and the alerts of packaging/monitoring, told to look every second, and
//! asked over its HTTP interface.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::linter;

/// A running Prometheus; killed when dropped.
pub struct Prometheus {
    port: u16,
    child: Child,
    directory: tempfile::TempDir,
}

/// Where the files are that are delivered.
pub fn monitoring() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/monitoring")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Bytes that may stand in a URL as they are.
fn quoted(text: &str) -> String {
    let quote = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(quote).collect()
}

impl Prometheus {
    /// Starts one that scrapes `target`.
    pub fn start(target: &str) -> Prometheus {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let delivered = |name: &str| {
            let path = monitoring().join("prometheus").join(name);
            fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        };
        // The seconds are those of the test; what is scraped is its own. Nobody is told of alerts.
        let config = delivered("prometheus.yml")
            .replace("scrape_interval: 15s", "scrape_interval: 1s")
            .replace("scrape_timeout: 10s", "scrape_timeout: 1s")
            .replace("evaluation_interval: 15s", "evaluation_interval: 1s")
            .replace("'127.0.0.1:9093'", "")
            .replace("127.0.0.1:9090", target);
        assert!(config.contains(target) && config.contains("scrape_interval: 1s"), "{config}");
        fs::write(directory.path().join("prometheus.yml"), config).expect("the configuration");
        fs::write(directory.path().join("alerts.yml"), delivered("alerts.yml")).expect("the alerts");
        let port = free_port();
        let child = Command::new(linter::program("prometheus"))
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(directory.path().join("stderr")).expect("a file for stderr"))
            .spawn()
            .expect("prometheus must be on the PATH: `make test` fetches it, or install it");
        let mut started = Prometheus { port, child, directory };
        started.wait_until_it_answers();
        started
    }

    fn wait_until_it_answers(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.get("/-/ready").is_none() {
            let ended = self.child.try_wait().expect("the child's status");
            assert!(ended.is_none() && Instant::now() < deadline, "{ended:?}: {}", self.said());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn said(&self) -> String {
        fs::read_to_string(self.directory.path().join("stderr")).unwrap_or_default()
    }

    /// The body of an answer with status 200. HTTP/1.0, so that it comes in one piece.
    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.split(' ').nth(1).filter(|status| *status == "200").map(|_| body.to_owned())
    }

    /// What an expression comes to now: one object for each series.
    pub fn query(&self, expression: &str) -> Vec<Value> {
        let path = format!("/api/v1/query?query={}", quoted(expression));
        let body = self.get(&path).unwrap_or_else(|| panic!("it refuses: {expression}\n{}", self.said()));
        let body: Value = serde_json::from_str(&body).expect("JSON");
        body["data"]["result"].as_array().unwrap_or_else(|| panic!("no result: {body}")).clone()
    }

    /// Waits until an expression has a result.
    pub fn until(&self, expression: &str, limit: Duration) -> Vec<Value> {
        let deadline = Instant::now() + limit;
        loop {
            let found = self.query(expression);
            if !found.is_empty() {
                return found;
            }
            assert!(Instant::now() < deadline, "in vain: {expression}\n{}", self.said());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
