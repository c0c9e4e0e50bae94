//! What the user side turns while the programs run: `struct se_switches`, one value of one map.
//!
//! Two parties turn it, the merge windows and the watch lists, each its own field; the map takes the value whole. So
//! both hold this, which remembers the value and writes it under a lock.

use std::sync::{Mutex, PoisonError};

use libbpf_rs::{MapCore as _, MapFlags, MapHandle};

use super::abi::Layout as _;
use super::abi::types::se_switches;

/// See the module.
#[derive(Debug)]
pub struct Switches {
    map: MapHandle,
    value: Mutex<(u32, u32)>,
}

impl Switches {
    pub(super) fn new(map: MapHandle) -> Self {
        Switches { map, value: Mutex::default() }
    }

    /// Sends the programs to the other map of merged events. The number of the one that they leave.
    pub(super) fn flip(&self) -> Result<usize, libbpf_rs::Error> {
        let mut value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        let old = value.0 & 1;
        self.write((old ^ 1, value.1))?;
        value.0 = old ^ 1;
        Ok(old as usize)
    }

    /// Voids every verdict that the programs keep of the watch lists.
    pub(super) fn raise_generation(&self) -> Result<(), libbpf_rs::Error> {
        let mut value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        let next = (value.0, value.1.wrapping_add(1));
        self.write(next)?;
        *value = next;
        Ok(())
    }

    fn write(&self, (window, generation): (u32, u32)) -> Result<(), libbpf_rs::Error> {
        let value = se_switches { window, generation };
        self.map.update(&0_u32.to_ne_bytes(), value.bytes(), MapFlags::ANY)
    }
}
