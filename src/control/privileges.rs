//! What the agent asks of the kernel for itself.
//!
//! Only the scheduling priority for now: when every CPU is busy, a reader that waits its turn lets the ring overflow.
//! The agent takes little time, so going first costs the others nothing that they would notice. It is a nice value,
//! not a real-time class: a fault in the agent must not be able to starve the host.

use std::io;

use nix::libc;

/// The nice value of all the agent's threads; 0 is an ordinary program's, -20 the most urgent.
pub const NICE: i32 = -10;

/// Sets [`NICE`] for this thread and all that it starts from now on; so call it first.
///
/// # Errors
///
/// Not permitted without CAP_SYS_NICE, nor beyond RLIMIT_NICE. The agent works without.
pub fn raise_priority() -> io::Result<()> {
    // SAFETY: setpriority takes no pointers; on Linux, process 0 means the calling thread.
    let code = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
