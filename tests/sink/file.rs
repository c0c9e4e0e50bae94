//! The log file when all is well: order, rotation, reopening, other settings.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sentinel_edge::metrics::{Metrics, Outcome, SinkName};
use sentinel_edge::sink::config::FileConfig;
use sentinel_edge::sink::file::FileOutput;
use sentinel_edge::sink::loss::plain_loss_line;
use sentinel_edge::sink::worker::{self, Setup};
use sentinel_edge::sink::{Batch, Error, Handle, Sinks, last_sequence};

use crate::common::{
    assert_closed, batch, config, context, eventually, file_config, files, read, start, total, worker,
};

#[test]
fn batches_of_several_workers_come_out_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("sentinel.log");
    let mut config = config(&log);
    // Small, so that workers meet a full queue all the time.
    config.worker.buffer_bytes = 64 * 1024;
    let (sinks, metrics) = start(&config);
    std::thread::scope(|scope| {
        for w in 0..4u64 {
            let sinks = &sinks;
            scope.spawn(move || {
                for i in 0..500u64 {
                    let index = i * 4 + (w + i) % 4;
                    // Every seventh batch is empty: a worker that had nothing to say.
                    let batch = if index % 7 == 3 {
                        Arc::new(Batch { index, ..Batch::default() })
                    } else {
                        batch(index, index * 10, 10, 300)
                    };
                    sinks.offer(&batch);
                    if index % 97 == 0 {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
            });
        }
    });
    assert!(sinks.stop(Duration::from_secs(10)));
    let expected: Vec<u64> = (0..2000u64).filter(|i| i % 7 != 3).flat_map(|i| i * 10..i * 10 + 10).collect();
    assert_eq!(read(&[log]).sequences, expected);
    assert_closed(&metrics, SinkName::File);
    assert_eq!(total(&metrics, SinkName::File, Outcome::Lost), 0);
}

#[test]
fn file_and_directory_are_for_the_agent_and_its_group() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("a/b/sentinel.log");
    let (sinks, _metrics) = start(&config(&log));
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&log) & !0o640, 0);
    assert_eq!(mode(log.parent().unwrap()) & !0o750, 0);
    sinks.stop(Duration::from_secs(1));
}

#[test]
fn what_is_no_file_of_ours_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (context, _) = context();
    let refused = |path: &std::path::Path| Sinks::start(&config(path), &context).unwrap_err();
    let link = dir.path().join("link.log");
    std::os::unix::fs::symlink("/dev/null", &link).unwrap();
    assert!(matches!(refused(&link), Error::NotAFile { .. }));
    assert!(matches!(refused(std::path::Path::new("/dev/full")), Error::NotAFile { .. }));
    assert!(matches!(refused(dir.path()), Error::NotAFile { .. }));
    let log = dir.path().join("sentinel.log");
    let first = Sinks::start(&config(&log), &context).unwrap();
    assert!(matches!(refused(&log), Error::Locked { .. }));
    first.stop(Duration::from_secs(1));
    Sinks::start(&config(&log), &context).unwrap().stop(Duration::from_secs(1));
}

#[test]
fn rotation_by_size_keeps_lines_whole_and_the_newest_files() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("sentinel.log");
    let mut config = config(&log);
    let max = 10_000;
    config.file = Some(FileConfig { max_bytes: Some(max), max_files: 3, ..file_config(&log) });
    let (sinks, metrics) = start(&config);
    for index in 0..50 {
        sinks.offer(&batch(index, index * 20, 20, 150));
    }
    assert!(sinks.stop(Duration::from_secs(5)));
    let files = files(&log);
    assert_eq!(files.len(), 4);
    for file in &files {
        assert!(fs::metadata(file).unwrap().len() <= max);
    }
    let found = read(&files).sequences;
    let first = found[0];
    assert_eq!(found, (first..1000).collect::<Vec<_>>(), "the newest, without a gap");
    let written = metrics.sink_bytes.at(SinkName::File).get();
    assert!(metrics.sink_rotations.get() >= written / max);
    assert_closed(&metrics, SinkName::File);
}

#[test]
fn a_line_that_is_too_large_gets_its_own_file() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("sentinel.log");
    let mut config = config(&log);
    config.file = Some(FileConfig { max_bytes: Some(1000), ..file_config(&log) });
    let (sinks, metrics) = start(&config);
    for (index, size) in [150, 5000, 150, 150].into_iter().enumerate() {
        sinks.offer(&batch(index as u64, index as u64, 1, size));
    }
    assert!(sinks.stop(Duration::from_secs(5)));
    let held: Vec<_> = files(&log).into_iter().map(|file| read(&[file]).sequences).collect();
    assert_eq!(held, [vec![0], vec![1], vec![2, 3]]);
    assert_closed(&metrics, SinkName::File);
}

