//! The process table: which process a pid stood for at an event, what it ran, and who created it.
//!
//! One thread owns it and applies every event in the order of the ring. Entries are keyed by pid and start time,
//! so a reused pid is another entry. An entry points at an immutable node ([`Process`]): a fork makes a node
//! that points at its creator's, an exec replaces the node, and whoever took a node with an event keeps what was
//! true at that event.
//!
//! **Exits.** An exited process stays for [`EXITED_KEEP_NS`], at most an eighth of the table, because events of
//! other processes that name it may come later. An exit that was seen is final.
//!
//! **Losses.** An event of an unknown process makes an entry from what the event itself says and counts a miss;
//! of the program only the short name is known then. A younger process with the same pid proves the older one
//! gone.
//!
//! **Credentials.** An entry remembers what the last record that holds them all said: a fork, an exec, a snapshot or
//! a change. So a change can be told with what was before, on hosts whose kernel side sees only the result. A
//! thread that changes its own alone, which only raw system calls do, is taken for its process.
//!
//! **Late events.** Those of the bulk ring may be applied after an exec that they came before; they are about the
//! program that ran then, see `history`.
//!
//! **Snapshots** of all processes, at start and after losses: see `resync`.
//!
//! **Memory.** `table_entries` entries at most. When it is full the one that exited first goes, else the living
//! one not seen for the longest time. A process takes 82 bytes in the table and its index, 64 in its node, 104 in
//! the credentials that it shares with its children until either changes them, and
//! some 200 in the image that it shares with its children until they exec: 96 and the texts. See
//! `lineage` for the bounds on nodes and images. Worst case with the default of 65,536 entries, reached
//! only by someone who tries, the allocator's rounding aside: 6 MiB for the table, 7 MiB for credentials, 12 MiB for
//! nodes and 64 MiB for images, and more only while a census cuts chains, as events in work hold on to what they have.

mod history;
mod resync;

use std::sync::Arc;

use super::Config;
use super::entries::{Entries, Entry, Held, Slot, State};
use super::identity::entity_id;
use super::image::{self, Keep};
use super::lineage::{self, Budget, Census};
use super::subject::Subject;
use crate::event::{Body, BootId, Creds, EntityId, Event, Exec, Exit, Fork, Image, Process, Target, Task};
use crate::metrics::Metrics;
use history::History;

/// How long an exited process stays known.
pub const EXITED_KEEP_NS: u64 = 60_000_000_000;

/// Length of a clock tick as /proc counts start times: USER_HZ is 100 on every architecture.
pub const TICK_NS: u64 = 10_000_000;

/// The smallest table that works: the processes that one event names must fit.
const ENTRIES_MIN: usize = 16;
/// Longest chain limit. Dropping a chain recurses once an ancestor, so it has to be far below what a stack holds.
const ANCESTORS_MAX: u16 = 512;

/// See the module.
#[derive(Debug)]
pub struct Table {
    entries: Entries,
    budget: Budget,
    boot: BootId,
    entries_max: usize,
    ancestors: u16,
    keep: Keep,
    /// Number of the last snapshot, and when it began while it is being taken.
    round: u8,
    resync_begin_ns: Option<u64>,
    /// The image of processes of which not even the short name is known.
    nothing: Arc<Image>,
    history: History,
    metrics: Arc<Metrics>,
}

impl Table {
    /// An empty table for this boot.
    pub fn new(config: &Config, boot: BootId, metrics: Arc<Metrics>) -> Self {
        let entries_max = config.table_entries.max(ENTRIES_MIN);
        Table {
            entries: Entries::new(),
            budget: Budget::new(entries_max),
            boot,
            entries_max,
            ancestors: config.ancestors.clamp(1, ANCESTORS_MAX),
            keep: Keep::full(config.args_keep_bytes),
            round: 0,
            resync_begin_ns: None,
            nothing: Arc::new(Image::default()),
            history: History::default(),
            metrics,
        }
    }

    /// Takes over changed settings. A smaller table shrinks with the next processes that come.
    pub fn reconfigure(&mut self, config: &Config) {
        self.entries_max = config.table_entries.max(ENTRIES_MIN);
        self.ancestors = config.ancestors.clamp(1, ANCESTORS_MAX);
        self.keep = Keep::full(config.args_keep_bytes);
        self.budget = Budget::new(self.entries_max);
        self.take_census();
    }

