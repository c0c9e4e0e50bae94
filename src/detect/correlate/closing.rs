//! Windows that are judged when they are over: they begin with a group's first hit and last one timespan.
//!
//! A count and a sum are kept as such; of values and base rules, which ones there were. More distinct values than the
//! condition can tell apart are not kept.

use std::collections::VecDeque;

use super::definition::{Condition, Definition, Kind};
use super::lru::{ALLOCATION_BYTES, Lru};
use super::number::Number;
use super::order::Value;
use super::sliding::{Evidence, Stamp};
use super::{EventRef, MOST_EVENTS, MOST_VALUES};

/// What the condition is about.
#[derive(Debug)]
enum Tally {
    Hits,
    Values(Box<Lru<()>>),
    Rules(Box<[bool]>),
    Sum(Number),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Term {
    pub(super) first_ns: u64,
    last_ns: u64,
    hits: u64,
    events: VecDeque<EventRef>,
    tally: Tally,
}

impl Term {
    /// Begins with a hit at `first_ns`, which is still to be taken in.
    pub(super) fn new(definition: &Definition, first_ns: u64) -> Self {
        let tally = match definition.kind {
            Kind::EventCount | Kind::TemporalOrdered => Tally::Hits,
            Kind::ValueCount => Tally::Values(Box::new(Lru::new())),
            Kind::Temporal => Tally::Rules(vec![false; definition.rules].into()),
            Kind::ValueSum | Kind::ValueAvg => Tally::Sum(Number::default()),
        };
        Term { first_ns, last_ns: first_ns, hits: 0, events: VecDeque::new(), tally }
    }

    /// No hit at `time_ns` or later belongs to it.
    pub(super) fn is_over(&self, definition: &Definition, time_ns: u64) -> bool {
        self.first_ns.saturating_add(definition.timespan_ns) < time_ns
    }

    pub(super) fn hit(&mut self, definition: &Definition, rule: usize, stamp: Stamp, value: &Value) {
        self.hits += 1;
        self.last_ns = stamp.time_ns;
        if self.events.back() != Some(&stamp.event) {
            if self.events.len() >= MOST_EVENTS {
                self.events.pop_front();
            }
            self.events.push_back(stamp.event);
        }
        match (&mut self.tally, value) {
            (Tally::Values(seen), Value::Text(text)) => {
                let kept = (seen.len() as u64) < definition.condition.saturation();
                if kept && seen.get_mut(text).is_none() {
                    seen.insert(text, ());
                }
            }
            (Tally::Rules(seen), _) => {
                if let Some(seen) = seen.get_mut(rule) {
                    *seen = true;
                }
            }
            (Tally::Sum(total), Value::Number(amount)) => *total = total.plus(*amount),
            _ => {}
        }
    }

    /// What it came to, if the condition holds of it.
    pub(super) fn judge(self, definition: &Definition) -> Option<Evidence> {
        let condition = &definition.condition;
        let counted = |count: usize| (Number::from(count as u64), 1);
        let (total, parts) = match &self.tally {
            Tally::Hits => (Number::from(self.hits), 1),
            Tally::Values(seen) => counted(seen.len()),
            Tally::Rules(seen) => counted(seen.iter().filter(|&&seen| seen).count()),
            Tally::Sum(total) if definition.kind == Kind::ValueAvg => (*total, self.hits),
            Tally::Sum(total) => (*total, 1),
        };
        if *condition == Condition::default() || !condition.holds(total, parts) {
            return None;
        }
        let (count, amount) = match &self.tally {
            Tally::Sum(_) => (self.hits, Some(total.over(parts))),
            _ => (total.floor(), None),
        };
        let values = match &self.tally {
            Tally::Values(seen) => seen.iter().take(MOST_VALUES).map(|(text, ())| text.into()).collect(),
            _ => Vec::new(),
        };
        let events = self.events.into();
        Some(Evidence { first_ns: self.first_ns, last_ns: self.last_ns, count, amount, values, events })
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let tally = match &self.tally {
            Tally::Hits | Tally::Sum(_) => 0,
            Tally::Values(seen) => size_of::<Lru<()>>() + seen.heap_bytes() + ALLOCATION_BYTES,
            Tally::Rules(seen) => size_of_val(&**seen) + ALLOCATION_BYTES,
        };
        self.events.capacity() * size_of::<EventRef>() + ALLOCATION_BYTES + tally
    }
}
