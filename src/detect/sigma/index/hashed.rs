//! Groups by the hash of a text.

use super::{ByText, Number, position};

/// Spreads the bytes of a text over 64 bits, sixteen at a time by one wide multiplication, as wyhash does. Rules are
/// static, so nobody can choose texts that collide to effect.
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
    let mut state = K ^ bytes.len() as u64;
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

/// Groups by the hash of a text.
#[derive(Debug)]
pub(super) struct Hashed {
    /// Hash, and where its groups are; a power of two, less than half full.
    slots: Box<[(u64, u32, u32)]>,
    groups: Box<[Number]>,
}

impl Hashed {
    pub(super) fn new(texts: &ByText<'_>) -> Self {
        let capacity = (texts.len() * 2 + 1).next_power_of_two();
        let mut slots = vec![(0, 0, 0); capacity];
        let mut groups = Vec::new();
        for (text, of) in texts {
            let hash = hash(text);
            let start = position(groups.len());
            groups.extend_from_slice(of);
            let mut at = home(hash, capacity);
            while slots.get(at).is_some_and(|(_, from, to)| from != to) {
                at = (at + 1) & (capacity - 1);
            }
            if let Some(slot) = slots.get_mut(at) {
                *slot = (hash, start, position(groups.len()));
            }
        }
        Hashed { slots: slots.into(), groups: groups.into() }
    }

    pub(super) fn get(&self, text: &[u8]) -> &[Number] {
        let hash = hash(text);
        let mut at = home(hash, self.slots.len());
        while let Some(&(other, from, to)) = self.slots.get(at) {
            if from == to {
                break;
            }
            if other == hash {
                return self.groups.get(from as usize..to as usize).unwrap_or_default();
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        &[]
    }
}

fn home(hash: u64, capacity: usize) -> usize {
    usize::try_from(hash).unwrap_or(0) & (capacity - 1)
}