    /// Brings the table up to date with an event and says whom it is about. Containers are not filled in here.
    pub fn apply(&mut self, event: &Event<'_>) -> Subject {
        let time_ns = event.time_ns;
        match &event.body {
            Body::Fork(fork) => self.fork(time_ns, fork),
            Body::Exec(exec) => self.exec(time_ns, exec),
            Body::Exit(exit) => self.exit(time_ns, exit),
            Body::ExecFailed(_) | Body::File(_) | Body::Network(_) => {
                let Some(task) = event.task() else { return Subject::default() };
                let slot = self.acting(time_ns, task);
                let mut subject = self.subject(slot, time_ns, task);
                let entry = self.entries.at(slot);
                if time_ns < entry.image_ns
                    && let Some(then) = self.history.at(&entry.node, time_ns)
                {
                    subject.process = Some(then);
                }
                subject
            }
            Body::Credentials(event) => {
                let slot = self.acting(time_ns, &event.task);
                // A snapshot that was faster has brought the new ones already.
                let held = self.entries.at(slot).held.as_deref().filter(|held| held.since_ns <= time_ns);
                let old_creds = held.map(|held| Box::new(held.creds));
                self.holds(slot, time_ns, &event.task);
                Subject { old_creds, ..self.subject(slot, time_ns, &event.task) }
            }
            Body::Privilege(event) => {
                let target = event.target.as_ref().map(|target| self.target(target));
                let slot = self.acting(time_ns, &event.task);
                Subject { target, ..self.subject(slot, time_ns, &event.task) }
            }
            Body::Snapshot(snapshot) => self.snapshot(time_ns, snapshot, None),
            Body::Cgroup(_) => Subject::default(),
        }
    }

    fn fork(&mut self, time_ns: u64, fork: &Fork<'_>) -> Subject {
        let task = &fork.task;
        let creator = self.creator(time_ns, fork);
        let incomplete = creator.as_ref().is_none_or(|(_, guessed)| *guessed);
        let creator = creator.map(|(node, _)| node);
        let image = match &creator {
            Some(c) if c.image.kernel_thread == task.kernel_thread => Arc::clone(&c.image),
            _ => self.image(image::unknown(task)),
        };
        let slot = match self.find(task.pid, task.start_ns) {
            // A snapshot was faster; it knew the parent only.
            Some(slot) => {
                let entry = self.entries.at_mut(slot);
                if entry.guessed() {
                    entry.node = lineage::copy(&entry.node, creator);
                    self.budget.node();
                }
                if entry.image_ns == 0 {
                    entry.node = lineage::with_image(&entry.node, image);
                    entry.image_ns = time_ns;
                    self.budget.node();
                }
                self.seen(slot, time_ns);
                slot
            }
            None => {
                let node = self.node(task.pid, task.start_ns, image, creator);
                self.insert(Entry::new(node, time_ns), time_ns)
            }
        };
        self.entries.at_mut(slot).set_guessed(incomplete);
        if let Some(creator) = self.find(fork.creator_pid, fork.creator_start_ns) {
            // Most children have what their creator has, and then share it.
            let held = self.entries.at(creator).held.clone();
            let entry = self.entries.at_mut(slot);
            entry.held = entry.held.take().or(held);
        }
        self.holds(slot, time_ns, task);
        self.subject(slot, time_ns, task)
    }

    /// Notes the credentials of a process, from a record that holds them all.
    fn holds(&mut self, slot: Slot, time_ns: u64, task: &Task<'_>) {
        let creds = Creds::from(task);
        let entry = self.entries.at_mut(slot);
        if entry.held.as_ref().is_none_or(|held| held.since_ns <= time_ns && held.creds != creds) {
            entry.held = Some(Arc::new(Held { since_ns: time_ns, creds }));
        }
    }

    /// The node of a process that something was done to; of one that is not known, with nothing but its identity.
    fn target(&mut self, target: &Target<'_>) -> Arc<Process> {
        match self.find(target.pid, target.start_ns) {
            Some(slot) => Arc::clone(&self.entries.at(slot).node),
            None => {
                let nothing = Arc::clone(&self.nothing);
                self.node(target.pid, target.start_ns, nothing, None)
            }
        }
    }

    /// Who called clone, and whether a part of its chain is missing.
    fn creator(&mut self, time_ns: u64, fork: &Fork<'_>) -> Option<(Arc<Process>, bool)> {
        if fork.creator_pid == 0 {
            return None;
        }
        if let Some(slot) = self.find(fork.creator_pid, fork.creator_start_ns) {
            self.seen(slot, time_ns);
            return Some((self.creator_node(slot), self.entries.at(slot).guessed()));
        }
        self.metrics.table_misses.inc();
        // The child's short name is still its creator's.
        let image = self.image(image::unknown(&fork.task));
        Some((self.placeholder(time_ns, fork.creator_pid, fork.creator_start_ns, image), true))
    }

