//! Connections, listening sockets and datagrams on every rung that this host has.
//!
//! The test itself acts, over loopback; its own events are told from others by its pid and by ports.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, bind, connect, listen,
    sendto, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;
use sentinel_edge::event::network::{AF_INET, AF_INET6, AF_PACKET};
use sentinel_edge::event::{Endpoint, Hook, Kind, Network, NetworkOp};
use sentinel_edge::kernel::Hooks;

use crate::rig::{Options, Rig, hooks};

/// All classes of the network, and exits, by which the end of a child is known.
pub const KINDS: &[Kind] = &[
    Kind::Exit,
    Kind::NetConnect,
    Kind::NetAccept,
    Kind::NetBind,
    Kind::NetListen,
    Kind::NetFlow,
    Kind::NetSocket,
    Kind::NetDns,
];

pub const OPTIONS: Options = Options { kinds: KINDS, ..Options::DEFAULT };

/// Where there are no control group hooks.
const NO_CGROUPS: Options = Options { no_cgroups: true, ..OPTIONS };

/// Where the return of system calls may not be used.
const DIRECT: Options = Options { hooks: Some(Hooks::Trampoline), ..OPTIONS };

/// Every set of programs, with its name.
const RUNGS: [(&str, Options); 3] = [("all", OPTIONS), ("no_cgroups", NO_CGROUPS), ("direct", DIRECT)];

pub fn own() -> u32 {
    std::process::id()
}

pub fn endpoint(address: SocketAddr) -> Endpoint {
    let mut bytes = [0; 16];
    match address {
        SocketAddr::V4(four) => bytes[..4].copy_from_slice(&four.ip().octets()),
        SocketAddr::V6(six) => bytes = six.ip().octets(),
    }
    Endpoint { address: bytes, port: u32::from(address.port()) }
}

pub fn passed(rig: &Rig, kind: Kind, rung: &str) {
    let hooks = if rung == "all" { hooks().name() } else { rung };
    if rig.has(kind) {
        println!("MATRIX class={kind} hook={hooks} result=passed");
    } else {
        let reason =
            rig.kernel.sensors().iter().find(|s| s.kinds.contains(&kind)).and_then(|s| s.missing.clone());
        println!("MATRIX class={kind} hook=none result=missing: {}", reason.expect("a reason"));
    }
}

/// The one of them that satisfies the condition.
pub fn one<'a>(events: Vec<Network<'a>>, what: &str, is: impl Fn(&Network<'a>) -> bool) -> Network<'a> {
    let mut found: Vec<_> = events.into_iter().filter(|event| is(event)).collect();
    assert_eq!(found.len(), 1, "{what}: {found:#?}");
    found.remove(0)
}

/// A connection with bytes in both directions; the ends of the client and of the server, both closed.
fn converse(listener: &TcpListener) -> (SocketAddr, SocketAddr) {
    let mut client =
        TcpStream::connect(listener.local_addr().expect("loopback works")).expect("loopback works");
    let (mut server, from) = listener.accept().expect("loopback works");
    client.write_all(&[1; 10_000]).expect("loopback works");
    server.read_exact(&mut [0; 10_000]).expect("loopback works");
    server.write_all(&[2; 300]).expect("loopback works");
    client.read_exact(&mut [0; 300]).expect("loopback works");
    let ends = (client.local_addr().expect("loopback works"), server.local_addr().expect("loopback works"));
    assert_eq!(from, ends.0);
    drop(client);
    assert_eq!(server.read(&mut [0; 10]).expect("loopback works"), 0);
    ends
}

#[test]
#[ignore = "needs root and BPF"]
fn a_connection_is_told_from_both_sides_with_every_byte() {
    for (rung, options) in RUNGS {
        for (address, family) in [
            (SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), AF_INET),
            (SocketAddr::from((Ipv6Addr::LOCALHOST, 0)), AF_INET6),
        ] {
            let mut rig = Rig::with(options);
            let listener = TcpListener::bind(address).unwrap();
            let (client, server) = converse(&listener);
            let port = u32::from(client.port());
            let ended = |event: &sentinel_edge::event::Event<'_>| match &event.body {
                sentinel_edge::event::Body::Network(net) => {
                    net.op == NetworkOp::End && net.remote.port == port
                }
                _ => false,
            };
            rig.wait_for("end of the flow", ended);

            let listening = one(rig.network(own(), Kind::NetListen), "listen", |e| {
                e.local.port == u32::from(server.port())
            });
            assert_eq!((listening.family, listening.backlog > 0, listening.errno), (family, true, 0));
            assert_eq!(listening.local, endpoint(server));
            let bound =
                one(rig.network(own(), Kind::NetBind), "bind", |e| e.local.port == u32::from(server.port()));
            assert_eq!(bound.local, endpoint(server));

            let connected = one(rig.network(own(), Kind::NetConnect), "connect", |e| e.local.port == port);
            assert_eq!((connected.local, connected.remote), (endpoint(client), endpoint(server)));
            assert_eq!((connected.family, connected.socket_type, connected.protocol), (family, 1, 6));
            assert_eq!((connected.errno, connected.pending, connected.incoming), (0, false, false));
            assert_eq!((connected.given, connected.origin.argument_swap), (None, false));
            assert_eq!((connected.task.pid, connected.unowned), (own(), false));
            assert!(connected.duration_ns > 0 && connected.duration_ns < 30_000_000_000);

            let accepted = one(rig.network(own(), Kind::NetAccept), "accept", |e| e.remote.port == port);
            assert_eq!((accepted.local, accepted.remote), (endpoint(server), endpoint(client)));
            assert_eq!((accepted.incoming, accepted.unowned), (true, rung == "direct"));

            let out = one(rig.network(own(), Kind::NetFlow), "flow out", |e| e.local.port == port);
            assert_eq!((out.bytes_sent, out.bytes_received, out.errno), (10_000, 300, 0));
            assert_eq!((out.cookie, out.remote, out.incoming), (connected.cookie, endpoint(server), false));
            assert!(out.packets_sent > 1 && out.packets_received > 1 && out.duration_ns > 0);
            let back = one(rig.network(own(), Kind::NetFlow), "flow in", |e| e.remote.port == port);
            assert_eq!((back.bytes_sent, back.bytes_received), (300, 10_000));
            assert_eq!((back.local, back.incoming, back.unowned), (endpoint(server), true, rung == "direct"));
            if rung == "all" {
                assert_ne!(connected.cookie, 0);
                assert_eq!(connected.origin.hook, Hook::SysExit);
                assert_eq!(bound.origin.hook, Hook::CgroupPostBind);
            }
            for kind in [Kind::NetConnect, Kind::NetAccept, Kind::NetFlow, Kind::NetListen, Kind::NetBind] {
                passed(&rig, kind, rung);
            }
        }
    }
}

