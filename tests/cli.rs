//! The command line from outside: the built binary, its output, its messages and its exit codes.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed as it should")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

use sentinel_edge::cli::Exit;
use serde_json::Value as Json;
use tempfile::TempDir;

/// A directory with a configuration that uses nothing outside of it, and free ports.
struct Fixture {
    directory: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let fixture = Fixture { directory: tempfile::tempdir().unwrap() };
        fixture.configure("", "");
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes the configuration, with more lines for two of its sections.
    fn configure(&self, core: &str, monitoring: &str) {
        let root = self.directory.path().display();
        let (metrics, health) = (free_port(), free_port());
        let text = format!(
            "[core]\nstate_dir = \"{root}/state\"\nruntime_dir = \"{root}\"\n{core}\n\
             [logging]\nlog_file = \"{root}/log/events.log\"\n\
             [monitoring]\nprometheus_endpoint = \"127.0.0.1:{metrics}\"\nhealth_check_port = {health}\n{monitoring}\n"
        );
        fs::write(self.path("config.toml"), text).unwrap();
        fs::set_permissions(self.path("config.toml"), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(arguments);
        command.arg("--config").arg(self.path("config.toml"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The binary, with nothing of this process's environment that it would listen to.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sentinel-edge"));
    command.args(arguments).stdin(Stdio::null());
    for variable in ["RUST_LOG", "NODE_NAME", "JOURNAL_STREAM", "NO_COLOR"] {
        command.env_remove(variable);
    }
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SENTINEL_") {
            command.env_remove(name);
        }
    }
    command
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn assert_exit(output: &Output, exit: Exit) {
    let code = output.status.code();
    assert_eq!(code, Some(exit.code().into()), "{}{}", stdout(output), stderr(output));
}

#[test]
fn version_tells_what_was_built() {
    let output = run(&["--version"]);
    assert_exit(&output, Exit::Ok);
    let text = stdout(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], format!("sentinel-edge {}", env!("CARGO_PKG_VERSION")));
    for (line, start) in lines[1..].iter().zip(["commit: ", "kernel ABI: ", "target: "]) {
        assert!(line.len() > start.len() && line.starts_with(start), "{line}");
    }
    assert_eq!(lines.len(), 4);
}

#[test]
fn help_lists_commands_and_exit_codes() {
    let text = stdout(&run(&["--help"]));
    for command in ["run", "check-config", "doctor", "tail", "record", "replay", "completions", "man"] {
        assert!(
            text.lines().any(|l| l.trim_start().starts_with(&format!("{command} "))),
            "{command}: {text}"
        );
    }
    assert!(!text.contains("canary"), "{text}");
    for exit in Exit::ALL {
        assert!(text.contains(&format!("  {}  {}", exit.code(), exit.meaning())), "{text}");
    }
    let mut codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
    codes.dedup();
    assert_eq!(codes.len(), Exit::ALL.len(), "exit codes are distinct");
}

#[test]
fn wrong_arguments_are_usage_errors() {
    for arguments in [
        &["--colour"][..],
        &["dcotor"],
        &["--stdout", "xml"],
        &["--stdout", "json", "doctor"],
        &["--check-config", "doctor"],
        &["tail", "--class", "snapshot"],
        &["tail", "--pid", "x"],
        &["record"],
        &["record", "f", "--duration", "1 day"],
        &["completions", "ksh"],
    ] {
        let output = run(arguments);
        assert_exit(&output, Exit::Usage);
        assert!(stderr(&output).starts_with("error: "), "{}", stderr(&output));
    }
    assert!(stderr(&run(&["dcotor"])).contains("'doctor'"), "the nearest command is named");
}

#[test]
fn check_config_says_that_a_file_is_right() {
    let fixture = Fixture::new();
    for arguments in [&["check-config"][..], &["--check-config"]] {
        let output = fixture.run(arguments);
        assert_exit(&output, Exit::Ok);
        let start = format!("{} is right (checked as ", fixture.path("config.toml").display());
        assert!(stdout(&output).starts_with(&start), "{}", stdout(&output));
        assert_eq!(stderr(&output), "");
    }
    assert!(!fixture.path("state").exists(), "a check creates nothing");
}

#[test]
fn check_config_says_what_is_wrong() {
    let fixture = Fixture::new();
    let path = fixture.path("bad.toml");
    fs::write(&path, "[ebpf]\nring_bufer_size = 1\n[core]\nlog_level = 3\n").unwrap();
    let output = command(&["check-config", "--config"]).arg(&path).output().unwrap();
    assert_exit(&output, Exit::Configuration);
    let expected = format!(
        "{0}:2: [ebpf] ring_bufer_size: there is no such key; did you mean ring_buffer_size?\n\
         {0}:4: [core] log_level: expected one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", found 3\n\
         sentinel-edge: 2 errors in the configuration\n",
        path.display()
    );
    assert_eq!((stderr(&output), stdout(&output)), (expected, String::new()));

    let output = command(&["check-config", "--json", "--config"]).arg(&path).output().unwrap();
    assert_exit(&output, Exit::Configuration);
    let answer: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&answer["valid"], &answer["errors"][0]["line"]), (&Json::Bool(false), &Json::from(2)));
    assert_eq!(answer["errors"][1]["key"], "[core] log_level");
}

