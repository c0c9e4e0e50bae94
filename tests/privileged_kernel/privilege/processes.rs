//! What is done to other processes, and the faces that one puts on.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use nix::libc;
use sentinel_edge::event::privilege::op;
use sentinel_edge::event::{Hook, Kind};

use super::{Case, address, call, descriptor, kill, must, number, room, sleeper, text};

/// A place that exists at the same address in every child.
static PLACE: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(7);

#[test]
#[ignore = "needs root and BPF"]
fn tracing_names_the_tracee() {
    let Some(mut case) = Case::of(Kind::Ptrace) else { return };
    let pid = case.play(|| {
        let child = sleeper();
        must(libc::SYS_ptrace, [16 /* ATTACH */, child, 0, 0]);
        call(libc::SYS_wait4, [child, 0, 0x4000_0000 /* __WALL */, 0]);
        let mut word = 0_u64;
        must(libc::SYS_ptrace, [2 /* PEEKDATA */, child, address(&PLACE), room(&mut word)]);
        must(libc::SYS_ptrace, [5 /* POKEDATA */, child, address(&PLACE), 0x1122]);
        kill(child);
        assert_eq!(call(libc::SYS_ptrace, [0x4206 /* SEIZE */, 4_000_000, 0, 0]), -3);
        must(libc::SYS_ptrace, [0 /* TRACEME */]);
    });
    let child = case.children(pid)[0];
    let events = case.did(pid);
    let told: Vec<_> = events.iter().map(|e| (e.op, e.errno, e.target.map(|t| t.pid))).collect();
    let parent = std::process::id();
    assert_eq!(told, [(16, 0, Some(child)), (5, 0, Some(child)), (0x4206, 3, None), (0, 0, Some(parent))]);
    let target = events[0].target.unwrap();
    assert_eq!(target.start_ns, case.rig.fork(child).task.start_ns);
    assert!(!target.agent && events[3].target.unwrap().agent, "{events:#?}");
    assert_eq!(events[1].arguments[..2], [address(&PLACE) as u64, 0x1122]);
    case.pass();
}

#[test]
#[ignore = "needs root and BPF"]
fn a_pid_of_a_namespace_is_found_in_that_namespace() {
    let Some(mut case) = Case::of(Kind::Ptrace) else { return };
    let pid = case.play(|| {
        must(libc::SYS_unshare, [0x2000_0000 /* CLONE_NEWPID */]);
        match call(libc::SYS_clone, [17 /* SIGCHLD */, 0, 0, 0, 0]) {
            0 => {
                let child = sleeper();
                let ok = child == 2 && call(libc::SYS_ptrace, [0x4206, child, 0, 0]) == 0;
                call(libc::SYS_exit_group, [usize::from(!ok)]);
            }
            init => {
                let mut status = 0_i32;
                must(libc::SYS_wait4, [init.cast_unsigned(), room(&mut status), 0, 0]);
            }
        }
    });
    let init = case.children(pid)[0];
    let sleeper = case.children(init)[0];
    let events = case.did(init);
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].errno, events[0].arguments[2]), (0, 2));
    assert_eq!(events[0].target.unwrap().pid, sleeper);
    case.pass();
}

