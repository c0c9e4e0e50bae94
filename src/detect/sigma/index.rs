//! The way from an event to the rules that may match it.
//!
//! Witnesses are looked up by field: last components of paths and whole values by their hash, and literals within a value
//! by one scan: each literal is represented by the three bytes of it that are seen least, a bitmap of 65,536 bits tells
//! for every three bytes of the value whether a literal may be there, and only then the literal itself is compared. The
//! idea is that of rarest-byte prefilters (as in the memchr crate), with three bytes for many literals at once. What is
//! found are candidates, possibly too many, never too few.

use std::collections::BTreeMap;

use super::fields::Field;
use super::row::Row;
use super::scratch::Scratch;
use super::witness::{self, Kind, LITERAL_MIN, Witness};

/// Rules by a text.
type ByText<'a> = BTreeMap<&'a [u8], Vec<u32>>;

/// Rules of a category by their witnesses.
#[derive(Debug, Default)]
pub struct Index {
    hashed: Vec<(Field, Kind, Hashed)>,
    scanned: Vec<(Field, Scanner)>,
    anywhere: Option<Scanner>,
    /// Rules without a witness.
    open: Vec<u32>,
}

impl Index {
    /// Builds the index of rules with the witnesses of each.
    pub fn new(rules: &[(u32, Option<Vec<Witness>>)]) -> Index {
        let mut index = Index::default();
        let mut hashed: BTreeMap<(Field, Kind), ByText<'_>> = BTreeMap::new();
        let mut scanned: BTreeMap<Option<Field>, ByText<'_>> = BTreeMap::new();
        for (rule, witnesses) in rules {
            let Some(witnesses) = witnesses else {
                index.open.push(*rule);
                continue;
            };
            for witness in witnesses {
                let by_text = match (witness.field, witness.kind) {
                    (Some(field), kind @ (Kind::BaseName | Kind::Whole)) => {
                        hashed.entry((field, kind)).or_default()
                    }
                    (field, _) => scanned.entry(field).or_default(),
                };
                by_text.entry(&witness.bytes).or_default().push(*rule);
            }
        }
        index.hashed =
            hashed.into_iter().map(|((field, kind), texts)| (field, kind, Hashed::new(&texts))).collect();
        for (field, texts) in scanned {
            match field {
                Some(field) => index.scanned.push((field, Scanner::new(&texts))),
                None => index.anywhere = Some(Scanner::new(&texts)),
            }
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
        for (field, scanner) in &self.scanned {
            for value in scratch.folded(row, *field) {
                scanner.scan(value, &mut found);
            }
        }
        if let Some(scanner) = &self.anywhere {
            for value in row.values() {
                scanner.scan(scratch.lower(value), &mut found);
            }
        }
        found.iter().chain(&self.open).for_each(|rule| scratch.add(*rule));
        found.clear();
        scratch.found = found;
    }
}

/// Spreads the bytes of a text over 64 bits; rules are static, so nobody can choose texts that collide to effect.
pub fn hash(bytes: &[u8]) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |state: u64, word: u64| {
        let product = u128::from(state ^ word) * u128::from(K);
        #[expect(clippy::cast_possible_truncation, reason = "both halves are wanted")]
        let folded = (product as u64) ^ ((product >> 64) as u64);
        folded
    };
    let mut state = K ^ bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = mix(state, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    mix(state, u64::from_le_bytes(last))
}

/// Rules by the hash of a text.
#[derive(Debug)]
struct Hashed {
    /// Hash, and where its rules are; a power of two, less than half full.
    slots: Box<[(u64, u32, u32)]>,
    rules: Box<[u32]>,
}

impl Hashed {
    fn new(texts: &ByText<'_>) -> Self {
        let capacity = (texts.len() * 2 + 1).next_power_of_two();
        let mut slots = vec![(0, 0, 0); capacity];
        let mut rules = Vec::new();
        for (text, of) in texts {
            let hash = hash(text);
            let start = position(rules.len());
            rules.extend_from_slice(of);
            let mut at = home(hash, capacity);
            while slots.get(at).is_some_and(|(_, from, to)| from != to) {
                at = (at + 1) & (capacity - 1);
            }
            if let Some(slot) = slots.get_mut(at) {
                *slot = (hash, start, position(rules.len()));
            }
        }
        Hashed { slots: slots.into(), rules: rules.into() }
    }

