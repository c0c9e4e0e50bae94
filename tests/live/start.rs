//! What a start takes from its environment, and why one is refused.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use sentinel_edge::cli::Exit;

use crate::agent::{Agent, Options, command, configure, free_ports};
use crate::{assert_exit, run, said};

/// Everything below the directory but the configuration.
fn left_behind(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        for entry in fs::read_dir(path).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else if entry.file_name() != "config.toml" {
                found.push(entry.path().strip_prefix(directory).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

/// Starts an agent with these keys, which must not come up.
fn refused(directory: &Path, keys: &str) -> Output {
    configure(directory, None, keys);
    run(&mut command(&["run"], directory))
}

#[test]
#[ignore = "needs root and BPF"]
fn the_environment_has_a_say() {
    let (port, _) = free_ports();
    let env = vec![
        ("SENTINEL_PROMETHEUS_PORT", port.to_string()),
        ("SENTINEL_RING_BUFFER_SIZE", (1 << 18).to_string()),
        ("RUST_LOG", "debug".into()),
    ];
    let mut over = Agent::start(Options { env, ..Options::default() });
    over.port = port;
    assert_eq!(over.metrics().at(r#"sentinel_ring_size_bytes{ring="critical"}"#), f64::from(1 << 18));
    assert!(over.stderr().contains(" DEBUG "), "{}", over.stderr());
    drop(over);

    let env = vec![("SENTINEL_LOG_LEVEL", "error".into()), ("SENTINEL_METRICS_ENABLED", "false".into())];
    let mut agent = Agent::start(Options { env, ..Options::default() });
    let text = fs::read_to_string(agent.directory.join("config.toml")).unwrap();
    let metrics = text.lines().find_map(|line| line.strip_prefix("prometheus_endpoint = ")).unwrap();
    assert!(std::net::TcpStream::connect(metrics.trim_matches('"')).is_err(), "that port stays closed");
    assert!(agent.stop().success());
    assert_eq!(agent.stderr(), "", "nothing went wrong, so there is nothing to say");
}

#[test]
#[ignore = "needs root and BPF"]
fn a_port_in_use_is_refused_by_the_name_of_its_holder() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let env = [("SENTINEL_PROMETHEUS_PORT", port.to_string())];
    configure(directory.path(), None, "");
    let output = run(command(&["run"], directory.path()).envs(env));
    assert_exit(&output, Exit::Runtime);
    let own = fs::read_to_string("/proc/self/comm").unwrap();
    let holder = format!("{} (pid {})", own.trim(), std::process::id());
    let text = said(&output);
    let last = text.lines().last().unwrap();
    assert!(
        last.starts_with("sentinel-edge: ") && last.contains(&port.to_string()) && last.contains(&holder),
        "{text}"
    );
    // The lock file stays by design: removing it would let two agents hold one each.
    let left = left_behind(directory.path());
    assert!(left.iter().all(|file| !file.ends_with(".sock")), "{left:?}");
    drop(taken);

    let mut agent =
        Agent::start(Options { directory: Some(directory.path().to_owned()), ..Options::default() });
    assert!(agent.stop().success(), "the refused start is in nobody's way");
}

#[test]
#[ignore = "needs root and BPF"]
fn a_wrong_configuration_is_refused_before_anything_is_made() {
    for (keys, expected) in [
        (
            "[ebpf]\nring_bufer_size = 65536\n",
            "ring_bufer_size: there is no such key; did you mean ring_buffer_size?",
        ),
        ("[ebpf]\nring_buffer_size = 65537\n", "ring_buffer_size: expected a power of two"),
        ("[ebpf]\nring_buffer_size = \"big\"\n", "ring_buffer_size: expected "),
        ("[monitoring]\ntls_cert = \"/etc/cert.pem\"\n", "tls_key"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let output = refused(directory.path(), keys);
        assert_exit(&output, Exit::Configuration);
        let text = said(&output);
        assert!(text.contains(expected), "{expected}\nis not in\n{text}");
        assert!(text.contains("config.toml:"), "{text}");
        assert_eq!(left_behind(directory.path()), [""; 0]);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn directories_that_cannot_be_used_are_named() {
    for (keys, path) in [("log_file", "log"), ("state_dir", "state"), ("runtime_dir", "run")] {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(path), "in the way").unwrap();
        let output = refused(directory.path(), "");
        assert_exit(&output, Exit::Runtime);
        let text = said(&output);
        let name = directory.path().join(path);
        assert!(text.contains(name.to_str().unwrap()), "{keys}: {text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("sentinel-edge: ")).count(), 1, "{text}");
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn who_may_not_load_programs_is_told_so() {
    let directory = tempfile::tempdir().unwrap();
    configure(directory.path(), None, "");
    // In the temporary directory of the test only its owner may start it.
    let program = std::env::temp_dir().join(format!("sentinel-edge-{}", std::process::id()));
    fs::copy(env!("CARGO_BIN_EXE_sentinel-edge"), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let nobody = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(&program)
            .args(arguments);
        run(&mut command)
    };
    for arguments in [&["run"][..], &[], &["record", "/tmp/never-made"]] {
        let output = nobody(arguments);
        assert_exit(&output, Exit::Privilege);
        let text = said(&output);
        assert!(
            text.starts_with("sentinel-edge: CAP_BPF and CAP_PERFMON are missing; run as root"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 1, "{text}");
    }
    assert!(!Path::new("/tmp/never-made").exists());
    let doctor = nobody(&["doctor"]);
    assert_exit(&doctor, Exit::Privilege);
    let mut stripped = Command::new("setpriv");
    stripped.args(["--bounding-set", "-all", "--inh-caps", "-all"]).arg(&program);
    let output = run(stripped.arg("--config").arg(directory.path().join("config.toml")));
    fs::remove_file(&program).unwrap();
    assert_exit(&output, Exit::Privilege);
    assert!(said(&output).contains("though this is root"), "{}", said(&output));
    assert_eq!(left_behind(directory.path()), [""; 0]);
}
