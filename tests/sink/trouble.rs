//! A log file that cannot be written: the agent goes on, says so, keeps what it may, and tells what is missing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount, umount};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};
use sentinel_edge::metrics::{ErrorType, Metrics, Outcome, Reason, SinkName};
use sentinel_edge::sink::Sinks;

use crate::common::{assert_closed, batch, child, config, eventually, is_child, read, start, total};

fn is_up(sinks: &Sinks) -> bool {
    sinks.states().all(|state| state.is_up())
}

/// Offers batches of ten lines from `index` on, until `enough` says so. The next index.
fn offer_until(sinks: &Sinks, mut index: u64, mut enough: impl FnMut() -> bool) -> u64 {
    let until = Instant::now() + Duration::from_secs(20);
    while !enough() {
        assert!(Instant::now() < until, "never enough");
        sinks.offer(&batch(index, index * 10, 10, 300));
        index += 1;
        std::thread::sleep(Duration::from_micros(100));
    }
    index
}

/// The file holds every event but those that its loss records name, at their places.
#[track_caller]
fn assert_told(log: &Path, metrics: &Metrics, batches: u64, reason: &str) {
    let log = read(&[log.to_owned()]);
    let mut expected = Vec::new();
    let mut next = 0;
    let mut lost = 0;
    for (loss, at) in log.losses.iter().zip(&log.loss_at) {
        let (first, last) =
            (loss["first_sequence"].as_u64().unwrap(), loss["last_sequence"].as_u64().unwrap());
        expected.extend(next..first);
        assert_eq!(expected.len(), *at, "the record stands where the gap is");
        assert_eq!(loss["reason"], reason);
        assert_eq!(loss["total"], last - first + 1, "a gap is one stretch");
        lost += last - first + 1;
        next = last + 1;
    }
    expected.extend(next..batches * 10);
    assert_eq!(log.sequences, expected);
    assert_eq!(lost, total(metrics, SinkName::File, Outcome::Lost));
    assert!(lost > 0);
    assert_closed(metrics, SinkName::File);
}

/// Fails, is down, loses; then `cure`; is up again, with everything told.
fn break_and_cure(
    log: &Path,
    sinks: &Sinks,
    metrics: &Metrics,
    hurt: impl FnOnce(),
    why: &str,
    cure: impl FnOnce(),
) {
    let index = offer_until(sinks, 0, || total(metrics, SinkName::File, Outcome::Delivered) > 100);
    hurt();
    let index = offer_until(sinks, index, || !is_up(sinks));
    let state = sinks.states().next().unwrap();
    let reason = state.reason().unwrap();
    assert!(reason.contains(why), "{reason}");
    assert_eq!(metrics.sink_up.at(SinkName::File).get(), 0.0);
    let index = offer_until(sinks, index, || total(metrics, SinkName::File, Outcome::Lost) > 1000);
    let queued = metrics.sink_queued.at(SinkName::File).get();
    assert!(queued > 1000.0, "a megabyte of lines is kept, here {queued}");
    let began = Instant::now();
    let index = (index..index + 200).fold(index, |_, i| {
        sinks.offer(&batch(i, i * 10, 10, 300));
        i + 1
    });
    assert!(began.elapsed() < Duration::from_secs(3), "nobody waits for a sink that fails");
    assert!(metrics.errors.at(ErrorType::Sink).get() > 0);
    cure();
    eventually("the sink is up again", || is_up(sinks));
    assert_eq!(metrics.sink_up.at(SinkName::File).get(), 1.0);
    assert_eq!(state.reason(), None);
    assert!(sinks.flush(Duration::from_secs(10)));
    sinks.offer(&batch(index, index * 10, 10, 300));
    assert!(sinks.stop(Duration::from_secs(10)));
    assert_told(log, metrics, index + 1, Reason::Unwritable.name());
}

