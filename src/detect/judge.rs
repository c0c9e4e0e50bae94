//! Judging events: which rules match, and what made them.

use std::sync::Arc;

use super::combine::{self, Fed};
use super::load::Rules;
use super::sigma::logsource::Category;
use super::sigma::row::Row;
use super::sigma::scratch::Scratch;
use super::view::{Input, View};
use crate::event::{Container, Process};

/// Values and how much of each a finding shows.
const MATCHED_MAX: usize = 16;
const VALUE_BYTES_MAX: usize = 1024;

/// A rule that matched an event.
#[derive(Debug, Clone)]
pub struct Hit {
    /// The generation of rules.
    pub rules: Arc<Rules>,
    /// The rule's number in it.
    pub rule: u32,
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
    /// The correlations that it feeds.
    pub feeds: Vec<Fed>,
    /// Where.
    pub container: Option<Arc<Container>>,
}

/// What a worker needs to judge, kept from event to event.
#[derive(Debug, Default)]
pub struct Judge {
    view: View,
    scratch: Scratch,
    numbers: Vec<u32>,
}

impl Judge {
    /// Adds a hit for each rule that matches the event.
    pub fn judge(
        &mut self,
        rules: &Arc<Rules>,
        input: &Input<'_>,
        sequence: u64,
        wall_offset_ns: i64,
        hits: &mut Vec<Hit>,
    ) {
        let Judge { view, scratch, numbers } = self;
        view.rows(input, rules, |category: Category, row: &Row<'_>, failed: bool| {
            numbers.clear();
            rules.set.judge(category, row, failed, scratch, |number| numbers.push(number));
            for number in numbers.iter() {
                hits.push(Hit {
                    rules: Arc::clone(rules),
                    rule: *number,
                    time_ns: input.event.time_ns,
                    wall_offset_ns,
                    sequence,
                    line: input.line.into(),
                    matched: matched(rules, *number, row, scratch),
                    feeds: combine::feeds(rules, *number, row),
                    process: input.context.process.clone(),
                    container: input.context.container.clone(),
                });
            }
        });
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
