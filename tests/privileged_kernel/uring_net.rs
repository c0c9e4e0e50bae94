//! What runs through an io_uring on the network makes the events of the system call that does the same.

use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::wait::WaitStatus;
use sentinel_edge::event::{Body, Kind, NetworkOp};

use crate::rig::{Options, Rig};
use crate::uring::{has_requests, print_passed};
use crate::uring_ring::{Mode, Op, Way};

const NETWORK: Options = Options {
    kinds: &[
        Kind::Exec,
        Kind::Fork,
        Kind::Exit,
        Kind::NetConnect,
        Kind::NetAccept,
        Kind::NetBind,
        Kind::NetListen,
        Kind::NetSocket,
    ],
    ..Options::DEFAULT
};

/// `struct sockaddr_in` of the loopback interface.
fn loopback(port: u16) -> [u8; 16] {
    let mut bytes = [0; 16];
    let family = u16::try_from(libc::AF_INET).expect("a small number");
    bytes[..2].copy_from_slice(&family.to_ne_bytes());
    bytes[2..4].copy_from_slice(&port.to_be_bytes());
    bytes[4..8].copy_from_slice(&Ipv4Addr::LOCALHOST.octets());
    bytes
}

/// Does it by a ring; by a system call where the kernel is too old for that.
fn either(way: &mut Way, op: &Op) -> i32 {
    match way.call(op) {
        result if result == -libc::EINVAL => op.call(),
        result => result,
    }
}

/// A connection to `port`, accepted from `listener`, and one that is refused.
fn work(way: &mut Way, listener: &TcpListener, closed: u16) {
    let port = listener.local_addr().expect("an address").port();
    let (good, bad, any) = (loopback(port), loopback(closed), loopback(0));
    let socket = Op::socket(libc::AF_INET, libc::SOCK_STREAM, 0);
    let client = either(way, &socket);
    assert_eq!(way.call(&Op::connect(client, &good)), 0);
    let server = way.good(&Op::accept(listener.as_raw_fd()));
    assert_eq!(way.call(&Op::send(client, b"content")), 7);
    let refused = either(way, &socket);
    assert_eq!(way.call(&Op::connect(refused, &bad)), -libc::ECONNREFUSED);
    let own = either(way, &socket);
    assert_eq!(either(way, &Op::bind(own, &any)), 0);
    assert_eq!(either(way, &Op::listen(own, 5)), 0);
    let packets = either(way, &Op::socket(libc::AF_PACKET, libc::SOCK_RAW, 0));
    for fd in [client, server, refused, own, packets] {
        Op::close(fd).call();
    }
}

/// What must be equal of an event; ports that the kernel chose are none of it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    kind: Kind,
    op: u32,
    remote_port: u32,
    local_port: u32,
    errno: u32,
}

#[test]
#[ignore = "needs root and BPF"]
fn the_network_through_a_ring_is_the_network() {
    let mut rig = Rig::with(NETWORK);
    if !has_requests(&rig, "network") {
        return;
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let closed = {
        let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
        gone.local_addr().expect("an address").port()
    };
    let mut expected: Option<Vec<Row>> = None;
    for mode in [None, Some(Mode::Plain), Some(Mode::Sqpoll), Some(Mode::Async)] {
        let (pid, status) = rig.act(|| work(&mut Way::new(mode), &listener, closed));
        assert!(matches!(status, WaitStatus::Exited(_, 0)), "{mode:?}: {status:?}");
        std::thread::sleep(std::time::Duration::from_millis(50));
        rig.drain();
        let known = |found: u32| if [port, closed].map(u32::from).contains(&found) { found } else { 0 };
        let mut rows = Vec::new();
        for event in rig.events() {
            let Body::Network(net) = event.body else { continue };
            if net.task.pid != pid {
                continue;
            }
            let is_on_ring = !matches!(net.op, NetworkOp::Bind | NetworkOp::Listen | NetworkOp::Socket);
            if mode.is_none() || is_on_ring {
                assert_eq!(net.origin.via_io_uring, mode.is_some(), "{mode:?} {net:#?}");
            }
            rows.push(Row {
                kind: net.kind,
                op: net.op as u32,
                remote_port: known(net.remote.port),
                local_port: known(net.local.port),
                errno: net.errno,
            });
        }
        rows.sort_unstable();
        match &expected {
            None => expected = Some(rows),
            Some(expected) => assert_eq!(rows, *expected, "{mode:?}"),
        }
    }
    let rows = expected.unwrap_or_default();
    for kind in [Kind::NetConnect, Kind::NetAccept, Kind::NetBind, Kind::NetListen, Kind::NetSocket] {
        assert!(rows.iter().any(|row| row.kind == kind), "{kind} {rows:#?}");
        print_passed(kind.name());
    }
    assert!(rows.iter().any(|row| row.errno == libc::ECONNREFUSED.unsigned_abs()), "{rows:#?}");
}
