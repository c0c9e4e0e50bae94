//! What the table costs: sizes that the documentation states, and the time of an event.

use std::sync::Arc;
use std::time::Instant;

use super::entries::{Entries, Entry};
use super::{Config, Table, identity, lineage};
use crate::event::{Body, BootId, Event, Exec, Exit, Fork, Image, Process, Program, Task};
use crate::metrics::Metrics;

/// Bytes of the counters of an [`Arc`].
const ARC: usize = 16;

#[test]
fn entries_are_as_small_as_documented() {
    let entry = size_of::<Entry>();
    let node = size_of::<Process>() + ARC;
    let image = size_of::<Image>() + ARC;
    println!("entry {entry}, node {node}, image {image} and its texts");
    assert!(entry <= 72 && node <= 64 && image <= 112);
}

#[test]
fn a_full_table_is_as_small_as_documented() {
    let mut entries = Entries::new();
    let image = Arc::new(Image::default());
    for pid in 0..65_536 {
        let entity_id = identity::entity_id(BootId([0; 16]), pid, 0);
        let node =
            Process { pid, start_ns: 0, entity_id, image: Arc::clone(&image), creator: None, depth: 0 };
        entries.insert(Entry::new(lineage::copy(&node, None), 0), 0);
    }
    let bytes = entries.own_bytes();
    println!("{bytes} bytes for {} entries", entries.len());
    assert!(bytes <= 6 << 20);
}

fn exec(task: Task<'static>) -> Exec<'static> {
    let executable = b"/usr/bin/true";
    Exec {
        task,
        program: Program { executable, cwd: b"/root", ..Program::default() },
        filename: executable,
        args_head: b"true\0--with\0some\0arguments\0",
        args_len: 27,
        argc: 4,
        ..Exec::default()
    }
}

/// A fork, an exec and an exit of a process in a table of the default size, the events made beforehand, the
/// subjects dropped at once.
#[test]
#[ignore = "a measurement; meaningful only with optimisation"]
fn time_of_a_process() {
    let config = Config {
        table_entries: 65_536,
        args_keep_bytes: 4096,
        ancestors: 64,
        resolve_names: false,
        env_allow: Vec::new(),
    };
    let mut table = Table::new(&config, BootId([1; 16]), Arc::<Metrics>::default());
    let count = 200_000u64;
    let event = |time_ns, body| Event { time_ns, cpu: 0, body };
    let triples: Vec<[Event<'static>; 3]> = (0..count)
        .map(|n| {
            let start_ns = 1_000_000 + n * 10_000;
            let pid = 1000 + u32::try_from(n % 30_000).unwrap();
            let task = Task {
                pid,
                start_ns,
                ppid: 500,
                parent_start_ns: 77,
                sid: 400,
                leader_start_ns: 66,
                comm: b"sh",
                ..Task::default()
            };
            let fork = Fork { task, creator_pid: 500, creator_tid: 500, creator_start_ns: 77 };
            let exit = Exit { task, cpu_ns: 0, utime_ns: 0, stime_ns: 0, max_rss_bytes: 0, status: 0 };
            [
                event(start_ns, Body::Fork(Box::new(fork))),
                event(start_ns + 1, Body::Exec(Box::new(exec(task)))),
                event(start_ns + 2, Body::Exit(Box::new(exit))),
            ]
        })
        .collect();
    let mut best = [f64::MAX; 4];
    for chunk in triples.chunks(20_000) {
        let mut spent = [0.0; 4];
        let mut apply = |table: &mut Table, which: usize| {
            let begin = Instant::now();
            chunk.iter().for_each(|triple| drop(table.apply(&triple[which])));
            spent[which] = begin.elapsed().as_secs_f64() * 1e9 / chunk.len() as f64;
        };
        (0..3).for_each(|which| apply(&mut table, which));
        // The same again one process at a time, as it happens.
        let mut table = Table::new(&config, BootId([1; 16]), Arc::<Metrics>::default());
        let begin = Instant::now();
        chunk.iter().flatten().for_each(|event| drop(table.apply(event)));
        spent[3] = begin.elapsed().as_secs_f64() * 1e9 / chunk.len() as f64;
        best.iter_mut().zip(spent).for_each(|(best, spent)| *best = best.min(spent));
    }
    println!(
        "fork {:.0} ns, exec {:.0} ns, exit {:.0} ns; in turn {:.0} ns together",
        best[0], best[1], best[2], best[3]
    );
}
