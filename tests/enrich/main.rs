//! Enrichment from outside: single cases, the host's files, and random histories against a model of the kernel.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where it fails; the helpers have no #[test] of their own"
)]

mod credentials;
mod history;
mod host;
mod memory;
mod records;
mod table;
