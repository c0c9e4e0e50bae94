//! Networks of IPv6: the longest prefix that an address is in.
//!
//! Lists use few prefix lengths (host, /64, /48, /32), and addresses are far apart. So each length that there is gets
//! tried, the longest first, through one table. The cost grows with the number of different lengths, not with the
//! number of entries.

use std::hash::{BuildHasher, RandomState};

use super::mark::Mark;
use super::slots::Slots;
use super::texts::mix;

/// A network.
#[derive(Debug, Clone, Copy)]
pub(super) struct Network {
    /// Its first address.
    pub(super) first: u128,
    pub(super) mark: Mark,
    pub(super) bits: u8,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Networks {
    seed: u64,
    networks: Vec<Network>,
    slots: Slots,
    /// The lengths that there are, descending.
    lengths: Vec<u8>,
}

impl Default for Networks {
    fn default() -> Self {
        Networks {
            seed: RandomState::new().hash_one(0_u8),
            networks: Vec::new(),
            slots: Slots::default(),
            lengths: Vec::new(),
        }
    }
}

impl Networks {
    pub(super) fn len(&self) -> usize {
        self.networks.len()
    }

    /// Adds the network of an address, unless it is there. False if there is no room.
    pub(super) fn add(&mut self, address: u128, bits: u8, mark: Mark) -> bool {
        let first = masked(address, bits);
        if self.find(first, bits).is_some() {
            return true;
        }
        let Some(number) = u32::try_from(self.networks.len()).ok().filter(|&number| number < u32::MAX) else {
            return false;
        };
        self.slots.add(self.hash(first, bits), number);
        self.networks.push(Network { first, mark, bits });
        if let Err(at) = self.lengths.binary_search_by(|length| bits.cmp(length)) {
            self.lengths.insert(at, bits);
        }
        true
    }

    /// The longest one that the address is in.
    pub(super) fn get(&self, address: u128) -> Option<&Network> {
        self.lengths.iter().find_map(|&bits| self.find(masked(address, bits), bits))
    }

    fn find(&self, first: u128, bits: u8) -> Option<&Network> {
        let is_it = |network: &Network| network.first == first && network.bits == bits;
        let by_number = |number: u32| self.networks.get(number as usize);
        let number =
            self.slots.find(self.hash(first, bits), |number| by_number(number).is_some_and(is_it))?;
        by_number(number)
    }

    #[expect(clippy::cast_possible_truncation, reason = "one half after the other is hashed")]
    fn hash(&self, first: u128, bits: u8) -> u64 {
        mix(mix(self.seed ^ (first >> 64) as u64) ^ first as u64) ^ mix(u64::from(bits) ^ self.seed)
    }

    /// Gives back the room for growth.
    pub(super) fn shrink(&mut self) {
        self.networks.shrink_to_fit();
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.networks.capacity() * size_of::<Network>() + self.slots.heap_bytes() + self.lengths.capacity()
    }
}

fn masked(address: u128, prefix: u8) -> u128 {
    address & !u128::MAX.checked_shr(u32::from(prefix)).unwrap_or(0)
}
