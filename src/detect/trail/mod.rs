//! Trails: what a process tree did lately, so that a finding can tell what came before it.
//!
//! A worker notes what is worth telling of each event while it is at hand ([`Steps`]): about twenty nanoseconds, nothing
//! of a program or its arguments is copied, as the process table's node has both. Once a batch is judged its steps go into
//! one [`Memory`] for the whole agent, under one lock for the batch. Workers finish batches in any order; whoever brings
//! the one that was missing takes in all that waited for it. So what a finding tells depends on the order of events
//! alone, and not on how many workers there are, and a replay tells the same each time. Doing it here and not on
//! `se-findings` wakes no thread for a batch without hits.
//!
//! Hits are given what came before them on the way, and leave in the order of events. The memory has a limit in bytes that
//! it never exceeds; with 0 there is none, and hits pass through.
//!
//! Limits: a batch that is [`AHEAD_MAX`] batches late is no longer waited for. What was forgotten, or happened before
//! the agent started, is not told.

mod memory;
mod step;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::judge::Hit;
use memory::Memory;
pub use memory::Preceding;
pub use step::Steps;

/// Batches that wait for an earlier one at most: what fits into the queue of the workers, and more.
const AHEAD_MAX: usize = 256;

/// The steps of all process trees, in the order of events.
#[derive(Debug)]
pub struct Trail {
    limit_bytes: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    memory: Memory,
    /// The batch whose turn it is.
    next: u64,
    /// Later ones.
    ahead: BTreeMap<u64, (Steps, Vec<Hit>)>,
}

impl Trail {
    /// A memory of at most so many bytes. The first batch is number 0.
    pub fn new(limit_bytes: usize) -> Trail {
        let inner = Inner { memory: Memory::new(limit_bytes), next: 0, ahead: BTreeMap::new() };
        Trail { limit_bytes, inner: Mutex::new(inner) }
    }

    /// Steps are worth noting.
    pub fn is_kept(&self) -> bool {
        self.limit_bytes > 0
    }

    /// Takes in what was noted of a batch, and the hits in it. Every batch must come, with or without. The hits whose turn
    /// it is come back with what preceded them; the steps are left empty, to be used again.
    pub fn take(&self, index: u64, steps: &mut Steps, hits: Vec<Hit>) -> Vec<Hit> {
        if !self.is_kept() {
            return hits;
        }
        let inner = &mut *self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = Vec::new();
        if index > inner.next {
            inner.ahead.insert(index, (std::mem::take(steps), hits));
            if inner.ahead.len() > AHEAD_MAX
                && let Some(first) = inner.ahead.keys().next()
            {
                inner.next = *first;
            }
        } else {
            inner.memory.take(steps, hits, &mut out);
            steps.clear();
            inner.next = inner.next.max(index + 1);
        }
        while let Some((mut steps, hits)) = inner.ahead.remove(&inner.next) {
            inner.memory.take(&mut steps, hits, &mut out);
            inner.next += 1;
        }
        out
    }

    /// Forgets everything but whose turn it is: nothing is judged any more.
    pub fn forget(&self) {
        if self.is_kept() {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            if !inner.memory.is_empty() {
                inner.memory = Memory::new(self.limit_bytes);
            }
        }
    }
}

/// What preceded a hit, shared by all hits of the event.
pub type Before = Arc<[Preceding]>;
