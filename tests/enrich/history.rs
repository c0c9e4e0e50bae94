//! Random histories of a small kernel whose pids come round often, against what the table makes of its records.

use std::collections::BTreeMap;
use std::rc::Rc;

use proptest::prelude::*;
use sentinel_edge::enrich::identity::entity_id;
use sentinel_edge::event::{Event, Process};

use crate::records::{
    BOOT, Fixture, Id, NOBODY, config, exec, exec_failed, executable, exit, fork, snapshot,
};

const PIDS: u32 = 24;
/// Longest chain that the tables of these tests are asked for.
const LIMIT: u16 = 6;

/// A process as it really is.
#[derive(Clone)]
struct Real {
    start: u64,
    parent: u32,
    image: Rc<str>,
    /// Identities of the creators, nearest first.
    creators: Rc<[Id]>,
}

struct Kernel {
    now: u64,
    processes: BTreeMap<u32, Real>,
    last_pid: u32,
    programs: u32,
}

/// What the kernel tells of a step.
enum Record {
    Fork { time: u64, child: Id, creator: Id },
    Exec { time: u64, id: Id, parent: Id, image: Rc<str> },
    Failed { time: u64, id: Id, parent: Id },
    Exit { time: u64, id: Id, parent: Id },
}

impl Record {
    fn event(&self) -> Event<'_> {
        match self {
            Record::Fork { time, child, creator } => fork(*time, *child, *creator),
            Record::Exec { time, id, parent, image } => exec(*time, *id, *parent, image, b"x\0"),
            Record::Failed { time, id, parent } => exec_failed(*time, *id, *parent),
            Record::Exit { time, id, parent } => exit(*time, *id, *parent),
        }
    }
}

impl Kernel {
    fn new() -> Kernel {
        let init = Real { start: 1, parent: 0, image: "/init".into(), creators: Rc::new([]) };
        Kernel { now: 10, processes: BTreeMap::from([(1, init)]), last_pid: 1, programs: 0 }
    }

    fn id(&self, pid: u32) -> Id {
        self.processes.get(&pid).map_or(NOBODY, |p| (pid, p.start))
    }

    fn step(&mut self, (action, choice): (u8, u8)) -> Option<Record> {
        self.now += 10;
        let time = self.now;
        let pids: Vec<u32> = self.processes.keys().copied().collect();
        let pid = pids[usize::from(choice) % pids.len()];
        let (id, process) = (self.id(pid), self.processes[&pid].clone());
        let parent = self.id(process.parent);
        match action % 8 {
            0..=2 => {
                let free = |pid: &u32| !self.processes.contains_key(pid);
                let child = (0..PIDS).map(|n| (self.last_pid + n) % PIDS + 1).find(free)?;
                self.last_pid = child;
                let creators = std::iter::once(id).chain(process.creators.iter().copied()).collect();
                self.processes.insert(child, Real { start: time, parent: pid, creators, ..process });
                Some(Record::Fork { time, child: (child, time), creator: id })
            }
            3 | 4 => {
                self.programs += 1;
                let image: Rc<str> = format!("/bin/{}", self.programs).into();
                self.processes.get_mut(&pid)?.image = Rc::clone(&image);
                Some(Record::Exec { time, id, parent, image })
            }
            5 => Some(Record::Failed { time, id, parent }),
            _ if pid == 1 => None,
            _ => {
                self.processes.remove(&pid);
                self.processes.values_mut().filter(|p| p.parent == pid).for_each(|p| p.parent = 1);
                Some(Record::Exit { time, id, parent })
            }
        }
    }

    /// Makes these steps without anybody listening.
    fn unheard(&mut self, steps: &Steps) {
        steps.iter().for_each(|&step| drop(self.step(step)));
    }

    fn heard(&mut self, steps: &Steps) -> Vec<Record> {
        steps.iter().filter_map(|&step| self.step(step)).collect()
    }
}

/// A snapshot that is taken while the kernel goes on, and the records of the meantime.
struct Visit {
    begin: u64,
    shown: Vec<(u64, Id, Id, Rc<str>)>,
    end: u64,
    meanwhile: Vec<Record>,
}

impl Visit {
    /// Pids in order, as the task iterator goes, with a step of the kernel after each.
    fn new(kernel: &mut Kernel, steps: &Steps) -> Visit {
        let begin = kernel.now;
        let (mut shown, mut meanwhile) = (Vec::new(), Vec::new());
        let mut steps = steps.iter();
        for pid in 1..=PIDS {
            kernel.now += 1;
            if let Some(process) = kernel.processes.get(&pid) {
                let parent = kernel.id(process.parent);
                shown.push((kernel.now, (pid, process.start), parent, Rc::clone(&process.image)));
            }
            meanwhile.extend(steps.next().and_then(|&step| kernel.step(step)));
        }
        Visit { begin, shown, end: kernel.now, meanwhile }
    }

