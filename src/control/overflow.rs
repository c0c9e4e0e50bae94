//! Losses in the kernel: noticed, told in the log of events, and followed by a look at what really runs.

use std::time::Duration;

use crate::event::Kind;
use crate::event::ecs::own::Gap;
use crate::metrics::{Metrics, Program, Reason};
use crate::util::clock;
use crate::util::limit::Limit;

/// What the kernel side loses without anybody having asked for it, and what the agent's own log says of it.
const LOSSES: [(Reason, &str); 3] = [
    (Reason::RingFull, "found no room in their ring"),
    (Reason::RateLimited, "were over the limit of the bulk classes, [ebpf] max_events_per_sec"),
    (Reason::Skipped, "were skipped by the kernel, which keeps a program from interrupting itself"),
];

/// Without these the process table goes wrong.
const OF_THE_TABLE: [Kind; 4] = [Kind::Exec, Kind::Fork, Kind::Exit, Kind::Cgroup];

/// How often the agent's own log speaks of losses. The log of events has each.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// What was lost so far, and up to when it was told.
#[derive(Debug)]
pub struct Overflow {
    told: [[u64; Kind::COUNT]; LOSSES.len()],
    /// Skipped runs of each program that were told.
    told_runs: Vec<u64>,
    told_ns: u64,
    unsaid: [u64; LOSSES.len()],
    /// Skipped runs of programs that report several classes: how many of them would have been events nobody knows.
    runs: u64,
    unsaid_runs: u64,
    said: Limit,
    /// The process table was not compared with what runs since the last loss that it minds.
    pub is_table_stale: bool,
}

impl Default for Overflow {
    fn default() -> Self {
        Overflow {
            told: [[0; Kind::COUNT]; LOSSES.len()],
            told_runs: vec![0; Program::ALL.len()],
            told_ns: clock::boot_ns(),
            unsaid: [0; LOSSES.len()],
            runs: 0,
            unsaid_runs: 0,
            said: Limit::new(SAID_EVERY),
            is_table_stale: false,
        }
    }
}

impl Overflow {
    /// What was lost since the last call, by reason; empty if nothing was. Such events never got a sequence number, so
    /// a record of them has none to name: only classes, counts and the time in between.
    pub fn look(&mut self, metrics: &Metrics) -> Vec<Gap> {
        let now_ns = clock::boot_ns();
        let times_ns = (std::mem::replace(&mut self.told_ns, now_ns), now_ns);
        let mut gaps = Vec::new();
        for (((reason, _), told), unsaid) in LOSSES.iter().zip(&mut self.told).zip(&mut self.unsaid) {
            let mut classes = Vec::new();
            for (kind, told) in Kind::ALL.iter().zip(told) {
                let total = metrics.events_dropped.at((*kind, *reason)).get();
                let lost = total.saturating_sub(std::mem::replace(told, total));
                if lost > 0 {
                    classes.push((*kind, lost));
                    *unsaid += lost;
                }
            }
            self.is_table_stale |= classes.iter().any(|(kind, _)| OF_THE_TABLE.contains(kind));
            let runs =
                if *reason == Reason::Skipped { skipped_runs(&mut self.told_runs, metrics) } else { vec![] };
            if !classes.is_empty() || !runs.is_empty() {
                gaps.push(Gap {
                    sink: "all",
                    reason: reason.name(),
                    classes,
                    runs,
                    sequences: None,
                    times_ns,
                });
            }
        }
        let runs = metrics.unknown_skips();
        self.unsaid_runs += runs.saturating_sub(std::mem::replace(&mut self.runs, runs));
        gaps
    }

    /// What the agent's own log should say of losses now, a line each. Every loss is in one line, once.
    pub fn sayings(&mut self) -> Vec<String> {
        let is_nothing = self.unsaid.iter().all(|lost| *lost == 0) && self.unsaid_runs == 0;
        if is_nothing || self.said.pass().is_none() {
            return Vec::new();
        }
        let lines = LOSSES.iter().zip(std::mem::take(&mut self.unsaid)).filter(|(_, lost)| *lost > 0);
        let runs = Some(std::mem::take(&mut self.unsaid_runs)).filter(|runs| *runs > 0).map(|runs| {
            format!(
                "the kernel skipped {runs} runs of programs that report several classes; what happened then was not \
                 seen"
            )
        });
        lines.map(|((_, what), lost)| format!("{lost} records {what}")).chain(runs).collect()
    }
}

