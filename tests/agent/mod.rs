//! The real agent in a directory of its own: started with a configuration, asked over HTTP, stopped.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use sentinel_edge::event::Kind;
use serde_json::Value;

/// A running agent; killed when dropped.
pub struct Agent {
    pub directory: PathBuf,
    pub port: u16,
    pub child: Child,
    _temporary: Option<tempfile::TempDir>,
}

/// What the agent is started with.
pub struct Options {
    /// Keys beside the paths and ports, as TOML sections.
    pub config: String,
    /// Where to put everything; a temporary directory if not given.
    pub directory: Option<PathBuf>,
    /// The log file, `DIRECTORY/log/sentinel.log` if not given.
    pub log_file: Option<PathBuf>,
    /// Variables of its environment; it has none of ours that it would listen to.
    pub env: Vec<(&'static str, String)>,
    /// What to wait for before the agent counts as up.
    pub wait: Wait,
}

/// When an agent that was started is up.
#[derive(Clone, Copy)]
pub enum Wait {
    /// Once /ready says so.
    Ready,
    /// Once /health says so.
    Healthy,
    /// At once: whoever asks it needs more than HTTP.
    Nothing,
}

impl Default for Options {
    fn default() -> Self {
        Options { config: String::new(), directory: None, log_file: None, env: Vec::new(), wait: Wait::Ready }
    }
}

/// Two ports that were free a moment ago.
pub fn free_ports() -> (u16, u16) {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let [a, b] = listeners.map(|l| l.local_addr().expect("an address").port());
    (a, b)
}

/// Puts `key = value` lines of `extra` into the sections of `base`, so that no section appears twice.
fn merged(base: &str, extra: &str) -> String {
    let mut sections: BTreeMap<String, String> = BTreeMap::new();
    for text in [base, extra] {
        let mut section = String::new();
        for line in text.lines() {
            if line.starts_with('[') {
                section = line.trim().to_owned();
            } else {
                let body = sections.entry(section.clone()).or_default();
                body.push_str(line);
                body.push('\n');
            }
        }
    }
    sections.iter().map(|(section, body)| format!("{section}\n{body}")).collect()
}

/// Configuration that reports these classes and no others. On a host that does other things too, a test of the books
/// needs it: files are opened all the time.
pub fn only(kinds: &[Kind]) -> String {
    let switch = |kind: &Kind| format!("{kind} = {}\n", kinds.contains(kind));
    let reported = Kind::ALL.iter().filter(|kind| !kind.is_internal());
    format!("[events]\n{}", reported.map(switch).collect::<String>())
}

/// The process classes alone.
pub const PROCESS: &[Kind] = &[Kind::Exec, Kind::ExecFailed, Kind::Fork, Kind::Exit];

/// Writes `directory`/config.toml: everything below the directory and on free ports, and the keys of `extra`. The
/// port for health checks.
pub fn configure(directory: &Path, log_file: Option<PathBuf>, extra: &str) -> u16 {
    let (metrics_port, port) = free_ports();
    let shown = directory.display();
    // Findings are lines of the log too; tests of events and of the books leave them out.
    let detection = if extra.contains("enable_threat_detection") {
        ""
    } else {
        "[security]\nenable_threat_detection = false\n"
    };
    let log_file = log_file.unwrap_or_else(|| directory.join("log/sentinel.log"));
    let base = format!(
        "[core]\nstate_dir = \"{shown}/state\"\nruntime_dir = \"{shown}/run\"\n\
         [monitoring]\nprometheus_endpoint = \"127.0.0.1:{metrics_port}\"\nhealth_check_port = {port}\n\
         {detection}[logging]\nlog_file = \"{}\"\nmax_size = \"100GB\"\n",
        log_file.display(),
    );
    write_private(&directory.join("config.toml"), &merged(&base, extra));
    port
}

/// The agent's program with that configuration and nothing of our environment that it would listen to.
pub fn command(arguments: &[&str], directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sentinel-edge"));
    command.args(arguments).arg("--config").arg(directory.join("config.toml")).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("SENTINEL_") || ["RUST_LOG", "NOTIFY_SOCKET", "JOURNAL_STREAM"].contains(&&*text)
        {
            command.env_remove(name);
        }
    }
    command
}

