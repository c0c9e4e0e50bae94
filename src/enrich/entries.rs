//! Where the process table keeps its entries: storage, look-up by pid and start, and the two orders of
//! eviction. Knows nothing of events; [`super::table`] decides what goes in.
//!
//! ```text
//! heads: pid -> slot of the youngest process of that pid
//!                 |  older   slot of the one that had the pid before, and so on
//! slots: [ entry | entry | entry | ... ]   never moved; a freed slot is used again
//!            ^-- alive list:  least recently seen ... most recently seen
//!            ^-- exited list: exited first ........ exited last
//! ```
//!
//! Only the youngest process of a pid can be alive, and that holds by construction: putting a younger one in
//! ends the one before, and an older one goes in as exited. A pid keeps at most [`INCARNATIONS`] entries, so
//! that somebody who makes the kernel hand out the same pid again and again cannot make look-ups slow.

use std::sync::Arc;

use super::hash::IdMap;
use crate::event::{BootId, Creds, EntityId, Image, Process};

/// Position of an entry.
pub(super) type Slot = u32;

const NONE: Slot = Slot::MAX;

/// Most processes kept that had the same pid.
pub(super) const INCARNATIONS: usize = 8;

/// Alive or not, and how that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// No sign of an end.
    Alive,
    /// Its exit was seen. Final.
    Exited,
    /// It must be gone: its pid has another owner, or a snapshot did not show it. Taken back if it acts again.
    Presumed,
}

/// Credentials of a process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    /// When they were first seen. What is older must not overwrite them.
    pub since_ns: u64,
    /// What they are.
    pub creds: Creds,
}

/// A process in the table.
#[derive(Debug)]
pub(super) struct Entry {
    /// The process as it is now.
    pub node: Arc<Process>,
    /// Start, boot clock; the same as the node's, kept here to be near.
    pub start_ns: u64,
    /// The credentials that it was last seen with, shared with those that it was forked from.
    pub held: Option<Arc<Held>>,
    /// The moment that the node's image is known for: an older exec must not overwrite it.
    pub image_ns: u64,
    /// When it exited or was presumed to.
    pub exit_ns: u64,
    /// Start of its session's leader as a full record last named it; 0 if it is not known or gone.
    pub leader_start_ns: u64,
    /// The leader's pid.
    pub sid: u32,
    /// Process id, as the node's.
    pub pid: u32,
    prev: Slot,
    next: Slot,
    older: Slot,
    /// Alive or not.
    pub state: State,
    /// The snapshot that last showed it. Who is alive is in every one, so that only the last two are told apart.
    pub round: u8,
    /// `start_ns` is known to the clock tick only: the entry comes from /proc.
    pub coarse: bool,
    hearsay: Hearsay,
}

/// What of a process only a snapshot told: a bit each, since there are many processes.
#[derive(Debug, Clone, Copy, Default)]
struct Hearsay(u8);

impl Hearsay {
    const IMAGE: u8 = 1;
    const CREATOR: u8 = 2;

    fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    fn set(&mut self, bit: u8, is_set: bool) {
        self.0 = if is_set { self.0 | bit } else { self.0 & !bit };
    }
}

impl Entry {
    /// An entry for `node`, whose image is known for the moment `image_ns`.
    pub fn new(node: Arc<Process>, image_ns: u64) -> Self {
        Entry {
            start_ns: node.start_ns,
            pid: node.pid,
            node,
            held: None,
            image_ns,
            exit_ns: 0,
            leader_start_ns: 0,
            sid: 0,
            round: 0,
            prev: NONE,
            next: NONE,
            older: NONE,
            state: State::Alive,
            coarse: false,
            hearsay: Hearsay::default(),
        }
    }

    /// The same for a process whose creator is only supposed.
    pub fn guess(node: Arc<Process>, image_ns: u64) -> Self {
        let mut entry = Entry::new(node, image_ns);
        entry.set_guessed(true);
        entry
    }

    /// The image is one that a snapshot brought.
    pub fn shown(&self) -> bool {
        self.hearsay.has(Hearsay::IMAGE)
    }

    /// See [`shown`](Self::shown).
    pub fn set_shown(&mut self, shown: bool) {
        self.hearsay.set(Hearsay::IMAGE, shown);
    }

