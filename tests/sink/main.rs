//! Sinks on real files, sockets and pipes: what arrives, in which order, and whether the account closes.
//!
//! Needs nothing. The tests that mount a file system are ignored unless asked for (`--ignored`) and need root;
//! those named `child_*` are run by others, in a process of their own.

#![expect(clippy::unwrap_used, reason = "an error ends the test")]
#![expect(clippy::disallowed_methods, reason = "nobody looks for the threads of a test")]

mod common;
mod crash;
mod file;
mod live;
mod speed;
mod stream;
mod trouble;