    fn exec(&mut self, time_ns: u64, exec: &Exec<'_>) -> Subject {
        let slot = self.acting(time_ns, &exec.task);
        self.holds(slot, time_ns, &exec.task);
        let image = self.image(self.kept().of_exec(exec));
        let entry = self.entries.at_mut(slot);
        let node = lineage::with_image(&entry.node, image);
        self.budget.node();
        if time_ns >= entry.image_ns {
            self.history.replaced(&entry.node, time_ns);
            entry.node = Arc::clone(&node);
            entry.image_ns = time_ns;
            entry.set_shown(false);
        } else if entry.shown() {
            self.disown(slot, time_ns);
        }
        let subject = self.subject(slot, time_ns, &exec.task);
        self.keep_within_budget();
        Subject { process: Some(node), ..subject }
    }

    fn exit(&mut self, time_ns: u64, exit: &Exit<'_>) -> Subject {
        let slot = self.acting(time_ns, &exit.task);
        self.entries.end(slot, time_ns, State::Exited);
        let subject = self.subject(slot, time_ns, &exit.task);
        while self.entries.exited_len() > self.entries_max / 8
            && let Some(oldest) = self.entries.oldest_exited()
        {
            self.entries.remove(oldest);
        }
        subject
    }

    /// Forgets processes that exited long ago, and brings the gauges up to date. `count_nodes` asks for the true
    /// number of nodes, which costs a walk over all of them.
    pub fn tick(&mut self, now_ns: u64, count_nodes: bool) {
        while let Some(oldest) = self.entries.oldest_exited()
            && self.entries.at(oldest).exit_ns.saturating_add(EXITED_KEEP_NS) <= now_ns
        {
            self.entries.remove(oldest);
        }
        self.history.tick(now_ns);
        if count_nodes {
            self.take_census();
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        self.metrics.table_entries.set(self.entries.len() as f64);
    }

    /// The process that holds this pid now.
    pub fn alive(&self, pid: u32) -> Option<Arc<Process>> {
        self.entries.alive_of(pid).map(|slot| Arc::clone(&self.entries.at(slot).node))
    }

    /// Processes in the table, alive and lately exited.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The table is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn find(&mut self, pid: u32, start_ns: u64) -> Option<Slot> {
        self.entries.find(pid, start_ns, TICK_NS, self.boot)
    }

    /// The entry of the acting process, made if there is none, completed if it came from a look at its child.
    fn acting(&mut self, time_ns: u64, task: &Task<'_>) -> Slot {
        let lacks_creator = |entry: &Entry| entry.guessed() && entry.node.creator.is_none();
        let known = self.find(task.pid, task.start_ns);
        let is_complete = known.is_some_and(|slot| !lacks_creator(self.entries.at(slot)));
        // To be asked first: an entry made for the parent can push out another one.
        let parent = if is_complete { None } else { self.parent(time_ns, task) };
        let Some(slot) = self.find(task.pid, task.start_ns) else {
            self.metrics.table_misses.inc();
            let image = self.image(image::unknown(task));
            let node = self.node(task.pid, task.start_ns, image, parent);
            // Its image was not seen to begin, so whatever is learned of it is better.
            return self.insert(Entry::guess(node, 0), time_ns);
        };
        if parent.is_some() {
            let entry = self.entries.at_mut(slot);
            entry.node = lineage::copy(&entry.node, parent);
            self.budget.node();
        }
        let image = &self.entries.at(slot).node.image;
        // Kernel threads name themselves after they were forked.
        let is_renamed = task.kernel_thread && *image.executable != *task.comm;
        if is_renamed || image.executable.is_empty() {
            let known_ns = self.entries.at(slot).image_ns;
            self.set_image(slot, known_ns, image::unknown(task));
        }
        self.seen(slot, time_ns);
        slot
    }

    fn subject(&mut self, slot: Slot, time_ns: u64, task: &Task<'_>) -> Subject {
        let process = Arc::clone(&self.entries.at(slot).node);
        Subject {
            session_leader: self.session_leader(slot, &process, task),
            process: Some(process),
            parent: self.parent(time_ns, task),
            ..Subject::default()
        }
    }

    /// The leader of the session that the record names, or that the process was in when one last named it.
    fn session_leader(&mut self, slot: Slot, process: &Process, task: &Task<'_>) -> Option<EntityId> {
        let entry = self.entries.at_mut(slot);
        if !task.brief {
            (entry.sid, entry.leader_start_ns) = (task.sid, task.leader_start_ns);
        }
        let (sid, leader_start_ns) = (entry.sid, entry.leader_start_ns);
        if sid == 0 || leader_start_ns == 0 {
            return None;
        }
        if (sid, leader_start_ns) == (process.pid, process.start_ns) {
            return Some(process.entity_id);
        }
        let known = self.find(sid, leader_start_ns);
        Some(match known {
            Some(slot) => self.entries.at(slot).node.entity_id,
            None => entity_id(self.boot, sid, leader_start_ns),
        })
    }

