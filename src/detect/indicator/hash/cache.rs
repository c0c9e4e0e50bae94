//! Digests that are known, by the identities of files; the one not asked for longest goes first.

use std::collections::{BTreeMap, HashMap};

use super::{Identity, Sha256};

#[derive(Debug)]
struct Known {
    digest: Sha256,
    tick: u64,
}

/// See the module.
#[derive(Debug)]
pub struct HashCache {
    most: usize,
    known: HashMap<Identity, Known>,
    order: BTreeMap<u64, Identity>,
    next_tick: u64,
}

impl Default for HashCache {
    /// Of 16,384 files.
    fn default() -> Self {
        HashCache::new(16_384)
    }
}

impl HashCache {
    /// Of at most this many files, one at least.
    pub fn new(most: usize) -> Self {
        HashCache { most: most.max(1), known: HashMap::new(), order: BTreeMap::new(), next_tick: 0 }
    }

    /// The digest of this file.
    pub fn get(&mut self, identity: &Identity) -> Option<Sha256> {
        let known = self.known.get_mut(identity)?;
        self.order.remove(&known.tick);
        self.order.insert(self.next_tick, *identity);
        known.tick = self.next_tick;
        self.next_tick += 1;
        Some(known.digest)
    }

    /// Keeps the digest of this file.
    pub fn insert(&mut self, identity: Identity, digest: Sha256) {
        let tick = self.next_tick;
        self.next_tick += 1;
        if let Some(before) = self.known.insert(identity, Known { digest, tick }) {
            self.order.remove(&before.tick);
        }
        self.order.insert(tick, identity);
        while self.known.len() > self.most {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.known.remove(&oldest);
        }
    }

    /// Files whose digests are known.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// None is.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}
