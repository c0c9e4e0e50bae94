//! Every message, word by word.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;
use sentinel_edge::config::{self, Flags, Host, Sources, parse_str, table};

use super::{Given, complaint, complaints};

#[test]
fn a_bad_variable_is_named() {
    let errors = Given::default()
        .variable("SENTINEL_RING_BUFFER_SIZE", "1MB")
        .variable("SENTINEL_MAX_EVENTS_PER_SEC", "many")
        .variable("SENTINEL_METRICS_ENABLED", "maybe")
        .variable("SENTINEL_PROMETHEUS_PORT", "70000")
        .variable("RUST_LOG", "inof")
        .log_level("loud")
        .load()
        .unwrap_err();
    let expected = "\
flag --log-level: expected one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", found \"loud\"
environment RUST_LOG: expected one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", found \"inof\"; did you mean \"info\"?
environment SENTINEL_MAX_EVENTS_PER_SEC: expected a whole number of events per second from 1 to 10000000, found \"many\"
environment SENTINEL_METRICS_ENABLED: expected true or false, found \"maybe\"
environment SENTINEL_PROMETHEUS_PORT: expected a port from 1 to 65535, found \"70000\"
environment SENTINEL_RING_BUFFER_SIZE: expected a power of two of bytes from 4KiB to 1GiB, found \"1MB\"; the nearest valid sizes are 524288 (512KiB) and 1048576 (1MiB)";
    assert_eq!(errors.to_string(), expected);
}

#[test]
fn files_that_are_none_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c.toml");
    let refused = |bytes: &[u8], mode: u32| {
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let sources = Sources {
            path: Some(path.clone()),
            flags: Flags::default(),
            env: &|_| None,
            host: Host::plain(),
            lenient: false,
        };
        config::load(&sources).map(|resolved| resolved.warnings)
    };
    let message = |bytes: &[u8], mode: u32| {
        refused(bytes, mode).unwrap_err().to_string().replace(path.to_str().unwrap(), "c")
    };
    assert_eq!(message(b"[core]\n\xff = 1", 0o600), "c: is no configuration file: line 2 is not UTF-8 text");
    assert_eq!(
        message(&vec![b'#'; (1 << 20) + 1], 0o600),
        "c: is no configuration file: it is larger than 1024 KiB"
    );
    assert_eq!(
        message(b"", 0o602),
        "c: everybody on this host can write to it, so it is not to be trusted; chmod o-w c"
    );
    let warnings = refused(b"", 0o620).unwrap();
    assert_eq!(warnings, [format!("{0}: its group can write to it; chmod g-w {0}", path.display())]);
    assert_eq!(refused(b"", 0o600).unwrap(), [""; 0]);
}

#[test]
fn messages_of_names() {
    for (text, expected) in [
        (
            "[ebpf]\nring_bufer_size = 1",
            "c:2: [ebpf] ring_bufer_size: there is no such key; did you mean ring_buffer_size?",
        ),
        (
            "[core]\nring_buffer_size = 1",
            "c:2: [core] ring_buffer_size: there is no such key; ring_buffer_size belongs in [ebpf]",
        ),
        (
            "[core]\nhealth_check_prot = 1",
            "c:2: [core] health_check_prot: there is no such key; did you mean [monitoring] health_check_port?",
        ),
        ("[tail]\ncolour = 1", "c:2: [tail] colour: there is no such key; [tail] has enabled, max_clients"),
        ("[loging]\nlevel = 1", "c:1: [loging]: there is no such section; did you mean [logging]?"),
        (
            "[x]\ny = 1",
            "c:1: [x]: there is no such section; the sections are [core], [ebpf], [process], [events], [file], [network], [filter], [logging], [monitoring], [security], [tail]",
        ),
        ("batch_size = 1", "c:1: batch_size: stands outside of any section; it belongs under [ebpf]"),
        ("batchsize = 1", "c:1: batchsize: stands outside of any section; did you mean [ebpf] batch_size?"),
        ("y = 1", "c:1: y: stands outside of any section; every key stands under a section such as [core]"),
        ("core = 3", "c:1: core: expected a section, its name in brackets on a line of its own, found 3"),
        (
            "[[core]]",
            "c:1: core: expected a section, its name in brackets on a line of its own, found a list of tables",
        ),
        (
            "[network]\nsnapshot = true",
            "c:2: [network] snapshot: there is no such key; [network] has unix_sockets",
        ),
        (
            "[core]\n\"a\\u001bb\" = 1",
            "c:2: [core] \"a\\u{1b}b\": there is no such key; [core] has profile, metrics_enabled, health_check_enabled, worker_threads, state_dir, runtime_dir, proc_root, log_level",
        ),
    ] {
        assert_eq!(complaint(text), expected);
    }
}

