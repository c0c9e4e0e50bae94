//! Looking for many literals at once.
//!
//! Each literal is represented by the three bytes of it that are seen least; a bitmap of 65,536 bits tells for every three
//! bytes of the value whether a literal may be there, and only then the literal itself is compared. The idea is that of
//! rarest-byte prefilters (as in the memchr crate), with three bytes for many literals at once. Literals of two bytes have
//! a bitmap of their own, which is exact.

use std::collections::BTreeMap;

use super::index::{ByText, Number, position};
use super::witness::{self, TRIPLE};

/// Bits of a bitmap.
const BITS: usize = 1 << 16;

/// Literals by their rarest three bytes.
pub struct Scanner {
    bitmap: Box<Bitmap>,
    /// For each set bit where its literals are in `entries`.
    buckets: Box<[(u32, u32)]>,
    entries: Box<[Entry]>,
    texts: Box<[u8]>,
    groups: Box<[Number]>,
    pairs: Option<Pairs>,
}

/// Literals of two bytes: a bit for each that there is.
struct Pairs {
    bitmap: Box<Bitmap>,
    /// For each set bit where its groups are.
    buckets: Vec<(u32, u32)>,
}

/// A set of 16-bit numbers that are numbered in order.
struct Bitmap {
    words: [u64; BITS / 64],
    /// How many bits are set before each word.
    before: [u16; BITS / 64],
}

impl Bitmap {
    fn new(bits: impl Iterator<Item = u16>) -> Box<Bitmap> {
        let mut map = Box::new(Bitmap { words: [0; BITS / 64], before: [0; BITS / 64] });
        bits.for_each(|bit| map.words[usize::from(bit) / 64] |= 1 << (bit % 64));
        let mut sum = 0_u16;
        for (word, before) in map.words.iter().zip(&mut map.before) {
            *before = sum;
            // All 65,536 bits would be needed to wrap, and then the last word's sum is not used.
            sum = sum.wrapping_add(u16::try_from(word.count_ones()).unwrap_or(0));
        }
        map
    }

    // Indexes are below the length by the type of `bit`, which the compiler sees.
    fn has(&self, bit: u16) -> bool {
        self.words[usize::from(bit) / 64] >> (bit % 64) & 1 == 1
    }

    /// The number of a bit that is set.
    fn number(&self, bit: u16) -> usize {
        let word = usize::from(bit) / 64;
        let below = self.words[word] & ((1 << (bit % 64)) - 1);
        usize::from(self.before[word]) + below.count_ones() as usize
    }
}

impl std::fmt::Debug for Scanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scanner").field("literals", &self.entries.len()).finish_non_exhaustive()
    }
}

/// A literal.
#[derive(Debug)]
struct Entry {
    /// The first eight bytes, and which of these it has.
    head: u64,
    mask: u64,
    /// Where the three bytes are in it.
    offset: u32,
    text: (u32, u32),
    groups: (u32, u32),
}

/// Its first eight bytes, and a mask of those that it has.
fn head(literal: &[u8]) -> (u64, u64) {
    let (mut head, mut mask) = ([0; 8], [0; 8]);
    for ((head, mask), byte) in head.iter_mut().zip(&mut mask).zip(literal) {
        (*head, *mask) = (*byte, 0xff);
    }
    (u64::from_le_bytes(head), u64::from_le_bytes(mask))
}

/// Three bytes in the lower part of a number.
fn triple(bytes: &[u8]) -> u32 {
    bytes.iter().take(TRIPLE).rev().fold(0, |triple, byte| triple << 8 | u32::from(*byte))
}

/// The bit of three bytes; the fourth of the number does not count.
fn bit(triple: u32) -> u16 {
    ((triple << 8).wrapping_mul(0x9e37_79b1) >> 16) as u16
}

