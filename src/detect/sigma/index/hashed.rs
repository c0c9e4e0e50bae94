//! Groups by a text, found by its hash.

use std::collections::BTreeMap;

use super::{ByText, Number};
use crate::detect::sigma::keyed::Keyed;

/// Spreads the bytes of a text over 64 bits, sixteen at a time by one wide multiplication, as wyhash does. Whoever chooses
/// values can choose some that collide: what must be exact compares the texts, too.
pub fn hash(bytes: &[u8]) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        #[expect(clippy::cast_possible_truncation, reason = "both halves are wanted")]
        let folded = (product as u64) ^ ((product >> 64) as u64);
        folded
    };
    let eight = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let four = |bytes: Option<&[u8; 4]>| bytes.map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)));
    // Where short texts have no bits.
    let mut state = K ^ (bytes.len() as u64).rotate_right(16);
    // The last sixteen bytes, or what there is, are taken in two parts that may overlap; so no byte is taken by itself.
    let (low, high) = match bytes.len() {
        0 => (0, 0),
        1..4 => {
            let at = |at: usize| u64::from(bytes.get(at).copied().unwrap_or_default());
            (at(0) | at(bytes.len() / 2) << 8, at(bytes.len() - 1))
        }
        4..8 => (four(bytes.first_chunk()), four(bytes.last_chunk())),
        8..=16 => (eight(bytes.first_chunk()), eight(bytes.last_chunk())),
        length => {
            let (chunks, _) = bytes.get(..length - 1).unwrap_or_default().as_chunks::<16>();
            for chunk in chunks {
                state = mix(state ^ eight(chunk.first_chunk()), K ^ eight(chunk.last_chunk()));
            }
            let last = bytes.last_chunk::<16>();
            (eight(last.and_then(|b| b.first_chunk())), eight(last.and_then(|b| b.last_chunk())))
        }
    };
    mix(mix(state ^ low, K ^ high), K)
}

/// A text and its groups.
type Entry = (Box<[u8]>, Box<[Number]>);

/// Groups by a text, exactly.
#[derive(Debug)]
pub(super) struct Hashed(Keyed<u64, Entry>);

impl Hashed {
    pub(super) fn new(texts: &ByText<'_>) -> Self {
        let mut by_hash: BTreeMap<u64, Vec<_>> = BTreeMap::new();
        for (text, of) in texts {
            by_hash.entry(hash(text)).or_default().push(((*text).into(), of.as_slice().into()));
        }
        Hashed(Keyed::new(by_hash))
    }

    pub(super) fn get(&self, text: &[u8]) -> &[Number] {
        let same = self.0.get(hash(text)).iter().find(|(other, _)| **other == *text);
        same.map_or(&[], |(_, groups)| groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_do_not_collide() {
        let mut seen = BTreeMap::new();
        let bytes = || (0..=255_u8).map(Some).chain([None]);
        for (first, second) in bytes().flat_map(|first| bytes().map(move |second| (first, second))) {
            let text: Vec<u8> = first.into_iter().chain(second).collect();
            let other = seen.entry(hash(&text)).or_insert_with(|| text.clone());
            assert_eq!(*other, text);
        }
        for length in 0..100 {
            let text = vec![b'a'; length];
            let other = seen.entry(hash(&text)).or_insert_with(|| text.clone());
            assert_eq!(*other, text);
        }
    }
}
