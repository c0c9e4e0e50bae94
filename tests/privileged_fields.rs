//! What happens on the running kernel is what the log says: from a process's life to the fields of its lines.
//!
//! The kernel side's records are checked field by field in `privileged_kernel`; here they go through the whole agent.
//! Needs root and BPF.

mod agent;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use agent::{Agent, Options, lines};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::{Value, json};

/// A copy of a program that does nothing, by whose path its lines are found.
fn program(agent: &Agent) -> PathBuf {
    let path = agent.directory.join("true");
    fs::copy("/bin/true", &path).expect("a copy of /bin/true");
    path
}

/// The line of an action of a process.
fn line_of(agent: &Agent, pid: u32, action: &str) -> Value {
    agent.wait_for(action, |line| line["event"]["action"] == action && line["process"]["pid"] == pid)
}

fn run(command: &mut Command) -> u32 {
    let mut child = command.stdin(Stdio::null()).spawn().expect("starting a command");
    child.wait().expect("waiting for a child");
    child.id()
}

#[test]
#[ignore = "needs root and BPF"]
fn a_life_from_fork_to_exit() {
    let agent = Agent::start(Options::default());
    let path = program(&agent);
    let mut command = Command::new(&path);
    command
        .args(["one", "two words"])
        .current_dir("/")
        .env_clear()
        .env("LD_AUDIT", "")
        .env("SECRET", "password");
    let pid = run(&mut command);
    let [fork, exec, exit] = ["fork", "exec", "exit"].map(|action| line_of(&agent, pid, action));
    let shown = path.display().to_string();

    let process = &exec["process"];
    assert_eq!(process["executable"], shown.as_str());
    assert_eq!(process["name"], "true");
    assert_eq!(process["args"], json!([shown, "one", "two words"]));
    assert_eq!(process["args_count"], 3);
    assert_eq!(process["working_directory"], "/");
    assert_eq!(process["env_vars"], json!(["LD_AUDIT="]), "what is on the list, and nothing else");
    assert_eq!(process["user"], json!({"id": "0", "name": "root"}));
    assert_eq!(process["parent"]["pid"], std::process::id());
    assert_eq!(exec["file"]["inode"], fs::metadata(&path).unwrap().ino().to_string());
    assert_eq!(exec["file"]["mode"], "0755");
    assert_eq!(exec["sentineledge"]["hook"], "tp_btf/sched_process_exec");
    assert_eq!(exec["sentineledge"]["grade"], "kernel");
    for line in [&fork, &exit] {
        assert_eq!(line["process"]["entity_id"], process["entity_id"]);
        assert_eq!(line["process"]["parent"]["entity_id"], process["parent"]["entity_id"]);
    }
    assert_eq!(exit["process"]["exit_code"], 0);
    assert_eq!(exit["process"]["executable"], shown.as_str());
    let sequence = |line: &Value| line["event"]["sequence"].as_u64().unwrap();
    assert!(sequence(&fork) < sequence(&exec) && sequence(&exec) < sequence(&exit));
}

