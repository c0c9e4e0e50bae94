//! The measurements that need only the agent: idle, start, replay, latency.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;

use crate::agent::{Agent, binary, configure, interrupt};
use crate::settings::Settings;
use crate::stats::Samples;
use crate::workload::Programs;
use crate::{Result, host};

/// Idle: nothing happens, `SLEEPERS` processes exist.
pub struct Idle {
    /// Processes on the host.
    pub processes: usize,
    /// Part of a core, percent, one value a window.
    pub cpu_percent: Samples,
    /// Resident memory, MB.
    pub resident_mb: f64,
    /// Proportional set size, MB.
    pub proportional_mb: f64,
}

const SLEEPERS: usize = 300;

/// Processes that end with this value.
struct Sleepers(Vec<Child>);

impl Drop for Sleepers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Measures the agent while nothing happens, over `windows` of `window`.
pub fn idle(directory: &Path, windows: usize, window: Duration) -> Result<Idle> {
    let mut sleepers = Sleepers(Vec::new());
    for _ in 0..SLEEPERS {
        sleepers.0.push(Command::new("sleep").arg("86400").spawn()?);
    }
    let agent = Agent::start_ready(directory, &Settings::default())?;
    thread::sleep(Duration::from_secs(5));
    let mut percents = Vec::new();
    for _ in 0..windows {
        let (before, start) = (agent.cpu(), Instant::now());
        thread::sleep(window);
        percents.push((agent.cpu() - before).as_secs_f64() / start.elapsed().as_secs_f64() * 100.0);
    }
    let idle = Idle {
        processes: host::processes(),
        cpu_percent: percents.into_iter().collect(),
        resident_mb: host::resident_mb(agent.pid()),
        proportional_mb: host::proportional_mb(agent.pid()),
    };
    agent.stop()?;
    Ok(idle)
}

/// From the agent's start, milliseconds.
pub struct Start {
    /// To the kernel's time of the first exec in the file.
    pub first_event_ms: Samples,
    /// Until that line is in the file.
    pub first_line_ms: Samples,
    /// Until /ready says yes.
    pub ready_ms: Samples,
}

/// Starts the agent `runs` times while a program is executed every few milliseconds.
pub fn start(directory: &Path, programs: &Programs, runs: usize) -> Result<Start> {
    let (mut events, mut lines, mut ready) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..runs {
        let directory = directory.join(format!("start-{run}"));
        fs::create_dir_all(&directory)?;
        let mark = format!("se-start-{run}");
        let mut beats = programs.spawn(3000, &mark, 300)?;
        let wall = wall_ns();
        let mut agent = Agent::start(&directory, &Settings::default())?;
        let line = loop {
            let text = fs::read_to_string(&agent.output).unwrap_or_default();
            let found = text.split_inclusive('\n').find(|l| l.ends_with('\n') && l.contains(&mark));
            if let Some(line) = found {
                break line.to_owned();
            }
            if agent.started.elapsed() > Duration::from_secs(10) {
                beats.kill()?;
                beats.wait()?;
                agent.wait_ready()?;
                return Err("no event 10 seconds after the start".into());
            }
            thread::sleep(Duration::from_millis(1));
        };
        lines.push(agent.started.elapsed().as_secs_f64() * 1e3);
        let kernel = timestamp_ns(&line).ok_or("a line without @timestamp")?;
        events.push(kernel.saturating_sub(wall) as f64 / 1e6);
        ready.push(agent.wait_ready()?.as_secs_f64() * 1e3);
        beats.kill()?;
        beats.wait()?;
        agent.stop()?;
    }
    let samples = |values: Vec<f64>| values.into_iter().collect();
    Ok(Start { first_event_ms: samples(events), first_line_ms: samples(lines), ready_ms: samples(ready) })
}

/// Replay of a recorded storm through decode, enrichment and serialisation to a file, on one CPU.
pub struct Replay {
    /// Lines that came out.
    pub events: u64,
    /// Lines a second.
    pub per_second: Samples,
    /// Nanoseconds of CPU an event.
    pub cpu_ns: Samples,
}

/// Records a storm of `count` processes and replays it `runs` times on CPU 0.
pub fn replay(directory: &Path, programs: &Programs, count: u64, runs: usize) -> Result<Replay> {
    let config = configure(directory, 1, 2, &Settings::default())?;
    let capture = directory.join("storm.capture");
    let mut recorder = Command::new(binary())
        .args(["record", "--config"])
        .arg(&config)
        .arg(&capture)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    // The recorder says nothing of its state; the first bytes of the file do.
    let start = Instant::now();
    while fs::metadata(&capture).map_or(0, |m| m.len()) == 0 && start.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(20));
    }
    thread::sleep(Duration::from_millis(500));
    programs.storm(count, "se-replay", 0)?;
    thread::sleep(Duration::from_secs(1));
    interrupt(&recorder, Signal::SIGINT)?;
    recorder.wait()?;

    let output = directory.join("replayed.json");
    let (mut events, mut rates, mut costs) = (0, Vec::new(), Vec::new());
    for _ in 0..runs {
        let _ = fs::remove_file(&output);
        let mut child = Command::new("taskset")
            .args(["-c", "0"])
            .arg(binary())
            .args(["replay", "--config"])
            .arg(&config)
            .arg(&capture)
            .arg("--output")
            .arg(&output)
            .stdout(Stdio::null())
            .spawn()?;
        let start = Instant::now();
        let pid = child.id();
        // The CPU time of an ended process is gone; what it had just before is close enough, at a poll a millisecond.
        let mut cpu = Duration::ZERO;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            cpu = cpu.max(host::cpu(pid));
            thread::sleep(Duration::from_millis(1));
        };
        let elapsed = start.elapsed();
        if !status.success() {
            return Err(format!("replay failed: {status}").into());
        }
        events = count_lines(&output)?;
        rates.push(events as f64 / elapsed.as_secs_f64());
        costs.push(cpu.as_secs_f64() * 1e9 / events as f64);
    }
    Ok(Replay { events, per_second: rates.into_iter().collect(), cpu_ns: costs.into_iter().collect() })
}

