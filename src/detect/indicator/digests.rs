//! SHA-256 digests.

use std::hash::{BuildHasher, RandomState};

use super::mark::Mark;
use super::slots::Slots;

/// See the module.
#[derive(Debug)]
pub(super) struct Digests {
    seed: u64,
    digests: Vec<[u8; 32]>,
    marks: Vec<Mark>,
    slots: Slots,
}

impl Default for Digests {
    fn default() -> Self {
        Digests {
            seed: RandomState::new().hash_one(0_u8),
            digests: Vec::new(),
            marks: Vec::new(),
            slots: Slots::default(),
        }
    }
}

impl Digests {
    pub(super) fn len(&self) -> usize {
        self.digests.len()
    }

    /// Digests are random already; the seed keeps chosen ones from piling up.
    fn hash(&self, digest: &[u8; 32]) -> u64 {
        let word = digest.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        let product = u128::from(word ^ self.seed) * u128::from(self.seed | 1);
        #[expect(clippy::cast_possible_truncation, reason = "both halves are folded into one")]
        let folded = (product >> 64) as u64 ^ product as u64;
        folded
    }

    fn find(&self, digest: &[u8; 32]) -> Option<u32> {
        self.slots.find(self.hash(digest), |number| self.digests.get(number as usize) == Some(digest))
    }

    /// False if there is no room.
    pub(super) fn add(&mut self, digest: &[u8; 32], mark: Mark) -> bool {
        if self.find(digest).is_some() {
            return true;
        }
        let Some(number) = u32::try_from(self.digests.len()).ok().filter(|&number| number < u32::MAX) else {
            return false;
        };
        self.slots.add(self.hash(digest), number);
        self.digests.push(*digest);
        self.marks.push(mark);
        true
    }

    pub(super) fn get(&self, digest: &[u8; 32]) -> Option<Mark> {
        self.marks.get(self.find(digest)? as usize).copied()
    }

    pub(super) fn shrink(&mut self) {
        self.digests.shrink_to_fit();
        self.marks.shrink_to_fit();
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.digests.capacity() * 32 + self.marks.capacity() * size_of::<Mark>() + self.slots.heap_bytes()
    }
}
