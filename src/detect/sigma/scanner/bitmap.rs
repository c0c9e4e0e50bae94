//! A set of 16-bit numbers, 8 KiB, so that it stays in the first level of the processor's cache; and what belongs to each
//! of them.

use std::collections::BTreeMap;

use crate::detect::sigma::index::position;

/// Numbers there are.
const BITS: usize = 1 << 16;

/// The numbers, which are also numbered in order.
pub(super) struct Bitmap {
    words: [u64; BITS / 64],
    /// How many bits are set before each word.
    before: [u16; BITS / 64],
}

impl std::fmt::Debug for Bitmap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let set: u32 = self.words.iter().map(|word| word.count_ones()).sum();
        f.debug_struct("Bitmap").field("set", &set).finish_non_exhaustive()
    }
}

impl Bitmap {
    /// The set of these.
    pub(super) fn new(bits: impl Iterator<Item = u16>) -> Box<Bitmap> {
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

    /// 1 in the lowest bit if the number is in the set; the other bits tell nothing. Indexes are below the length by the
    /// type of `bit`, which the compiler sees.
    pub(super) fn lowest(&self, bit: u16) -> u64 {
        self.words[usize::from(bit) / 64] >> (bit % 64)
    }

    /// The number is in the set.
    pub(super) fn has(&self, bit: u16) -> bool {
        self.lowest(bit) & 1 == 1
    }

    /// The place of a number of the set in its order.
    fn place(&self, bit: u16) -> usize {
        let word = usize::from(bit) / 64;
        let below = self.words[word] & ((1 << (bit % 64)) - 1);
        usize::from(self.before[word]) + below.count_ones() as usize
    }
}

/// Entries by a 16-bit number.
#[derive(Debug)]
pub(super) struct Buckets<E> {
    /// The numbers that have any.
    pub bitmap: Box<Bitmap>,
    /// For each number of the bitmap where its entries are.
    ranges: Box<[(u32, u32)]>,
    entries: Box<[E]>,
}

impl<E> Buckets<E> {
    /// The entries of each number.
    pub(super) fn new(by_bit: BTreeMap<u16, Vec<E>>) -> Self {
        let bitmap = Bitmap::new(by_bit.keys().copied());
        let (mut ranges, mut entries) = (Vec::new(), Vec::new());
        for of in by_bit.into_values() {
            let start = position(entries.len());
            entries.extend(of);
            ranges.push((start, position(entries.len())));
        }
        Buckets { bitmap, ranges: ranges.into(), entries: entries.into() }
    }

    /// Those of a number that is in the bitmap.
    pub(super) fn at(&self, bit: u16) -> &[E] {
        let range = self.ranges.get(self.bitmap.place(bit));
        range.and_then(|(from, to)| self.entries.get(*from as usize..*to as usize)).unwrap_or_default()
    }
}
