//! Windows that slide: the condition is looked at with each hit, over the timespan that ends with it.
//!
//! Hits come in the order of their time. What is kept is no more than what can matter to a later hit:
//!
//! - a count of N keeps the last N hits,
//! - distinct values keep the last time of each of the N most recent ones; an older one leaves before these anyway,
//! - base rules keep the last hit of each,
//! - an order of rules keeps, for each beginning of it, the hits of the one that began latest: whatever an earlier
//!   one can become, that one can too, and for longer,
//! - a sum keeps its parts. Of more than [`MOST_PARTS`] neighbours are joined and leave together, when the later of
//!   the two leaves; nothing is lost, but a part may count for a little longer than the timespan.

use std::collections::VecDeque;

use super::definition::{Definition, Kind};
use super::lru::{ALLOCATION_BYTES, Lru};
use super::number::Number;
use super::order::Value;
use super::{EventRef, MOST_EVENTS, MOST_VALUES};

/// Parts of one sum.
const MOST_PARTS: usize = 1024;

/// When, and which event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    pub(super) time_ns: u64,
    pub(super) event: EventRef,
}

/// Part of a sum: one hit, or several that were joined.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    first_ns: u64,
    last: Stamp,
    amount: Number,
    hits: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) enum Window {
    Hits(VecDeque<Stamp>),
    Values(Box<Lru<Stamp>>),
    Rules(Box<[Option<Stamp>]>),
    /// Hits of the first rule, of the first two, and so on; empty if there are none.
    Order(Box<[Vec<Stamp>]>),
    Sum {
        parts: VecDeque<Part>,
        total: Number,
    },
}

/// What a finding says of the window.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    pub(super) first_ns: u64,
    pub(super) last_ns: u64,
    pub(super) count: u64,
    pub(super) amount: Option<Number>,
    pub(super) values: Vec<Box<[u8]>>,
    pub(super) events: Vec<EventRef>,
}

impl Window {
    pub(super) fn new(definition: &Definition) -> Self {
        match definition.kind {
            Kind::EventCount => Window::Hits(VecDeque::new()),
            Kind::ValueCount => Window::Values(Box::new(Lru::new())),
            Kind::Temporal => Window::Rules(vec![None; definition.rules].into()),
            Kind::TemporalOrdered => Window::Order(vec![Vec::new(); definition.rules].into()),
            Kind::ValueSum | Kind::ValueAvg => {
                Window::Sum { parts: VecDeque::new(), total: Number::default() }
            }
        }
    }

    /// Takes a hit in; whether the condition holds then. `coarsened` is raised if parts of a sum were joined.
    pub(super) fn hit(
        &mut self,
        definition: &Definition,
        rule: usize,
        stamp: Stamp,
        value: &Value,
        coarsened: &mut u64,
    ) -> bool {
        let since_ns = stamp.time_ns.saturating_sub(definition.timespan_ns);
        let least = usize::try_from(definition.condition.least()).unwrap_or(usize::MAX);
        match self {
            Window::Hits(stamps) => {
                stamps.push_back(stamp);
                while stamps.len() > least || stamps.front().is_some_and(|first| first.time_ns < since_ns) {
                    stamps.pop_front();
                }
                stamps.len() >= least
            }
            Window::Values(seen) => {
                let Value::Text(text) = value else { return false };
                match seen.touch(text) {
                    Some(last) => *last = stamp,
                    None => seen.insert(text, stamp),
                }
                while seen.len() > least || seen.oldest().is_some_and(|(_, last)| last.time_ns < since_ns) {
                    seen.pop_oldest();
                }
                seen.len() >= least
            }
            Window::Rules(seen) => {
                if let Some(last) = seen.get_mut(rule) {
                    *last = Some(stamp);
                }
                let live = seen.iter().flatten().filter(|last| last.time_ns >= since_ns).count();
                live >= needed_rules(definition)
            }
            Window::Order(beginnings) => follow(beginnings, rule, stamp, since_ns),
            Window::Sum { parts, total } => {
                let Value::Number(amount) = *value else { return false };
                while let Some(part) = parts.front().filter(|part| part.last.time_ns < since_ns) {
                    *total = total.minus(part.amount);
                    parts.pop_front();
                }
                if parts.len() >= MOST_PARTS {
                    coarsen(parts);
                    *coarsened += 1;
                }
                parts.push_back(Part { first_ns: stamp.time_ns, last: stamp, amount, hits: 1 });
                *total = total.plus(amount);
                definition.condition.holds(*total, 1)
            }
        }
    }

