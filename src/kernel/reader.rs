//! Reads the rings.
//!
//! libbpf calls back once a record, from C; the callback only copies, as a panic there would abort the agent. It
//! copies into memory that [`Reader::drain`] then swaps out, so a record is copied once on its way out of the ring.
//!
//! [`Reader::wait`] sleeps until the kernel side wakes it. With the default flags the kernel wakes only a reader
//! that had taken everything before, so a reader that pauses between drains is not woken for every record.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fmt;
use std::mem;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libbpf_rs::{AsRawLibbpf, MapHandle, RingBuffer, RingBufferBuilder, libbpf_sys};

use super::records::Records;
use crate::metrics::{Metrics, Ring};

/// Reading the ring failed.
#[derive(Debug, thiserror::Error)]
#[error("{action} the ring buffer: {cause}")]
pub struct Error {
    action: &'static str,
    cause: libbpf_rs::Error,
}

/// The only reader of the rings, the critical one first.
pub struct Reader {
    // Declared before the maps, so that it is dropped first.
    rings: RingBuffer<'static>,
    staged: [Arc<Mutex<Records>>; 2],
    metrics: Arc<Metrics>,
    sizes_bytes: [u64; 2],
    _maps: [MapHandle; 2],
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("sizes_bytes", &self.sizes_bytes).finish_non_exhaustive()
    }
}

/// Numbers of the rings in libbpf's ring buffer, and their labels.
const CRITICAL: usize = 0;
const BULK: usize = 1;
const RINGS: [Ring; 2] = [Ring::Critical, Ring::Bulk];

impl Reader {
    /// A reader of the rings `critical` and `bulk`.
    pub fn new(critical: MapHandle, bulk: MapHandle, metrics: Arc<Metrics>) -> Result<Self, Error> {
        let staged = [(); 2].map(|()| Arc::new(Mutex::new(Records::default())));
        let failed = |cause| Error { action: "mapping", cause };
        let maps = [critical, bulk];
        let mut builder = RingBufferBuilder::new();
        for (map, stage) in maps.iter().zip(&staged) {
            let stage = Arc::clone(stage);
            let copy = move |record: &[u8]| {
                stage.lock().unwrap_or_else(PoisonError::into_inner).push(record);
                0
            };
            builder.add(map, copy).map_err(failed)?;
        }
        let rings = builder.build().map_err(failed)?;
        let mut reader = Reader { rings, staged, metrics, sizes_bytes: [0; 2], _maps: maps };
        // SAFETY: ring_buffer__ring() gave a ring of this ring buffer, which lives as long as the reader.
        let size = |ring: NonNull<libbpf_sys::ring>| unsafe { libbpf_sys::ring__size(ring.as_ptr()) };
        reader.sizes_bytes = [CRITICAL, BULK].map(|at| reader.ring(at).map_or(0, size));
        for (ring, size_bytes) in RINGS.iter().zip(reader.sizes_bytes) {
            #[expect(clippy::cast_precision_loss, reason = "a ring is smaller than 2^53 bytes")]
            reader.metrics.ring_size.at(*ring).set(size_bytes as f64);
        }
        Ok(reader)
    }

    fn ring(&self, at: usize) -> Option<NonNull<libbpf_sys::ring>> {
        let at = u32::try_from(at).ok()?;
        // SAFETY: the pointer is that of a live ring buffer; a number that it does not have gives null.
        NonNull::new(unsafe { libbpf_sys::ring_buffer__ring(self.rings.as_libbpf_object().as_ptr(), at) })
    }

    /// Sleeps until there are records, for `timeout` at most. What it finds it stages for the next drain.
    pub fn wait(&mut self, timeout: Duration) -> Result<(), Error> {
        match self.rings.poll(timeout) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == libbpf_rs::ErrorKind::Interrupted => Ok(()),
            Err(cause) => Err(Error { action: "waiting for", cause }),
        }
    }

    /// Puts up to `most` records of each ring into `into`, in order, those of the critical ring first; what was there
    /// is forgotten. More come if a wait staged more. The number of critical ones.
    pub fn drain(&mut self, most: usize, into: &mut Records) -> Result<usize, Error> {
        into.clear();
        let critical = self.drain_one(CRITICAL, most, into)?;
        self.drain_one(BULK, most, into)?;
        self.observe();
        Ok(critical)
    }

    fn drain_one(&mut self, at: usize, most: usize, into: &mut Records) -> Result<usize, Error> {
        let Some(staged) = self.staged.get(at) else { return Ok(0) };
        let waiting = staged.lock().unwrap_or_else(PoisonError::into_inner).len();
        let wanted = most.saturating_sub(waiting);
        // SAFETY: as in `new`.
        let consume = |ring: NonNull<libbpf_sys::ring>| unsafe {
            libbpf_sys::ring__consume_n(ring.as_ptr(), wanted as u64)
        };
        let code = if wanted > 0 { self.ring(at).map_or(0, consume) } else { 0 };
        let mut staged = staged.lock().unwrap_or_else(PoisonError::into_inner);
        let found = staged.len();
        if into.is_empty() {
            mem::swap(&mut *staged, into);
        } else {
            staged.iter().for_each(|record| into.push(record));
        }
        staged.clear();
        if code < 0 {
            return Err(Error { action: "reading", cause: libbpf_rs::Error::from_raw_os_error(-code) });
        }
        Ok(found)
    }

    fn observe(&self) {
        let mut fullest = 0.0_f64;
        for (at, ring) in RINGS.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "a ring is smaller than 2^53 bytes")]
            let used = self.used_bytes_of(at) as f64;
            self.metrics.ring_used.at(*ring).set(used);
            self.metrics.ring_high_water.at(*ring).raise(used);
            fullest = fullest.max(self.fill_of(at));
        }
        self.metrics.ring_utilization.set(fullest * 100.0);
    }

    fn used_bytes_of(&self, at: usize) -> u64 {
        // SAFETY: as in `new`.
        self.ring(at).map_or(0, |ring| unsafe { libbpf_sys::ring__avail_data_size(ring.as_ptr()) })
    }

    fn fill_of(&self, at: usize) -> f64 {
        let size_bytes = self.sizes_bytes.get(at).copied().unwrap_or(0).max(1);
        #[expect(clippy::cast_precision_loss, reason = "a ring is smaller than 2^53 bytes")]
        let fill = self.used_bytes_of(at) as f64 / size_bytes as f64;
        fill
    }

    /// The part of the fuller ring that is not read yet, 0 to 1.
    pub fn fill(&self) -> f64 {
        self.fill_of(CRITICAL).max(self.fill_of(BULK))
    }

    /// Bytes in both rings that are not read yet.
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes_of(CRITICAL) + self.used_bytes_of(BULK)
    }
}
