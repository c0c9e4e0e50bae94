//! The memory of what process trees did lately: the last few steps of each, of the trees that were active last.
//!
//! A tree is a session: what a login, a job of cron, a service or a container started. A process whose session nobody
//! leads any more is a tree of its own. Whoever leaves a session for a new one, as daemons and those who hide do, is not
//! cut off from what was before: a finding also gets the steps of the trees that its ancestors lead, as far as they are
//! of an ancestor or of an ancestor's child. Nothing else of another tree is told.
//!
//! Programs that were run, and all else, are kept apart, [`LANE`] of each, so that a tool that reads a thousand files
//! does not push out the commands that led to it. A step like the one before it is counted with it. Memory is taken as
//! trees appear, and when the limit is reached the place of a tree goes to a new one that had no step since the hand came
//! by last, which is nearly the one that was quiet for longest and costs nothing to know.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::judge::Hit;
use super::Before;
use super::step::{Step, Steps, TEXT_MAX};
use crate::event::process::base_name;
use crate::event::{EntityId, Kind, Process};

/// Steps that a finding tells.
pub const TOLD_MAX: usize = 8;

/// Steps that are kept of a tree in each of two lanes.
const LANE: usize = 8;

/// Bytes of a program's name.
const NAME_MAX: usize = 24;

/// Ancestors whose trees are asked.
const ANCESTORS_MAX: usize = 16;

/// What a tree costs, with its place in the map.
const TREE_BYTES: usize = size_of::<Tree>() + 2 * LANE * size_of::<Kept>() + 3 * 16 + 2 * MAP_BYTES;
const MAP_BYTES: usize = size_of::<(EntityId, usize)>() + 1;

/// A step as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preceding {
    /// The event's number; of repeats the last one's.
    pub sequence: u64,
    /// Wall time, nanoseconds; of repeats the last one's.
    pub wall_ns: u64,
    /// What was done.
    pub kind: Kind,
    /// By whom.
    pub pid: u32,
    /// By whom, for good.
    pub entity_id: EntityId,
    /// The last component of the program's path.
    pub name: Box<[u8]>,
    /// The command line, path, address or name that it was about.
    pub text: Box<[u8]>,
    /// There was more of it.
    pub is_cut: bool,
    /// How often in a row.
    pub count: u32,
}

/// A step as it is kept: of fixed size, so that keeping it allocates nothing.
#[derive(Debug, Clone)]
struct Kept {
    sequence: u64,
    wall_ns: u64,
    entity: EntityId,
    /// All zeros if it is not known.
    creator: EntityId,
    pid: u32,
    count: u32,
    kind: Kind,
    name_len: u8,
    text_len: u8,
    is_cut: bool,
    name: [u8; NAME_MAX],
    text: [u8; TEXT_MAX],
}

impl Kept {
    fn new(step: &Step, text: &[u8]) -> Kept {
        let process = &*step.process;
        let name = process.image.name();
        let mut kept = Kept {
            sequence: step.sequence,
            wall_ns: step.wall_ns,
            entity: process.entity_id,
            creator: process.creator.as_ref().map_or(EntityId([0; 16]), |creator| creator.entity_id),
            pid: process.pid,
            count: 1,
            kind: step.kind,
            name_len: 0,
            text_len: 0,
            is_cut: text.len() > TEXT_MAX,
            name: [0; NAME_MAX],
            text: [0; TEXT_MAX],
        };
        kept.name_len = fill(&mut kept.name, base_name(name));
        kept.text_len = fill(&mut kept.text, text);
        kept
    }

    fn text(&self) -> &[u8] {
        self.text.get(..usize::from(self.text_len)).unwrap_or_default()
    }

    /// It is the same once more.
    fn repeats(&self, step: &Step, text: &[u8]) -> bool {
        self.kind == step.kind
            && self.entity == step.process.entity_id
            && self.is_cut == (text.len() > TEXT_MAX)
            && self.text() == text.get(..TEXT_MAX).unwrap_or(text)
    }

