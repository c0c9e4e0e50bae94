//! How a run ends, and what the supervisor hears of it.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use sentinel_edge::cli::Exit;

use crate::agent::{Agent, Options, command, configure, lines};
use crate::{SOON, assert_exit, finish, said};

#[test]
#[ignore = "needs root and BPF"]
fn both_signals_end_it_in_order_and_in_time() {
    for (signal, name) in [(Signal::SIGTERM, "SIGTERM"), (Signal::SIGINT, "SIGINT")] {
        let mut agent = Agent::start(Options::default());
        let began = Instant::now();
        agent.signal(signal);
        let status = agent.wait(Duration::from_secs(10));
        assert!(began.elapsed() < Duration::from_secs(5), "{name} took {:?}", began.elapsed());
        assert_eq!(status.code(), Some(0), "{name}: {}", agent.stderr());
        let last = lines(&agent.log()).pop().unwrap();
        assert_eq!(
            (&last["event"]["action"], &last["sentineledge"]["reason"]),
            (&"agent_stopped".into(), &name.into())
        );
        let left: Vec<_> = std::fs::read_dir(agent.directory.join("run")).unwrap().flatten().collect();
        assert!(left.iter().all(|entry| entry.file_name() == "agent.lock"), "{left:?}");
        let text = agent.stderr();
        assert!(!text.contains("WARN") && !text.contains("ERROR"), "noise at an ordinary end: {text}");
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn a_reader_that_goes_ends_it_in_peace() {
    let directory = tempfile::tempdir().unwrap();
    configure(directory.path(), None, "");
    let mut command = command(&["run", "--stdout", "json"], directory.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains("agent_started"), "{first}");
    // The next line that it writes finds nobody.
    let stirring = Instant::now();
    while child.try_wait().unwrap().is_none() && stirring.elapsed() < SOON {
        std::process::Command::new("true").status().unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = finish(child);
    assert_exit(&output, Exit::Ok);
    let text = said(&output);
    assert!(text.contains("stopping: standard output was closed"), "{text}");
    assert!(!text.contains("WARN") && !text.contains("ERROR"), "{text}");
    let log = lines(&directory.path().join("log/sentinel.log"));
    assert_eq!(log.last().unwrap()["event"]["action"], "agent_stopped", "the file has its end");
}

/// systemd's end of the socket.
struct Supervisor(UnixDatagram);

impl Supervisor {
    /// The next message that fits, however many others come before it.
    fn hear(&self, fits: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + SOON;
        let mut heard = Vec::new();
        let mut buffer = [0; 4096];
        while Instant::now() < deadline {
            let Ok(n) = self.0.recv(&mut buffer) else { continue };
            let message = String::from_utf8_lossy(&buffer[..n]).into_owned();
            if fits(&message) {
                return message;
            }
            heard.push(message);
        }
        panic!("heard only {heard:?}");
    }

    fn hear_line(&self, line: &str) -> String {
        self.hear(|message| message.lines().any(|l| l == line))
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn the_supervisor_hears_of_every_turn() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let supervisor = Supervisor(UnixDatagram::bind(&path).unwrap());
    supervisor.0.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let env = vec![("NOTIFY_SOCKET", path.display().to_string())];
    let mut agent = Agent::start(Options { env, ..Options::default() });
    let ready = supervisor.hear_line("READY=1");
    assert!(
        ready.lines().any(|line| line.strip_prefix("STATUS=").is_some_and(|status| !status.is_empty())),
        "{ready}"
    );
    for _ in 0..3 {
        supervisor.hear_line("WATCHDOG=1");
    }
    agent.signal(Signal::SIGHUP);
    let reloading = supervisor.hear_line("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "systemd asks for the time with it: {reloading}");
    supervisor.hear_line("READY=1");

    // A refused configuration is not the end of it.
    agent.edit_config(|text| text.replace("[core]", "[core]\nno_such_key = 1"));
    agent.signal(Signal::SIGHUP);
    supervisor.hear_line("RELOADING=1");
    supervisor.hear_line("READY=1");
    supervisor.hear_line("WATCHDOG=1");

    agent.signal(Signal::SIGTERM);
    supervisor.hear_line("STOPPING=1");
    assert!(agent.wait(Duration::from_secs(10)).success());
}
