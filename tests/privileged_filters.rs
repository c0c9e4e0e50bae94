//! The whole agent and its filters: repeats become a count, lists change on reload, what is over the limit is told,
//! and every class says how it is seen. Needs root and BPF; `make test` runs it as root, alone and in order.

mod agent;

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::{Agent, Options, lines, only};
use nix::sys::signal::Signal;
use sentinel_edge::event::Kind;
use serde_json::Value;

/// The process classes, and opens.
const OPENS: &[Kind] =
    &[Kind::Exec, Kind::ExecFailed, Kind::Fork, Kind::Exit, Kind::FileOpen, Kind::FileRead];

fn agent(config: &str) -> Agent {
    Agent::start(Options { config: format!("{}{config}", only(OPENS)), ..Options::default() })
}

/// A directory that is no part of the agent's own.
fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = fs::canonicalize(directory.path()).expect("the directory").join("file");
    fs::write(&file, "x").expect("a file");
    (directory, file)
}

fn open(file: &Path) {
    OpenOptions::new().append(true).open(file).expect("the file");
}

/// Lines of a class about a file.
fn of_file(log: &Path, class: &str, file: &Path) -> Vec<Value> {
    let path = file.display().to_string();
    let fits = |line: &Value| line["sentineledge"]["class"] == class && line["file"]["path"] == path.as_str();
    lines(log).into_iter().filter(fits).collect()
}

fn merged(line: &Value) -> u64 {
    line["sentineledge"]["merged"]["count"].as_u64().unwrap_or(0)
}

/// Events that the lines tell of: one each, or those that one stands for.
fn told(lines: &[Value]) -> u64 {
    lines.iter().map(|line| merged(line).max(1)).sum()
}

fn assert_no_gaps(log: &Path) {
    let numbers: Vec<u64> = lines(log).iter().filter_map(|line| line["event"]["sequence"].as_u64()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "the sequence has a gap or a double");
}

