//! The process table, case by case.

use std::sync::Arc;

use sentinel_edge::enrich::identity::entity_id;
use sentinel_edge::event::Task;

use crate::records::{
    BOOT, Fixture, INIT, NOBODY, chain, config, exec, exec_failed, exec_failed_of, executable, exit, exit_of,
    fork, fork_below, fork_of, named, snapshot, snapshot_of, task,
};

#[test]
fn ancestors_are_what_they_were_when_they_forked() {
    let mut t = Fixture::started(100, 16);
    t.apply(&fork(20, (2, 20), INIT));
    t.apply(&exec(21, (2, 20), INIT, "/bin/sh", b"sh\0"));
    t.apply(&fork(30, (3, 30), (2, 20)));
    t.apply(&exec(31, (2, 20), INIT, "/bin/innocent", b"x\0"));
    let subject = t.apply(&exec(32, (3, 30), (2, 20), "/bin/evil", b"evil\0-x\0"));
    let process = subject.process.unwrap();
    assert_eq!(process.entity_id, entity_id(BOOT, 3, 30));
    assert_eq!((executable(&process), &*process.image.args), ("/bin/evil".into(), &b"evil\0-x\0"[..]));
    assert_eq!(chain(&process), named(&[(2, "/bin/sh"), (1, "/init")]));
    assert_eq!(process.depth, 2);
    // The real parent is told as it is.
    assert_eq!(executable(&subject.parent.unwrap()), "/bin/innocent");
    assert_eq!(t.metrics.table_misses.get(), 0);
}

#[test]
fn a_child_runs_its_creators_program_until_it_execs() {
    let mut t = Fixture::started(100, 16);
    let child = t.apply(&fork(20, (2, 20), INIT)).process.unwrap();
    let parent = t.table.alive(1).unwrap();
    assert!(Arc::ptr_eq(&child.image, &parent.image));
    let grandchild = t.apply(&fork(21, (3, 21), (2, 20))).process.unwrap();
    assert_eq!(chain(&grandchild), named(&[(2, "/init"), (1, "/init")]));
}

#[test]
fn clone_parent_tells_creator_and_parent_apart() {
    let mut t = Fixture::started(100, 16);
    t.apply(&fork(20, (2, 20), INIT));
    let subject = t.apply(&fork_below(30, (3, 30), (2, 20), INIT));
    assert_eq!(subject.process.unwrap().creator.as_ref().unwrap().pid, 2);
    assert_eq!(subject.parent.unwrap().pid, 1);
}

#[test]
fn orphans_keep_their_creator() {
    let mut t = Fixture::started(100, 16);
    t.apply(&fork(20, (2, 20), INIT));
    t.apply(&exec(21, (2, 20), INIT, "/bin/launcher", b""));
    t.apply(&fork(30, (3, 30), (2, 20)));
    t.apply(&exit(40, (2, 20), INIT));
    let subject = t.apply(&exec(50, (3, 30), INIT, "/bin/daemon", b""));
    assert_eq!(chain(&subject.process.unwrap()), named(&[(2, "/bin/launcher"), (1, "/init")]));
    assert_eq!(subject.parent.unwrap().pid, 1);
}

#[test]
fn a_reused_pid_is_another_process() {
    let mut t = Fixture::started(100, 16);
    t.apply(&fork(20, (2, 20), INIT));
    t.apply(&exec(21, (2, 20), INIT, "/bin/old", b""));
    t.apply(&exit(30, (2, 20), INIT));
    t.apply(&fork(40, (2, 40), INIT));
    assert_eq!(t.runs(2).unwrap(), "/init");
    // A late event of the old one finds the old one, and changes nothing for the new one.
    let late = t.apply(&exec_failed(29, (2, 20), INIT)).process.unwrap();
    assert_eq!((executable(&late), late.entity_id), ("/bin/old".into(), entity_id(BOOT, 2, 20)));
    assert_eq!(t.table.alive(2).unwrap().start_ns, 40);
    // A lost exit is proven by the next owner of the pid.
    t.apply(&fork(50, (2, 50), INIT));
    assert_eq!(t.table.alive(2).unwrap().start_ns, 50);
    assert_eq!(t.table.len(), 4);
    // What is older than the owner is never alive.
    t.apply(&exec_failed(51, (2, 45), INIT));
    assert_eq!(t.table.alive(2).unwrap().start_ns, 50);
}

