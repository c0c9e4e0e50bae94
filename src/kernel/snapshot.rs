//! Every process that runs now, from the kernel's task iterator.
//!
//! The iterator writes `struct se_snapshot` records one after the other; each says its own length. Parents come
//! before children as a rule, but not by promise. While it runs, processes come and go: the ring tells of those, and
//! the process table knows which of the two is younger by the records' times.

use std::io::Read;

use libbpf_rs::{Iter, Link};

use super::abi::{Layout, types::se_header};
use super::records::Records;

/// A snapshot could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This kernel has no task iterator, or refuses it.
    #[error("the task iterator is not available: {0}")]
    Unavailable(String),
    /// It stopped in the middle.
    #[error("reading the task iterator: {0}")]
    Read(#[source] std::io::Error),
    /// It wrote something that is no record.
    #[error("the task iterator wrote something that is no record, after {records} records")]
    Malformed {
        /// Records before it.
        records: usize,
    },
}

/// The most that all snapshots together may be: about a million processes.
const MOST_BYTES: u64 = 1 << 30;

/// Reads the whole snapshot of an attached iterator.
pub(super) fn take(link: &Link) -> Result<Records, Error> {
    let iterator = Iter::new(link).map_err(|e| Error::Unavailable(e.to_string()))?;
    let mut bytes = Vec::new();
    iterator.take(MOST_BYTES).read_to_end(&mut bytes).map_err(Error::Read)?;
    split(&bytes)
}

fn split(mut bytes: &[u8]) -> Result<Records, Error> {
    let mut records = Records::default();
    while !bytes.is_empty() {
        let malformed = || Error::Malformed { records: records.len() };
        let header = se_header::read(bytes).ok_or_else(malformed)?;
        let len =
            usize::try_from(header.len).ok().filter(|len| *len >= se_header::SIZE).ok_or_else(malformed)?;
        let (record, rest) = bytes.split_at_checked(len).ok_or_else(malformed)?;
        records.push(record);
        bytes = rest;
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(len: u32) -> Vec<u8> {
        let mut bytes = se_header { len, ..Default::default() }.bytes().to_vec();
        bytes.resize(len as usize, 7);
        bytes
    }

    #[test]
    fn a_stream_falls_into_its_records() {
        let stream = [record(40), record(24), record(100)].concat();
        let lengths: Vec<_> = split(&stream).unwrap().iter().map(<[u8]>::len).collect();
        assert_eq!(lengths, [40, 24, 100]);
        assert!(split(&[]).unwrap().is_empty());
    }

    #[test]
    fn a_stream_that_lies_about_lengths_is_refused() {
        let mut torn = record(40);
        torn.truncate(39);
        let mut endless = record(24);
        endless[8..12].copy_from_slice(&0_u32.to_ne_bytes());
        for stream in [torn, endless, vec![1; 5]] {
            assert!(matches!(split(&stream), Err(Error::Malformed { records: 0 })));
        }
    }
}
