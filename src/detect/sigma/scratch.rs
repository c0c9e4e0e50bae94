//! Memory that judging an event needs, kept from one event to the next so that none is allocated.

use super::fields::{Field, KNOWN};
use super::index::Number;
use super::row::Row;

/// Folded values of the event at hand, made when they are first asked for, and the rules that may match it.
#[derive(Debug)]
pub struct Scratch {
    bytes: Vec<u8>,
    /// Start and end of each folded value in `bytes`.
    ranges: Vec<(usize, usize)>,
    /// For each field of the table: the event it was folded for, and where its values are in `ranges`.
    fields: Box<[(u64, usize, usize); KNOWN]>,
    event: u64,
    /// Rules that may match, each once.
    pub candidates: Vec<u32>,
    /// Room for the search of candidates.
    pub(super) found: Vec<Number>,
    lowered: Vec<u8>,
    /// For each rule the last event that it was a candidate of.
    rules: Vec<u64>,
    /// For each group of witnesses the last event that it was seen in.
    groups: Vec<u64>,
}

impl Default for Scratch {
    fn default() -> Self {
        Scratch {
            bytes: Vec::new(),
            ranges: Vec::new(),
            fields: Box::new([(0, 0, 0); KNOWN]),
            event: 0,
            candidates: Vec::new(),
            found: Vec::new(),
            lowered: Vec::new(),
            rules: Vec::new(),
            groups: Vec::new(),
        }
    }
}

impl Scratch {
    /// Forgets the last event. So many rules may become candidates, and ask for so many groups.
    pub fn begin(&mut self, rules: usize, groups: usize) {
        self.event += 1;
        self.bytes.clear();
        self.ranges.clear();
        self.candidates.clear();
        if self.rules.len() < rules {
            self.rules.resize(rules, 0);
        }
        if self.groups.len() < groups {
            self.groups.resize(groups, 0);
        }
    }

    /// Makes a rule a candidate.
    pub fn add(&mut self, rule: u32) {
        if let Some(seen) = self.rules.get_mut(rule as usize)
            && *seen != self.event
        {
            *seen = self.event;
            self.candidates.push(rule);
        }
    }

    /// A group has a witness in the event. True if that was not known before.
    pub(super) fn see(&mut self, group: Number) -> bool {
        let Some(event) = self.groups.get_mut(group as usize) else { return false };
        let is_first = *event != self.event;
        *event = self.event;
        is_first
    }

    /// The group has a witness in the event.
    pub(super) fn was_seen(&self, group: Number) -> bool {
        self.groups.get(group as usize) == Some(&self.event)
    }

    /// The values of a field with ASCII letters in lower case.
    pub fn folded(&mut self, row: &Row<'_>, field: Field) -> impl Iterator<Item = &[u8]> {
        let (from, to) = self.fold(row, field);
        let bytes = &self.bytes;
        self.ranges.get(from..to).unwrap_or_default().iter().filter_map(|&(start, end)| bytes.get(start..end))
    }

    /// A value with ASCII letters in lower case, until the next call.
    pub(super) fn lower(&mut self, value: &[u8]) -> &[u8] {
        self.lowered.clear();
        self.lowered.extend_from_slice(value);
        self.lowered.make_ascii_lowercase();
        &self.lowered
    }

    /// Where in `ranges` the folded values of the field are.
    fn fold(&mut self, row: &Row<'_>, field: Field) -> (usize, usize) {
        if let Some(&(event, from, to)) = self.fields.get(field.index())
            && event == self.event
        {
            return (from, to);
        }
        let from = self.ranges.len();
        for value in row.get(field).values() {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(value);
            if let Some(copy) = self.bytes.get_mut(start..) {
                copy.make_ascii_lowercase();
            }
            self.ranges.push((start, self.bytes.len()));
        }
        let to = self.ranges.len();
        // Fields outside of the table are folded anew each time; hardly any rule has one.
        if let Some(known) = self.fields.get_mut(field.index()) {
            *known = (self.event, from, to);
        }
        (from, to)
    }
}
