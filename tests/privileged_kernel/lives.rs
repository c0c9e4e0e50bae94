//! Forks, exits, control groups, and the snapshot.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::wait::WaitStatus;
use sentinel_edge::decode::decode;
use sentinel_edge::event::{Body, Cgroup, CgroupChange, Kind, Snapshot};

use crate::acts::{self, act};
use crate::rig::{Options, Place, Rig, bytes, reap, shell};

#[test]
#[ignore = "needs root and BPF"]
fn threads_are_no_processes() {
    let mut rig = Rig::new();
    let (pid, status) = rig.act(acts::threads);
    assert!(matches!(status, WaitStatus::Exited(_, 0)));
    let forks: Vec<_> = rig.forks().filter(|x| x.task.pid == pid || x.creator_pid == pid).collect();
    assert_eq!(forks.len(), 1, "{forks:#?}");
    rig.exit(pid);
}

#[test]
#[ignore = "needs root and BPF"]
fn the_creator_is_told_even_if_the_parent_is_another() {
    let mut rig = Rig::new();
    let (creator, status) = rig.act(acts::clone_parent);
    assert!(matches!(status, WaitStatus::Exited(_, 0)));
    let fork = rig.forks().find(|x| x.creator_pid == creator).expect("a fork by the child");
    assert_eq!((fork.creator_tid, fork.task.ppid), (creator, std::process::id()));
    assert_eq!(fork.creator_start_ns, rig.fork(creator).task.start_ns);
    // It is our child now.
    reap(fork.task.pid);
}

#[test]
#[ignore = "needs root and BPF"]
fn exits_tell_code_or_signal() {
    let mut rig = Rig::new();
    let (pid, _) = rig.run(&mut shell("exit 42"));
    let exit = rig.exit(pid);
    assert_eq!((exit.code(), exit.signal(), exit.core_dumped()), (42, None, false));
    assert_eq!(exit.task.comm, b"sh");
    assert_eq!(exit.task.start_ns, rig.fork(pid).task.start_ns);
    assert_eq!((exit.task.ppid, exit.task.mnt_ns), (std::process::id(), rig.fork(pid).task.mnt_ns));

    let (pid, _) = rig.run(&mut shell("kill -KILL $$"));
    assert_eq!((rig.exit(pid).signal(), rig.exit(pid).core_dumped()), (Some(9), false));

    let place = Place::new();
    let (pid, status) = rig.run(shell("ulimit -c unlimited; kill -SEGV $$").current_dir(place.path()));
    let dumped = std::os::unix::process::ExitStatusExt::core_dumped(&status);
    assert_eq!((rig.exit(pid).signal(), rig.exit(pid).core_dumped()), (Some(11), dumped));
}

#[test]
#[ignore = "needs root and BPF"]
fn exits_tell_what_the_process_used() {
    let mut rig = Rig::new();
    let (pid, status) = rig.run(
        Command::new("dd").args(["if=/dev/zero", "of=/dev/null", "bs=64M", "count=8"]).stderr(Stdio::null()),
    );
    assert!(status.success());
    let exit = rig.exit(pid);
    let mib = exit.max_rss_bytes >> 20;
    // Until its exec the child shares the memory of this process, and the kernel counts the most of both.
    let own = fs::read_to_string("/proc/self/status").expect("own status");
    let peak = own.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the most ever resident");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("kilobytes");
    assert!((64..128.max(peak / 1024 + 2)).contains(&mib), "{mib} MiB");
    assert!(exit.cpu_ns > 5_000_000, "512 MiB of zeros in {} ns", exit.cpu_ns);
    assert!(exit.utime_ns + exit.stime_ns <= 2 * exit.cpu_ns + 50_000_000);
}

#[test]
#[ignore = "needs root and BPF"]
fn a_leader_that_goes_first_is_not_the_end() {
    let mut rig = Rig::new();
    let started = std::time::Instant::now();
    let (pid, _) = rig.act(acts::leader_first);
    assert!(started.elapsed() > Duration::from_millis(400));
    let exit = rig.exit(pid);
    assert_eq!(exit.code(), 7);
    assert_ne!(exit.task.tid, pid, "the last thread reports, not the leader");
}

#[test]
#[ignore = "needs root and BPF"]
fn threads_that_go_together_are_one_exit() {
    const ROUNDS: u64 = 200;
    let (mut rig, mut seen) = (Rig::new(), 0);
    for _ in 0..ROUNDS {
        let (pid, _) = rig.act(acts::exit_at_once);
        std::thread::sleep(Duration::from_millis(1));
        rig.drain();
        let exits = rig.exits(pid).len() as u64;
        assert!(exits <= 1, "{exits} exits of {pid}");
        seen += exits;
    }
    let skipped = rig.skipped(Kind::Exit);
    assert!(seen + skipped >= ROUNDS, "{seen} of {ROUNDS} exits, {skipped} skipped");
}

