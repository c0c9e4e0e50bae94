//! The kernel's boot clock and its distance from wall time.

use nix::time::{ClockId, clock_gettime};

fn read(clock: ClockId) -> u64 {
    // clock_gettime fails only for clocks that do not exist; both exist since Linux 2.6.39.
    let t = clock_gettime(clock).unwrap_or_else(|_| nix::sys::time::TimeSpec::new(0, 0));
    u64::try_from(t.tv_sec()).unwrap_or(0) * 1_000_000_000 + u64::try_from(t.tv_nsec()).unwrap_or(0)
}

/// Nanoseconds since boot, time in suspend included: the clock of records.
pub fn boot_ns() -> u64 {
    read(ClockId::CLOCK_BOOTTIME)
}

/// Nanoseconds since the Unix epoch.
pub fn wall_ns() -> u64 {
    read(ClockId::CLOCK_REALTIME)
}

/// Nanoseconds that the calling thread has run.
pub fn thread_ns() -> u64 {
    read(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

/// What to add to the boot clock to get wall time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset(i128);

impl Offset {
    /// Measures it: wall time between two readings of the boot clock, the tightest of a few tries, so that a
    /// preemption between the readings does no harm.
    pub fn measure() -> Self {
        let sample = || {
            let (before, wall, after) = (boot_ns(), wall_ns(), boot_ns());
            (after - before, i128::from(wall) - i128::from(before + (after - before) / 2))
        };
        let tightest = (0..5).map(|_| sample()).min_by_key(|s| s.0);
        Offset(tightest.map_or(0, |s| s.1))
    }

    /// From the difference itself, as a capture file carries it.
    pub fn from_ns(offset: i64) -> Self {
        Offset(i128::from(offset))
    }

    /// The difference in nanoseconds.
    pub fn ns(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// Wall time of a moment of the boot clock, nanoseconds since the Unix epoch.
    pub fn wall(self, boot_ns: u64) -> u64 {
        u64::try_from(i128::from(boot_ns) + self.0).unwrap_or(0)
    }
}
