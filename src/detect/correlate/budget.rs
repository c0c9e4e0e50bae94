//! How much memory all states may take, and counts of what happened to hits.

use serde::Serialize;

/// Bytes that are in use by all states together, against a limit. The bytes are computed from sizes and capacities,
/// not measured; the allocator's own share is estimated in them.
#[derive(Debug, Clone)]
pub struct Budget {
    limit_bytes: u64,
    used_bytes: u64,
}

impl Budget {
    /// None in use yet.
    pub fn new(limit_bytes: u64) -> Self {
        Budget { limit_bytes, used_bytes: 0 }
    }

    /// What may be used, bytes.
    pub fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// What is in use, bytes.
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    /// More is in use than may be.
    pub fn is_over(&self) -> bool {
        self.used_bytes > self.limit_bytes
    }

    /// What should be in use once it was too much: a little less than allowed, so that not every hit that follows has
    /// to make room again.
    pub(super) fn relief_bytes(&self) -> u64 {
        self.limit_bytes - self.limit_bytes / 64
    }

    pub(super) fn change(&mut self, before_bytes: u64, after_bytes: u64) {
        self.used_bytes = self.used_bytes.saturating_sub(before_bytes).saturating_add(after_bytes);
    }
}

/// What happened to hits and groups since the start. All of them only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Hits that were taken in.
    pub hits: u64,
    /// Findings.
    pub fired: u64,
    /// Hits of groups that were quiet after they had fired.
    pub suppressed: u64,
    /// Hits later than the tolerance; they counted at the edge of what was still open.
    pub late: u64,
    /// Hits that were put in order before the tolerance was over, as too many were waiting.
    pub early: u64,
    /// Groups that were given up to keep within a limit, with what they had gathered.
    pub evicted_groups: u64,
    /// Hits without the value that the condition is about; they are ignored.
    pub without_value: u64,
    /// Hits whose value is no decimal number, where one is needed; they are ignored.
    pub not_numbers: u64,
    /// Hits of a base rule that the definition does not have; they are ignored.
    pub unknown_rule: u64,
    /// Times that neighbouring parts of a sum were joined as there were too many of them.
    pub coarsened: u64,
}

impl Counts {
    /// Adds all of `other`.
    pub fn add(&mut self, other: &Counts) {
        let Counts {
            hits,
            fired,
            suppressed,
            late,
            early,
            evicted_groups,
            without_value,
            not_numbers,
            unknown_rule,
            coarsened,
        } = other;
        self.hits += hits;
        self.fired += fired;
        self.suppressed += suppressed;
        self.late += late;
        self.early += early;
        self.evicted_groups += evicted_groups;
        self.without_value += without_value;
        self.not_numbers += not_numbers;
        self.unknown_rule += unknown_rule;
        self.coarsened += coarsened;
    }
}
