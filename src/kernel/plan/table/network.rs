//! Sensors of the network.
//!
//! Several of them report one class together, each what only it can see; the kernel side
//! (`bpf/lib/net.bpf.h`) makes sure that each event is reported once, whichever of them are there. It goes by
//! [`parts`]. The grade is that of what worked; an address that the kernel refused was never anywhere but in user
//! memory, and the record says so.

use super::{Attach, Entry, Level, Rung, Sensor, Use, calls, tracepoint};
use crate::event::Kind;
use crate::kernel::abi::types::se_net_part;
use crate::kernel::plan::Planned;
use crate::kernel::plan::calls::{Call, Results};
use crate::metrics::label::Program;

const fn cgroup(program: Program, hook: &'static str) -> Entry {
    Entry { program, attach: Attach::Cgroup, hook, grade: "kernel", bounded: None, remark: None }
}

const fn direct(entries: &'static [Entry]) -> Rung {
    Rung { level: Level::Direct, entries }
}

const fn returns(entries: &'static [Entry]) -> Rung {
    Rung { level: Level::Syscall, entries }
}

const POST_BIND4: Entry = cgroup(Program::PostBind4, "cgroup/post_bind4");
const POST_BIND6: Entry = cgroup(Program::PostBind6, "cgroup/post_bind6");
const CALL_BIND: Entry = calls(Program::CallBind, &[Call::Bind], Results::All, "kernel", None);
const SOCK_CREATE: Entry = cgroup(Program::SockCreate, "cgroup/sock_create");
const CALL_SOCKET: Entry = calls(Program::CallSocket, &[Call::Socket], Results::All, "kernel", None);

pub(super) const SENSORS: &[Sensor] = &[
    // How TCP connections come out, what went over them, and who listens. Without CallAccept also who connects.
    Sensor {
        kinds: &[Kind::NetConnect, Kind::NetAccept, Kind::NetListen, Kind::NetFlow],
        usage: Use::Wanted,
        rungs: &[direct(&[tracepoint(
            Program::SockState,
            "inet_sock_set_state",
            "tp_btf/inet_sock_set_state",
        )])],
    },
    // The addresses that the kernel goes on with.
    Sensor {
        kinds: &[Kind::NetConnect, Kind::NetFlow, Kind::NetDns],
        usage: Use::Wanted,
        rungs: &[
            direct(&[
                cgroup(Program::Connect4, "cgroup/connect4"),
                cgroup(Program::Connect6, "cgroup/connect6"),
                cgroup(Program::Sendmsg4, "cgroup/sendmsg4"),
                cgroup(Program::Sendmsg6, "cgroup/sendmsg6"),
                cgroup(Program::SockRelease, "cgroup/sock_release"),
            ]),
            returns(&[calls(
                Program::CallSend,
                &[Call::Sendto, Call::Sendmsg, Call::Sendmmsg],
                Results::All,
                "user",
                None,
            )]),
        ],
    },
    // Errors, and the address in user memory.
    Sensor {
        kinds: &[Kind::NetConnect],
        usage: Use::Wanted,
        rungs: &[returns(&[calls(Program::CallConnect, &[Call::Connect], Results::All, "kernel", None)])],
    },
    Sensor {
        kinds: &[Kind::NetAccept, Kind::NetFlow],
        usage: Use::Wanted,
        rungs: &[returns(&[calls(
            Program::CallAccept,
            &[Call::Accept, Call::Accept4],
            Results::Good,
            "kernel",
            None,
        )])],
    },
    // The call tells of those that are refused; without the hooks of all.
    Sensor {
        kinds: &[Kind::NetBind],
        usage: Use::Wanted,
        rungs: &[
            returns(&[POST_BIND4, POST_BIND6, CALL_BIND]),
            direct(&[POST_BIND4, POST_BIND6]),
            returns(&[CALL_BIND]),
        ],
    },
    // Those that are refused, and those whose port the kernel chooses late.
    Sensor {
        kinds: &[Kind::NetListen],
        usage: Use::Wanted,
        rungs: &[returns(&[calls(Program::CallListen, &[Call::Listen], Results::All, "kernel", None)])],
    },
    // The call tells of sockets of packets, and of raw ones that are refused; without the hook of all.
    Sensor {
        kinds: &[Kind::NetSocket],
        usage: Use::Wanted,
        rungs: &[returns(&[SOCK_CREATE, CALL_SOCKET]), direct(&[SOCK_CREATE]), returns(&[CALL_SOCKET])],
    },
    // Messages, and the bytes of datagrams.
    Sensor {
        kinds: &[Kind::NetDns, Kind::NetFlow],
        usage: Use::Wanted,
        rungs: &[direct(&[
            cgroup(Program::PacketOut, "cgroup_skb/egress"),
            cgroup(Program::PacketIn, "cgroup_skb/ingress"),
        ])],
    },
    Sensor {
        kinds: &[Kind::NetConnect, Kind::NetAccept, Kind::NetBind, Kind::NetListen, Kind::NetSocket],
        usage: Use::Wanted,
        rungs: &[returns(&[calls(Program::CallSocketcall, &[Call::Socketcall], Results::All, "user", None)])],
    },
];

/// Which programs the others can rely on: bits of `enum se_net_part`.
pub(in crate::kernel) fn parts(programs: &[Planned]) -> u32 {
    let relied_on = [
        (Program::Connect4, se_net_part::SE_NET_PART_CONNECT),
        (Program::PostBind4, se_net_part::SE_NET_PART_BIND),
        (Program::CallAccept, se_net_part::SE_NET_PART_ACCEPT),
        (Program::SockCreate, se_net_part::SE_NET_PART_CREATE),
    ];
    let is_there = |program| programs.iter().any(|p| p.program == program && p.missing.is_none());
    relied_on.into_iter().filter(|(program, _)| is_there(*program)).fold(0, |all, (_, part)| all | part.0)
}
