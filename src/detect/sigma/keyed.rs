//! Lists by a key, all in one piece of memory: a table of open addressing that is built once and then only read.

use std::collections::BTreeMap;

use super::index::position;

/// A key, and where in the table it is looked for first: the lower bits of this.
pub(super) trait Key: Copy + Ord + Default {
    fn spread(self) -> u64;
}

impl Key for u32 {
    fn spread(self) -> u64 {
        u64::from(self).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
    }
}

/// A hash, which is spread already.
impl Key for u64 {
    fn spread(self) -> u64 {
        self
    }
}

/// Entries by a key.
#[derive(Debug)]
pub(super) struct Keyed<K, E> {
    /// Key, and where its entries are; a power of two, at most a quarter full. A place without entries is free.
    slots: Box<[(K, u32, u32)]>,
    entries: Box<[E]>,
}

impl<K: Key, E> Keyed<K, E> {
    pub(super) fn new(by_key: BTreeMap<K, Vec<E>>) -> Self {
        let capacity = (by_key.len() * 4 + 1).next_power_of_two();
        let (mut slots, mut entries) = (vec![(K::default(), 0, 0); capacity], Vec::new());
        for (key, of) in by_key {
            let from = position(entries.len());
            entries.extend(of);
            let mut at = home(key, capacity);
            while slots.get(at).is_some_and(|(_, from, to)| from != to) {
                at = (at + 1) & (capacity - 1);
            }
            if let Some(slot) = slots.get_mut(at) {
                *slot = (key, from, position(entries.len()));
            }
        }
        Keyed { slots: slots.into(), entries: entries.into() }
    }

    /// The entries of a key; none if it has none.
    #[inline]
    pub(super) fn get(&self, key: K) -> &[E] {
        let mut at = home(key, self.slots.len());
        while let Some(&(other, from, to)) = self.slots.get(at) {
            if other == key || from == to {
                return self.entries.get(from as usize..to as usize).unwrap_or_default();
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        &[]
    }
}

fn home(key: impl Key, capacity: usize) -> usize {
    // The lower bits are all that is needed of it.
    usize::try_from(key.spread() & (capacity as u64 - 1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_its_entries_and_no_other_has_any() {
        for count in [0, 1, 2, 3, 100, 5000_u32] {
            // Keys that want the same place, zero among them.
            let key = |number: u32| u64::from(number % 7) | u64::from(number) << 40;
            let of = |number: u32| (0..number % 4).map(|at| number + at).collect::<Vec<_>>();
            let hashed = Keyed::new((0..count).map(|number| (key(number), of(number))).collect());
            let plain = Keyed::new((0..count).map(|number| (number * 3, of(number))).collect());
            for number in 0..count {
                assert_eq!(hashed.get(key(number)), of(number));
                assert_eq!(plain.get(number * 3), of(number));
                assert!(plain.get(number * 3 + 1).is_empty());
            }
            assert!(hashed.get(key(count) + 1000).is_empty() && plain.get(count * 3).is_empty());
        }
    }
}
