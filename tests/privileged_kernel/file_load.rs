//! Files in numbers: equal events are merged with an exact count, and the books of every class close.

use std::fs;
use std::time::Duration;

use nix::libc::{self, c_long};
use sentinel_edge::event::Kind;
use sentinel_edge::metrics::label::Reason;

use crate::file::{CWD, OPTIONS, at, c, call, ended_well, text};
use crate::rig::{FILE, Options, Place, Rig};

/// Everything that can be done to files without mounts, once, with a name of its own.
pub fn everything(number: usize) {
    let [name, new, link, soft] = ["a", "b", "l", "s"].map(|letter| c(format!("{letter}{number}")));
    let flags = (libc::O_WRONLY | libc::O_CREAT) as c_long;
    let fd = call(libc::SYS_openat, [CWD, text(&name), flags, 0o600]).into();
    call(libc::SYS_fchmod, [fd, 0o640]);
    call(libc::SYS_fchown, [fd, 0, -1]);
    call(libc::SYS_ftruncate, [fd, 5]);
    call(libc::SYS_fsetxattr, [fd, text(&c("trusted.n")), at(b"x"), 1, 0]);
    call(libc::SYS_utimensat, [fd, 0, 0, 0]);
    call(libc::SYS_close, [fd]);
    call(libc::SYS_linkat, [CWD, text(&name), CWD, text(&link), 0]);
    call(libc::SYS_symlinkat, [text(&name), CWD, text(&soft)]);
    call(libc::SYS_renameat2, [CWD, text(&name), CWD, text(&new), 0]);
    for gone in [&new, &link, &soft] {
        call(libc::SYS_unlinkat, [CWD, text(gone), 0]);
    }
    call(libc::SYS_mkdirat, [CWD, text(&name), 0o700]);
    call(libc::SYS_unlinkat, [CWD, text(&name), libc::AT_REMOVEDIR.into()]);
}

/// How many events of each kind that makes.
pub const EACH: &[(Kind, u64)] = &[
    (Kind::FileOpen, 1),
    (Kind::FileClose, 1),
    (Kind::FileRename, 1),
    (Kind::FileDelete, 4),
    (Kind::FileLink, 2),
    (Kind::FileMkdir, 1),
    (Kind::FileMode, 1),
    (Kind::FileOwner, 1),
    (Kind::FileXattr, 1),
    (Kind::FileTruncate, 1),
    (Kind::FileTimes, 1),
];

#[test]
#[ignore = "needs root and BPF"]
fn every_event_of_a_numbered_load_is_accounted_for() {
    const ROUNDS: usize = 500;
    let place = Place::new();
    let mut rig = Rig::with(Options { ring_bytes: 64 << 20, ..OPTIONS });
    let (pid, status) = rig.act(|| {
        std::env::set_current_dir(place.path()).expect("the directory");
        (0..ROUNDS).for_each(everything);
    });
    ended_well(status);
    rig.assert_closes(FILE);
    for (kind, each) in EACH {
        let seen = rig.files(pid).iter().filter(|file| file.kind == *kind).count() as u64;
        let (all, skipped) = (each * ROUNDS as u64, rig.skipped(*kind));
        assert_eq!(rig.dropped(*kind, Reason::RingFull), 0, "{kind}");
        assert!(seen <= all && seen + skipped >= all, "{seen} and {skipped} skipped, not {all} of {kind}");
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn a_full_ring_loses_nothing_in_silence() {
    const ROUNDS: usize = 2000;
    let place = Place::new();
    let mut rig = Rig::with(Options { ring_bytes: 65536, ..OPTIONS });
    let children: Vec<_> = (0..2)
        .map(|half| {
            let path = place.path();
            crate::acts::act(move || {
                std::env::set_current_dir(path).expect("the directory");
                (half * ROUNDS..(half + 1) * ROUNDS).for_each(everything);
            })
        })
        .collect();
    for child in children {
        ended_well(crate::rig::reap(child));
    }
    rig.assert_closes(FILE);
    for (kind, each) in EACH {
        let known = rig.attempted(*kind);
        assert!(known >= each * 2 * ROUNDS as u64, "{kind}");
        assert!(rig.dropped(*kind, Reason::RingFull) > 0, "{kind}");
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn equal_events_are_merged_with_an_exact_count() {
    const ROUNDS: u64 = 1000;
    let place = Place::new();
    let root = place.path();
    for name in ["a", "b"] {
        fs::write(root.join(name), "").expect("a file");
    }
    let options = Options { merge_window: Some(Duration::from_secs(60)), ring_bytes: 64 << 20, ..OPTIONS };
    let mut rig = Rig::with(options);
    let (pid, status) = rig.act(|| {
        std::env::set_current_dir(&root).expect("the directory");
        let [a, b] = ["a", "b"].map(c);
        for round in 0..ROUNDS {
            let fd = call(libc::SYS_openat, [CWD, text(&a), libc::O_WRONLY.into()]).into();
            call(libc::SYS_fchmod, [fd, 0o600 + (round % 2) as c_long]);
            call(libc::SYS_fchown, [fd, 0, -1]);
            call(libc::SYS_close, [fd]);
            call(libc::SYS_openat, [CWD, text(&b), libc::O_WRONLY.into()]);
            call(libc::SYS_close_range, [fd, c_long::from(i32::MAX), 0]);
            // What goes by name is never merged.
            call(libc::SYS_fchmodat, [CWD, text(&b), 0o600]);
        }
    });
    ended_well(status);
    let count = |rig: &Rig, kind, name: &[u8]| {
        rig.files(pid).iter().filter(|file| file.kind == kind && file.path.ends_with(name)).count() as u64
    };
    assert_eq!(count(&rig, Kind::FileOpen, b"/a"), 1);
    assert_eq!(count(&rig, Kind::FileOpen, b"/b"), 1);
    assert_eq!(count(&rig, Kind::FileMode, b"/a"), 2, "one for each mode");
    assert_eq!(count(&rig, Kind::FileMode, b"/b"), ROUNDS);
    assert_eq!(count(&rig, Kind::FileOwner, b"/a"), 1);
    // The time of the inode may have moved on since the open, or not: one for each.
    let closes = count(&rig, Kind::FileClose, b"/a");
    assert!((1..=2).contains(&closes), "{closes}");
    rig.kernel.detach();
    rig.drain();
    rig.refresh();
    let merged = |kind| rig.dropped(kind, Reason::Deduplicated);
    let [opens, modes, closed, owners] =
        [Kind::FileOpen, Kind::FileMode, Kind::FileClose, Kind::FileOwner].map(merged);
    // Others on the host may have had some merged as well.
    assert!(opens + rig.skipped(Kind::FileOpen) >= 2 * ROUNDS - 2);
    assert!(modes + rig.skipped(Kind::FileMode) >= ROUNDS - 2);
    assert!(closed + rig.skipped(Kind::FileClose) >= ROUNDS - closes);
    // Nobody else sets the same owner again and again.
    assert!(owners < ROUNDS && owners + rig.skipped(Kind::FileOwner) >= ROUNDS - 1, "{owners}");
    rig.assert_closes(FILE);
}
