//! The state of one definition: hits put in order, and a window for each group.

use std::cmp::Reverse;
use std::collections::VecDeque;

use super::budget::{Budget, Counts};
use super::closing::Term;
use super::definition::{Definition, DefinitionError};
use super::kept::{MOST_GROUP_BYTES, MOST_VALUE_BYTES, keep};
use super::lru::Lru;
use super::number::Number;
use super::order::{Room, Value, Waiting};
use super::sliding::{Evidence, Stamp, Window};
use super::{Fired, Hit};

/// How a definition is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Groups that are kept; of more, the one whose last hit is oldest goes, or whose window began first if it is
    /// judged when it is over.
    pub groups: usize,
    /// How much later than a hit an earlier one may come, nanoseconds. With 0, hits count in the order in which they
    /// come.
    pub tolerance_ns: u64,
    /// Keep a group quiet for one timespan after it has fired.
    pub suppress: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { groups: 10_000, tolerance_ns: 200_000_000, suppress: true }
    }
}

/// What has been gathered of one group.
#[derive(Debug)]
enum Progress {
    Sliding(Window),
    Closing(Term),
}

#[derive(Debug)]
struct Group {
    last_ns: u64,
    quiet_until_ns: Option<u64>,
    suppressed: u64,
    progress: Progress,
}

impl Group {
    fn heap_bytes(&self) -> usize {
        match &self.progress {
            Progress::Sliding(window) => window.heap_bytes(),
            Progress::Closing(term) => term.heap_bytes(),
        }
    }
}

/// See the module. All that it takes is charged to the [`Budget`] it is given, always the same one; nothing is given
/// up for it here, see [`State::shed`].
#[derive(Debug)]
pub struct State {
    definition: Definition,
    options: Options,
    closes: bool,
    room: Room,
    groups: Lru<Group>,
    ready: VecDeque<Fired>,
    newest_ns: u64,
    /// Nothing before it is waited for.
    mark_ns: u64,
    /// All hits before it have been taken into their windows.
    settled_ns: u64,
    gathered_bytes: usize,
    charged_bytes: u64,
    counts: Counts,
}

impl State {
    /// Nothing gathered yet.
    ///
    /// # Errors
    ///
    /// What [`Definition::check`] says.
    pub fn new(definition: Definition, options: Options) -> Result<Self, DefinitionError> {
        definition.check()?;
        Ok(State {
            closes: definition.closes(),
            definition,
            options,
            room: Room::default(),
            groups: Lru::new(),
            ready: VecDeque::new(),
            newest_ns: 0,
            mark_ns: 0,
            settled_ns: 0,
            gathered_bytes: 0,
            charged_bytes: 0,
            counts: Counts::default(),
        })
    }

    /// Takes a hit in. What is given back is the finding of any hit that had waited; if there are several, the others
    /// come with the next calls.
    pub fn hit(&mut self, hit: Hit<'_>, budget: &mut Budget) -> Option<Fired> {
        let Some(value) = self.usable(&hit) else { return self.ready.pop_front() };
        self.counts.hits += 1;
        let mut time_ns = hit.time_ns;
        if self.options.tolerance_ns == 0 {
            self.mark_ns = self.mark_ns.max(time_ns);
        }
        if time_ns < self.mark_ns {
            self.counts.late += 1;
            time_ns = self.mark_ns;
        }
        self.newest_ns = self.newest_ns.max(time_ns);
        let group = Box::from(&*keep(hit.group, MOST_GROUP_BYTES));
        let waiting = Waiting { time_ns, event: hit.event, rule: Reverse(hit.rule), group, value };
        if self.options.tolerance_ns == 0 {
            self.apply(&waiting);
        } else {
            self.room.push(waiting);
            self.charge(budget);
            self.release(budget);
        }
        self.charge(budget);
        self.ready.pop_front()
    }

