//! Sudden death: kill -9 while lines are written at full speed.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use sentinel_edge::metrics::SinkName;
use sentinel_edge::sink::last_sequence;

use crate::common::{assert_closed, batch, child, config, eventually, is_child, read, start};

const LOG: &str = "SENTINEL_TEST_LOG";

#[test]
fn twenty_kills_leave_whole_lines_and_the_numbers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("sentinel.log");
    let mut next = 0;
    for round in 0..20u64 {
        let before = fs::metadata(&log).map_or(0, |meta| meta.len());
        let mut writer = child("crash::child_writer").env(LOG, &log).stdout(Stdio::null()).spawn().unwrap();
        eventually("it writes", || fs::metadata(&log).is_ok_and(|meta| meta.len() > before));
        std::thread::sleep(Duration::from_millis(round % 7));
        writer.kill().unwrap();
        writer.wait().unwrap();
        if round % 5 == 4 {
            // The kernel finishes most writes before it kills; so here is what a power loss leaves.
            let mut file = OpenOptions::new().append(true).open(&log).unwrap();
            file.write_all(b"{\"event\":{\"action\":\"exec\",\"sequence\":9").unwrap();
        }
        let text = fs::read(&log).unwrap();
        let torn = !text.ends_with(b"\n");
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let last = last_sequence(&log).unwrap();
        let (sinks, metrics) = start(&config(&log));
        assert!(sinks.stop(Duration::from_secs(5)));
        assert_eq!(metrics.sink_repaired.get(), u64::from(torn));
        assert_eq!(fs::metadata(&log).unwrap().len(), whole as u64);
        assert_closed(&metrics, SinkName::File);
        let found = read(std::slice::from_ref(&log)).sequences;
        assert_eq!(last, ("b".to_owned(), *found.last().unwrap()));
        // Each run went on from the last number of the one before, and no line is missing or twice.
        assert!(found[0] == 0 && found.windows(2).all(|pair| pair[1] == pair[0] + 1));
        assert!(found.len() > next);
        next = found.len();
        if fs::metadata(&log).unwrap().len() > 64 << 20 {
            fs::remove_file(&log).unwrap();
            next = 0;
        }
    }
}

#[test]
#[ignore = "run by twenty_kills_leave_whole_lines_and_the_numbers_go_on, which kills it"]
fn child_writer() {
    if !is_child() {
        return;
    }
    let log = PathBuf::from(std::env::var_os(LOG).unwrap());
    let first = last_sequence(&log).map_or(0, |(_, sequence)| sequence + 1);
    let (sinks, _) = start(&config(&log));
    for index in 0.. {
        sinks.offer(&batch(index, first + index * 50, 50, 1200));
    }
}
