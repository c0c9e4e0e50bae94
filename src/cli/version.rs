//! What `--version` prints.

use std::env::consts::ARCH;
use std::sync::LazyLock;

use super::agent::KERNEL_ABI_VERSION;

/// The version as in Cargo.toml.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that was built; empty if the build did not know.
pub const COMMIT: &str = env!("SENTINEL_COMMIT");

const C_LIBRARY: &str = if cfg!(target_env = "musl") { "musl" } else { "gnu" };

/// Version, commit, ABI between the kernel side and the agent, target.
pub fn long() -> &'static str {
    static LONG: LazyLock<String> = LazyLock::new(|| {
        let commit = if COMMIT.is_empty() { "unknown" } else { COMMIT };
        format!(
            "{VERSION}\ncommit: {commit}\nkernel ABI: {KERNEL_ABI_VERSION}\ntarget: {ARCH}-linux-{C_LIBRARY}"
        )
    });
    &LONG
}
