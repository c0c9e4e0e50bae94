//! Correlation rules: what several hits of plain rules, taken together, say about one group.
//!
//! The meta rules of Sigma's specification 2.1: `event_count`, `value_count`, `value_sum`, `value_avg`, `temporal`
//! and `temporal_ordered`. Pure state machines: no input or output, no clock; time is what the hits carry. In these
//! steps:
//!
//! 1. [`Definition`] says what is looked for. It is compiled from a rule by the caller and checked here.
//! 2. [`Correlator`] holds one [`State`] for each definition, shares one [`Budget`] of memory among them, and carries
//!    states over a reload of the rules as long as their [`fingerprint`] stays the same.
//! 3. [`State::hit`] first puts hits into the order of their time. Hits come a little out of order, since every CPU
//!    has its own buffer, so each waits for `tolerance_ns` of event time; within that, *any* order of arrival gives
//!    exactly the findings of the sorted one. The price is that a finding comes that much later.
//! 4. The group's window takes the hit in. Windows slide if more hits can only bring the condition nearer (`gt` and
//!    `gte`); they are looked at with each hit and reach back one timespan from it, both ends included. All other
//!    conditions (`lt`, `lte`, `eq`, `neq`, ranges) and every mean need a window that is over: it begins with a
//!    group's first hit, lasts one timespan, both ends included, and is judged when it is over.
//! 5. [`Fired`] is the outcome. After it, the group of a sliding window is quiet for one timespan from the hit that
//!    completed it; hits of that time still count for the window, and how many they were is said the next time.
//!
//! Time moves with the hits of the same definition, and with [`State::expire`], which the caller should call every
//! 100 ms or so with the newest event time it has seen; findings at the end of a burst wait for it.
//!
//! A hit that is later than the tolerance counts as if it had happened at the edge of what is still open, and is
//! counted in [`Counts::late`]. One that a full memory pushes out of the waiting room early makes its followers late
//! in that sense, no more.
//!
//! Limits, each with a count of what fell to it in [`Counts`]: groups per definition, bytes over all definitions,
//! [`MOST_VALUE_BYTES`] of a value and [`MOST_GROUP_BYTES`] of a group key (longer ones are kept as their beginning
//! and a SHA-256, so they stay distinct), [`MOST_EVENTS`] events and [`MOST_VALUES`] values in a finding,
//! [`MOST_COUNT`] in a condition that counts.
//!
//! Not done: `value_percentile` and `value_median`, which need all values of a window; windows without any hit (a
//! condition such as `lt: 5` is judged only for groups that had at least one hit); conditions of `temporal_ordered`
//! other than that all rules hit.

mod budget;
mod closing;
mod correlator;
mod definition;
mod kept;
mod lru;
mod number;
mod order;
mod sliding;
mod state;
#[cfg(test)]
mod tests;

pub use budget::{Budget, Counts};
pub use correlator::{Correlator, ReloadError, Reloaded, Settings};
pub use definition::{Condition, Definition, DefinitionError, Kind, MOST_COUNT, MOST_RULES, fingerprint};
pub use kept::{MOST_GROUP_BYTES, MOST_VALUE_BYTES};
pub use number::Number;
pub use state::{Options, State};

/// Events named in one finding; of more, the newest are named.
pub const MOST_EVENTS: usize = 32;

/// Values named in one finding.
pub const MOST_VALUES: usize = 32;

/// Which event: its sequence number, as the caller counts events. Ties of time are broken by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventRef(pub u64);

/// A base rule has hit.
#[derive(Debug, Clone, Copy)]
pub struct Hit<'a> {
    /// Which of the base rules, from 0. An event that several of them match is given once for each.
    pub rule: usize,
    /// When the event happened, nanoseconds on any clock, the same for all hits.
    pub time_ns: u64,
    /// The values of the group-by fields, encoded by the caller such that different values give different bytes.
    pub group: &'a [u8],
    /// The value of the condition's field: text for `value_count`, a decimal number for `value_sum` and `value_avg`.
    pub value: Option<&'a [u8]>,
    /// The event.
    pub event: EventRef,
}

/// A condition held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fired {
    /// The group's key, as given; see [`MOST_GROUP_BYTES`] for long ones.
    pub group: Box<[u8]>,
    /// Time of the first hit that contributes, nanoseconds.
    pub first_ns: u64,
    /// Time of the last hit that contributes, nanoseconds.
    pub last_ns: u64,
    /// What was counted: hits of `event_count`, `value_sum` and `value_avg`, distinct values of `value_count`, base
    /// rules of `temporal` and `temporal_ordered`. A sliding count stops at what its condition asks for, and a closed
    /// `value_count` at one more than the largest number of its condition.
    pub count: u64,
    /// The sum of `value_sum`, the mean of `value_avg`, rounded toward zero to a millionth.
    pub amount: Option<Number>,
    /// Distinct values of `value_count`, at most [`MOST_VALUES`]; a sliding window's are the most recent, the oldest
    /// of them first, a closed window's are the first.
    pub values: Vec<Box<[u8]>>,
    /// Events that contributed, at most [`MOST_EVENTS`], the newest of them, the oldest of these first. Of a value
    /// or a rule that hit several times, the last.
    pub events: Vec<EventRef>,
    /// Hits of the group while it was quiet after it had fired the last time, if no timespan without any hit of it
    /// has passed since. [`Counts::suppressed`] has all of them.
    pub suppressed: u64,
}