    fn get(&self, text: &[u8]) -> &[u32] {
        let hash = hash(text);
        let mut at = home(hash, self.slots.len());
        while let Some(&(other, from, to)) = self.slots.get(at) {
            if from == to {
                break;
            }
            if other == hash {
                return self.rules.get(from as usize..to as usize).unwrap_or_default();
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
fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Bits of the bitmap.
const BITS: usize = 1 << 16;

/// Literals by their rarest three bytes.
struct Scanner {
    bitmap: Box<[u64; BITS / 64]>,
    /// Three bytes, and where their literals are in `entries`; sorted.
    keys: Box<[(u32, u32, u32)]>,
    entries: Box<[Entry]>,
    texts: Box<[u8]>,
    rules: Box<[u32]>,
}

impl std::fmt::Debug for Scanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scanner").field("literals", &self.entries.len()).finish_non_exhaustive()
    }
}

/// A literal.
#[derive(Debug)]
struct Entry {
    /// Where the three bytes are in it.
    offset: u32,
    text: (u32, u32),
    rules: (u32, u32),
}

fn triple(bytes: &[u8]) -> u32 {
    bytes.iter().take(LITERAL_MIN).fold(0, |triple, byte| triple << 8 | u32::from(*byte))
}

fn bit(triple: u32) -> u16 {
    (triple.wrapping_mul(0x9e37_79b1) >> 16) as u16
}

impl Scanner {
    fn new(literals: &ByText<'_>) -> Self {
        let (mut texts, mut rules) = (Vec::new(), Vec::new());
        let mut by_triple: BTreeMap<u32, Vec<Entry>> = BTreeMap::new();
        for (literal, of) in literals {
            let (offset, _) = witness::rarest(literal);
            let (text, rule) = (position(texts.len()), position(rules.len()));
            texts.extend_from_slice(literal);
            rules.extend_from_slice(of);
            by_triple.entry(triple(literal.get(offset..).unwrap_or_default())).or_default().push(Entry {
                offset: position(offset),
                text: (text, position(texts.len())),
                rules: (rule, position(rules.len())),
            });
        }
        let mut bitmap = Box::new([0; BITS / 64]);
        let (mut keys, mut entries) = (Vec::new(), Vec::new());
        for (triple, of) in by_triple {
            let bit = usize::from(bit(triple));
            if let Some(word) = bitmap.get_mut(bit / 64) {
                *word |= 1 << (bit % 64);
            }
            let start = position(entries.len());
            entries.extend(of);
            keys.push((triple, start, position(entries.len())));
        }
        Scanner {
            bitmap,
            keys: keys.into(),
            entries: entries.into(),
            texts: texts.into(),
            rules: rules.into(),
        }
    }

    fn scan(&self, value: &[u8], found: &mut Vec<u32>) {
        let mut triple = 0_u32;
        for (at, byte) in value.iter().enumerate() {
            triple = (triple << 8 | u32::from(*byte)) & 0x00ff_ffff;
            let bit = usize::from(bit(triple));
            // The index is below the length by the type of `bit`, which the compiler sees.
            if self.bitmap[bit / 64] >> (bit % 64) & 1 == 1 && at + 1 >= LITERAL_MIN {
                self.verify(value, at + 1 - LITERAL_MIN, triple, found);
            }
        }
    }

    #[cold]
    fn verify(&self, value: &[u8], at: usize, triple: u32, found: &mut Vec<u32>) {
        let Ok(key) = self.keys.binary_search_by_key(&triple, |(key, ..)| *key) else { return };
        let Some((_, from, to)) = self.keys.get(key) else { return };
        for entry in self.entries.get(*from as usize..*to as usize).unwrap_or_default() {
            let text = self.texts.get(entry.text.0 as usize..entry.text.1 as usize).unwrap_or_default();
            let start = at.checked_sub(entry.offset as usize);
            if start.and_then(|start| value.get(start..)).is_some_and(|rest| rest.starts_with(text)) {
                found.extend_from_slice(
                    self.rules.get(entry.rules.0 as usize..entry.rules.1 as usize).unwrap_or_default(),
                );
            }
        }
    }
}
