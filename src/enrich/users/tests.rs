//! Names from files that change, from a name service that is a script, and by the thread.

use super::*;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

struct Host {
    dir: tempfile::TempDir,
    metrics: Arc<Metrics>,
}

impl Host {
    fn new() -> Host {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("etc")).unwrap();
        let host = Host { dir, metrics: Arc::default() };
        host.put("passwd", "root:x:0:0::/root:/bin/sh\nother:x:0:0::/:\nweb:x:33:33::/:\n");
        host.put("group", "root:x:0:\nweb:x:33:a,b\n");
        host
    }

    /// Another inode each time, so that the change shows whatever the clock's grain.
    fn put(&self, name: &str, text: &str) {
        let path = self.dir.path().join("etc").join(name);
        fs::write(path.with_extension("new"), text).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
    }

    fn program(&self, script: &str) -> PathBuf {
        let path = self.dir.path().join("getent");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn names(&self, getent: Option<PathBuf>) -> (Names, Resolver) {
        Names::new(self.dir.path(), getent, Arc::clone(&self.metrics))
    }
}

#[test]
fn files_are_read_at_once_and_again_when_they_change() {
    let host = Host::new();
    let (names, mut resolver) = host.names(None);
    assert_eq!(names.user(0).as_deref(), Some("root"));
    assert_eq!(names.group(33).as_deref(), Some("web"));
    assert_eq!(names.user(1000), None);
    host.put("passwd", "admin:x:0:0::/root:/bin/sh\nnew:x:1000:1000::/:\n");
    resolver.refresh();
    assert_eq!(names.user(0).as_deref(), Some("admin"));
    assert_eq!(names.user(1000).as_deref(), Some("new"));
    assert_eq!(names.user(33), None);
    assert_eq!(host.metrics.names_cached.get(), 4.0);
}

#[test]
fn a_file_that_vanishes_for_a_moment_changes_nothing() {
    let host = Host::new();
    let (names, mut resolver) = host.names(None);
    fs::remove_file(host.dir.path().join("etc/passwd")).unwrap();
    resolver.refresh();
    assert_eq!(names.user(0).as_deref(), Some("root"));
}

#[test]
fn the_name_service_is_asked_once() {
    let host = Host::new();
    let log = host.dir.path().join("log");
    let script =
        format!("echo \"$@\" >> {}; [ $2 = 5000 ] && echo \"ann:*:5000:1::/:\" || exit 2", log.display());
    let (names, mut resolver) = host.names(Some(host.program(&script)));
    assert_eq!((names.user(5000), names.user(5001)), (None, None));
    assert_eq!(host.metrics.names_missing.get(), 2);
    while let Ok((database, id)) = resolver.questions.try_recv() {
        resolver.answer(database, id);
        resolver.answer(database, id);
    }
    assert_eq!((names.user(5000).as_deref(), names.user(5001)), (Some("ann"), None));
    assert_eq!(host.metrics.names_missing.get(), 2, "an id without a name is not a missing name");
    assert!(resolver.questions.is_empty());
    assert_eq!(fs::read_to_string(&log).unwrap(), "passwd 5000\npasswd 5001\n");
    // A change of the file keeps what the name service told, and asks again for what it did not.
    host.put("passwd", "root:x:0:0::/:\n");
    resolver.refresh();
    assert_eq!((names.user(5000).as_deref(), names.user(5001)), (Some("ann"), None));
    assert_eq!(resolver.questions.len(), 1);
}

#[test]
fn the_thread_answers_and_ends() {
    let host = Host::new();
    let (names, resolver) = host.names(Some(host.program("echo ops:*:$2:")));
    let thread = resolver.start().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while names.group(77).as_deref() != Some("ops") {
        assert!(Instant::now() < deadline, "no answer");
        std::thread::sleep(Duration::from_millis(5));
    }
    names.stop();
    assert!(thread.join());
    assert_eq!(names.group(77).as_deref(), Some("ops"));
}

#[test]
fn errors_are_counted_and_the_queue_is_bounded() {
    let host = Host::new();
    let (names, mut resolver) = host.names(Some(host.dir.path().join("missing")));
    for uid in 1000..3000 {
        assert_eq!(names.user(uid), None);
    }
    assert_eq!(resolver.questions.len(), QUEUE);
    resolver.answer(Database::Users, 1000);
    assert_eq!(host.metrics.errors.at(ErrorType::Names).get(), 1);
    assert_eq!(Names::disabled().user(0), None);
}

#[test]
#[ignore = "a measurement"]
fn time_of_a_hit() {
    let host = Host::new();
    let (names, _resolver) = host.names(None);
    let count = 10_000_000u32;
    let begin = Instant::now();
    for i in 0..count {
        std::hint::black_box(names.user(std::hint::black_box(if i % 2 == 0 { 0 } else { 33 })));
    }
    println!("{:.1} ns a hit", begin.elapsed().as_secs_f64() * 1e9 / f64::from(count));
}
