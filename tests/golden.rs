//! Golden records: the bytes of a record, and the event that they decode to, as files to review.
//!
//! `tests/data/records/<name>.bin` is a record, `<name>.event` the event in words. The samples of
//! `decode::synth` are among them; a record from anywhere else may lie beside them and is checked as well.
//! `WRITE_GOLDEN=1 cargo test --test golden` writes the samples and all events anew.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use sentinel_edge::decode::{self, synth};
use sentinel_edge::event::{Event, Kind};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/records")
}

fn writes() -> bool {
    env::var_os("WRITE_GOLDEN").is_some()
}

/// Writes the samples if asked to, then gives every record file, in the order of the names.
fn records() -> Vec<(PathBuf, Vec<u8>)> {
    static WRITTEN: Once = Once::new();
    WRITTEN.call_once(|| {
        for sample in synth::samples().iter().filter(|_| writes()) {
            let path = directory().join(sample.name).with_extension("bin");
            fs::write(path, synth::encode(&sample.event)).unwrap();
        }
    });
    let mut paths: Vec<PathBuf> =
        fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "bin"));
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// The event's debug form, with bytes as text instead of one number a line.
fn in_words(event: &Event<'_>) -> String {
    let debug = format!("{event:#?}\n").replace("[],", "b\"\",");
    let mut words = String::new();
    let mut lines = debug.lines();
    while let Some(line) = lines.next() {
        words.push_str(line);
        if line.ends_with('[') {
            words.pop();
            let items = lines.by_ref().map_while(|item| item.trim().trim_end_matches(',').parse::<u8>().ok());
            let bytes: Vec<u8> = items.collect();
            words.push_str(&format!("b\"{}\",", bytes.escape_ascii()));
        }
        words.push('\n');
    }
    words
}

#[test]
fn records_decode_to_the_reviewed_events() {
    let mut kinds = BTreeSet::new();
    for (path, record) in records() {
        let event = decode::decode(&record).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        kinds.insert(event.kind());
        let words = in_words(&event);
        let reviewed = path.with_extension("event");
        if writes() {
            fs::write(&reviewed, &words).unwrap();
        }
        let expected =
            fs::read_to_string(&reviewed).unwrap_or_else(|e| panic!("{}: {e}", reviewed.display()));
        for (line, (now, then)) in words.lines().zip(expected.lines()).enumerate() {
            assert_eq!(now, then, "{}, line {}", reviewed.display(), line + 1);
        }
        assert_eq!(words.lines().count(), expected.lines().count(), "{}", reviewed.display());
    }
    assert_eq!(kinds, Kind::ALL.iter().copied().collect(), "a kind without a golden record");
}

/// A record that changes is another ABI: what an old capture holds could not be read any more.
#[test]
fn samples_encode_to_the_reviewed_records() {
    let records = records();
    for sample in synth::samples() {
        let path = directory().join(sample.name).with_extension("bin");
        let reviewed = records.iter().find(|(of, _)| *of == path).map(|(_, record)| record);
        let encoded = synth::encode(&sample.event);
        let hint = "raise SE_ABI_VERSION if the layout changed, then WRITE_GOLDEN=1";
        assert!(reviewed == Some(&encoded), "{} is stale: {hint}", path.display());
    }
}