    fn told(&self) -> Preceding {
        // Arguments end in NULs and are told with blanks, as everywhere.
        let text = self.text();
        let text = text.strip_suffix(&[0]).unwrap_or(text);
        Preceding {
            sequence: self.sequence,
            wall_ns: self.wall_ns,
            kind: self.kind,
            pid: self.pid,
            entity_id: self.entity,
            name: self.name.get(..usize::from(self.name_len)).unwrap_or_default().into(),
            text: text.iter().map(|&byte| if byte == 0 { b' ' } else { byte }).collect(),
            is_cut: self.is_cut,
            count: self.count,
        }
    }
}

/// Copies as much as there is room for.
fn fill(place: &mut [u8], bytes: &[u8]) -> u8 {
    let len = bytes.len().min(place.len());
    if let (Some(place), Some(bytes)) = (place.get_mut(..len), bytes.get(..len)) {
        place.copy_from_slice(bytes);
    }
    u8::try_from(len).unwrap_or(0)
}

/// The last steps of one sort.
#[derive(Debug, Default)]
struct Lane {
    kept: Vec<Kept>,
    /// Where the next goes once all places are taken: the oldest.
    next: usize,
}

impl Lane {
    fn push(&mut self, step: &Step, text: &[u8]) {
        let newest = (self.next + LANE - 1) % LANE;
        let newest = if self.kept.len() < LANE { self.kept.len().wrapping_sub(1) } else { newest };
        if let Some(last) = self.kept.get_mut(newest)
            && last.repeats(step, text)
        {
            last.count = last.count.saturating_add(1);
            (last.sequence, last.wall_ns) = (step.sequence, step.wall_ns);
            return;
        }
        if self.kept.len() < LANE {
            self.kept.push(Kept::new(step, text));
        } else if let Some(oldest) = self.kept.get_mut(self.next) {
            *oldest = Kept::new(step, text);
            self.next = (self.next + 1) % LANE;
        }
    }
}

/// What is known of a tree.
#[derive(Debug, Default)]
struct Tree {
    key: Option<EntityId>,
    /// It had a step since the hand came by.
    is_active: bool,
    execs: Lane,
    others: Lane,
}

