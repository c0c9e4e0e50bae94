//! `record` on the live kernel, then `replay` of what it wrote.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sentinel_edge::cli::Exit;
use serde_json::Value;

use crate::agent::{command, configure, lines, tiny_program};
use crate::{assert_exit, ecs, finish, run, said};

#[test]
#[ignore = "needs root and BPF"]
fn a_recorded_capture_replays_with_ancestors_and_outcomes() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    configure(directory, None, "");
    let program = tiny_program(directory);
    let file = directory.join("capture");
    let arguments = ["record", file.to_str().unwrap(), "--duration", "12s"];
    let began = Instant::now();
    let recorder =
        command(&arguments, directory).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The header is written when the probes are about to be attached; what counts is that some rounds come after.
    let script = format!("{0} a 7; {0} b; {1}/missing; exit 0", program.display(), directory.display());
    while began.elapsed() < Duration::from_secs(10) {
        Command::new("sh").args(["-c", &script]).stderr(Stdio::null()).status().unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    let recorded = finish(recorder);
    assert_exit(&recorded, Exit::Ok);
    assert!(
        said(&recorded).contains(" records, ") && said(&recorded).contains(" 0 lost"),
        "{}",
        said(&recorded)
    );
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "command lines are private");

    let out = directory.join("out.log");
    let replayed =
        run(&mut command(&["replay", file.to_str().unwrap(), "-o", out.to_str().unwrap()], directory));
    assert_exit(&replayed, Exit::Ok);
    let lines = lines(&out);
    for (line, number) in lines.iter().zip(1..) {
        assert_eq!(line["event"]["sequence"], number);
        assert_eq!(ecs::check(line), [""; 0], "{line}");
    }
    let path = program.to_str().unwrap();
    let of = |action: &str, pid: &Value| {
        let fits = |line: &&Value| line["event"]["action"] == action && line["process"]["pid"] == *pid;
        lines.iter().find(fits).cloned()
    };
    let is_first = |line: &&Value| {
        line["event"]["action"] == "exec"
            && line["process"]["executable"] == path
            && line["process"]["args"][1] == "a"
    };
    // One of the middle: programs are attached one after the other, and detached so.
    let execs: Vec<_> = lines.iter().filter(is_first).collect();
    assert!(execs.len() > 2, "{} execs", execs.len());
    let exec = execs[execs.len() / 2];
    let pid = &exec["process"]["pid"];
    // Who ran before the capture is known from the snapshot at its head.
    let chain: Vec<_> =
        exec["sentineledge"]["ancestors"].as_array().unwrap().iter().map(|a| &a["pid"]).collect();
    assert_eq!(exec["process"]["parent"]["pid"], *chain[0]);
    assert_eq!(*chain[1], std::process::id(), "the shell is a child of this test: {exec}");
    assert_eq!(*chain.last().unwrap(), 1, "the chain goes up to the first process: {exec}");
    assert_eq!(of("fork", pid).expect("its fork")["process"]["parent"]["pid"], *chain[0]);
    assert_eq!(of("exit", pid).expect("its exit")["process"]["exit_code"], 7);
    let failed = lines.iter().any(|line| {
        line["event"]["action"] == "exec_failed"
            && line["error"]["code"] == "ENOENT"
            && line["file"]["path"].as_str().is_some_and(|path| path.ends_with("/missing"))
    });
    assert!(failed, "the exec of what is not there");
}

#[test]
#[ignore = "needs root and BPF"]
fn a_capture_ends_at_a_signal_and_never_overwrites_unasked() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    configure(directory, None, "");
    let file = directory.join("capture");
    let arguments = ["record", file.to_str().unwrap()];
    let recorder =
        command(&arguments, directory).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + crate::SOON;
    while !file.exists() {
        assert!(Instant::now() < deadline, "no capture");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(recorder.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    assert_exit(&finish(recorder), Exit::Ok);
    let before = fs::read(&file).unwrap();
    assert_exit(&run(&mut command(&["replay", file.to_str().unwrap()], directory)), Exit::Ok);

    let refused = run(&mut command(&arguments, directory));
    assert_exit(&refused, Exit::Runtime);
    assert!(
        said(&refused).contains("exists already") && said(&refused).contains("--force"),
        "{}",
        said(&refused)
    );
    assert_eq!(fs::read(&file).unwrap(), before);
}