    /// The creator is only what a snapshot showed as the parent.
    pub fn guessed(&self) -> bool {
        self.hearsay.has(Hearsay::CREATOR)
    }

    /// See [`guessed`](Self::guessed).
    pub fn set_guessed(&mut self, guessed: bool) {
        self.hearsay.set(Hearsay::CREATOR, guessed);
    }
}

/// A doubly linked list through the slots.
#[derive(Debug)]
struct List {
    first: Slot,
    last: Slot,
    len: usize,
}

impl List {
    const EMPTY: List = List { first: NONE, last: NONE, len: 0 };

    fn push(&mut self, slots: &mut [Entry], slot: Slot) {
        let last = self.last;
        let entry = &mut slots[slot as usize];
        (entry.prev, entry.next) = (last, NONE);
        match last {
            NONE => self.first = slot,
            last => slots[last as usize].next = slot,
        }
        self.last = slot;
        self.len += 1;
    }

    fn unlink(&mut self, slots: &mut [Entry], slot: Slot) {
        let (prev, next) = (slots[slot as usize].prev, slots[slot as usize].next);
        match prev {
            NONE => self.first = next,
            prev => slots[prev as usize].next = next,
        }
        match next {
            NONE => self.last = prev,
            next => slots[next as usize].prev = prev,
        }
        self.len -= 1;
    }

    fn first(&self) -> Option<Slot> {
        (self.first != NONE).then_some(self.first)
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Entries {
    slots: Vec<Entry>,
    free: Vec<Slot>,
    heads: IdMap<u32, Slot>,
    alive: List,
    exited: List,
    /// What a freed slot holds, so that it keeps no process in memory.
    nobody: Arc<Process>,
}

impl Entries {
    pub fn new() -> Self {
        let nobody = Process {
            pid: 0,
            start_ns: 0,
            entity_id: EntityId([0; 16]),
            image: Arc::new(Image::default()),
            creator: None,
            depth: 0,
        };
        Entries {
            slots: Vec::new(),
            free: Vec::new(),
            heads: IdMap::default(),
            alive: List::EMPTY,
            exited: List::EMPTY,
            nobody: Arc::new(nobody),
        }
    }

    /// Entries of both lists.
    pub fn len(&self) -> usize {
        self.alive.len + self.exited.len
    }

    /// Entries that have exited.
    pub fn exited_len(&self) -> usize {
        self.exited.len
    }

    pub fn at(&self, slot: Slot) -> &Entry {
        &self.slots[slot as usize]
    }

    pub fn at_mut(&mut self, slot: Slot) -> &mut Entry {
        &mut self.slots[slot as usize]
    }

    /// Slots of all processes that had this pid, youngest first.
    fn incarnations(&self, pid: u32) -> impl Iterator<Item = Slot> {
        let known = |slot: Slot| (slot != NONE).then_some(slot);
        let head = self.heads.get(&pid).copied();
        std::iter::successors(head, move |&slot| known(self.slots[slot as usize].older))
    }

    /// The process with this pid and start. An entry whose start is known to the tick only becomes exact here:
    /// the caller brings the exact start, and no pid is handed out twice within a tick.
    pub fn find(&mut self, pid: u32, start_ns: u64, tick_ns: u64, boot: BootId) -> Option<Slot> {
        let same =
            |e: &Entry| e.start_ns == start_ns || e.coarse && e.start_ns / tick_ns == start_ns / tick_ns;
        let slot = self.incarnations(pid).find(|&slot| same(self.at(slot)))?;
        let entry = self.at_mut(slot);
        if entry.coarse && entry.start_ns != start_ns {
            entry.node = Arc::new(Process {
                start_ns,
                entity_id: super::identity::entity_id(boot, pid, start_ns),
                ..(*entry.node).clone()
            });
            entry.start_ns = start_ns;
        }
        entry.coarse = false;
        Some(slot)
    }

    /// The process that holds this pid now.
    pub fn alive_of(&self, pid: u32) -> Option<Slot> {
        let head = *self.heads.get(&pid)?;
        (self.at(head).state == State::Alive).then_some(head)
    }

    /// Puts a process in that is not there yet. Ends an older one with the same pid at `time_ns`; goes in as
    /// exited itself if there is a younger one.
    pub fn insert(&mut self, mut entry: Entry, time_ns: u64) -> Slot {
        let pid = entry.pid;
        if self.incarnations(pid).count() >= INCARNATIONS
            && let Some(oldest) = self.incarnations(pid).last()
        {
            self.remove(oldest);
        }
        let younger = self.incarnations(pid).take_while(|&s| self.at(s).start_ns > entry.start_ns).last();
        let older = match younger {
            Some(younger) => self.at(younger).older,
            None => self.heads.get(&pid).copied().unwrap_or(NONE),
        };
        if younger.is_some() && entry.state == State::Alive {
            (entry.state, entry.exit_ns) = (State::Presumed, time_ns);
        }
        if younger.is_none() && older != NONE && self.at(older).state == State::Alive {
            self.end(older, time_ns, State::Presumed);
        }
        entry.older = older;
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = entry;
                slot
            }
            None => {
                self.slots.push(entry);
                // The table's limit is far below 2^32 entries.
                Slot::try_from(self.slots.len() - 1).unwrap_or(NONE)
            }
        };
        match younger {
            Some(younger) => self.slots[younger as usize].older = slot,
            None => drop(self.heads.insert(pid, slot)),
        }
        let list = if self.at(slot).state == State::Alive { &mut self.alive } else { &mut self.exited };
        list.push(&mut self.slots, slot);
        slot
    }

