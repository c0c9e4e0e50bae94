//! SentinelEdge: a host security agent for Linux, on eBPF.
//!
//! ```text
//! bpf/*.bpf.c =ring=> kernel::reader -> decode -> enrich (process table) =work=> workers (decode again, ECS lines)
//!                                                                  =batches=> sink x N -> file, stdout, tail
//! ```
//!
//! What stands before `=work=>` is one thread, `se-ring`; then come the workers, then one thread for each sink.
//! [`control`] starts the flow right to left, sinks first and probes last, and stops it left to right, draining.
//! Everything counts into [`metrics`], and the counts close: what the kernel side attempted is delivered,
//! suppressed on purpose or lost for a counted reason. `docs/ARCHITECTURE.md` tells the rest.

pub mod cli;
pub mod config;
pub mod control;
pub mod decode;
pub mod detect;
pub mod enrich;
pub mod event;
pub mod kernel;
pub mod metrics;
pub mod procfs;
pub mod sink;
pub mod util;
