//! Networks of IPv4: the longest prefix that an address is in.
//!
//! Prefixes are nested or apart, so they cut all addresses into ranges, each of which belongs to one of them or to
//! none. The ranges' beginnings are sorted; every 16th of them stands in a table above, every 16th of those in another,
//! and so on. A look-up reads sixteen neighbours of each table, which the memory delivers together.

use super::mark::Mark;

/// A range that belongs to no network.
const NOBODY: u32 = u32::MAX;

/// Places of a table for one of the table above.
const STRIDE: usize = 16;

/// A network.
#[derive(Debug, Clone, Copy)]
pub(super) struct Network {
    /// Its first address.
    pub(super) first: u32,
    pub(super) mark: Mark,
    pub(super) bits: u8,
}

/// See the module. Networks are added first; [`Networks::seal`] then makes them known.
#[derive(Debug, Default)]
pub(super) struct Networks {
    networks: Vec<Network>,
    starts: Vec<u32>,
    owners: Vec<u32>,
    /// The tables above `starts`, the smallest last.
    tables: Vec<Vec<u32>>,
}

impl Networks {
    /// How many there are; before [`Networks::seal`], with those that are there twice.
    pub(super) fn len(&self) -> usize {
        self.networks.len()
    }

    /// Adds the network of an address. False if there is no room.
    pub(super) fn add(&mut self, address: u32, bits: u8, mark: Mark) -> bool {
        if self.networks.len() >= NOBODY as usize {
            return false;
        }
        self.networks.push(Network { first: address & !low_bits(bits), mark, bits });
        true
    }

    /// Cuts the addresses into ranges.
    pub(super) fn seal(&mut self) {
        // The sort keeps equal ones in their order, so the first of them stays.
        self.networks.sort_by_key(|network| (network.first, network.bits));
        self.networks.dedup_by_key(|network| (network.first, network.bits));
        self.networks.shrink_to_fit();
        let last = |network: &Network| network.first | low_bits(network.bits);
        // Those that the sweep is inside of, the widest first.
        let mut open: Vec<(u32, u32)> = Vec::new();
        for (number, network) in (0_u32..).zip(&self.networks) {
            while let Some((end, _)) = open.pop_if(|(end, _)| *end < network.first) {
                let owner = open.last().map_or(NOBODY, |(_, owner)| *owner);
                if let Some(next) = end.checked_add(1) {
                    begin(&mut self.starts, &mut self.owners, next, owner);
                }
            }
            begin(&mut self.starts, &mut self.owners, network.first, number);
            open.push((last(network), number));
        }
        while let Some((end, _)) = open.pop() {
            let owner = open.last().map_or(NOBODY, |(_, owner)| *owner);
            if let Some(next) = end.checked_add(1) {
                begin(&mut self.starts, &mut self.owners, next, owner);
            }
        }
        self.starts.shrink_to_fit();
        self.owners.shrink_to_fit();
        let mut below = &self.starts;
        while below.len() > STRIDE {
            self.tables.push(below.iter().step_by(STRIDE).copied().collect());
            below = self.tables.last().unwrap_or(&self.starts);
        }
    }

    /// The longest one that the address is in.
    pub(super) fn get(&self, address: u32) -> Option<&Network> {
        let mut at = 0;
        for table in self.tables.iter().rev().chain([&self.starts]) {
            let block = at * STRIDE;
            let neighbours = table.get(block..table.len().min(block + STRIDE))?;
            // All of them are looked at rather than searched: that takes no guessing of branches.
            let not_after = neighbours.iter().filter(|start| **start <= address).count();
            at = (block + not_after).checked_sub(1)?;
        }
        let owner = *self.owners.get(at)?;
        self.networks.get(owner as usize)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.networks.capacity() * size_of::<Network>()
            + (self.starts.capacity() + self.tables.iter().map(Vec::capacity).sum::<usize>())
                * size_of::<u32>()
            + self.owners.capacity() * size_of::<u32>()
    }
}

/// The bits behind a prefix.
fn low_bits(prefix: u8) -> u32 {
    u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0)
}

/// A range begins where another one may have begun already; the later word counts.
fn begin(starts: &mut Vec<u32>, owners: &mut Vec<u32>, start: u32, owner: u32) {
    if starts.last() == Some(&start) {
        if let Some(last) = owners.last_mut() {
            *last = owner;
        }
        return;
    }
    starts.push(start);
    owners.push(owner);
}
