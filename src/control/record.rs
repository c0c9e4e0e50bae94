//! Captures raw records: those of a snapshot, so that a replay knows who ran, then what the ring brings.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::Error;
use super::probes::Probes;
use super::signals::Signals;
use super::source::Source;
use crate::enrich::host;
use crate::kernel::capture::{Existing, Header, Totals, Writer};
use crate::kernel::records::Records;
use crate::kernel::{self, snapshot};
use crate::metrics::{Metrics, Reason};
use crate::procfs::Procfs;

/// How long to sleep when nothing comes; bounds how late a signal is noticed.
const WAIT: Duration = Duration::from_millis(100);

/// What to capture, and how.
#[derive(Debug)]
pub struct Record {
    /// The file to make.
    pub file: PathBuf,
    /// What to do about one that is there.
    pub existing: Existing,
    /// Stop after this time.
    pub duration: Option<Duration>,
    /// The kernel side.
    pub kernel: kernel::Config,
    /// Where /proc is.
    pub proc: Procfs,
    /// Name of the host, if it is not the kernel's.
    pub node_name: Option<String>,
}

/// What was captured.
#[derive(Debug, Clone, Copy)]
pub struct Recorded {
    /// What the file holds.
    pub totals: Totals,
    /// Records that the ring had no room for, and those of programs that the kernel skipped.
    pub lost: u64,
    /// Runs that the kernel skipped and of which nobody knows what they would have recorded.
    pub skipped: u64,
}

/// Captures until the time is over or a signal comes.
pub fn run(record: &Record) -> Result<Recorded, Error> {
    let mut signals =
        Signals::block().map_err(|e| Error::Start { what: "taking signals", cause: e.into() })?;
    let plan = Probes::plan(&record.kernel)?;
    let host = host::read(&record.proc, "/".as_ref(), record.node_name.as_deref());
    let metrics = Arc::new(Metrics::default());
    // Before the file, so that none is made, or worse replaced, for nothing.
    let mut probes = Probes::attach(&record.kernel, &plan, &metrics)?;
    let mut writer = Writer::create(&record.file, &Header::of(&host), record.existing)?;
    match probes.snapshot() {
        Ok(records) => records.iter().try_for_each(|r| writer.write(r))?,
        Err(error @ snapshot::Error::Unavailable(_)) => {
            log::warn!("{error}; a replay will not know what ran before the capture");
        }
        Err(error) => return Err(Error::Start { what: "the capture", cause: error.into() }),
    }
    let mut source = probes.source(&record.kernel)?;
    let mut records = Records::default();
    let end = record.duration.map_or_else(|| "until Ctrl-C".to_owned(), |span| format!("for {span:?}"));
    log::info!("recording to {} {end}", record.file.display());
    let until = record.duration.map(|duration| Instant::now() + duration);
    while until.is_none_or(|until| Instant::now() < until) {
        let signal = signals.wait(Duration::ZERO);
        if signal.map_err(|e| Error::Start { what: "taking signals", cause: e.into() })?.is_some() {
            break;
        }
        if take(&mut source, &mut records, &mut writer)? == 0 {
            source.wait(WAIT)?;
        }
    }
    probes.detach();
    while take(&mut source, &mut records, &mut writer)? > 0 {}
    source.finish(&mut records)?;
    records.iter().try_for_each(|record| writer.write(record))?;
    let mut counters = probes.counters()?;
    counters.refresh(&metrics).map_err(|e| Error::Start { what: "reading the counters", cause: e.into() })?;
    let lost = |kind| -> u64 {
        let losses = Reason::ALL.iter().filter(|reason| reason.is_loss());
        losses.map(|reason| metrics.events_dropped.at((kind, *reason)).get()).sum()
    };
    let lost = crate::event::Kind::ALL.iter().copied().map(lost).sum();
    Ok(Recorded { totals: writer.finish()?, lost, skipped: metrics.unknown_skips() })
}

fn take(source: &mut impl Source, records: &mut Records, writer: &mut Writer) -> Result<usize, Error> {
    source.drain(usize::MAX, records)?;
    records.iter().try_for_each(|record| writer.write(record))?;
    Ok(records.len())
}
