//! The configuration from outside: sources and their order, every message, and the files written from the table.
//!
//! `WRITE_GOLDEN=1 cargo test --test config` writes `packaging/config.toml` and `docs/configuration.md` anew.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed as it should")]

mod documents;
#[path = "../generated/mod.rs"]
mod generated;
mod messages;
mod profiles;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sentinel_edge::config::key::Effect;
use sentinel_edge::config::settings::default_value;
use sentinel_edge::config::{self, Errors, Flags, Host, Place, Resolved, Sources, parse_str, table};
use sentinel_edge::event::Kind;
use sentinel_edge::sink::config::StdoutFormat;

const GUIDE: &str = r#"
[core]
# Core system settings
log_level = "info"
metrics_enabled = true
health_check_enabled = true

[ebpf]
# eBPF system configuration
ring_buffer_size = 1048576  # 1MB
event_batch_size = 100
poll_timeout_ms = 100
max_events_per_sec = 10000
enable_backpressure = true
auto_recovery = true

# Performance tuning
ring_buffer_poll_timeout_us = 100
batch_size = 64
batch_timeout_us = 1000

[monitoring]
# Monitoring and observability
metrics_interval_sec = 60
prometheus_endpoint = "0.0.0.0:9090"
health_check_port = 8080

[security]
# Security settings
enable_threat_detection = true
log_security_events = true
alert_on_anomalies = true

[logging]
# Logging configuration
log_file = "/var/log/sentineledge/sentinel.log"
log_rotation = "daily"
max_log_files = 30
"#;

const GUIDE_LOGGING: &str = r#"
[logging]
level = "info"
format = "json"
output = "/var/log/sentineledge/sentinel.log"
rotate = true
max_size = "100MB"
max_files = 10
"#;

/// Sources of a test: a file with this text in a directory of its own, variables, flags.
#[derive(Default)]
struct Given {
    text: Option<&'static str>,
    variables: HashMap<&'static str, &'static str>,
    flags: Flags,
    host: Option<Host>,
}

impl Given {
    fn file(text: &'static str) -> Self {
        Given { text: Some(text), ..Given::default() }
    }

    fn variable(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.insert(name, value);
        self
    }

    fn log_level(mut self, level: &str) -> Self {
        self.flags.log_level = Some(level.to_owned());
        self
    }

    fn host(mut self, host: Host) -> Self {
        self.host = Some(host);
        self
    }

    fn load(&self) -> Result<Resolved, Errors> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        // Without a text the file is empty, so that the host's own configuration has no say.
        fs::write(&path, self.text.unwrap_or_default()).unwrap();
        config::load(&Sources {
            path: Some(path),
            flags: self.flags.clone(),
            env: &|name| self.variables.get(name).map(|value| (*value).to_owned()),
            host: self.host.unwrap_or(Host::plain()),
            lenient: false,
        })
    }
}

fn place(resolved: &Resolved, section: &str, name: &str) -> String {
    match &resolved.settings.find(section, name).unwrap().place {
        Place::File { line, .. } => format!("line {line}"),
        place => place.to_string(),
    }
}

