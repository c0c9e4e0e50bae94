//! What needs a process of its own: descriptors that run out, and counting threads, descriptors and memory.
//!
//! The process is a child: this very test binary, running the one ignored test below with a low limit of
//! descriptors. It is told what to do on its standard input.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use nix::sys::resource::{Resource, setrlimit};

use crate::support::{Agent, ask, dial, dial_from, eventually, get, host, in_thread, status};

const CHILD: &str = "child::child_that_does_as_told";

#[test]
#[ignore = "a part of the other tests here, which run it as a child"]
fn child_that_does_as_told() {
    setrlimit(Resource::RLIMIT_NOFILE, 64, 64).unwrap();
    let agent = Agent::new();
    let mut hoard = Vec::new();
    let say = |text: &dyn std::fmt::Display| println!("\n@{text}");
    say(&agent.address());
    for line in std::io::stdin().lines() {
        match &*line.unwrap() {
            "exhaust" => {
                while let Ok(file) = File::open("/dev/null") {
                    hoard.push(file);
                }
                say(&hoard.len());
            }
            "release" => {
                hoard.clear();
                say(&"released");
            }
            "lose the socket" => {
                std::fs::remove_file(&agent.config.socket).unwrap();
                say(&"lost");
            }
            "errors" => {
                let text = agent.metrics().render();
                let name = "sentinel_errors_by_type_total{type=\"http\"} ";
                say(&text.lines().find_map(|line| line.strip_prefix(name)).unwrap());
            }
            "descriptors" => say(&std::fs::read_dir("/proc/self/fd").unwrap().count()),
            "refused" => say(&agent.metrics().http_refused.get()),
            key => say(&status(key)),
        }
    }
}

/// An agent in a process of its own.
struct Remote {
    process: Child,
    tell: ChildStdin,
    hear: BufReader<ChildStdout>,
}

impl Remote {
    fn start() -> (Remote, SocketAddr) {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", CHILD, "--ignored", "--nocapture", "--test-threads=1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let tell = process.stdin.take().unwrap();
        let hear = BufReader::new(process.stdout.take().unwrap());
        let mut child = Remote { process, tell, hear };
        let address = child.heard().parse().unwrap();
        (child, address)
    }

    fn heard(&mut self) -> String {
        let mut line = String::new();
        while !line.starts_with('@') {
            line.clear();
            assert!(self.hear.read_line(&mut line).unwrap() > 0, "the child has ended");
        }
        line[1..].trim().to_owned()
    }

    fn tell(&mut self, what: &str) -> String {
        writeln!(self.tell, "{what}").unwrap();
        self.heard()
    }

    fn number(&mut self, what: &str) -> u64 {
        self.tell(what).parse().unwrap()
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn health_is_answered_without_descriptors() {
    let (mut child, address) = Remote::start();
    assert_eq!(ask(address, &get("/health")).status(), 200);
    let hoarded = child.number("exhaust");
    assert!(hoarded > 5, "{hoarded}");
    for round in 0..5 {
        assert_eq!(ask(address, &get("/health")).status(), 200, "round {round}");
        // The reserve is filled again within a second.
        std::thread::sleep(Duration::from_millis(1100));
    }
    let errors = child.number("errors");
    assert!(errors >= 5, "{errors}");
    child.tell("release");
    for _ in 0..20 {
        assert_eq!(ask(address, &get("/health")).status(), 200);
    }
}

#[test]
fn a_flood_without_descriptors_is_survived() {
    let (mut child, address) = Remote::start();
    child.tell("exhaust");
    let flood: Vec<_> = (0..40)
        .map(|_| in_thread(move || drop(std::panic::catch_unwind(|| ask(address, &get("/metrics"))))))
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    child.tell("release");
    flood.into_iter().for_each(|client| client.join().unwrap());
    eventually("answers", || ask(address, &get("/health")).status() == 200);
    for _ in 0..20 {
        assert_eq!(ask(address, &get("/metrics")).status(), 200);
    }
}

#[test]
fn servers_built_anew_leave_no_threads_or_descriptors_behind() {
    let (mut child, address) = Remote::start();
    assert_eq!(ask(address, &get("/health")).status(), 200);
    let (threads, descriptors) = (child.number("Threads"), child.number("descriptors"));
    for round in 1..=10 {
        // What a cleaner of temporary files does.
        child.tell("lose the socket");
        assert_eq!(ask(address, &get("/health")).status(), 200);
        assert_eq!(child.number("errors"), round);
    }
    eventually("the end of old threads", || child.number("Threads") <= threads);
    eventually("the end of old descriptors", || child.number("descriptors") <= descriptors);
}

#[test]
fn those_who_come_and_go_leave_nothing_behind() {
    let (mut child, address) = Remote::start();
    assert_eq!(ask(address, &get("/health")).status(), 200);
    let (threads, descriptors) = (child.number("Threads"), child.number("descriptors"));
    for i in 0..400 {
        let mut stream = dial_from(host(i), address);
        if i % 2 == 0 {
            let _ = stream.write_all(b"GET /hea");
        }
    }
    eventually("an answer", || ask(address, &get("/health")).status() == 200);
    eventually("the end of threads", || child.number("Threads") <= threads);
    eventually("the end of descriptors", || child.number("descriptors") <= descriptors);
}

#[test]
fn a_header_of_168_mib_is_cut_at_8_kib() {
    let (mut child, address) = Remote::start();
    assert_eq!(ask(address, &get("/metrics")).status(), 200);
    let before = child.number("VmHWM");
    let flood: Vec<_> = (0..4)
        .map(|_| {
            in_thread(move || {
                let mut stream = dial(address);
                stream.write_all(b"GET /health HTTP/1.1\r\nX: ").unwrap();
                let chunk = vec![b'a'; 64 * 1024];
                let sent = (0..168 * 16).take_while(|_| stream.write_all(&chunk).is_ok()).count();
                assert!(sent < 168 * 16, "nobody cut it");
            })
        })
        .collect();
    flood.into_iter().for_each(|client| client.join().unwrap());
    let grown = child.number("VmHWM") - before;
    assert!(grown < 1024, "{grown} KiB more");
    assert_eq!(child.number("refused"), 4);
    assert_eq!(ask(address, &get("/health")).status(), 200);
}
