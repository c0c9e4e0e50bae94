//! `source`, `destination`, `network` and `dns` of network events, and what ECS has no words for.
//!
//! The source is whoever began: this side, but for what came in. A bind or listen has this side alone.

use super::Context;
use super::notes::Notes;
use crate::event::dns::{self, Data, Message};
use crate::event::json::{Key, Object, key};
use crate::event::network::{AF_INET, AF_INET6, AF_PACKET, AF_UNIX};
use crate::event::{Endpoint, Kind, Network, NetworkOp};

/// Not more answers of a message are shown; 512 bytes have room for few more.
const ANSWERS: usize = 32;

/// `event.type`, where it is not the kind's.
pub(super) fn types(event: &Network<'_>) -> Option<&'static [&'static str]> {
    const EPERM: u32 = 1;
    const EACCES: u32 = 13;
    match event.kind {
        Kind::NetConnect | Kind::NetAccept => Some(match event.errno {
            0 => &["connection", "start"],
            EPERM | EACCES => &["connection", "denied"],
            _ => &["connection", "end"],
        }),
        Kind::NetFlow => Some(&["connection", "end"]),
        Kind::NetBind | Kind::NetListen | Kind::NetSocket if matches!(event.errno, EPERM | EACCES) => {
            Some(&["denied"])
        }
        _ => None,
    }
}

/// `event.duration`, nanoseconds.
pub(super) fn duration_ns(event: &Network<'_>) -> Option<u64> {
    Some(event.duration_ns).filter(|duration| *duration != 0)
}

/// Writes the ECS objects.
pub(super) fn write(o: &mut Object<'_>, event: &Network<'_>, context: &Context, notes: &mut Notes) {
    let is_inet = matches!(event.family, AF_INET | AF_INET6);
    let (source, destination) = event.ends();
    let (from_source, from_destination) = if event.incoming {
        ((event.bytes_received, event.packets_received), (event.bytes_sent, event.packets_sent))
    } else {
        ((event.bytes_sent, event.packets_sent), (event.bytes_received, event.packets_received))
    };
    if is_inet && event.op != NetworkOp::Socket {
        o.object(key!("source"), |o| end(o, event, source, from_source));
        if let Some(destination) = destination {
            o.object(key!("destination"), |o| {
                end(o, event, destination, from_destination);
                if let Some(domain) = context.destination_domain.as_ref().filter(|_| !event.incoming) {
                    notes.text(o, "destination.domain", key!("domain"), domain.as_bytes());
                }
            });
        }
    }
    if event.family == AF_UNIX {
        o.object(key!("network"), |o| o.plain(key!("transport"), b"unix"));
    } else if is_inet {
        write_network(o, event, destination);
    }
    if event.kind == Kind::NetDns
        && let Some(message) = message(event)
    {
        o.object(key!("dns"), |o| write_message(o, &message, event, notes));
    }
}

fn write_network(o: &mut Object<'_>, event: &Network<'_>, destination: Option<&Endpoint>) {
    o.object(key!("network"), |o| {
        let four =
            destination.map_or(event.family == AF_INET, |end| event.ip(end).is_none_or(|ip| ip.is_ipv4()));
        o.plain(key!("type"), if four { b"ipv4" } else { b"ipv6" });
        if let Some(name) = event.transport() {
            o.plain(key!("transport"), name.as_bytes());
        }
        o.digits(key!("iana_number"), u64::from(event.protocol));
        if event.kind == Kind::NetDns {
            o.plain(key!("protocol"), b"dns");
        }
        if destination.is_some() {
            o.plain(key!("direction"), if event.incoming { b"ingress" } else { b"egress" });
        }
        if event.kind == Kind::NetFlow {
            o.number(key!("bytes"), event.bytes_sent.saturating_add(event.bytes_received));
            o.number(key!("packets"), event.packets_sent.saturating_add(event.packets_received));
        }
    });
}

fn end(o: &mut Object<'_>, event: &Network<'_>, end: &Endpoint, (bytes, packets): (u64, u64)) {
    if let Some(ip) = event.ip(end) {
        let text = ip.to_string();
        o.plain(key!("address"), text.as_bytes());
        o.plain(key!("ip"), text.as_bytes());
    }
    o.number(key!("port"), u64::from(end.port));
    if event.kind == Kind::NetFlow {
        o.number(key!("bytes"), bytes);
        o.number(key!("packets"), packets);
    }
}

/// The DNS message of an event.
fn message<'a>(event: &Network<'a>) -> Option<Message<'a>> {
    Message::parse(event.payload)
}

