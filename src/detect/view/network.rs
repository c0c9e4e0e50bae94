//! What rules ask of network events.

use std::io::Write as _;

use super::texts::Texts;
use crate::detect::sigma::fields::Field;
use crate::detect::sigma::set::Wanted;
use crate::event::dns::{self, Message};
use crate::event::ecs::Context;
use crate::event::network::{AF_PACKET, AF_UNIX};
use crate::event::{Endpoint, Kind, Network, NetworkOp};

/// The fields that are known without the line; without a value they are absent.
pub const PROVIDED: [Field; 8] = [
    Field::EVENT_TYPE,
    Field::DESTINATION_IP,
    Field::DESTINATION_PORT,
    Field::DESTINATION_HOSTNAME,
    Field::SOURCE_IP,
    Field::SOURCE_PORT,
    Field::INITIATED,
    Field::PROTOCOL,
];

/// Further ones of DNS messages. Data of answers are many values and stay in the line.
pub const PROVIDED_OF_DNS: [Field; 3] = [Field::QUERY_NAME, Field::QUERY_TYPE, Field::QUERY_STATUS];

/// What was done.
fn event_type(event: &Network<'_>) -> &'static str {
    match event.op {
        NetworkOp::Socket if event.family == AF_PACKET => "packet",
        NetworkOp::Socket => "raw",
        NetworkOp::DnsQuery => "query",
        NetworkOp::DnsAnswer => "answer",
        op => op.name(),
    }
}

/// Writes them.
pub fn write(event: &Network<'_>, context: &Context, wanted: &Wanted, texts: &mut Texts) {
    texts.text(Field::EVENT_TYPE, event_type(event).as_bytes());
    texts.text(Field::INITIATED, if event.kind == Kind::NetAccept { b"false" } else { b"true" });
    if event.family == AF_UNIX {
        texts.text(Field::PROTOCOL, b"unix");
    } else if event.is_inet() {
        if let Some(name) = event.transport() {
            texts.text(Field::PROTOCOL, name.as_bytes());
        }
        if event.op != NetworkOp::Socket {
            ends(event, context, wanted, texts);
        }
    }
    if event.kind == Kind::NetDns
        && let Some(message) = Message::parse(event.payload)
    {
        write_message(&message, wanted, texts);
    }
}

fn ends(event: &Network<'_>, context: &Context, wanted: &Wanted, texts: &mut Texts) {
    let (source, destination) = event.ends();
    let mut end = |end: &Endpoint, ip: Field, port: Field| {
        if let Some(found) = event.ip(end).filter(|_| wanted.has(ip)) {
            // Writing to a Vec cannot fail.
            texts.add(ip, |out| drop(write!(out, "{found}")));
        }
        if wanted.has(port) {
            texts.number(port, u64::from(end.port));
        }
    };
    end(source, Field::SOURCE_IP, Field::SOURCE_PORT);
    let Some(destination) = destination else { return };
    end(destination, Field::DESTINATION_IP, Field::DESTINATION_PORT);
    if let Some(domain) = context.destination_domain.as_ref().filter(|_| !event.incoming) {
        texts.text(Field::DESTINATION_HOSTNAME, domain.as_bytes());
    }
}

fn write_message(message: &Message<'_>, wanted: &Wanted, texts: &mut Texts) {
    if let Some(question) = message.question() {
        if wanted.has(Field::QUERY_NAME) {
            texts.text(Field::QUERY_NAME, question.name.text().as_bytes());
        }
        match dns::kind_name(question.kind) {
            Some(name) => texts.text(Field::QUERY_TYPE, name.as_bytes()),
            None => texts.number(Field::QUERY_TYPE, u64::from(question.kind)),
        }
    }
    if message.is_answer() {
        texts.text(Field::QUERY_STATUS, message.response_code().as_bytes());
    }
}
