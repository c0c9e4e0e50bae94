//! What a process held before its credentials changed, and whom something was done to.

use sentinel_edge::enrich::identity::entity_id;
use sentinel_edge::event::{Body, Credentials, Event, Kind, Origin, Privilege, Target, Task};

use crate::records::{BOOT, Fixture, INIT, event, exec, executable, fork_of, snapshot_of, task};

const SHELL: (u32, u64) = (2, 20);

fn user(id: (u32, u64), uid: u32) -> Task<'static> {
    Task { uid, euid: uid, suid: uid, cap_effective: u64::from(uid == 0), ..task(id, INIT) }
}

fn change(time_ns: u64, task: Task<'static>) -> Event<'static> {
    let credentials =
        Credentials { task, origin: Origin::default(), old: None, errno: 0, asked: [u32::MAX; 4] };
    event(time_ns, Body::Credentials(Box::new(credentials)))
}

/// The real user and the effective capabilities before a change.
fn before(t: &mut Fixture, event: &Event<'_>) -> Option<(u32, u64)> {
    t.apply(event).old_creds.map(|old| (old.uid, old.cap_effective))
}

#[test]
fn each_change_is_told_with_what_was_before() {
    let mut t = Fixture::started(100, 16);
    t.apply(&fork_of(20, user(SHELL, 0), INIT));
    assert_eq!(before(&mut t, &change(21, user(SHELL, 1000))), Some((0, 1)));
    assert_eq!(before(&mut t, &change(22, user(SHELL, 1000))), Some((1000, 0)));
    // A setuid program gives what no such call gave; its exec says so.
    let mut gained = exec(23, SHELL, INIT, "/usr/bin/sudo", b"");
    let Body::Exec(body) = &mut gained.body else { unreachable!() };
    body.task = user(SHELL, 0);
    t.apply(&gained);
    assert_eq!(before(&mut t, &change(24, user(SHELL, 33))), Some((0, 1)));
}

#[test]
fn a_child_begins_with_what_its_record_says() {
    let mut t = Fixture::started(100, 16);
    t.apply(&fork_of(20, user(SHELL, 0), INIT));
    t.apply(&change(21, user(SHELL, 1000)));
    let child = (3, 30);
    t.apply(&fork_of(30, user(child, 1000), SHELL));
    assert_eq!(before(&mut t, &change(31, user(child, 1001))), Some((1000, 0)));
    // Its creator's are its creator's.
    assert_eq!(before(&mut t, &change(32, user(SHELL, 1000))), Some((1000, 0)));
}

#[test]
fn what_was_never_seen_is_not_made_up() {
    let mut t = Fixture::started(100, 16);
    let unknown = (9, 90);
    assert_eq!(before(&mut t, &change(91, user(unknown, 0))), None);
    // A snapshot that was taken after the change and came before its record.
    t.apply(&snapshot_of(200, user(unknown, 7), None));
    assert_eq!(before(&mut t, &change(150, user(unknown, 7))), None);
    assert_eq!(before(&mut t, &change(250, user(unknown, 8))), Some((7, 0)));
}

#[test]
fn a_target_is_the_process_of_its_pid_and_start() {
    let mut t = Fixture::started(100, 16);
    t.apply(&fork_of(20, user(SHELL, 0), INIT));
    t.apply(&exec(21, SHELL, INIT, "/bin/victim", b""));
    let attach = |pid, start_ns| {
        let target = Target { pid, start_ns, tid: pid, ..Target::default() };
        let privilege = Privilege {
            kind: Kind::Ptrace,
            task: task(INIT, (0, 0)),
            origin: Origin::default(),
            arguments: [0; 8],
            target: Some(target),
            object: None,
            op: 16,
            errno: 0,
            name: b"",
            path: b"",
            signed: None,
            own_object: false,
            anonymous: false,
            written: false,
            write_exec: false,
            flip: false,
            leaves: false,
            from_memory: false,
            unload: false,
            unsure: false,
        };
        event(40, Body::Privilege(Box::new(privilege)))
    };
    let target = t.apply(&attach(2, 20)).target.unwrap();
    assert_eq!((executable(&target), target.entity_id), ("/bin/victim".into(), entity_id(BOOT, 2, 20)));
    // One that nobody told of has an identity all the same, and the table does not grow by it.
    let known = t.table.len();
    let target = t.apply(&attach(77, 70)).target.unwrap();
    assert_eq!((executable(&target), target.entity_id), (String::new(), entity_id(BOOT, 77, 70)));
    assert_eq!(t.table.len(), known);
}
