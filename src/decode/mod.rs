//! Bytes to events: a pure, total function of one record.
//!
//! [`header`] reads the first 16 bytes, which is all that routing and counting need. [`decode`] reads the rest:
//! it copies the fixed part out of the record with a checked copy, so that alignment does not matter, resolves
//! each (offset, length) of it against the tail, and turns sentinel values into `Option`s. The event borrows its
//! bytes from the record; nothing is allocated.
//!
//! The record is not trusted, although the kernel side wrote it: it may come from a capture file, and a mistake
//! there must not take the agent with it. Every input gives an event or an [`Error`] that names what is wrong;
//! nothing panics, and the lints below keep it so. Bytes stay bytes: what is not UTF-8 is for the writer to say.
//! Flags this version does not know are ignored, because dropping the event would hide more than it tells.
//!
//! What is not checked: that pieces of the tail do not overlap, and that values make sense together.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod actor;
mod cgroup;
mod file;
mod network;
mod privilege;
mod process;
mod snapshot;
pub mod synth;
mod tail;
mod task;
#[cfg(test)]
mod tests;

use crate::event::{Body, Event, Kind};
use crate::kernel::abi::Layout;
use crate::kernel::abi::types::se_header;

/// Why bytes are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not even a header.
    #[error("a record of {found} bytes is shorter than a header")]
    NoHeader {
        /// Bytes there are.
        found: usize,
    },
    /// A kind that this version does not know.
    #[error("a record of unknown kind {number}")]
    UnknownKind {
        /// What the header says.
        number: u16,
    },
    /// The header's length is not the record's: it is cut, or two are joined.
    #[error("{kind} record: its header says {stated} bytes, there are {found}")]
    Length {
        /// Kind of the record.
        kind: Kind,
        /// Bytes by the header.
        stated: u32,
        /// Bytes there are.
        found: usize,
    },
    /// Shorter than what every record of the kind has.
    #[error("{kind} record: {found} bytes are less than its fixed part of {needed}")]
    Short {
        /// Kind of the record.
        kind: Kind,
        /// Size of the fixed part.
        needed: usize,
        /// Bytes there are.
        found: usize,
    },
    /// A piece that does not lie in the tail.
    #[error("{kind} record: {field} of {length} bytes at {offset} is not within its tail, {start} to {end}")]
    Outside {
        /// Kind of the record.
        kind: Kind,
        /// Field of the record, as `bpf/abi.h` calls it.
        field: &'static str,
        /// Offset from the record's start.
        offset: u32,
        /// Length.
        length: u32,
        /// Where the tail begins.
        start: usize,
        /// Where it ends.
        end: usize,
    },
    /// A value that the field cannot have.
    #[error("{kind} record: {field} cannot be {value}")]
    Value {
        /// Kind of the record.
        kind: Kind,
        /// Field of the record, as `bpf/abi.h` calls it.
        field: &'static str,
        /// What it is.
        value: i64,
    },
}

/// What every record begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Boot clock, nanoseconds: the kernel's time of the event.
    pub time_ns: u64,
    /// Length of the whole record in bytes; checked against the record.
    pub len: u32,
    /// Kind of the record.
    pub kind: Kind,
    /// The CPU that it happened on.
    pub cpu: u16,
}

/// Reads the header of a record, and checks its kind and its length, nothing else.
///
/// # Errors
///
/// Too short for a header, of unknown kind, or not as long as it says.
#[inline]
pub fn header(record: &[u8]) -> Result<Header, Error> {
    let raw = se_header::read(record).ok_or(Error::NoHeader { found: record.len() })?;
    let kind = Kind::from_number(raw.kind).ok_or(Error::UnknownKind { number: raw.kind })?;
    if usize::try_from(raw.len) != Ok(record.len()) {
        return Err(Error::Length { kind, stated: raw.len, found: record.len() });
    }
    Ok(Header { time_ns: raw.ts_ns, len: raw.len, kind, cpu: raw.cpu })
}

/// The kind that a record claims to be, however broken the rest of it is: losses are counted under it.
pub fn kind(record: &[u8]) -> Option<Kind> {
    Kind::from_number(se_header::read(record)?.kind)
}

/// Turns a whole record into an event that borrows from it.
///
/// # Errors
///
/// The record is cut, joined, of unknown kind, or a field of it cannot be. The record is then to be counted as
/// malformed and dropped.
pub fn decode(record: &[u8]) -> Result<Event<'_>, Error> {
    let Header { time_ns, kind, cpu, len: _ } = header(record)?;
    let body = match kind {
        Kind::Exec => Body::Exec(Box::new(process::exec(record)?)),
        Kind::ExecFailed => Body::ExecFailed(Box::new(process::exec_failed(record)?)),
        Kind::Fork => Body::Fork(Box::new(process::fork(record)?)),
        Kind::Exit => Body::Exit(Box::new(process::exit(record)?)),
        Kind::Cgroup => Body::Cgroup(cgroup::cgroup(record)?),
        Kind::Snapshot => Body::Snapshot(Box::new(snapshot::snapshot(record)?)),
        Kind::Credentials => Body::Credentials(Box::new(privilege::credentials(record)?)),
        Kind::FileOpen
        | Kind::FileRead
        | Kind::FileClose
        | Kind::FileRename
        | Kind::FileDelete
        | Kind::FileLink
        | Kind::FileMkdir
        | Kind::FileMode
        | Kind::FileOwner
        | Kind::FileXattr
        | Kind::FileTruncate
        | Kind::FileTimes
        | Kind::Mount => Body::File(Box::new(file::file(kind, record)?)),
        Kind::NetConnect
        | Kind::NetAccept
        | Kind::NetBind
        | Kind::NetListen
        | Kind::NetFlow
        | Kind::NetSocket
        | Kind::NetDns => Body::Network(Box::new(network::network(kind, record)?)),
        Kind::Ptrace
        | Kind::ProcessMemory
        | Kind::Module
        | Kind::Kexec
        | Kind::Bpf
        | Kind::PerfEvent
        | Kind::Userfaultfd
        | Kind::Memfd
        | Kind::MemoryExec
        | Kind::Namespace
        | Kind::IoUring
        | Kind::Signal
        | Kind::Prctl
        | Kind::Keyring
        | Kind::HostName
        | Kind::Clock
        | Kind::Swap
        | Kind::Reboot => Body::Privilege(Box::new(privilege::privilege(kind, record)?)),
    };
    Ok(Event { time_ns, cpu, body })
}

/// Copies the fixed part out of a record.
#[inline]
fn fixed<R: Layout>(kind: Kind, record: &[u8]) -> Result<R, Error> {
    R::read(record).ok_or(Error::Short { kind, needed: R::SIZE, found: record.len() })
}
