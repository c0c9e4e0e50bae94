//! Every field of the kernel side's records, provoked on the running kernel and checked.
//!
//! These tests load the programs for real and need root and BPF. They use nothing but what a busybox guest has too,
//! so that the same binary, linked statically, tests other kernels in virtual machines. They expect to run one after
//! the other, as each sees the whole host's events.

mod acts;
mod cost;
mod exec;
mod file;
#[cfg(target_arch = "x86_64")]
mod file_compat;
#[cfg(target_arch = "aarch64")]
mod file_compat_arm;
mod file_load;
mod file_names;
mod file_paths;
mod filters;
mod ledger;
mod lives;
mod mixed_load;
mod network;
mod network_calls;
mod network_dns;
mod network_load;
mod paths;
mod privilege;
mod rig;
mod toctou;
mod trampoline;
mod uring;
mod uring_net;
mod uring_ring;
mod verdicts;
