//! Which name a process found an address by, learned from the DNS answers it got.
//!
//! An address says little; the name that was looked up for it says whom the process meant to reach. Only the same
//! process's answers count: another one may have found the address by another name. What a resolver of the host looks
//! up on behalf of others is the resolver's.
//!
//! Bounded: at most [`MOST`] addresses, the oldest answer goes first. The time to live is not minded, as programs
//! do not mind it either once they have connected.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use crate::event::dns::{Data, Message};
use crate::event::{Network, NetworkOp};

/// Addresses that are remembered.
const MOST: usize = 16_384;

/// Addresses taken from one answer; more do not fit into what is kept of it.
const MOST_OF_ANSWER: usize = 32;

/// A process and an address that it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Asked {
    pid: u32,
    start_ns: u64,
    address: IpAddr,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Domains {
    names: HashMap<Asked, Arc<str>>,
    /// In the order they were first learned.
    order: VecDeque<Asked>,
}

impl Domains {
    /// Learns from an answer; the name of the other side of anything else, if the process asked for it.
    pub fn apply(&mut self, event: &Network<'_>) -> Option<Arc<str>> {
        if event.unowned {
            return None;
        }
        if event.op == NetworkOp::DnsAnswer {
            self.learn(event);
        }
        if event.incoming || matches!(event.op, NetworkOp::DnsAnswer | NetworkOp::DnsQuery) {
            return None;
        }
        let address = event.remote.ip(event.family)?.to_canonical();
        let asked = Asked { pid: event.task.pid, start_ns: event.task.start_ns, address };
        self.names.get(&asked).map(Arc::clone)
    }

    fn learn(&mut self, event: &Network<'_>) {
        let Some(message) = Message::parse(event.payload).filter(Message::is_answer) else { return };
        let Some(question) = message.question() else { return };
        // A hostile answer may carry addresses for other names; they go by the name that was asked for all the same,
        // as it is what the process connects by.
        let name: Arc<str> = question.name.text().to_ascii_lowercase().into();
        for answer in message.answers().take(MOST_OF_ANSWER) {
            if let Data::Address(address) = answer.data {
                let asked = Asked {
                    pid: event.task.pid,
                    start_ns: event.task.start_ns,
                    address: address.to_canonical(),
                };
                if self.names.insert(asked, Arc::clone(&name)).is_none() {
                    self.order.push_back(asked);
                }
            }
        }
        while self.order.len() > MOST {
            if let Some(oldest) = self.order.pop_front() {
                self.names.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::network::AF_INET;
    use crate::event::{Endpoint, Kind, Task};

    fn event(op: NetworkOp, pid: u32, remote: [u8; 4], payload: &[u8]) -> Network<'_> {
        let mut address = [0; 16];
        address[..4].copy_from_slice(&remote);
        let kind = if op == NetworkOp::DnsAnswer { Kind::NetDns } else { Kind::NetConnect };
        Network {
            task: Task { pid, start_ns: 7, ..Task::default() },
            family: AF_INET,
            remote: Endpoint { address, port: 443 },
            payload,
            ..Network::new(kind, op)
        }
    }

    fn answer(name: &str, addresses: &[[u8; 4]]) -> Vec<u8> {
        let count = u8::try_from(addresses.len()).unwrap();
        let mut bytes = vec![0, 1, 0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0];
        for label in name.split('.') {
            bytes.push(u8::try_from(label.len()).unwrap());
            bytes.extend(label.as_bytes());
        }
        bytes.extend([0, 0, 1, 0, 1]);
        for address in addresses {
            bytes.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04");
            bytes.extend(address);
        }
        bytes
    }

    #[test]
    fn a_name_goes_with_the_connects_of_the_process_that_asked() {
        let mut domains = Domains::default();
        let payload = answer("WWW.example.org", &[[192, 0, 2, 7], [192, 0, 2, 8]]);
        assert_eq!(domains.apply(&event(NetworkOp::DnsAnswer, 5, [127, 0, 0, 53], &payload)), None);
        for last in [7, 8] {
            let found = domains.apply(&event(NetworkOp::Connect, 5, [192, 0, 2, last], b""));
            assert_eq!(found.as_deref(), Some("www.example.org"));
        }
        assert_eq!(domains.apply(&event(NetworkOp::Connect, 5, [192, 0, 2, 9], b"")), None);
        assert_eq!(domains.apply(&event(NetworkOp::Connect, 6, [192, 0, 2, 7], b"")), None);
        let incoming = Network { incoming: true, ..event(NetworkOp::Accept, 5, [192, 0, 2, 7], b"") };
        assert_eq!(domains.apply(&incoming), None);
    }

    #[test]
    fn the_oldest_goes_when_there_are_too_many() {
        let mut domains = Domains::default();
        for n in 0..u32::try_from(MOST + 10).unwrap() {
            let payload = answer("a.b", &[n.to_be_bytes()]);
            domains.apply(&event(NetworkOp::DnsAnswer, 5, [127, 0, 0, 1], &payload));
        }
        assert_eq!((domains.names.len(), domains.order.len()), (MOST, MOST));
        assert_eq!(domains.apply(&event(NetworkOp::Connect, 5, 9_u32.to_be_bytes(), b"")), None);
        assert!(domains.apply(&event(NetworkOp::Connect, 5, 10_u32.to_be_bytes(), b"")).is_some());
    }

    #[test]
    fn bytes_that_are_no_message_teach_nothing() {
        let mut domains = Domains::default();
        let payload = answer("a.b", &[[192, 0, 2, 7]]);
        for end in 0..payload.len() {
            domains.apply(&event(NetworkOp::DnsAnswer, 5, [127, 0, 0, 1], &payload[..end]));
        }
        assert!(domains.names.is_empty());
    }
}
