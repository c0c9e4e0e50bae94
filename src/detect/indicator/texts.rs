//! Distinct texts, numbered in the order in which they came, one behind the other in one buffer.

use std::hash::{BuildHasher, RandomState};

use super::slots::Slots;

/// A hash of a text whose beginnings can be hashed on the way: eight bytes at a time, then what is left over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Running<'t> {
    rest: &'t [u8],
    done_bytes: usize,
    state: u64,
}

impl<'t> Running<'t> {
    pub(super) fn new(seed: u64, text: &'t [u8]) -> Self {
        Running { rest: text, done_bytes: 0, state: seed }
    }

    /// The hash of the first `length` bytes. Lengths must not become shorter from call to call.
    pub(super) fn at(&mut self, length: usize) -> u64 {
        while self.done_bytes + 8 <= length {
            let Some((word, rest)) = self.rest.split_first_chunk::<8>() else { break };
            self.state = mix(self.state ^ u64::from_le_bytes(*word));
            self.rest = rest;
            self.done_bytes += 8;
        }
        let mut word = [0; 8];
        let left = length.saturating_sub(self.done_bytes).min(7);
        for (to, from) in word.iter_mut().zip(self.rest.iter().take(left)) {
            *to = *from;
        }
        mix(mix(self.state ^ u64::from_le_bytes(word)) ^ length as u64)
    }
}

/// Spreads each bit of the value over all bits of the result.
pub(super) fn mix(value: u64) -> u64 {
    let product = u128::from(value ^ 0xa076_1d64_78bd_642f)
        * u128::from(0xe703_7ed1_a0b4_28db_u64 ^ value.rotate_left(32));
    #[expect(clippy::cast_possible_truncation, reason = "both halves are folded into one")]
    let folded = (product >> 64) as u64 ^ product as u64;
    folded
}

/// See the module.
#[derive(Debug)]
pub(super) struct Texts {
    seed: u64,
    bytes: Vec<u8>,
    /// Where each text ends.
    ends: Vec<u32>,
    slots: Slots,
}

impl Default for Texts {
    fn default() -> Self {
        Texts {
            seed: RandomState::new().hash_one(0_u8),
            bytes: Vec::new(),
            ends: Vec::new(),
            slots: Slots::default(),
        }
    }
}

impl Texts {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// To ask for beginnings of `text` with [`Texts::find_hashed`].
    pub(super) fn running<'t>(&self, text: &'t [u8]) -> Running<'t> {
        Running::new(self.seed, text)
    }

    /// The number of a text.
    pub(super) fn find(&self, text: &[u8]) -> Option<u32> {
        self.find_hashed(self.running(text).at(text.len()), text)
    }

    /// The number of a text whose hash is known.
    pub(super) fn find_hashed(&self, hash: u64, text: &[u8]) -> Option<u32> {
        self.slots.find(hash, |number| self.get(number) == text)
    }

    /// The number of a text and whether it is new. `None` if the buffer is full.
    pub(super) fn intern(&mut self, text: &[u8]) -> Option<(u32, bool)> {
        let hash = self.running(text).at(text.len());
        if let Some(number) = self.find_hashed(hash, text) {
            return Some((number, false));
        }
        let end = u32::try_from(self.bytes.len() + text.len()).ok()?;
        let number = u32::try_from(self.ends.len()).ok().filter(|&number| number < u32::MAX)?;
        self.bytes.extend_from_slice(text);
        self.ends.push(end);
        self.slots.add(hash, number);
        Some((number, true))
    }

    /// The text of a number.
    pub(super) fn get(&self, number: u32) -> &[u8] {
        let number = number as usize;
        let start =
            number.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |&end| end as usize);
        let end = self.ends.get(number).map_or(0, |&end| end as usize);
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// Gives back the room for growth.
    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<u32>() + self.slots.heap_bytes()
    }
}