/// A port that nobody listens on.
fn closed_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .expect("loopback works")
        .local_addr()
        .expect("loopback works")
        .port()
}

fn stream(flags: SockFlag) -> std::os::fd::OwnedFd {
    socket(AddressFamily::Inet, SockType::Stream, flags, None).expect("loopback works")
}

fn loopback(port: u16) -> SockaddrIn {
    SockaddrIn::new(127, 0, 0, 1, port)
}

#[test]
#[ignore = "needs root and BPF"]
fn a_refused_connection_is_told_once() {
    for (rung, options) in RUNGS {
        let mut rig = Rig::with(options);
        let port = closed_port();
        assert_eq!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap_err().raw_os_error(), Some(111));
        let waiting = stream(SockFlag::SOCK_NONBLOCK);
        let refused = connect(waiting.as_raw_fd(), &loopback(port)).unwrap_err();
        assert!(matches!(refused, Errno::ECONNREFUSED | Errno::EINPROGRESS), "{refused}");
        // Asked again it is a new attempt.
        drop(waiting);
        rig.drain();
        let all = rig.network(own(), Kind::NetConnect);
        let told: Vec<_> = all.iter().filter(|e| e.remote.port == u32::from(port)).collect();
        assert_eq!(told.len(), 2, "{rung}: {told:#?}");
        for event in told {
            assert_eq!((event.errno, event.pending, event.unowned), (111, false, false), "{rung}");
            assert_eq!(event.remote, endpoint(([127, 0, 0, 1], port).into()));
        }
        assert!(rig.network(own(), Kind::NetFlow).iter().all(|e| e.remote.port != u32::from(port)));
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn a_connection_that_waits_is_told_as_pending_and_only_once() {
    let mut rig = Rig::with(OPTIONS);
    let server = stream(SockFlag::empty());
    bind(server.as_raw_fd(), &loopback(0)).unwrap();
    listen(&server, Backlog::new(0).unwrap()).unwrap();
    let address: SockaddrIn = nix::sys::socket::getsockname(server.as_raw_fd()).unwrap();
    // The queue has room for one; whoever comes next is kept waiting.
    let _first = TcpStream::connect((Ipv4Addr::LOCALHOST, address.port())).unwrap();
    let waiting = stream(SockFlag::SOCK_NONBLOCK);
    assert_eq!(connect(waiting.as_raw_fd(), &address), Err(Errno::EINPROGRESS));
    assert_eq!(connect(waiting.as_raw_fd(), &address), Err(Errno::EALREADY));
    let impatient = stream(SockFlag::empty());
    setsockopt(&impatient, sockopt::SendTimeout, &TimeVal::new(0, 50_000)).unwrap();
    assert_eq!(connect(impatient.as_raw_fd(), &address), Err(Errno::EINPROGRESS));
    drop((waiting, impatient));
    rig.drain();
    let port = u32::from(address.port());
    let all = rig.network(own(), Kind::NetConnect);
    let pending: Vec<_> = all.iter().filter(|e| e.remote.port == port && e.pending).collect();
    assert_eq!(pending.len(), 2, "{all:#?}");
    assert!(pending.iter().all(|e| e.errno == 0 && e.local.port != 0));
    assert_eq!(all.iter().filter(|e| e.remote.port == port).count(), 3);
}

#[test]
#[ignore = "needs root and BPF"]
fn what_the_kernel_refuses_is_told_with_its_error() {
    let mut rig = Rig::with(OPTIONS);
    let datagrams = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    // Broadcast was not asked for.
    let denied = datagrams.connect((Ipv4Addr::BROADCAST, 9)).unwrap_err();
    assert_eq!(denied.raw_os_error(), Some(13));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let taken = listener.local_addr().unwrap().port();
    let second = stream(SockFlag::empty());
    assert_eq!(bind(second.as_raw_fd(), &loopback(taken)), Err(Errno::EADDRINUSE));
    assert_eq!(listen(&datagrams, Backlog::new(1).unwrap()), Err(Errno::EOPNOTSUPP));
    let (pid, _) = rig.act(|| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        let failed = TcpStream::connect((Ipv4Addr::new(192, 0, 2, 1), 80)).unwrap_err();
        assert_eq!(failed.raw_os_error(), Some(101));
        nix::unistd::setresuid(65534.into(), 65534.into(), 65534.into()).unwrap();
        let raw =
            socket(AddressFamily::Inet, SockType::Raw, SockFlag::empty(), SockProtocol::Icmp).unwrap_err();
        assert_eq!(raw, Errno::EPERM);
    });
    let broadcast = one(rig.network(own(), Kind::NetConnect), "denied", |e| e.remote.port == 9);
    assert_eq!((broadcast.errno, broadcast.protocol), (13, 17));
    let bound = one(rig.network(own(), Kind::NetBind), "bind", |e| e.errno != 0);
    assert_eq!((bound.errno, bound.local.port, bound.origin.grade_user), (98, u32::from(taken), true));
    let listening = one(rig.network(own(), Kind::NetListen), "listen", |e| e.errno != 0);
    assert_eq!((listening.errno, listening.protocol), (95, 17));
    let unreachable = one(rig.network(pid, Kind::NetConnect), "unreachable", |e| e.task.pid == pid);
    assert_eq!((unreachable.errno, unreachable.remote), (101, endpoint(([192, 0, 2, 1], 80).into())));
    let here =
        std::fs::metadata("/proc/self/ns/net").map(|m| std::os::unix::fs::MetadataExt::ino(&m)).unwrap();
    assert!(unreachable.task.net_ns != 0 && u64::from(unreachable.task.net_ns) != here);
    let raw = one(rig.network(pid, Kind::NetSocket), "raw", |e| e.task.pid == pid);
    assert_eq!((raw.errno, raw.socket_type, raw.task.uid), (1, 3, 65534));
}

