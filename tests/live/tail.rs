//! `tail` against a running agent.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sentinel_edge::cli::Exit;
use serde_json::Value;

use crate::agent::{Agent, Options, command, tiny_program};
use crate::{assert_exit, finish, run, said};

fn follow(agent: &Agent, arguments: &[&str]) -> Child {
    let mut tail = command(&["tail"], &agent.directory);
    tail.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn await_clients(agent: &Agent, count: u32) {
    agent.until("the clients are served", || agent.metrics().at("sentinel_tail_clients") == f64::from(count));
}

/// A control group as Docker makes them, and its end.
struct Group(PathBuf);

impl Group {
    fn new(id: &str) -> Group {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mount = mounts.lines().find(|line| line.contains(" - cgroup2 ")).expect("cgroup v2 is mounted");
        let root = mount.split(' ').nth(4).unwrap();
        let path = Path::new(root).join(format!("docker-{id}.scope"));
        fs::create_dir(&path).unwrap();
        Group(path)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn each_of_several_clients_gets_what_it_asked_for() {
    let mut agent = Agent::start(Options::default());
    let program = tiny_program(&agent.directory);
    let path = program.to_str().unwrap();
    let id = format!("{:064x}", u128::from(std::process::id()) << 64 | 0xc0ffee);
    let group = Group::new(&id);
    // A process whose pid is known before it runs the program.
    let mut waiting = Command::new("sh")
        .args(["-c", &format!("read x; exec {path} waited")])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = waiting.id().to_string();

    let mut tails = [
        &["--class", "exec_failed"][..],
        &["--class", "exec,exit", "--executable", path],
        &["--pid", &pid],
        &["--user", "nobody", "--executable", "tin*"],
        &["--container", &id[..40]],
        &[],
    ]
    .map(|arguments| follow(&agent, &[arguments, &["--json"]].concat()));
    let people = follow(&agent, &["--executable", path]);
    await_clients(&agent, 7);

    let shell = |script: &str| {
        Command::new("sh").args(["-c", script]).stderr(Stdio::null()).status().unwrap();
    };
    shell(&format!("{path} plain; {path}-missing; exit 0"));
    shell(&format!("setpriv --reuid 65534 --clear-groups {path} nobody; exit 0"));
    shell(&format!("echo $$ > {}/cgroup.procs; {path} contained; exit 0", group.0.display()));
    waiting.stdin.take().unwrap().write_all(b"\n").unwrap();
    waiting.wait().unwrap();
    agent.metrics_at_rest();
    assert!(agent.stop().success());

    let [mut failed, by_executable, by_pid, by_user, by_container, all] = tails.each_mut().map(|tail| {
        let output = finish(std::mem::replace(tail, Command::new("true").spawn().unwrap()));
        assert_exit(&output, Exit::Ok);
        assert_eq!(said(&output), "sentinel-edge: the agent has stopped\n");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    });
    let args = |lines: &[Value]| -> Vec<String> {
        let execs = lines.iter().filter(|line| line["event"]["action"] == "exec");
        execs
            .map(|line| line["process"]["args"].as_array().unwrap().last().unwrap().as_str().unwrap().into())
            .collect()
    };
    assert!(failed.iter().all(|line| line["event"]["action"] == "exec_failed"));
    let missing = format!("{path}-missing");
    // Others on this host fail to run programs, too, and may fail to so often that a client cannot take it all.
    failed.retain(|line| line["file"]["path"] == missing.as_str());
    assert_eq!(failed.len(), 1);
    assert_eq!(args(&by_executable), ["plain", "nobody", "contained", "waited"]);
    assert_eq!(by_executable.len(), 8, "four execs and four exits");
    assert_eq!(args(&by_pid), ["waited"]);
    assert!(by_pid.iter().all(|line| line["process"]["pid"] == waiting.id()));
    assert_eq!(args(&by_user), ["nobody"]);
    assert_eq!(args(&by_container), ["contained"]);
    assert!(by_container.iter().all(|line| line["container"]["id"] == id.as_str()));
    let parts = failed.iter().chain(&by_executable).chain(&by_pid).chain(&by_user).chain(&by_container);
    for line in parts {
        assert!(all.contains(line), "who asked for everything misses {line}");
    }

    let output = finish(people);
    assert_exit(&output, Exit::Ok);
    let text = String::from_utf8(output.stdout).unwrap();
    let plain = text.lines().find(|line| line.contains("tiny plain")).expect("a line for people");
    assert!(plain.contains(" exec ") && plain.contains("root"), "{plain}");
}

#[test]
#[ignore = "needs root and BPF"]
fn a_client_that_stands_still_is_cut_off_without_harm() {
    let agent = Agent::start(Options::default());
    let program = tiny_program(&agent.directory);
    let path = program.to_str().unwrap();
    let stopped = follow(&agent, &["--json"]);
    let pid = Pid::from_raw(i32::try_from(stopped.id()).unwrap());
    let mut other = follow(&agent, &["--json", "--class", "exec", "--executable", path]);
    await_clients(&agent, 2);
    kill(pid, Signal::SIGSTOP).unwrap();
    let reader = BufReader::new(other.stdout.take().unwrap());
    let count = move || reader.lines().map_while(Result::ok).count();
    let counting = std::thread::Builder::new().spawn(count).unwrap();

    let mut execs = 0;
    while agent.metrics().at("sentinel_tail_clients_cut_total") == 0.0 {
        let many = format!("i=0; while [ $i -lt 500 ]; do {path} $i; i=$((i+1)); done");
        Command::new("sh").args(["-c", &many]).status().unwrap();
        execs += 500;
        assert!(execs < 100_000, "a client that does not read is never cut off");
    }
    let samples = agent.metrics_at_rest();
    assert_eq!(samples.lost(), 0.0, "nobody else loses anything");
    assert_eq!(agent.get("/ready").0, 200);
    kill(pid, Signal::SIGCONT).unwrap();
    // What it says comes through its full output pipe, which must be read meanwhile.
    let output = stopped.wait_with_output().unwrap();
    assert_exit(&output, Exit::Runtime);
    let text = said(&output);
    assert!(text.contains("cut off by the agent") && text.contains("events are missing here"), "{text}");

    drop(agent);
    assert_eq!(counting.join().unwrap(), execs, "the other client got every exec");
    finish(other);
}

#[test]
#[ignore = "needs root and BPF"]
fn without_a_socket_there_is_nothing_to_follow() {
    let config = "[core]\nmetrics_enabled = false\nhealth_check_enabled = true\n[tail]\nenabled = false\n";
    let mut agent = Agent::start(Options { config: config.into(), ..Options::default() });
    assert!(!agent.directory.join("run/tail.sock").exists());
    let output = run(&mut command(&["tail"], &agent.directory));
    assert_exit(&output, Exit::Configuration);
    assert!(said(&output).contains("[tail] enabled is false"), "{}", said(&output));
    // As before a reload: its ports are in use, by itself.
    assert_exit(&run(&mut command(&["check-config"], &agent.directory)), Exit::Ok);
    assert!(agent.stop().success());
}