fn start_with_clock(config: FileConfig, now_ns: &Arc<AtomicU64>) -> (Handle, impl FnOnce(), Arc<Metrics>) {
    let metrics = Arc::new(Metrics::default());
    let now = Arc::clone(now_ns);
    let clock = Arc::new(move || now.load(Ordering::Relaxed));
    let output = FileOutput::new(config, clock, Arc::clone(&metrics)).unwrap();
    let setup = Setup::new(SinkName::File, worker(), Arc::clone(&metrics), plain_loss_line());
    let (handle, thread) = worker::start(setup, Box::new(output)).unwrap();
    let ender = handle.clone();
    let end = move || {
        ender.stop(std::time::Instant::now() + Duration::from_secs(5));
        assert!(thread.join());
    };
    (handle, end, metrics)
}

const HOUR_NS: u64 = 3_600_000_000_000;
/// 2026-11-22 22:00 UTC.
const EVENING_NS: u64 = 1_795_384_800_000_000_000;

#[test]
fn rotation_by_day_happens_at_midnight_and_not_for_an_empty_file() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("sentinel.log");
    let now = Arc::new(AtomicU64::new(EVENING_NS));
    let daily = FileConfig { daily: true, max_files: 2, ..file_config(&log) };
    let (handle, end, metrics) = start_with_clock(daily, &now);
    let names = || {
        let name = |path: std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        files(&log).into_iter().map(name).collect::<Vec<_>>()
    };
    for index in 0..6 {
        handle.offer(&batch(index, index * 4, 4, 150));
        assert!(handle.flush(Duration::from_secs(5)));
        now.fetch_add(HOUR_NS, Ordering::Relaxed);
    }
    assert_eq!(names(), ["sentinel.log.2026-11-23T000000.000Z", "sentinel.log"]);
    assert_eq!(read(&files(&log)[..1]).sequences, (0..8).collect::<Vec<_>>());
    for index in 6..9 {
        now.fetch_add(24 * HOUR_NS, Ordering::Relaxed);
        handle.offer(&batch(index, index * 4, 4, 150));
        assert!(handle.flush(Duration::from_secs(5)));
    }
    assert_eq!(
        names(),
        ["sentinel.log.2026-11-25T040000.000Z", "sentinel.log.2026-11-26T040000.000Z", "sentinel.log"]
    );
    end();
    assert_eq!(metrics.sink_rotations.get(), 4);
    assert_closed(&metrics, SinkName::File);
}

#[test]
fn a_file_of_yesterday_is_rotated_by_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("sentinel.log");
    fs::write(&log, &batch(0, 0, 4, 150).bytes).unwrap();
    // The file is of today by the real clock, so the run is in the future.
    let real = sentinel_edge::util::clock::wall_ns();
    let now = Arc::new(AtomicU64::new(real + 48 * HOUR_NS));
    let daily = FileConfig { daily: true, ..file_config(&log) };
    let (handle, end, _) = start_with_clock(daily, &now);
    handle.offer(&batch(0, 4, 4, 150));
    end();
    assert_eq!(read(&files(&log)[..1]).sequences, [0, 1, 2, 3]);
    assert_eq!(read(&[log]).sequences, [4, 5, 6, 7]);
}

#[test]
fn rotated_files_are_compressed_and_old_ones_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("sentinel.log");
    // A compression that a crash interrupted, one that it interrupted at the very end, and an old file.
    let path = |name: &str| dir.path().join(name);
    fs::write(path("sentinel.log.2026-01-01T000000.000Z.gz.tmp"), "half").unwrap();
    fs::write(path("sentinel.log.2026-01-01T000000.000Z"), &batch(0, 0, 4, 150).bytes).unwrap();
    let old = fs::File::create(path("sentinel.log.2020-01-01T000000.000Z")).unwrap();
    old.set_modified(std::time::SystemTime::now() - Duration::from_secs(9 * 86_400)).unwrap();
    let mut config = config(&log);
    config.file = Some(FileConfig {
        max_bytes: Some(20_000),
        compress: true,
        max_age_days: Some(7),
        ..file_config(&log)
    });
    let (sinks, metrics) = start(&config);
    for index in 0..20 {
        sinks.offer(&batch(index, 4 + index * 20, 20, 150));
    }
    assert!(sinks.flush(Duration::from_secs(5)));
    eventually("all rotated files are compressed", || {
        let files = files(&log);
        let packed = files.iter().filter(|file| file.extension().is_some_and(|e| e == "gz")).count();
        packed + 1 == files.len() && packed >= 3
    });
    assert!(!path("sentinel.log.2020-01-01T000000.000Z").exists());
    assert_eq!(read(&files(&log)).sequences, (0..404).collect::<Vec<_>>());
    sinks.stop(Duration::from_secs(5));
    fs::remove_file(&log).unwrap();
    let newest = read(&files(&log)).sequences.last().copied().unwrap();
    assert_eq!(last_sequence(&log), Some(("b".to_owned(), newest)), "from a compressed file too");
    assert_closed(&metrics, SinkName::File);
}