/// The messages of a text that stands in a file named `c`.
fn complaints(text: &str) -> Vec<String> {
    match parse_str("c", text) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

fn complaint(text: &str) -> String {
    let all = complaints(text);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.into_iter().next().unwrap()
}

/// Kinds that can be reported.
fn reported() -> impl Iterator<Item = Kind> {
    Kind::ALL.iter().copied().filter(|kind| !kind.is_internal())
}

#[test]
fn every_default_fits_its_key_and_is_what_an_empty_file_gives() {
    let resolved = parse_str("c", "").unwrap();
    for setting in resolved.settings.iter() {
        assert_eq!(Some(&setting.value), default_value(setting.key).as_ref(), "{}", setting.key);
        assert_eq!(setting.place, Place::Default);
    }
    for key in table::all() {
        assert!(default_value(key).is_some(), "the default of {key} does not fit it");
        assert!(key.doc.ends_with('.'), "{key} is explained in sentences");
        let (section, name) = key.target();
        let target = table::find(section, name).unwrap_or_else(|| panic!("{key} names no key"));
        assert!(target.alias.is_none(), "{key} is the name of a name");
        assert_eq!(default_value(key), default_value(target), "{key} and {target} differ by default");
    }
}

#[test]
fn defaults_reach_the_sections() {
    let Resolved { kernel, enrich, sink, control, source, .. } = parse_str("c", "").unwrap();
    assert_eq!(
        (kernel.ring_buffer_bytes, kernel.args_max_bytes, kernel.env_max_bytes),
        (1 << 20, 1 << 15, 1 << 15)
    );
    assert_eq!(kernel.kinds, reported().collect::<Vec<_>>(), "everything is reported");
    assert_eq!((kernel.bulk_ring_bytes, kernel.bulk_rate, kernel.backpressure), (4 << 20, 10_000, true));
    assert_eq!(kernel.merge_window, Some(Duration::from_secs(1)));
    let filter = &kernel.filter;
    for path in ["/etc/shadow", "*/.ssh/", "*/.aws/", "/proc/*/mem", "/proc/*/environ"] {
        assert!(filter.watch_paths.iter().any(|watched| watched == path), "{path}");
    }
    assert_eq!(filter.own_directories, ["/var/log/sentineledge", "/var/lib/sentineledge"].map(PathBuf::from));
    assert!(filter.skip_pseudo && !filter.unix_sockets && filter.skip_paths.is_empty());
    assert_eq!(
        (kernel.poll_timeout, kernel.busy_window),
        (Duration::from_millis(100), Duration::from_micros(100))
    );
    assert_eq!((kernel.batch, kernel.auto_recovery), (100, true));
    assert_eq!((enrich.table_entries, enrich.args_keep_bytes, enrich.ancestors), (65_536, 4_096, 16));
    assert!(enrich.env_allow.iter().any(|name| name == "LD_PRELOAD"));
    let file = sink.file.unwrap();
    assert_eq!(file.path, Path::new("/var/log/sentineledge/sentinel.log"));
    assert_eq!((file.max_bytes, file.daily, file.max_files), (Some(100_000_000), true, 30));
    assert_eq!((file.max_age_days, file.compress, sink.stdout), (None, false, None));
    assert_eq!((sink.worker.batch_lines, sink.worker.batch_timeout), (64, Duration::from_millis(1)));
    assert_eq!(sink.worker.buffer_bytes, 16_000_000);
    assert_eq!(sink.tail.unwrap().path, Path::new("/run/sentineledge/tail.sock"));
    assert_eq!((control.log_level.as_str(), control.workers, control.host_name), ("info", 1, None));
    assert_eq!(control.proc_root, Path::new("/proc"));
    let addresses: Vec<String> = control.http.listeners.iter().map(|l| l.address.to_string()).collect();
    assert_eq!(addresses, ["127.0.0.1:9090", "127.0.0.1:8080"]);
    assert_eq!(control.canary.unwrap().interval, Duration::from_secs(30));
    assert_eq!(source, None);
}

#[test]
fn defaults_follow_the_host() {
    let big = Host { cpus: 64, host_proc: true, terminal: true, colour: true, ..Host::plain() };
    let resolved = Given::file("[logging]\nstdout = \"auto\"").host(big).load().unwrap();
    assert_eq!((resolved.control.workers, resolved.control.proc_root), (4, PathBuf::from("/host/proc")));
    assert_eq!(resolved.sink.stdout, Some(StdoutFormat::Coloured));
    let workers = |cpus| Given::default().host(Host { cpus, ..big }).load().unwrap().control.workers;
    assert_eq!([1, 4, 5, 8, 12, 16].map(workers), [1, 1, 1, 2, 3, 4]);
    let piped = Given::file("[logging]\nstdout = \"auto\"").load().unwrap();
    assert_eq!(piped.sink.stdout, Some(StdoutFormat::Json));
    let plain = Given::file("[logging]\nstdout = \"compact\"").load().unwrap();
    assert_eq!(plain.sink.stdout, Some(StdoutFormat::Plain));
}

#[test]
fn both_examples_of_the_guide_work() {
    let [refused] = &complaints(GUIDE)[..] else { panic!("only the open address is refused") };
    assert!(
        refused.starts_with("c:25: [monitoring] prometheus_endpoint: 0.0.0.0 can be reached"),
        "{refused}"
    );

    let loopback = GUIDE.replace("0.0.0.0", "127.0.0.1");
    let guide = parse_str("c", &loopback).unwrap();
    assert_eq!(guide.hash(), parse_str("c", "").unwrap().hash(), "the guide's file says the defaults");

    let second = parse_str("c", GUIDE_LOGGING).unwrap().sink.file.unwrap();
    assert_eq!((second.max_files, second.max_bytes, second.daily), (10, Some(100_000_000), true));

    let both = format!("{loopback}{GUIDE_LOGGING}");
    assert_eq!(
        complaint(&both),
        "c:40: not valid TOML: logging is there already, on line 34; put the keys of both under the first"
    );
}

#[test]
fn the_profiles_of_the_guide_fit() {
    for profile in [
        "ring_buffer_size = 262144\nevent_batch_size = 32\nmax_events_per_sec = 1000\nring_buffer_poll_timeout_us = 200\nbatch_timeout_us = 2000",
        "ring_buffer_size = 1048576\nevent_batch_size = 100\nmax_events_per_sec = 5000\nring_buffer_poll_timeout_us = 100\nbatch_timeout_us = 1000",
        "ring_buffer_size = 4194304\nevent_batch_size = 200\nmax_events_per_sec = 20000\nring_buffer_poll_timeout_us = 50\nbatch_timeout_us = 500",
        "ring_buffer_size = 2097152\nmax_events_per_sec = 5000",
        "ring_buffer_size = 524288\nevent_batch_size = 50",
    ] {
        assert_eq!(complaints(&format!("[ebpf]\n{profile}")), [""; 0]);
    }
}

#[test]
fn a_flag_goes_before_the_environment_before_the_file_before_the_default() {
    const FILE: &str = "[core]\nlog_level = \"error\"\n[logging]\nlevel = \"warn\"\n";
    let of = |given: Given| {
        let resolved = given.load().unwrap();
        (resolved.control.log_level.clone(), place(&resolved, "logging", "level"))
    };
    let expect = |level: &str, place: &str| (level.to_owned(), place.to_owned());
    assert_eq!(of(Given::default()), expect("info", "default"));
    assert_eq!(of(Given::file("[core]\nlog_level = \"error\"")), expect("error", "line 2"));
    assert_eq!(of(Given::file(FILE)), expect("warn", "line 4"));
    let by_name = || Given::file(FILE).variable("SENTINEL_LOG_LEVEL", "DEBUG");
    assert_eq!(of(by_name()), expect("debug", "environment SENTINEL_LOG_LEVEL"));
    let by_both = || by_name().variable("RUST_LOG", "info,sentinel_edge::kernel=trace");
    assert_eq!(of(by_both()), expect("info,sentinel_edge::kernel=trace", "environment RUST_LOG"));
    assert_eq!(of(by_both().log_level("off")), expect("off", "flag --log-level"));
    assert_eq!(of(by_name().variable("RUST_LOG", "")), expect("debug", "environment SENTINEL_LOG_LEVEL"));
}

#[test]
fn variables_set_values_of_every_type() {
    let resolved =
        Given::file("[ebpf]\nring_buffer_size = 4096\n[monitoring]\nprometheus_endpoint = \"[::1]:1\"")
            .variable("SENTINEL_RING_BUFFER_SIZE", "2MiB")
            .variable("SENTINEL_MAX_EVENTS_PER_SEC", " 20000 ")
            .variable("SENTINEL_METRICS_ENABLED", "1")
            .variable("SENTINEL_PROMETHEUS_PORT", "9100")
            .variable("NODE_NAME", "node-7")
            .load()
            .unwrap();
    assert_eq!(resolved.kernel.ring_buffer_bytes, 2 << 20);
    assert_eq!(resolved.settings.find("ebpf", "max_events_per_sec").unwrap().value.to_string(), "20000");
    assert_eq!(resolved.control.http.listeners[0].address.to_string(), "[::1]:9100");
    assert_eq!(place(&resolved, "monitoring", "prometheus_endpoint"), "environment SENTINEL_PROMETHEUS_PORT");
    assert_eq!(resolved.control.host_name.as_deref(), Some("node-7"));
    let off = Given::default().variable("SENTINEL_METRICS_ENABLED", "no").load().unwrap();
    assert_eq!(off.control.http.listeners.len(), 1);
}

#[test]
fn the_file_is_named_by_flag_then_variable_and_must_exist_then() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, workers: u32| {
        let path = directory.path().join(name);
        fs::write(&path, format!("[core]\nworker_threads = {workers}")).unwrap();
        path
    };
    let (by_flag, by_variable) = (write("flag.toml", 2), write("variable.toml", 3));
    let load = |path: Option<&Path>, variable: Option<&Path>| {
        config::load(&Sources {
            path: path.map(Path::to_owned),
            flags: Flags::default(),
            env: &|name| {
                variable.filter(|_| name == "SENTINEL_CONFIG_PATH").map(|p| p.to_str().unwrap().to_owned())
            },
            host: Host::plain(),
            lenient: false,
        })
    };
    let both = load(Some(&by_flag), Some(&by_variable)).unwrap();
    assert_eq!((both.control.workers, both.source), (2, Some(by_flag)));
    assert_eq!(load(None, Some(&by_variable)).unwrap().control.workers, 3);

    let missing = directory.path().join("missing.toml");
    for errors in [load(Some(&missing), None).unwrap_err(), load(None, Some(&missing)).unwrap_err()] {
        let expected = format!(
            "{}: cannot read it: No such file or directory (os error 2); without --config and SENTINEL_CONFIG_PATH \
             no file is needed",
            missing.display()
        );
        assert_eq!(errors.to_string(), expected);
    }
}