#[test]
fn messages_of_values() {
    for (text, expected) in [
        (
            "[core]\nmetrics_enabled = \"true\"",
            "c:2: [core] metrics_enabled: expected true or false, found \"true\"; write true without quotes",
        ),
        ("[core]\nmetrics_enabled = 1", "c:2: [core] metrics_enabled: expected true or false, found 1"),
        (
            "[core]\nworker_threads = -1",
            "c:2: [core] worker_threads: expected a whole number of threads from 0 to 256, found -1",
        ),
        (
            "[core]\nworker_threads = 1.5",
            "c:2: [core] worker_threads: expected a whole number of threads from 0 to 256, found the number 1.5",
        ),
        (
            "[core]\nworker_threads = \"2\"",
            "c:2: [core] worker_threads: expected a whole number of threads from 0 to 256, found \"2\"; write the number without quotes",
        ),
        ("[core]\nstate_dir = \"lib\"", "c:2: [core] state_dir: expected an absolute path, found \"lib\""),
        ("[core]\nstate_dir = {}", "c:2: [core] state_dir: expected an absolute path, found a table"),
        (
            "[core]\nlog_level = \"warning\"",
            "c:2: [core] log_level: expected one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", found \"warning\"",
        ),
        (
            "[core]\nlog_level = 2026-11-22",
            "c:2: [core] log_level: expected one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", found the date 2026-11-22",
        ),
        (
            "[ebpf]\nring_buffer_size = 1000000",
            "c:2: [ebpf] ring_buffer_size: expected a power of two of bytes from 4KiB to 1GiB, found 1000000; the nearest valid sizes are 524288 (512KiB) and 1048576 (1MiB)",
        ),
        (
            "[ebpf]\nring_buffer_size = 1",
            "c:2: [ebpf] ring_buffer_size: expected a power of two of bytes from 4KiB to 1GiB, found 1",
        ),
        (
            "[ebpf]\nring_buffer_size = \"1M\"",
            "c:2: [ebpf] ring_buffer_size: expected a power of two of bytes from 4KiB to 1GiB, found \"1M\"; units are B, kB, MB, GB, TB (thousands) and KiB, MiB, GiB, TiB (1024s)",
        ),
        (
            "[process]\nenv_max_bytes = \"1MiB\"",
            "c:2: [process] env_max_bytes: expected a power of two of bytes from 1KiB to 32KiB, or 0 (none), found \"1MiB\"",
        ),
        (
            "[process]\nenv_allow = [\"A B\"]",
            "c:2: [process] env_allow: expected a list of names such as [\"LD_PRELOAD\", \"GIT_*\"], found a list of 1; \"A B\" is no name",
        ),
        (
            "[file]\nwatch_paths = [\"/etc/shadow\", \"/home/*/.ssh/\"]",
            "c:2: [file] watch_paths: expected a list of paths such as [\"/etc/shadow\", \"/root/.ssh/\", \"*/.netrc\", \"*/.aws/\", \"/proc/*/mem\"], found a list of 2; \"/home/*/.ssh/\" has a * in the middle; \"*/.ssh/\" is that name anywhere",
        ),
        (
            "[filter]\nskip_ports = [70000]",
            "c:2: [filter] skip_ports: expected a list of ports from 1 to 65535 such as [53, 443], found a list of 1; 70000 is no port",
        ),
        (
            "[filter]\nskip_cgroups = \"/a\"",
            "c:2: [filter] skip_cgroups: expected a list of control groups such as [\"/system.slice/backup.service\"], found \"/a\"",
        ),
        (
            "[process]\nenv_allow = [1]",
            "c:2: [process] env_allow: expected a list of names such as [\"LD_PRELOAD\", \"GIT_*\"], found a list of 1; 1 is not text",
        ),
        (
            "[logging]\nlog_rotation = \"hourly\"",
            "c:2: [logging] log_rotation: expected one of \"daily\", \"size\", \"never\", found \"hourly\"",
        ),
        ("[logging]\nformat = \"text\"", "c:2: [logging] format: expected \"json\", found \"text\""),
        (
            "[logging]\nlog_file = \"a.log\"",
            "c:2: [logging] log_file: expected an absolute path, or \"\" (no file), found \"a.log\"",
        ),
        (
            "[logging]\noutput = \"/var/log/\"",
            "c:2: [logging] output: /var/log/ is a directory; a file is needed",
        ),
        (
            "[monitoring]\nhealth_check_port = 0",
            "c:2: [monitoring] health_check_port: expected a port from 1 to 65535, found 0",
        ),
        (
            "[monitoring]\nprometheus_endpoint = \"127.0.0.1\"",
            "c:2: [monitoring] prometheus_endpoint: expected an IP address and port such as \"127.0.0.1:9090\" or \"[::1]:9090\", found \"127.0.0.1\"; the port is missing",
        ),
        (
            "[monitoring]\nhealth_check_address = \"host\"",
            "c:2: [monitoring] health_check_address: expected an IP address such as \"127.0.0.1\" or \"::1\", found \"host\"",
        ),
    ] {
        assert_eq!(complaint(text), expected);
    }
}

