//! Literals of four bytes and more, found by three of their bytes and a part of the one behind them.
//!
//! A bitmap tells for these whether a literal may be around them; then a second one tells it for all four bytes; then a
//! table has the literals with exactly these, and only they are compared. Each literal is there by two neighbouring grams,
//! those that are seen least, so that one of them is at an even place wherever the literal is: only every other byte must
//! be looked at. Rarest bytes as a filter are known from the memchr crate, sampling of grams from indexes of sequences.

use std::collections::BTreeMap;

use super::Text;
use super::bitmap::Bitmap;
use crate::detect::sigma::index::{Number, position};
use crate::detect::sigma::keyed::Keyed;
use crate::detect::sigma::witness;

/// Bytes of a gram.
const GRAM: usize = 4;

/// Places that a literal's grams are taken from: one of them is even.
const STRIDE: usize = 2;

/// Shorter literals do not have two grams, even if the last byte of one of them is unknown.
pub(super) const MIN: usize = GRAM;

/// Bits of a gram that its number is made of: three bytes, and of the fourth those that tell letters apart best. Of a
/// literal of four bytes the gram without its first one ends with a byte that may be any, so that all of these are there.
const BITS: u32 = 27;

/// Bytes that are looked at together, and how far the next ones are: they have three grams at even places.
const CHUNK: usize = 8;
const STEP: usize = 6;

/// Literals by their grams.
#[derive(Debug)]
pub(super) struct Grams {
    /// The numbers of all grams.
    part: Box<Bitmap>,
    /// The numbers of grams with all of their bytes.
    whole: Box<Bitmap>,
    /// The same of the literals that have no more, for the places behind their first byte.
    ahead: Box<Bitmap>,
    by_gram: Keyed<u32, Entry>,
    texts: Box<[u8]>,
    groups: Box<[Number]>,
}