#[test]
#[ignore = "needs root and BPF"]
fn a_pid_used_again_is_another_process() {
    let mut rig = Rig::new();
    let (pid, _) = rig.act(|| {});
    acts::fork_as(pid).expect("a process with the same pid");
    reap(pid);
    let both = |rig: &Rig| rig.exits(pid).len() == 2;
    for _ in 0..1000 {
        rig.drain();
        if both(&rig) {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(both(&rig), "two exits");
    let starts: Vec<u64> = rig.forks().filter(|x| x.task.pid == pid).map(|x| x.task.start_ns).collect();
    let ends: Vec<u64> = rig.exits(pid).iter().map(|x| x.task.start_ns).collect();
    assert_eq!(starts, ends);
    assert!(starts[0] < starts[1]);
}

#[test]
#[ignore = "needs root and BPF"]
fn namespaces_of_its_own_are_told() {
    let mut rig = Rig::new();
    let (outer, status) = rig.run(Command::new("unshare").args(["-p", "-f", "-n", "-i", "-u", "/bin/true"]));
    assert!(status.success());
    let inner = rig.execs().find(|x| x.task.ppid == outer).expect("an exec in the new namespaces");
    let (task, host) = (inner.task, rig.fork(outer).task);
    assert_eq!((task.ns_pid, task.ns_tid), (1, 1));
    assert_ne!(task.pid, 1);
    for (name, new, old) in [
        ("pid", task.pid_ns, host.pid_ns),
        ("net", task.net_ns, host.net_ns),
        ("ipc", task.ipc_ns, host.ipc_ns),
        ("uts", task.uts_ns, host.uts_ns),
    ] {
        assert!(new != old && new != 0, "{name} namespace");
    }
    assert_eq!((task.mnt_ns, task.user_ns), (host.mnt_ns, host.user_ns));
}

#[test]
#[ignore = "needs root and BPF"]
fn a_terminal_and_a_session_are_told() {
    let (mut rig, place) = (Rig::new(), Place::new());
    let tell = place.path().join("terminal");
    let (pid, _) = rig.act(|| acts::exec_on_a_terminal(&tell));
    let terminal = fs::read_to_string(&tell).unwrap();
    let number = terminal.strip_prefix("/dev/pts/").expect("a pseudo terminal");
    let task = rig.exec(pid).task;
    assert_eq!(task.tty, Some((136, number.parse().unwrap())));
    assert_eq!(task.tty_name, format!("pts{number}").as_bytes());
    assert_eq!((task.sid, task.pgid, task.leader_start_ns), (pid, pid, task.start_ns));
    assert_ne!(rig.fork(pid).task.sid, pid, "the session began after the fork");
}

/// A cgroup hierarchy mounted for the test.
struct Hierarchy(PathBuf);

impl Hierarchy {
    fn mount(place: &Place, kind: &str, data: Option<&str>) -> Self {
        let at = place.path().join(kind);
        fs::create_dir(&at).expect("a mount point");
        mount(Some("none"), &at, Some(kind), MsFlags::empty(), data).expect("mounting a cgroup hierarchy");
        Hierarchy(at)
    }
}

impl Drop for Hierarchy {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

fn changes(rig: &Rig, id: u64) -> Vec<(CgroupChange, u32, Vec<u8>)> {
    let of = |body| match body {
        Body::Cgroup(Cgroup { id: found, hierarchy, change, path }) if found == id => {
            Some((change, hierarchy, path.to_vec()))
        }
        _ => None,
    };
    rig.events().filter_map(|e| of(e.body)).collect()
}

#[test]
#[ignore = "needs root and BPF"]
fn control_groups_come_hold_processes_and_go() {
    let (mut rig, place) = (Rig::new(), Place::new());
    let hierarchy = Hierarchy::mount(&place, "cgroup2", None);
    let group = hierarchy.0.join("se-test-group");
    fs::create_dir(&group).unwrap();
    let id = fs::metadata(&group).unwrap().ino();
    let (pid, _) =
        rig.run(&mut shell(&format!("echo $$ > {}/cgroup.procs; exec /bin/true", group.display())));
    assert_eq!((rig.exec(pid).task.cgroup_id, rig.exec(pid).task.hierarchy), (id, 0));
    assert_eq!(rig.exit(pid).task.cgroup_id, id);
    fs::remove_dir(&group).unwrap();
    rig.wait_for(
        "release",
        |e| matches!(&e.body, Body::Cgroup(c) if c.id == id && c.change == CgroupChange::Released),
    );
    let told = changes(&rig, id);
    let path = b"/se-test-group".to_vec();
    assert_eq!(told, [(CgroupChange::Created, 0, path.clone()), (CgroupChange::Released, 0, path)]);
}

#[test]
#[ignore = "needs root and BPF"]
fn control_groups_of_version_1_are_told_with_their_hierarchy() {
    let (mut rig, place) = (Rig::new(), Place::new());
    let hierarchy = Hierarchy::mount(&place, "cgroup", Some("none,name=se-test"));
    let (old, new) = (hierarchy.0.join("old"), hierarchy.0.join("new"));
    fs::create_dir(&old).unwrap();
    let id = fs::metadata(&old).unwrap().ino();
    fs::rename(&old, &new).unwrap();
    fs::remove_dir(&new).unwrap();
    rig.wait_for("release", |e| matches!(&e.body, Body::Cgroup(c) if c.id == id && c.path == b"/new"));
    let told = changes(&rig, id);
    let number = fs::read_to_string("/proc/self/cgroup").unwrap();
    let number: u32 = number.lines().find_map(|l| l.split_once(":name=se-test:")).unwrap().0.parse().unwrap();
    assert_eq!(told[0], (CgroupChange::Created, number, b"/old".to_vec()));
    assert!(told.contains(&(CgroupChange::Renamed, number, b"/new".to_vec())), "{told:?}");
}

/// Where this process is, by the rule of the programs: the default hierarchy, unless it is in the root there and a
/// version 1 controller has it deeper. Then the directory's inode number is the id.
fn own_group() -> Option<(u64, u32)> {
    let text = fs::read_to_string("/proc/self/cgroup").expect("our control groups");
    let lines: Vec<Vec<&str>> = text.lines().map(|l| l.splitn(3, ':').collect()).collect();
    let default = lines.iter().find(|l| l[0] == "0").map_or("/", |l| l[2]);
    if default != "/" {
        return None;
    }
    let deeper = ["memory", "pids", "cpu", "devices"].iter().find_map(|controller| {
        lines
            .iter()
            .find(|l| l[1].split(',').any(|c| c == *controller) && l[2] != "/")
            .map(|l| (controller, l))
    });
    let (controller, line) = deeper?;
    let directory = Path::new("/sys/fs/cgroup").join(controller).join(line[2].trim_start_matches('/'));
    Some((fs::metadata(directory).ok()?.ino(), line[0].parse().ok()?))
}

#[test]
#[ignore = "needs root and BPF"]
fn a_process_in_the_default_root_is_placed_by_version_1() {
    let mut rig = Rig::new();
    let (pid, _) = rig.run(&mut Command::new("/bin/true"));
    let task = rig.exec(pid).task;
    match own_group() {
        Some(expected) => assert_eq!((task.cgroup_id, task.hierarchy), expected),
        // Elsewhere the default hierarchy counts, whose ids are never 0.
        None => assert!(task.hierarchy == 0 && task.cgroup_id != 0),
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn the_snapshot_has_every_process_once() {
    for bounded in [false, true] {
        let rig = Rig::with(Options { bounded, ..Options::default() });
        let place = Place::new();
        let mut sleeper = Command::new("sleep").arg("100").current_dir(place.path()).spawn().expect("sleep");
        let leaderless = act(acts::leader_first);
        let zombie = act(|| {});
        std::thread::sleep(Duration::from_millis(200));
        let records = rig.kernel.snapshot().expect("a snapshot");
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
        let events: Vec<_> =
            records.iter().map(|record| decode(record).expect("a record that decodes")).collect();
        let found: Vec<&Snapshot<'_>> = events
            .iter()
            .map(|e| match &e.body {
                Body::Snapshot(x) => x.as_ref(),
                other => panic!("not a snapshot: {other:?}"),
            })
            .collect();
        let pids: HashSet<u32> = found.iter().map(|x| x.task.pid).collect();
        assert_eq!(pids.len(), found.len(), "no process twice");
        let of = |pid: u32| found.iter().find(|x| x.task.pid == pid);

        let own = of(std::process::id()).expect("ourselves");
        let program = own.program.as_ref().expect("our program");
        assert_eq!(program.executable, bytes(&fs::read_link("/proc/self/exe").unwrap()));
        assert_eq!(program.cwd, bytes(&std::env::current_dir().unwrap()));
        assert!(own.task.agent && own.task.start_ns > 0);
        let other = of(sleeper.id()).expect("our child");
        assert_eq!(other.task.ppid, std::process::id());
        assert_eq!(other.program.as_ref().map(|p| p.cwd), Some(bytes(&place.path())));
        assert!(of(leaderless).is_some(), "a process whose leader is a zombie still runs");
        assert!(of(zombie).is_none(), "a zombie does not");
        let thread = found.iter().find(|x| x.task.kernel_thread).expect("a kernel thread");
        assert!(thread.program.is_none());

        // Nobody else than processes that were there before or came meanwhile.
        let running =
            fs::read_dir("/proc").unwrap().filter_map(|e| e.unwrap().file_name().to_str()?.parse().ok());
        let running: HashSet<u32> = running.collect();
        let missing: Vec<_> = running.difference(&pids).filter(|pid| **pid <= zombie).collect();
        // Some virtual machines keep their first process from iterators.
        assert!(missing.iter().all(|pid| **pid == 1 || is_zombie(**pid)), "{missing:?}");
        reap(leaderless);
        reap(zombie);
    }
}

fn is_zombie(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_none_or(|rest| rest.trim_start().starts_with('Z'))
}