    /// Moves time on to `now_ns`, the newest event time that the caller has seen: gives back the findings of all hits
    /// that need not wait any longer and of all windows that are over, and drops groups in which nothing can matter
    /// any more.
    pub fn expire(&mut self, now_ns: u64, budget: &mut Budget) -> Vec<Fired> {
        self.newest_ns = self.newest_ns.max(now_ns);
        self.advance();
        while let Some(hit) = self.room.pop_before(self.mark_ns) {
            self.apply(&hit);
        }
        self.settled_ns = self.settled_ns.max(self.mark_ns);
        while self.groups.oldest().is_some_and(|(_, group)| self.is_past(group)) {
            if let Some((key, group)) = self.groups.pop_oldest() {
                self.gathered_bytes -= group.heap_bytes();
                self.finish(&key, group);
            }
        }
        self.charge(budget);
        std::mem::take(&mut self.ready).into()
    }

    /// Gives up groups, the oldest first, until no more than `bytes` are taken or no group is left.
    pub fn shed(&mut self, bytes: u64, budget: &mut Budget) {
        while self.bytes() > bytes && self.groups.len() > 0 {
            self.evict();
        }
        self.charge(budget);
    }

    /// Takes back everything charged; for a state that is about to be dropped.
    pub fn discharge(self, budget: &mut Budget) -> Counts {
        budget.change(self.charged_bytes, 0);
        self.counts
    }

    /// What is looked for.
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Groups that are kept now.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// What it takes, bytes.
    pub fn bytes(&self) -> u64 {
        (self.room.heap_bytes() + self.groups.heap_bytes() + self.gathered_bytes) as u64
    }

    /// The value that the condition is about, or nothing if the hit cannot be used, which is counted.
    fn usable(&mut self, hit: &Hit<'_>) -> Option<Value> {
        if hit.rule >= self.definition.rules {
            self.counts.unknown_rule += 1;
            return None;
        }
        if !self.definition.needs_value() {
            return Some(Value::None);
        }
        let Some(bytes) = hit.value else {
            self.counts.without_value += 1;
            return None;
        };
        if !self.definition.needs_number() {
            return Some(Value::Text(Box::from(&*keep(bytes, MOST_VALUE_BYTES))));
        }
        let number = Number::parse(bytes);
        self.counts.not_numbers += u64::from(number.is_none());
        number.map(Value::Number)
    }

    fn charge(&mut self, budget: &mut Budget) {
        let bytes = self.bytes();
        budget.change(self.charged_bytes, bytes);
        self.charged_bytes = bytes;
    }

    fn advance(&mut self) {
        self.mark_ns = self.mark_ns.max(self.newest_ns.saturating_sub(self.options.tolerance_ns));
    }

    /// Hits that have waited long enough, up to the first that fires: as many come out as went in, if not more.
    fn release(&mut self, budget: &mut Budget) {
        self.advance();
        while self.ready.is_empty() {
            let Some(hit) = self.room.pop_before(self.mark_ns) else { break };
            self.apply(&hit);
        }
        while self.ready.is_empty() && (self.room.is_overfull() || budget.is_over()) && !self.room.is_empty()
        {
            let Some(hit) = self.room.pop() else { break };
            self.counts.early += 1;
            self.mark_ns = self.mark_ns.max(hit.time_ns);
            self.apply(&hit);
            self.charge(budget);
        }
    }

