//! The live view: filters, several clients, slow ones, wrong ones, and the socket itself.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use sentinel_edge::metrics::{Metrics, Outcome, SinkName};
use sentinel_edge::sink::config::TailConfig;
use sentinel_edge::sink::tail::{Tail, connect};
use serde_json::Value;

use crate::common::{assert_closed, batch, eventually, total};

struct View {
    tail: Tail,
    metrics: Arc<Metrics>,
    path: PathBuf,
    _dir: tempfile::TempDir,
}

fn view(max_clients: usize, client_buffer_bytes: usize, buffer_bytes: usize) -> View {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run/tail.sock");
    let metrics = Arc::new(Metrics::default());
    let config = TailConfig { path: path.clone(), max_clients, client_buffer_bytes };
    let tail = Tail::start(config, buffer_bytes, Arc::clone(&metrics)).unwrap();
    View { tail, metrics, path, _dir: dir }
}

impl View {
    /// A client that the server serves by now.
    fn follow(&self, classes: &[&str]) -> BufReader<UnixStream> {
        let before = self.metrics.tail_clients.get();
        let stream = connect(&self.path, classes).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        eventually("the client is served", || self.metrics.tail_clients.get() > before);
        BufReader::new(stream)
    }
}

fn line(reader: &mut impl BufRead) -> Value {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"))
}

#[test]
fn each_client_gets_the_classes_it_asked_for_from_now_on() {
    let view = view(4, 1 << 20, 1 << 20);
    view.tail.offer(&batch(0, 0, 8, 150));
    assert_eq!(total(&view.metrics, SinkName::Tail, Outcome::Offered), 0, "nobody was there");
    let mut all = view.follow(&[]);
    let mut forks = view.follow(&["fork"]);
    // Out of order, as workers finish.
    view.tail.offer(&batch(2, 16, 8, 150));
    view.tail.offer(&batch(1, 8, 8, 150));
    for sequence in 8..24u64 {
        assert_eq!(line(&mut all)["event"]["sequence"], sequence);
    }
    for sequence in [9u64, 13, 17, 21] {
        assert_eq!(line(&mut forks)["event"]["sequence"], sequence);
    }
    drop(all);
    eventually("it is gone", || view.metrics.tail_clients.get() == 1.0);
    view.tail.offer(&batch(3, 24, 8, 150));
    assert_eq!(line(&mut forks)["event"]["sequence"], 25);
    assert!(view.tail.stop());
    assert_closed(&view.metrics, SinkName::Tail);
    assert_eq!(total(&view.metrics, SinkName::Tail, Outcome::Delivered), 24);
}

#[test]
fn a_slow_client_is_cut_off_and_told_while_others_get_everything() {
    let view = view(4, 64 * 1024, 8 << 20);
    let slow = view.follow(&[]);
    let mut good = view.follow(&[]);
    let mut waited = Duration::ZERO;
    let mut lines: Vec<Value> = Vec::new();
    let (read, slow_reads) = (AtomicU64::new(0), AtomicBool::new(false));
    let (read, slow_reads) = (&read, &slow_reads);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for sequence in 0..20_000u64 {
                assert_eq!(line(&mut good)["event"]["sequence"], sequence);
                read.store(sequence, Relaxed);
            }
        });
        let slow = scope.spawn(move || {
            eventually("it is cut off", || slow_reads.load(Relaxed));
            slow.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
        });
        for index in 0..2000u64 {
            eventually("the good one keeps up", || read.load(Relaxed) + 100 > index * 10);
            let before = Instant::now();
            view.tail.offer(&batch(index, index * 10, 10, 300));
            waited = waited.max(before.elapsed());
            slow_reads.store(view.metrics.tail_cut.get() > 0, Relaxed);
        }
        lines = slow.join().unwrap();
    });
    assert!(waited < Duration::from_secs(2), "offer never waits: {waited:?}");
    assert_eq!(view.metrics.tail_cut.get(), 1);
    let (last, events) = lines.split_last().unwrap();
    let got = events.len() as u64;
    assert_eq!(last["sentineledge"]["tail"]["cut"], true);
    let missed = last["sentineledge"]["tail"]["missed"].as_u64().unwrap();
    assert!(got > 0 && missed > 0 && got + missed <= 20_000, "{got} {missed}");
    assert!(events.iter().enumerate().all(|(i, event)| event["event"]["sequence"] == i as u64));
    assert!(view.tail.stop());
    assert_closed(&view.metrics, SinkName::Tail);
}

