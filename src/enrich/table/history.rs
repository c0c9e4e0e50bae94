//! What a process ran before its last exec, for events that come late.
//!
//! Records of the bulk ring may be read long after those of the critical one: an open that came before an exec is then
//! applied after it, and the table's entry already shows the new program. The nodes that execs replaced are kept
//! here for that, [`HISTORY_MAX`] of them and for [`HISTORY_NS`]. Whoever is later than that gets the new program.
//!
//! Memory: a node of 64 bytes each, and an image where no other process still runs the program; 8 MiB for an
//! attacker who execs with as many arguments as are kept.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::event::Process;

/// Most replaced nodes: some seconds of a busy build.
const HISTORY_MAX: usize = 2048;

/// How long one is kept. The bulk ring is not that far behind unless the agent was stopped.
const HISTORY_NS: u64 = 10_000_000_000;

/// Nodes that an exec replaced, oldest first.
#[derive(Debug, Default)]
pub(super) struct History(VecDeque<Replaced>);

#[derive(Debug)]
struct Replaced {
    node: Arc<Process>,
    /// When the exec was.
    until_ns: u64,
}

impl History {
    /// At this time an exec replaced the node.
    pub fn replaced(&mut self, node: &Arc<Process>, until_ns: u64) {
        while self.0.len() >= HISTORY_MAX || self.0.front().is_some_and(|old| is_over(old, until_ns)) {
            self.0.pop_front();
        }
        self.0.push_back(Replaced { node: Arc::clone(node), until_ns });
    }

    /// The node that the process had at this time; `None` if it is still the present one, or not known any more.
    pub fn at(&self, present: &Process, time_ns: u64) -> Option<Arc<Process>> {
        let is_same = |old: &&Replaced| (old.node.pid, old.node.start_ns) == (present.pid, present.start_ns);
        let later = self.0.iter().rev().filter(is_same).filter(|old| old.until_ns > time_ns);
        later.min_by_key(|old| old.until_ns).map(|old| Arc::clone(&old.node))
    }

    /// Forgets what is over at this time.
    pub fn tick(&mut self, now_ns: u64) {
        while self.0.front().is_some_and(|old| is_over(old, now_ns)) {
            self.0.pop_front();
        }
    }
}

fn is_over(old: &Replaced, now_ns: u64) -> bool {
    old.until_ns.saturating_add(HISTORY_NS) < now_ns
}
