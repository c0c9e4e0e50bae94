//! The books of the kernel side close exactly, also when the ring overflows, and lost links are noticed.

use std::process::Command;
use std::thread;

use sentinel_edge::event::Kind;
use sentinel_edge::metrics::label::{Reason, Stage};

use crate::rig::{Options, Place, Rig};

const KINDS: [Kind; 5] = [Kind::Exec, Kind::ExecFailed, Kind::Fork, Kind::Exit, Kind::Cgroup];

/// Programs started and refused on two threads.
fn burst(place: &Place, each: usize) {
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for n in 0..each {
                    let mut command = Command::new(&place.program);
                    command.arg(n.to_string()).status().expect("a program that does nothing");
                    Command::new("/no/such/program").spawn().expect_err("no such program");
                }
            });
        }
    });
}

#[test]
#[ignore = "needs root and BPF"]
fn with_room_nothing_is_lost() {
    let (mut rig, place) = (Rig::with(Options { ring_bytes: 16 << 20, ..Options::default() }), Place::new());
    burst(&place, 300);
    rig.assert_closes(&KINDS);
    for kind in KINDS {
        assert_eq!(rig.dropped(kind, Reason::RingFull), 0, "{kind}");
    }
    assert!(rig.stage(Kind::Exec, Stage::Attempted) >= 600);
    assert!(rig.attempted(Kind::ExecFailed) >= 600);
    assert!(rig.stage(Kind::Fork, Stage::Attempted) >= 1200);
    assert!(rig.stage(Kind::Exit, Stage::Attempted) >= 1200);
}

#[test]
#[ignore = "needs root and BPF"]
fn without_room_every_loss_is_counted() {
    let (mut rig, place) = (Rig::with(Options { ring_bytes: 16384, ..Options::default() }), Place::new());
    for _ in 0..5 {
        burst(&place, 100);
        rig.drain();
    }
    rig.assert_closes(&KINDS);
    for kind in [Kind::Exec, Kind::ExecFailed, Kind::Fork, Kind::Exit] {
        assert!(rig.dropped(kind, Reason::RingFull) > 0, "{kind}");
        assert!(rig.stage(kind, Stage::Submitted) > 0, "{kind}");
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn a_ring_smaller_than_a_record_drops_and_counts_it() {
    let (mut rig, _) = (Rig::with(Options { ring_bytes: 4096, ..Options::default() }), ());
    let long = "x".repeat(20_000);
    Command::new("/bin/true").arg(&long).status().expect("/bin/true");
    rig.assert_closes(&KINDS);
    assert!(rig.dropped(Kind::Exec, Reason::RingFull) >= 1);
}

#[test]
#[ignore = "needs root and BPF"]
fn attached_programs_are_attached() {
    let rig = Rig::new();
    assert_eq!(rig.kernel.lost(), Vec::<&str>::new());
}