    /// What there is in the window that ends at `last_ns`, for a finding.
    pub(super) fn evidence(&self, definition: &Definition, last_ns: u64) -> Evidence {
        let since_ns = last_ns.saturating_sub(definition.timespan_ns);
        match self {
            Window::Hits(stamps) => of_stamps(stamps.len(), stamps.iter().copied()),
            Window::Values(seen) => {
                let newest = seen.iter().rev().take(MOST_VALUES);
                let mut values: Vec<Box<[u8]>> = newest.map(|(text, _)| text.into()).collect();
                values.reverse();
                Evidence { values, ..of_stamps(seen.len(), seen.iter().map(|(_, last)| *last)) }
            }
            Window::Rules(seen) => {
                let live = seen.iter().flatten().filter(|last| last.time_ns >= since_ns);
                let mut live: Vec<Stamp> = live.copied().collect();
                live.sort_unstable();
                of_stamps(live.len(), live.iter().copied())
            }
            Window::Order(beginnings) => {
                let whole = beginnings.last().map_or(&[][..], Vec::as_slice);
                of_stamps(whole.len(), whole.iter().copied())
            }
            Window::Sum { parts, total } => {
                let first_ns = parts.front().map_or(0, |part| part.first_ns);
                let count = parts.iter().map(|part| part.hits).sum();
                let newest = of_stamps(parts.len(), parts.iter().map(|part| part.last));
                Evidence { first_ns, count, amount: Some(*total), ..newest }
            }
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Window::Hits(stamps) => stamps.capacity() * size_of::<Stamp>() + ALLOCATION_BYTES,
            Window::Values(seen) => size_of::<Lru<Stamp>>() + seen.heap_bytes() + ALLOCATION_BYTES,
            Window::Rules(seen) => size_of_val(&**seen) + ALLOCATION_BYTES,
            Window::Order(beginnings) => {
                let of_one = |stamps: &Vec<Stamp>| stamps.capacity() * size_of::<Stamp>() + ALLOCATION_BYTES;
                size_of_val(&**beginnings) + beginnings.iter().map(of_one).sum::<usize>() + ALLOCATION_BYTES
            }
            Window::Sum { parts, .. } => parts.capacity() * size_of::<Part>() + ALLOCATION_BYTES,
        }
    }
}

/// How many base rules must hit.
fn needed_rules(definition: &Definition) -> usize {
    if definition.condition == super::Condition::default() {
        return definition.rules;
    }
    usize::try_from(definition.condition.least()).unwrap_or(usize::MAX)
}

/// Lengthens the beginning that lacks this rule next; whether that made it whole.
fn follow(beginnings: &mut [Vec<Stamp>], rule: usize, stamp: Stamp, since_ns: u64) -> bool {
    let whole = rule + 1 == beginnings.len();
    let Some((before, from)) = beginnings.split_at_mut_checked(rule) else { return false };
    let Some(target) = from.first_mut() else { return false };
    let shorter = match before.last() {
        None => &[][..],
        Some(shorter) if shorter.first().is_some_and(|first| first.time_ns >= since_ns) => shorter.as_slice(),
        Some(_) => return false,
    };
    target.clear();
    target.extend_from_slice(shorter);
    target.push(stamp);
    whole
}

/// Joins neighbours two by two. The later one's time stands for both.
fn coarsen(parts: &mut VecDeque<Part>) {
    let mut joined = VecDeque::with_capacity(MOST_PARTS);
    let mut rest = parts.iter();
    while let Some(&first) = rest.next() {
        joined.push_back(match rest.next() {
            None => first,
            Some(second) => Part {
                first_ns: first.first_ns,
                last: second.last,
                amount: first.amount.plus(second.amount),
                hits: first.hits + second.hits,
            },
        });
    }
    *parts = joined;
}

/// Of so many hits in the order of their time.
fn of_stamps(count: usize, mut stamps: impl DoubleEndedIterator<Item = Stamp>) -> Evidence {
    let first = stamps.next();
    let mut newest: Vec<Stamp> = Vec::new();
    for stamp in stamps.rev().chain(first) {
        if newest.len() >= MOST_EVENTS {
            break;
        }
        // An event that several rules matched is named once.
        if newest.last().is_none_or(|later| later.event != stamp.event) {
            newest.push(stamp);
        }
    }
    newest.reverse();
    Evidence {
        first_ns: first.map_or(0, |first| first.time_ns),
        last_ns: newest.last().map_or(0, |last| last.time_ns),
        count: count as u64,
        events: newest.iter().map(|stamp| stamp.event).collect(),
        ..Evidence::default()
    }
}
