//! A table of numbered entries that are found by their hashes; the entries themselves are elsewhere.
//!
//! Open addressing with linear steps, never more than two thirds full, eight bytes a place: half a hash that decides
//! where the entry stands and tells it from its neighbours, and its number. A miss mostly ends without a look at any
//! entry. The hash is seeded, so that nobody who can write a list can choose entries that pile up.

/// A place without an entry.
const EMPTY: u32 = u32::MAX;

/// Places of the smallest table.
const LEAST: usize = 16;

#[derive(Debug, Clone, Copy)]
struct Slot {
    tag: u32,
    number: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// A power of two of them, or none.
    slots: Vec<Slot>,
    len: usize,
}

impl Slots {
    /// The number of the entry with this hash for which `is_it` holds.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let tag = tag(hash);
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = tag as usize & mask;
        loop {
            let slot = self.slots.get(at)?;
            if slot.number == EMPTY {
                return None;
            }
            if slot.tag == tag && is_it(slot.number) {
                return Some(slot.number);
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds an entry that is not there yet.
    pub(super) fn add(&mut self, hash: u64, number: u32) {
        if (self.len + 1) * 3 > self.slots.len() * 2 {
            let empty = vec![Slot { tag: 0, number: EMPTY }; (self.slots.len() * 2).max(LEAST)];
            for slot in std::mem::replace(&mut self.slots, empty) {
                if slot.number != EMPTY {
                    self.place(slot);
                }
            }
        }
        self.place(Slot { tag: tag(hash), number });
        self.len += 1;
    }

    fn place(&mut self, new: Slot) {
        let Some(mask) = self.slots.len().checked_sub(1) else { return };
        let mut at = new.tag as usize & mask;
        while let Some(slot) = self.slots.get_mut(at) {
            if slot.number == EMPTY {
                *slot = new;
                return;
            }
            at = (at + 1) & mask;
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
    }
}

/// The upper half is the better mixed one.
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}