    /// A hit in its turn.
    fn apply(&mut self, hit: &Waiting) {
        let stamp = Stamp { time_ns: hit.time_ns, event: hit.event };
        self.settled_ns = self.settled_ns.max(hit.time_ns);
        self.make_room(hit);
        let Some(group) = self.groups.get_mut(&hit.group) else { return };
        let before = group.heap_bytes();
        // Whether time was moved on in between, and the group dropped, must make no difference.
        if group.last_ns.saturating_add(self.definition.timespan_ns) < hit.time_ns {
            group.suppressed = 0;
        }
        group.last_ns = hit.time_ns;
        let mut evidence = None;
        match &mut group.progress {
            Progress::Sliding(window) => {
                let coarsened = &mut self.counts.coarsened;
                let holds = window.hit(&self.definition, hit.rule.0, stamp, &hit.value, coarsened);
                if group.quiet_until_ns.is_some_and(|until| hit.time_ns <= until) {
                    group.suppressed += 1;
                    self.counts.suppressed += 1;
                } else if holds {
                    evidence = Some(window.evidence(&self.definition, hit.time_ns));
                    if self.options.suppress {
                        group.quiet_until_ns = Some(hit.time_ns.saturating_add(self.definition.timespan_ns));
                    }
                }
            }
            Progress::Closing(term) => {
                term.hit(&self.definition, hit.rule.0, stamp, &hit.value);
            }
        }
        let suppressed = if evidence.is_some() { std::mem::take(&mut group.suppressed) } else { 0 };
        self.gathered_bytes = self.gathered_bytes + group.heap_bytes() - before;
        if let Some(evidence) = evidence {
            self.fire(&hit.group, evidence, suppressed);
        }
    }

    /// Sees to it that the hit's group is there with a window that the hit belongs to.
    fn make_room(&mut self, hit: &Waiting) {
        // A window that ends keeps its place in the order of beginnings; one that slides is ordered by its last hit.
        let known = if self.closes { self.groups.get_mut(&hit.group) } else { self.groups.touch(&hit.group) };
        match known {
            Some(Group { progress: Progress::Closing(term), .. })
                if term.is_over(&self.definition, hit.time_ns) =>
            {
                let before = term.heap_bytes();
                let fresh = Term::new(&self.definition, hit.time_ns);
                self.gathered_bytes = self.gathered_bytes + fresh.heap_bytes() - before;
                let over = std::mem::replace(term, fresh);
                self.groups.touch(&hit.group);
                if let Some(evidence) = over.judge(&self.definition) {
                    self.fire(&hit.group, evidence, 0);
                }
            }
            Some(_) => {}
            None => {
                while self.groups.len() >= self.options.groups.max(1) {
                    self.evict();
                }
                let progress = if self.closes {
                    Progress::Closing(Term::new(&self.definition, hit.time_ns))
                } else {
                    Progress::Sliding(Window::new(&self.definition))
                };
                let group = Group { last_ns: hit.time_ns, quiet_until_ns: None, suppressed: 0, progress };
                self.gathered_bytes += group.heap_bytes();
                self.groups.insert(&hit.group, group);
            }
        }
    }

    /// Nothing in the group can matter to a hit that is still to be taken in, its quiet included: that ends at most
    /// one timespan after its last hit.
    fn is_past(&self, group: &Group) -> bool {
        match &group.progress {
            Progress::Sliding(_) => {
                group.last_ns.saturating_add(self.definition.timespan_ns) < self.settled_ns
            }
            Progress::Closing(term) => term.is_over(&self.definition, self.settled_ns),
        }
    }

    fn evict(&mut self) {
        let Some((key, group)) = self.groups.pop_oldest() else { return };
        self.gathered_bytes -= group.heap_bytes();
        // A window that is over has all of its hits, so it is judged rather than lost.
        if self.is_past(&group) {
            self.finish(&key, group);
        } else {
            self.counts.evicted_groups += 1;
        }
    }

    fn finish(&mut self, key: &[u8], group: Group) {
        if let Progress::Closing(term) = group.progress
            && let Some(evidence) = term.judge(&self.definition)
        {
            self.fire(key, evidence, 0);
        }
    }

    fn fire(&mut self, key: &[u8], evidence: Evidence, suppressed: u64) {
        self.counts.fired += 1;
        let Evidence { first_ns, last_ns, count, amount, values, events } = evidence;
        let group = key.into();
        self.ready.push_back(Fired { group, first_ns, last_ns, count, amount, values, events, suppressed });
    }
}
