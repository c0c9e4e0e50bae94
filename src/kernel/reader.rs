//! Reads the ring.
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

/// The only reader of the critical ring.
pub struct Reader {
    // Declared before the map, so that it is dropped first.
    ring: RingBuffer<'static>,
    staged: Arc<Mutex<Records>>,
    metrics: Arc<Metrics>,
    size_bytes: u64,
    _map: MapHandle,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("size_bytes", &self.size_bytes).finish_non_exhaustive()
    }
}

impl Reader {
    /// A reader of the ring `map`.
    pub fn new(map: MapHandle, metrics: Arc<Metrics>) -> Result<Self, Error> {
        let staged = Arc::new(Mutex::new(Records::default()));
        let stage = Arc::clone(&staged);
        let copy = move |record: &[u8]| {
            stage.lock().unwrap_or_else(PoisonError::into_inner).push(record);
            0
        };
        let failed = |cause| Error { action: "mapping", cause };
        let mut builder = RingBufferBuilder::new();
        builder.add(&map, copy).map_err(failed)?;
        let ring = builder.build().map_err(failed)?;
        let mut reader = Reader { ring, staged, metrics, size_bytes: 0, _map: map };
        // SAFETY: ring_buffer__ring() gave a ring of this ring buffer, which lives as long as the reader.
        reader.size_bytes = reader.ring().map_or(0, |ring| unsafe { libbpf_sys::ring__size(ring.as_ptr()) });
        #[expect(clippy::cast_precision_loss, reason = "a ring is smaller than 2^53 bytes")]
        reader.metrics.ring_size.at(Ring::Critical).set(reader.size_bytes as f64);
        Ok(reader)
    }

    fn ring(&self) -> Option<NonNull<libbpf_sys::ring>> {
        // SAFETY: the pointer is that of a live ring buffer; it has one ring, number 0.
        NonNull::new(unsafe { libbpf_sys::ring_buffer__ring(self.ring.as_libbpf_object().as_ptr(), 0) })
    }

    /// Sleeps until there are records, for `timeout` at most. What it finds it stages for the next drain.
    pub fn wait(&mut self, timeout: Duration) -> Result<(), Error> {
        match self.ring.poll(timeout) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == libbpf_rs::ErrorKind::Interrupted => Ok(()),
            Err(cause) => Err(Error { action: "waiting for", cause }),
        }
    }

    /// Puts up to `most` records into `into`, in order; what was there is forgotten. More come if a wait staged
    /// more.
    pub fn drain(&mut self, most: usize, into: &mut Records) -> Result<(), Error> {
        into.clear();
        self.observe();
        let waiting = self.staged.lock().unwrap_or_else(PoisonError::into_inner).len();
        let code = if waiting < most { self.ring.consume_raw_n(most - waiting) } else { 0 };
        mem::swap(&mut *self.staged.lock().unwrap_or_else(PoisonError::into_inner), into);
        self.observe();
        if code < 0 {
            return Err(Error { action: "reading", cause: libbpf_rs::Error::from_raw_os_error(-code) });
        }
        Ok(())
    }

    fn observe(&self) {
        #[expect(clippy::cast_precision_loss, reason = "a ring is smaller than 2^53 bytes")]
        let (used, size) = (self.used_bytes() as f64, self.size_bytes.max(1) as f64);
        self.metrics.ring_used.at(Ring::Critical).set(used);
        self.metrics.ring_high_water.at(Ring::Critical).raise(used);
        self.metrics.ring_utilization.set(used / size * 100.0);
    }

    /// Bytes in the ring that are not read yet.
    pub fn used_bytes(&self) -> u64 {
        // SAFETY: as in `new`.
        self.ring().map_or(0, |ring| unsafe { libbpf_sys::ring__avail_data_size(ring.as_ptr()) })
    }

    /// Size of the ring.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}