#[test]
fn a_full_disk_is_survived_and_told() {
    // The limit on the size of files makes writes fail in the middle of a line, as a full disk does. The shell
    // switches off the signal that would come with it.
    let child = child("trouble::child_full_disk");
    let status = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -S -f 256; exec \"$0\" \"$@\""])
        .arg(child.get_program())
        .args(child.get_args())
        .envs(child.get_envs().filter_map(|(key, value)| Some((key, value?))))
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
#[ignore = "run by a_full_disk_is_survived_and_told, under a limit"]
fn child_full_disk() {
    if !is_child() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("sentinel.log");
    let (sinks, metrics) = start(&config(&log));
    let (soft, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    assert!(soft < hard);
    let cure = || {
        let whole = fs::read(&log).unwrap();
        assert!(whole.ends_with(b"\n"), "no torn line, even while the disk is full");
        setrlimit(Resource::RLIMIT_FSIZE, hard, hard).unwrap();
    };
    break_and_cure(&log, &sinks, &metrics, || {}, "File too large", cure);
}

#[test]
#[ignore = "needs root: mounts a tmpfs"]
fn a_full_file_system_is_survived_and_told() {
    let dir = tempfile::tempdir().unwrap();
    mount(Some("tmpfs"), dir.path(), Some("tmpfs"), MsFlags::empty(), Some("size=4m")).unwrap();
    let log = dir.path().join("sentinel.log");
    let ballast = dir.path().join("ballast");
    let (sinks, metrics) = start(&config(&log));
    let hurt = || {
        // Fails when full; what fits is written.
        let _ = fs::write(&ballast, vec![b'x'; 4 << 20]);
    };
    let cure = || fs::remove_file(&ballast).unwrap();
    break_and_cure(&log, &sinks, &metrics, hurt, "No space left on device", cure);
    umount(dir.path()).unwrap();
}

#[test]
#[ignore = "needs root: mounts a tmpfs"]
fn a_file_system_that_becomes_read_only_is_survived_and_told() {
    let dir = tempfile::tempdir().unwrap();
    mount(Some("tmpfs"), dir.path(), Some("tmpfs"), MsFlags::empty(), Some("size=64m")).unwrap();
    let log = dir.path().join("logs/sentinel.log");
    let (sinks, metrics) = start(&config(&log));
    let remount =
        |flags| mount(None::<&str>, dir.path(), None::<&str>, MsFlags::MS_REMOUNT | flags, None::<&str>);
    let hurt = || {
        // A file that is open for writing keeps its mount writable; so the log must go first.
        fs::remove_dir_all(log.parent().unwrap()).unwrap();
        fs::write(dir.path().join("logs"), "in the way").unwrap();
        eventually("it has let go", || !is_up(&sinks));
        fs::remove_file(dir.path().join("logs")).unwrap();
        eventually("read-only", || remount(MsFlags::MS_RDONLY).is_ok());
        eventually("it has noticed", || {
            sinks.states().all(|s| s.reason().is_some_and(|r| r.contains("Read-only")))
        });
    };
    let index = offer_until(&sinks, 0, || total(&metrics, SinkName::File, Outcome::Delivered) > 100);
    hurt();
    let index = offer_until(&sinks, index, || total(&metrics, SinkName::File, Outcome::Lost) > 1000);
    remount(MsFlags::empty()).unwrap();
    eventually("the sink is up again", || is_up(&sinks));
    assert!(sinks.flush(Duration::from_secs(10)));
    assert!(sinks.stop(Duration::from_secs(10)));
    assert_closed(&metrics, SinkName::File);
    let log = read(&[log]);
    assert_eq!(log.losses.len(), 1);
    assert_eq!(log.sequences.last().copied().unwrap().max(index * 10 - 1), index * 10 - 1);
    umount(dir.path()).unwrap();
}

#[test]
fn a_directory_that_is_removed_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("logs/sentinel.log");
    let (sinks, metrics) = start(&config(&log));
    sinks.offer(&batch(0, 0, 10, 300));
    assert!(sinks.flush(Duration::from_secs(5)));
    fs::remove_dir_all(log.parent().unwrap()).unwrap();
    eventually("the file is back, without any event", || log.exists());
    sinks.offer(&batch(1, 10, 10, 300));
    assert!(sinks.stop(Duration::from_secs(5)));
    assert_eq!(read(&[log]).sequences, (10..20).collect::<Vec<_>>());
    assert_closed(&metrics, SinkName::File);
}

