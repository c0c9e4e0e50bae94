//! Named threads whose end is always noticed.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use super::beacon::Beacon;

/// A running thread.
#[derive(Debug)]
pub struct Thread {
    /// Its liveness.
    pub beacon: Arc<Beacon>,
    handle: JoinHandle<bool>,
}

impl Thread {
    /// Waits for the end; false if it was a panic.
    pub fn join(self) -> bool {
        self.handle.join().unwrap_or(false)
    }

    /// The thread has ended.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }
}

/// Starts a thread. `name` is at most 15 bytes, as the kernel keeps no more. The beacon ends with the thread; a
/// panic is caught and reported through the log (the panic hook) and [`Thread::join`].
pub fn spawn(name: &str, body: impl FnOnce(&Beacon) + Send + 'static) -> io::Result<Thread> {
    debug_assert!(name.len() <= 15, "thread name {name} is too long");
    let beacon = Arc::new(Beacon::new(name));
    let inner = Arc::clone(&beacon);
    let handle = Builder::new().name(name.to_owned()).spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(|| body(&inner)));
        inner.end();
        result.is_ok()
    })?;
    Ok(Thread { beacon, handle })
}