#[test]
#[ignore = "needs root and BPF"]
fn memory_and_descriptors_of_others_are_told() {
    let Some(mut case) = Case::of(Kind::ProcessMemory) else { return };
    let place = tempfile::NamedTempFile::new().unwrap();
    let pid = case.play(|| {
        let secret = File::open(place.path()).expect("a file");
        let child = sleeper();
        let mut buffer = [0_u8; 8];
        let local = [room(&mut buffer), 8];
        let remote = [address(&PLACE), 8];
        let own = call(libc::SYS_getpid, []).cast_unsigned();
        for target in [own, child] {
            let vector = [target, address(&local), 1, address(&remote), 1, 0];
            assert_eq!(call(libc::SYS_process_vm_readv, vector), 8);
        }
        assert_eq!(buffer, 7_u64.to_ne_bytes());
        assert_eq!(call(libc::SYS_process_vm_writev, [child, address(&local), 1, address(&remote), 1, 0]), 8);
        let pidfd = must(libc::SYS_pidfd_open, [child, 0]);
        must(libc::SYS_pidfd_getfd, [pidfd, descriptor(&secret), 0]);
        assert_eq!(call(libc::SYS_pidfd_getfd, [pidfd, 999, 0]), -9);
        kill(child);
    });
    let child = case.children(pid)[0];
    let events = case.did(pid);
    let told: Vec<_> = events.iter().map(|e| (e.op, e.errno, e.target.map(|t| t.pid))).collect();
    assert_eq!(
        told,
        [
            (op::MEMORY_READ, 0, Some(child)),
            (op::MEMORY_WRITE, 0, Some(child)),
            (op::MEMORY_GETFD, 0, Some(child)),
            (op::MEMORY_GETFD, 9, Some(child)),
        ]
    );
    assert_eq!((events[0].arguments[0], events[1].arguments[0]), (8, 8));
    assert_eq!(events[2].object.unwrap().inode, place.as_file().metadata().unwrap().ino());
    assert!(events[2].path.ends_with(place.path().file_name().unwrap().as_encoded_bytes()));
    case.pass();
}

#[test]
#[ignore = "needs root and BPF"]
fn signals_of_processes_to_others_are_told_and_no_other_ones() {
    let Some(mut case) = Case::of(Kind::Signal) else { return };
    let pid = case.play(|| {
        let child = sleeper();
        // A probe, one to itself, and one that the kernel makes when the child ends.
        must(libc::SYS_kill, [child, 0]);
        must(libc::SYS_kill, [call(libc::SYS_getpid, []).cast_unsigned(), 17 /* SIGCHLD */]);
        must(libc::SYS_tgkill, [child, child, 18 /* SIGCONT */]);
        // As if a timer had gone off.
        let mut info = [0_u32; 32];
        (info[0], info[2]) = (23, (-2_i32).cast_unsigned());
        must(libc::SYS_rt_sigqueueinfo, [child, 23 /* SIGURG */, address(&info)]);
        kill(child);
    });
    let child = case.children(pid)[0];
    let events = case.did(pid);
    assert!(events.iter().all(|e| e.target.unwrap().pid == child && e.origin.hook == Hook::SignalGenerate));
    let told: Vec<_> = events.iter().map(|e| (e.op, e.arguments[0].cast_signed(), e.arguments[1])).collect();
    assert_eq!(told, [(18, -6, 0), (23, -2, 1), (9, 0, 1)]);
    assert!(case.did(child).is_empty(), "SIGCHLD of the kernel");
    case.pass();
}

#[test]
#[ignore = "needs root and BPF"]
fn a_flood_of_equal_signals_is_merged_and_counted() {
    use crate::rig::Options;
    let window = Some(std::time::Duration::from_secs(60));
    let options = Options { merge_window: window, ..Options::DEFAULT };
    let Some(mut case) = Case::with(Kind::Signal, options) else { return };
    let pid = case.play(|| {
        let child = sleeper();
        for _ in 0..1000 {
            must(libc::SYS_kill, [child, 18]);
        }
        kill(child);
    });
    assert_eq!(case.did(pid).len(), 2);
    case.pass();
}

#[test]
#[ignore = "needs root and BPF"]
fn a_process_that_renames_itself_or_hides_is_told() {
    let Some(mut case) = Case::of(Kind::Prctl) else { return };
    let pid = case.play(|| {
        must(libc::SYS_prctl, [15, text(c"kworker/0:9")]);
        must(libc::SYS_prctl, [15, text(c"kworker/0:9")]);
        std::fs::write("/proc/self/comm", "another").expect("our name");
        std::thread::Builder::new()
            .spawn(|| must(libc::SYS_prctl, [15, text(c"a thread")]))
            .expect("a thread")
            .join()
            .expect("its end");
        must(libc::SYS_prctl, [4 /* SET_DUMPABLE */, 0]);
        must(libc::SYS_prctl, [3 /* GET_DUMPABLE */]);
        must(libc::SYS_prctl, [8 /* SET_KEEPCAPS */, 1]);
        assert_eq!(call(libc::SYS_prctl, [4, 77]), -22);
    });
    let (names, options): (Vec<_>, Vec<_>) = case.did(pid).into_iter().partition(|e| e.op == 15);
    if case.has(Hook::TaskRename) {
        let told: Vec<_> = names.iter().map(|e| e.name).collect();
        assert_eq!(told, [&b"kworker/0:9"[..], b"another"]);
        // Told before it is done.
        assert_eq!(names[1].task.comm, b"kworker/0:9");
    }
    if case.has(Hook::SysExit) {
        let told: Vec<_> = options.iter().map(|e| (e.op, e.errno, e.arguments[0])).collect();
        assert_eq!(told, [(4, 0, 0), (8, 0, 1), (4, 22, 77)]);
    }
    // An exec names the process too, and that is no news.
    let (other, _) = case.rig.run(&mut std::process::Command::new("/bin/true"));
    assert!(case.did(other).is_empty());
    case.pass();
}

