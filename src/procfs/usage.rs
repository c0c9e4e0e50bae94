//! What the agent itself uses, for the `process_*` metrics.

use std::fs;

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{SysconfVar, sysconf};

use super::Procfs;
use super::stat::{Stat, TICKS_PER_SECOND};

/// The agent's use of the host's resources.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usage {
    /// User and system time, seconds.
    pub cpu_seconds: f64,
    /// Resident memory.
    pub resident_bytes: u64,
    /// Virtual memory.
    pub virtual_bytes: u64,
    /// Start, seconds since boot.
    pub start_boot_seconds: f64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// Most file descriptors allowed.
    pub max_fds: u64,
}

impl Usage {
    /// Reads it; `None` if this proc filesystem does not show the agent.
    pub fn read(proc: &Procfs) -> Option<Usage> {
        let stat = Stat::parse(&proc.read("self/stat", 4096).ok()?)?;
        let page_bytes = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().and_then(|n| u64::try_from(n).ok());
        let seconds = |ticks: u64| {
            #[expect(clippy::cast_precision_loss, reason = "2^53 ticks are three million years")]
            let ticks = ticks as f64;
            ticks / TICKS_PER_SECOND as f64
        };
        // The directory being read is one of them.
        let open_fds = fs::read_dir(proc.path("self/fd")).map_or(0, |dir| dir.count().saturating_sub(1));
        Some(Usage {
            cpu_seconds: seconds(stat.utime_ticks + stat.stime_ticks),
            resident_bytes: stat.rss_pages * page_bytes.unwrap_or(4096),
            virtual_bytes: stat.vsize_bytes,
            start_boot_seconds: seconds(stat.start_ticks),
            open_fds: open_fds as u64,
            max_fds: getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours() {
        let before = Usage::read(&Procfs::default()).unwrap();
        assert!(before.resident_bytes > 100_000 && before.virtual_bytes > before.resident_bytes);
        assert!(before.open_fds >= 3 && before.max_fds >= before.open_fds);
        assert!(before.start_boot_seconds > 0.0);
        assert_eq!(Usage::read(&Procfs::new("/nonexistent")), None);
    }
}
