//! What somebody who wants to fill the agent's memory gets.

use sentinel_edge::enrich::Config;

use crate::records::{Fixture, INIT, NOBODY, config, exec, exit, fork, snapshot};

#[test]
fn chains_are_cut_at_the_limit() {
    let mut t = Fixture::started(10_000, 8);
    let mut creator = INIT;
    for n in 2..200u32 {
        let child = (n, u64::from(n) * 10);
        let process = t.apply(&fork(u64::from(n) * 10, child, creator)).process.unwrap();
        let ancestors: Vec<u32> = process.ancestors().map(|p| p.pid).collect();
        assert_eq!(usize::from(process.depth), ancestors.len());
        assert!(ancestors.len() <= 16 && ancestors.len() >= 8.min(n as usize - 1), "{}", ancestors.len());
        let expected: Vec<u32> = (1..n).rev().take(ancestors.len()).collect();
        assert_eq!(ancestors, expected);
        creator = child;
    }
}

/// Leaves one process alive at the end of each of many chains of short-lived ones.
fn chains(t: &mut Fixture, leaves: u32, length: u32) {
    let mut pid = 1;
    for _ in 0..leaves {
        let mut creator = INIT;
        for n in 0..length {
            pid += 1;
            let id = (pid, u64::from(pid));
            t.apply(&fork(id.1, id, creator));
            t.apply(&exec(id.1, id, creator, "/bin/x", b"x\0"));
            if n > 0 {
                t.apply(&exit(id.1, creator, INIT));
            }
            creator = id;
        }
    }
}

#[test]
fn fork_chains_cannot_fill_memory() {
    let mut t = Fixture::started(256, 64);
    chains(&mut t, 200, 40);
    t.table.tick(0, true);
    let nodes = t.metrics.table_nodes.get();
    assert!(nodes <= 3.0 * 256.0, "{nodes} nodes");
    // Whoever is alive still has its direct creator.
    let alive: Vec<_> = (2..8002).filter_map(|pid| t.table.alive(pid)).collect();
    assert!(alive.len() >= 200);
    assert!(alive.iter().all(|p| p.creator.as_ref().is_some_and(|c| c.pid == 1 || c.pid + 1 == p.pid)));
    assert!(alive.iter().all(|p| usize::from(p.depth) == p.ancestors().count()));
}

#[test]
fn ordinary_chains_are_not_touched() {
    let mut t = Fixture::started(4096, 64);
    chains(&mut t, 20, 40);
    t.table.tick(0, true);
    let whole = (2..802).filter_map(|pid| t.table.alive(pid)).filter(|p| p.depth == 40);
    assert_eq!(whole.count(), 20);
    assert_eq!(t.metrics.table_nodes.get(), 801.0);
}

#[test]
fn large_programs_are_kept_small_when_there_are_many() {
    let mut t = Fixture::new(&Config { args_keep_bytes: 65_536, ..config(256, 64) });
    t.apply(&snapshot(1, INIT, NOBODY, "/init"));
    let args = vec![b'x'; 65_536];
    let path = "/a/very/long/path".repeat(200);
    let mut kept = 0;
    for pid in 2..250 {
        let id = (pid, u64::from(pid));
        t.apply(&fork(id.1, id, INIT));
        let process = t.apply(&exec(id.1, id, INIT, &path, &args)).process.unwrap();
        assert_eq!(process.image.args_len, 65_536);
        assert_eq!(process.image.name(), b"path");
        kept += process.image.args.len();
    }
    // 1 KiB for each of 256 entries, and what one more image may be over.
    assert!((200_000..350_000).contains(&kept), "{kept}");
    let last = t.table.alive(249).unwrap();
    assert!(last.image.args.is_empty() && last.image.executable.len() <= 128 && last.image.executable_cut);
    // When the large ones are gone, programs are kept whole again.
    for pid in 2..250 {
        t.apply(&exit(300, (pid, u64::from(pid)), INIT));
    }
    t.table.tick(u64::MAX, true);
    t.apply(&fork(400, (300, 400), INIT));
    assert_eq!(
        t.apply(&exec(401, (300, 400), INIT, "/bin/x", b"x\0y\0")).process.unwrap().image.args.len(),
        4
    );
}