#[test]
#[ignore = "needs root and BPF"]
fn changes_of_namespaces_are_told() {
    let Some(mut case) = Case::of(Kind::Namespace) else { return };
    let uts = std::fs::metadata("/proc/self/ns/uts").unwrap().ino();
    let pid = case.play(|| {
        let old = File::open("/proc/self/ns/uts").expect("a namespace");
        must(libc::SYS_unshare, [0x0400_0000 | 0x0800_0000 /* CLONE_NEWUTS, CLONE_NEWIPC */]);
        // Open files only.
        must(libc::SYS_unshare, [0x400 /* CLONE_FILES */]);
        must(libc::SYS_setns, [descriptor(&old), 0]);
        let parent = must(libc::SYS_pidfd_open, [call(libc::SYS_getppid, []).cast_unsigned(), 0]);
        must(libc::SYS_setns, [parent, 0x0800_0000]);
        super::lower();
        assert_eq!(call(libc::SYS_setns, [descriptor(&old), 0]), -1);
    });
    let events = case.did(pid);
    let told: Vec<_> =
        events.iter().map(|e| (e.op, e.errno, e.arguments[0], e.arguments[1], e.name)).collect();
    assert_eq!(
        told,
        [
            (op::NS_UNSHARE, 0, 0x0c00_0000, 0, &b""[..]),
            (op::NS_SETNS, 0, 0, uts, b"uts"),
            (op::NS_SETNS, 0, 0x0800_0000, 0, b""),
            (op::NS_SETNS, 1, 0, uts, b"uts"),
        ]
    );
    assert_ne!(events[0].arguments[2], uts);
    assert_eq!(events[1].arguments[2], uts);
    assert_eq!(events[2].target.unwrap().pid, std::process::id());
    assert!(!events[0].leaves && events[1].leaves);
    case.pass();
}

#[test]
#[ignore = "needs root and BPF"]
fn keys_are_told_by_description_and_number() {
    let Some(mut case) = Case::of(Kind::Keyring) else { return };
    let pid = case.play(|| {
        let ring = number(-2); // KEY_SPEC_PROCESS_KEYRING
        let key = must(libc::SYS_add_key, [text(c"user"), text(c"se:test"), text(c"secret"), 6, ring]);
        must(libc::SYS_keyctl, [0 /* GET_KEYRING_ID */, ring, 0]);
        must(libc::SYS_keyctl, [11 /* READ */, key, 0, 0]);
        assert!(call(libc::SYS_request_key, [text(c"user"), text(c"se:none"), 0, 0]) < 0);
        must(libc::SYS_keyctl, [1 /* JOIN_SESSION_KEYRING */, text(c"se_session")]);
    });
    let events = case.did(pid);
    let told: Vec<_> = events.iter().map(|e| (e.op, e.errno != 0, e.path, e.name)).collect();
    assert_eq!(
        told,
        [
            (op::KEY_ADD, false, &b"user"[..], &b"se:test"[..]),
            (11, false, b"", b""),
            (op::KEY_REQUEST, true, b"user", b"se:none"),
            (1, false, b"", b"se_session"),
        ]
    );
    assert_eq!(events[1].arguments[..2], [6, events[0].arguments[0]]);
    case.pass();
}