#[test]
fn messages_of_values_against_each_other() {
    for (text, expected) in [
        (
            "[logging]\nlog_file = \"/a\"\nmax_files = 3\noutput = \"/b\"",
            "c:4: [logging] output: is \"/b\", but [logging] log_file on line 2 says \"/a\"; they are two names of one thing, keep one",
        ),
        (
            "[logging]\nmax_files = 3\nmax_log_files = 4",
            "c:2: [logging] max_files: is 3, but [logging] max_log_files on line 3 says 4; they are two names of one thing, keep one",
        ),
        (
            "[logging]\nlog_rotation = \"daily\"\nrotate = false",
            "c:3: [logging] rotate: is false, but [logging] log_rotation (c:2) is \"daily\"; one of them must go",
        ),
        (
            "[logging]\nlog_rotation = \"never\"\nrotate = true",
            "c:3: [logging] rotate: is true, but [logging] log_rotation (c:2) is \"never\"; one of them must go",
        ),
        (
            "[logging]\nlog_rotation = \"size\"\nmax_size = 0",
            "c:3: [logging] max_size: is 0, no limit, but log_rotation is \"size\"; \"never\" is the word for a file that only grows",
        ),
        (
            "[monitoring]\nprometheus_endpoint = \"127.0.0.1:8080\"",
            "c:2: [monitoring] prometheus_endpoint: port 8080 is asked for twice, by prometheus_endpoint (c:2) and health_check_port (default); give each its own",
        ),
        (
            "[monitoring]\nhealth_check_address = \"::\"",
            "c:2: [monitoring] health_check_address: :: can be reached from other hosts, which needs tls_cert, tls_key and token_file; otherwise listen on 127.0.0.1, or say allow_insecure = true",
        ),
        ("[monitoring]\ntls_cert = \"/c\"", "c:2: [monitoring] tls_cert: needs tls_key with it"),
        ("[monitoring]\ntls_key = \"/k\"", "c:2: [monitoring] tls_key: needs tls_cert with it"),
        (
            "[monitoring]\nclient_ca = \"/a\"",
            "c:2: [monitoring] client_ca: needs tls_cert and tls_key with it",
        ),
        (
            "[monitoring]\ncanary_interval_sec = 3",
            "c:2: [monitoring] canary_interval_sec: canary_timeout_sec (5) is longer than canary_interval_sec (3); a canary must be back before the next one goes",
        ),
    ] {
        assert_eq!(complaint(text), expected);
    }
    let pages = Host { page_bytes: 65_536, ..Host::plain() };
    let errors = Given::file("[ebpf]\nring_buffer_size = 4096").host(pages).load().unwrap_err().to_string();
    let message = "[ebpf] ring_buffer_size: 4096 is no multiple of this host's page size; the nearest valid size is 65536";
    assert!(errors.ends_with(message), "{errors}");
}