    /// The real parent's node. A parent that is not known gets an entry with nothing but its identity.
    fn parent(&mut self, time_ns: u64, task: &Task<'_>) -> Option<Arc<Process>> {
        if task.ppid == 0 {
            return None;
        }
        if let Some(slot) = self.find(task.ppid, task.parent_start_ns) {
            self.entries.touch(slot);
            return Some(Arc::clone(&self.entries.at(slot).node));
        }
        let nothing = Arc::clone(&self.nothing);
        Some(self.placeholder(time_ns, task.ppid, task.parent_start_ns, nothing))
    }

    fn placeholder(&mut self, time_ns: u64, pid: u32, start_ns: u64, image: Arc<Image>) -> Arc<Process> {
        let node = self.node(pid, start_ns, image, None);
        self.insert(Entry::guess(Arc::clone(&node), 0), time_ns);
        node
    }

    /// The node that a child of this process points at; its chain is cut first if the child's became too long.
    fn creator_node(&mut self, slot: Slot) -> Arc<Process> {
        let node = &self.entries.at(slot).node;
        if node.depth >= 2 * self.ancestors {
            let short = lineage::cut(node, self.ancestors);
            (0..=self.ancestors).for_each(|_| self.budget.node());
            self.entries.at_mut(slot).node = short;
        }
        Arc::clone(&self.entries.at(slot).node)
    }

    fn node(
        &mut self,
        pid: u32,
        start_ns: u64,
        image: Arc<Image>,
        creator: Option<Arc<Process>>,
    ) -> Arc<Process> {
        self.budget.node();
        Arc::new(Process {
            pid,
            start_ns,
            entity_id: entity_id(self.boot, pid, start_ns),
            image,
            depth: lineage::depth_below(creator.as_ref()),
            creator,
        })
    }

    fn kept(&self) -> Keep {
        if self.budget.lean { Keep::LEAN } else { self.keep }
    }

    fn image(&mut self, image: Image) -> Arc<Image> {
        self.budget.image(image::bytes(&image));
        Arc::new(image)
    }

    /// Says whether it was another image.
    fn set_image(&mut self, slot: Slot, time_ns: u64, image: Image) -> bool {
        let changed = *self.entries.at(slot).node.image != image;
        if changed {
            let image = self.image(image);
            let entry = self.entries.at_mut(slot);
            entry.node = lineage::with_image(&entry.node, image);
            self.budget.node();
        }
        self.entries.at_mut(slot).image_ns = time_ns;
        changed
    }

    /// The process acts or is shown at this time.
    fn seen(&mut self, slot: Slot, time_ns: u64) {
        let entry = self.entries.at(slot);
        if entry.state == State::Presumed && time_ns > entry.exit_ns {
            self.entries.revive(slot);
        }
        self.entries.touch(slot);
    }

    fn insert(&mut self, entry: Entry, time_ns: u64) -> Slot {
        while self.entries.len() >= self.entries_max {
            let oldest = self.entries.oldest_exited().or_else(|| self.entries.oldest_alive());
            let Some(oldest) = oldest else { break };
            self.entries.remove(oldest);
            self.metrics.table_evictions.inc();
        }
        let slot = self.entries.insert(entry, time_ns);
        self.keep_within_budget();
        slot
    }

    fn keep_within_budget(&mut self) {
        if self.budget.is_due() {
            self.take_census();
        }
    }

    /// Counts the nodes and images in memory, and cuts the chains if there are too many.
    fn take_census(&mut self) {
        let slots: Vec<Slot> = self.entries.slots().collect();
        let census = Census::take(slots.iter().map(|&slot| &self.entries.at(slot).node));
        let (mut nodes, mut image_bytes) = census.totals();
        if let Some(levels) = self.budget.levels(&census) {
            let copies = census.cut_behind(levels);
            for slot in &slots {
                let entry = self.entries.at_mut(*slot);
                if let Some(copy) = copies.get(&lineage::address(&entry.node)) {
                    entry.node = Arc::clone(copy);
                }
            }
            drop(copies);
            let census = Census::take(slots.iter().map(|&slot| &self.entries.at(slot).node));
            (nodes, image_bytes) = census.totals();
        }
        self.budget.settle(nodes, image_bytes);
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        self.metrics.table_nodes.set(nodes as f64);
    }
}