#[test]
fn what_the_server_itself_loses_is_told() {
    // Hardly more than a batch fits on the way to the server.
    let view = view(1, 8 << 20, 8 * 1024);
    let client = view.follow(&[]);
    let reading = std::thread::spawn(move || {
        let (mut got, mut missed) = (0, 0);
        for line in client.lines() {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            missed += line["sentineledge"]["tail"]["missed"].as_u64().unwrap_or(0);
            got += u64::from(line["event"]["sequence"].is_u64());
        }
        (got, missed)
    });
    for index in 0..3000u64 {
        view.tail.offer(&batch(index, index * 10, 10, 300));
    }
    eventually("all is dealt out", || view.metrics.sink_queued.at(SinkName::Tail).get() == 0.0);
    // The client reads what is in its socket.
    std::thread::sleep(Duration::from_millis(300));
    assert!(view.tail.stop());
    assert_closed(&view.metrics, SinkName::Tail);
    let (got, missed) = reading.join().unwrap();
    assert!(missed > 0);
    assert_eq!(missed, total(&view.metrics, SinkName::Tail, Outcome::Lost));
    assert_eq!(got, total(&view.metrics, SinkName::Tail, Outcome::Delivered));
}

#[test]
fn who_asks_wrongly_or_is_too_many_gets_a_reason() {
    let view = view(2, 1 << 20, 1 << 20);
    let refusal = |request: &str| {
        let mut stream = UnixStream::connect(&view.path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["sentineledge"]["tail"]["error"].as_str().unwrap().to_owned()
    };
    assert!(refusal("{\"classes\":[\"exce\"]}\n").contains("no class \"exce\""));
    assert!(refusal("GET / HTTP/1.1\r\n\r\n").contains("expected value"));
    assert!(refusal(&"x".repeat(5000)).contains("too long"));
    let _clients = [view.follow(&[]), view.follow(&[])];
    assert!(refusal("{}\n").contains("2 clients already"));
    // One that says nothing and goes does no harm.
    drop(UnixStream::connect(&view.path).unwrap());
    assert_eq!(view.metrics.tail_clients.get(), 2.0);
}

#[test]
fn a_client_that_closes_its_side_still_hears() {
    let view = view(2, 1 << 20, 1 << 20);
    let mut client = view.follow(&[]);
    client.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    view.tail.offer(&batch(0, 7, 1, 150));
    assert_eq!(line(&mut client)["event"]["sequence"], 7);
}

#[test]
fn the_socket_is_private_and_takes_the_place_of_a_dead_one_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run/tail.sock");
    fs::create_dir(path.parent().unwrap()).unwrap();
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "the stale one");
    let metrics = Arc::new(Metrics::default());
    let config =
        |path: &Path| TailConfig { path: path.to_owned(), max_clients: 2, client_buffer_bytes: 1 << 20 };
    let tail = Tail::start(config(&path), 1 << 20, Arc::clone(&metrics)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let twin = Tail::start(config(&path), 1 << 20, Arc::clone(&metrics)).unwrap_err();
    assert!(twin.to_string().contains("another agent listens there"), "{twin}");
    let other = dir.path().join("other/tail.sock");
    tail.reconfigure(config(&other)).unwrap();
    eventually("it has moved", || UnixStream::connect(&other).is_ok() && !path.exists());
    let file = dir.path().join("file");
    fs::write(&file, "precious").unwrap();
    assert!(tail.reconfigure(config(&file)).is_err());
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    assert!(tail.stop());
    assert!(!other.exists());
}