#[test]
fn show_names_the_origin_of_every_value_and_reads_back() {
    let fixture = Fixture::new();
    let output = fixture
        .command(&["check-config", "--show", "--log-level", "debug"])
        .env("SENTINEL_RING_BUFFER_SIZE", "2097152")
        .output()
        .unwrap();
    assert_exit(&output, Exit::Ok);
    let shown = stdout(&output);
    let origin = |key: &str| {
        let line =
            shown.lines().find(|l| l.starts_with(&format!("{key} = "))).unwrap_or_else(|| panic!("{key}"));
        line.split_once("  # ").unwrap().1.to_owned()
    };
    assert_eq!(origin("level"), "flag --log-level");
    assert_eq!(origin("ring_buffer_size"), "environment SENTINEL_RING_BUFFER_SIZE");
    assert_eq!(origin("state_dir"), format!("{}:2", fixture.path("config.toml").display()));
    assert_eq!(origin("output"), format!("{}:6, as log_file", fixture.path("config.toml").display()));
    assert_eq!(origin("batch_size"), "default");
    assert_eq!(origin("env_allow"), "default");

    // What is shown is a configuration that has the same effect.
    let direct = fixture.command(&["check-config", "--json", "--log-level", "debug"]);
    let hash = |mut command: Command| {
        let output = command.env("SENTINEL_RING_BUFFER_SIZE", "2097152").output().unwrap();
        serde_json::from_slice::<Json>(&output.stdout).unwrap()["hash"].as_str().unwrap().to_owned()
    };
    let copy = fixture.path("shown.toml");
    fs::write(&copy, &shown).unwrap();
    let mut again = command(&["check-config", "--json"]);
    again.arg("--config").arg(copy);
    assert_eq!(hash(direct), hash(again));
}

#[test]
fn show_as_json_has_types() {
    let fixture = Fixture::new();
    let answer: Json =
        serde_json::from_slice(&fixture.run(&["check-config", "--show", "--json"]).stdout).unwrap();
    let settings = answer["settings"].as_array().unwrap();
    let value = |key: &str| settings.iter().find(|s| s["key"] == key).unwrap()["value"].clone();
    assert_eq!(value("ring_buffer_size"), 1_048_576);
    assert_eq!(value("metrics_enabled"), true);
    assert_eq!(value("log_rotation"), "daily");
    assert_eq!(value("env_allow")[0], "LD_PRELOAD");
}