fn count_lines(path: &Path) -> Result<u64> {
    Ok(u64::try_from(memchr::memchr_iter(b'\n', &fs::read(path)?).count())?)
}

/// From the kernel's time of an event to its line in the file, milliseconds.
pub struct Latency {
    /// Events a second that were offered, one value a run.
    pub rate: Samples,
    /// Median latency of each run.
    pub p50_ms: Samples,
    /// 99th percentile of each run.
    pub p99_ms: Samples,
    /// Worst of each run.
    pub max_ms: Samples,
}

/// Offers `rate` events a second (three of them are one process) for `length`, `runs` times.
///
/// The file is looked at once a millisecond, so latencies are up to a millisecond too high.
pub fn latency(
    directory: &Path,
    programs: &Programs,
    rate: u64,
    length: Duration,
    runs: usize,
) -> Result<Latency> {
    let (mut rates, mut p50, mut p99, mut worst) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for run in 0..runs {
        let directory = directory.join(format!("latency-{run}"));
        fs::create_dir_all(&directory)?;
        let agent = Agent::start_ready(&directory, &Settings::default())?;
        let processes = rate / 3 * length.as_secs();
        let output = agent.output.clone();
        let seen = fs::metadata(&output).map_or(0, |m| m.len());
        let follower =
            thread::Builder::new().name("follower".into()).spawn(move || follow(&output, seen, length))?;
        let storm = programs.storm(processes, &format!("se-latency-{run}"), rate / 3)?;
        let latencies = follower.join().map_err(|_| "the follower panicked")?.map_err(|e| e.to_string())?;
        agent.stop()?;
        rates.push(storm.count as f64 * 3.0 / storm.wall.as_secs_f64());
        p50.push(latencies.median());
        p99.push(latencies.quantile(0.99));
        worst.push(latencies.quantile(1.0));
    }
    let samples = |values: Vec<f64>| values.into_iter().collect();
    Ok(Latency { rate: samples(rates), p50_ms: samples(p50), p99_ms: samples(p99), max_ms: samples(worst) })
}

/// Reads what is appended to a file for `length` and a little, and compares each line's time with the clock.
fn follow(path: &Path, skip: u64, length: Duration) -> std::io::Result<Samples> {
    use std::io::{Seek as _, SeekFrom};
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(skip))?;
    let end = Instant::now() + length + Duration::from_secs(1);
    let (mut chunk, mut rest, mut latencies) = (vec![0; 1 << 22], Vec::new(), Vec::new());
    while Instant::now() < end {
        let read = file.read(&mut chunk)?;
        let now = wall_ns();
        rest.extend_from_slice(&chunk[..read]);
        let mut start = 0;
        for newline in memchr::memchr_iter(b'\n', &rest) {
            let line = String::from_utf8_lossy(&rest[start..newline]);
            if let Some(event) = timestamp_ns(&line) {
                latencies.push(now.saturating_sub(event) as f64 / 1e6);
            }
            start = newline + 1;
        }
        rest.drain(..start);
        thread::sleep(Duration::from_millis(1));
    }
    Ok(latencies.into_iter().collect())
}

fn wall_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The line's `@timestamp` (`YYYY-MM-DDThh:mm:ss[.fraction]Z`), nanoseconds since the Unix epoch.
fn timestamp_ns(line: &str) -> Option<u64> {
    let text = line.split_once("\"@timestamp\":\"")?.1.split_once("Z\"")?.0;
    let (date, clock) = text.split_once('T')?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut numbers = date.split('-').chain(clock.split(':')).map(|n| n.parse::<u64>().ok());
    let mut next = || numbers.next().flatten();
    let (year, month, day) = (next()?, next()?, next()?);
    let (hour, minute, second) = (next()?, next()?, next()?);
    // Days from the civil date: years begin in March, so that the leap day is the last of its year.
    let (shifted_year, shifted_month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let days = shifted_year * 365 + shifted_year / 4 - shifted_year / 100 + shifted_year / 400 + day_of_year;
    let days = days.checked_sub(719_468)?;
    let nanoseconds: u64 = format!("{fraction:0<9}").parse().ok()?;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000_000 + nanoseconds)
}