#[test]
#[ignore = "needs root and BPF"]
fn ten_thousand_opens_of_a_file_are_a_few_lines_with_an_exact_count() {
    const OPENED: u64 = 10_000;
    let (_directory, file) = place();
    let mut agent = agent("[filter]\nmerge_window_ms = 200\n[ebpf]\nmax_events_per_sec = 1000000\n");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..OPENED / 4).for_each(|_| open(&file)));
        }
    });
    agent.until("all opens are told", || told(&of_file(&agent.log(), "file_open", &file)) >= OPENED);
    let metrics = agent.metrics();
    assert!(metrics.at(r#"sentinel_events_merged_total{class="file_open"}"#) > 0.0);
    assert!(metrics.at(r#"sentinel_events_total{class="file_open",stage="repeated"}"#) > 0.0);
    assert!(agent.stop().success(), "{}", agent.stderr());
    let found = of_file(&agent.log(), "file_open", &file);
    assert_eq!(told(&found), OPENED);
    let repeats: Vec<&Value> = found.iter().filter(|line| merged(line) > 0).collect();
    assert!(!repeats.is_empty() && found.len() < 1_000, "{} lines", found.len());
    for line in repeats {
        let (first, last) = (&line["@timestamp"], &line["sentineledge"]["merged"]["last"]);
        assert_eq!(first, last, "it is told at the time of the last one");
        assert_eq!(line["process"]["pid"], std::process::id());
        assert!(line["process"]["entity_id"].is_string(), "{line}");
    }
    assert_no_gaps(&agent.log());
}

#[test]
#[ignore = "needs root and BPF"]
fn what_was_merged_is_told_before_the_end() {
    let (_directory, file) = place();
    let mut agent = agent("[filter]\nmerge_window_ms = 60000\n[ebpf]\nmax_events_per_sec = 1000000\n");
    (0..100).for_each(|_| open(&file));
    assert!(agent.stop().success(), "{}", agent.stderr());
    let found = of_file(&agent.log(), "file_open", &file);
    assert_eq!(found.iter().map(merged).collect::<Vec<_>>(), [0, 99], "{found:?}");
    assert_no_gaps(&agent.log());
}

#[test]
#[ignore = "needs root and BPF"]
fn watch_lists_take_effect_on_reload() {
    let (_directory, file) = place();
    let mut agent = agent("[file]\nwatch_paths = []\n[filter]\nmerge_window_ms = 0\n");
    let reload = |list: &str, n: f64| {
        agent.edit_config(|text| {
            let keep = text.lines().filter(|line| !line.starts_with("watch_paths"));
            let with = |line: &str| {
                if line == "[file]" {
                    format!("[file]\nwatch_paths = [{list}]\n")
                } else {
                    format!("{line}\n")
                }
            };
            keep.map(with).collect()
        });
        agent.signal(Signal::SIGHUP);
        agent.until("the reload", || agent.metrics().sum("sentinel_config_reloads_total") >= n);
    };
    let read = || drop(fs::read(&file).expect("the file"));
    read();
    reload(&format!("\"{}\"", file.display()), 1.0);
    read();
    agent.until("the watched read", || of_file(&agent.log(), "file_read", &file).len() == 1);
    reload("\"*/no-such-name\"", 2.0);
    read();
    // Something that is reported in any case comes after it.
    open(&file);
    agent.until("the open", || of_file(&agent.log(), "file_open", &file).len() == 1);
    let reads = of_file(&agent.log(), "file_read", &file);
    assert_eq!(reads.len(), 1, "{reads:?}");
    assert_eq!(reads[0]["sentineledge"]["watched"], true);
    agent.edit_config(|text| text.replace("*/no-such-name", "/home/*/.ssh/"));
    agent.signal(Signal::SIGHUP);
    agent.until("the refusal", || agent.metrics().sum("sentinel_config_reload_failures_total") >= 1.0);
    assert!(agent.stderr().contains("\"*/.ssh/\" is that name anywhere"), "{}", agent.stderr());
    assert!(agent.stop().success());
}

#[test]
#[ignore = "needs root and BPF"]
fn what_is_over_the_limit_is_counted_told_and_said_once() {
    let (_directory, file) = place();
    let mut agent = agent("[filter]\nmerge_window_ms = 0\n[ebpf]\nmax_events_per_sec = 50\n");
    for _ in 0..3 {
        (0..500).for_each(|_| open(&file));
        std::thread::sleep(Duration::from_millis(1_100));
    }
    assert!(agent.stop().success(), "{}", agent.stderr());
    let lost: u64 = lines(&agent.log())
        .iter()
        .filter(|line| line["event"]["action"] == "events_lost")
        .filter(|line| line["sentineledge"]["loss"]["reason"] == "rate_limited")
        .map(|line| line["sentineledge"]["loss"]["classes"]["file_open"].as_u64().unwrap_or(0))
        .sum();
    let came = of_file(&agent.log(), "file_open", &file).len() as u64;
    assert!(lost + came >= 1_500 && came <= 400, "{lost} lost, {came} came");
    assert_eq!(agent.stderr().matches("over the limit of the bulk classes").count(), 1, "{}", agent.stderr());
    assert_no_gaps(&agent.log());
}

#[test]
#[ignore = "needs root and BPF"]
fn every_class_says_how_it_is_seen() {
    let mut agent = agent("");
    let health: Value = serde_json::from_str(&agent.get("/health").1).expect("JSON");
    let classes = health["classes"].as_array().expect("classes");
    assert_eq!(classes.len(), Kind::ALL.iter().filter(|kind| !kind.is_internal()).count());
    let class = |name: &str| classes.iter().find(|class| class["class"] == name).expect("the class");
    assert_eq!((&class("exec")["level"], &class("exec")["grade"]), (&"direct".into(), &"kernel".into()));
    assert_eq!(class("reboot")["level"], Value::Null);
    assert_eq!(class("reboot")["reason"], "off, as [events] says");
    let metrics = agent.metrics();
    assert_eq!(metrics.at(r#"sentinel_sensor_level{class="exec"}"#), 1.0);
    assert_eq!(metrics.at(r#"sentinel_sensor_level{class="reboot"}"#), 0.0);
    let opens = metrics.at(r#"sentinel_sensor_level{class="file_open"}"#);
    assert_eq!(opens > 0.0, class("file_open")["level"].is_string());
    assert!(agent.stop().success());
    let started = lines(&agent.log()).into_iter().find(|line| line["event"]["action"] == "agent_started");
    let told = started.expect("the record of the start")["sentineledge"]["classes"].clone();
    assert_eq!(told.as_array().map(Vec::len), Some(classes.len()));
    assert!(told.as_array().expect("classes").iter().any(|c| c["class"] == "exec" && c["seen"] == true));
}
