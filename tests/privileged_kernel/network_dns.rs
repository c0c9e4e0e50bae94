//! DNS over UDP and TCP, against a responder of the test's own: a double of a name server that answers everything.
//!
//! It runs in a network namespace of its own, so that port 53 is free whatever the host runs.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};

use nix::libc;
use sentinel_edge::event::dns::{Data, Message};
use sentinel_edge::event::{Kind, NetworkOp};

use crate::acts::begin;
use crate::network::{OPTIONS, one, passed};
use crate::rig::Rig;

/// Switches the loopback interface of a new network namespace on.
pub fn own_network() {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("a network namespace");
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
    // SAFETY: plain numbers, for which zeros are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[..2].copy_from_slice(&[b'l' as libc::c_char, b'o' as libc::c_char]);
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(libc::IFF_UP).expect("a flag");
    // SAFETY: an open socket, and a request that is filled in.
    let code = unsafe {
        libc::ioctl(std::os::fd::AsRawFd::as_raw_fd(&socket), libc::SIOCSIFFLAGS, &raw const request)
    };
    assert_eq!(code, 0);
}

/// A question for a name.
fn question(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    let mut bytes = vec![high, low, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).expect("a label"));
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend([kind.to_be_bytes(), [0, 1]].concat());
    bytes
}

/// The question, with an address and a text in answer.
fn answer(question: &[u8], texts: usize) -> Vec<u8> {
    let mut bytes = question.to_vec();
    bytes[2] = 0x81;
    bytes[3] = 0x80;
    bytes[7] = u8::try_from(1 + texts).expect("few");
    bytes.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x7f\0\0\x01");
    for _ in 0..texts {
        bytes.extend(b"\xc0\x0c\0\x10\0\x01\0\0\0\x3c\0\x65\x64");
        bytes.extend([b't'; 100]);
    }
    bytes
}

/// Asks over UDP, connected and not, and over TCP; then connects to what it was told.
fn ask() {
    own_network();
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).expect("port 53");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 53)).expect("port 53");
    let serving = begin(move || {
        let mut room = [0; 600];
        for _ in 0..2 {
            let (length, from) = server.recv_from(&mut room).expect("a question");
            server.send_to(&answer(&room[..length], 0), from).expect("an answer");
        }
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut length = [0; 2];
        stream.read_exact(&mut length).expect("a length");
        let mut asked = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut asked).expect("a question");
        let reply = answer(&asked, 9);
        let length = u16::try_from(reply.len()).expect("short").to_be_bytes();
        stream.write_all(&[&length[..], &reply].concat()).expect("an answer");
    });
    let mut room = [0; 600];
    let connected = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    connected.connect((Ipv4Addr::LOCALHOST, 53)).expect("a connect");
    connected.send(&question(1, "one.example.org", 1)).expect("a question");
    connected.recv(&mut room).expect("an answer");
    let free = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
    free.send_to(&question(2, "two.example.org", 28), (Ipv4Addr::LOCALHOST, 53)).expect("a question");
    free.recv_from(&mut room).expect("an answer");
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 53)).expect("a connection");
    let asked = question(3, "three.example.org", 16);
    let length = u16::try_from(asked.len()).expect("short").to_be_bytes();
    // The length in a segment of its own, as some resolvers have it.
    stream.set_nodelay(true).expect("no delay");
    stream.write_all(&length).expect("a length");
    stream.write_all(&asked).expect("a question");
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).expect("an answer");
    serving.join().expect("the responder");
}

#[test]
#[ignore = "needs root and BPF"]
fn questions_and_answers_are_told_over_both_transports() {
    let mut rig = Rig::with(OPTIONS);
    let (pid, status) = rig.act(ask);
    assert!(matches!(status, nix::sys::wait::WaitStatus::Exited(_, 0)), "{status:?}");
    let all = rig.network(pid, Kind::NetDns);
    assert_eq!(all.len(), 6, "{all:#?}");
    for (id, name, kind) in
        [(1, "one.example.org", 1), (2, "two.example.org", 28), (3, "three.example.org", 16)]
    {
        let is = |op| {
            move |event: &sentinel_edge::event::Network<'_>| {
                event.op == op && Message::parse(event.payload).is_some_and(|message| message.id == id)
            }
        };
        let query = one(rig.network(pid, Kind::NetDns), name, is(NetworkOp::DnsQuery));
        let reply = one(rig.network(pid, Kind::NetDns), name, is(NetworkOp::DnsAnswer));
        for event in [&query, &reply] {
            assert_eq!((event.task.pid, event.remote.port, event.over_tcp), (pid, 53, id == 3));
            assert_eq!((event.unowned, &event.remote.address[..4]), (false, &[127, 0, 0, 1][..]));
            let message = Message::parse(event.payload).unwrap();
            let asked = message.question().unwrap();
            assert_eq!((asked.name.text().as_str(), asked.kind), (name, kind));
        }
        assert_eq!(query.local, reply.local);
        let message = Message::parse(reply.payload).unwrap();
        assert_eq!(message.answers().next().unwrap().data, Data::Address([127, 0, 0, 1].into()));
        assert_eq!(reply.payload_cut, id == 3);
        assert_eq!(message.answers().count(), if id == 3 { 5 } else { 1 });
    }
    passed(&rig, Kind::NetDns, "all");
}