/// The programs of which the kernel skipped runs that were not told yet, and how many. Those count as told then.
fn skipped_runs(told: &mut [u64], metrics: &Metrics) -> Vec<(&'static str, u64)> {
    let new = |(program, told): (&Program, &mut u64)| {
        let total = metrics.program_misses.at(*program).get();
        (program.name(), total.saturating_sub(std::mem::replace(told, total)))
    };
    Program::ALL.iter().zip(told).map(new).filter(|(_, runs)| *runs > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loss_is_told_once() {
        let metrics = Metrics::default();
        let lose = |kind, reason, n| metrics.events_dropped.at((kind, reason)).add(n);
        let mut overflow = Overflow::default();
        assert_eq!(overflow.look(&metrics), []);
        lose(Kind::Exec, Reason::RingFull, 3);
        let gaps = overflow.look(&metrics);
        let [gap] = &gaps[..] else { panic!("one reason, one gap: {gaps:?}") };
        assert_eq!(
            (&gap.classes[..], gap.sequences, gap.reason),
            (&[(Kind::Exec, 3)][..], None, "ring_full")
        );
        assert!(overflow.is_table_stale && gap.times_ns.0 <= gap.times_ns.1);
        assert_eq!(overflow.look(&metrics), []);
        lose(Kind::Exec, Reason::RingFull, 1);
        lose(Kind::FileOpen, Reason::RingFull, 2);
        lose(Kind::FileOpen, Reason::RateLimited, 7);
        let classes: Vec<_> = overflow.look(&metrics).into_iter().map(|gap| gap.classes).collect();
        assert_eq!(classes, [vec![(Kind::Exec, 1), (Kind::FileOpen, 2)], vec![(Kind::FileOpen, 7)]]);
    }

    #[test]
    fn losses_that_the_table_does_not_mind_leave_it_alone() {
        let metrics = Metrics::default();
        let mut overflow = Overflow::default();
        metrics.events_dropped.at((Kind::FileOpen, Reason::RingFull)).add(1);
        metrics.events_dropped.at((Kind::NetConnect, Reason::RateLimited)).add(1);
        assert_eq!(overflow.look(&metrics).len(), 2);
        assert!(!overflow.is_table_stale);
        // What is left out on purpose is no loss.
        metrics.events_dropped.at((Kind::FileOpen, Reason::Deduplicated)).add(1);
        assert_eq!(overflow.look(&metrics), []);
    }

    #[test]
    fn skipped_runs_are_told_by_program_even_if_nobody_knows_the_class() {
        let metrics = Metrics::default();
        let mut overflow = Overflow::default();
        metrics.program_misses.at(Program::SysExit).add(9);
        let gaps = overflow.look(&metrics);
        let [gap] = &gaps[..] else { panic!("one gap: {gaps:?}") };
        assert_eq!(
            (gap.reason, &gap.classes[..], &gap.runs[..]),
            ("skipped", &[][..], &[("se_sys_exit", 9)][..])
        );
        assert!(!overflow.is_table_stale);
        metrics.program_misses.at(Program::SysExit).add(1);
        metrics.program_misses.at(Program::Exit).add(2);
        metrics.events_dropped.at((Kind::Exit, Reason::Skipped)).add(2);
        let gaps = overflow.look(&metrics);
        let [gap] = &gaps[..] else { panic!("one gap: {gaps:?}") };
        assert_eq!(gap.classes, [(Kind::Exit, 2)]);
        assert_eq!(gap.runs, [("se_exit", 2), ("se_sys_exit", 1)]);
        assert!(overflow.is_table_stale, "the table missed an exit");
        assert_eq!((metrics.unknown_skips(), overflow.look(&metrics)), (10, vec![]));
    }

    #[test]
    fn the_log_speaks_of_them_once_a_minute() {
        let metrics = Metrics::default();
        let mut overflow = Overflow::default();
        assert_eq!(overflow.sayings(), [""; 0]);
        metrics.events_dropped.at((Kind::FileOpen, Reason::RateLimited)).add(5);
        overflow.look(&metrics);
        let said = overflow.sayings();
        assert_eq!(said.len(), 1);
        assert!(said[0].starts_with("5 records were over the limit"), "{said:?}");
        let mut overflow = Overflow::default();
        metrics.program_misses.at(Program::SysExit).add(9);
        metrics.program_misses.at(Program::Fork).add(2);
        metrics.events_dropped.at((Kind::Fork, Reason::Skipped)).add(2);
        overflow.look(&metrics);
        let said = overflow.sayings();
        assert!(
            said[1].starts_with("2 records were skipped") && said[2].contains("skipped 9 runs"),
            "{said:?}"
        );
        metrics.events_dropped.at((Kind::FileOpen, Reason::RateLimited)).add(5);
        overflow.look(&metrics);
        assert_eq!(overflow.sayings(), [""; 0], "not again within the minute");
    }
}