impl Scanner {
    /// Takes literals of two bytes and more, in lower case.
    pub(super) fn new(literals: &ByText<'_>) -> Self {
        let (mut texts, mut groups) = (Vec::new(), Vec::new());
        let mut by_bit: BTreeMap<u16, Vec<Entry>> = BTreeMap::new();
        let mut pairs = Vec::new();
        for (literal, of) in literals {
            let start = position(groups.len());
            groups.extend_from_slice(of);
            let range = (start, position(groups.len()));
            if let [first, second] = **literal {
                pairs.push((u16::from_le_bytes([first, second]), range));
                continue;
            }
            let (offset, _) = witness::rarest(literal);
            let text = position(texts.len());
            texts.extend_from_slice(literal);
            let (head, mask) = head(literal);
            by_bit.entry(bit(triple(literal.get(offset..).unwrap_or_default()))).or_default().push(Entry {
                head,
                mask,
                offset: position(offset),
                text: (text, position(texts.len())),
                groups: range,
            });
        }
        pairs.sort_unstable();
        let bitmap = Bitmap::new(by_bit.keys().copied());
        let (mut buckets, mut entries) = (Vec::new(), Vec::new());
        for of in by_bit.into_values() {
            let start = position(entries.len());
            entries.extend(of);
            buckets.push((start, position(entries.len())));
        }
        let pairs = (!pairs.is_empty()).then(|| Pairs {
            bitmap: Bitmap::new(pairs.iter().map(|(pair, _)| *pair)),
            buckets: pairs.iter().map(|(_, range)| *range).collect(),
        });
        Scanner {
            bitmap,
            buckets: buckets.into(),
            entries: entries.into(),
            texts: texts.into(),
            groups: groups.into(),
            pairs,
        }
    }

    /// Adds the groups of every literal in the value, which is in lower case.
    pub(super) fn scan(&self, value: &[u8], found: &mut Vec<Number>) {
        match &self.pairs {
            Some(pairs) => self.scan_with(value, found, |pair, found| {
                if pairs.bitmap.has(pair) {
                    let range = pairs.buckets.get(pairs.bitmap.number(pair));
                    range.into_iter().for_each(|range| found.extend(self.groups_at(*range)));
                }
            }),
            None => self.scan_with(value, found, |_, _| {}),
        }
    }

    fn scan_with(&self, value: &[u8], found: &mut Vec<Number>, on_pair: impl Fn(u16, &mut Vec<Number>)) {
        // Four bytes are one load; the first three of them count.
        for (at, window) in value.windows(4).enumerate() {
            let Some(window) = window.first_chunk() else { continue };
            let window = u32::from_le_bytes(*window);
            on_pair((window & 0xffff) as u16, found);
            let bit = bit(window);
            if self.bitmap.has(bit) {
                self.verify(value, at, bit, found);
            }
        }
        let at = value.len().saturating_sub(TRIPLE);
        let end = value.get(at..).unwrap_or_default();
        if end.len() == TRIPLE {
            let bit = bit(triple(end));
            if self.bitmap.has(bit) {
                self.verify(value, at, bit, found);
            }
        }
        for pair in end.windows(2).filter_map(<[u8]>::first_chunk) {
            on_pair(u16::from_le_bytes(*pair), found);
        }
    }

    fn verify(&self, value: &[u8], at: usize, bit: u16, found: &mut Vec<Number>) {
        let Some((from, to)) = self.buckets.get(self.bitmap.number(bit)) else { return };
        for entry in self.entries.get(*from as usize..*to as usize).unwrap_or_default() {
            let start = at.checked_sub(entry.offset as usize);
            let Some(rest) = start.and_then(|start| value.get(start..)) else { continue };
            if let Some(chunk) = rest.first_chunk()
                && (u64::from_le_bytes(*chunk) ^ entry.head) & entry.mask != 0
            {
                continue;
            }
            let text = self.texts.get(entry.text.0 as usize..entry.text.1 as usize).unwrap_or_default();
            if rest.starts_with(text) {
                found.extend(self.groups_at(entry.groups));
            }
        }
    }

    fn groups_at(&self, (from, to): (u32, u32)) -> &[Number] {
        self.groups.get(from as usize..to as usize).unwrap_or_default()
    }
}
