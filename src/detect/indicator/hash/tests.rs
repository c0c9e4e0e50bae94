//! Real files on a real thread.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use super::super::tests::Directory;
use super::*;

fn request(path: &Path, token: u64) -> Request {
    let identity = Identity::of(&fs::metadata(path).unwrap());
    Request { path: path.to_owned(), identity, token }
}

fn fast() -> Hasher {
    Hasher::start(Settings { bytes_per_second: 0, ..Settings::default() }).unwrap()
}

fn answer(hasher: &Hasher) -> Answer {
    hasher.answers().recv_timeout(Duration::from_secs(60)).unwrap()
}

#[test]
fn files_are_hashed_in_their_order() {
    let (directory, hasher) = (Directory::new(), fast());
    let million = vec![b'a'; 1_000_000];
    let files =
        [directory.file("empty", ""), directory.file("abc", "abc"), directory.file("million", million)];
    for (token, file) in (0..).zip(&files) {
        hasher.request(request(file, token)).unwrap();
    }
    let digests = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
    ];
    for (token, digest) in (0..).zip(digests) {
        let answer = answer(&hasher);
        assert_eq!((answer.token, hex(&answer.outcome.unwrap()).as_str()), (token, digest));
    }
    assert!(hasher.stop());
}

#[test]
fn what_is_not_as_asked_is_refused() {
    let (directory, hasher) = (Directory::new(), fast());
    let ask = |request| {
        hasher.request(request).unwrap();
        answer(&hasher).outcome
    };
    let file = directory.file("file", "before");
    let before = request(&file, 0);
    fs::write(&file, "much longer than before").unwrap();
    assert!(matches!(ask(before), Err(Refusal::Changed)));

    let before = request(&file, 0);
    let text = fs::read(&file).unwrap();
    fs::rename(directory.file("other", text), &file).unwrap();
    assert!(matches!(ask(before), Err(Refusal::Changed)));

    let linked = request(&file, 0);
    fs::hard_link(&file, directory.0.join("link")).unwrap();
    assert!(ask(linked).is_ok());

    let gone = request(&file, 0);
    fs::remove_file(&file).unwrap();
    assert!(matches!(ask(gone), Err(Refusal::Unopened(_))));
    assert!(matches!(ask(request(&directory.0, 0)), Err(Refusal::NotRegular)));

    let sparse = directory.0.join("sparse");
    File::create(&sparse).unwrap().set_len((64 << 20) + 1).unwrap();
    let refusal = ask(request(&sparse, 0)).unwrap_err();
    let said = "not hashed: the file has 67108865 bytes, more than the 67108864 that are hashed";
    assert_eq!(refusal.to_string(), said);
}

#[test]
fn a_file_that_is_written_to_meanwhile_is_changed() {
    let directory = Directory::new();
    let file = directory.file("file", vec![0; 4 << 20]);
    let hasher = Hasher::start(Settings { bytes_per_second: 8 << 20, ..Settings::default() }).unwrap();
    hasher.request(request(&file, 0)).unwrap();
    std::thread::sleep(Duration::from_millis(150));
    File::options().append(true).open(&file).unwrap().write_all(b"more").unwrap();
    assert!(matches!(answer(&hasher).outcome, Err(Refusal::Changed)));
}

#[test]
fn the_rate_is_kept_and_a_stop_does_not_wait_for_a_large_file() {
    let directory = Directory::new();
    let file = directory.file("file", vec![1; 2 << 20]);
    let hasher = Hasher::start(Settings { bytes_per_second: 10 << 20, ..Settings::default() }).unwrap();
    let started = Instant::now();
    hasher.request(request(&file, 0)).unwrap();
    assert!(answer(&hasher).outcome.is_ok());
    assert!(started.elapsed() >= Duration::from_millis(190), "{:?}", started.elapsed());

    let large = directory.0.join("large");
    File::create(&large).unwrap().set_len(60 << 20).unwrap();
    hasher.request(request(&large, 1)).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    let started = Instant::now();
    assert!(hasher.stop());
    // The file would take six seconds. A busy machine may let a thread wait, so no less is asked for than this.
    println!("stopped within {:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_millis(900), "{:?}", started.elapsed());
}

#[test]
fn a_full_queue_refuses_at_once_and_counts() {
    let directory = Directory::new();
    let file = directory.file("file", vec![1; 1 << 20]);
    let settings = Settings { queue: 2, bytes_per_second: 1 << 20, ..Settings::default() };
    let hasher = Hasher::start(settings).unwrap();
    let asked = request(&file, 0);
    let started = Instant::now();
    let refused = (0..100).filter(|_| hasher.request(asked.clone()) == Err(Full)).count();
    assert!(started.elapsed() < Duration::from_secs(1));
    // One may be with the thread already.
    assert!((97..=98).contains(&refused), "{refused}");
    assert_eq!(hasher.refused(), refused as u64);
    assert!(hasher.stop());
}

#[test]
fn answers_that_nobody_takes_do_not_hold_up_a_stop() {
    let directory = Directory::new();
    let file = directory.file("file", "x");
    let hasher = Hasher::start(Settings { queue: 1, bytes_per_second: 0, ..Settings::default() }).unwrap();
    for _ in 0..3 {
        let _ = hasher.request(request(&file, 0));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(hasher.stop());
}

#[test]
fn the_cache_forgets_what_was_not_asked_for_longest() {
    let mut cache = HashCache::new(2);
    let identity = |inode| Identity { device: 1, inode, size_bytes: 3, mtime_ns: 4, ctime_ns: 5 };
    cache.insert(identity(1), [1; 32]);
    cache.insert(identity(2), [2; 32]);
    assert_eq!(cache.get(&identity(1)), Some([1; 32]));
    cache.insert(identity(3), [3; 32]);
    assert_eq!((cache.get(&identity(2)), cache.len()), (None, 2));
    assert_eq!(cache.get(&identity(1)), Some([1; 32]));
    assert_eq!(cache.get(&Identity { ctime_ns: 6, ..identity(1) }), None);
    cache.insert(identity(1), [9; 32]);
    assert_eq!((cache.get(&identity(1)), cache.len()), (Some([9; 32]), 2));
}
