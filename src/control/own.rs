//! The agent's own records, made of what its parts know at the moment.
//!
//! [`ecs::own`](crate::event::ecs::own) knows how each is written; this module gathers what goes into it: sensors
//! and classes for the start, counters for a gap, merged events that no line tells of. It writes nowhere.

use super::overflow::Overflow;
use super::probes::Probes;
use crate::event::Host;
use crate::event::ecs::Frame;
use crate::event::ecs::own::{self, Class, Merged, Sensor};
use crate::kernel::plan::Level;
use crate::metrics::Metrics;
use crate::util::clock;

/// The record of the start: what is watched, with which hooks, and how the run before ended.
pub fn started(frame: &Frame, host: &Host, probes: &Probes, previous: &str) -> Vec<u8> {
    let facts = probes.facts();
    let sensors = facts.iter().map(|fact| Sensor {
        program: fact.program,
        hook: fact.hook,
        grade: fact.grade,
        classes: &fact.classes,
        missing: fact.missing.as_deref(),
        remark: fact.remark.as_deref(),
    });
    let known = probes.classes();
    let classes = known.iter().map(|fact| Class {
        kind: fact.kind,
        level: fact.level.map(Level::name),
        hooks: &fact.hooks,
        grade: fact.grade,
        missing: fact.missing.as_deref(),
        remark: fact.remark.as_deref(),
    });
    let mut line = Vec::new();
    own::started(frame, host, clock::wall_ns(), sensors, classes, previous, &mut line);
    line
}

/// A record for each kind of loss in the kernel since the last look.
pub fn losses(frame: &Frame, overflow: &mut Overflow, metrics: &Metrics) -> Vec<Vec<u8>> {
    let write = |gap| {
        let mut line = Vec::new();
        own::gap(frame, clock::wall_ns(), &gap, &mut line);
        line
    };
    overflow.look(metrics).into_iter().map(write).collect()
}

/// The record of merged events that no line tells of, as the first of them was lost; nothing if there are none.
pub fn merged(frame: &Frame, probes: &Probes) -> Option<Vec<u8>> {
    let untold = probes.untold()?;
    let each = untold.each.iter().map(|unplaced| Merged {
        class: unplaced.kind,
        count: unplaced.count,
        pid: unplaced.pid,
        inode: unplaced.inode,
        times_ns: unplaced.times_ns,
    });
    let mut line = Vec::new();
    own::merged(frame, clock::wall_ns(), &each.collect::<Vec<_>>(), &untold.others, &mut line);
    Some(line)
}

/// The record of the end, with the sequence number of the last event.
pub fn stopped(frame: &Frame, reason: &str, last_sequence: u64) -> Vec<u8> {
    let mut line = Vec::new();
    own::stopped(frame, clock::wall_ns(), reason, last_sequence, &mut line);
    line
}
