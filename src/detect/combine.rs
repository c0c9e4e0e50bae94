//! Hits of rules taken together: the glue between correlation rules and their state.
//!
//! Workers note with each hit which correlations it feeds, with what group and value; one thread gives them to the
//! [`Correlator`], which outlives generations of rules: the state of a correlation that did not change goes on. A
//! correlation fires a little after the hit that completed it, so the lines of the latest hits are kept to build its
//! finding of.

use std::collections::VecDeque;
use std::sync::Arc;

use super::correlate::{self, Correlator, EventRef, Fired, Options, Settings};
use super::finding::Together;
use super::judge::Hit;
use super::load::Rules;
use super::sigma::row::Row;
use super::trail::Before;

/// Hits may come this much out of order, as they do from several CPUs and workers.
const TOLERANCE_NS: u64 = 200_000_000;

/// Groups of one correlation.
const GROUPS_MAX: usize = 10_000;

/// Memory of all correlations, as they account for it; they take about twice that.
const BUDGET_BYTES: u64 = 16 << 20;

/// Lines of hits that are kept.
const RECENT_MAX: usize = 1024;

/// A correlation that a hit feeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fed {
    /// The correlation's position among those of its generation.
    pub correlation: usize,
    /// Which of its rules hit.
    pub base: usize,
    /// What it is grouped by: the length of each value before the value.
    pub group: Box<[u8]>,
    /// The value that the condition is about.
    pub value: Option<Box<[u8]>>,
}

/// Every correlation that a hit of this rule feeds, with the event's values. A field that is absent is empty.
pub fn feeds(rules: &Rules, rule: u32, row: &Row<'_>) -> Vec<Fed> {
    let mut feeds = Vec::new();
    for (at, correlation) in rules.set.correlations().iter().enumerate() {
        for (base, of) in correlation.bases.iter().enumerate().filter(|(_, base)| base.rule == rule) {
            let mut group = Vec::new();
            for field in &of.group_by {
                let value = row.get(*field).values().next().unwrap_or_default();
                group.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
                group.extend_from_slice(value);
            }
            let value = of.value.and_then(|field| row.get(field).values().next().map(Box::from));
            feeds.push(Fed { correlation: at, base, group: group.into(), value });
        }
    }
    feeds
}

/// The values that a group's key was made of.
fn parts(mut group: &[u8]) -> Vec<String> {
    let mut parts = Vec::new();
    while let Some((length, rest)) = group.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX).min(rest.len());
        let (value, rest) = rest.split_at(length);
        parts.push(String::from_utf8_lossy(value).into_owned());
        group = rest;
    }
    parts
}

/// A hit that a finding may be built of.
#[derive(Debug)]
struct Recent {
    sequence: u64,
    line: Box<[u8]>,
    wall_offset_ns: i64,
    preceding: Before,
}

/// The state of all correlations.
#[derive(Debug)]
pub struct Combiner {
    correlator: Correlator,
    rules: Option<Arc<Rules>>,
    recent: VecDeque<Recent>,
    newest_ns: u64,
}

impl Default for Combiner {
    fn default() -> Self {
        let options = Options { groups: GROUPS_MAX, tolerance_ns: TOLERANCE_NS, suppress: true };
        Combiner {
            correlator: Correlator::new(Settings { options, budget_bytes: BUDGET_BYTES }),
            rules: None,
            recent: VecDeque::new(),
            newest_ns: 0,
        }
    }
}

impl Combiner {
    /// Takes a hit, and adds the line of each correlation that fires.
    pub fn hit(&mut self, hit: &Hit, fired: &mut Vec<Together>) {
        self.follow(&hit.rules);
        self.newest_ns = self.newest_ns.max(hit.time_ns);
        if hit.feeds.is_empty() {
            return;
        }
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(Recent {
            sequence: hit.sequence,
            line: hit.line.clone(),
            wall_offset_ns: hit.wall_offset_ns,
            preceding: Arc::clone(&hit.preceding),
        });
        for fed in &hit.feeds {
            // The hit may be of an older generation than the state.
            let id =
                hit.rules.set.correlations().get(fed.correlation).map(|correlation| &correlation.about.id);
            let Some(position) = id.and_then(|id| self.correlator.position(id)) else { continue };
            let given = correlate::Hit {
                rule: fed.base,
                time_ns: hit.time_ns,
                group: &fed.group,
                value: fed.value.as_deref(),
                event: EventRef(hit.sequence),
            };
            if let Some(found) = self.correlator.hit(position, given) {
                fired.extend(self.together(position, found));
            }
        }
    }

    /// Looks for what is complete, or over, by this moment of the boot clock; in a replay by the newest event's.
    pub fn expire(&mut self, now_ns: Option<u64>, fired: &mut Vec<Together>) {
        let now_ns = now_ns.unwrap_or(self.newest_ns);
        for (position, found) in self.correlator.expire(now_ns) {
            fired.extend(self.together(position, found));
        }
    }

    /// Lets go what only waits for its order, at the end.
    pub fn finish(&mut self, fired: &mut Vec<Together>) {
        self.expire(Some(self.newest_ns.saturating_add(TOLERANCE_NS + 1)), fired);
    }

    /// Goes on with the correlations of another generation, if it is one.
    fn follow(&mut self, rules: &Arc<Rules>) {
        if self.rules.as_ref().is_some_and(|old| old.generation >= rules.generation) {
            return;
        }
        let definitions = rules.set.correlations().iter();
        let definitions = definitions.map(|c| (c.about.id.clone(), c.definition.clone())).collect();
        match self.correlator.reload(definitions) {
            Ok(reloaded) => log::debug!("correlations: {reloaded:?}"),
            // Each was checked when it was compiled, and ids are unique in a set.
            Err(error) => log::error!("the correlations stay as they were: {error}"),
        }
        self.rules = Some(Arc::clone(rules));
    }

    fn together(&self, position: usize, fired: Fired) -> Option<Together> {
        let rules = self.rules.as_ref()?;
        let correlation = rules.set.correlations().get(position)?;
        let newest = fired
            .events
            .iter()
            .filter_map(|event| self.recent.iter().find(|r| r.sequence == event.0))
            .next_back();
        let wall = |time_ns: u64| {
            let offset = newest.or_else(|| self.recent.back()).map_or(0, |recent| recent.wall_offset_ns);
            time_ns.saturating_add_signed(offset)
        };
        let group = correlation.group_by.iter().map(ToString::to_string).zip(parts(&fired.group)).collect();
        Some(Together {
            about: Arc::clone(&correlation.about),
            generation: rules.generation,
            kind: correlation.definition.kind.name(),
            group,
            count: fired.count,
            values: fired.values.iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect(),
            events: fired.events.iter().map(|event| event.0).collect(),
            suppressed: fired.suppressed,
            times_ns: (wall(fired.first_ns), wall(fired.last_ns)),
            line: newest.map(|recent| recent.line.clone()),
            preceding: newest.map(|recent| Arc::clone(&recent.preceding)).unwrap_or_default(),
        })
    }
}