#[test]
fn both_spellings_mix_when_they_agree() {
    let text = "[logging]\nlog_file = \"/a\"\noutput = \"/a\"\nmax_log_files = 7\nmax_size = \"1MiB\"\nlog_rotation = \"daily\"\nrotate = true";
    let file = parse_str("c", text).unwrap().sink.file.unwrap();
    assert_eq!((file.path, file.max_files, file.max_bytes), (PathBuf::from("/a"), 7, Some(1 << 20)));
    assert!(file.daily);
    for text in ["rotate = false", "log_rotation = \"never\"", "rotate = false\nmax_size = \"1MiB\""] {
        let file = parse_str("c", &format!("[logging]\n{text}")).unwrap().sink.file.unwrap();
        assert_eq!((file.max_bytes, file.daily), (None, false), "{text}");
    }
    let by_size = parse_str("c", "[logging]\nlog_rotation = \"size\"").unwrap().sink.file.unwrap();
    assert_eq!((by_size.max_bytes, by_size.daily), (Some(100_000_000), false));
    assert_eq!(parse_str("c", "[logging]\nlog_file = \"\"").unwrap().sink.file, None);
}

#[test]
fn an_address_for_others_needs_tls_and_proof_or_the_word() {
    let open = "[monitoring]\nprometheus_endpoint = \"0.0.0.0:9090\"\n";
    let tls = "tls_cert = \"/c\"\ntls_key = \"/k\"\n";
    for (more, fits) in [
        ("", false),
        (tls, false),
        ("token_file = \"/t\"\n", false),
        (&format!("{tls}token_file = \"/t\"\n"), true),
        (&format!("{tls}client_ca = \"/a\"\n"), false),
        ("allow_insecure = true\n", true),
        ("[core]\nmetrics_enabled = false", true),
    ] {
        assert_eq!(parse_str("c", &format!("{open}{more}")).is_ok(), fits, "{more}");
    }
    for loopback in ["127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "localhost:1"] {
        let text = format!("[monitoring]\nprometheus_endpoint = \"{loopback}\"");
        assert_eq!(complaints(&text), [""; 0]);
    }
}

