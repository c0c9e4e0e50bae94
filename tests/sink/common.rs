//! Batches to write, and judges of what became of them.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sentinel_edge::event::Kind;
use sentinel_edge::metrics::{Metrics, Outcome, SinkName};
use sentinel_edge::sink::config::{Config, FileConfig, WorkerConfig};
use sentinel_edge::sink::loss::plain_loss_line;
use sentinel_edge::sink::{Batch, Context, Line, PATIENCE, Sinks};

pub const KINDS: [Kind; 4] = [Kind::Exec, Kind::Fork, Kind::Exit, Kind::ExecFailed];

/// Lines `first..first + n`, each of about `size` bytes, of all classes in turn.
pub fn batch(index: u64, first: u64, n: u64, size: usize) -> Arc<Batch> {
    let mut batch = Batch { index, ..Batch::default() };
    let filler = "x".repeat(size.saturating_sub(90));
    for sequence in first..first + n {
        let kind = KINDS[usize::try_from(sequence % 4).unwrap()];
        let line = format!(
            "{{\"event\":{{\"action\":\"{kind}\",\"sequence\":{sequence}}},\"host\":{{\"boot\":{{\"id\":\"b\"}}}},\"x\":\"{filler}\"}}\n"
        );
        batch.bytes.extend_from_slice(line.as_bytes());
        let end = batch.bytes.len();
        batch.lines.push(Line { end, kind, sequence, time_ns: sequence * 1000, canary: None });
    }
    Arc::new(batch)
}

pub fn worker() -> WorkerConfig {
    WorkerConfig { batch_lines: 256, batch_timeout: Duration::from_millis(2), buffer_bytes: 1 << 20 }
}

pub fn file_config(path: &Path) -> FileConfig {
    FileConfig {
        path: path.to_owned(),
        max_bytes: None,
        daily: false,
        max_files: 10,
        max_age_days: None,
        compress: false,
        durable: true,
    }
}

pub fn config(path: &Path) -> Config {
    Config { file: Some(file_config(path)), stdout: None, tail: None, worker: worker() }
}

pub fn context() -> (Context, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::default());
    let loss_line = plain_loss_line();
    (Context { metrics: Arc::clone(&metrics), loss_line, written: None, patience: PATIENCE }, metrics)
}

pub fn start(config: &Config) -> (Sinks, Arc<Metrics>) {
    let (context, metrics) = context();
    (Sinks::start(config, &context).unwrap(), metrics)
}

/// Sum over all classes.
pub fn total(metrics: &Metrics, sink: SinkName, outcome: Outcome) -> u64 {
    Kind::ALL.iter().map(|kind| metrics.sink_events.at((sink, *kind, outcome)).get()).sum()
}

/// For every class: offered = delivered + lost, and nothing is queued.
#[track_caller]
pub fn assert_closed(metrics: &Metrics, sink: SinkName) {
    for kind in KINDS {
        let count = |outcome| metrics.sink_events.at((sink, kind, outcome)).get();
        let (offered, delivered, lost) =
            (count(Outcome::Offered), count(Outcome::Delivered), count(Outcome::Lost));
        assert_eq!(offered, delivered + lost, "{kind}: {delivered} delivered, {lost} lost");
        let dropped: u64 = sentinel_edge::metrics::Reason::ALL
            .iter()
            .map(|reason| metrics.sink_dropped.at((sink, kind, *reason)).get())
            .sum();
        assert_eq!(lost, dropped, "{kind}: every loss has a reason");
    }
    assert_eq!(metrics.sink_queued.at(sink).get(), 0.0);
}

/// What a log holds.
#[derive(Debug, Default)]
pub struct Log {
    /// Of events, in the order of the file.
    pub sequences: Vec<u64>,
    /// `sentineledge.loss` of each record about lost events.
    pub losses: Vec<serde_json::Value>,
    /// For each loss, how many events are before it in the file.
    pub loss_at: Vec<usize>,
}

/// Reads whole files, oldest first; every line must be JSON and end in a newline.
#[track_caller]
pub fn read(paths: &[PathBuf]) -> Log {
    let mut log = Log::default();
    for path in paths {
        let mut text = String::new();
        let mut file = File::open(path).unwrap();
        if path.extension().is_some_and(|e| e == "gz") {
            flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
        } else {
            file.read_to_string(&mut text).unwrap();
        }
        assert!(text.is_empty() || text.ends_with('\n'), "{} ends in a torn line", path.display());
        for line in text.lines() {
            let line: serde_json::Value =
                serde_json::from_str(line).unwrap_or_else(|e| panic!("{}: {e}: {line}", path.display()));
            if let Some(sequence) = line["event"]["sequence"].as_u64() {
                log.sequences.push(sequence);
            } else if line["event"]["action"] == "events_lost" {
                log.loss_at.push(log.sequences.len());
                log.losses.push(line["sentineledge"]["loss"].clone());
            }
        }
    }
    log
}

/// The log and its rotated files, oldest first.
pub fn files(log: &Path) -> Vec<PathBuf> {
    let name = log.file_name().unwrap().to_str().unwrap();
    let mut rotated: Vec<PathBuf> = fs::read_dir(log.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&format!("{name}.")))
        .collect();
    rotated.sort();
    if log.exists() {
        rotated.push(log.to_owned());
    }
    rotated
}

/// Waits until it is so.
#[track_caller]
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < until, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

const CHILD: &str = "SENTINEL_TEST_CHILD";

/// This test binary, to run the test with this name in a process of its own.
pub fn child(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(CHILD, "1");
    command
}

/// True in a process that [`child`] started. The parts named `child_*` are no tests by themselves, so a run of
/// all ignored tests passes over them.
pub fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}
