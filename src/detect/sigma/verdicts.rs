//! Remembering verdicts: what hosts do they do again and again.
//!
//! The verdict of a set of rules depends on nothing but the category, whether the operation failed, and the values of the
//! fields that rules of the category look at. These are the key, compared byte by byte, so that what is remembered is
//! exact; one that a demoted rule was left out of is not. A table of fixed size holds the last verdict of each hash; with
//! other rules it starts anew. Where little repeats, as with rules that look at process ids, it is left alone for a while,
//! so that it costs next to nothing.

use super::fields::KNOWN;
use super::index::hash;
use super::logsource::Category;
use super::row::{Row, Slot as Values};
use super::scratch::Scratch;
use super::set::{Set, Wanted};

/// Verdicts that are remembered: a power of two.
const SLOTS: usize = 4096;

/// Places that a verdict may have.
const WAYS: usize = 4;

/// Bytes of keys above which the table starts anew.
const BYTES_MAX: usize = 2 << 20;

/// A longer key is not remembered.
const KEY_BYTES_MAX: usize = 16 << 10;

/// After so many questions it is looked at how many were answered.
const ROUND: u32 = 4096;

/// One in so many must be.
const WORTH: u32 = 16;

/// Events that are judged without it where it was not worth it.
const PAUSE: u32 = 16 * ROUND;

/// A verdict.
#[derive(Debug, Default)]
struct Slot {
    hash: u64,
    key: Box<[u8]>,
    rules: Box<[u32]>,
}

/// Verdicts of a generation of rules.
#[derive(Debug, Default)]
pub struct Verdicts {
    generation: Option<u64>,
    slots: Vec<Slot>,
    /// Of all keys.
    bytes: usize,
    key: Vec<u8>,
    rules: Vec<u32>,
    /// The place that is given up next.
    next: usize,
    asked: u32,
    answered: u32,
    pause: u32,
}

impl Verdicts {
    /// As [`Set::judge`] for the set of this generation: the numbers of the rules that match.
    pub fn judge(
        &mut self,
        (generation, set): (u64, &Set),
        category: Category,
        row: &Row<'_>,
        failed: bool,
        scratch: &mut Scratch,
    ) -> &[u32] {
        if self.generation != Some(generation) {
            *self = Verdicts { generation: Some(generation), ..Verdicts::default() };
        }
        self.rules.clear();
        if self.pause > 0 {
            self.pause -= 1;
            set.judge(category, row, failed, scratch, |number| self.rules.push(number));
            return &self.rules;
        }
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS, Slot::default);
        }
        self.key.clear();
        self.key.extend([category as u8, u8::from(failed)]);
        if let Some(wanted) = set.wanted(category) {
            write(row, wanted, &mut self.key);
        }
        let hash = hash(&self.key);
        self.count();
        let set_at = usize::try_from(hash).unwrap_or(0) % (SLOTS / WAYS) * WAYS;
        let ways = self.slots.get(set_at..set_at + WAYS).unwrap_or_default();
        // The key of a slot that was never used is empty, and no event's is.
        if let Some(way) = ways.iter().position(|slot| slot.hash == hash && *slot.key == *self.key) {
            self.answered += 1;
            // Whoever explains the verdict folds the values of this event, not those of the one that was judged last.
            scratch.forget();
            return self.slots.get(set_at + way).map_or(&[], |slot| &slot.rules);
        }
        set.judge(category, row, failed, scratch, |number| self.rules.push(number));
        if self.key.len() <= KEY_BYTES_MAX && !scratch.meters.has_skipped() {
            self.next = (self.next + 1) % WAYS;
            if self.bytes + self.key.len() > BYTES_MAX {
                self.slots.fill_with(Slot::default);
                self.bytes = 0;
            }
            if let Some(slot) = self.slots.get_mut(set_at + self.next) {
                self.bytes = self.bytes + self.key.len() - slot.key.len();
                *slot = Slot { hash, key: self.key.as_slice().into(), rules: self.rules.as_slice().into() };
            }
        }
        &self.rules
    }

    /// Counts a question, and now and then whether the answers are worth it.
    fn count(&mut self) {
        if self.asked == ROUND {
            if self.answered < ROUND / WORTH {
                self.pause = PAUSE;
                self.slots = Vec::new();
                self.bytes = 0;
            }
            (self.asked, self.answered) = (0, 0);
        }
        self.asked += 1;
    }
}

/// Everything of the event that its verdict depends on. What has no field of the table is looked at by few rules, and
/// by those that name no field.
fn write(row: &Row<'_>, wanted: &Wanted, key: &mut Vec<u8>) {
    for (field, slot) in row.slots() {
        let Some(field) = field else {
            write_slot(u16::MAX, &slot, key);
            continue;
        };
        if field.index() >= KNOWN || wanted.has(field) {
            write_slot(field.0, &slot, key);
        }
    }
}

/// A field's number, how many values it has, and each behind its length, so that it can be read in one way only.
fn write_slot(number: u16, slot: &Values<'_>, key: &mut Vec<u8>) {
    let head = u64::from(number) << 48 | slot.len() as u64;
    key.extend_from_slice(&head.to_ne_bytes());
    for value in slot.values() {
        key.extend_from_slice(&value.len().to_ne_bytes());
        key.extend_from_slice(value);
    }
}
