//! `sentinel-edge doctor` from outside: as whoever runs the test, and as processes with fewer rights.
//!
//! The second part needs root to take rights away; it loads nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use sentinel_edge::cli::Exit;
use serde_json::Value;

fn doctor(command: &mut Command) -> (Value, String) {
    let output = command.args(["doctor", "--json"]).output().expect("the command starts");
    (answer(&output), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The answer in JSON, which must agree with how the process ended.
fn answer(output: &Output) -> Value {
    let json: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    let code = output.status.code().expect("it ends by itself");
    assert_eq!(json["exit_code"], code);
    assert_eq!(json["can_run"], code == 0);
    json
}

fn line<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let lines = answer["lines"].as_array().expect("lines");
    lines.iter().find(|line| line["name"] == name).unwrap_or_else(|| panic!("no line {name} in {answer:#}"))
}

#[test]
fn anyone_may_ask() {
    let (answer, stderr) = doctor(&mut Command::new(env!("CARGO_BIN_EXE_sentinel-edge")));
    assert_eq!(stderr, "");
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("a kernel");
    let kernel = line(&answer, "kernel")["detail"].as_str().expect("text");
    assert!(kernel.contains(release.trim()), "{kernel}");
    for name in [
        "BTF",
        "lockdown",
        "namespaces",
        "locked memory",
        "cgroup v2",
        "tracefs",
        "sensor exec",
        "configuration",
    ] {
        assert!(["ok", "warn", "fail"].contains(&line(&answer, name)["verdict"].as_str().expect("text")));
    }
    for failed in answer["lines"].as_array().expect("lines").iter().filter(|line| line["verdict"] == "fail") {
        assert!(failed["remedy"].is_string(), "{failed}");
    }
}

#[test]
fn the_text_ends_with_the_answer() {
    let output = Command::new(env!("CARGO_BIN_EXE_sentinel-edge")).arg("doctor").output().expect("it starts");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let last = text.lines().last().expect("lines");
    let expected =
        if output.status.success() { "The agent can run here; " } else { "The agent cannot run here: " };
    assert!(last.starts_with(expected), "{text}");
}

/// A copy of the program where everybody may run it.
struct Program {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl Program {
    fn new() -> Program {
        let directory = tempfile::tempdir().expect("a directory");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
        let path = directory.path().join("sentinel-edge");
        fs::copy(env!("CARGO_BIN_EXE_sentinel-edge"), &path).expect("a copy");
        Program { _directory: directory, path }
    }

    /// What it says when started by `wrapper`.
    fn under(&self, wrapper: &[&str]) -> Value {
        let (answer, _) = doctor(Command::new(wrapper[0]).args(&wrapper[1..]).arg(&self.path));
        answer
    }

    /// The same as nobody, with these capabilities.
    fn as_nobody_with(&self, capabilities: &[&str]) -> Value {
        let set: Vec<_> =
            ["-all".to_owned()].into_iter().chain(capabilities.iter().map(|c| format!("+{c}"))).collect();
        let set = set.join(",");
        let user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        self.under(&[&user[..], &["--inh-caps", &set, "--ambient-caps", &set]].concat())
    }
}

#[track_caller]
fn assert_capabilities_fail(answer: &Value, detail: &str) {
    assert_eq!(answer["exit_code"], Exit::Privilege.code(), "{answer:#}");
    let line = line(answer, "capabilities");
    assert_eq!((&line["verdict"], &line["detail"]), (&"fail".into(), &detail.into()));
}

#[test]
#[ignore = "needs root"]
fn root_can_run_the_agent() {
    let answer = Program::new().under(&["env"]);
    for name in
        ["kernel", "BTF", "lockdown", "capabilities", "bpf()", "sensor exec", "sensor fork", "sensor exit"]
    {
        assert_eq!(line(&answer, name)["verdict"], "ok", "{answer:#}");
    }
}

#[test]
#[ignore = "needs root"]
fn whoever_lacks_a_capability_is_told_which() {
    let program = Program::new();
    assert_capabilities_fail(&program.as_nobody_with(&[]), "CAP_BPF and CAP_PERFMON are missing");
    assert_capabilities_fail(&program.as_nobody_with(&["bpf"]), "CAP_PERFMON is missing");
    assert_capabilities_fail(&program.as_nobody_with(&["perfmon"]), "CAP_BPF is missing");
    let bare_root = program.under(&["setpriv", "--bounding-set", "-sys_admin,-bpf,-perfmon"]);
    assert_capabilities_fail(&bare_root, "CAP_BPF and CAP_PERFMON are missing, though this is root");
}

#[test]
#[ignore = "needs root"]
fn the_two_capabilities_are_enough_and_so_is_the_old_one() {
    let program = Program::new();
    for (capabilities, verdict) in [
        (&["bpf", "perfmon"][..], "warn"),
        (&["sys_admin"], "warn"),
        (&["bpf", "perfmon", "sys_ptrace", "dac_read_search"], "warn"),
        (&["sys_admin", "sys_ptrace", "dac_read_search"], "ok"),
        (&["bpf", "perfmon", "net_admin", "sys_ptrace", "dac_read_search"], "ok"),
    ] {
        let answer = program.as_nobody_with(capabilities);
        assert_eq!(line(&answer, "capabilities")["verdict"], verdict, "{answer:#}");
        assert_eq!(line(&answer, "bpf()")["verdict"], "ok", "{answer:#}");
        assert_ne!(answer["exit_code"], Exit::Privilege.code(), "{answer:#}");
    }
}

#[test]
#[ignore = "needs root"]
fn who_cannot_see_the_network_is_told() {
    let answer = Program::new().as_nobody_with(&["bpf", "perfmon", "sys_ptrace", "dac_read_search"]);
    let detail = line(&answer, "capabilities")["detail"].to_string();
    assert!(detail.contains("without CAP_NET_ADMIN: hooks of control groups"), "{detail}");
    assert!(!detail.contains("/proc"), "{detail}");
}

#[test]
#[ignore = "needs root"]
fn namespaces_are_seen_through() {
    let program = Program::new();
    let fake_root = program.under(&["unshare", "--user", "--map-root-user"]);
    assert_eq!(fake_root["exit_code"], Exit::Privilege.code(), "{fake_root:#}");
    assert_eq!(line(&fake_root, "namespaces")["verdict"], "fail");
    let inner = program.under(&["unshare", "--pid", "--fork", "--mount-proc"]);
    assert_eq!(line(&inner, "namespaces")["verdict"], "warn", "{inner:#}");
}
