//! What was done on the network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Kind, Origin, Task};

/// What exactly was done. The numbers are those of `enum se_net_op`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum NetworkOp {
    /// A connection was asked for.
    Connect = 1,
    /// The first datagram to a peer.
    Datagram = 2,
    /// A connection was accepted.
    Accept = 3,
    /// A socket got an address.
    Bind = 4,
    /// A socket listens.
    Listen = 5,
    /// A flow ended.
    End = 6,
    /// A raw or packet socket was made.
    Socket = 7,
    /// A DNS question.
    DnsQuery = 8,
    /// A DNS answer.
    DnsAnswer = 9,
}

impl NetworkOp {
    /// Every operation, in the order of the numbers.
    pub const ALL: &'static [NetworkOp] = &[
        NetworkOp::Connect,
        NetworkOp::Datagram,
        NetworkOp::Accept,
        NetworkOp::Bind,
        NetworkOp::Listen,
        NetworkOp::End,
        NetworkOp::Socket,
        NetworkOp::DnsQuery,
        NetworkOp::DnsAnswer,
    ];

    /// The operation with this number.
    pub fn from_number(number: u32) -> Option<NetworkOp> {
        NetworkOp::ALL.iter().copied().find(|op| *op as u32 == number)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            NetworkOp::Connect => "connect",
            NetworkOp::Datagram => "datagram",
            NetworkOp::Accept => "accept",
            NetworkOp::Bind => "bind",
            NetworkOp::Listen => "listen",
            NetworkOp::End => "end",
            NetworkOp::Socket => "socket",
            NetworkOp::DnsQuery => "dns_query",
            NetworkOp::DnsAnswer => "dns_answer",
        }
    }
}

/// `AF_UNIX`.
pub const AF_UNIX: u32 = 1;
/// `AF_INET`.
pub const AF_INET: u32 = 2;
/// `AF_INET6`.
pub const AF_INET6: u32 = 10;
/// `AF_PACKET`.
pub const AF_PACKET: u32 = 17;

/// An address of a socket, with its port in host byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Endpoint {
    /// As in the kernel: network byte order, IPv4 in the first four bytes.
    pub address: [u8; 16],
    /// The port.
    pub port: u32,
}

impl Endpoint {
    /// The address, for the families that have one.
    pub fn ip(&self, family: u32) -> Option<IpAddr> {
        match family {
            AF_INET => {
                let [a, b, c, d, ..] = self.address;
                Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
            }
            AF_INET6 => Some(IpAddr::V6(Ipv6Addr::from(self.address))),
            _ => None,
        }
    }
}

/// Something was done on the network.
#[derive(Debug, Clone, PartialEq)]
pub struct Network<'a> {
    /// One of the network kinds.
    pub kind: Kind,
    /// Who did it; of a flow seen in an interrupt, who owned the socket. Without one `unowned` is set.
    pub task: Task<'a>,
    /// How it was seen.
    pub origin: Origin,
    /// Identity of the socket; 0: not known.
    pub cookie: u64,
    /// Payload sent.
    pub bytes_sent: u64,
    /// Payload received.
    pub bytes_received: u64,
    /// Packets or segments sent.
    pub packets_sent: u64,
    /// Packets or segments received.
    pub packets_received: u64,
    /// Of a flow.
    pub duration_ns: u64,
    /// This side.
    pub local: Endpoint,
    /// The other side.
    pub remote: Endpoint,
    /// The address in user memory, where it was another one.
    pub given: Option<Endpoint>,
    /// What exactly was done.
    pub op: NetworkOp,
    /// Positive errno, 0 if it worked.
    pub errno: u32,
    /// `AF_*`.
    pub family: u32,
    /// `SOCK_*` without its flags.
    pub socket_type: u32,
    /// `IPPROTO_*`, or an Ethernet protocol for packet sockets.
    pub protocol: u32,
    /// Of listen().
    pub backlog: u32,
    /// Index of the interface, 0: any.
    pub interface: u32,
    /// Path of a Unix socket, an abstract one with its leading NUL.
    pub path: &'a [u8],
    /// DNS message.
    pub payload: &'a [u8],
    /// The other side opened the flow.
    pub incoming: bool,
    /// A connect that was not decided when the call returned.
    pub pending: bool,
    /// `payload` is cut.
    pub payload_cut: bool,
    /// DNS over TCP.
    pub over_tcp: bool,
    /// No task is known.
    pub unowned: bool,
}

/// `IPPROTO_TCP`.
const TCP: u32 = 6;

impl Network<'_> {
    /// The address of an end, IPv4 also where it is mapped into IPv6. `None`: any, or none.
    pub fn ip(&self, end: &Endpoint) -> Option<IpAddr> {
        end.ip(self.family).map(|ip| ip.to_canonical())
    }

    /// Its ends are addresses with ports.
    pub fn is_inet(&self) -> bool {
        matches!(self.family, AF_INET | AF_INET6)
    }

    /// Who began and who was reached; `None`: there is no other side.
    pub fn ends(&self) -> (&Endpoint, Option<&Endpoint>) {
        match self.op {
            NetworkOp::Bind | NetworkOp::Listen | NetworkOp::Socket => (&self.local, None),
            _ if self.incoming => (&self.remote, Some(&self.local)),
            _ => (&self.local, Some(&self.remote)),
        }
    }

    /// Name of the protocol below, `tcp` for one.
    pub fn transport(&self) -> Option<&'static str> {
        Some(match self.protocol {
            1 => "icmp",
            TCP => "tcp",
            17 => "udp",
            33 => "dccp",
            58 => "ipv6-icmp",
            132 => "sctp",
            136 => "udplite",
            262 => "mptcp",
            _ => return None,
        })
    }

    /// An event of which nothing else is known.
    pub fn new(kind: Kind, op: NetworkOp) -> Self {
        Network {
            kind,
            task: Task::default(),
            origin: Origin::default(),
            cookie: 0,
            bytes_sent: 0,
            bytes_received: 0,
            packets_sent: 0,
            packets_received: 0,
            duration_ns: 0,
            local: Endpoint::default(),
            remote: Endpoint::default(),
            given: None,
            op,
            errno: 0,
            family: 0,
            socket_type: 0,
            protocol: 0,
            backlog: 0,
            interface: 0,
            path: b"",
            payload: b"",
            incoming: false,
            pending: false,
            payload_cut: false,
            over_tcp: false,
            unowned: false,
        }
    }
}
