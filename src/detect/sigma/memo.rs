//! Remembering what values tell: hosts run the same programs for the same users below the same parents, and a parent's
//! command line comes again with each of its children.
//!
//! For each field of an index the last values are kept, each with the groups of witnesses that it has, so that it need not
//! be folded and looked through again. Values are compared byte by byte: what is remembered is exact. A table has a fixed
//! number of places, long values are not kept, and a field whose values hardly come again is left alone for a while.

use super::index::{Number, hash};

/// Values that a field keeps: a power of two.
const SLOTS: usize = 512;

/// Places that a value may have.
const WAYS: usize = 2;

/// A longer value is not kept.
const VALUE_BYTES_MAX: usize = 1024;

/// After so many questions it is looked at how many were answered.
const ROUND: u32 = 1024;

/// One in so many must be.
const WORTH: u32 = 3;

/// Values that are looked through without it where it was not worth it.
const PAUSE: u32 = 16 * ROUND;

/// Indexes whose values are kept; one more, and all start anew. Rules have fewer categories, and with other rules the
/// indexes are others.
const INDEXES_MAX: usize = 16;

/// What the values of all fields tell, by index.
#[derive(Debug, Default)]
pub(super) struct Memo {
    indexes: Vec<(u64, Vec<Values>)>,
}

impl Memo {
    /// The values of an index with so many fields.
    pub(super) fn of(&mut self, index: u64, fields: usize) -> &mut [Values] {
        let at = self.indexes.iter().position(|(other, _)| *other == index).unwrap_or_else(|| {
            if self.indexes.len() == INDEXES_MAX {
                self.indexes.clear();
            }
            let mut values = Vec::new();
            values.resize_with(fields, Values::default);
            self.indexes.push((index, values));
            self.indexes.len() - 1
        });
        self.indexes.get_mut(at).map_or(&mut [], |(_, values)| values)
    }
}

/// The last values of a field.
#[derive(Debug, Default)]
pub(super) struct Values {
    slots: Vec<Slot>,
    /// Where a value would be that was not there when it was asked for.
    missed: Option<(usize, u64)>,
    /// The place that is given up next.
    next: usize,
    asked: u32,
    answered: u32,
    pause: u32,
}

/// A value, and its groups. The memory of the one before is taken.
#[derive(Debug, Default, Clone)]
struct Slot {
    hash: u64,
    value: Vec<u8>,
    groups: Vec<Number>,
}

impl Values {
    /// The groups of a value, if it is known.
    pub(super) fn get(&mut self, value: &[u8]) -> Option<&[Number]> {
        self.missed = None;
        if self.pause > 0 {
            self.pause -= 1;
            return None;
        }
        if value.len() > VALUE_BYTES_MAX || !self.is_worth_it() {
            return None;
        }
        // Places that were never used have the hash zero.
        let hash = hash(value) | 1 << 63;
        let first = usize::try_from(hash).unwrap_or(0) % (SLOTS / WAYS) * WAYS;
        let ways = self.slots.get(first..first + WAYS).unwrap_or_default();
        let Some(way) = ways.iter().position(|slot| slot.hash == hash && *slot.value == *value) else {
            self.missed = Some((first, hash));
            return None;
        };
        self.answered += 1;
        self.slots.get(first + way).map(|slot| &*slot.groups)
    }

    /// Keeps the groups of the value that was just asked for in vain.
    pub(super) fn keep(&mut self, value: &[u8], groups: &[Number]) {
        let Some((first, hash)) = self.missed.take() else { return };
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, Slot::default());
        }
        self.next = (self.next + 1) % WAYS;
        if let Some(slot) = self.slots.get_mut(first + self.next) {
            slot.hash = hash;
            slot.value.clear();
            slot.value.extend_from_slice(value);
            slot.groups.clear();
            slot.groups.extend_from_slice(groups);
        }
    }

    /// Counts a question, and tells now and then that the answers were not worth it.
    fn is_worth_it(&mut self) -> bool {
        if self.asked == ROUND {
            if self.answered < ROUND / WORTH {
                self.pause = PAUSE;
                self.slots = Vec::new();
            }
            (self.asked, self.answered) = (0, 0);
        }
        self.asked += 1;
        self.pause == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_known_by_all_of_its_bytes_until_others_take_its_place() {
        let mut values = Values::default();
        for round in 0..3 {
            for number in 0..200_u32 {
                let value = format!("/usr/bin/program-{number}");
                match values.get(value.as_bytes()) {
                    Some(groups) => assert_eq!(groups, [number, number + 1], "in round {round}"),
                    None => values.keep(value.as_bytes(), &[number, number + 1]),
                }
            }
        }
        assert!(values.answered > 300, "only {} of 600 were known", values.answered);
        assert_eq!(values.get(b"/usr/bin/program-"), None);
        values.keep(b"/usr/bin/program-", &[]);
        assert_eq!(values.get(b"/usr/bin/program-"), Some([].as_slice()));
        assert_eq!(values.get(b""), None, "a place that was never used is no empty value");
        let long = vec![b'a'; VALUE_BYTES_MAX + 1];
        assert_eq!(values.get(&long), None);
        values.keep(&long, &[1]);
        assert_eq!(values.get(&long), None);
    }

    #[test]
    fn a_field_whose_values_do_not_come_again_is_left_alone_for_a_while() {
        let mut values = Values::default();
        for number in 0..=ROUND {
            let value = number.to_string();
            assert_eq!(values.get(value.as_bytes()), None);
            values.keep(value.as_bytes(), &[number]);
        }
        assert!(values.pause > 0 && values.slots.is_empty());
        let mut asked = 0;
        while values.pause > 0 {
            assert_eq!(values.get(b"again"), None);
            values.keep(b"again", &[7]);
            asked += 1;
        }
        assert_eq!(asked, PAUSE);
        assert_eq!(values.get(b"again"), None);
        values.keep(b"again", &[7]);
        assert_eq!(values.get(b"again"), Some([7].as_slice()));
    }

    #[test]
    fn each_index_has_values_of_its_own() {
        let mut memo = Memo::default();
        for index in 0..40 {
            let values = &mut memo.of(index, 2)[1];
            assert_eq!(values.get(b"a"), None, "index {index}");
            values.keep(b"a", &[u32::try_from(index).unwrap()]);
        }
        assert_eq!(memo.of(39, 2)[1].get(b"a"), Some([39].as_slice()));
        assert!(memo.indexes.len() <= INDEXES_MAX);
    }
}
