//! Policy and account, on an output that does as it is told.

use std::sync::{Condvar, Mutex};

use super::*;
use crate::event::Kind;
use crate::sink::batch::Line;
use crate::sink::loss::plain_loss_line;
use crate::sink::output::{Target, whole_lines_within};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mood {
    Fine,
    /// Takes this many bytes of whole lines at a time.
    Small(usize),
    Slow(Duration),
    Hang,
    Panic,
}

#[derive(Debug)]
struct Play {
    mood: Mood,
    /// Sequence numbers by write call; `None` is a line of the agent's own.
    calls: Vec<Vec<Option<u64>>>,
    text: Vec<u8>,
    limit: usize,
}

/// An output and who directs it.
#[derive(Debug, Clone)]
struct Stage(Arc<(Mutex<Play>, Condvar)>);

impl Stage {
    fn new(mood: Mood) -> Self {
        Stage(Arc::new((
            Mutex::new(Play { mood, calls: Vec::new(), text: Vec::new(), limit: 0 }),
            Condvar::new(),
        )))
    }

    fn set(&self, mood: Mood) {
        self.0.0.lock().unwrap().mood = mood;
        self.0.1.notify_all();
    }

    fn sequences(&self) -> Vec<u64> {
        self.0.0.lock().unwrap().calls.iter().flatten().filter_map(|s| *s).collect()
    }
}

