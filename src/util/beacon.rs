//! Liveness: a thread beats, health looks when it last did.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::clock;

/// Shared by a thread and whoever judges its health.
#[derive(Debug)]
pub struct Beacon {
    name: String,
    last_ns: AtomicU64,
    ended: AtomicBool,
}

impl Beacon {
    /// A beacon that has just beaten.
    pub fn new(name: impl Into<String>) -> Self {
        Beacon { name: name.into(), last_ns: AtomicU64::new(clock::boot_ns()), ended: AtomicBool::new(false) }
    }

    /// The thread's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Says that the thread does its work now.
    pub fn beat(&self) {
        self.last_ns.store(clock::boot_ns(), Relaxed);
    }

    /// Says that the thread is gone, for good or ill.
    pub fn end(&self) {
        self.ended.store(true, Relaxed);
    }

    /// The thread is gone.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Relaxed)
    }

    /// Time since the last beat.
    pub fn age(&self) -> Duration {
        Duration::from_nanos(clock::boot_ns().saturating_sub(self.last_ns.load(Relaxed)))
    }
}
