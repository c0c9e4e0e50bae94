//! The way from an event to the rules that may match it.
//!
//! Witnesses are looked up by field: last components of paths and whole values by their hash, first bytes in a table, and
//! literals within a value by one scan (see [`scanner`](super::scanner)). Each stands for a group of a clause (see
//! [`witness`](super::witness)); a rule becomes a candidate when of one of its clauses every group was seen. What is found
//! are candidates, possibly too many, never too few.

use std::collections::BTreeMap;

use super::fields::Field;
use super::row::{Fields, Row};
use super::scanner::Scanner;
use super::scratch::Scratch;
use super::witness::{Clause, GROUPS_MAX, Group, Kind};

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
    hashed: Vec<(Field, Kind, Hashed)>,
    ends: Vec<(Field, Kind, Box<Ends>)>,
    scanned: Vec<(Field, Scanner)>,
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

/// What is looked for within the values of a field.
#[derive(Default)]
struct Scanned<'a> {
    literals: ByText<'a>,
    words: ByText<'a>,
}

fn add<'a>(texts: &mut ByText<'a>, others: &ByText<'a>) {
    for (text, seen) in others {
        texts.entry(text).or_default().extend_from_slice(seen);
    }
}

/// Groups by the first or last byte of a value.
type Ends = [Vec<Number>; 256];

impl Index {
    /// Builds the index of rules with the clauses of each.
    pub fn new(rules: &[(u32, Option<Vec<Clause>>)]) -> Index {
        let mut index = Index::default();
        let mut hashed: BTreeMap<(Field, Kind), ByText<'_>> = BTreeMap::new();
        let mut ends: BTreeMap<(Field, Kind), Box<Ends>> = BTreeMap::new();
        let mut scanned: BTreeMap<Option<Field>, Scanned<'_>> = BTreeMap::new();
        let mut numbers: BTreeMap<&Group, Number> = BTreeMap::new();
        let mut groups: Vec<Vec<Rest>> = Vec::new();
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
                let bytes = &*witness.bytes;
                match (witness.field, witness.kind) {
                    (Some(field), kind @ (Kind::BaseName | Kind::Whole)) => {
                        hashed.entry((field, kind)).or_default().entry(bytes).or_default().push(number);
                    }
                    (Some(field), kind @ (Kind::First | Kind::Last)) => {
                        let of = ends
                            .entry((field, kind))
                            .or_insert_with(|| Box::new([const { Vec::new() }; 256]));
                        let byte = bytes.first().copied().unwrap_or_default();
                        if let Some(of) = of.get_mut(usize::from(byte)) {
                            of.push(number);
                        }
                    }
                    (field, kind) => {
                        let of = scanned.entry(field).or_default();
                        let of = if kind == Kind::Word { &mut of.words } else { &mut of.literals };
                        of.entry(bytes).or_default().push(number);
                    }
                }
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
        index.ends = ends.into_iter().map(|((field, kind), of)| (field, kind, of)).collect();
        index.hashed =
            hashed.into_iter().map(|((field, kind), texts)| (field, kind, Hashed::new(&texts))).collect();
        // Fields that are scanned anyway are scanned for it at once.
        let anywhere = scanned.remove(&None).unwrap_or_default();
        for (field, mut of) in scanned {
            add(&mut of.literals, &anywhere.literals);
            add(&mut of.words, &anywhere.words);
            if let Some(field) = field {
                index.is_scanned.add(field);
                index.scanned.push((field, Scanner::new(&of.literals, &of.words)));
            }
        }
        if !anywhere.literals.is_empty() || !anywhere.words.is_empty() {
            index.anywhere = Some(Scanner::new(&anywhere.literals, &anywhere.words));
        }
        index
    }

    /// Number of rules that are evaluated for every event.
    pub fn open_rules(&self) -> usize {
        self.open.len()
    }