impl Agent {
    /// Starts an agent that is up when this returns.
    pub fn start(options: Options) -> Agent {
        let temporary =
            options.directory.is_none().then(|| tempfile::tempdir().expect("a temporary directory"));
        let directory =
            options.directory.unwrap_or_else(|| temporary.as_ref().expect("made above").path().to_owned());
        let port = configure(&directory, options.log_file, &options.config);
        let child = command(&["run"], &directory)
            .envs(options.env)
            .stdout(Stdio::null())
            .stderr(fs::File::create(directory.join("stderr")).expect("a file for stderr"))
            .spawn()
            .expect("the agent's program");
        let mut agent = Agent { directory, port, child, _temporary: temporary };
        let path = match options.wait {
            Wait::Ready => "/ready",
            Wait::Healthy => "/health",
            Wait::Nothing => return agent,
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = agent.child.try_wait().expect("the child's status") {
                panic!("the agent ended with {status}:\n{}", agent.stderr());
            }
            match agent.try_get(path) {
                Ok((200, _)) => return agent,
                other if Instant::now() > deadline => {
                    panic!("the agent is not up: {other:?}\n{}", agent.stderr())
                }
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// The log file.
    pub fn log(&self) -> PathBuf {
        self.directory.join("log/sentinel.log")
    }

    /// What the agent said.
    pub fn stderr(&self) -> String {
        fs::read_to_string(self.directory.join("stderr")).unwrap_or_default()
    }

    /// Replaces the configuration file's text by what `change` makes of it.
    pub fn edit_config(&self, change: impl FnOnce(String) -> String) {
        let path = self.directory.join("config.toml");
        let text = fs::read_to_string(&path).expect("the configuration");
        write_private(&path, &change(text));
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"));
        nix::sys::signal::kill(pid, signal).expect("signalling the agent");
    }

    pub fn try_get(&self, path: &str) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        let body = answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned());
        Ok((status, body))
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        self.try_get(path).unwrap_or_else(|e| panic!("GET {path}: {e}\n{}", self.stderr()))
    }

    /// All samples: `name{labels}` to value.
    pub fn metrics(&self) -> Samples {
        let (status, body) = self.get("/metrics");
        assert_eq!(status, 200);
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ').expect("name and value");
            (name.to_owned(), value.parse().expect("a number"))
        };
        Samples(body.lines().filter(|l| !l.starts_with('#')).map(sample).collect())
    }

    /// Metrics once nothing is in flight any more: two equal readings of the ledger in a row.
    pub fn metrics_at_rest(&self) -> Samples {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut before = self.metrics();
        loop {
            std::thread::sleep(Duration::from_millis(300));
            let now = self.metrics();
            let quiet = |s: &Samples| {
                s.0.iter()
                    // Asking for the metrics is a connection, and makes events of its own.
                    .filter(|(k, _)| k.starts_with("sentinel_events_total") && !k.contains("class=\"net_"))
                    .map(|(k, v)| (k.clone(), v.to_bits()))
                    .collect::<Vec<_>>()
            };
            // A client of `tail` that stands still keeps the events of our own questions waiting.
            let queued = now.matching("sentinel_sink_queued_events", &["sink=\"file\""]);
            if quiet(&before) == quiet(&now) && queued == 0.0 {
                return now;
            }
            assert!(Instant::now() < deadline, "the agent does not come to rest");
            before = now;
        }
    }

    /// Waits until `fits` says so.
    pub fn until(&self, what: &str, fits: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !fits() {
            assert!(Instant::now() < deadline, "in vain: {what}\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops the agent and waits for its end.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(nix::sys::signal::Signal::SIGTERM);
        self.wait(Duration::from_secs(10))
    }

    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().expect("the child's status") {
                return status;
            }
            assert!(Instant::now() < deadline, "the agent does not end:\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for a line of the log that fits.
    pub fn wait_for(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            if let Some(found) = lines(&self.log()).into_iter().find(&fits) {
                return found;
            }
            assert!(Instant::now() < deadline, "no line for {what}\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::OpenOptionsExt;
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.expect("the configuration file").write_all(text.as_bytes()).expect("writing the configuration");
}

/// Metric samples.
#[derive(Debug)]
pub struct Samples(pub BTreeMap<String, f64>);

impl Samples {
    /// The sample with exactly this name and labels.
    pub fn at(&self, name: &str) -> f64 {
        *self.0.get(name).unwrap_or_else(|| panic!("no sample {name}"))
    }

    /// All series of a metric together.
    pub fn sum(&self, name: &str) -> f64 {
        self.matching(name, &[])
    }

    /// Events that are missing: dropped for a reason that is neither a filter nor a merge.
    pub fn lost(&self) -> f64 {
        let dropped = "sentinel_events_dropped_total";
        let kept = ["filtered", "deduplicated", "summarised"].map(|reason| format!("reason=\"{reason}\""));
        self.sum(dropped) - kept.iter().map(|reason| self.matching(dropped, &[reason])).sum::<f64>()
    }

    /// The series of a metric that have all these `key="value"` labels, together.
    pub fn matching(&self, name: &str, labels: &[&str]) -> f64 {
        let fits = |key: &str| {
            key.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
                && labels.iter().all(|label| key.contains(label))
        };
        self.0.iter().filter(|(key, _)| fits(key)).map(|(_, value)| value).sum()
    }
}

/// Every line of a JSON lines file; a line that does not parse fails the test.
pub fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read(path).unwrap_or_default();
    let complete = text.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
    text[..complete]
        .split(|&b| b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            serde_json::from_slice(line).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(line)))
        })
        .collect()
}

/// A tiny static program that exits at once, made with the C compiler that the build needs anyway.
pub fn tiny_program(directory: &Path) -> PathBuf {
    let (source, program) = (directory.join("tiny.c"), directory.join("tiny"));
    fs::write(&source, "int main(int argc, char **argv) { return argc > 2 ? argv[2][0] - '0' : 0; }\n")
        .expect("tiny.c");
    let made = Command::new("cc").args(["-O2", "-static", "-o"]).arg(&program).arg(&source).status();
    assert!(made.expect("cc").success(), "cc cannot make a static program");
    program
}