#[test]
fn the_same_pid_again_and_again_stays_bounded() {
    let mut t = Fixture::started(1000, 16);
    for n in 0..500 {
        t.apply(&fork(100 + n, (2, 100 + n), INIT));
        assert!(t.table.len() <= 10, "{}", t.table.len());
    }
    // Also downwards.
    for n in 0..90 {
        t.apply(&exec_failed(1000 + n, (2, 99 - n), INIT));
        assert!(t.table.len() <= 10);
    }
    assert_eq!(t.table.alive(2).unwrap().start_ns, 599);
}

#[test]
fn what_is_older_than_a_snapshot_does_not_overwrite_it() {
    let mut t = Fixture::new(&config(100, 16));
    t.apply(&snapshot(50, (2, 20), INIT, "/bin/now"));
    let subject = t.apply(&exec(40, (2, 20), INIT, "/bin/before", b"b\0"));
    assert_eq!(executable(&subject.process.unwrap()), "/bin/before", "the event itself tells what it saw");
    assert_eq!(t.runs(2).unwrap(), "/bin/now");
    let subject = t.apply(&exec(60, (2, 20), INIT, "/bin/after", b""));
    assert_eq!(executable(&subject.process.unwrap()), "/bin/after");
    assert_eq!(t.runs(2).unwrap(), "/bin/after");
    t.apply(&snapshot(55, (2, 20), INIT, "/bin/now"));
    assert_eq!(t.runs(2).unwrap(), "/bin/after");
    assert_eq!(t.table.len(), 2);
}

#[test]
fn a_snapshot_keeps_arguments_that_an_exec_told() {
    let mut t = Fixture::started(100, 16);
    t.apply(&fork(20, (2, 20), INIT));
    t.apply(&exec(21, (2, 20), INIT, "/bin/sh", b"sh\0-c\0"));
    t.apply(&snapshot(50, (2, 20), INIT, "/bin/sh"));
    assert_eq!(&*t.table.alive(2).unwrap().image.args, b"sh\0-c\0");
    // An exec was lost.
    t.apply(&snapshot(60, (2, 20), INIT, "/bin/other"));
    let process = t.table.alive(2).unwrap();
    assert_eq!((executable(&process), process.image.args.len()), ("/bin/other".into(), 0));
}

#[test]
fn an_exit_that_was_seen_is_final() {
    let mut t = Fixture::started(100, 16);
    t.apply(&fork(20, (2, 20), INIT));
    t.apply(&exit(30, (2, 20), INIT));
    t.apply(&snapshot(25, (2, 20), INIT, "/bin/x"));
    t.apply(&snapshot(35, (2, 20), INIT, "/bin/x"));
    t.apply(&fork(36, (2, 20), INIT));
    t.apply(&exec(37, (2, 20), INIT, "/bin/x", b""));
    assert!(t.table.alive(2).is_none());
    // Also when the exit was the first that was heard of the process.
    t.apply(&exit(30, (3, 21), INIT));
    t.apply(&snapshot(25, (3, 21), INIT, "/bin/y"));
    assert!(t.table.alive(3).is_none());
}

#[test]
fn snapshots_link_up_in_any_order() {
    let mut t = Fixture::new(&config(100, 16));
    t.table.begin_resync(100);
    t.apply(&snapshot(101, (5, 50), (7, 40), "/bin/leaf"));
    t.apply(&snapshot(102, (6, 60), (5, 50), "/bin/deep"));
    t.apply(&snapshot(103, (7, 40), INIT, "/bin/mid"));
    t.apply(&snapshot(104, INIT, NOBODY, "/init"));
    t.table.end_resync(110);
    let deep = t.table.alive(6).unwrap();
    assert_eq!(chain(&deep), named(&[(5, "/bin/leaf"), (7, "/bin/mid"), (1, "/init")]));
    assert_eq!(deep.depth, 3);
    assert_eq!(t.metrics.table_misses.get(), 0);
    assert_eq!(t.table.len(), 4);
}

