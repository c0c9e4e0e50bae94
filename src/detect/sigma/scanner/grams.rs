//! Literals of four bytes and more, found by three of their bytes.
//!
//! A bitmap tells for three bytes whether a literal may be around them; then a second one tells it for these and a byte
//! beside them, and only then the literal is compared. Each literal is in the bitmaps by two neighbouring grams, those that
//! are seen least, so that one of them is at an even place wherever the literal is: only every other byte must be looked
//! at. Rarest bytes as a filter are known from the memchr crate, sampling of grams from indexes of sequences.

use std::collections::BTreeMap;

use super::Text;
use super::bitmap::{Bitmap, Buckets};
use crate::detect::sigma::index::{Number, position};
use crate::detect::sigma::witness;

/// Bytes of a gram.
const GRAM: usize = 3;

/// Places that a literal's grams are taken from: one of them is even.
const STRIDE: usize = 2;

/// Shorter literals do not have two grams.
pub(super) const MIN: usize = GRAM + STRIDE - 1;

/// Literals by their grams.
#[derive(Debug)]
pub(super) struct Grams {
    buckets: Buckets<Entry>,
    /// The numbers of the same with the byte behind the gram, or, at the end of a literal, the one before it.
    longer: Box<Bitmap>,
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

/// The number of a gram, which is in the lower three bytes: the upper one is multiplied out.
fn bit(gram: u32) -> u16 {
    (gram.wrapping_mul(0x9e37_79b1 << 8) >> 16) as u16
}

/// The lower part.
#[expect(clippy::cast_possible_truncation, reason = "the upper part is looked at by itself")]
fn low(bytes: u64) -> u32 {
    bytes as u32
}

/// The number of a gram with a byte beside it.
fn longer_bit(bytes: u32) -> u16 {
    (bytes.wrapping_mul(0x85eb_ca6b) >> 16) as u16
}

/// Up to four bytes in the lower part of a number.
fn load(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).rev().fold(0, |gram, byte| gram << 8 | u32::from(*byte))
}

impl Grams {
    pub(super) fn new(literals: &[Text<'_>]) -> Self {
        let (mut texts, mut groups) = (Vec::new(), Vec::new());
        let mut by_bit: BTreeMap<u16, Vec<Entry>> = BTreeMap::new();
        let mut longer = Vec::new();
        for &(literal, of) in literals {
            let text = (position(texts.len()), position(texts.len() + literal.len()));
            texts.extend_from_slice(literal);
            let range = (position(groups.len()), position(groups.len() + of.len()));
            groups.extend_from_slice(of);
            let (head, mask) = head(literal);
            let (rarest, _) = witness::rarest(literal, MIN);
            for offset in rarest..rarest + STRIDE {
                let gram = load(literal.get(offset..).unwrap_or_default());
                let is_last = offset + GRAM == literal.len();
                let with_neighbour = literal.get(offset - usize::from(is_last)..).unwrap_or_default();
                longer.push(longer_bit(load(with_neighbour)));
                let entry = Entry { head, mask, offset: position(offset), text, groups: range };
                by_bit.entry(bit(gram)).or_default().push(entry);
            }
        }
        Grams {
            buckets: Buckets::new(by_bit),
            longer: Bitmap::new(longer.into_iter()),
            texts: texts.into(),
            groups: groups.into(),
        }
    }

    pub(super) fn scan(&self, value: &[u8], found: &mut Vec<Number>) {
        // Eight bytes have three grams at even places, which are asked for together.
        let mut at = 0;
        let mut before = 0_u64;
        while let Some(bytes) = value.get(at..).and_then(<[u8]>::first_chunk) {
            let chunk = u64::from_le_bytes(*bytes);
            let bits = [chunk, chunk >> 16, chunk >> 32].map(|grams| bit(low(grams)));
            let [a, b, c] = bits.map(|bit| self.buckets.bitmap.lowest(bit));
            let mut hits = a & 1 | (b & 1) << 1 | (c & 1) << 2;
            while hits != 0 {
                let which = hits.trailing_zeros() as usize;
                hits &= hits - 1;
                let behind = low(chunk >> (16 * which));
                let ahead = behind << 8
                    | if which == 0 { low(before) } else { low(chunk >> (16 * which - 8)) & 0xff };
                if self.may_be_at(behind, ahead) {
                    self.verify(value, at + STRIDE * which, behind, found);
                }
            }
            before = chunk >> 40 & 0xff;
            at += 6;
        }
        while let Some(rest) = value.get(at..).filter(|rest| rest.len() >= GRAM) {
            let behind = load(rest);
            let before = at.checked_sub(1).and_then(|before| value.get(before)).copied().unwrap_or_default();
            if self.buckets.bitmap.has(bit(behind)) && self.may_be_at(behind, behind << 8 | u32::from(before))
            {
                self.verify(value, at, behind, found);
            }
            at += STRIDE;
        }
    }

    /// Whether a literal may be around a gram, by the byte behind it or the one before it.
    fn may_be_at(&self, behind: u32, ahead: u32) -> bool {
        (self.longer.lowest(longer_bit(behind)) | self.longer.lowest(longer_bit(ahead))) & 1 == 1
    }

    /// Compares the literals of a gram with what is around it.
    #[inline(never)]
    fn verify(&self, value: &[u8], at: usize, gram: u32, found: &mut Vec<Number>) {
        for entry in self.buckets.at(bit(gram)) {
            let start = at.checked_sub(entry.offset as usize);
            let Some(rest) = start.and_then(|start| value.get(start..)) else { continue };
            if let Some(chunk) = rest.first_chunk()
                && (u64::from_le_bytes(*chunk) ^ entry.head) & entry.mask != 0
            {
                continue;
            }
            let text = self.texts.get(entry.text.0 as usize..entry.text.1 as usize).unwrap_or_default();
            if rest.starts_with(text) {
                let of = self.groups.get(entry.groups.0 as usize..entry.groups.1 as usize);
                found.extend_from_slice(of.unwrap_or_default());
            }
        }
    }
}
