//! Memory that judging an event needs, kept from one event to the next so that none is allocated.

use super::budget::Meters;
use super::fields::{Field, KNOWN};
use super::index::Number;
use super::memo::Memo;
use super::row::Row;

/// Bytes that are folded together.
const BLOCK: usize = 16;

/// Folded values of the event at hand, made when they are first asked for, and the rules that may match it.
#[derive(Debug)]
pub struct Scratch {
    bytes: Vec<u8>,
    /// Start and end of each folded value in `bytes`.
    ranges: Vec<(usize, usize)>,
    /// For each field of the table: the event it was folded for, and where its values are in `ranges`.
    fields: Box<[(u64, usize, usize); KNOWN]>,
    event: u64,
    /// What rules may cost.
    pub meters: Meters,
    /// Rules that may match, each once.
    pub candidates: Vec<u32>,
    /// Room for the search of candidates.
    pub(super) found: Vec<Number>,
    lowered: Vec<u8>,
    /// What values of earlier events told.
    pub(super) memo: Memo,
    /// For each rule the last event that it was a candidate of.
    rules: Vec<u64>,
    /// For each group of witnesses the last event that it was seen in.
    groups: Vec<u64>,
    /// For each part that is asked once the last event that it was asked of, and in the lowest bit its verdict.
    parts: Vec<u64>,
}

impl Default for Scratch {
    fn default() -> Self {
        Scratch {
            bytes: Vec::new(),
            ranges: Vec::new(),
            fields: Box::new([(0, 0, 0); KNOWN]),
            event: 0,
            meters: Meters::default(),
            candidates: Vec::new(),
            found: Vec::new(),
            lowered: Vec::new(),
            memo: Memo::default(),
            rules: Vec::new(),
            groups: Vec::new(),
            parts: Vec::new(),
        }
    }
}

impl Scratch {
    /// Forgets what is known of the last event.
    pub fn forget(&mut self) {
        self.event += 1;
        self.bytes.clear();
        self.ranges.clear();
    }

    /// Forgets the last event. So many rules may become candidates, ask for so many groups, and have so many parts that
    /// are asked once.
    pub(super) fn begin(&mut self, rules: usize, groups: usize, parts: usize) {
        self.forget();
        self.candidates.clear();
        self.meters.begin();
        if self.rules.len() < rules {
            self.rules.resize(rules, 0);
        }
        if self.groups.len() < groups {
            self.groups.resize(groups, 0);
        }
        if self.parts.len() < parts {
            self.parts.resize(parts, 0);
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

    /// The verdict of a part, if it was asked of the event.
    pub(super) fn remembered(&self, part: u32) -> Option<bool> {
        let last = self.parts.get(part as usize)?;
        (last >> 1 == self.event).then_some(last & 1 == 1)
    }

    /// Keeps the verdict of a part.
    pub(super) fn remember(&mut self, part: u32, verdict: bool) {
        if let Some(last) = self.parts.get_mut(part as usize) {
            *last = self.event << 1 | u64::from(verdict);
        }
    }

    /// A group has a witness in the event.
    pub(super) fn see(&mut self, group: Number) {
        if let Some(event) = self.groups.get_mut(group as usize) {
            *event = self.event;
        }
    }

    /// The group has a witness in the event.
    pub(super) fn was_seen(&self, group: Number) -> bool {
        self.groups.get(group as usize) == Some(&self.event)
    }

    /// The values of a field with ASCII letters in lower case.
    #[inline]
    pub fn folded(&mut self, row: &Row<'_>, field: Field) -> impl Iterator<Item = &[u8]> {
        let (from, to) = match self.fields.get(field.index()) {
            Some(&(event, from, to)) if event == self.event => (from, to),
            // Many fields are absent from an event.
            _ if row.get(field).is_empty() => (0, 0),
            _ => self.fold(row, field),
        };
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

    /// Folds the values of a field; where in `ranges` they are then.
    #[inline(never)]
    fn fold(&mut self, row: &Row<'_>, field: Field) -> (usize, usize) {
        let from = self.ranges.len();
        for value in row.get(field).values() {
            let start = self.bytes.len();
            // Padded to whole blocks, of which the compiler makes vector instructions.
            self.bytes.extend_from_slice(value);
            self.bytes.resize(start + value.len().next_multiple_of(BLOCK), 0);
            let (blocks, _) = self.bytes.get_mut(start..).unwrap_or_default().as_chunks_mut::<BLOCK>();
            blocks.iter_mut().for_each(|block| *block = block.map(|byte| byte.to_ascii_lowercase()));
            self.ranges.push((start, start + value.len()));
        }
        let to = self.ranges.len();
        // Fields outside of the table are folded anew each time; hardly any rule has one.
        if let Some(known) = self.fields.get_mut(field.index()) {
            *known = (self.event, from, to);
        }
        (from, to)
    }
}