#[test]
fn a_thousand_reopens_under_load_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("sentinel.log");
    let (sinks, metrics) = start(&config(&log));
    let done = std::sync::atomic::AtomicBool::new(false);
    let offered = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut index = 0;
            while !done.load(Ordering::Relaxed) {
                sinks.offer(&batch(index, index * 5, 5, 200));
                index += 1;
            }
            index * 5
        });
        for n in 0..1000 {
            // As logrotate does, every tenth time.
            if n % 10 == 0 {
                fs::rename(&log, dir.path().join(format!("moved.{n:04}"))).unwrap();
            }
            sinks.reopen();
            assert!(sinks.flush(Duration::from_secs(5)));
        }
        done.store(true, Ordering::Relaxed);
        load.join().unwrap()
    });
    assert!(sinks.stop(Duration::from_secs(5)));
    let mut all: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(all.len(), 101);
    // "moved.*" sorts before "sentinel.log".
    all.sort();
    let found = read(&all).sequences;
    assert_eq!(found.len() as u64, offered);
    assert_eq!(found, (0..offered).collect::<Vec<_>>());
    assert_closed(&metrics, SinkName::File);
    assert_eq!(total(&metrics, SinkName::File, Outcome::Delivered), offered);
}

#[test]
fn settings_change_while_it_runs_or_stay_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("old.log"), dir.path().join("new.log"));
    let (sinks, metrics) = start(&config(&old));
    sinks.offer(&batch(0, 0, 3, 150));
    assert!(sinks.flush(Duration::from_secs(5)));
    sinks.reconfigure(&config(&new)).unwrap();
    sinks.offer(&batch(1, 3, 3, 150));
    assert!(sinks.flush(Duration::from_secs(5)));
    assert!(matches!(sinks.reconfigure(&config(dir.path())), Err(Error::NotAFile { .. })));
    let mut without = config(&new);
    without.file = None;
    assert!(matches!(sinks.reconfigure(&without), Err(Error::NeedsRestart { sink: "file" })));
    sinks.offer(&batch(2, 6, 3, 150));
    sinks.record(b"{\"event\":{\"action\":\"agent_stopped\"}}\n");
    assert!(sinks.stop(Duration::from_secs(5)));
    assert_eq!(read(&[old]).sequences, [0, 1, 2]);
    assert_eq!(read(std::slice::from_ref(&new)).sequences, [3, 4, 5, 6, 7, 8]);
    assert!(fs::read_to_string(new).unwrap().ends_with("agent_stopped\"}}\n"));
    assert_closed(&metrics, SinkName::File);
}

#[test]
fn a_canary_is_found_where_it_was_written_also_after_a_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("sentinel.log");
    let (mut context, _) = context();
    let (sender, written) = crossbeam_channel::bounded(4);
    context.written = Some(sender);
    let mut config = config(&log);
    config.file = Some(FileConfig { max_bytes: Some(3000), ..file_config(&log) });
    let sinks = Sinks::start(&config, &context).unwrap();
    let mut marked = Arc::into_inner(batch(0, 0, 9, 200)).unwrap();
    marked.lines[4].canary = Some(77);
    let marked = Arc::new(marked);
    let line = marked.iter().nth(4).unwrap().1.to_vec();
    sinks.offer(&marked);
    let report = written.recv_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!(report.nonce, 77);
    assert_eq!(report.place.read().unwrap(), Some(line.clone()));
    sinks.offer(&batch(1, 9, 40, 200));
    assert!(sinks.flush(Duration::from_secs(5)));
    assert_eq!(report.place.read().unwrap(), Some(line), "in the rotated file now");
    sinks.stop(Duration::from_secs(5));
}
