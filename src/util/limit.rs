//! A limit on how often the same thing is said in the log.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::clock;

/// Lets one call through per interval and counts the others.
#[derive(Debug)]
pub struct Limit {
    interval_ns: u64,
    next_ns: AtomicU64,
    held_back: AtomicU64,
}

impl Limit {
    /// One call per `interval`; the first passes.
    pub const fn new(interval: Duration) -> Self {
        Limit {
            interval_ns: interval.as_secs() * 1_000_000_000 + interval.subsec_nanos() as u64,
            next_ns: AtomicU64::new(0),
            held_back: AtomicU64::new(0),
        }
    }

    /// `Some(n)` if it may be said now, with the number of times it was held back since it was last said.
    pub fn pass(&self) -> Option<u64> {
        let now = clock::boot_ns();
        let next = self.next_ns.load(Relaxed);
        let passes = now >= next
            && self.next_ns.compare_exchange(next, now + self.interval_ns, Relaxed, Relaxed).is_ok();
        if passes {
            Some(self.held_back.swap(0, Relaxed))
        } else {
            self.held_back.fetch_add(1, Relaxed);
            None
        }
    }
}