#[test]
fn a_directory_that_cannot_be_made_anew_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    let log = logs.join("sentinel.log");
    let kept = dir.path().join("kept.log");
    let (sinks, metrics) = start(&config(&log));
    let hurt = || {
        assert!(sinks.flush(Duration::from_secs(5)));
        fs::rename(&log, &kept).unwrap();
        fs::remove_dir(&logs).unwrap();
        fs::write(&logs, "in the way").unwrap();
    };
    let cure = || {
        fs::remove_file(&logs).unwrap();
        fs::create_dir(&logs).unwrap();
        fs::rename(&kept, &log).unwrap();
    };
    break_and_cure(&log, &sinks, &metrics, hurt, "logs", cure);
}

#[test]
fn a_permission_that_is_lost_is_waited_for() {
    // Root may write anywhere, so a process without its rights does this.
    assert!(child("trouble::child_permission").status().unwrap().success());
}

#[test]
#[ignore = "run by a_permission_that_is_lost_is_waited_for, in a process of its own"]
fn child_permission() {
    if !is_child() {
        return;
    }
    if Uid::effective().is_root() {
        setgroups(&[]).unwrap();
        setgid(Gid::from_raw(65534)).unwrap();
        setuid(Uid::from_raw(65534)).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    let log = logs.join("sentinel.log");
    let moved = dir.path().join("moved.log");
    let (sinks, metrics) = start(&config(&log));
    let allow = |mode| fs::set_permissions(&logs, fs::Permissions::from_mode(mode)).unwrap();
    let hurt = || {
        assert!(sinks.flush(Duration::from_secs(5)));
        fs::rename(&log, &moved).unwrap();
        allow(0o500);
    };
    let cure = || {
        allow(0o700);
        fs::rename(&moved, &log).unwrap();
    };
    break_and_cure(&log, &sinks, &metrics, hurt, "Permission denied", cure);
}

#[test]
fn a_start_on_a_full_disk_waits_but_a_wrong_path_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let (context, _) = crate::common::context();
    let error = Sinks::start(&config(&dir.path().join("file/sentinel.log")), &context).unwrap_err();
    assert!(!error.is_passing(), "{error}");
    let full = std::io::Error::from_raw_os_error(nix::libc::ENOSPC);
    assert!(sentinel_edge::sink::Error::Open { path: dir.path().into(), source: full }.is_passing());
}

#[test]
fn what_cannot_be_written_until_the_end_is_counted_as_lost() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    let log = logs.join("sentinel.log");
    let (sinks, metrics) = start(&config(&log));
    sinks.offer(&batch(0, 0, 10, 300));
    assert!(sinks.flush(Duration::from_secs(5)));
    fs::remove_dir_all(&logs).unwrap();
    fs::write(&logs, "in the way").unwrap();
    eventually("it is down", || !is_up(&sinks));
    for index in 1..20 {
        sinks.offer(&batch(index, index * 10, 10, 300));
    }
    let began = Instant::now();
    assert!(sinks.stop(Duration::from_millis(300)));
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_closed(&metrics, SinkName::File);
    let dropped = |kind| metrics.sink_dropped.at((SinkName::File, kind, Reason::Shutdown)).get();
    assert_eq!(crate::common::KINDS.map(dropped).iter().sum::<u64>(), 190);
    let agent = |kind| metrics.events_dropped.at((kind, Reason::Shutdown)).get();
    assert_eq!(
        crate::common::KINDS.map(agent).iter().sum::<u64>(),
        190,
        "the main sink speaks for the agent"
    );
    // Nothing is taken any more, and it is counted nevertheless.
    sinks.offer(&batch(20, 200, 10, 300));
    assert_closed(&metrics, SinkName::File);
}
