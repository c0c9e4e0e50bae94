//! Puts batches back in order: several workers finish them in any order, a sink needs them by index.
//!
//! Every index comes exactly once, as a worker with nothing to say sends an empty batch. What came early is
//! kept until the ones before it are there; how much that may be is the caller's affair.

use std::collections::BTreeMap;

/// What came early, and the index that is next.
#[derive(Debug)]
pub(super) struct Order<T> {
    next: u64,
    early: BTreeMap<u64, T>,
}

impl<T> Default for Order<T> {
    fn default() -> Self {
        Order { next: 0, early: BTreeMap::new() }
    }
}

impl<T> Order<T> {
    /// True if `index` is the one that all early ones wait for.
    pub(super) fn is_next(&self, index: u64) -> bool {
        index == self.next
    }

    /// Takes in what has come, hands on what is now in order. An index that was there before is handed on at
    /// once: out of order, but not lost.
    pub(super) fn push(&mut self, index: u64, item: T, mut hand_on: impl FnMut(T)) {
        if index > self.next {
            if let Some(twin) = self.early.insert(index, item) {
                hand_on(twin);
            }
            return;
        }
        hand_on(item);
        if index == self.next {
            self.next += 1;
            while let Some(item) = self.early.remove(&self.next) {
                hand_on(item);
                self.next += 1;
            }
        }
    }

    /// Hands on everything, gaps or not: nothing more will come.
    pub(super) fn drain(&mut self, mut hand_on: impl FnMut(T)) {
        for (index, item) in std::mem::take(&mut self.early) {
            hand_on(item);
            self.next = index + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(order: &mut Order<u64>, index: u64) -> Vec<u64> {
        let mut out = Vec::new();
        order.push(index, index, |i| out.push(i));
        out
    }

    #[test]
    fn early_ones_wait_for_the_missing_one() {
        let mut order = Order::default();
        assert_eq!(pushed(&mut order, 0), [0]);
        assert!(pushed(&mut order, 2).is_empty());
        assert!(pushed(&mut order, 4).is_empty());
        assert!(order.is_next(1));
        assert_eq!(pushed(&mut order, 1), [1, 2]);
        assert_eq!(pushed(&mut order, 3), [3, 4]);
        assert_eq!(pushed(&mut order, 3), [3], "a double is not lost");
        assert!(pushed(&mut order, 7).is_empty());
        let mut rest = Vec::new();
        order.drain(|i| rest.push(i));
        assert_eq!(rest, [7]);
        assert!(order.is_next(8));
    }
}
