//! The running agent as its users meet it: started, asked, followed, reloaded, stopped, and refused. Needs root and
//! BPF; `make test` runs it as root, alone and in order.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed as it should")]

#[path = "../agent/mod.rs"]
mod agent;
#[path = "../ecs/mod.rs"]
mod ecs;
#[path = "../linter/mod.rs"]
mod linter;
#[path = "../prometheus/mod.rs"]
mod prometheus;

mod capture;
mod detection;
mod end;
mod monitored;
mod served;
mod start;
mod tail;

use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sentinel_edge::cli::Exit;

/// For things that take moments, on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// Reads what it says until its end, which must come soon, or it is killed.
fn finish(child: Child) -> Output {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let (sender, receiver) = mpsc::channel();
    let wait = move || sender.send(child.wait_with_output().unwrap());
    thread::Builder::new().spawn(wait).unwrap();
    receiver.recv_timeout(SOON).unwrap_or_else(|_| {
        kill(pid, Signal::SIGKILL).unwrap();
        panic!("it does not end: {:?}", receiver.recv());
    })
}

fn run(command: &mut Command) -> Output {
    finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn assert_exit(output: &Output, exit: Exit) {
    assert_eq!(output.status.code(), Some(exit.code().into()), "{}", said(output));
}
