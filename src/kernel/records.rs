//! Records taken out of a source: their bytes in one piece of memory, and where each is.

use std::ops::Range;

/// See the module.
#[derive(Debug, Default)]
pub struct Records {
    bytes: Vec<u8>,
    places: Vec<Range<usize>>,
}

impl Records {
    /// Copies a record to the end. Neither panics nor fails, as it is called from below C code.
    pub fn push(&mut self, record: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(record);
        self.places.push(start..self.bytes.len());
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Where each record is in the bytes.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        self.places.iter().cloned()
    }

    /// Each record.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.ranges().map(|range| self.get(range))
    }

    /// One record, or nothing if the range is none of [`Records::ranges`].
    pub fn get(&self, range: Range<usize>) -> &[u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    /// Merges two streams, the first `split` records and the rest, into one by the time that `time_ns` reads out of
    /// a record. Each stream keeps its own order, and of two with the same time the one of the first stream comes
    /// first. No bytes are moved.
    pub fn interleave(&mut self, split: usize, time_ns: impl Fn(&[u8]) -> u64) {
        let Some((first, second)) = self.places.split_at_checked(split) else { return };
        if first.is_empty() || second.is_empty() {
            return;
        }
        let mut merged = Vec::with_capacity(self.places.len());
        let mut second = second.iter().peekable();
        for place in first {
            let at_ns = time_ns(self.get(place.clone()));
            while let Some(earlier) = second.next_if(|other| time_ns(self.get((*other).clone())) < at_ns) {
                merged.push(earlier.clone());
            }
            merged.push(place.clone());
        }
        merged.extend(second.cloned());
        self.places = merged;
    }

    /// Forgets all of them and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_went_in() {
        let mut records = Records::default();
        for record in [&b"one"[..], b"", b"three"] {
            records.push(record);
        }
        assert_eq!(records.iter().collect::<Vec<_>>(), [&b"one"[..], b"", b"three"]);
        assert_eq!((records.len(), records.is_empty()), (3, false));
        records.clear();
        assert_eq!(records.iter().count(), 0);
    }

    #[test]
    fn two_streams_become_one_by_time() {
        let merged = |first: &[u8], second: &[u8]| {
            let mut records = Records::default();
            // The time, and which stream it is from.
            first.iter().for_each(|time| records.push(&[*time, 1]));
            second.iter().for_each(|time| records.push(&[*time, 2]));
            records.interleave(first.len(), |record| record[0].into());
            records.iter().map(|record| (record[0], record[1])).collect::<Vec<_>>()
        };
        assert_eq!(merged(&[2, 5], &[1, 2, 3, 9]), [(1, 2), (2, 1), (2, 2), (3, 2), (5, 1), (9, 2)]);
        assert_eq!(merged(&[], &[3, 1]), [(3, 2), (1, 2)]);
        assert_eq!(merged(&[3, 1], &[]), [(3, 1), (1, 1)]);
        // A stream's own order stays, even where its times do not.
        assert_eq!(merged(&[4, 2], &[3]), [(3, 2), (4, 1), (2, 1)]);
    }
}
