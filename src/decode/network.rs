//! The network.

use std::mem::offset_of;

use super::actor::{actor, errno, origin};
use super::tail::Tail;
use super::{Error, fixed};
use crate::event::{Endpoint, Kind, Network, NetworkOp};
use crate::kernel::abi::types::{se_net, se_net_flag as flag};

#[inline]
pub(super) fn network(kind: Kind, record: &[u8]) -> Result<Network<'_>, Error> {
    let raw: se_net = fixed(kind, record)?;
    let tail = Tail::behind::<se_net>(kind, record);
    let has = |bit: flag| raw.flags & bit.0 != 0;
    let given = Endpoint { address: raw.given, port: raw.given_port };
    Ok(Network {
        kind,
        task: actor(record, offset_of!(se_net, actor), &raw.actor),
        origin: origin(kind, &raw.actor)?,
        cookie: raw.cookie,
        bytes_sent: raw.bytes_sent,
        bytes_received: raw.bytes_received,
        packets_sent: raw.packets_sent,
        packets_received: raw.packets_received,
        duration_ns: raw.duration_ns,
        local: Endpoint { address: raw.local, port: raw.local_port },
        remote: Endpoint { address: raw.remote, port: raw.remote_port },
        given: Some(given).filter(|given| *given != Endpoint::default()),
        op: NetworkOp::from_number(raw.op).ok_or_else(|| Error::Value {
            kind,
            field: "op",
            value: raw.op.into(),
        })?,
        errno: errno(kind, raw.error)?,
        family: raw.family,
        socket_type: raw.socket_type,
        protocol: raw.protocol,
        backlog: raw.backlog,
        interface: raw.ifindex,
        path: tail.piece("path", raw.path)?,
        payload: tail.piece("payload", raw.payload)?,
        incoming: has(flag::SE_NET_INCOMING),
        pending: has(flag::SE_NET_PENDING),
        payload_cut: has(flag::SE_NET_PAYLOAD_CUT),
        over_tcp: has(flag::SE_NET_TCP),
        unowned: has(flag::SE_NET_UNOWNED),
    })
}