impl Output for Stage {
    fn write(&mut self, parts: &[Part<'_>]) -> Progress {
        let (play, changed) = &*self.0;
        let mut play = play.lock().unwrap();
        while play.mood == Mood::Hang {
            play = changed.wait(play).unwrap();
        }
        let room = match play.mood {
            Mood::Small(bytes) => bytes,
            Mood::Slow(pause) => {
                std::thread::sleep(pause);
                usize::MAX
            }
            Mood::Panic => {
                drop(play);
                panic!("as told");
            }
            Mood::Fine | Mood::Hang => usize::MAX,
        };
        let whole = whole_lines_within(parts, room);
        if whole == 0 {
            let source = std::io::Error::from_raw_os_error(nix::libc::ENOSPC);
            return Error::Write { target: Target::Stdout, source }.into();
        }
        let mut left = whole;
        let mut call = Vec::new();
        for (line, bytes) in parts.iter().flat_map(Part::iter) {
            if bytes.len() > left {
                break;
            }
            left -= bytes.len();
            call.push(line.map(|line| line.sequence));
            play.text.extend_from_slice(bytes);
        }
        play.calls.push(call);
        Progress { bytes: whole, error: None }
    }

    fn check(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn reconfigure(&mut self, config: &Config) -> Result<(), Error> {
        self.0.0.lock().unwrap().limit = config.worker.buffer_bytes;
        Ok(())
    }
}

const LINE: usize = 100;

/// `n` lines from `first` on.
fn batch(index: u64, first: u64, n: u64) -> Arc<Batch> {
    let mut batch = Batch { index, ..Batch::default() };
    for sequence in first..first + n {
        batch.bytes.extend_from_slice(&[b'x'; LINE]);
        let kind = if sequence % 2 == 0 { Kind::Exec } else { Kind::Fork };
        let end = batch.bytes.len();
        batch.lines.push(Line { end, kind, sequence, time_ns: sequence, canary: None });
    }
    Arc::new(batch)
}

struct Rig {
    stage: Stage,
    handle: Handle,
    thread: Thread,
    metrics: Arc<Metrics>,
}

impl Rig {
    fn new(mood: Mood, adjust: impl FnOnce(&mut Setup)) -> Rig {
        let stage = Stage::new(mood);
        let metrics = Arc::new(Metrics::default());
        let worker = WorkerConfig {
            batch_lines: 16,
            batch_timeout: Duration::from_millis(1),
            buffer_bytes: 16 * 1024,
        };
        let mut setup = Setup::new(SinkName::File, worker, Arc::clone(&metrics), plain_loss_line());
        setup.patience = Duration::from_millis(100);
        adjust(&mut setup);
        let (handle, thread) = start(setup, Box::new(stage.clone())).unwrap();
        Rig { stage, handle, thread, metrics }
    }

    fn total(&self, outcome: Outcome) -> u64 {
        Kind::ALL.iter().map(|k| self.metrics.sink_events.at((SinkName::File, *k, outcome)).get()).sum()
    }

    fn dropped(&self, reason: Reason) -> u64 {
        Kind::ALL.iter().map(|k| self.metrics.sink_dropped.at((SinkName::File, *k, reason)).get()).sum()
    }

    fn queued(&self) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count in a gauge")]
        let queued = self.metrics.sink_queued.at(SinkName::File).get() as u64;
        queued
    }

    #[track_caller]
    fn assert_closed(&self) {
        let (offered, delivered, lost) =
            (self.total(Outcome::Offered), self.total(Outcome::Delivered), self.total(Outcome::Lost));
        assert_eq!(offered, delivered + lost + self.queued(), "{delivered} {lost} {}", self.queued());
    }

    fn stop(self) -> (Stage, Arc<Metrics>, bool) {
        self.handle.stop(Instant::now() + Duration::from_secs(5));
        let regular = self.thread.join();
        (self.stage, self.metrics, regular)
    }
}

#[test]
fn a_working_sink_makes_producers_wait_and_loses_nothing() {
    let rig = Rig::new(Mood::Slow(Duration::from_millis(2)), |_| {});
    for index in 0..200 {
        rig.handle.offer(&batch(index, index * 16, 16));
        rig.assert_closed();
    }
    assert_eq!(rig.total(Outcome::Lost), 0);
    assert!(rig.handle.flush(Duration::from_secs(5)));
    assert_eq!(rig.total(Outcome::Delivered), 3200);
    assert_eq!(rig.stop().0.sequences(), (0..3200).collect::<Vec<_>>());
}

#[test]
fn a_sink_that_others_must_not_wait_for_loses_instead() {
    let rig = Rig::new(Mood::Slow(Duration::from_millis(20)), |setup| {
        setup.when_full = WhenFull::Drop;
        setup.counts_drops = false;
    });
    let began = Instant::now();
    for index in 0..200 {
        rig.handle.offer(&batch(index, index * 16, 16));
    }
    assert!(began.elapsed() < Duration::from_secs(1));
    let lost = rig.total(Outcome::Lost);
    assert!(lost > 0);
    assert_eq!(rig.dropped(Reason::QueueFull), lost);
    assert!(rig.handle.state().is_up(), "a busy sink is no failing one");
    let drops: u64 =
        Kind::ALL.iter().map(|k| rig.metrics.events_dropped.at((*k, Reason::QueueFull)).get()).sum();
    assert_eq!(drops, 0, "another sink may have them");
    assert!(rig.handle.flush(Duration::from_secs(5)));
    rig.assert_closed();
    assert_eq!(rig.queued(), 0);
    let (stage, ..) = rig.stop();
    let sequences = stage.sequences();
    assert_eq!(sequences.len() as u64, 3200 - lost);
    assert!(sequences.is_sorted());
}

#[test]
fn a_hanging_write_is_waited_for_once() {
    let rig = Rig::new(Mood::Hang, |_| {});
    let began = Instant::now();
    for index in 0..100 {
        rig.handle.offer(&batch(index, index * 16, 16));
    }
    let took = began.elapsed();
    assert!((Duration::from_millis(100)..Duration::from_secs(2)).contains(&took), "{took:?}");
    assert!(!rig.handle.state().is_up());
    assert!(rig.dropped(Reason::QueueFull) > 0);
    rig.assert_closed();
    // It gets on: up again, and one record about the stretch that is missing.
    rig.stage.set(Mood::Fine);
    assert!(rig.handle.flush(Duration::from_secs(5)));
    assert!(rig.handle.state().is_up());
    rig.assert_closed();
    let (stage, metrics, _) = rig.stop();
    assert_eq!(metrics.sink_up.at(SinkName::File).get(), 1.0);
    let play = stage.0.0.lock().unwrap();
    let own: Vec<_> = play.calls.iter().flatten().filter(|s| s.is_none()).collect();
    assert_eq!(own.len(), 1);
    assert!(play.calls.last().unwrap().last().unwrap().is_none(), "behind all that was kept");
}

#[test]
fn a_write_that_hangs_for_good_is_left_behind_and_counted() {
    let rig = Rig::new(Mood::Hang, |_| {});
    for index in 0..3 {
        rig.handle.offer(&batch(index, index * 16, 16));
        std::thread::sleep(Duration::from_millis(20));
    }
    rig.handle.stop(Instant::now());
    std::thread::sleep(Duration::from_millis(50));
    assert!(!rig.thread.is_finished());
    rig.handle.abandon();
    assert_eq!(rig.dropped(Reason::Shutdown), 32);
    assert_eq!(rig.queued(), 16, "what became of these nobody knows");
    rig.assert_closed();
    rig.stage.set(Mood::Fine);
    let Rig { thread, metrics, .. } = rig;
    assert!(thread.join());
    assert_eq!(metrics.sink_queued.at(SinkName::File).get(), 0.0);
}

#[test]
fn a_panic_frees_the_producers() {
    let rig = Rig::new(Mood::Panic, |_| {});
    for index in 0..100 {
        rig.handle.offer(&batch(index, index * 16, 16));
    }
    while !rig.thread.is_finished() {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(rig.dropped(Reason::Failed) > 0);
    assert!(!rig.handle.state().is_up());
    rig.assert_closed();
    assert!(!rig.stop().2, "and is told");
}

#[test]
fn a_call_writes_so_many_lines_at_most_and_short_ones_are_continued() {
    let rig = Rig::new(Mood::Small(5 * LINE + 50), |_| {});
    for index in 0..10 {
        rig.handle.offer(&batch(index, index * 7, 7));
    }
    assert!(rig.handle.flush(Duration::from_secs(5)));
    rig.stage.set(Mood::Fine);
    rig.handle.offer(&batch(10, 70, 100));
    rig.handle.record(b"own\n");
    assert!(rig.handle.flush(Duration::from_secs(5)));
    rig.assert_closed();
    let (stage, metrics, _) = rig.stop();
    assert_eq!(stage.sequences(), (0..170).collect::<Vec<_>>());
    let play = stage.0.0.lock().unwrap();
    assert!(play.calls.iter().all(|call| call.len() <= 16));
    assert!(play.calls.iter().any(|call| call.len() == 16));
    assert!(play.text.ends_with(b"own\n"));
    assert_eq!(metrics.sink_bytes.at(SinkName::File).get(), 170 * 100 + 4);
}

#[test]
fn the_batch_that_all_wait_for_gets_in_whatever_its_size() {
    let rig = Rig::new(Mood::Fine, |setup| setup.patience = Duration::from_secs(20));
    // Nearly fills the queue, and cannot be written without the first.
    rig.handle.offer(&batch(1, 1000, 100));
    rig.handle.offer(&batch(0, 0, 1000));
    assert!(rig.handle.flush(Duration::from_secs(5)));
    rig.assert_closed();
    assert_eq!(rig.total(Outcome::Lost), 0);
    assert_eq!(rig.stop().0.sequences(), (0..1100).collect::<Vec<_>>());
}

#[test]
fn an_outage_leaves_one_record_where_the_gap_is() {
    let rig = Rig::new(Mood::Small(0), |_| {});
    let mut index = 0;
    let mut offer = |rig: &Rig, n: u64| {
        for _ in 0..n {
            rig.handle.offer(&batch(index, index * 16, 16));
            index += 1;
        }
    };
    offer(&rig, 2);
    while rig.handle.state().is_up() {
        std::thread::sleep(Duration::from_millis(1));
    }
    offer(&rig, 2000);
    let lost = rig.dropped(Reason::Unwritable);
    assert!(lost > 30_000);
    rig.assert_closed();
    rig.stage.set(Mood::Fine);
    while !rig.handle.state().is_up() {
        std::thread::sleep(Duration::from_millis(1));
    }
    offer(&rig, 2);
    assert!(rig.handle.flush(Duration::from_secs(10)));
    rig.assert_closed();
    let (stage, ..) = rig.stop();
    let play = stage.0.0.lock().unwrap();
    let all: Vec<_> = play.calls.iter().flatten().copied().collect();
    let at = all.iter().position(Option::is_none).unwrap() as u64;
    let after = at + lost;
    let expected: Vec<_> = (0..at).map(Some).chain([None]).chain((after..2004 * 16).map(Some)).collect();
    assert_eq!(all, expected);
    let text = String::from_utf8_lossy(&play.text);
    assert!(
        text.contains(&format!(
            r#""total":{lost},"sink":"file","reason":"unwritable","first_sequence":{at},"#
        ))
    );
}

#[test]
fn other_settings_are_taken_on() {
    let rig = Rig::new(Mood::Fine, |_| {});
    let worker =
        WorkerConfig { batch_lines: 4, batch_timeout: Duration::from_millis(1), buffer_bytes: 1 << 20 };
    let config = Arc::new(Config { file: None, stdout: None, tail: None, worker });
    rig.handle.reconfigure(&config).unwrap();
    rig.handle.offer(&batch(0, 0, 10));
    assert!(rig.handle.flush(Duration::from_secs(5)));
    let (stage, ..) = rig.stop();
    let play = stage.0.0.lock().unwrap();
    assert_eq!(play.limit, 1 << 20);
    assert_eq!(play.calls.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2]);
}
