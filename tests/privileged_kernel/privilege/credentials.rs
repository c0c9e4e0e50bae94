//! Changes of users, groups and capabilities.

use nix::libc;
use sentinel_edge::event::{Body, Credentials, Hook, Kind};

use super::{Case, call, must};

const NONE: u32 = u32::MAX;

fn did(case: &Case, pid: u32) -> Vec<Credentials<'_>> {
    let all = case.rig.events().filter_map(|event| match event.body {
        Body::Credentials(event) if event.task.pid == pid => Some(*event),
        _ => None,
    });
    all.collect()
}

/// What comes back from a call that was refused is told.
pub(super) fn tells_refusals(case: &Case) -> bool {
    case.rig.hooks_of(Kind::Credentials).any(|hook| hook == "tp_btf/sys_exit")
}

/// Changes are told by the function that makes them: nobody knows what was asked for.
pub(super) fn tells_changes_alone(case: &Case) -> bool {
    case.rig.hooks_of(Kind::Credentials).any(|hook| hook == "fentry/commit_creds")
}

#[test]
#[ignore = "needs root and BPF"]
fn credentials_are_told_with_what_they_became_and_why_they_did_not() {
    let Some(mut case) = Case::of(Kind::Credentials) else { return };
    let pid = case.play(|| {
        let groups: [u32; 3] = [10, 20, 30];
        must(libc::SYS_setgroups, [3, groups.as_ptr().expose_provenance()]);
        must(libc::SYS_setresgid, [12, 13, 14]);
        // What it has already: file servers do this all day.
        must(libc::SYS_setfsuid, [0]);
        must(libc::SYS_setresuid, [1001, 1002, 1003]);
        assert_eq!(call(libc::SYS_setuid, [0]), -1);
        must(libc::SYS_setreuid, [usize::MAX, 1001]);
    });
    let (events, refused): (Vec<_>, Vec<_>) = did(&case, pid).into_iter().partition(|e| e.errno == 0);
    let told: Vec<_> = events.iter().map(|e| (e.origin.hook, e.asked)).collect();
    if tells_changes_alone(&case) {
        assert_eq!(told, [(Hook::Fentry, [NONE; 4]); 4]);
    } else {
        assert_eq!(
            told,
            [
                (Hook::SysExit, [3, NONE, NONE, NONE]),
                (Hook::SysExit, [12, 13, 14, NONE]),
                (Hook::SysExit, [1001, 1002, 1003, NONE]),
                (Hook::SysExit, [NONE, 1001, NONE, NONE]),
            ]
        );
    }
    let asked: Vec<_> = refused.iter().map(|e| (e.errno, e.asked)).collect();
    assert_eq!(asked, [(1, [0, NONE, NONE, NONE])][..usize::from(tells_refusals(&case))]);
    assert!(events.iter().chain(&refused).all(|e| !e.task.brief), "{events:#?}");
    let task = &events[1].task;
    assert_eq!((task.gid, task.egid, task.sgid, task.fsgid), (12, 13, 14, 13));
    let task = &events[2].task;
    assert_eq!((task.uid, task.euid, task.suid, task.fsuid), (1001, 1002, 1003, 1002));
    assert_eq!((task.cap_effective, task.cap_permitted), (0, 0));
    let task = &events.last().expect("the last").task;
    assert_eq!((task.euid, task.suid), (1001, 1003));
    case.pass();
}

#[test]
#[ignore = "needs root and BPF"]
fn capset_is_told_with_the_sets_that_are_left() {
    let Some(mut case) = Case::of(Kind::Credentials) else { return };
    // Version 3 of the header, and two words of each set.
    let capset = |low: u32| {
        let (header, data) = ([0x2008_0522_u32, 0], [low, low, 0, 0, 0, 0]);
        call(libc::SYS_capset, [header.as_ptr().expose_provenance(), data.as_ptr().expose_provenance()])
    };
    let pid = case.play(|| {
        assert_eq!(capset(1 << 7), 0);
        assert_eq!(capset(1 << 21), -1);
    });
    let events = did(&case, pid);
    assert_eq!((events[0].errno, events[0].task.cap_effective, events[0].task.cap_permitted), (0, 128, 128));
    if tells_refusals(&case) {
        assert_eq!((events[1].errno, events[1].task.cap_effective), (1, 128));
    }
    assert_eq!(events.len(), if tells_refusals(&case) { 2 } else { 1 });
    case.pass();
}