#[test]
fn a_fork_tells_more_than_a_snapshot() {
    let mut t = Fixture::started(100, 16);
    t.apply(&fork(20, (2, 20), INIT));
    t.apply(&exec(21, (2, 20), INIT, "/bin/creator", b""));
    // The creator is gone by the time of the snapshot, so it shows pid 1 as the parent.
    t.table.begin_resync(90);
    t.apply(&snapshot(100, (3, 30), INIT, "/bin/child"));
    t.apply(&fork(30, (3, 30), (2, 20)));
    t.table.end_resync(110);
    let child = t.table.alive(3).unwrap();
    assert_eq!(executable(&child), "/bin/child");
    assert_eq!(chain(&child), named(&[(2, "/bin/creator"), (1, "/init")]));
}

#[test]
fn a_resync_buries_the_dead_and_an_act_revives() {
    let mut t = Fixture::started(100, 16);
    for pid in 2..6 {
        t.apply(&fork(20, (pid, 20), INIT));
    }
    t.table.begin_resync(100);
    t.apply(&snapshot(101, INIT, NOBODY, "/init"));
    t.apply(&snapshot(101, (2, 20), INIT, "/init"));
    // Younger than the snapshot, so not in it.
    t.apply(&fork(105, (7, 105), INIT));
    t.table.end_resync(110);
    let alive: Vec<u32> = (1..10).filter(|&pid| t.table.alive(pid).is_some()).collect();
    assert_eq!(alive, [1, 2, 7]);
    t.apply(&exec_failed(120, (3, 20), INIT));
    assert!(t.table.alive(3).is_some());
    t.apply(&exec_failed(108, (4, 20), INIT));
    assert!(t.table.alive(4).is_none(), "an event from before the snapshot's end proves nothing");
}

#[test]
fn losses_are_counted_and_shown_as_what_they_are() {
    let mut t = Fixture::started(100, 16);
    let subject = t.apply(&exec_failed(50, (9, 40), (8, 30)));
    let process = subject.process.unwrap();
    assert_eq!(process.image.name(), b"comm");
    assert!(process.image.executable_cut);
    let parent = subject.parent.unwrap();
    assert_eq!((parent.pid, parent.entity_id), (8, entity_id(BOOT, 8, 30)));
    assert!(parent.image.executable.is_empty());
    assert_eq!(process.creator.as_ref().unwrap().pid, 8);
    assert_eq!(t.metrics.table_misses.get(), 1);
    // The parent's own event completes it.
    let parent = t.apply(&exec_failed(51, (8, 30), INIT)).process.unwrap();
    assert_eq!((parent.image.name(), parent.creator.as_ref().unwrap().pid), (&b"comm"[..], 1));
    // A fork by an unknown creator: the child's short name was the creator's.
    let child = t.apply(&fork(60, (11, 60), (10, 55))).process.unwrap();
    assert_eq!(child.creator.as_ref().unwrap().image.name(), b"comm");
    assert_eq!(t.metrics.table_misses.get(), 2);
}

#[test]
fn session_leaders_are_named_even_when_unknown() {
    let mut t = Fixture::started(100, 16);
    let mut leader = |sid, leader_start_ns| {
        t.apply(&exec_failed_of(20, Task { sid, leader_start_ns, ..task(INIT, NOBODY) })).session_leader
    };
    assert_eq!(leader(1, 1), Some(entity_id(BOOT, 1, 1)));
    assert_eq!(leader(77, 70), Some(entity_id(BOOT, 77, 70)));
    assert_eq!((leader(77, 0), leader(0, 0)), (None, None));
}

#[test]
fn a_record_without_a_session_is_of_the_one_that_was_named_last() {
    let mut t = Fixture::started(100, 16);
    let full = |sid, start| Task { sid, leader_start_ns: start, ..task((20, 15), INIT) };
    let brief = || Task { brief: true, ..task((20, 15), INIT) };
    let mut leader = |task| t.apply(&exec_failed_of(20, task)).session_leader;
    assert_eq!(leader(brief()), None);
    assert_eq!(leader(full(77, 70)), Some(entity_id(BOOT, 77, 70)));
    assert_eq!(leader(brief()), Some(entity_id(BOOT, 77, 70)));
    assert_eq!(leader(full(20, 15)), Some(entity_id(BOOT, 20, 15)));
    assert_eq!(leader(brief()), Some(entity_id(BOOT, 20, 15)));
    assert_eq!((leader(full(77, 0)), leader(brief())), (None, None));
}

