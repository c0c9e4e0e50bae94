//! The cases of a rule: events that it must match, and look-alikes that it must not.
//!
//! They stand in the rule's file, under `tests`: `match` and `ignore` are lists of events, each a mapping of fields to
//! values. A case is judged with all that judging has, by the rule alone, and once more by the whole set, so that a
//! fault of the index shows as well.

use super::sigma::rule::Rule;
use super::sigma::scratch::Scratch;
use super::sigma::set::Set;
use super::view::flat::Flat;

/// A case that did not come out as it must, or cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Line in the rule's file.
    pub line: usize,
    /// What happened.
    pub what: String,
}

/// Cases of a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Cases that must match, and that must not.
    pub counts: (usize, usize),
    /// Those that failed.
    pub failures: Vec<Failure>,
}

/// Runs the cases of the rule with this number.
pub fn run(set: &Set, number: u32) -> Outcome {
    let mut outcome = Outcome::default();
    let Some(rule) = set.rules().get(number as usize) else { return outcome };
    let Some(tests) = &rule.tests else { return outcome };
    let mut scratch = Scratch::default();
    for (key, expected) in [("match", true), ("ignore", false)] {
        for node in tests.get(key).map_or(&[][..], |node| node.members()) {
            if expected {
                outcome.counts.0 += 1;
            } else {
                outcome.counts.1 += 1;
            }
            let result = Flat::of_yaml(node).and_then(|event| {
                judge(set, rule, number, &event, expected, &mut scratch).map_err(|what| (node.line, what))
            });
            if let Err((line, what)) = result {
                outcome.failures.push(Failure { line, what });
            }
        }
    }
    outcome
}

fn judge(
    set: &Set,
    rule: &Rule,
    number: u32,
    event: &Flat,
    expected: bool,
    scratch: &mut Scratch,
) -> Result<(), String> {
    event.with_row(&set.names, |row| {
        scratch.begin(set.rules().len());
        let failed = event.has_failed();
        let alone = rule.expr.holds(row, scratch) && (!failed || rule.sees_failures);
        let mut among_all = false;
        set.judge(rule.category, row, failed, scratch, |hit| among_all |= hit == number);
        match (alone, expected) {
            (true, false) => Err("the rule matches what it must not".to_owned()),
            (false, true) => Err("the rule does not match what it must".to_owned()),
            _ if among_all != alone => {
                Err("the index and the rule disagree, which is a fault of the agent".to_owned())
            }
            _ => Ok(()),
        }
    })
}