    /// Makes the rules that may match candidates.
    pub fn candidates(&self, row: &Row<'_>, scratch: &mut Scratch) {
        let mut found = std::mem::take(&mut scratch.found);
        for (field, kind, texts) in &self.hashed {
            for value in scratch.folded(row, *field) {
                let value = match kind {
                    Kind::BaseName => value.rsplit(|&b| b == b'/').next().unwrap_or(value),
                    _ => value,
                };
                found.extend_from_slice(texts.get(value));
            }
        }
        for (field, kind, ends) in &self.ends {
            for value in scratch.folded(row, *field) {
                let byte = if *kind == Kind::First { value.first() } else { value.last() };
                let seen = byte.and_then(|byte| ends.get(usize::from(*byte)));
                seen.into_iter().for_each(|seen| found.extend_from_slice(seen));
            }
        }
        for (field, scanner) in &self.scanned {
            for value in scratch.folded(row, *field) {
                scanner.scan(value, &mut found);
            }
        }
        if let Some(scanner) = &self.anywhere {
            for value in row.values_but(&self.is_scanned) {
                scanner.scan(scratch.lower(value), &mut found);
            }
        }
        // Once all is known that was seen, each group counts once.
        found.retain(|group| scratch.see(*group));
        for group in &found {
            let range = self.groups.get(*group as usize).copied().unwrap_or_default();
            for rest in self.rests.get(range.0 as usize..range.1 as usize).unwrap_or_default() {
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

/// Spreads the bytes of a text over 64 bits, sixteen at a time by one wide multiplication, as wyhash does. Rules are
/// static, so nobody can choose texts that collide to effect.
pub fn hash(bytes: &[u8]) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        #[expect(clippy::cast_possible_truncation, reason = "both halves are wanted")]
        let folded = (product as u64) ^ ((product >> 64) as u64);
        folded
    };
    let halves = |bytes: &[u8; 16]| {
        let both = u128::from_le_bytes(*bytes);
        #[expect(clippy::cast_possible_truncation, reason = "both halves are wanted")]
        let halves = (both as u64, (both >> 64) as u64);
        halves
    };
    let mut state = K ^ bytes.len() as u64;
    let (chunks, rest) = bytes.as_chunks::<16>();
    for chunk in chunks {
        let (low, high) = halves(chunk);
        state = mix(state ^ low, K ^ high);
    }
    let mut last = [0; 16];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    let (low, high) = halves(&last);
    mix(mix(state ^ low, K ^ high), K)
}

/// Groups by the hash of a text.
#[derive(Debug)]
struct Hashed {
    /// Hash, and where its groups are; a power of two, less than half full.
    slots: Box<[(u64, u32, u32)]>,
    groups: Box<[Number]>,
}

impl Hashed {
    fn new(texts: &ByText<'_>) -> Self {
        let capacity = (texts.len() * 2 + 1).next_power_of_two();
        let mut slots = vec![(0, 0, 0); capacity];
        let mut groups = Vec::new();
        for (text, of) in texts {
            let hash = hash(text);
            let start = position(groups.len());
            groups.extend_from_slice(of);
            let mut at = home(hash, capacity);
            while slots.get(at).is_some_and(|(_, from, to)| from != to) {
                at = (at + 1) & (capacity - 1);
            }
            if let Some(slot) = slots.get_mut(at) {
                *slot = (hash, start, position(groups.len()));
            }
        }
        Hashed { slots: slots.into(), groups: groups.into() }
    }

    fn get(&self, text: &[u8]) -> &[Number] {
        let hash = hash(text);
        let mut at = home(hash, self.slots.len());
        while let Some(&(other, from, to)) = self.slots.get(at) {
            if from == to {
                break;
            }
            if other == hash {
                return self.groups.get(from as usize..to as usize).unwrap_or_default();
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        &[]
    }
}

fn home(hash: u64, capacity: usize) -> usize {
    usize::try_from(hash).unwrap_or(0) & (capacity - 1)
}

/// Positions are kept in 32 bits; a set of rules that needs more does not fit into memory either.
pub(super) fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