    /// Says that the process was seen: it becomes the last one to be evicted among those alive.
    pub fn touch(&mut self, slot: Slot) {
        if self.at(slot).state == State::Alive && self.alive.last != slot {
            self.alive.unlink(&mut self.slots, slot);
            self.alive.push(&mut self.slots, slot);
        }
    }

    /// Says that the process is gone. What was presumed can become certain, not the other way round.
    pub fn end(&mut self, slot: Slot, time_ns: u64, state: State) {
        let entry = &mut self.slots[slot as usize];
        let was = entry.state;
        if was != State::Exited {
            (entry.state, entry.exit_ns) = (state, time_ns);
        }
        if was == State::Alive {
            self.alive.unlink(&mut self.slots, slot);
            self.exited.push(&mut self.slots, slot);
        }
    }

    /// Takes back a presumed end, if the pid has no younger owner.
    pub fn revive(&mut self, slot: Slot) {
        let pid = self.at(slot).pid;
        if self.at(slot).state == State::Presumed && self.heads.get(&pid) == Some(&slot) {
            self.exited.unlink(&mut self.slots, slot);
            self.alive.push(&mut self.slots, slot);
            self.slots[slot as usize].state = State::Alive;
        }
    }

    /// Forgets a process.
    pub fn remove(&mut self, slot: Slot) {
        let (pid, older, state) = (self.at(slot).pid, self.at(slot).older, self.at(slot).state);
        let list = if state == State::Alive { &mut self.alive } else { &mut self.exited };
        list.unlink(&mut self.slots, slot);
        let younger = self.incarnations(pid).find(|&s| self.at(s).older == slot);
        match (younger, older) {
            (Some(younger), _) => self.slots[younger as usize].older = older,
            (None, NONE) => drop(self.heads.remove(&pid)),
            (None, older) => drop(self.heads.insert(pid, older)),
        }
        self.slots[slot as usize] = Entry::new(Arc::clone(&self.nobody), 0);
        self.free.push(slot);
    }

    /// The process that exited first.
    pub fn oldest_exited(&self) -> Option<Slot> {
        self.exited.first()
    }

    /// The living process that was not seen for the longest time.
    pub fn oldest_alive(&self) -> Option<Slot> {
        self.alive.first()
    }

    /// Slots of all entries, in no particular order.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.heads.keys().flat_map(|&pid| self.incarnations(pid))
    }

    /// Bytes that the table itself takes, processes and programs excluded: slots, free list and index.
    #[cfg(test)]
    pub fn own_bytes(&self) -> usize {
        let index = self.heads.capacity() * 8 / 7 * (size_of::<(u32, Slot)>() + 1);
        self.slots.capacity() * size_of::<Entry>() + self.free.capacity() * size_of::<Slot>() + index
    }
}
