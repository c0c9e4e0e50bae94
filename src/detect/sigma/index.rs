//! The way from an event to the rules that may match it.
//!
//! Witnesses are looked up by field: last components of paths and whole values by their hash, first bytes in a table, and
//! literals within a value by one scan (see [`scanner`](super::scanner)). Each stands for a group of a clause (see
//! [`witness`](super::witness)); a rule becomes a candidate when of one of its clauses every group was seen. What is found
//! are candidates, possibly too many, never too few. What a value told is remembered (see [`memo`](super::memo)).

mod column;
mod hashed;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use self::column::{Collected, Column};
pub use self::hashed::hash;
use super::fields::Field;
use super::row::{Fields, Row};
use super::scanner::Scanner;
use super::scratch::Scratch;
use super::witness::{Clause, GROUPS_MAX, Group};

/// The number of the next index.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Groups by a text.
pub(super) type ByText<'a> = BTreeMap<&'a [u8], Vec<Number>>;

/// The number of a group of witnesses. Clauses that ask for the same witnesses share a group.
pub(super) type Number = u32;

/// A clause whose first group was seen: its rule, and the groups that must be seen beside it; where there are fewer, the
/// first one again.
#[derive(Debug, Clone, Copy)]
struct Rest {
    rule: u32,
    others: [Number; GROUPS_MAX - 1],
}

/// Rules of a category by their witnesses.
#[derive(Debug, Default)]
pub struct Index {
    /// Tells it from every other index of the process.
    number: u64,
    columns: Vec<Column>,
    /// What may be in any field, and for the fields that are not scanned for it yet.
    anywhere: Option<Scanner>,
    is_scanned: Fields,
    /// For each group where the clauses that begin with it are in `rests`.
    groups: Box<[(u32, u32)]>,
    rests: Box<[Rest]>,
    /// For each group the fields of its witnesses.
    fields: Box<[Box<[Option<Field>]>]>,
    /// Rules without a witness.
    open: Vec<u32>,
}

/// For each clause of a category the groups that are about known fields alone. Unless all of one clause were seen, no rule
/// can match, whatever the other fields have.
#[derive(Debug)]
pub struct Required(Box<[Box<[Number]>]>);

impl Required {
    /// Whether a rule may match after [`Index::candidates`] of what is known.
    pub fn may_match(&self, scratch: &Scratch) -> bool {
        self.0.iter().any(|groups| groups.iter().all(|group| scratch.was_seen(*group)))
    }
}

impl Index {
    /// Builds the index of rules with the clauses of each. The first groups are these: whoever asks knows their numbers.
    pub fn new(rules: &[(u32, Option<Vec<Clause>>)], asked: &[Group]) -> Index {
        let mut index = Index { number: NEXT.fetch_add(1, Ordering::Relaxed), ..Index::default() };
        let mut collected: BTreeMap<Option<Field>, Collected<'_>> = BTreeMap::new();
        let mut numbers: BTreeMap<&Group, Number> = asked.iter().zip(0..).collect();
        let mut groups: Vec<Vec<Rest>> = vec![Vec::new(); numbers.len()];
        for (rule, clauses) in rules {
            let Some(clauses) = clauses else {
                index.open.push(*rule);
                continue;
            };
            for clause in clauses {
                let numbered = clause.iter().map(|group| {
                    *numbers.entry(group).or_insert_with(|| {
                        groups.push(Vec::new());
                        position(groups.len() - 1)
                    })
                });
                let numbered: Vec<Number> = numbered.collect();
                // The first one is the one that is seen least.
                if let Some((first, rest)) = numbered.split_first()
                    && let Some(of) = groups.get_mut(*first as usize)
                {
                    let mut others = [*first; GROUPS_MAX - 1];
                    others.iter_mut().zip(rest).for_each(|(to, group)| *to = *group);
                    of.push(Rest { rule: *rule, others });
                }
            }
        }
        let mut fields = vec![Box::default(); numbers.len()];
        for (group, number) in numbers {
            if let Some(of) = fields.get_mut(number as usize) {
                *of = group.iter().map(|witness| witness.field).collect();
            }
            for witness in group {
                collected.entry(witness.field).or_default().add(witness, number);
            }
        }
        let mut rests = Vec::new();
        let ranges = groups.into_iter().map(|of| {
            let from = position(rests.len());
            rests.extend(of);
            (from, position(rests.len()))
        });
        index.groups = ranges.collect();
        index.fields = fields.into();
        index.rests = rests.into();
        // Fields that are scanned anyway are scanned for it at once.
        let anywhere = collected.remove(&None).unwrap_or_default();
        for (field, mut of) in collected {
            let Some(field) = field else { continue };
            if of.is_scanned() {
                of.scan_for(&anywhere);
                index.is_scanned.add(field);
            }
            index.columns.push(Column::new(field, &of));
        }
        index.anywhere = anywhere.scanner();
        index
    }