fn write_message(o: &mut Object<'_>, message: &Message<'_>, event: &Network<'_>, notes: &mut Notes) {
    o.plain(key!("type"), if message.is_answer() { b"answer" } else { b"query" });
    o.digits(key!("id"), u64::from(message.id));
    o.plain(key!("op_code"), message.op_code().as_bytes());
    o.texts(key!("header_flags"), message.flags().map(str::as_bytes));
    if let Some(question) = message.question() {
        o.object(key!("question"), |o| {
            o.text(key!("name"), question.name.text().as_bytes());
            named(o, key!("type"), dns::kind_name(question.kind), question.kind);
            named(o, key!("class"), dns::class_name(question.class), question.class);
        });
    }
    notes.cut("dns.answers", event.payload_cut);
    if !message.is_answer() {
        return;
    }
    o.plain(key!("response_code"), message.response_code().as_bytes());
    o.objects(key!("answers"), message.answers().take(ANSWERS), |answer, o| {
        o.text(key!("name"), answer.name.text().as_bytes());
        named(o, key!("type"), dns::kind_name(answer.kind), answer.kind);
        named(o, key!("class"), dns::class_name(answer.class), answer.class);
        o.number(key!("ttl"), u64::from(answer.ttl));
        match answer.data {
            Data::Address(ip) => o.plain(key!("data"), ip.to_string().as_bytes()),
            Data::Name(name) => _ = o.text(key!("data"), name.text().as_bytes()),
            Data::Text(text) => {
                let whole: Vec<u8> = dns::strings(text).flatten().copied().collect();
                notes.text(o, "dns.answers.data", key!("data"), &whole);
            }
            Data::Other => {}
        }
    });
    let addresses: Vec<String> = message.answers().take(ANSWERS).filter_map(address).collect();
    if !addresses.is_empty() {
        o.texts(key!("resolved_ip"), addresses.iter().map(String::as_bytes));
    }
}

fn address(answer: dns::Record<'_>) -> Option<String> {
    if let Data::Address(ip) = answer.data { Some(ip.to_string()) } else { None }
}

/// The name of a number, or the number.
fn named(o: &mut Object<'_>, key: Key, name: Option<&str>, number: u16) {
    match name {
        Some(name) => o.plain(key, name.as_bytes()),
        None => o.digits(key, u64::from(number)),
    }
}

/// The rest, under `sentineledge`.
pub(super) fn own(o: &mut Object<'_>, event: &Network<'_>, _context: &Context, notes: &mut Notes) {
    o.object(key!("network"), |o| {
        o.plain(key!("operation"), event.op.name().as_bytes());
        o.plain(key!("family"), family(event.family).as_bytes());
        if let Some(name) = socket_type(event.socket_type) {
            o.plain(key!("socket_type"), name.as_bytes());
        }
        if event.cookie != 0 {
            o.digits(key!("socket"), event.cookie);
        }
        if event.interface != 0 {
            o.number(key!("interface"), u64::from(event.interface));
        }
        if event.family == AF_PACKET {
            o.number(key!("ethernet_protocol"), u64::from(event.protocol));
        }
        if event.op == NetworkOp::Listen {
            o.number(key!("backlog"), u64::from(event.backlog));
        }
        if !event.path.is_empty() {
            notes.text(o, "sentineledge.network.path", key!("path"), event.path);
        }
        if let Some(given) = &event.given {
            o.object(key!("given"), |o| {
                if let Some(ip) = event.ip(given) {
                    o.plain(key!("ip"), ip.to_string().as_bytes());
                }
                o.number(key!("port"), u64::from(given.port));
            });
        }
        o.flag(key!("pending"), event.pending);
        o.flag(key!("unowned"), event.unowned);
        if event.unowned && event.task.net_ns != 0 {
            o.number(key!("namespace"), u64::from(event.task.net_ns));
        }
    });
}

fn family(family: u32) -> &'static str {
    match family {
        AF_UNIX => "unix",
        AF_INET => "inet",
        AF_INET6 => "inet6",
        AF_PACKET => "packet",
        _ => "other",
    }
}

fn socket_type(kind: u32) -> Option<&'static str> {
    Some(match kind {
        1 => "stream",
        2 => "datagram",
        3 => "raw",
        5 => "seqpacket",
        6 => "dccp",
        10 => "packet",
        _ => return None,
    })
}
