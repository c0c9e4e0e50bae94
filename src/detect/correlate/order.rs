//! The waiting room: hits come out in the order of their time.
//!
//! Equal times go by the event's number. Of one event that several base rules match, the hit of the last rule goes
//! first, so that in an order of rules no event follows itself.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::EventRef;
use super::lru::ALLOCATION_BYTES;
use super::number::Number;

/// Hits that wait in one state at most.
const MOST_WAITING: usize = 16_384;

/// What a condition is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    None,
    Text(Box<[u8]>),
    Number(Number),
}

/// A hit with what it points to. Fields are in the order in which they decide.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Waiting {
    pub(super) time_ns: u64,
    pub(super) event: EventRef,
    pub(super) rule: Reverse<usize>,
    pub(super) group: Box<[u8]>,
    pub(super) value: Value,
}

impl Waiting {
    fn heap_bytes(&self) -> usize {
        let value = match &self.value {
            Value::Text(text) => text.len() + ALLOCATION_BYTES,
            Value::None | Value::Number(_) => 0,
        };
        self.group.len() + ALLOCATION_BYTES + value
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Room {
    waiting: BinaryHeap<Reverse<Waiting>>,
    pointed_bytes: usize,
}

impl Room {
    pub(super) fn push(&mut self, hit: Waiting) {
        self.pointed_bytes += hit.heap_bytes();
        self.waiting.push(Reverse(hit));
    }

    /// The earliest, if it is before `mark_ns`.
    pub(super) fn pop_before(&mut self, mark_ns: u64) -> Option<Waiting> {
        self.waiting.peek().filter(|hit| hit.0.time_ns < mark_ns)?;
        self.pop()
    }

    /// The earliest.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let hit = self.waiting.pop()?.0;
        self.pointed_bytes -= hit.heap_bytes();
        if self.waiting.capacity() > 4 * self.waiting.len() + 64 {
            self.waiting.shrink_to(2 * self.waiting.len());
        }
        Some(hit)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn is_overfull(&self) -> bool {
        self.waiting.len() > MOST_WAITING
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.waiting.capacity() * size_of::<Reverse<Waiting>>() + self.pointed_bytes
    }
}
