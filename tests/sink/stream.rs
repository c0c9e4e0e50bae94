//! Standard output, here a pipe: a slow reader, none at all, and lines for people.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use sentinel_edge::metrics::{Metrics, Outcome, SinkName};
use sentinel_edge::sink::config::StdoutFormat;
use sentinel_edge::sink::loss::plain_loss_line;
use sentinel_edge::sink::stdout::StreamOutput;
use sentinel_edge::sink::worker::{self, Setup};
use sentinel_edge::sink::{Handle, WhenFull};
use sentinel_edge::util::thread::Thread;

use crate::common::{assert_closed, batch, eventually, total, worker};

struct Stream {
    reader: File,
    writer: File,
    handle: Handle,
    thread: Thread,
    metrics: Arc<Metrics>,
}

fn stream(format: StdoutFormat, when_full: WhenFull) -> Stream {
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let (reader, writer) = (File::from(reader), File::from(writer));
    let metrics = Arc::new(Metrics::default());
    let output = StreamOutput::new(writer.try_clone().unwrap(), format);
    let mut setup = Setup::new(SinkName::Stdout, worker(), Arc::clone(&metrics), plain_loss_line());
    setup.when_full = when_full;
    setup.patience = Duration::from_millis(100);
    let (handle, thread) = worker::start(setup, Box::new(output)).unwrap();
    Stream { reader, writer, handle, thread, metrics }
}

#[test]
fn every_line_arrives_through_a_pipe_that_takes_little_at_a_time() {
    for non_blocking in [false, true] {
        let Stream { reader, writer, handle, thread, metrics } = stream(StdoutFormat::Json, WhenFull::Wait);
        if non_blocking {
            fcntl(writer.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        }
        drop(writer);
        let offered = std::thread::scope(|scope| {
            let read = scope.spawn(|| {
                let mut text = Vec::new();
                let mut reader = &reader;
                let mut block = [0; 1000];
                loop {
                    let n = reader.read(&mut block).unwrap();
                    if n == 0 {
                        return text;
                    }
                    text.extend_from_slice(&block[..n]);
                }
            });
            let mut offered = Vec::new();
            for index in 0..200 {
                let batch = batch(index, index * 10, 10, 400);
                offered.extend_from_slice(&batch.bytes);
                handle.offer(&batch);
            }
            handle.stop(Instant::now() + Duration::from_secs(5));
            assert!(thread.join());
            assert_eq!(read.join().unwrap(), offered);
            offered
        });
        assert_closed(&metrics, SinkName::Stdout);
        assert_eq!(metrics.sink_bytes.at(SinkName::Stdout).get(), offered.len() as u64);
    }
}

#[test]
fn the_end_of_the_reader_is_a_regular_end() {
    let Stream { reader, handle, thread, metrics, .. } = stream(StdoutFormat::Json, WhenFull::Wait);
    handle.offer(&batch(0, 0, 10, 400));
    assert!(handle.flush(Duration::from_secs(5)));
    drop(reader);
    for index in 1..2000 {
        handle.offer(&batch(index, index * 10, 10, 400));
    }
    eventually("the sink has ended", || handle.state().has_ended());
    assert!(thread.join());
    assert!(!handle.state().is_up());
    assert_closed(&metrics, SinkName::Stdout);
    assert_eq!(total(&metrics, SinkName::Stdout, Outcome::Delivered), 10);
}

#[test]
fn a_reader_that_stands_still_holds_nobody_up() {
    let Stream { reader, writer, handle, thread, metrics } = stream(StdoutFormat::Json, WhenFull::Wait);
    drop(writer);
    let began = Instant::now();
    for index in 0..1000 {
        handle.offer(&batch(index, index * 10, 10, 400));
    }
    // 4 MB against a buffer of 1 MB: one patience, then nothing.
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(total(&metrics, SinkName::Stdout, Outcome::Lost) > 0);
    assert!(handle.state().reason().unwrap().contains("nothing was written"));
    // It reads again, and is told what is missing.
    let lines =
        std::thread::spawn(move || BufReader::new(reader).lines().map(Result::unwrap).collect::<Vec<_>>());
    eventually("it is up again", || handle.state().is_up());
    handle.stop(Instant::now() + Duration::from_secs(5));
    assert!(thread.join());
    assert_closed(&metrics, SinkName::Stdout);
    let lines = lines.join().unwrap();
    let told = lines.iter().filter(|line| line.contains("events_lost")).count();
    assert_eq!(told, 1);
    let delivered = total(&metrics, SinkName::Stdout, Outcome::Delivered);
    assert_eq!(lines.len() as u64, delivered + 1);
}

#[test]
fn compact_lines_survive_a_pipe_that_takes_little_at_a_time() {
    let Stream { reader, writer, handle, thread, metrics } = stream(StdoutFormat::Plain, WhenFull::Wait);
    fcntl(writer.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    drop(writer);
    let read =
        std::thread::spawn(move || BufReader::new(reader).lines().map(Result::unwrap).collect::<Vec<_>>());
    for index in 0..500 {
        handle.offer(&batch(index, index * 10, 10, 400));
    }
    handle.stop(Instant::now() + Duration::from_secs(5));
    assert!(thread.join());
    assert_eq!(read.join().unwrap().len(), 5000);
    assert_closed(&metrics, SinkName::Stdout);
}
