//! Descriptors kept aside for the moment when there are none left.
//!
//! When accepting fails for lack of descriptors, or fewer are left than serving takes, the reserve is given up
//! and one connection is served with what became free; it is filled again afterwards. So /health can still say that the agent runs out of descriptors.
//! Other threads may be faster in taking what was given up, so this is an attempt, not a promise.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// The client's socket, the Unix socket's two ends, tiny_http's duplicate of one, its listener and the handle of
/// its file in case it must be built anew, what its accept thread takes in advance, and some for the answer and
/// for those who are faster.
const SPARE: usize = 12;

/// Fewest free descriptors that a connection is served with, once accepted: the Unix socket's two ends and the
/// duplicate of one, and what tiny_http's accept thread takes in advance.
const NEEDED: usize = 4;

/// The reserve.
#[derive(Debug, Default)]
pub(super) struct Reserve {
    spare: Vec<OwnedFd>,
    lent: Arc<AtomicBool>,
}

/// The reserve is in use; until this is dropped, it is not filled again.
#[derive(Debug)]
pub(super) struct Loan(Arc<AtomicBool>);

impl Reserve {
    /// Fills up with duplicates of `any`, unless the reserve is in use.
    pub fn fill(&mut self, any: impl AsFd) {
        while self.spare.len() < SPARE && !self.lent.load(SeqCst) {
            match any.as_fd().try_clone_to_owned() {
                Ok(fd) => self.spare.push(fd),
                Err(_) => break,
            }
        }
    }

    /// Fewer descriptors are free than a connection needs. Only taking them tells; that costs a microsecond.
    pub fn is_short(any: impl AsFd) -> bool {
        let taken = [(); NEEDED].map(|()| any.as_fd().try_clone_to_owned());
        taken.iter().any(Result::is_err)
    }

    /// Gives the descriptors up for one connection, if there are any.
    pub fn lend(&mut self) -> Option<Loan> {
        if self.spare.is_empty() || self.lent.swap(true, SeqCst) {
            return None;
        }
        self.spare.clear();
        Some(Loan(Arc::clone(&self.lent)))
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.0.store(false, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lent_once_and_filled_after_return() {
        let any = std::fs::File::open("/dev/null").unwrap();
        let mut reserve = Reserve::default();
        assert!(reserve.lend().is_none(), "nothing to lend");
        reserve.fill(&any);
        assert_eq!(reserve.spare.len(), SPARE);
        let loan = reserve.lend().unwrap();
        reserve.fill(&any);
        assert!(reserve.spare.is_empty() && reserve.lend().is_none());
        drop(loan);
        reserve.fill(&any);
        assert_eq!(reserve.spare.len(), SPARE);
    }
}