#[test]
fn kernel_threads_have_their_own_names() {
    let mut t = Fixture::new(&config(100, 16));
    let thread = |comm: &'static [u8], id, parent| Task { kernel_thread: true, comm, ..task(id, parent) };
    t.apply(&snapshot_of(10, thread(b"kthreadd", (2, 2), NOBODY), None));
    let forked = t.apply(&fork_of(20, thread(b"kthreadd", (3, 20), (2, 2)), (2, 2)));
    assert_eq!(forked.process.unwrap().image.name(), b"kthreadd");
    let process = t.apply(&exit_of(30, thread(b"kworker/0:1", (3, 20), (2, 2)))).process.unwrap();
    assert_eq!(process.image.name(), b"kworker/0:1");
    assert!(process.image.kernel_thread && !process.image.executable_cut);
    // A helper that the kernel starts is no kernel thread, not even before its exec.
    let helper = t.apply(&fork(40, (4, 40), (2, 2))).process.unwrap();
    assert!(!helper.image.kernel_thread);
}

#[test]
fn exited_processes_leave_first_and_in_time() {
    let mut t = Fixture::started(64, 16);
    for pid in 2..60 {
        t.apply(&fork(20, (pid, 20), INIT));
    }
    for pid in [30, 31] {
        t.apply(&exit(30, (pid, 20), INIT));
    }
    for pid in 60..70 {
        t.apply(&fork(40, (pid, 40), INIT));
    }
    assert_eq!((t.table.len(), t.metrics.table_evictions.get()), (64, 5));
    // Two exited ones, then the three that were silent for the longest time; pid 1 forked all the time.
    let gone: Vec<u32> = (1..70).filter(|&pid| t.table.alive(pid).is_none()).collect();
    assert_eq!(gone, [2, 3, 4, 30, 31]);
    for pid in 60..70 {
        t.apply(&exit(50, (pid, 40), INIT));
    }
    assert_eq!(t.table.len(), 54 + 8, "an eighth of the table at most");
    t.table.tick(60_000_000_049, false);
    assert_eq!(t.table.len(), 54 + 8);
    t.table.tick(60_000_000_050, false);
    assert_eq!((t.table.len(), t.metrics.table_entries.get()), (54, 54.0));
    assert_eq!(t.metrics.table_evictions.get(), 5);
}

#[test]
fn a_smaller_table_shrinks() {
    let mut t = Fixture::started(1000, 16);
    for pid in 2..500 {
        t.apply(&fork(20, (pid, 20), INIT));
    }
    t.table.reconfigure(&config(100, 4));
    t.apply(&fork(30, (600, 30), INIT));
    assert_eq!(t.table.len(), 100);
    assert!(t.table.alive(600).is_some() && t.table.alive(1).is_some());
}

#[test]
fn an_event_that_comes_late_is_of_the_program_that_ran_then() {
    let mut t = Fixture::started(100, 16);
    t.apply(&fork(20, (2, 20), INIT));
    t.apply(&exec(30, (2, 20), INIT, "/bin/first", b""));
    t.apply(&exec(40, (2, 20), INIT, "/bin/second", b""));
    let runs = |t: &mut Fixture, time_ns| {
        executable(&t.apply(&exec_failed(time_ns, (2, 20), INIT)).process.unwrap())
    };
    assert_eq!(runs(&mut t, 25), "/init");
    assert_eq!(runs(&mut t, 35), "/bin/first");
    assert_eq!(runs(&mut t, 40), "/bin/second");
    assert_eq!(runs(&mut t, 50), "/bin/second");
    // Also after its exit, and again nothing changes for the present.
    t.apply(&exit(60, (2, 20), INIT));
    assert_eq!(runs(&mut t, 39), "/bin/first");
    assert_eq!(runs(&mut t, 59), "/bin/second");
    assert_eq!(t.metrics.table_misses.get(), 0);
}

#[test]
fn what_ran_before_is_forgotten_in_time() {
    let mut t = Fixture::started(100, 16);
    t.apply(&fork(20, (2, 20), INIT));
    t.apply(&exec(30, (2, 20), INIT, "/bin/first", b""));
    t.table.tick(30 + 10_000_000_001, false);
    let late = t.apply(&exec_failed(25, (2, 20), INIT)).process.unwrap();
    assert_eq!(executable(&late), "/bin/first");
}