/// A literal by one of its grams.
#[derive(Debug)]
struct Entry {
    /// The literal's first eight bytes, and which of these it has.
    head: u64,
    mask: u64,
    /// Where the gram is in it.
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

/// The number of the lower [`BITS`] of a gram: the upper ones are multiplied out.
fn number_of_part(gram: u32) -> u16 {
    (gram.wrapping_mul(0x9e37_79b1 << (32 - BITS)) >> 16) as u16
}

/// The number of a gram.
fn number_of_whole(gram: u32) -> u16 {
    (gram.wrapping_mul(0x85eb_ca6b) >> 16) as u16
}

/// The lower part.
#[expect(clippy::cast_possible_truncation, reason = "the upper part is looked at by itself")]
fn low(bytes: u64) -> u32 {
    bytes as u32
}

/// A gram, or what there is of it.
fn load(bytes: &[u8]) -> u32 {
    bytes.iter().take(GRAM).rev().fold(0, |gram, byte| gram << 8 | u32::from(*byte))
}

/// The gram in a value, if all of it is.
fn gram_at(value: &[u8], at: usize) -> Option<u32> {
    value.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

impl Grams {
    pub(super) fn new(literals: &[Text<'_>]) -> Self {
        let (mut texts, mut groups) = (Vec::new(), Vec::new());
        let (mut parts, mut ahead) = (Vec::new(), Vec::new());
        let mut by_gram: BTreeMap<u32, Vec<Entry>> = BTreeMap::new();
        for &(literal, of) in literals {
            let text = (position(texts.len()), position(texts.len() + literal.len()));
            texts.extend_from_slice(literal);
            let range = (position(groups.len()), position(groups.len() + of.len()));
            groups.extend_from_slice(of);
            let (head, mask) = head(literal);
            let (rarest, _) = witness::rarest(literal, GRAM + STRIDE - 1);
            for offset in rarest..rarest + STRIDE {
                let gram = load(literal.get(offset..).unwrap_or_default());
                if offset + GRAM > literal.len() {
                    parts.extend((0..1 << (BITS - 24)).map(|part| number_of_part(gram | part << 24)));
                    ahead.push(number_of_whole(load(literal)));
                    continue;
                }
                parts.push(number_of_part(gram));
                let entry = Entry { head, mask, offset: position(offset), text, groups: range };
                by_gram.entry(gram).or_default().push(entry);
            }
        }
        let whole = Bitmap::new(by_gram.keys().map(|gram| number_of_whole(*gram)));
        Grams {
            part: Bitmap::new(parts.into_iter()),
            whole,
            ahead: Bitmap::new(ahead.into_iter()),
            by_gram: Keyed::new(by_gram),
            texts: texts.into(),
            groups: groups.into(),
        }
    }

    pub(super) fn scan(&self, value: &[u8], found: &mut Vec<Number>) {
        let mut places = Places::default();
        let mut at = 0;
        while let Some(bytes) = value.get(at..).and_then(<[u8]>::first_chunk::<CHUNK>) {
            let chunk = u64::from_le_bytes(*bytes);
            for place in 0..STEP / STRIDE {
                let gram = low(chunk >> (8 * STRIDE * place));
                places.add(at + STRIDE * place, self.part.lowest(number_of_part(gram)));
            }
            at += STEP;
            if places.is_full() {
                self.look_at(value, places.take(), found);
            }
        }
        // Of the last gram only the beginning is needed, as of a literal that ends with the value.
        while let Some(rest) = value.get(at..).filter(|rest| rest.len() >= GRAM - 1) {
            places.add(at, self.part.lowest(number_of_part(load(rest))));
            at += STRIDE;
        }
        self.look_at(value, places.take(), found);
    }

    /// Looks for literals at places where a part of a gram is.
    fn look_at(&self, value: &[u8], places: &[usize], found: &mut Vec<Number>) {
        for at in places.iter().copied() {
            if let Some(gram) = gram_at(value, at)
                && self.whole.has(number_of_whole(gram))
            {
                self.compare(value, at, gram, found);
            }
            // A place at the beginning has none before it: no value is so long.
            let before = at.wrapping_sub(1);
            if let Some(gram) = gram_at(value, before)
                && self.ahead.has(number_of_whole(gram))
            {
                self.compare(value, before, gram, found);
            }
        }
    }

    /// Compares the literals that have this gram with what is around it.
    fn compare(&self, value: &[u8], at: usize, gram: u32, found: &mut Vec<Number>) {
        for entry in self.by_gram.get(gram) {
            let start = at.wrapping_sub(entry.offset as usize);
            let Some(rest) = value.get(start..) else { continue };
            let is_whole = match rest.first_chunk() {
                Some(head) if (u64::from_le_bytes(*head) ^ entry.head) & entry.mask != 0 => continue,
                Some(_) => entry.mask != u64::MAX,
                None => false,
            };
            let text = || self.texts.get(entry.text.0 as usize..entry.text.1 as usize).unwrap_or_default();
            if is_whole || rest.starts_with(text()) {
                let of = self.groups.get(entry.groups.0 as usize..entry.groups.1 as usize);
                found.extend_from_slice(of.unwrap_or_default());
            }
        }
    }
}

/// Places that are looked at closer. Each place is written and then counted or not, so that no branch has to be foreseen.
struct Places {
    at: [usize; Places::ROOM],
    count: usize,
}

impl Default for Places {
    fn default() -> Self {
        Places { at: [0; Places::ROOM], count: 0 }
    }
}

impl Places {
    /// A power of two, so that the compiler sees that no index is outside.
    const ROOM: usize = 64;

    /// Adds a place if the lowest bit says so.
    fn add(&mut self, at: usize, lowest: u64) {
        self.at[self.count % Places::ROOM] = at;
        self.count += usize::from(lowest & 1 == 1);
    }

    /// There may not be room for the places of another chunk.
    fn is_full(&self) -> bool {
        self.count > Places::ROOM - CHUNK
    }

    /// Gives up what there is.
    fn take(&mut self) -> &[usize] {
        let count = std::mem::take(&mut self.count);
        self.at.get(..count).unwrap_or_default()
    }
}