#[test]
#[ignore = "needs root and BPF"]
fn datagrams_are_told_by_their_first_to_a_peer_and_at_the_end() {
    let mut rig = Rig::with(OPTIONS);
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let to = server.local_addr().unwrap();
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let from = client.local_addr().unwrap();
    for _ in 0..5 {
        client.send_to(&[0; 100], to).unwrap();
        server.recv_from(&mut [0; 200]).unwrap();
        server.send_to(&[0; 30], from).unwrap();
        client.recv_from(&mut [0; 200]).unwrap();
    }
    let connected = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    let six = connected.local_addr().unwrap();
    connected.connect((Ipv6Addr::LOCALHOST, 9)).unwrap();
    drop((client, server, connected));
    rig.drain();
    let first = one(rig.network(own(), Kind::NetConnect), "first", |e| e.remote.port == u32::from(to.port()));
    assert_eq!((first.op, first.incoming, first.remote), (NetworkOp::Datagram, false, endpoint(to)));
    assert_eq!((first.local, first.protocol, first.origin.hook), (endpoint(from), 17, Hook::CgroupSendmsg));
    let reply = one(rig.network(own(), Kind::NetConnect), "reply", |e| e.local.port == u32::from(to.port()));
    assert_eq!((reply.op, reply.incoming, reply.remote), (NetworkOp::Datagram, true, endpoint(from)));
    let asked =
        one(rig.network(own(), Kind::NetConnect), "connect", |e| e.local.port == u32::from(six.port()));
    assert_eq!(
        (asked.op, asked.errno, asked.family, asked.remote.port),
        (NetworkOp::Connect, 0, AF_INET6, 9)
    );
    let out = one(rig.network(own(), Kind::NetFlow), "flow", |e| e.local.port == u32::from(from.port()));
    assert_eq!((out.bytes_sent, out.bytes_received), (500, 150));
    assert_eq!((out.packets_sent, out.packets_received, out.incoming), (5, 5, false));
    let back = one(rig.network(own(), Kind::NetFlow), "flow", |e| e.local.port == u32::from(to.port()));
    assert_eq!((back.bytes_sent, back.bytes_received, back.incoming), (150, 500, true));
}

