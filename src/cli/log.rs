//! The agent's own log, on standard error.
//!
//! Under systemd lines carry a priority for the journal and no time, as the journal has its own; elsewhere time,
//! level and module. The filter can be changed while the agent runs, which is why the logger stands behind a lock:
//! the log is quiet, and what the level refuses never comes that far.

use std::io::Write as _;
use std::os::fd::AsFd;
use std::sync::{Arc, PoisonError, RwLock};

use env_logger::{Builder, Logger, Target};
use log::{Level, Metadata, Record};
use nix::sys::stat::fstat;

/// The running log.
#[derive(Debug, Clone)]
pub struct Log {
    logger: Arc<RwLock<Logger>>,
    journal: bool,
}

impl Log {
    /// Starts logging with a filter as [`control::Config`](crate::control::Config) has it. A second call in one
    /// process leaves the first in charge.
    pub fn start(filter: &str) -> Self {
        let journal = std::env::var("JOURNAL_STREAM").is_ok_and(|stream| is_stderr(&stream));
        let logger = build(filter, journal);
        let level = logger.filter();
        let log = Log { logger: Arc::new(RwLock::new(logger)), journal };
        if log::set_boxed_logger(Box::new(log.clone())).is_ok() {
            log::set_max_level(level);
        }
        log
    }

    /// Changes the filter.
    pub fn set(&self, filter: &str) {
        let logger = build(filter, self.journal);
        let level = logger.filter();
        *self.logger.write().unwrap_or_else(PoisonError::into_inner) = logger;
        log::set_max_level(level);
    }
}

impl log::Log for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.logger.read().unwrap_or_else(PoisonError::into_inner).enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        self.logger.read().unwrap_or_else(PoisonError::into_inner).log(record);
    }

    fn flush(&self) {
        self.logger.read().unwrap_or_else(PoisonError::into_inner).flush();
    }
}

fn build(filter: &str, journal: bool) -> Logger {
    let mut builder = Builder::new();
    builder.parse_filters(filter).target(Target::Stderr);
    if journal {
        builder.format(|out, record| writeln!(out, "<{}>{}", priority(record.level()), record.args()));
    } else {
        builder.format_timestamp_millis();
    }
    builder.build()
}

/// Priorities of sd-daemon(3).
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// `JOURNAL_STREAM` holds device and inode of the stream; children whose standard error goes elsewhere inherit the
/// variable, so it is compared, as systemd.exec(5) asks.
fn is_stderr(stream: &str) -> bool {
    let of_stderr = fstat(std::io::stderr().as_fd()).map(|stat| format!("{}:{}", stat.st_dev, stat.st_ino));
    of_stderr.is_ok_and(|own| own == stream)
}

#[cfg(test)]
mod tests {
    use log::{LevelFilter, Log as _};

    use super::*;

    #[test]
    fn the_filter_can_change_and_holds_by_module() {
        let log = Log::start("warn");
        assert_eq!(log::max_level(), LevelFilter::Warn);
        log.set("info,sentinel_edge::kernel=trace");
        assert_eq!(log::max_level(), LevelFilter::Trace);
        let passes = |target, level| log.enabled(&Metadata::builder().target(target).level(level).build());
        assert!(passes("sentinel_edge::kernel::reader", Level::Trace));
        assert!(passes("sentinel_edge::sink", Level::Info) && !passes("sentinel_edge::sink", Level::Debug));
        log.set("off");
        assert_eq!(log::max_level(), LevelFilter::Off);
    }

    #[test]
    fn the_journal_is_known_by_the_stream_itself() {
        let stat = fstat(std::io::stderr().as_fd()).unwrap();
        assert!(is_stderr(&format!("{}:{}", stat.st_dev, stat.st_ino)));
        assert!(!is_stderr("") && !is_stderr("1:1") && !is_stderr("9:9:9"));
    }
}
