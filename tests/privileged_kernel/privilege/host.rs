//! What is set for the whole host: names, clocks, swap, restarts.

use nix::libc;
use sentinel_edge::event::Kind;
use sentinel_edge::event::privilege::op;

use super::{Case, address, call, lower, must, room, text};

#[test]
#[ignore = "needs root and BPF"]
fn names_of_the_host_are_those_that_the_kernel_has() {
    let Some(mut case) = Case::of(Kind::HostName) else { return };
    let pid = case.play(|| {
        must(libc::SYS_unshare, [0x0400_0000 /* CLONE_NEWUTS */]);
        must(libc::SYS_sethostname, [text(c"se-host trailing"), 7]);
        must(libc::SYS_setdomainname, [text(c"se-domain"), 9]);
        lower();
        assert_eq!(call(libc::SYS_sethostname, [text(c"refused"), 7]), -1);
    });
    let events = case.did(pid);
    let told: Vec<_> = events.iter().map(|e| (e.op, e.errno, e.name, e.origin.grade_user)).collect();
    assert_eq!(
        told,
        [
            (op::NAME_HOST, 0, &b"se-host"[..], false),
            (op::NAME_DOMAIN, 0, b"se-domain", false),
            (op::NAME_HOST, 1, b"refused", true),
        ]
    );
    assert_ne!(events[0].arguments[0], 0);
    case.pass();
}

#[test]
#[ignore = "needs root and BPF"]
fn clocks_that_are_set_are_told_and_those_that_are_read_are_not() {
    let Some(mut case) = Case::of(Kind::Clock) else { return };
    let pid = case.play(|| {
        // struct timex: modes first, the frequency third.
        let mut timex = [0_u64; 26];
        assert!(call(libc::SYS_adjtimex, [room(&mut timex)]) >= 0);
        lower();
        let time = [1_700_000_000_u64, 123_456_789];
        assert_eq!(call(libc::SYS_clock_settime, [0, address(&time)]), -1);
        let time = [1_600_000_000_u64, 5];
        assert_eq!(call(libc::SYS_settimeofday, [address(&time), 0]), -1);
        timex[0] = 2; // ADJ_FREQUENCY
        timex[2] = 65_536;
        assert_eq!(call(libc::SYS_clock_adjtime, [0, room(&mut timex)]), -1);
    });
    let events = case.did(pid);
    let told: Vec<_> = events.iter().map(|e| (e.op, e.errno, e.arguments[1], e.arguments[2])).collect();
    assert_eq!(told[0], (op::CLOCK_SET, 1, 1_700_000_000, 123_456_789));
    assert_eq!(told[1], (op::CLOCK_SET, 1, 1_600_000_000, 5_000));
    assert_eq!((told[2].0, told[2].1, told.len()), (op::CLOCK_ADJUST, 1, 3));
    assert_eq!((events[2].arguments[3], events[2].arguments[5]), (2, 65_536));
    case.pass();
}

#[test]
#[ignore = "needs root and BPF"]
fn swap_and_restarts_that_are_refused_are_told() {
    if let Some(mut case) = Case::of(Kind::Swap) {
        let pid = case.play(|| {
            assert!(call(libc::SYS_swapon, [text(c"/no/such/swap"), 0x8005]) < 0);
            assert!(call(libc::SYS_swapoff, [text(c"/no/such/swap")]) < 0);
        });
        let events = case.did(pid);
        let told: Vec<_> = events.iter().map(|e| (e.op, e.errno != 0, e.path, e.arguments[0])).collect();
        let path = &b"/no/such/swap"[..];
        assert_eq!(told, [(op::SWAP_ON, true, path, 0x8005), (op::SWAP_OFF, true, path, 0)]);
        case.pass();
    }
    if let Some(mut case) = Case::of(Kind::Reboot) {
        // Without the magic numbers the kernel refuses whatever is asked for.
        let pid = case.play(|| {
            assert_eq!(call(libc::SYS_reboot, [1, 2, 0xa1b2_c3d4, text(c"recovery")]), -22);
            lower();
            assert_eq!(call(libc::SYS_reboot, [0xfee1_dead, 672_274_793, 0, 0]), -1);
        });
        let events = case.did(pid);
        let told: Vec<_> = events.iter().map(|e| (e.op, e.errno, e.name)).collect();
        assert_eq!(told, [(0xa1b2_c3d4, 22, &b"recovery"[..]), (0, 1, b"")]);
        case.pass();
    }
}
