//! A batch of lines, shared by all sinks.

use crate::event::Kind;

/// Lines in the order of their sequence numbers.
#[derive(Debug, Default)]
pub struct Batch {
    /// Position among all batches, without gaps: workers may finish out of order, sinks put them back.
    pub index: u64,
    /// The lines, each with its newline.
    pub bytes: Vec<u8>,
    /// Where each line ends, and what it is.
    pub lines: Vec<Line>,
}

/// One line of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// End in [`Batch::bytes`], newline included.
    pub end: usize,
    /// Class of the event.
    pub kind: Kind,
    /// Its sequence number.
    pub sequence: u64,
    /// Kernel time of the event, boot clock, nanoseconds.
    pub time_ns: u64,
    /// The nonce of the agent's canary, if this is one.
    pub canary: Option<u64>,
}

impl Batch {
    /// The lines with their bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&Line, &[u8])> {
        let mut start = 0;
        self.lines.iter().map(move |line| {
            let bytes = &self.bytes[start..line.end];
            start = line.end;
            (line, bytes)
        })
    }
}
