//! Records of the network, and samples of them.

use super::actor::actor;
use super::samples::task;
use super::{Tail, bits};
use crate::event::network::{AF_INET, AF_INET6, AF_PACKET, AF_UNIX};
use crate::event::{Body, Endpoint, Event, Hook, Kind, Network, NetworkOp, Origin, Task};
use crate::kernel::abi::types::{se_header, se_net, se_net_flag as flag};

pub(super) fn encode(event: &Event<'_>, net: &Network<'_>) -> Vec<u8> {
    let mut tail = Tail::behind::<se_net>();
    let given = net.given.unwrap_or_default();
    let raw = se_net {
        header: se_header::default(),
        actor: actor(&net.task, &net.origin),
        cookie: net.cookie,
        bytes_sent: net.bytes_sent,
        bytes_received: net.bytes_received,
        packets_sent: net.packets_sent,
        packets_received: net.packets_received,
        duration_ns: net.duration_ns,
        local: net.local.address,
        remote: net.remote.address,
        given: given.address,
        op: net.op as u32,
        error: 0i32.saturating_sub_unsigned(net.errno),
        family: net.family,
        socket_type: net.socket_type,
        protocol: net.protocol,
        local_port: net.local.port,
        remote_port: net.remote.port,
        given_port: given.port,
        backlog: net.backlog,
        flags: bits([
            (net.incoming, flag::SE_NET_INCOMING.0),
            (net.pending, flag::SE_NET_PENDING.0),
            (net.payload_cut, flag::SE_NET_PAYLOAD_CUT.0),
            (net.over_tcp, flag::SE_NET_TCP.0),
            (net.unowned, flag::SE_NET_UNOWNED.0),
        ]),
        ifindex: net.interface,
        pad: 0,
        path: tail.piece(net.path),
        payload: tail.piece(net.payload),
    };
    tail.join(event, &raw)
}

/// Each kind at least once, and every flag.
pub(super) fn samples() -> Vec<(&'static str, u16, Body<'static>)> {
    let all = vec![
        ("net_connect", connect()),
        ("net_connect_refused", Network { errno: 111, local: Endpoint::default(), ..connect() }),
        ("net_connect_pending", Network { pending: true, duration_ns: 0, ..connect() }),
        ("net_connect_swapped", swapped()),
        ("net_connect_io_uring", io_uring()),
        ("net_connect_denied", denied()),
        ("net_connect_datagram", datagram()),
        ("net_connect_unix", unix()),
        ("net_accept", accept()),
        ("net_accept_unowned", unowned()),
        ("net_bind", bind()),
        ("net_bind_refused", Network { errno: 98, ..bind() }),
        ("net_listen", Network { op: NetworkOp::Listen, backlog: 4096, ..listen() }),
        ("net_flow", flow()),
        ("net_flow_incoming", incoming_flow()),
        ("net_socket_packet", packet()),
        ("net_socket_refused", raw_refused()),
        ("net_dns_query", query()),
        ("net_dns_answer", answer()),
        ("net_dns_answer_cut", answer_cut()),
    ];
    all.into_iter().map(|(name, net)| (name, 1, Body::Network(Box::new(net)))).collect()
}

/// The task of a slim record.
fn brief() -> Task<'static> {
    let task = task();
    Task {
        start_ns: task.start_ns,
        parent_start_ns: task.parent_start_ns,
        cgroup_id: task.cgroup_id,
        pid: task.pid,
        tid: task.tid,
        ppid: task.ppid,
        uid: task.uid,
        gid: task.gid,
        euid: task.euid,
        egid: task.egid,
        fsuid: task.fsuid,
        fsgid: task.fsgid,
        loginuid: task.loginuid,
        mnt_ns: task.mnt_ns,
        net_ns: task.net_ns,
        user_ns: task.user_ns,
        comm: b"curl",
        brief: true,
        ..Task::default()
    }
}

fn origin(hook: Hook) -> Origin {
    Origin { hook, ..Origin::default() }
}

fn four(address: [u8; 4], port: u32) -> Endpoint {
    let [a, b, c, d] = address;
    Endpoint { address: [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], port }
}

/// `2001:db8::<last>`.
fn six(last: u8, port: u32) -> Endpoint {
    Endpoint { address: [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last], port }
}

fn socket(kind: Kind, op: NetworkOp, hook: Hook) -> Network<'static> {
    Network {
        task: brief(),
        origin: origin(hook),
        cookie: 8_191,
        family: AF_INET,
        socket_type: 1,
        protocol: 6,
        ..Network::new(kind, op)
    }
}

fn connect() -> Network<'static> {
    Network {
        origin: Origin { call: 60, ..origin(Hook::SysExit) },
        local: four([192, 0, 2, 7], 40_312),
        remote: four([198, 51, 100, 9], 443),
        duration_ns: 21_345_678,
        ..socket(Kind::NetConnect, NetworkOp::Connect, Hook::SysExit)
    }
}

fn swapped() -> Network<'static> {
    let origin = Origin { argument_swap: true, grade_user: true, call: 68, ..origin(Hook::SysExit) };
    Network { origin, given: Some(four([127, 0, 0, 1], 80)), interface: 2, ..connect() }
}

