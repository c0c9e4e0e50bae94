//! Profiles: values for hosts of three sizes, under one name.
//!
//! `[core] profile` names one, or `auto`, which chooses by the host's memory and CPUs. A profile changes defaults only: what
//! a file, a variable or a flag says goes before it. Without a profile the keys' own defaults hold, which are those of a
//! medium host with more events a second.
//!
//! What `auto` looks at is the host, and not what a control group leaves to the agent: how much there is to see depends on
//! the host.

use super::source::Host;

const GIB: u64 = 1 << 30;

/// The sizes, from small to large; the names that `[core] profile` knows beside `none` and `auto`.
pub const SIZES: [&str; 3] = ["small", "medium", "large"];

/// What each size changes: section, key, and its value in TOML by size.
pub const VALUES: &[(&str, &str, [&str; 3])] = &[
    ("ebpf", "ring_buffer_size", ["262144", "1048576", "4194304"]),
    ("ebpf", "bulk_ring_size", ["1048576", "4194304", "16777216"]),
    ("ebpf", "event_batch_size", ["32", "100", "200"]),
    ("ebpf", "max_events_per_sec", ["1000", "5000", "20000"]),
    ("ebpf", "ring_buffer_poll_timeout_us", ["200", "100", "50"]),
    ("ebpf", "batch_timeout_us", ["2000", "1000", "500"]),
];

/// Less memory, or fewer CPUs, make a host small; it takes more of both to be large. The kernel keeps some memory for
/// itself, so that a machine with 2 GB shows up to a tenth less.
const MEDIUM: (u64, usize) = (2 * GIB - 2 * GIB / 10, 4);
const LARGE_ABOVE: (u64, usize) = (8 * GIB, 8);

/// The size of a host: that of its memory or that of its CPUs, whichever is smaller.
pub fn size_of(host: &Host) -> &'static str {
    if host.memory_bytes < MEDIUM.0 || host.online_cpus < MEDIUM.1 {
        "small"
    } else if host.memory_bytes > LARGE_ABOVE.0 && host.online_cpus > LARGE_ABOVE.1 {
        "large"
    } else {
        "medium"
    }
}

/// The size that a name stands for on this host; `None`: it stands for none.
pub fn named(name: &str, host: &Host) -> Option<&'static str> {
    match name {
        "auto" => Some(size_of(host)),
        name => SIZES.into_iter().find(|size| *size == name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scarcer_of_memory_and_cpus_decides() {
        let size = |gib_tenths: u64, online_cpus: usize| {
            size_of(&Host { memory_bytes: gib_tenths * GIB / 10, online_cpus, ..Host::plain() })
        };
        assert_eq!(
            [size(19, 4), size(20, 3), size(17, 64), size(640, 2)],
            ["medium", "small", "small", "small"]
        );
        assert_eq!(
            [size(80, 64), size(640, 8), size(640, 9), size(40, 6)],
            ["medium", "medium", "large", "medium"]
        );
    }
}