#[test]
#[ignore = "needs root and BPF"]
fn what_ran_before_the_agent_is_known_as_parent() {
    let mut shell = Command::new("/bin/sh")
        .args(["-s", "started", "before"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("a shell");
    let agent = Agent::start(Options::default());
    let path = program(&agent);
    let mut stdin = shell.stdin.take().expect("its input");
    writeln!(stdin, "{} child; exit", path.display()).expect("a command");
    drop(stdin);
    shell.wait().expect("the shell's end");
    let exec = agent.wait_for("the shell's child", |line| {
        line["event"]["action"] == "exec" && line["process"]["executable"] == path.display().to_string()
    });
    let parent = &exec["process"]["parent"];
    assert_eq!(parent["pid"], shell.id());
    assert_eq!(parent["executable"], fs::canonicalize("/bin/sh").unwrap().display().to_string());
    assert_eq!(parent["args"], json!(["/bin/sh", "-s", "started", "before"]));
    let ancestors = exec["sentineledge"]["ancestors"].as_array().expect("ancestors");
    assert!(ancestors.iter().any(|a| a["pid"] == std::process::id()), "{ancestors:?}");
}

#[test]
#[ignore = "needs root and BPF"]
fn a_container_is_known_by_its_control_group() {
    let agent = Agent::start(Options::default());
    let path = program(&agent);
    let hierarchy = agent.directory.join("cgroup2");
    fs::create_dir(&hierarchy).unwrap();
    mount(Some("none"), &hierarchy, Some("cgroup2"), MsFlags::empty(), None::<&str>)
        .expect("mounting cgroup2");
    let id = "0123456789abcdef".repeat(4);
    let docker = hierarchy.join("docker");
    let had_docker = docker.exists();
    let group = docker.join(&id);
    fs::create_dir_all(&group).unwrap();
    let pid = run(Command::new("/bin/sh").args([
        "-c",
        &format!("echo $$ > {}/cgroup.procs; exec {} inside", group.display(), path.display()),
    ]));
    let [exec, exit] = ["exec", "exit"].map(|action| {
        agent.wait_for(action, |line| {
            line["event"]["action"] == action
                && line["process"]["pid"] == pid
                && line["process"]["executable"] == path.display().to_string()
        })
    });
    fs::remove_dir(&group).unwrap();
    if !had_docker {
        fs::remove_dir(&docker).unwrap();
    }
    umount2(&hierarchy, MntFlags::MNT_DETACH).unwrap();
    for line in [exec, exit] {
        assert_eq!(line["container"]["id"], id.as_str());
        assert_eq!(line["container"]["runtime"], "docker");
        assert_eq!(line["sentineledge"]["cgroup"]["path"], format!("/docker/{id}"));
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn rights_gained_and_files_out_of_the_ordinary_are_flagged() {
    let agent = Agent::start(Options::default());
    let path = program(&agent);
    fs::set_permissions(&agent.directory, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o4755)).unwrap();
    let pid = run(Command::new(&path).uid(65534));
    let exec = line_of(&agent, pid, "exec");
    assert_eq!(exec["process"]["user"]["id"], "0");
    assert_eq!(exec["process"]["real_user"]["id"], "65534");
    assert_eq!(exec["file"]["mode"], "4755");
    assert_eq!(exec["sentineledge"]["executable"]["setuid"], true);
    assert_eq!(exec["sentineledge"]["executable"]["secure"], true);

    let script = agent.directory.join("script");
    fs::write(&script, "#!/bin/sh\nexit 9\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let pid = run(&mut Command::new(&script));
    let (exec, exit) = (line_of(&agent, pid, "exec"), line_of(&agent, pid, "exit"));
    assert_eq!(exec["sentineledge"]["script"]["path"], script.display().to_string());
    assert_eq!(exec["sentineledge"]["script"]["interpreter"], "/bin/sh");
    assert_eq!(exit["process"]["exit_code"], 9);

    let pid = run(Command::new("/bin/sh").args(["-c", "kill -KILL $$"]));
    let exit = line_of(&agent, pid, "exit");
    assert_eq!(exit["sentineledge"]["exit"]["signal"], 9);
    assert_eq!(exit["sentineledge"]["exit"]["signal_name"], "SIGKILL");
}

#[test]
#[ignore = "needs root and BPF"]
fn refused_execs_say_why() {
    let agent = Agent::start(Options::default());
    let path = program(&agent);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    Command::new("/no/such/program").arg("x").spawn().expect_err("no such program");
    Command::new(&path).spawn().expect_err("not executable");
    for (file, code) in [("/no/such/program".to_owned(), "ENOENT"), (path.display().to_string(), "EACCES")] {
        let line = agent.wait_for(code, |line| {
            line["event"]["action"] == "exec_failed" && line["file"]["path"] == file.as_str()
        });
        assert_eq!(line["error"]["code"], code);
        assert_eq!(line["event"]["outcome"], "failure");
        assert_eq!(line["sentineledge"]["grade"], "user");
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn long_arguments_are_cut_as_configured_and_said_to_be() {
    let long = "y".repeat(100_000);
    for (config, is_cut) in [("", true), ("[process]\nargs_max_bytes = 131072\n", false)] {
        let agent = Agent::start(Options { config: config.into(), ..Options::default() });
        let path = program(&agent);
        let pid = run(Command::new(&path).args([&long, "last"]));
        let exec = line_of(&agent, pid, "exec");
        let args = exec["process"]["args"].as_array().expect("arguments");
        let truncated = exec["sentineledge"]["truncated"].as_array();
        assert_eq!(truncated.is_some_and(|t| t.contains(&json!("process.args"))), is_cut, "{truncated:?}");
        assert_eq!(args.last(), Some(&json!("last")));
        assert_eq!(exec["process"]["args_count"], 3);
        assert_eq!(args[1].as_str().map(|a| a.len() == long.len()), Some(!is_cut));
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn two_thousand_arguments_are_two_thousand() {
    let agent = Agent::start(Options::default());
    let path = program(&agent);
    let args: Vec<String> = (0..2000).map(|n| format!("argument-{n}")).collect();
    let pid = run(Command::new(&path).args(&args));
    let exec = line_of(&agent, pid, "exec");
    let told = exec["process"]["args"].as_array().expect("arguments");
    assert_eq!(told.len(), 2001);
    assert!(told[1..].iter().zip(&args).all(|(told, arg)| told == arg.as_str()));
    assert!(!lines(&agent.log()).is_empty());
}