fn io_uring() -> Network<'static> {
    let origin = Origin { via_io_uring: true, ..origin(Hook::InetSockSetState) };
    Network { origin, family: AF_INET6, local: six(7, 40_314), remote: six(9, 443), ..connect() }
}

fn denied() -> Network<'static> {
    let origin = Origin { grade_user: true, call: 60, ..origin(Hook::SysExit) };
    Network { origin, errno: 13, cookie: 0, local: Endpoint::default(), duration_ns: 0, ..connect() }
}

fn datagram() -> Network<'static> {
    Network {
        local: four([0; 4], 5_353),
        remote: four([203, 0, 113, 5], 123),
        socket_type: 2,
        protocol: 17,
        ..socket(Kind::NetConnect, NetworkOp::Datagram, Hook::CgroupSendmsg)
    }
}

fn unix() -> Network<'static> {
    Network {
        family: AF_UNIX,
        protocol: 0,
        path: b"\0/tmp/.X11-unix/\xffX0",
        ..socket(Kind::NetConnect, NetworkOp::Connect, Hook::SysExit)
    }
}

fn accept() -> Network<'static> {
    // A socket of both families, reached over IPv4.
    let mapped =
        |last, port| Endpoint { address: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, last], port };
    Network {
        family: AF_INET6,
        local: mapped(7, 22),
        remote: mapped(99, 50_112),
        incoming: true,
        origin: Origin { call: 62, ..origin(Hook::SysExit) },
        ..socket(Kind::NetAccept, NetworkOp::Accept, Hook::SysExit)
    }
}

fn unowned() -> Network<'static> {
    let task = Task { net_ns: 4_026_531_840, brief: true, ..Task::default() };
    Network { task, origin: origin(Hook::InetSockSetState), unowned: true, ..accept() }
}

fn bind() -> Network<'static> {
    Network {
        local: six(7, 8_080),
        family: AF_INET6,
        ..socket(Kind::NetBind, NetworkOp::Bind, Hook::CgroupPostBind)
    }
}

fn listen() -> Network<'static> {
    Network {
        local: four([0; 4], 8_080),
        ..socket(Kind::NetListen, NetworkOp::Listen, Hook::InetSockSetState)
    }
}

fn flow() -> Network<'static> {
    Network {
        kind: Kind::NetFlow,
        op: NetworkOp::End,
        origin: origin(Hook::InetSockSetState),
        bytes_sent: 517,
        bytes_received: 1_048_576,
        packets_sent: 402,
        packets_received: 740,
        duration_ns: 3_210_987_654,
        ..connect()
    }
}

fn incoming_flow() -> Network<'static> {
    Network {
        errno: 104,
        bytes_sent: 90,
        bytes_received: 30,
        packets_sent: 4,
        packets_received: 5,
        duration_ns: 60_000_000_000,
        kind: Kind::NetFlow,
        op: NetworkOp::End,
        ..accept()
    }
}

fn packet() -> Network<'static> {
    Network {
        family: AF_PACKET,
        socket_type: 3,
        protocol: 3,
        origin: Origin { call: 59, ..origin(Hook::SysExit) },
        ..socket(Kind::NetSocket, NetworkOp::Socket, Hook::SysExit)
    }
}

fn raw_refused() -> Network<'static> {
    Network { family: AF_INET, protocol: 1, errno: 1, cookie: 0, ..packet() }
}

fn query() -> Network<'static> {
    Network {
        local: four([127, 0, 0, 1], 38_000),
        remote: four([127, 0, 0, 53], 53),
        socket_type: 2,
        protocol: 17,
        payload: b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03org\0\0\x01\0\x01",
        ..socket(Kind::NetDns, NetworkOp::DnsQuery, Hook::CgroupSkb)
    }
}

/// A CNAME, an address, a name of an address and a text, all with compressed names.
fn answer() -> Network<'static> {
    const MESSAGE: &[u8] = b"\x12\x34\x85\x80\0\x01\0\x04\0\0\0\0\x03www\x07example\x03org\0\0\x01\0\x01\
        \xc0\x0c\0\x05\0\x01\0\0\x0e\x10\0\x06\x03cdn\xc0\x10\
        \xc0\x2d\0\x01\0\x01\0\0\0\x3c\0\x04\xc6\x33\x64\x09\
        \xc0\x2d\0\x0c\0\x01\0\0\0\x3c\0\x02\xc0\x0c\
        \xc0\x0c\0\x10\0\x01\0\0\0\x01\0\x06\x02hi\x02\xffo";
    Network { op: NetworkOp::DnsAnswer, payload: MESSAGE, ..query() }
}

fn answer_cut() -> Network<'static> {
    const MESSAGE: &[u8] = b"\x12\x35\x83\x83\0\x01\0\x02\0\0\0\0\x02a.\x01b\0\0\x41\0\x01\
        \xc0\x0c\0\x1c\0\x01\0\0\0\x3c\0\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x09\
        \xc0\x0c\0\x1c\0\x01\0\0";
    let task = Task { net_ns: 4_026_531_840, brief: true, ..Task::default() };
    let origin = Origin { trimmed: true, watched: true, merged: 2, ..origin(Hook::CgroupSkb) };
    Network {
        task,
        origin,
        socket_type: 1,
        protocol: 6,
        payload: MESSAGE,
        payload_cut: true,
        over_tcp: true,
        unowned: true,
        ..answer()
    }
}