impl Tree {
    fn begin(&mut self, key: EntityId) {
        self.key = Some(key);
        for lane in [&mut self.execs, &mut self.others] {
            lane.kept.clear();
            lane.next = 0;
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Memory {
    trees: Vec<Tree>,
    trees_max: usize,
    places: HashMap<EntityId, usize>,
    /// The tree that is looked at first when a place is needed.
    hand: usize,
    /// The tree of the latest step: the next one often is of the same.
    latest: Option<(EntityId, usize)>,
}

impl Memory {
    /// Of at most so many bytes, but of one tree in any case.
    pub fn new(limit_bytes: usize) -> Memory {
        let trees_max = (limit_bytes / TREE_BYTES).max(1);
        Memory { trees: Vec::new(), trees_max, places: HashMap::new(), hand: 0, latest: None }
    }

    /// Nothing was ever kept.
    pub fn is_empty(&self) -> bool {
        self.trees.is_empty()
    }

    /// What it takes beside itself, bytes.
    #[cfg(test)]
    pub fn heap_bytes(&self) -> usize {
        let kept = |lane: &Lane| lane.kept.capacity() * size_of::<Kept>();
        let trees = self.trees.capacity() * size_of::<Tree>();
        let steps = self.trees.iter().map(|tree| kept(&tree.execs) + kept(&tree.others)).sum::<usize>();
        trees + steps + self.places.capacity() * MAP_BYTES * 8 / 7
    }

    /// Takes in the steps of a batch, and passes the hits on, each with what is known by its event.
    pub fn take(&mut self, steps: &mut Steps, hits: Vec<Hit>, out: &mut Vec<Hit>) {
        let mut hits = hits.into_iter().peekable();
        let mut before: Option<(u64, Before)> = None;
        for (step, text) in steps.each() {
            while let Some(hit) = hits.next_if(|hit| hit.sequence <= step.sequence) {
                out.push(self.complete(hit, &mut before));
            }
            self.push(step, text);
        }
        for hit in hits {
            out.push(self.complete(hit, &mut before));
        }
    }

    /// The hit with what precedes it; hits of one event share it.
    fn complete(&self, mut hit: Hit, before: &mut Option<(u64, Before)>) -> Hit {
        let known = before.as_ref().filter(|(sequence, _)| *sequence == hit.sequence);
        let told = known.map_or_else(|| self.before(&hit), |(_, told)| Arc::clone(told));
        *before = Some((hit.sequence, Arc::clone(&told)));
        hit.preceding = told;
        hit
    }

    fn push(&mut self, step: &Step, text: &[u8]) {
        let at = self.place(step);
        if let Some(tree) = self.trees.get_mut(at) {
            tree.is_active = true;
            if step.kind == Kind::Exec { &mut tree.execs } else { &mut tree.others }.push(step, text);
        }
    }

    /// Where the tree of the step is; a place is made if there is none.
    fn place(&mut self, step: &Step) -> usize {
        let key = step.leader.unwrap_or(step.process.entity_id);
        if let Some((latest, at)) = self.latest
            && latest == key
        {
            return at;
        }
        let at = self.places.get(&key).copied().unwrap_or_else(|| self.make(key));
        self.latest = Some((key, at));
        at
    }

    fn make(&mut self, key: EntityId) -> usize {
        let at = if self.trees.len() < self.trees_max {
            self.trees.push(Tree::default());
            self.trees.len() - 1
        } else {
            self.quiet()
        };
        if let Some(tree) = self.trees.get_mut(at) {
            if let Some(old) = tree.key {
                self.places.remove(&old);
            }
            tree.begin(key);
            self.places.insert(key, at);
        }
        at
    }

    /// A tree without a step since it was looked at last.
    fn quiet(&mut self) -> usize {
        loop {
            let at = self.hand;
            self.hand = (self.hand + 1) % self.trees.len().max(1);
            match self.trees.get_mut(at) {
                Some(tree) if tree.is_active => tree.is_active = false,
                _ => return at,
            }
        }
    }

    /// The last steps of the tree of the hit's process, and of its ancestors in theirs.
    fn before(&self, hit: &Hit) -> Before {
        let Some(process) = hit.process.as_deref() else { return Arc::default() };
        let family: Vec<EntityId> = lineage(process).take(ANCESTORS_MAX + 1).collect();
        let own = hit.session_leader.unwrap_or(process.entity_id);
        let (mut execs, mut others) = (Vec::new(), Vec::new());
        for key in std::iter::once(&own).chain(family.iter().filter(|id| **id != own)) {
            let Some(tree) = self.places.get(key).and_then(|at| self.trees.get(*at)) else { continue };
            let is_ours =
                |kept: &&Kept| *key == own || family.contains(&kept.entity) || family.contains(&kept.creator);
            execs.extend(tree.execs.kept.iter().filter(is_ours));
            others.extend(tree.others.kept.iter().filter(is_ours));
        }
        for lane in [&mut execs, &mut others] {
            lane.sort_unstable_by_key(|kept| std::cmp::Reverse(kept.sequence));
        }
        // Each sort has half of the room, and what the other leaves.
        let half = TOLD_MAX / 2;
        let of_execs = execs.len().min(half.max(TOLD_MAX.saturating_sub(others.len())));
        execs.truncate(of_execs);
        others.truncate(TOLD_MAX - of_execs);
        let mut told: Vec<&Kept> = execs.into_iter().chain(others).collect();
        told.sort_unstable_by_key(|kept| kept.sequence);
        told.into_iter().map(Kept::told).collect()
    }
}

/// The process and its ancestors, the nearest first.
fn lineage(process: &Process) -> impl Iterator<Item = EntityId> {
    std::iter::once(process.entity_id).chain(process.ancestors().map(|ancestor| ancestor.entity_id))
}