#[test]
fn messages_of_syntax() {
    for (text, expected) in [
        (
            "[core]\nstate_dir = /var/lib/x",
            "c:2: [core] state_dir: not valid TOML: text stands in quotes, as in \"/var/lib/x\"; expected an absolute path",
        ),
        (
            "[core]\nmetrics_enabled = True",
            "c:2: [core] metrics_enabled: not valid TOML: write true in lower case; expected true or false",
        ),
        (
            "[core]\nstate_dir = \"/x",
            "c:2: [core] state_dir: not valid TOML: invalid basic string, expected `\"`; expected an absolute path",
        ),
        ("[core", "c:1: not valid TOML: unclosed table, expected `]`"),
        (
            "[core]\n[tail]\n[core]",
            "c:3: not valid TOML: core is there already, on line 1; put the keys of both under the first",
        ),
        (
            "[core]\nstate_dir = \"/a\"\nstate_dir = \"/b\"",
            "c:3: not valid TOML: state_dir is there already, on line 2",
        ),
    ] {
        assert_eq!(complaint(text), expected);
    }
}

#[test]
fn all_mistakes_of_a_file_come_at_once_in_order() {
    let text = "[tail]\nenabled = 1\n[core]\nlevel = 1\nworker_threads = 900\n[monitoring]\nhealth_check_port = 9090";
    let lines: Vec<String> =
        complaints(text).iter().map(|c| c.split(": ").next().unwrap().to_owned()).collect();
    assert_eq!(lines, ["c:2", "c:4", "c:5", "c:7"]);
}

/// Text that looks like a configuration often enough to get past the parser.
fn config_like() -> impl Strategy<Value = String> {
    let section = prop::sample::select(table::SECTIONS).prop_map(|s| format!("[{}]", s.name));
    let key = prop::sample::select(table::all().map(|k| k.name).collect::<Vec<_>>());
    let value = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        any::<bool>().prop_map(|b| b.to_string()),
        "\"[ -~]{0,20}\"",
        Just("\"100MB\"".to_owned()),
        Just("[\"A\", \"\"]".to_owned()),
        Just("0x7fffffffffffffff".to_owned()),
        Just("[[[]]]".to_owned()),
        "\\PC{0,20}",
    ];
    let line = prop_oneof![section, (key, value).prop_map(|(k, v)| format!("{k} = {v}")), "\\PC{0,30}"];
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn no_text_panics_and_every_message_is_one_printable_line(text in prop_oneof![config_like(), any::<String>()]) {
        if let Err(errors) = parse_str("c", &text) {
            prop_assert!(errors.iter().count() > 0);
            for error in errors.iter() {
                let message = error.to_string();
                prop_assert!(!message.contains(|c: char| c.is_control()), "{message:?}");
                prop_assert!(message.len() < 1_000, "{message}");
            }
        }
    }
}
