//! Snapshots: putting the table right from a look at all processes.
//!
//! A snapshot takes time while records keep coming, and its records may be applied before, between or after
//! those of the same time. Every entry knows the moment that its image is known for; what is older never
//! overwrites what is younger, and an exec that is older than the snapshot still yields a [`Subject`] with the
//! program of that exec.
//!
//! [`Table::begin_resync`] and [`Table::end_resync`] frame the snapshot: processes that it did not show are
//! presumed gone, and those that it did show are linked to their parents, in whatever order they came.
//!
//! What nobody can know stays unknown: the program of a process that was forked during the snapshot by one that
//! had an exec, or died, before the snapshot reached it. Such a process has no program until its next exec.

use std::sync::Arc;

use super::{TICK_NS, Table};
use crate::enrich::entries::{Entry, Slot, State};
use crate::enrich::subject::Subject;
use crate::enrich::{image, lineage};
use crate::event::{Image, Program, Snapshot, Task};

impl Table {
    /// Takes a process of a snapshot in. `args` are its arguments, if somebody could read them: the snapshot's
    /// record has none.
    pub fn snapshot(&mut self, time_ns: u64, snapshot: &Snapshot<'_>, args: Option<&[u8]>) -> Subject {
        let task = &snapshot.task;
        let parent = self.parent(time_ns, task);
        let image = self.kept().of_snapshot(task, snapshot.program.as_ref(), args);
        let slot = match self.find(task.pid, task.start_ns) {
            Some(slot) => {
                let entry = self.entries.at_mut(slot);
                if entry.node.creator.is_none() && parent.is_some() {
                    entry.node = lineage::copy(&entry.node, parent);
                    entry.set_guessed(true);
                    self.budget.node();
                }
                if time_ns > entry.image_ns && entry.state != State::Exited {
                    let image = keep_what_is_known(&entry.node.image, image);
                    let changed = self.set_image(slot, time_ns, image);
                    if changed {
                        self.entries.at_mut(slot).set_shown(true);
                    }
                }
                self.seen(slot, time_ns);
                slot
            }
            None => {
                let image = self.image(image);
                let node = self.node(task.pid, task.start_ns, image, parent);
                let slot = self.insert(Entry::guess(node, time_ns), time_ns);
                self.entries.at_mut(slot).set_shown(true);
                slot
            }
        };
        self.entries.at_mut(slot).round = self.round;
        self.holds(slot, time_ns, task);
        self.subject(slot, time_ns, task)
    }

    /// The arguments of this process are worth reading: the table does not know them.
    pub fn wants_args(&mut self, snapshot: &Snapshot<'_>) -> bool {
        let Some(program) = &snapshot.program else { return false };
        self.find(snapshot.task.pid, snapshot.task.start_ns).is_none_or(|slot| {
            let image = &self.entries.at(slot).node.image;
            image.args_len == 0 || *image.executable != *program.executable
        })
    }

    /// Takes in a process that /proc shows, whose start is known to the tick. Its entry becomes exact with the
    /// first record that names the process.
    pub fn seed(&mut self, time_ns: u64, task: &Task<'_>, program: Option<&Program<'_>>, args: &[u8]) {
        if let Some(slot) = self.entries.alive_of(task.pid)
            && self.entries.at(slot).start_ns / TICK_NS == task.start_ns / TICK_NS
        {
            self.entries.at_mut(slot).round = self.round;
            return;
        }
        let image = self.image(self.kept().of_snapshot(task, program, Some(args)));
        let parent = self.entries.alive_of(task.ppid).map(|slot| self.creator_node(slot));
        let node = self.node(task.pid, task.start_ns, image, parent);
        let mut entry = Entry::new(node, time_ns);
        (entry.coarse, entry.round) = (true, self.round);
        self.insert(entry, time_ns);
    }

    /// A snapshot of all processes begins. `now_ns` must be read before the first process is looked at.
    pub fn begin_resync(&mut self, now_ns: u64) {
        self.round = self.round.wrapping_add(1).max(1);
        self.resync_begin_ns = Some(now_ns);
    }

    /// The snapshot is complete: who is older than it and not in it is gone, and who is in it gets its parent.
    /// Not to be called after a snapshot that broke off; a next [`Table::begin_resync`] starts afresh.
    pub fn end_resync(&mut self, now_ns: u64) {
        let Some(begin_ns) = self.resync_begin_ns.take() else { return };
        let mut shown = Vec::new();
        let slots: Vec<Slot> = self.entries.slots().collect();
        for slot in slots {
            let entry = self.entries.at(slot);
            if entry.guessed() {
                shown.push((entry.start_ns, slot));
            }
            if entry.state == State::Alive && entry.round != self.round && entry.start_ns < begin_ns {
                self.entries.end(slot, now_ns, State::Presumed);
            }
        }
        // A parent is older than its child, so every parent has its own chain by the time a child needs it.
        shown.sort_unstable();
        for (_, slot) in shown {
            self.entries.at_mut(slot).set_guessed(false);
            let Some(guess) = self.entries.at(slot).node.creator.clone() else { continue };
            let Some(parent) = self.find(guess.pid, guess.start_ns) else { continue };
            let parent = self.creator_node(parent);
            if Arc::ptr_eq(&parent, &guess) {
                continue;
            }
            // What the creator ran then stays true, if it was known; what came before it is known better now.
            let same_image = Arc::ptr_eq(&guess.image, &parent.image) || image::is_unknown(&guess.image);
            let creator = if same_image { parent } else { lineage::copy(&guess, parent.creator.clone()) };
            let entry = self.entries.at_mut(slot);
            entry.node = lineage::copy(&entry.node, Some(creator));
            self.budget.node();
            self.budget.node();
        }
        self.keep_within_budget();
    }

    /// An exec at `time_ns` turns out to have come before the snapshot that this entry's image is from. Who was
    /// forked before that exec, and heard of after the snapshot, has got the wrong image: what ran until then is not
    /// known. A matter of the milliseconds of a snapshot, so that a look at all entries is in order.
    pub(super) fn disown(&mut self, slot: Slot, time_ns: u64) {
        let image = Arc::clone(&self.entries.at(slot).node.image);
        let slots: Vec<Slot> = self.entries.slots().filter(|&other| other != slot).collect();
        for other in slots {
            let entry = self.entries.at_mut(other);
            let creator = entry.node.creator.as_ref().filter(|c| Arc::ptr_eq(&c.image, &image));
            if let Some(creator) = creator.filter(|_| entry.start_ns < time_ns) {
                let creator = lineage::with_image(creator, Arc::clone(&self.nothing));
                entry.node = lineage::copy(&entry.node, Some(creator));
            }
            if Arc::ptr_eq(&entry.node.image, &image) && entry.image_ns < time_ns {
                entry.node = lineage::with_image(&entry.node, Arc::clone(&self.nothing));
            }
        }
    }
}

/// The image of a process that a snapshot shows, given the one the table has. Of two images of the same program
/// the known one is better: its arguments were seen at an exec, while /proc shows what the process made of them.
fn keep_what_is_known(known: &Image, shown: Image) -> Image {
    let is_better = known.executable == shown.executable && (known.args_len > 0 || shown.args_len == 0);
    if is_better { known.clone() } else { shown }
}
