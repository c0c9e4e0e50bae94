//! The whole agent on the real kernel: the books close, reloads lose nothing, a crash leaves a valid file, a full
//! disk is survived and told. Needs root and BPF; `make test` runs it as root, alone and in order.

mod agent;

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use agent::{Agent, Options, PROCESS, Samples, lines, only, tiny_program};
use nix::sys::signal::Signal;
use serde_json::Value;

const CLASSES: [&str; 4] = ["exec", "exec_failed", "fork", "exit"];

/// The process classes, and keys beside.
fn options(config: &str) -> Options {
    Options { config: format!("{}{config}", only(PROCESS)), ..Options::default() }
}

/// Runs `program N` for N in the range, `lanes` at a time.
fn numbered_execs(program: &Path, numbers: std::ops::Range<u32>, lanes: u32) {
    std::thread::scope(|scope| {
        for lane in 0..lanes {
            let numbers = numbers.clone();
            scope.spawn(move || {
                for n in numbers.filter(|n| n % lanes == lane) {
                    let status = Command::new(program).arg(n.to_string()).status().expect("the tiny program");
                    assert!(status.success());
                }
            });
        }
    });
}

/// For every class, from /metrics alone: what was attempted went somewhere, and each somewhere is counted.
fn assert_ledger_closes(samples: &Samples) {
    for class in CLASSES.iter().chain(&["cgroup"]) {
        let label = format!("class=\"{class}\"");
        let stage =
            |stage: &str| samples.matching("sentinel_events_total", &[&label, &format!("stage=\"{stage}\"")]);
        let dropped = |reason: &str| {
            samples.matching("sentinel_events_dropped_total", &[&label, &format!("reason=\"{reason}\"")])
        };
        let kernel = ["ring_full", "rate_limited", "skipped", "filtered", "deduplicated", "summarised"]
            .map(dropped)
            .iter()
            .sum::<f64>();
        assert_eq!(stage("attempted"), stage("submitted") + kernel, "{class}: attempted");
        assert_eq!(stage("submitted"), stage("read"), "{class}: submitted");
        assert_eq!(
            stage("read") + stage("repeated"),
            stage("decoded") + dropped("malformed"),
            "{class}: read"
        );
        let merged = samples.matching("sentinel_events_merged_total", &[&label]);
        assert_eq!(merged, dropped("deduplicated"), "{class}: merged");
        assert_eq!(
            stage("decoded"),
            stage("emitted") + stage("suppressed") + dropped("failed"),
            "{class}: decoded"
        );
        let sink = |outcome: &str| {
            let labels = [label.as_str(), "sink=\"file\"", &format!("outcome=\"{outcome}\"")];
            samples.matching("sentinel_sink_events_total", &labels)
        };
        assert_eq!(sink("offered"), stage("emitted"), "{class}: offered");
        assert_eq!(sink("offered"), sink("delivered") + sink("lost"), "{class}: delivered");
    }
}

/// Numbers of the execs of `program` in the log.
fn numbers_in(log: &Path, program: &Path) -> HashSet<u32> {
    let program = program.display().to_string();
    let exec =
        |line: &Value| line["event"]["action"] == "exec" && line["process"]["executable"] == program.as_str();
    let number = |line: &Value| line["process"]["args"][1].as_str()?.parse().ok();
    lines(log).iter().filter(|line| exec(line)).filter_map(number).collect()
}

/// Sequence numbers of all files of a log, oldest first.
fn sequences(log: &Path) -> Vec<u64> {
    lines(log).iter().filter_map(|line| line["event"]["sequence"].as_u64()).collect()
}

