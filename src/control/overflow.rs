//! Losses in the ring: noticed, told in the log of events, and followed by a look at what really runs.

use crate::event::Kind;
use crate::event::ecs::own::Gap;
use crate::metrics::{Metrics, Reason};
use crate::util::clock;

/// What was lost so far, and up to when it was told.
#[derive(Debug)]
pub struct Overflow {
    told: [u64; Kind::COUNT],
    told_ns: u64,
    /// The process table was not compared with what runs since the last loss.
    pub is_table_stale: bool,
}

impl Default for Overflow {
    fn default() -> Self {
        Overflow { told: [0; Kind::COUNT], told_ns: clock::boot_ns(), is_table_stale: false }
    }
}

impl Overflow {
    /// What was lost since the last call, if anything. Such events never got a sequence number, so the record has
    /// none to name: only classes, counts and the time in between.
    pub fn look(&mut self, metrics: &Metrics) -> Option<Gap> {
        let lost = |kind: &Kind| metrics.events_dropped.at((*kind, Reason::RingFull)).get();
        let now_ns = clock::boot_ns();
        let news = Kind::ALL.iter().map(|kind| (*kind, lost(kind).saturating_sub(self.told[kind.index()])));
        let classes: Vec<_> = news.filter(|(_, n)| *n > 0).collect();
        let times_ns = (std::mem::replace(&mut self.told_ns, now_ns), now_ns);
        if classes.is_empty() {
            return None;
        }
        for kind in Kind::ALL {
            self.told[kind.index()] = lost(kind);
        }
        self.is_table_stale = true;
        Some(Gap { sink: "all", reason: Reason::RingFull.name(), classes, sequences: None, times_ns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loss_is_told_once() {
        let metrics = Metrics::default();
        let mut overflow = Overflow::default();
        assert_eq!(overflow.look(&metrics), None);
        metrics.events_dropped.at((Kind::Exec, Reason::RingFull)).add(3);
        let gap = overflow.look(&metrics).unwrap();
        assert_eq!((gap.classes, gap.sequences), (vec![(Kind::Exec, 3)], None));
        assert!(overflow.is_table_stale && gap.times_ns.0 <= gap.times_ns.1);
        assert_eq!(overflow.look(&metrics), None);
        metrics.events_dropped.at((Kind::Exec, Reason::RingFull)).add(1);
        metrics.events_dropped.at((Kind::Exit, Reason::RingFull)).add(2);
        assert_eq!(overflow.look(&metrics).unwrap().classes, [(Kind::Exec, 1), (Kind::Exit, 2)]);
    }
}