    /// Number of rules that are evaluated for every event.
    pub fn open_rules(&self) -> usize {
        self.open.len()
    }

    /// Makes the rules that may match candidates.
    pub fn candidates(&self, row: &Row<'_>, scratch: &mut Scratch) {
        let mut found = std::mem::take(&mut scratch.found);
        let mut memo = std::mem::take(&mut scratch.memo);
        let columns = self.columns.iter().zip(memo.of(self.number, self.columns.len()));
        for (column, known) in columns {
            let slot = row.get(column.field);
            if slot.is_empty() {
                continue;
            }
            for (at, value) in slot.values().enumerate() {
                if let Some(groups) = known.get(value) {
                    found.extend_from_slice(groups);
                    continue;
                }
                let from = found.len();
                if let Some(folded) = scratch.folded(row, column.field).nth(at) {
                    column.look(folded, &mut found);
                }
                known.keep(value, found.get(from..).unwrap_or_default());
            }
        }
        scratch.memo = memo;
        if let Some(scanner) = &self.anywhere {
            for value in row.values_but(&self.is_scanned) {
                scanner.scan(scratch.lower(value), &mut found);
            }
        }
        // All must be known that was seen before it is asked what stands beside it.
        found.iter().for_each(|group| scratch.see(*group));
        for group in &found {
            let (from, to) = self.groups.get(*group as usize).copied().unwrap_or_default();
            // No clause begins with most groups.
            if from == to {
                continue;
            }
            for rest in self.rests.get(from as usize..to as usize).unwrap_or_default() {
                if rest.others.iter().all(|group| scratch.was_seen(*group)) {
                    scratch.add(rest.rule);
                }
            }
        }
        self.open.iter().for_each(|rule| scratch.add(*rule));
        found.clear();
        scratch.found = found;
    }

    /// What must be seen in these fields for any rule to match; none if there is a rule that may match without.
    pub fn required(&self, is_known: impl Fn(Field) -> bool) -> Option<Required> {
        let is_decided = |group: &Number| {
            let fields = self.fields.get(*group as usize)?;
            fields.iter().all(|field| field.is_some_and(&is_known)).then_some(*group)
        };
        let mut clauses = Vec::new();
        for (first, range) in (0..).zip(&self.groups) {
            for rest in self.rests.get(range.0 as usize..range.1 as usize).unwrap_or_default() {
                let groups: Box<[Number]> = std::iter::once(first)
                    .chain(rest.others)
                    .filter_map(|group| is_decided(&group))
                    .collect();
                if groups.is_empty() {
                    return None;
                }
                clauses.push(groups);
            }
        }
        self.open.is_empty().then(|| Required(clauses.into()))
    }

    /// How many groups of witnesses there are.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }
}

/// Positions are kept in 32 bits; a set of rules that needs more does not fit into memory either.
pub(super) fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
