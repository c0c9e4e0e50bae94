//! A map from bytes that knows which of its entries was touched longest ago.
//!
//! Keys are of an attacker's choice, so they are hashed with the standard library's keyed hash. Memory follows the
//! number of entries down as well as up: a burst of groups leaves no large empty table behind.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Bytes that an allocation costs beside its contents, about.
pub(super) const ALLOCATION_BYTES: usize = 16;

/// Bytes of a node of the order, which has room for eleven entries and six or more of them in use, but for a lone node.
const NODE_BYTES: usize = 11 * size_of::<(u64, Arc<[u8]>)>() + 40 + ALLOCATION_BYTES;

/// Bytes of a key beside its own: its counts and its allocation.
const KEY_BYTES: usize = 16 + ALLOCATION_BYTES;

#[derive(Debug)]
struct Entry<V> {
    tick: u64,
    value: V,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Lru<V> {
    entries: HashMap<Arc<[u8]>, Entry<V>>,
    order: BTreeMap<u64, Arc<[u8]>>,
    next_tick: u64,
    key_bytes: usize,
}

impl<V> Lru<V> {
    pub(super) fn new() -> Self {
        Lru { entries: HashMap::new(), order: BTreeMap::new(), next_tick: 0, key_bytes: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The value, without touching it.
    pub(super) fn get_mut(&mut self, key: &[u8]) -> Option<&mut V> {
        self.entries.get_mut(key).map(|entry| &mut entry.value)
    }

    /// Makes it the newest and gives its value.
    pub(super) fn touch(&mut self, key: &[u8]) -> Option<&mut V> {
        let entry = self.entries.get_mut(key)?;
        // The newest stays the newest, and most hits are of it.
        if entry.tick + 1 != self.next_tick {
            if let Some(key) = self.order.remove(&entry.tick) {
                self.order.insert(self.next_tick, key);
            }
            entry.tick = self.next_tick;
            self.next_tick += 1;
        }
        Some(&mut entry.value)
    }

    /// Puts it in as the newest, in place of what was there.
    pub(super) fn insert(&mut self, key: &[u8], value: V) {
        let key: Arc<[u8]> = key.into();
        let tick = self.next_tick;
        self.next_tick += 1;
        self.key_bytes += key.len();
        if let Some(old) = self.entries.insert(Arc::clone(&key), Entry { tick, value }) {
            self.key_bytes -= key.len();
            self.order.remove(&old.tick);
        }
        self.order.insert(tick, key);
    }

    /// The one touched longest ago.
    pub(super) fn oldest(&self) -> Option<(&[u8], &V)> {
        let (_, key) = self.order.first_key_value()?;
        self.entries.get(key).map(|entry| (&**key, &entry.value))
    }

    /// Takes out the one touched longest ago.
    pub(super) fn pop_oldest(&mut self) -> Option<(Arc<[u8]>, V)> {
        let (_, key) = self.order.pop_first()?;
        let entry = self.entries.remove(&key)?;
        self.key_bytes -= key.len();
        let spare = self.entries.capacity() > 4 * self.entries.len() + 64;
        if spare {
            self.entries.shrink_to(2 * self.entries.len());
        }
        Some((key, entry.value))
    }

    /// All of them, the one touched longest ago first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], &V)> {
        self.order.values().filter_map(|key| self.entries.get(key).map(|entry| (&**key, &entry.value)))
    }

    /// What it takes beside itself, bytes, without what the values point to.
    pub(super) fn heap_bytes(&self) -> usize {
        if self.entries.capacity() == 0 {
            return 0;
        }
        // The table is a seventh larger than its capacity says, and has a byte of its own for each place.
        let places = (self.entries.capacity() + 1) * 8 / 7;
        let table = places * (size_of::<(Arc<[u8]>, Entry<V>)>() + 1) + 2 * ALLOCATION_BYTES;
        table + (self.len() / 6 + 1) * NODE_BYTES + self.len() * KEY_BYTES + self.key_bytes
    }
}
