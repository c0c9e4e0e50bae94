//! Every class at once, in numbers: the books of each close, with room and without.
//!
//! Two processes do the same rounds side by side, so that programs of all subjects run in between each other. What a
//! round makes is known, class by class. Left out are classes that one cannot have in any number without harm (modules,
//! kexec, swap, restarts), and those whose events are the host's: each has a test of its own that closes its books.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use nix::libc;
use sentinel_edge::event::Kind;
use sentinel_edge::metrics::label::Reason;

use crate::acts::act;
use crate::file::ended_well;
use crate::privilege::{address, call, must, number, text};
use crate::rig::{Options, Place, Rig, reap};

const PROCESSES: usize = 2;

/// A question for the address of `a.test`.
const QUESTION: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x04test\0\0\x01\0\x01";

/// What a round makes, beside what it does to files.
const EACH: &[(Kind, u64)] = &[
    (Kind::ExecFailed, 1),
    (Kind::NetConnect, 2),
    (Kind::NetAccept, 1),
    (Kind::NetDns, 1),
    (Kind::NetFlow, 3),
    (Kind::NetSocket, 1),
    (Kind::Credentials, 1),
    (Kind::Ptrace, 1),
    (Kind::PerfEvent, 1),
    (Kind::Memfd, 1),
    (Kind::MemoryExec, 1),
    (Kind::Signal, 1),
    (Kind::Prctl, 1),
    (Kind::HostName, 1),
];

fn round(number_of: usize, listener: &TcpListener, parent: usize) {
    crate::file_load::everything(number_of);

    let missing = text(c"/no/such/program");
    assert!(call(libc::SYS_execve, [missing, 0, 0]) < 0);
    let mut client = TcpStream::connect(listener.local_addr().expect("loopback")).expect("loopback");
    let (server, _) = listener.accept().expect("loopback");
    client.write_all(b"x").expect("a connection");
    drop((client, server));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
    socket.send_to(QUESTION, (Ipv4Addr::LOCALHOST, 53)).expect("loopback");
    drop(socket);
    let packets = must(libc::SYS_socket, [17 /* AF_PACKET */, 3, 0]);
    call(libc::SYS_close, [packets]);

    // There and back, as a call that changes nothing is none to the function that sets credentials.
    must(libc::SYS_setresgid, [usize::MAX, 1 - number_of % 2, usize::MAX]);
    assert_eq!(call(libc::SYS_ptrace, [0x4206 /* SEIZE */, 4_000_000, 0, 0]), -3);
    assert!(call(libc::SYS_perf_event_open, [address(&[0_u64; 16]), 0, number(-1), number(-1), 1 << 20]) < 0);
    call(libc::SYS_close, [must(libc::SYS_memfd_create, [text(c"data"), 0])]);
    let memory = must(libc::SYS_mmap, [0, 4096, 7, 0x22 /* MAP_PRIVATE, MAP_ANONYMOUS */, number(-1), 0]);
    must(libc::SYS_munmap, [memory, 4096]);
    must(libc::SYS_kill, [parent, 18 /* SIGCONT */]);
    must(libc::SYS_prctl, [4 /* SET_DUMPABLE */, 1]);
    must(libc::SYS_sethostname, [text(c"mixed"), 5]);
}

/// The rounds of every process. Their pids.
fn load(place: &Place, rounds: usize) -> Vec<u32> {
    let parent = usize::try_from(std::process::id()).expect("a pid");
    let pids: Vec<u32> = (0..PROCESSES)
        .map(|process| {
            let path = place.path();
            act(move || {
                std::env::set_current_dir(path).expect("the directory");
                must(libc::SYS_unshare, [0x0400_0000 /* CLONE_NEWUTS */]);
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
                (process * rounds..(process + 1) * rounds).for_each(|n| round(n, &listener, parent));
            })
        })
        .collect();
    pids.iter().for_each(|pid| ended_well(reap(*pid)));
    // The last segments of the last connections may still be on their way.
    std::thread::sleep(Duration::from_millis(200));
    pids
}

fn rig(ring_bytes: u32) -> Rig {
    Rig::with(Options { ring_bytes, kinds: Kind::ALL, may_miss: true, ..Options::DEFAULT })
}

#[test]
#[ignore = "needs root and BPF"]
fn with_room_every_event_of_every_class_is_there() {
    const ROUNDS: usize = 200;
    let (mut rig, place) = (rig(64 << 20), Place::new());
    let pids = load(&place, ROUNDS);
    rig.assert_closes(Kind::ALL);
    for pid in pids {
        let mine = |rig: &Rig, kind| {
            rig.events().filter(|e| e.kind() == kind && e.task().is_some_and(|task| task.pid == pid)).count()
                as u64
        };
        for (kind, each) in EACH.iter().chain(crate::file_load::EACH) {
            let (seen, all) = (mine(&rig, *kind), each * ROUNDS as u64);
            assert!(seen <= all && seen + rig.skipped(*kind) >= all, "{seen} and not {all} of {kind}");
            assert_eq!(rig.dropped(*kind, Reason::RingFull), 0, "{kind}");
        }
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn without_room_every_loss_of_every_class_is_counted() {
    const ROUNDS: usize = 500;
    let (mut rig, place) = (rig(65536), Place::new());
    load(&place, ROUNDS);
    rig.assert_closes(Kind::ALL);
    for (kind, each) in EACH.iter().chain(crate::file_load::EACH) {
        let known = rig.attempted(*kind);
        assert!(known >= each * (PROCESSES * ROUNDS) as u64, "{known} of {kind}");
        assert!(rig.dropped(*kind, Reason::RingFull) > 0, "{kind}");
    }
}
