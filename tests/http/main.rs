//! The HTTP gate on real sockets: what it answers, and what it endures. Needs nothing but loopback and curl.
//!
//! `answers` is friendly traffic, `hostile` is not, `secured` is TLS and the token, `child` runs
//! an agent in a process of its own, `bench` measures when asked to.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod answers;
mod bench;
mod child;
mod hostile;
mod secured;
mod support;
