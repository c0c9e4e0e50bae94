//! The kernel side as the agent sees it: what the host supports, which program goes on which hook, loading,
//! reading and counting. The only module that imports libbpf_rs.

pub mod abi;
pub mod capture;
pub mod classes;
pub mod config;
pub mod counters;
pub mod loader;
pub mod merge;
pub mod plan;
pub mod reader;
pub mod records;
pub mod snapshot;
pub mod support;
pub mod switches;
pub mod watch;

pub use config::{Config, Filter, Hooks};
