//! Every metric once: its name, its help text, its labels and its place in memory.
//!
//! Values are atomics in arrays, one cell per combination of label values, so an increment is one atomic
//! addition and no label can grow without bound. Counters only grow and reading changes nothing. There are no
//! globals: whoever counts holds an `Arc<Metrics>`. Adding a metric is one line in [`table`] and the increment
//! at its place; `/metrics` and `docs/metrics.md` follow, and a test fails on a metric that nothing increments.
//!
//! Values that are owned elsewhere (kernel counters, /proc) are stored just before an answer is rendered; see
//! `control::board`.

pub mod family;
pub mod label;
mod render;
pub mod table;

pub use family::{Counter, Family, Gauge, Histogram, Info, Total};
pub use label::{ErrorType, Label, Level, Outcome, Program, Reason, Ring, SinkName, Stage, ThreadName};
pub use table::Metrics;

impl Metrics {
    /// Runs that the kernel skipped of programs that report several classes. Each may have been an event, of whatever
    /// class, or nothing that anybody wanted.
    pub fn unknown_skips(&self) -> u64 {
        let runs: u64 = Program::ALL.iter().map(|program| self.program_misses.at(*program).get()).sum();
        let skipped = |kind: &crate::event::Kind| self.events_dropped.at((*kind, Reason::Skipped)).get();
        runs.saturating_sub(crate::event::Kind::ALL.iter().map(skipped).sum())
    }
}
