//! The agent under test: the release binary with a configuration of its own below a temporary directory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::names::{DROPPED, NO_LOSS};
use crate::settings::Settings;
use crate::workload::Storm;
use crate::{Result, host};

/// How long a start may take before it counts as failed.
const START_MAX: Duration = Duration::from_secs(30);
/// A file that did not grow for this long has all that will come.
const QUIET: Duration = Duration::from_secs(1);

/// A running agent.
pub struct Agent {
    child: Child,
    port: u16,
    /// The file with the lines.
    pub output: PathBuf,
    /// When it was started.
    pub started: Instant,
}

/// What of a storm is in the file.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// Execs of the tiny program, each mark once.
    pub execs: u64,
    /// Forks whose process was later seen to exec.
    pub forks: u64,
    /// Exits of processes that were seen to exec.
    pub exits: u64,
    /// Lines that are there twice.
    pub doubles: u64,
    /// Events lost, as /metrics says.
    pub lost: u64,
    /// Size of all lines of the storm.
    pub bytes: u64,
}

impl Account {
    /// Each fork, exec and exit is there once, and the agent says that none was lost.
    pub fn is_complete(&self, count: u64) -> bool {
        [self.execs, self.forks, self.exits] == [count; 3] && self.doubles == 0 && self.lost == 0
    }
}

/// The release binary that `make build` leaves; not the one that cargo builds beside this program.
pub fn binary() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/release/sentinel-edge")
}

/// Writes a configuration whose files all live in `directory`, with these settings; what is not named has its default.
pub fn configure(directory: &Path, port: u16, ready_port: u16, settings: &Settings) -> Result<PathBuf> {
    for name in ["state", "run", "log"] {
        fs::create_dir_all(directory.join(name))?;
    }
    let path = directory.join("config.toml");
    let root = directory.display();
    // One file for the whole run, so that rotation does not hide lines from the count.
    let log = format!("output = \"{root}/log/events.json\"\nmax_size = \"64GB\"\nlog_rotation = \"never\"\n");
    let mut sections = BTreeMap::from([
        ("core", format!("state_dir = \"{root}/state\"\nruntime_dir = \"{root}/run\"\n")),
        ("logging", log),
        (
            "monitoring",
            format!("prometheus_endpoint = \"127.0.0.1:{port}\"\nhealth_check_port = {ready_port}\n"),
        ),
    ]);
    for section in settings.sections() {
        sections.entry(section).or_default();
    }
    let text: Vec<String> = sections.iter().map(|(name, keys)| settings.section(name, keys)).collect();
    let text = text.join("\n");
    fs::write(&path, text)?;
    Ok(path)
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Agent {
    /// Starts it in `directory` with these settings, without waiting.
    pub fn start(directory: &Path, settings: &Settings) -> Result<Self> {
        let port = free_port()?;
        let config = configure(directory, port, free_port()?, settings)?;
        let log = File::create(directory.join("agent.log"))?;
        let started = Instant::now();
        let child = Command::new(binary())
            .args(["run", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        Ok(Agent { child, port, output: directory.join("log/events.json"), started })
    }

    /// Starts it and waits until /ready says yes.
    pub fn start_ready(directory: &Path, settings: &Settings) -> Result<Self> {
        let mut agent = Agent::start(directory, settings)?;
        agent.wait_ready()?;
        Ok(agent)
    }

    /// Waits until /ready says yes; returns the time since the start.
    pub fn wait_ready(&mut self) -> Result<Duration> {
        loop {
            if self.get("/ready").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                return Ok(self.started.elapsed());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the agent ended: {status}; {}", self.log()).into());
            }
            if self.started.elapsed() > START_MAX {
                return Err(format!("the agent is not ready after {START_MAX:?}; {}", self.log()).into());
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn log(&self) -> String {
        let directory = self.output.parent().and_then(Path::parent);
        directory.and_then(|d| fs::read_to_string(d.join("agent.log")).ok()).unwrap_or_default()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// CPU time since its start.
    pub fn cpu(&self) -> Duration {
        host::cpu(self.pid())
    }

    fn get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Events lost, by /metrics. What was merged with another or filtered on purpose is not.
    pub fn lost(&self) -> Result<u64> {
        let metrics = self.get("/metrics")?;
        let samples = metrics.lines().filter(|l| {
            let labels = l.strip_prefix(DROPPED);
            labels.is_some_and(|l| !NO_LOSS.iter().any(|reason| l.contains(&format!("\"{reason}\""))))
        });
        let values = samples.filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok());
        Ok(values.map(|v| v.max(0.0)).fold(0, |sum, v| sum + format!("{v:.0}").parse::<u64>().unwrap_or(0)))
    }

    /// Waits until the file stops growing.
    pub fn settle(&self) {
        wait_quiet(&self.output);
    }

    /// Looks up every process of the storm in the file. The lines of a storm are those of the tiny program and the
    /// forks of the spawners; `entity_id` ties the three events of a process together.
    pub fn account(&self, storm: &Storm, tiny: &Path, mark: &str) -> Result<Account> {
        let mut account = Account { lost: self.lost()?, ..Account::default() };
        let mut seen: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        let (tiny, prefix) = (tiny.to_string_lossy(), format!("{mark}-"));
        for line in BufReader::new(File::open(&self.output)?).split(b'\n') {
            let line = line?;
            let event: Value = serde_json::from_slice(&line)?;
            let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let parent = event.pointer("/process/parent/pid").and_then(Value::as_u64);
            let by_spawner = parent.is_some_and(|p| storm.spawners.iter().any(|s| u64::from(*s) == p));
            let ours = text("/process/executable") == tiny;
            let class = match text("/event/action") {
                "exec" if ours && text("/process/args/1").starts_with(&prefix) => "exec",
                "exit" if ours => "exit",
                "fork" if by_spawner => "fork",
                _ => continue,
            };
            account.bytes += u64::try_from(line.len())? + 1;
            if !seen.entry(class).or_default().insert(text("/process/entity_id").to_owned()) {
                account.doubles += 1;
            }
        }
        let of = |class| seen.get(class).cloned().unwrap_or_default();
        let execs = of("exec");
        account.execs = u64::try_from(execs.len())?;
        account.forks = u64::try_from(of("fork").intersection(&execs).count())?;
        account.exits = u64::try_from(of("exit").intersection(&execs).count())?;
        Ok(account)
    }

    /// SIGTERM, and the time until it is gone.
    pub fn stop(mut self) -> Result<Duration> {
        let start = Instant::now();
        interrupt(&self.child, Signal::SIGTERM)?;
        self.child.wait()?;
        Ok(start.elapsed())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Only after an error on the way; a stopped one is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a child.
pub fn interrupt(child: &Child, signal: Signal) -> Result<()> {
    Ok(kill(Pid::from_raw(i32::try_from(child.id())?), signal)?)
}

/// Waits until a file has stopped growing.
pub fn wait_quiet(path: &Path) {
    let size = || fs::metadata(path).map_or(0, |m| m.len());
    let (mut last, mut since) = (size(), Instant::now());
    while since.elapsed() < QUIET {
        thread::sleep(Duration::from_millis(50));
        let now = size();
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
}
