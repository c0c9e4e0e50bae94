//! Small parts that know nothing of events: clocks, liveness, names that were meant, rate limits.

pub mod beacon;
pub mod clock;
pub mod limit;
pub mod nearest;
pub mod thread;