#[test]
fn check_config_asks_the_host() {
    let fixture = Fixture::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    fs::write(fixture.path("token"), "short\n").unwrap();
    fs::set_permissions(fixture.path("token"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(fixture.path("file"), "").unwrap();
    let root = fixture.directory.path().display();
    let text = format!(
        "[core]\nstate_dir = \"{root}/file/state\"\nproc_root = \"{root}\"\nruntime_dir = \"{root}\"\n\
         [logging]\noutput = \"{root}\"\n\
         [monitoring]\nprometheus_endpoint = \"127.0.0.1:{port}\"\nhealth_check_port = {}\n\
         token_file = \"{root}/token\"\n",
        free_port()
    );
    fs::write(fixture.path("config.toml"), text).unwrap();
    let output = fixture.run(&["check-config"]);
    assert_exit(&output, Exit::Configuration);
    let file = fixture.path("config.toml");
    let file = file.display();
    let messages = stderr(&output);
    for expected in [
        format!("error: {file}:2: [core] state_dir: {root}/file is no directory"),
        format!("error: {file}:3: [core] proc_root: {root} is no proc file system"),
        format!("error: {file}:6: [logging] output: {root} is a directory; a file is needed"),
        format!(
            "error: {file}:8: [monitoring] prometheus_endpoint: 127.0.0.1:{port} is in use by another program; \
             `ss -ltnp sport = :{port}` says which"
        ),
        format!(
            "error: {file}:10: [monitoring] token_file: {root}/token is open to others than its owner (mode 0644); \
             chmod 600 {root}/token"
        ),
        format!(
            "error: {file}:10: [monitoring] token_file: {root}/token has a token of 5 bytes, at least 32 are needed; \
             openssl rand -hex 32 > {root}/token"
        ),
    ] {
        assert!(messages.lines().any(|line| line == expected), "{expected}\nis not in\n{messages}");
    }
    assert!(messages.contains("sentinel-edge: 6 errors on this host, checked as "), "{messages}");

    let doctor = fixture.run(&["doctor"]);
    assert_exit(&doctor, Exit::Configuration);
    assert!(
        stdout(&doctor).contains(&format!("-> `ss -ltnp sport = :{port}` says which")),
        "{}",
        stdout(&doctor)
    );
    assert!(stdout(&doctor).contains("\nThe agent cannot run here: "), "{}", stdout(&doctor));
}

#[test]
fn a_missing_file_is_an_error_only_if_it_was_named() {
    let missing = Path::new("/nonexistent/sentinel.toml");
    for output in [
        command(&["check-config", "--config"]).arg(missing).output().unwrap(),
        command(&["check-config"]).env("SENTINEL_CONFIG_PATH", missing).output().unwrap(),
        command(&["tail", "--config"]).arg(missing).output().unwrap(),
    ] {
        assert_exit(&output, Exit::Configuration);
        assert!(
            stderr(&output).starts_with("/nonexistent/sentinel.toml: cannot read it: "),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn completions_exist_for_every_shell() {
    for (shell, mark) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef sentinel-edge"),
        ("fish", "complete -c sentinel-edge"),
        ("elvish", "edit:completion"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let output = run(&["completions", shell]);
        assert_exit(&output, Exit::Ok);
        let script = stdout(&output);
        assert!(script.contains(mark) && script.contains("check-config"), "{shell}");
        assert!(!script.contains("canary"), "{shell}");
    }
}

#[test]
fn man_pages_exist_for_every_command() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("man1");
    assert_exit(&command(&["man"]).arg(&target).output().unwrap(), Exit::Ok);
    let mut names: Vec<String> = fs::read_dir(&target)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected = [
        "-check-config",
        "-completions",
        "-doctor",
        "-health",
        "-man",
        "-record",
        "-replay",
        "-rules",
        "-run",
        "-tail",
        "",
    ];
    assert_eq!(names, expected.map(|command| format!("sentinel-edge{command}.1")));
    let page = fs::read_to_string(target.join("sentinel-edge.1")).unwrap();
    assert!(
        page.contains("EXIT STATUS")
            && page.contains("SENTINEL_RING_BUFFER_SIZE")
            && page.contains("Another agent runs on this host"),
        "{page}"
    );
    let tail = fs::read_to_string(target.join("sentinel-edge-tail.1")).unwrap();
    assert!(tail.contains("exec_failed"), "{tail}");
}

#[test]
fn the_canary_does_nothing() {
    let output = run(&["canary", "0123abcd", "--even", "with", "-flags"]);
    assert_exit(&output, Exit::Ok);
    assert_eq!((stdout(&output), stderr(&output)), (String::new(), String::new()));
}

#[test]
fn health_without_an_agent_says_so() {
    let fixture = Fixture::new();
    let socket = fixture.path("http.sock");
    let expected = format!("sentinel-edge: no agent runs here: nothing listens on {}\n", socket.display());
    for is_left_behind in [false, true] {
        if is_left_behind {
            drop(UnixListener::bind(&socket).unwrap());
        }
        let output = fixture.run(&["health"]);
        assert_exit(&output, Exit::NotRunning);
        assert_eq!((stdout(&output), stderr(&output)), (String::new(), expected.clone()));
    }
}

#[test]
fn tail_without_an_agent_says_so() {
    let fixture = Fixture::new();
    let socket = fixture.path("tail.sock");
    let expected = format!("sentinel-edge: no agent runs here: nothing listens on {}\n", socket.display());
    let output = fixture.run(&["tail"]);
    assert_exit(&output, Exit::NotRunning);
    assert!(stderr(&output).starts_with(&expected), "{}", stderr(&output));

    // A socket that nobody listens on any more, as after kill -9.
    drop(UnixListener::bind(&socket).unwrap());
    let output = fixture.run(&["tail"]);
    assert_exit(&output, Exit::NotRunning);

    fixture.configure("[tail]\nenabled = false", "");
    assert_exit(&fixture.run(&["tail"]), Exit::Configuration);
}

/// Answers one client with these bytes; gives the client's request.
fn agent(fixture: &Fixture, answer: &'static [u8]) -> thread::JoinHandle<String> {
    let listener = UnixListener::bind(fixture.path("tail.sock")).unwrap();
    let body = move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = String::new();
        BufReader::new(stream.try_clone().unwrap()).read_line(&mut request).unwrap();
        // A client that has gone is part of a test.
        let _ = stream.write_all(answer);
        request
    };
    thread::Builder::new().spawn(body).unwrap()
}

#[test]
fn tail_asks_for_classes_and_shows_lines_that_pass() {
    let fixture = Fixture::new();
    let agent = agent(
        &fixture,
        b"{\"process\":{\"pid\":1,\"executable\":\"/usr/bin/id\"},\"user\":{\"name\":\"ada\"}}\n\
          {\"process\":{\"pid\":2,\"executable\":\"/usr/bin/id\"},\"user\":{\"name\":\"root\"}}\n",
    );
    let output =
        fixture.run(&["tail", "--json", "--class", "exec,exit", "--executable", "id", "--user", "root"]);
    assert_exit(&output, Exit::Ok);
    assert_eq!(agent.join().unwrap(), "{\"classes\":[\"exec\",\"exit\"]}\n");
    assert_eq!(
        stdout(&output),
        "{\"process\":{\"pid\":2,\"executable\":\"/usr/bin/id\"},\"user\":{\"name\":\"root\"}}\n"
    );
    assert_eq!(stderr(&output), "sentinel-edge: the agent has stopped\n");
}

#[test]
fn tail_tells_that_it_was_cut_off() {
    let fixture = Fixture::new();
    let agent = agent(&fixture, b"{\"a\":1}\n{\"sentineledge\":{\"tail\":{\"cut\":true,\"missed\":12}}}\n");
    let output = fixture.run(&["tail", "--json"]);
    assert_exit(&output, Exit::Runtime);
    assert_eq!((agent.join().unwrap().as_str(), stdout(&output).as_str()), ("{}\n", "{\"a\":1}\n"));
    assert!(
        stderr(&output).contains("12 events are missing here, not in the agent's file"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn tail_passes_on_what_the_agent_says() {
    let fixture = Fixture::new();
    let answer = b"{\"sentineledge\":{\"tail\":{\"missed\":3}}}\n{\"a\":1}\n\
        {\"sentineledge\":{\"tail\":{\"error\":\"too many clients\"}}}\n";
    let agent = agent(&fixture, answer);
    let output = fixture.run(&["tail", "--json"]);
    assert_exit(&output, Exit::Runtime);
    assert_eq!(stdout(&output), "{\"a\":1}\n");
    assert_eq!(
        stderr(&output),
        "sentinel-edge: the agent could not keep up with the live view; 3 events are missing here\n\
         sentinel-edge: the agent refused: too many clients\n"
    );
    agent.join().unwrap();
}

#[test]
fn tail_ends_quietly_when_its_reader_goes() {
    let fixture = Fixture::new();
    let many: &'static [u8] = Box::leak(b"{\"a\":1}\n".repeat(1 << 20).into_boxed_slice());
    let agent = agent(&fixture, many);
    let mut child =
        fixture.command(&["tail", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 8];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(&first, b"{\"a\":1}\n");
    assert_exit(&output, Exit::Ok);
    assert_eq!(stderr(&output), "");
    agent.join().unwrap();
}
