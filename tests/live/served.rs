//! What the running agent serves: lines, metrics, health, also over TLS.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::agent::{Agent, Options, lines, tiny_program};
use crate::{ecs, linter, run};

/// Everything that the sensor reports, again and again.
fn stir(directory: &Path, span: Duration) {
    let program = tiny_program(directory);
    let script = directory.join("script");
    fs::write(&script, "#!/bin/sh\nexit 3\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let busy = format!(
        "{0} '\u{fc}ml\u{e4}ut' \"$(printf 'line\\nbreak\\001\\377')\" ''; LD_PRELOAD=/none.so {0} preloaded; \
         {1}; {2}/missing; setpriv --reuid 65534 --clear-groups {0}; sh -c 'kill -9 $$'; (cd / && {0} & wait)",
        program.display(),
        script.display(),
        directory.display(),
    );
    let began = Instant::now();
    while began.elapsed() < span {
        Command::new("sh").args(["-c", &busy]).stderr(Stdio::null()).status().unwrap();
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn every_line_of_a_busy_run_conforms_to_the_schema() {
    let mut agent = Agent::start(Options::default());
    stir(&agent.directory, Duration::from_secs(3));
    assert!(agent.stop().success());
    let lines = lines(&agent.log());
    let mut wrong = BTreeSet::new();
    let mut actions = BTreeSet::new();
    for line in &lines {
        actions.insert(line["event"]["action"].as_str().unwrap());
        wrong.extend(ecs::check(line));
    }
    assert_eq!(wrong, BTreeSet::new());
    let at_least = ["agent_started", "agent_stopped", "exec", "exec_failed", "exit", "file_open", "fork"];
    assert!(actions.is_superset(&BTreeSet::from(at_least)), "{actions:?}");
    let sequence: Vec<u64> = lines.iter().filter_map(|line| line["event"]["sequence"].as_u64()).collect();
    assert!(sequence.windows(2).all(|pair| pair[1] == pair[0] + 1));
}

#[test]
#[ignore = "needs root and BPF"]
fn live_metrics_pass_the_linter() {
    let agent = Agent::start(Options::default());
    stir(&agent.directory, Duration::from_millis(500));
    let (status, text) = agent.get("/metrics");
    assert_eq!(status, 200);
    assert_eq!(linter::check(&text), "");
}

#[test]
#[ignore = "needs root and BPF"]
fn a_broken_configuration_changes_nothing_and_shows_until_it_is_mended() {
    let mut agent = Agent::start(Options::default());
    let hash = |agent: &Agent| {
        let samples = agent.metrics();
        samples.0.keys().find(|key| key.starts_with("sentinel_config_info")).unwrap().clone()
    };
    let before = hash(&agent);
    let good = fs::read_to_string(agent.directory.join("config.toml")).unwrap();
    agent.edit_config(|text| text + "\n[events]\nfrok = false\n");
    let line = good.lines().count() + 3;
    agent.signal(Signal::SIGHUP);
    agent.until("/ready tells of it", || agent.get("/ready").0 == 503);
    let (_, body) = agent.get("/ready");
    let body: Value = serde_json::from_str(&body).unwrap();
    let reasons = body["reasons"].to_string();
    let place = format!("{}:{line}", agent.directory.join("config.toml").display());
    assert!(reasons.contains(&place) && reasons.contains("did you mean fork?"), "{reasons}");
    assert_eq!(agent.get("/health").0, 200, "it goes on with the old one");
    assert_eq!(agent.metrics().sum("sentinel_config_reload_failures_total"), 1.0);
    assert_eq!(hash(&agent), before);

    agent.edit_config(|_| good.clone() + "\n[events]\nfork = false\n");
    agent.signal(Signal::SIGHUP);
    agent.until("/ready heals", || agent.get("/ready").0 == 200);
    assert_ne!(hash(&agent), before, "the mended one is in effect");
    assert!(agent.stop().success());
}

fn curl(arguments: &[&str]) -> Output {
    run(Command::new("curl").args(["--silent", "--show-error", "--max-time", "20"]).args(arguments))
}

#[test]
#[ignore = "needs root and BPF"]
fn tls_and_token_hold_end_to_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let token = "0123456789abcdef0123456789abcdef";
    for (name, text) in [
        ("cert.pem", key.cert.pem()),
        ("key.pem", key.signing_key.serialize_pem()),
        ("token", format!("{token}\n")),
    ] {
        crate::agent::write_private(Path::new(&path(name)), &text);
    }
    let config = format!(
        "[monitoring]\ntls_cert = \"{}\"\ntls_key = \"{}\"\ntoken_file = \"{}\"\n",
        path("cert.pem"),
        path("key.pem"),
        path("token")
    );
    let agent = Agent::start(Options { config, wait: crate::agent::Wait::Nothing, ..Options::default() });
    let (cert, header) = (path("cert.pem"), format!("Authorization: Bearer {token}"));
    let url = |what: &str| format!("https://localhost:{}{what}", agent.port);
    let code = |arguments: &[&str]| {
        let output = curl(&[&["--output", "/dev/null", "--write-out", "%{http_code}"], arguments].concat());
        String::from_utf8(output.stdout).unwrap()
    };
    agent.until("/ready over TLS", || code(&["--cacert", &cert, &url("/ready")]) == "200");
    assert_eq!(code(&["--cacert", &cert, &url("/metrics")]), "401");
    assert_eq!(code(&["--cacert", &cert, "-H", "Authorization: Bearer wrong", &url("/metrics")]), "401");
    assert_eq!(code(&["--cacert", &cert, "-H", &header, &url("/metrics")]), "200");
    assert_eq!(code(&["--cacert", &cert, "--tls-max", "1.2", "-H", &header, &url("/version")]), "200");
    assert_ne!(curl(&[&url("/health")]).status.code(), Some(0), "an unknown authority is not believed");
    assert_eq!(code(&[&format!("http://localhost:{}/health", agent.port)]), "000", "no plain HTTP");
    let brief = curl(&["--cacert", &cert, &url("/ready")]).stdout;
    let brief: Value = serde_json::from_slice(&brief).unwrap();
    assert!(brief.get("threads").is_none(), "strangers learn up or down: {brief}");
    let full = curl(&["--cacert", &cert, "-H", &header, &url("/ready")]).stdout;
    let full: Value = serde_json::from_slice(&full).unwrap();
    assert!(full.get("threads").is_some(), "{full}");
}
