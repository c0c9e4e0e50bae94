//! What the agent's programs add to opening a file, on the rung of the ladder that the run is for.
//!
//! A benchmark in the shape of a test, since this binary is what runs in guests, where trampolines are allowed. It
//! prints a line `COST ...` for the report in docs/performance.md and asserts only that what it timed was recorded: the
//! cost of a record refused is another. In steps: make the files, time opens of them without the programs, load the
//! programs, time the same opens again. Records are taken out of the ring between the stretches that are timed.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use sentinel_edge::event::Kind;
use sentinel_edge::metrics::label::Reason;

use crate::rig::{Place, Rig};

/// Opens of each kind, each of another file, so that none is merged with one before.
const OPENS: usize = 20_000;
/// Opens that are timed together. Their records fit into the ring.
const STRETCH: usize = 1_000;

/// A way to open a file.
type Open = fn(&Path) -> io::Result<File>;

/// To read, which interests nobody as long as the file is not watched, and to write, which is told.
const WAYS: [(&str, Open); 2] =
    [("read", |path| File::open(path)), ("write", |path| OpenOptions::new().write(true).open(path))];

/// Nanoseconds an open and close, the median of all stretches; `between` runs after each, untimed.
fn cost(files: &[PathBuf], open: Open, mut between: impl FnMut()) -> u128 {
    let mut stretches = Vec::new();
    for stretch in files.chunks(STRETCH) {
        let start = Instant::now();
        for path in stretch {
            open(path).expect("a file of ours");
        }
        stretches.push(start.elapsed().as_nanos() / STRETCH as u128);
        between();
    }
    stretches.sort_unstable();
    stretches[stretches.len() / 2]
}

/// Opens that were recorded so far.
fn recorded(rig: &Rig) -> u64 {
    let tally = rig.tally();
    let kinds = ["file_open", "file_read"].into_iter().filter_map(Kind::from_name);
    kinds.filter_map(|kind| tally.get(&kind)).sum()
}

#[test]
#[ignore = "needs root and BPF"]
fn an_open_costs_this_much() {
    let place = Place::new();
    let directory = place.path().join("cost");
    fs::create_dir(&directory).expect("a directory");
    let files: Vec<PathBuf> = (0..OPENS).map(|n| directory.join(n.to_string())).collect();
    for path in &files {
        fs::write(path, "").expect("a file");
    }
    let alone = WAYS.map(|(_, open)| cost(&files, open, || ()));

    let mut rig = Rig::new();
    let hook = std::env::var("SENTINEL_TEST_HOOKS").unwrap_or_else(|_| "auto".to_owned());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel's release");
    for ((name, open), base) in WAYS.into_iter().zip(alone) {
        let before = recorded(&rig);
        let with = cost(&files, open, || rig.drain());
        let records = recorded(&rig) - before;
        println!(
            "COST hook={hook} open={name} ns_per_open={with} base_ns={base} records={records} kernel={}",
            kernel.trim_end()
        );
    }
    rig.refresh();
    let lost: u64 = Kind::ALL.iter().map(|kind| rig.dropped(*kind, Reason::RingFull)).sum();
    assert_eq!(lost, 0, "records that found no room cost less than others");
}
