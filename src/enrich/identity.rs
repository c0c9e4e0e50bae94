//! The name of a process that survives pid reuse and reboots.
//!
//! `entity_id` = the first 16 bytes of SHA-256 over 28 bytes:
//!
//! ```text
//! 0        16     20          28
//! | boot id | pid  | start_ns  |
//! |   raw   | u32  | u64       |   integers little-endian
//! ```
//!
//! The boot id is the 16 bytes that `/proc/sys/kernel/random/boot_id` spells, in the order of its digits;
//! `start_ns` is the start of the thread group's leader on the boot clock. All three are in every exported
//! event, so whoever receives one can recompute the id, also that of a process it never heard of.
//!
//! SHA-256 is more than a table needs: the id is a key across hosts, and a local user who can choose when to
//! start a process must not be able to make two processes share one.

use sha2::{Digest, Sha256};

use crate::event::{BootId, EntityId};

/// The id of the process `pid` that started at `start_ns` (boot clock, nanoseconds) in this boot.
pub fn entity_id(boot: BootId, pid: u32, start_ns: u64) -> EntityId {
    let mut input = [0; 28];
    input[..16].copy_from_slice(&boot.0);
    input[16..20].copy_from_slice(&pid.to_le_bytes());
    input[20..].copy_from_slice(&start_ns.to_le_bytes());
    let digest = Sha256::digest(input);
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    EntityId(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_what_the_documentation_says() {
        // printf '<28 bytes>' | sha256sum: boot id 00..0f, pid 1, start 2.
        let boot = BootId(std::array::from_fn(|i| u8::try_from(i).unwrap()));
        let text = format!("{:?}", entity_id(boot, 1, 2));
        assert_eq!(text, "2bdc2eeef08dacc413ee4cfbd4453be9");
    }

    #[test]
    fn every_part_counts() {
        let base = entity_id(BootId([7; 16]), 10, 20);
        assert_ne!(base, entity_id(BootId([8; 16]), 10, 20));
        assert_ne!(base, entity_id(BootId([7; 16]), 11, 20));
        assert_ne!(base, entity_id(BootId([7; 16]), 10, 21));
        assert_eq!(base, entity_id(BootId([7; 16]), 10, 20));
    }
}
