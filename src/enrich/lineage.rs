//! Ancestor chains: how nodes are linked, how long a chain may get, and how many nodes there may be.
//!
//! Nodes are immutable and shared, so a chain keeps its ancestors in memory after they left the table. Two
//! bounds hold:
//!
//! - **Length.** A chain is cut to the configured number of ancestors when it has twice as many. The cut copies
//!   the ancestors that stay, once per as many forks, and the copy replaces the creator's own node, so the
//!   creator's next children find a short chain.
//! - **Number.** Whoever forks chains of processes that exit and leave one alive at the end of each could keep
//!   (entries x length) nodes in memory. So every node and image made is counted, and when the count, from which
//!   nothing is subtracted, passes a threshold, a *census* walks all chains from the entries and finds the true
//!   number. If that is too large, the most distant ancestors go first: the walk goes level by level, and the
//!   chains are cut behind the last level that fits. The direct creator of an entry always stays.
//!
//! In ordinary operation a census is rare (one in some 100,000 processes) and finds that nearly all nodes are
//! gone. The cost under attack: one walk over at most 3 nodes per entry, every `entries / 2` forks.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::sync::Arc;

use super::image;
use crate::event::{Image, Process};

/// Most nodes per entry of the table's limit.
const NODES_PER_ENTRY: usize = 3;
/// Most bytes of images per entry of the table's limit.
const IMAGE_BYTES_PER_ENTRY: usize = 1024;

/// Counts of nodes and images since the last census, and the thresholds.
#[derive(Debug)]
pub(super) struct Budget {
    nodes_max: usize,
    image_bytes_max: usize,
    nodes: usize,
    image_bytes: usize,
    nodes_threshold: usize,
    image_bytes_threshold: usize,
    /// Images take so much room that new ones must be small.
    pub lean: bool,
}

impl Budget {
    pub fn new(table_entries: usize) -> Self {
        let (nodes_max, image_bytes_max) =
            (table_entries * NODES_PER_ENTRY, table_entries * IMAGE_BYTES_PER_ENTRY);
        Budget {
            nodes_max,
            image_bytes_max,
            nodes: 0,
            image_bytes: 0,
            nodes_threshold: nodes_max,
            image_bytes_threshold: image_bytes_max,
            lean: false,
        }
    }

    /// Counts a new node.
    pub fn node(&mut self) {
        self.nodes += 1;
    }

    /// Counts a new image.
    pub fn image(&mut self, bytes: usize) {
        self.image_bytes += bytes;
    }

    /// A census is due.
    pub fn is_due(&self) -> bool {
        self.nodes > self.nodes_threshold || self.image_bytes > self.image_bytes_threshold
    }

    /// How many levels of ancestors may stay, given a census; `None`: all.
    pub fn levels(&self, census: &Census<'_>) -> Option<usize> {
        let (nodes, bytes) = census.totals();
        let nodes_goal = self.nodes_max - self.nodes_max / 6;
        let bytes_goal = self.image_bytes_max - self.image_bytes_max / 4;
        if nodes <= nodes_goal && bytes <= bytes_goal {
            return None;
        }
        let bytes_goal = if bytes > bytes_goal { self.image_bytes_max / 2 } else { bytes_goal };
        let (mut nodes, mut bytes) = (0, 0);
        let fitting = census.levels.iter().take_while(|level| {
            nodes += level.nodes.len();
            bytes += level.image_bytes;
            nodes <= nodes_goal && bytes <= bytes_goal
        });
        // Level 0, the entries themselves, is not for this to remove.
        Some(fitting.count().max(1))
    }

    /// Takes over what a census found after any cut, and sets the next thresholds. Each is far enough above the
    /// count that the next census is paid for by what happens until then, even if nothing could be cut.
    pub fn settle(&mut self, nodes: usize, image_bytes: usize) {
        (self.nodes, self.image_bytes) = (nodes, image_bytes);
        self.nodes_threshold = self.nodes_max.max(nodes + self.nodes_max / 6);
        self.image_bytes_threshold = self.image_bytes_max.max(image_bytes + self.image_bytes_max / 8);
        let full = if self.lean { self.image_bytes_max / 2 } else { self.image_bytes_max * 3 / 4 };
        self.lean = image_bytes > full;
    }
}