#[test]
fn switches_of_events_choose_kinds() {
    let kinds = parse_str("c", "[events]\nfork = false\nexit = false").unwrap().kernel.kinds;
    let expected: Vec<Kind> = reported().filter(|kind| !matches!(kind, Kind::Fork | Kind::Exit)).collect();
    assert_eq!(kinds, expected);
    let silent = parse_str("c", "[process]\nenv_allow = []").unwrap().kernel;
    assert_eq!(silent.env_max_bytes, 0, "no variable is wanted, so none is handed over");
}

#[test]
fn lists_of_the_filters_reach_the_kernel_side() {
    let text = "\
[file]
watch_paths = [\"/etc/shadow\", \"*/.aws/\"]
skip_paths = [\"/srv/build/\"]
skip_pseudo = false
[network]
unix_sockets = true
[filter]
merge_window_ms = 250
skip_executables = [\"/usr/bin/rsync\"]
skip_cgroups = [\"/system.slice/backup.service\"]
skip_users = [\"backup\", 1000, \"33\"]
skip_ports = [53, 443]
[core]
state_dir = \"/state\"
[logging]
output = \"\"
";
    let kernel = parse_str("c", text).unwrap().kernel;
    let filter = kernel.filter;
    assert_eq!(kernel.merge_window, Some(Duration::from_millis(250)));
    assert_eq!((filter.watch_paths.len(), filter.skip_paths), (2, vec!["/srv/build/".to_owned()]));
    assert_eq!((filter.skip_users, filter.skip_user_names), (vec![1000, 33], vec!["backup".to_owned()]));
    assert_eq!(
        (filter.skip_ports, filter.skip_executables.len(), filter.skip_cgroups.len()),
        (vec![53, 443], 1, 1)
    );
    assert_eq!(filter.own_directories, [PathBuf::from("/state")]);
    assert!(filter.unix_sockets && !filter.skip_pseudo);
    let off = parse_str("c", "[filter]\nmerge_window_ms = 0").unwrap().kernel;
    assert_eq!(off.merge_window, None);
}

#[test]
fn changes_name_keys_and_what_they_need() {
    let before = parse_str("c", "").unwrap();
    let text = "[logging]\nlog_file = \"/a\"\nlevel = \"debug\"\n[ebpf]\nring_buffer_size = \"2MiB\"\nbatch_size = 64";
    let after = parse_str("c", text).unwrap();
    let changes: Vec<_> =
        before.changes(&after).into_iter().map(|c| (c.key.to_string(), c.needs_restart)).collect();
    let expected =
        [("[ebpf] ring_buffer_size", true), ("[logging] level", false), ("[logging] output", false)];
    assert_eq!(changes, expected.map(|(key, restart)| (key.to_owned(), restart)));
    assert_ne!(before.hash(), after.hash());
    assert_eq!(before.hash(), parse_str("other", "[ebpf]\nbatch_size = 64").unwrap().hash());
    assert_eq!(before.hash().len(), 64);
    assert!(before.changes(&before).is_empty());
}

#[test]
fn everything_that_reloads_is_said_to() {
    let reload: Vec<String> = table::all()
        .filter(|k| k.effect == Effect::Reload && k.alias.is_none() && k.section != "events")
        .map(ToString::to_string)
        .collect();
    assert!(table::all().all(|k| k.section != "events" || k.effect == Effect::Reload));
    let expected = [
        "[core] metrics_enabled",
        "[core] health_check_enabled",
        "[process] env_allow",
        "[process] ancestors",
        "[file] watch_paths",
        "[file] skip_paths",
        "[filter] skip_executables",
        "[filter] skip_cgroups",
        "[filter] skip_users",
        "[filter] skip_ports",
        "[logging] level",
        "[logging] output",
        "[logging] rotate",
        "[logging] log_rotation",
        "[logging] max_size",
        "[logging] max_files",
        "[logging] max_age_days",
        "[logging] compress",
        "[monitoring] metrics_interval_sec",
        "[monitoring] prometheus_endpoint",
        "[monitoring] health_check_port",
        "[monitoring] health_check_address",
        "[monitoring] tls_cert",
        "[monitoring] tls_key",
        "[monitoring] client_ca",
        "[monitoring] token_file",
        "[monitoring] allow_insecure",
        "[monitoring] max_connections",
        "[monitoring] max_connections_per_address",
        "[monitoring] connection_timeout_ms",
        "[security] enable_threat_detection",
        "[security] log_security_events",
        "[security] alert_on_anomalies",
        "[security] rules_dir",
        "[security] indicators_dir",
        "[security] built_in_rules",
        "[security] disabled_rules",
        "[security] shadow_rules",
        "[security] min_level",
        "[security] rule_cpu_percent",
    ];
    assert_eq!(reload, expected);
}
