//! Every field of the kernel side's records, provoked on the running kernel and checked.
//!
//! These tests load the programs for real and need root and BPF. They use nothing but what a busybox guest has too,
//! so that the same binary, linked statically, tests other kernels in virtual machines. They expect to run one after
//! the other, as each sees the whole host's events.

mod acts;
mod exec;
mod ledger;
mod lives;
mod paths;
mod rig;