/// A node of `pid` that `creator` made.
pub(super) fn depth_below(creator: Option<&Arc<Process>>) -> u16 {
    creator.map_or(0, |c| c.depth.saturating_add(1))
}

/// A copy of the chain from `node` with `ancestors` ancestors at most.
pub(super) fn cut(node: &Process, ancestors: u16) -> Arc<Process> {
    let kept: Vec<&Process> =
        std::iter::once(node).chain(node.ancestors()).take(usize::from(ancestors) + 1).collect();
    let mut creator = None;
    for process in kept.into_iter().rev() {
        creator = Some(copy(process, creator));
    }
    // `kept` has at least `node` itself.
    creator.unwrap_or_else(|| copy(node, None))
}

/// The same process at the same moment, behind another creator node.
pub(super) fn copy(process: &Process, creator: Option<Arc<Process>>) -> Arc<Process> {
    Arc::new(Process {
        pid: process.pid,
        start_ns: process.start_ns,
        entity_id: process.entity_id,
        image: Arc::clone(&process.image),
        depth: depth_below(creator.as_ref()),
        creator,
    })
}

/// The same process with another program.
pub(super) fn with_image(process: &Process, image: Arc<Image>) -> Arc<Process> {
    Arc::new(Process {
        pid: process.pid,
        start_ns: process.start_ns,
        entity_id: process.entity_id,
        image,
        creator: process.creator.clone(),
        depth: process.depth,
    })
}

/// Nodes at the same distance from the nearest entry.
#[derive(Debug, Default)]
struct Level<'a> {
    nodes: Vec<&'a Arc<Process>>,
    /// Bytes of the images first met in this level.
    image_bytes: usize,
}

/// Every node that the entries keep in memory, by distance from the nearest entry.
#[derive(Debug)]
pub(super) struct Census<'a> {
    levels: Vec<Level<'a>>,
    /// Level by address.
    distance: HashMap<usize, usize>,
}

impl<'a> Census<'a> {
    /// Walks all chains from the entries' nodes, breadth first.
    pub fn take(entries: impl Iterator<Item = &'a Arc<Process>>) -> Self {
        let mut distance = HashMap::new();
        let mut images = HashMap::new();
        let mut levels = Vec::new();
        let mut nodes: Vec<&Arc<Process>> = entries.collect();
        while !nodes.is_empty() {
            nodes.retain(|node| match distance.entry(address(node)) {
                MapEntry::Vacant(place) => {
                    place.insert(levels.len());
                    true
                }
                MapEntry::Occupied(_) => false,
            });
            let fresh = nodes.iter().filter(|node| images.insert(address(&node.image), ()).is_none());
            let image_bytes = fresh.map(|node| image::bytes(&node.image)).sum();
            let next = nodes.iter().filter_map(|node| node.creator.as_ref()).collect();
            levels.push(Level { nodes: std::mem::replace(&mut nodes, next), image_bytes });
        }
        Census { levels, distance }
    }

    /// Nodes, and bytes of images.
    pub fn totals(&self) -> (usize, usize) {
        self.levels.iter().fold((0, 0), |(nodes, bytes), l| (nodes + l.nodes.len(), bytes + l.image_bytes))
    }

    /// What to put in the place of which node (by [`address`]) so that only the first `keep` levels stay.
    pub fn cut_behind(&self, keep: usize) -> HashMap<usize, Arc<Process>> {
        let mut kept: Vec<&Arc<Process>> =
            self.levels.iter().take(keep).flat_map(|l| &l.nodes).copied().collect();
        // Creators have shorter chains than those they created, so every node finds its creator's copy made.
        kept.sort_unstable_by_key(|node| node.depth);
        let mut copies: HashMap<usize, Arc<Process>> = HashMap::new();
        for node in kept {
            let Some(creator) = &node.creator else { continue };
            let at = address(creator);
            if self.distance.get(&at).is_none_or(|&level| level >= keep) {
                copies.insert(address(node), copy(node, None));
            } else if let Some(replaced) = copies.get(&at) {
                let replaced = copy(node, Some(Arc::clone(replaced)));
                copies.insert(address(node), replaced);
            }
        }
        copies
    }
}

/// The address that identifies a shared value while it is alive.
pub(super) fn address<T>(shared: &Arc<T>) -> usize {
    Arc::as_ptr(shared).addr()
}
