//! Copies what the kernel side counts into the metrics.
//!
//! The programs count every record by kind and outcome, per CPU (`bpf/lib/emit.bpf.h`). The kernel itself counts, of
//! every program, the runs that it skipped and, while its BPF statistics are switched on, runs and their time.
//!
//! A skipped run of a program that reports one class is an event of it that was attempted and dropped, so that the books
//! of a class close with it. Of the others nobody knows what they would have reported, if anything:
//! [`Metrics::unknown_skips`] counts those. What another program called by a tail call is never skipped by itself, and the
//! kernel skips no hook of control groups and no iterator.

use std::fmt;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};

use libbpf_rs::{MapCore, MapFlags, MapHandle, libbpf_sys};

use super::abi::types::{se_kind, se_outcome};
use crate::event::Kind;
use crate::metrics::{Metrics, Program, Reason, Stage};

/// Reading the counters failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The map of the ledger.
    #[error("reading the kernel side's counters: {0}")]
    Ledger(#[source] libbpf_rs::Error),
    /// The ledger does not have the shape that this agent was built for.
    #[error("reading the kernel side's counters: {found} bytes a CPU instead of {expected}")]
    Shape {
        /// Bytes of one CPU's value.
        found: usize,
        /// Bytes that it should have.
        expected: usize,
    },
}

const OUTCOMES: usize = se_outcome::SE_OUTCOME_MAX.0 as usize;
const CELLS: usize = se_kind::SE_KIND_MAX.0 as usize * OUTCOMES;

/// Where each outcome goes, in the order of `enum se_outcome`.
enum Cell {
    Stage(Stage),
    Reason(Reason),
}

const CELL_OF: [Cell; OUTCOMES] = [
    Cell::Stage(Stage::Attempted),
    Cell::Stage(Stage::Submitted),
    Cell::Reason(Reason::RingFull),
    Cell::Reason(Reason::Filtered),
    Cell::Reason(Reason::Deduplicated),
    Cell::Reason(Reason::Summarised),
    Cell::Reason(Reason::RateLimited),
];

const _: () = assert!(
    se_outcome::SE_ATTEMPTED.0 == 0
        && se_outcome::SE_SUBMITTED.0 == 1
        && se_outcome::SE_RING_FULL.0 == 2
        && se_outcome::SE_FILTERED.0 == 3
        && se_outcome::SE_DEDUPLICATED.0 == 4
        && se_outcome::SE_SUMMARISED.0 == 5
        && se_outcome::SE_RATE_LIMITED.0 == 6
);

/// Descriptors of its own, so that any thread may read.
pub struct Counters {
    ledger: MapHandle,
    hashes: Vec<MapHandle>,
    programs: Vec<Counted>,
}

/// A program, and the kind that it reports if that is one only: a run that was skipped is then one such event.
pub(super) struct Counted {
    pub(super) program: Program,
    pub(super) sole_kind: Option<Kind>,
    pub(super) descriptor: OwnedFd,
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counters").field("programs", &self.programs.len()).finish_non_exhaustive()
    }
}

impl Counters {
    pub(super) fn new(ledger: MapHandle, hashes: Vec<MapHandle>, programs: Vec<Counted>) -> Self {
        Counters { ledger, hashes, programs }
    }

    /// Counts the entries of all hash maps, which costs a walk over them.
    pub fn refresh_maps(&self, metrics: &Metrics) {
        let room = |map: &MapHandle| map.max_entries();
        // Entries come and go meanwhile; the kernel may then begin anew, hence the bound.
        let used = |map: &MapHandle| map.keys().take(map.max_entries() as usize).count();
        #[expect(clippy::cast_precision_loss, reason = "maps have far less than 2^53 entries")]
        let used = self.hashes.iter().map(used).sum::<usize>() as f64;
        metrics.map_entries.set(self.hashes.iter().map(room).map(f64::from).sum());
        metrics.map_used.set(used);
    }

    /// Copies all totals.
    pub fn refresh(&mut self, metrics: &Metrics) -> Result<(), Error> {
        let cells = self.cells()?;
        let mut skipped = [0; Kind::COUNT];
        for Counted { program, sole_kind, descriptor } in &self.programs {
            if let Some(info) = program_info(descriptor) {
                #[expect(clippy::cast_precision_loss, reason = "2^53 ns are a hundred days of run time")]
                let seconds = info.run_time_ns as f64 / 1e9;
                metrics.program_time.at(*program).set(seconds);
                metrics.program_runs.at(*program).store_total(info.run_cnt);
                metrics.program_misses.at(*program).store_total(info.recursion_misses);
                if let Some(skipped) = sole_kind.and_then(|kind| skipped.get_mut(kind.index())) {
                    *skipped += info.recursion_misses;
                }
            }
        }
        for (kind, skipped) in Kind::ALL.iter().zip(skipped) {
            metrics.events_dropped.at((*kind, Reason::Skipped)).store_total(skipped);
            for (outcome, cell) in CELL_OF.iter().enumerate() {
                let total = cells.get(*kind as usize * OUTCOMES + outcome).copied().unwrap_or(0);
                match cell {
                    Cell::Stage(Stage::Attempted) => {
                        metrics.events.at((*kind, Stage::Attempted)).store_total(total + skipped);
                    }
                    Cell::Stage(stage) => metrics.events.at((*kind, *stage)).store_total(total),
                    Cell::Reason(reason) => metrics.events_dropped.at((*kind, *reason)).store_total(total),
                }
            }
        }
        Ok(())
    }

    /// Records that the ring had no room for, so far.
    pub fn ring_full(&self) -> Result<u64, Error> {
        let cells = self.cells()?;
        let at = |kind: &Kind| *kind as usize * OUTCOMES + se_outcome::SE_RING_FULL.0 as usize;
        Ok(Kind::ALL.iter().filter_map(|kind| cells.get(at(kind))).sum())
    }

    /// The ledger, all CPUs added up.
    fn cells(&self) -> Result<[u64; CELLS], Error> {
        let values = self.ledger.lookup_percpu(&0_u32.to_ne_bytes(), MapFlags::ANY).map_err(Error::Ledger)?;
        let mut cells = [0; CELLS];
        for value in values.unwrap_or_default() {
            if value.len() != size_of_val(&cells) {
                return Err(Error::Shape { found: value.len(), expected: size_of_val(&cells) });
            }
            for (cell, bytes) in cells.iter_mut().zip(value.as_chunks::<8>().0) {
                *cell += u64::from_ne_bytes(*bytes);
            }
        }
        Ok(cells)
    }
}

/// What the kernel knows of a program; `None` where it does not say.
pub(super) fn program_info(descriptor: &OwnedFd) -> Option<libbpf_sys::bpf_prog_info> {
    let mut info = MaybeUninit::<libbpf_sys::bpf_prog_info>::zeroed();
    let mut len = u32::try_from(size_of::<libbpf_sys::bpf_prog_info>()).ok()?;
    // SAFETY: the descriptor is open, `info` is writable for `len` bytes, and all zeros are a valid request for no
    // arrays. Older kernels fill less; the rest stays zero.
    let code = unsafe {
        libbpf_sys::bpf_prog_get_info_by_fd(descriptor.as_raw_fd(), info.as_mut_ptr(), &raw mut len)
    };
    // SAFETY: the struct is plain data for which all zeros are valid, and it was zeroed.
    (code == 0).then(|| unsafe { info.assume_init() })
}