#[test]
#[ignore = "needs root and BPF"]
fn without_hooks_the_calls_tell_of_datagrams_and_binds() {
    let mut rig = Rig::with(NO_CGROUPS);
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let to = SockaddrIn::new(127, 0, 0, 1, 9);
    for _ in 0..3 {
        sendto(client.as_raw_fd(), b"x", &to, MsgFlags::empty()).unwrap();
    }
    let raw = socket(AddressFamily::Inet, SockType::Raw, SockFlag::empty(), SockProtocol::Icmp);
    drop(raw.unwrap());
    rig.drain();
    let first = one(rig.network(own(), Kind::NetConnect), "first", |e| e.remote.port == 9);
    assert_eq!(
        (first.op, first.origin.hook, first.origin.grade_user),
        (NetworkOp::Datagram, Hook::SysExit, true)
    );
    let port = u32::from(client.local_addr().unwrap().port());
    assert_eq!(one(rig.network(own(), Kind::NetBind), "bind", |e| e.local.port == port).errno, 0);
    assert_eq!(one(rig.network(own(), Kind::NetSocket), "raw", |_| true).protocol, 1);
    passed(&rig, Kind::NetSocket, "no_cgroups");
}

#[test]
#[ignore = "needs root and BPF"]
fn a_port_that_the_kernel_chooses_is_told() {
    let mut rig = Rig::with(OPTIONS);
    let late = stream(SockFlag::empty());
    listen(&late, Backlog::new(17).unwrap()).unwrap();
    let address: SockaddrIn = nix::sys::socket::getsockname(late.as_raw_fd()).unwrap();
    rig.drain();
    let event = one(rig.network(own(), Kind::NetListen), "listen", |e| e.backlog == 17);
    assert_eq!((event.local.port, event.origin.hook), (u32::from(address.port()), Hook::SysExit));
}

#[test]
#[ignore = "needs root and BPF"]
fn raw_and_packet_sockets_are_told() {
    let mut rig = Rig::with(OPTIONS);
    let icmp = SockProtocol::Icmp;
    let raw = socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, icmp).unwrap();
    let all = SockProtocol::EthAll;
    let packet = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, all).unwrap();
    drop((raw, packet, stream(SockFlag::empty())));
    rig.drain();
    let events = rig.network(own(), Kind::NetSocket);
    assert_eq!(events.len(), 2, "{events:#?}");
    assert_eq!((events[0].family, events[0].socket_type, events[0].protocol), (AF_INET, 3, 1));
    assert_eq!(events[0].origin.hook, Hook::CgroupSockCreate);
    assert_eq!((events[1].family, events[1].socket_type, events[1].protocol), (AF_PACKET, 3, 3));
    passed(&rig, Kind::NetSocket, "all");
}

/// An attempt that ends before anything is sent: told once on every rung, with the error where calls are watched.
#[test]
#[ignore = "needs root and BPF"]
fn an_attempt_without_a_route_is_told_once_whatever_is_there() {
    for (rung, options) in RUNGS {
        let mut rig = Rig::with(options);
        let (pid, _) = rig.act(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("a network namespace");
            let failed = TcpStream::connect((Ipv4Addr::new(192, 0, 2, 1), 80)).expect_err("no route");
            assert_eq!(failed.raw_os_error(), Some(101));
        });
        let event = one(rig.network(pid, Kind::NetConnect), rung, |e| e.task.pid == pid);
        assert_eq!(event.remote, endpoint(([192, 0, 2, 1], 80).into()), "{rung}");
        assert_eq!(
            (event.errno, event.pending),
            if rung == "direct" { (0, true) } else { (101, false) },
            "{rung}"
        );
        assert_eq!(event.origin.grade_user, rung == "no_cgroups");
    }
}
