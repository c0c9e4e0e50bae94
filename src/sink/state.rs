//! How a sink does, for `/health` and `/ready`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use crate::metrics::SinkName;
use crate::util::clock;

/// Shared by a sink and whoever judges its health. Times are of the boot clock, in nanoseconds.
#[derive(Debug)]
pub struct SinkState {
    name: SinkName,
    up: AtomicBool,
    ended: AtomicBool,
    since_ns: AtomicU64,
    last_success_ns: AtomicU64,
    reason: Mutex<Option<String>>,
}

impl SinkState {
    /// A sink that is up.
    pub fn new(name: SinkName) -> Self {
        SinkState {
            name,
            up: AtomicBool::new(true),
            ended: AtomicBool::new(false),
            since_ns: AtomicU64::new(clock::boot_ns()),
            last_success_ns: AtomicU64::new(0),
            reason: Mutex::new(None),
        }
    }

    /// Which sink it is.
    pub fn name(&self) -> SinkName {
        self.name
    }

    /// It writes, or would if there were something to write.
    pub fn is_up(&self) -> bool {
        self.up.load(Relaxed)
    }

    /// It will never write again, and nothing is wrong with it: the reader of standard output is gone. The agent
    /// ends when that was its purpose.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Relaxed)
    }

    /// Since when it has been up or down.
    pub fn since_ns(&self) -> u64 {
        self.since_ns.load(Relaxed)
    }

    /// When it last wrote something; 0 if it never did.
    pub fn last_success_ns(&self) -> u64 {
        self.last_success_ns.load(Relaxed)
    }

    /// Why it is down.
    pub fn reason(&self) -> Option<String> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn wrote(&self) {
        self.last_success_ns.store(clock::boot_ns(), Relaxed);
    }

    /// True if it was up before.
    pub(super) fn down(&self, reason: String) -> bool {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        let was_up = self.up.swap(false, Relaxed);
        if was_up {
            self.since_ns.store(clock::boot_ns(), Relaxed);
        }
        was_up
    }

    /// How long it was down, if it was: nanoseconds.
    pub(super) fn back(&self) -> Option<u64> {
        if self.up.load(Relaxed) {
            return None;
        }
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let now = clock::boot_ns();
        let down_ns = now.saturating_sub(self.since_ns.swap(now, Relaxed));
        self.up.store(true, Relaxed);
        Some(down_ns)
    }

    pub(super) fn end(&self, reason: String) {
        self.down(reason);
        self.ended.store(true, Relaxed);
    }
}
