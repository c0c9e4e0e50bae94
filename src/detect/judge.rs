//! Judging events: which rules match, and what made them.

use std::path::PathBuf;
use std::sync::Arc;

use super::anomaly;
use super::combine::{self, Fed};
use super::indicator::hash::Identity;
use super::load::Rules;
use super::novelty::Novelty;
use super::sighting;
use super::sigma::logsource::Category;
use super::sigma::row::Row;
use super::sigma::rule::About;
use super::sigma::scratch::Scratch;
use super::sigma::verdicts::Verdicts;
use super::trail::Before;
use super::view::{Input, View};
use crate::event::{Container, EntityId, Process};

/// Values and how much of each a finding shows.
const MATCHED_MAX: usize = 16;
const VALUE_BYTES_MAX: usize = 1024;

/// A rule that matched an event, or an indicator that was seen in it.
#[derive(Debug, Clone)]
pub struct Hit {
    /// The generation of rules.
    pub rules: Arc<Rules>,
    /// What the rule says of itself.
    pub about: Arc<About>,
    /// What it is about, as rules name it.
    pub category: &'static str,
    /// It is counted and not told.
    pub is_silent: bool,
    /// Boot clock of the event, nanoseconds.
    pub time_ns: u64,
    /// Add to the boot clock to get wall time.
    pub wall_offset_ns: i64,
    /// The event's sequence number.
    pub sequence: u64,
    /// The event's line of ECS.
    pub line: Box<[u8]>,
    /// Field and value of each test that passed.
    pub matched: Vec<(Box<str>, String)>,
    /// Who did it, with the chain behind.
    pub process: Option<Arc<Process>>,
    /// It is a hit only if the digest of this file, found there, is listed.
    pub program: Option<(Identity, PathBuf)>,
    /// The correlations that it feeds.
    pub feeds: Vec<Fed>,
    /// Where.
    pub container: Option<Arc<Container>>,
    /// The leader of its session.
    pub session_leader: Option<EntityId>,
    /// What its process tree did before.
    pub preceding: Before,
}

/// An event that is being judged.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The generation of rules in force.
    pub rules: &'a Arc<Rules>,
    /// The event.
    pub input: Input<'a>,
    /// Its sequence number.
    pub sequence: u64,
    /// Add to the boot clock to get wall time.
    pub wall_offset_ns: i64,
}

impl Case<'_> {
    /// A hit in this event.
    pub fn hit(&self, about: &Arc<About>, category: &'static str, matched: Vec<(Box<str>, String)>) -> Hit {
        Hit {
            rules: Arc::clone(self.rules),
            about: Arc::clone(about),
            category,
            is_silent: false,
            time_ns: self.input.event.time_ns,
            wall_offset_ns: self.wall_offset_ns,
            sequence: self.sequence,
            line: self.input.line.into(),
            matched,
            program: None,
            feeds: Vec::new(),
            process: self.input.context.process.clone(),
            container: self.input.context.container.clone(),
            session_leader: self.input.context.session_leader,
            preceding: Before::default(),
        }
    }
}

/// What a worker needs to judge, kept from event to event.
#[derive(Debug, Default)]
pub struct Judge {
    view: View,
    scratch: Scratch,
    verdicts: Verdicts,
}

impl Judge {
    /// Adds a hit for each rule that matches the event, for each indicator in it, and for what is new in it.
    pub fn judge(&mut self, case: &Case<'_>, novelty: &Novelty, hits: &mut Vec<Hit>) {
        let Judge { view, scratch, verdicts } = self;
        let rules = case.rules;
        scratch.meters.follow(&rules.budgets);
        view.rows(&case.input, rules, |category: Category, row: &Row<'_>, failed: bool| {
            let set = (rules.generation, &rules.set);
            for number in verdicts.judge(set, category, row, failed, scratch) {
                let Some(rule) = rules.set.rules().get(*number as usize) else { continue };
                let is_shadow = rules.shadow.get(*number as usize).copied().unwrap_or(false);
                let matched = matched(rules, *number, row, scratch);
                hits.push(Hit {
                    is_silent: is_shadow || rules.set.serves(*number),
                    feeds: combine::feeds(rules, *number, row),
                    ..case.hit(&rule.about, category.name(), matched)
                });
            }
        });
        let of_rules = hits.len();
        sighting::add(case, hits);
        if rules.anomalies {
            anomaly::add(case, novelty, hits);
        }
        // Indicators and anomalies have ids as rules have, and the configuration names them in the same way.
        for hit in hits.split_off(of_rules) {
            if !rules.disabled.iter().any(|id| **id == *hit.about.id) {
                let is_silent = rules.silent.iter().any(|id| **id == *hit.about.id);
                hits.push(Hit { is_silent, ..hit });
            }
        }
    }
}

/// Field and value of what made a rule match, each once.
pub fn matched(rules: &Rules, number: u32, row: &Row<'_>, scratch: &mut Scratch) -> Vec<(Box<str>, String)> {
    let Some(rule) = rules.set.rules().get(number as usize) else { return Vec::new() };
    let mut tests = Vec::new();
    rule.expr.explain(row, scratch, &mut tests);
    let mut matched: Vec<(Box<str>, String)> = Vec::new();
    for test in tests {
        let Some(field) = test.field else {
            matched.push(("keyword".into(), String::new()));
            continue;
        };
        let values = row.get(field).values().filter(|value| test.passes(value));
        let text = |value: &[u8]| {
            let shown = value.get(..VALUE_BYTES_MAX).unwrap_or(value);
            String::from_utf8_lossy(shown).into_owned()
        };
        let entry = (rules.set.names.name(field).into(), values.map(text).next().unwrap_or_default());
        if !matched.contains(&entry) && matched.len() < MATCHED_MAX {
            matched.push(entry);
        }
    }
    matched
}