fn assert_no_gaps(sequences: &[u64]) {
    for pair in sequences.windows(2) {
        assert_eq!(pair[1], pair[0] + 1, "the sequence has a gap or a double");
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn fifty_thousand_execs_are_all_in_the_file_and_the_books_close() {
    let mut agent = Agent::start(options(""));
    let program = tiny_program(&agent.directory);
    const EXECS: u32 = 50_000;
    numbered_execs(&program, 0..EXECS, 2);
    let samples = agent.metrics_at_rest();
    assert_ledger_closes(&samples);
    assert_eq!(samples.lost(), 0.0);
    let numbers = numbers_in(&agent.log(), &program);
    assert_eq!(numbers.len(), EXECS as usize, "every exec is in the file");
    assert_no_gaps(&sequences(&agent.log()));
    assert!(agent.stop().success(), "{}", agent.stderr());
}

#[test]
#[ignore = "needs root and BPF"]
fn a_stopped_reader_and_a_tiny_ring_lose_events_but_not_the_count() {
    let agent = Agent::start(options("[ebpf]\nring_buffer_size = 16384\n"));
    let program = tiny_program(&agent.directory);
    const EXECS: u32 = 2_000;
    for round in 0..5 {
        agent.signal(Signal::SIGSTOP);
        numbered_execs(&program, round * EXECS..(round + 1) * EXECS, 2);
        agent.signal(Signal::SIGCONT);
        numbered_execs(&program, 100_000 + round * 100..100_100 + round * 100, 2);
    }
    let samples = agent.metrics_at_rest();
    assert_ledger_closes(&samples);
    let lost = samples.at(r#"sentinel_events_dropped_total{class="exec",reason="ring_full"}"#);
    assert!(lost > 5_000.0, "the ring was meant to overflow, only {lost} lost");
    // What the file has and what was lost together are all there were; others' execs are in neither number.
    let seen = numbers_in(&agent.log(), &program).len();
    assert!(seen as f64 + lost >= 10_500.0, "{seen} seen, {lost} lost");
    let attempted = samples.at(r#"sentinel_events_total{class="exec",stage="attempted"}"#);
    assert!(attempted >= 10_500.0);
    assert_no_gaps(&sequences(&agent.log()));
}

#[test]
#[ignore = "needs root and BPF"]
fn a_thousand_reloads_under_load_lose_nothing() {
    let mut agent = Agent::start(options(""));
    let program = tiny_program(&agent.directory);
    const EXECS: u32 = 10_000;
    let reloads = std::thread::scope(|scope| {
        let load = scope.spawn(|| numbered_execs(&program, 0..EXECS, 2));
        let mut sent = 0;
        while sent < 1_000 || !load.is_finished() {
            agent.signal(Signal::SIGHUP);
            sent += 1;
            // Signals that arrive while one is pending are one; wait until it was taken.
            let deadline = Instant::now() + Duration::from_secs(5);
            while agent.metrics().sum("sentinel_config_reloads_total") < f64::from(sent)
                && Instant::now() < deadline
            {
                std::thread::sleep(Duration::from_millis(2));
            }
            if sent >= 1_000 && load.is_finished() {
                break;
            }
        }
        load.join().expect("the load");
        sent
    });
    let samples = agent.metrics_at_rest();
    assert!(reloads >= 1_000);
    assert_eq!(samples.sum("sentinel_config_reloads_total"), f64::from(reloads), "every reload took effect");
    assert_ledger_closes(&samples);
    assert_eq!(samples.lost(), 0.0);
    assert_eq!(numbers_in(&agent.log(), &program).len(), EXECS as usize);
    assert_no_gaps(&sequences(&agent.log()));
    assert!(agent.stop().success());
}

#[test]
#[ignore = "needs root and BPF"]
fn killed_while_writing_it_leaves_a_valid_file_and_goes_on_with_the_sequence() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = tiny_program(directory.path());
    for round in 0..5 {
        let options = Options { directory: Some(directory.path().to_owned()), ..options("") };
        let mut agent = Agent::start(options);
        std::thread::scope(|scope| {
            scope.spawn(|| numbered_execs(&program, round * 1_000..(round + 1) * 1_000, 2));
            std::thread::sleep(Duration::from_millis(150));
            agent.child.kill().expect("killing the agent");
        });
        agent.wait(Duration::from_secs(5));
        assert!(!lines(&agent.log()).is_empty());
    }
    let options = Options { directory: Some(directory.path().to_owned()), ..options("") };
    let mut agent = Agent::start(options);
    assert!(agent.stop().success());
    let log = agent.log();
    assert!(fs::read(&log).expect("the log").ends_with(b"\n"), "no torn line is left");
    assert_no_gaps(&sequences(&log));
    let starts: Vec<_> =
        lines(&log).into_iter().filter(|l| l["event"]["action"] == "agent_started").collect();
    assert_eq!(starts.len(), 6);
    let previous = starts[1]["sentineledge"]["previous_run"].as_str().expect("how it ended").to_owned();
    assert!(previous.contains("killed"), "{previous}");
}

#[test]
#[ignore = "needs root and BPF"]
fn a_full_disk_is_survived_told_and_accounted_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let mount = directory.path().join("small");
    fs::create_dir(&mount).expect("the mount point");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "small"]).arg(&mount).status();
    assert!(mounted.expect("mount").success());
    let program = tiny_program(directory.path());
    let log = mount.join("sentinel.log");
    let options = Options {
        directory: Some(directory.path().to_owned()),
        log_file: Some(log.clone()),
        ..options(
            "[logging]\nbuffer_size = \"1MB\"\n[monitoring]\ncanary_interval_sec = 1\ncanary_timeout_sec = 1\n",
        )
    };
    let agent = Agent::start(options);
    numbered_execs(&program, 0..3_000, 2);
    let wait = |what: &str, fits: &dyn Fn() -> bool| {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !fits() {
            assert!(Instant::now() < deadline, "{what}\n{}", agent.stderr());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    wait("/ready tells of the full disk", &|| {
        let (status, body) = agent.get("/ready");
        status == 503 && body.contains("No space left on device")
    });
    assert_eq!(agent.metrics().at(r#"sentinel_sink_up{sink="file"}"#), 0.0);
    assert_eq!(
        agent.stderr().matches("No space left on device").count(),
        1,
        "said once:\n{}",
        agent.stderr()
    );
    let more = Command::new("mount").args(["-o", "remount,size=64m"]).arg(&mount).status();
    assert!(more.expect("remount").success());
    wait("it resumes by itself", &|| agent.get("/ready").0 == 200);
    let samples = agent.metrics_at_rest();
    assert_ledger_closes(&samples);
    let lost = samples.matching("sentinel_sink_events_total", &["sink=\"file\"", "outcome=\"lost\""]);
    assert!(lost > 0.0, "more was offered than the buffer holds");
    let told: u64 = lines(&log)
        .iter()
        .filter(|line| line["event"]["action"] == "events_lost")
        .map(|line| line["sentineledge"]["loss"]["events"].as_u64().expect("a count"))
        .sum();
    assert_eq!(told as f64, lost, "the records tell exactly what is missing");
    drop(agent);
    let _ = Command::new("umount").arg("-l").arg(&mount).status();
}

#[test]
#[ignore = "needs root and BPF"]
fn a_second_instance_is_refused_with_the_pid_of_the_first() {
    let agent = Agent::start(options(""));
    let second = Command::new(env!("CARGO_BIN_EXE_sentinel-edge"))
        .args(["run", "--config"])
        .arg(agent.directory.join("config.toml"))
        .output()
        .expect("the second instance");
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains(&format!("pid {}", agent.child.id())), "{said}");
    assert_eq!(second.status.code(), Some(7), "{said}");
}

#[test]
#[ignore = "needs root and BPF"]
fn health_metrics_and_ready_tell_the_truth() {
    let mut agent = Agent::start(options("[monitoring]\ncanary_interval_sec = 1\ncanary_timeout_sec = 1\n"));
    let (status, body) = agent.get("/health");
    assert_eq!(status, 200, "{body}");
    let version: Value = serde_json::from_str(&agent.get("/version").1).expect("JSON");
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    let before = agent.metrics();
    assert!(before.at("sentinel_canary_latency_seconds_count") >= 1.0);
    for name in [
        "sentinel_memory_usage_bytes",
        "sentinel_ring_size_bytes",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
    ] {
        assert!(before.sum(name) > 0.0, "{name}");
    }
    // The canary finds out that the written file is not there any more, and that it is there again.
    let log = agent.directory.join("log");
    fs::remove_dir_all(&log).expect("removing the log's directory");
    fs::write(&log, "in the way").expect("a file in the way");
    let deadline = Instant::now() + Duration::from_secs(15);
    while agent.get("/ready").0 == 200 {
        assert!(Instant::now() < deadline, "/ready does not notice");
        std::thread::sleep(Duration::from_millis(100));
    }
    fs::remove_file(&log).expect("clearing the way");
    let deadline = Instant::now() + Duration::from_secs(30);
    while agent.get("/ready").0 != 200 {
        assert!(
            Instant::now() < deadline,
            "/ready does not recover: {:?}\n{}",
            agent.get("/ready"),
            agent.stderr()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    let began = Instant::now();
    assert!(agent.stop().success());
    assert!(began.elapsed() < Duration::from_secs(5), "SIGTERM drains within 5 s");
}
