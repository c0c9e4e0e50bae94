//! Words of two or three letters, as scripts have them: `nc`, `tar`.
//!
//! A word is a longest run of ASCII letters, digits and underscores, as at the `\b` of regular expressions. Which bytes are
//! of a word is found for 64 bytes at once, in loops over arrays that the compiler makes vector instructions of; the
//! result is a bit for each byte, and shifting these tells where short words are. Only those are looked up.

use crate::detect::sigma::index::{ByText, Number};
use crate::detect::sigma::keyed::Keyed;

/// Lengths that words have here.
pub(in crate::detect::sigma) const LENGTHS: std::ops::RangeInclusive<usize> = 2..=3;

/// Bytes that are looked at together.
const BLOCK: usize = 64;

/// The byte is of a word.
pub(in crate::detect::sigma) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Words with their groups.
#[derive(Debug)]
pub(super) struct Words(Keyed<u32, Number>);

/// A word as a number.
fn number(word: &[u8]) -> u32 {
    word.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// A bit for each byte that is of a word; the lowest is that of the first. Letters are in lower case.
fn mask(block: &[u8; BLOCK]) -> u64 {
    let flags = block.map(|byte| {
        let letter = byte.wrapping_sub(b'a') < 26;
        let digit = byte.wrapping_sub(b'0') < 10;
        u8::from(letter | digit | (byte == b'_'))
    });
    let (eights, _) = flags.as_chunks::<8>();
    eights.iter().rev().fold(0, |mask, eight| {
        // Moves the lowest bit of each byte into the upper byte.
        mask << 8 | u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56
    })
}

impl Words {
    /// Takes words of [`LENGTHS`].
    pub(super) fn new(words: &ByText<'_>) -> Self {
        Words(Keyed::new(words.iter().map(|(word, of)| (number(word), of.clone())).collect()))
    }

    pub(super) fn scan(&self, value: &[u8], found: &mut Vec<Number>) {
        let (blocks, rest) = value.as_chunks::<BLOCK>();
        let mut last = [0; BLOCK];
        if let Some(to) = last.get_mut(..rest.len()) {
            to.copy_from_slice(rest);
        }
        // Before the first byte and behind the last one is no word.
        let mut before = 0;
        let mut is_word = mask(blocks.first().unwrap_or(&last));
        for at in 0..=blocks.len() {
            let behind = if at < blocks.len() { mask(blocks.get(at + 1).unwrap_or(&last)) } else { 0 };
            let shifted = |by: u32| is_word >> by | behind << (u64::BITS - by);
            let begins = is_word & !(is_word << 1 | before) & shifted(1);
            let mut short = begins & !(shifted(2) & shifted(3));
            while short != 0 {
                let start = at * BLOCK + short.trailing_zeros() as usize;
                let length = if shifted(2) >> short.trailing_zeros() & 1 == 1 { 3 } else { 2 };
                short &= short - 1;
                let word = match value.get(start..).and_then(<[u8]>::first_chunk) {
                    Some(bytes) => u32::from_le_bytes(*bytes),
                    None => number(value.get(start..).unwrap_or_default()),
                };
                let groups = self.0.get(word & ((1 << (8 * length)) - 1));
                // Hardly any word has one.
                if !groups.is_empty() {
                    found.extend_from_slice(groups);
                }
            }
            before = is_word >> (u64::BITS - 1);
            is_word = behind;
        }
    }
}
