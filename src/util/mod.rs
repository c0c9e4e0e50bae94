//! Small parts that know nothing of events: clocks, liveness, rate limits.

pub mod beacon;
pub mod clock;
pub mod limit;
pub mod thread;
