//! Where records come from: the kernel's ring, or a capture file.
//!
//! Both feed the same pipeline, so that what a replay shows is what the agent would have written.

use std::time::Duration;

use crate::kernel::records::Records;

/// A stream of records.
pub trait Source: Send {
    /// Waits until there may be records, at most for `timeout`. Coming back early is allowed.
    fn wait(&mut self, timeout: Duration) -> Result<(), Error>;

    /// Puts about `most` records at most into `into`, in order, in the place of what was there. None if there are
    /// none now. After an error `into` still holds what was read before it.
    fn drain(&mut self, most: usize, into: &mut Records) -> Result<(), Error>;

    /// Nothing will be drained any more: puts what was held back until now into `into`, in the place of what was there.
    fn finish(&mut self, into: &mut Records) -> Result<(), Error> {
        into.clear();
        Ok(())
    }

    /// Part of the buffer in use, 0 to 1.
    fn fill(&self) -> f64;

    /// Nothing will ever come again.
    fn has_ended(&self) -> bool {
        false
    }
}

/// Reading records failed.
#[derive(Debug, thiserror::Error)]
#[error("reading records from {from}: {cause}")]
pub struct Error {
    /// The kernel's ring, or the capture file's path.
    pub from: String,
    /// What went wrong.
    pub cause: Box<dyn std::error::Error + Send + Sync>,
}
