//! What is missing from a sink: counts by class, and the line that says so in the sink itself.
//!
//! A [`Loss`] stands in the queue at the very place where the missing lines would have been, so the record that
//! it becomes sits between the last line before the gap and the first one after it.

use std::io::Write;
use std::sync::Arc;

use super::batch::Line;
use crate::event::Kind;
use crate::metrics::{Reason, SinkName};

/// Numbers of events by class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts([u64; Kind::COUNT]);

impl Default for Counts {
    fn default() -> Self {
        Counts([0; Kind::COUNT])
    }
}

impl Counts {
    /// Counts the lines.
    pub fn of(lines: &[Line]) -> Self {
        let mut counts = Counts::default();
        for line in lines {
            counts.0[line.kind.index()] += 1;
        }
        counts
    }

    /// Adds one event.
    pub fn inc(&mut self, kind: Kind) {
        self.0[kind.index()] += 1;
    }

    /// Adds all of `other`.
    pub fn add(&mut self, other: &Counts) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// Events of all classes.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The classes that occur.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, u64)> {
        Kind::ALL.iter().zip(self.0).filter(|(_, n)| *n > 0).map(|(kind, n)| (*kind, n))
    }
}

/// Events that a sink lost in one stretch, for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The sink that lost them; others may have them.
    pub sink: SinkName,
    /// Why.
    pub reason: Reason,
    /// How many of which class.
    pub counts: Counts,
    /// Sequence number of the first one.
    pub first_sequence: u64,
    /// Sequence number of the last one.
    pub last_sequence: u64,
    /// Kernel time of the earliest one, boot clock, nanoseconds.
    pub first_time_ns: u64,
    /// Kernel time of the latest one, boot clock, nanoseconds.
    pub last_time_ns: u64,
}

impl Loss {
    /// The loss of these lines; `None` if there are none.
    pub fn of(sink: SinkName, reason: Reason, lines: &[Line]) -> Option<Loss> {
        let sequences = lines.iter().map(|l| l.sequence);
        let times = lines.iter().map(|l| l.time_ns);
        Some(Loss {
            sink,
            reason,
            counts: Counts::of(lines),
            first_sequence: sequences.clone().min()?,
            last_sequence: sequences.max()?,
            first_time_ns: times.clone().min()?,
            last_time_ns: times.max()?,
        })
    }

    /// Takes in a loss that follows this one. False, and nothing changed, if its reason is another.
    pub fn merge(&mut self, next: &Loss) -> bool {
        if (self.sink, self.reason) != (next.sink, next.reason) {
            return false;
        }
        self.counts.add(&next.counts);
        self.first_sequence = self.first_sequence.min(next.first_sequence);
        self.last_sequence = self.last_sequence.max(next.last_sequence);
        self.first_time_ns = self.first_time_ns.min(next.first_time_ns);
        self.last_time_ns = self.last_time_ns.max(next.last_time_ns);
        true
    }
}

impl Loss {
    /// Adds a loss to others, to the last one if that is of its kind.
    pub(super) fn gather(losses: &mut Vec<Loss>, next: Option<Loss>) {
        let Some(next) = next else { return };
        if !losses.last_mut().is_some_and(|last| last.merge(&next)) {
            losses.push(next);
        }
    }
}

/// Writes the line that says what is missing, newline included. Who starts the sinks gives it, as it knows the
/// host and the wall clock. `repair::last_sequence` reads `sentineledge.loss.last_sequence` back from it.
pub type LossLine = dyn Fn(&Loss, &mut Vec<u8>) + Send + Sync;

/// A loss line without host and time, for tests and tools.
pub fn plain_loss_line() -> Arc<LossLine> {
    Arc::new(|loss, out| {
        out.extend_from_slice(
            br#"{"event":{"kind":"state","category":["host"],"type":["info"],"action":"events_lost"},"sentineledge":{"loss":{"events":{"#,
        );
        for (i, (kind, n)) in loss.counts.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            // Writing to a Vec cannot fail.
            let _ = write!(out, r#"{comma}"{kind}":{n}"#);
        }
        let _ = writeln!(
            out,
            r#"}},"total":{},"sink":"{}","reason":"{}","first_sequence":{},"last_sequence":{},"first_time_ns":{},"last_time_ns":{}}}}}}}"#,
            loss.counts.total(),
            loss.sink.name(),
            loss.reason.name(),
            loss.first_sequence,
            loss.last_sequence,
            loss.first_time_ns,
            loss.last_time_ns
        );
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(kind: Kind, sequence: u64) -> Line {
        Line { end: 0, kind, sequence, time_ns: sequence * 10, canary: None }
    }

    #[test]
    fn a_loss_names_classes_and_borders() {
        let lines = [line(Kind::Exec, 5), line(Kind::Fork, 6), line(Kind::Exec, 7)];
        let mut loss = Loss::of(SinkName::File, Reason::Unwritable, &lines).unwrap();
        let next = Loss::of(SinkName::File, Reason::Unwritable, &[line(Kind::Exit, 8)]).unwrap();
        assert!(loss.merge(&next));
        let other = Loss::of(SinkName::File, Reason::Shutdown, &[line(Kind::Exit, 9)]).unwrap();
        assert!(!loss.merge(&other));
        let mut out = Vec::new();
        plain_loss_line()(&loss, &mut out);
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let loss = &json["sentineledge"]["loss"];
        assert_eq!(loss["events"], serde_json::json!({"exec": 2, "fork": 1, "exit": 1}));
        assert_eq!(loss["total"], 4);
        assert_eq!(
            (&loss["first_sequence"], &loss["last_sequence"], &loss["last_time_ns"]),
            (&5.into(), &8.into(), &80.into())
        );
        assert_eq!(Loss::of(SinkName::File, Reason::Shutdown, &[]), None);
    }
}