    /// Nobody had an exec or died while the snapshot was taken.
    fn is_calm(&self) -> bool {
        !self.meanwhile.iter().any(|record| matches!(record, Record::Exec { .. } | Record::Exit { .. }))
    }

    /// A process that was forked in the meantime, by one that had an exec or died before the snapshot reached it:
    /// nobody told what it ran. So it and its children may run an unknown program, but not a wrong one.
    fn excuses(&self, real: &Real, runs: &str) -> bool {
        !self.is_calm() && real.start > self.begin && (runs.is_empty() || runs == "comm")
    }

    /// The same after losses: the program may also be the last one that was heard of.
    fn excuses_after_loss(&self, real: &Real) -> bool {
        !self.is_calm() && real.start > self.begin
    }

    fn apply(&self, t: &mut Fixture) {
        t.table.begin_resync(self.begin);
        for (time, id, parent, image) in &self.shown {
            t.apply(&snapshot(*time, *id, *parent, image));
        }
        t.table.end_resync(self.end);
    }
}

fn ancestors(process: &Process) -> Vec<Id> {
    process.ancestors().map(|p| (p.pid, p.start_ns)).collect()
}

/// The chain is the beginning of the real one, and as long as it has to be.
fn same_ancestors(process: &Process, real: &[Id]) -> Result<(), TestCaseError> {
    let known = ancestors(process);
    let needed = real.len().min(usize::from(LIMIT))..=2 * usize::from(LIMIT);
    prop_assert!(needed.contains(&known.len()), "{} of {}: {known:?}", known.len(), real.len());
    prop_assert_eq!(&known[..], &real[..known.len()]);
    Ok(())
}

/// The table and the kernel agree on who is alive and what it runs.
fn agree(t: &Fixture, kernel: &Kernel) -> Result<(), TestCaseError> {
    agree_except(t, kernel, |_, _| false)
}

/// The same, but for programs that may be wrong: a question of the real process and of what the table says it runs.
fn agree_except(
    t: &Fixture,
    kernel: &Kernel,
    excused: impl Fn(&Real, &str) -> bool,
) -> Result<(), TestCaseError> {
    for pid in 1..=PIDS {
        let (known, real) = (t.table.alive(pid), kernel.processes.get(&pid));
        prop_assert_eq!(known.as_ref().map(|p| p.start_ns), real.map(|p| p.start), "pid {}", pid);
        let (Some(known), Some(real)) = (known, real) else { continue };
        prop_assert_eq!(known.entity_id, entity_id(BOOT, pid, real.start));
        prop_assert_eq!(usize::from(known.depth), known.ancestors().count());
        let runs = executable(&known);
        if !excused(real, &runs) {
            prop_assert_eq!(runs, real.image.to_string(), "pid {}", pid);
        }
    }
    Ok(())
}

type Steps = Vec<(u8, u8)>;

fn steps(most: usize) -> impl Strategy<Value = Steps> {
    proptest::collection::vec(any::<(u8, u8)>(), 0..most)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Everything is seen: each event finds the right process, program and ancestors.
    #[test]
    fn a_complete_history_is_known_exactly(history in steps(400), ticks in 1..200usize) {
        let mut kernel = Kernel::new();
        let mut t = Fixture::started(2000, LIMIT);
        for (n, step) in history.into_iter().enumerate() {
            let Some(record) = kernel.step(step) else { continue };
            let process = t.apply(&record.event()).process.unwrap();
            let (Record::Fork { child: id, .. } | Record::Exec { id, .. } | Record::Failed { id, .. }
                | Record::Exit { id, .. }) = &record;
            prop_assert_eq!((process.pid, process.start_ns), *id);
            if let Some(real) = kernel.processes.get(&id.0) {
                prop_assert_eq!(executable(&process), real.image.to_string());
                same_ancestors(&process, &real.creators)?;
            }
            if n % ticks == 0 {
                t.table.tick(kernel.now, true);
            }
            agree(&t, &kernel)?;
            for (pid, real) in &kernel.processes {
                same_ancestors(&t.table.alive(*pid).unwrap(), &real.creators)?;
            }
        }
        prop_assert_eq!(t.metrics.table_misses.get(), 0);
    }

    /// The agent starts in the middle. Records of before and during the snapshot are applied after it or, as far
    /// as they are older than it, before. Nobody is missed, doubled, resurrected or shown with an old program.
    #[test]
    fn a_start_in_the_middle_leaves_no_gap(
        before in steps(80), attached in steps(20), during in steps(24), after in steps(100), split: usize,
    ) {
        let mut kernel = Kernel::new();
        kernel.unheard(&before);
        let mut t = Fixture::new(&config(2000, LIMIT));
        let early = kernel.heard(&attached);
        let visit = Visit::new(&mut kernel, &during);
        let (first, second) = early.split_at(split % (early.len() + 1));
        first.iter().for_each(|record| drop(t.apply(&record.event())));
        visit.apply(&mut t);
        for record in second.iter().chain(&visit.meanwhile) {
            let subject = t.apply(&record.event());
            if let Record::Exec { image, .. } = record {
                prop_assert_eq!(executable(&subject.process.unwrap()), image.to_string());
            }
        }
        agree_except(&t, &kernel, |real, runs| visit.excuses(real, runs))?;
        for step in after {
            let Some(record) = kernel.step(step) else { continue };
            let known = t.table.alive(match &record { Record::Fork { creator, .. } => creator.0, _ => 0 });
            let process = t.apply(&record.event()).process.unwrap();
            if let Record::Fork { creator, .. } = &record {
                let chain = ancestors(&process);
                prop_assert_eq!(chain.first(), Some(creator));
                let rest = ancestors(&known.unwrap());
                prop_assert_eq!(&chain[1..], &rest[..chain.len() - 1]);
            }
            agree_except(&t, &kernel, |real, runs| visit.excuses(real, runs))?;
        }
    }

    /// A quiet start: every chain leads to pid 1 by the parents that the snapshot showed.
    #[test]
    fn a_quiet_start_knows_all_ancestors(before in steps(80)) {
        let mut kernel = Kernel::new();
        kernel.unheard(&before);
        let mut t = Fixture::new(&config(2000, 64));
        Visit::new(&mut kernel, &Vec::new()).apply(&mut t);
        for (&pid, real) in &kernel.processes {
            let parents = std::iter::successors(Some(real.parent), |p| kernel.processes.get(p).map(|p| p.parent));
            let expected: Vec<Id> = parents.take_while(|&p| p != 0).map(|p| kernel.id(p)).collect();
            prop_assert_eq!(ancestors(&t.table.alive(pid).unwrap()), expected);
        }
        agree(&t, &kernel)?;
        prop_assert_eq!(t.metrics.table_misses.get(), 0);
    }

    /// Records are lost; a snapshot puts the table right again.
    #[test]
    fn a_resync_heals_losses(
        good in steps(60), lossy in steps(60), lost: u64, during in steps(24), after in steps(60),
    ) {
        let mut kernel = Kernel::new();
        let mut t = Fixture::started(2000, LIMIT);
        for record in kernel.heard(&good) {
            t.apply(&record.event());
        }
        for (n, record) in kernel.heard(&lossy).iter().enumerate() {
            if lost >> n & 1 == 0 {
                t.apply(&record.event());
            }
        }
        let visit = Visit::new(&mut kernel, &during);
        visit.apply(&mut t);
        visit.meanwhile.iter().for_each(|record| drop(t.apply(&record.event())));
        agree_except(&t, &kernel, |real, _| visit.excuses_after_loss(real))?;
        for step in after {
            let Some(record) = kernel.step(step) else { continue };
            t.apply(&record.event());
            agree_except(&t, &kernel, |real, _| visit.excuses_after_loss(real))?;
        }
    }

    /// A table that is too small forgets, and never mixes up or grows.
    #[test]
    fn a_small_table_is_never_wrong(history in steps(400)) {
        let mut kernel = Kernel::new();
        let mut t = Fixture::started(16, LIMIT);
        for step in history {
            let Some(record) = kernel.step(step) else { continue };
            let event = record.event();
            let process = t.apply(&event).process.unwrap();
            let task = event.task().unwrap();
            prop_assert_eq!((process.pid, process.start_ns), (task.pid, task.start_ns));
            prop_assert!(t.table.len() <= 16);
            for (&pid, real) in &kernel.processes {
                prop_assert!(t.table.alive(pid).is_none_or(|known| known.start_ns <= real.start));
            }
        }
        t.table.tick(kernel.now, true);
        prop_assert!(t.metrics.table_nodes.get() <= 48.0);
    }

    /// Records in an order that no kernel has: nothing panics, nothing grows, no node is wrong about its chain.
    #[test]
    fn nonsense_does_no_harm(records in proptest::collection::vec(any::<(u8, u8, u8, u8, u8)>(), 0..300)) {
        let mut t = Fixture::new(&config(16, 2));
        for (kind, pid, start, other, time) in records {
            let id = (u32::from(pid % 12), u64::from(start % 8));
            let parent = (u32::from(other % 12), u64::from(other / 12 % 8));
            let time = u64::from(time);
            let record = match kind % 8 {
                0 | 1 => fork(time, id, parent),
                2 => exec(time, id, parent, "/bin/x", b"x\0"),
                3 => exec_failed(time, id, parent),
                4 => exit(time, id, parent),
                5 => snapshot(time, id, parent, "/bin/y"),
                6 => { t.table.begin_resync(time); continue }
                _ => { t.table.end_resync(time); t.table.tick(time, true); continue }
            };
            let process = t.apply(&record).process.unwrap();
            prop_assert_eq!((process.pid, process.start_ns), id);
            prop_assert_eq!(usize::from(process.depth), process.ancestors().count());
            prop_assert!(t.table.len() <= 16);
        }
    }
}
