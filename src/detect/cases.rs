//! The cases of a rule: events that it must match, and look-alikes that it must not.
//!
//! They stand in the rule's file, under `tests`: `match` and `ignore` are lists of events, each a mapping of fields to
//! values. A case is judged with all that judging has, by the rule alone, and once more by the whole set, so that a
//! fault of the index shows as well.

use super::correlate::{self, Correlator, EventRef, Options, Settings};
use super::sigma::correlation::{Base, Correlation};
use super::sigma::fields::Field;
use super::sigma::rule::Rule;
use super::sigma::scratch::Scratch;
use super::sigma::search::Fault;
use super::sigma::set::Set;
use super::sigma::yaml::Node;
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

/// Runs the cases of the correlation at this position: each is a stream of hits, with the name of the `rule`, the `time`
/// in seconds, and the fields that matter.
pub fn run_correlation(set: &Set, position: usize) -> Outcome {
    let mut outcome = Outcome::default();
    let Some(correlation) = set.correlations().get(position) else { return outcome };
    let Some(tests) = &correlation.tests else { return outcome };
    for (key, expected) in [("match", true), ("ignore", false)] {
        for stream in tests.get(key).map_or(&[][..], |node| node.members()) {
            if expected {
                outcome.counts.0 += 1;
            } else {
                outcome.counts.1 += 1;
            }
            let result = fires(set, correlation, stream);
            let failure = match result {
                Err((line, what)) => Some((line, what)),
                Ok(fired) if fired == expected => None,
                Ok(true) => Some((stream.line, "the correlation fires and must not".to_owned())),
                Ok(false) => Some((stream.line, "the correlation does not fire and must".to_owned())),
            };
            outcome.failures.extend(failure.map(|(line, what)| Failure { line, what }));
        }
    }
    outcome
}

fn fires(set: &Set, correlation: &Correlation, stream: &Node) -> Result<bool, Fault> {
    let options = Options { groups: 1000, tolerance_ns: 0, suppress: true };
    let mut correlator = Correlator::new(Settings { options, budget_bytes: 1 << 20 });
    let definition = (correlation.about.id.clone(), correlation.definition.clone());
    correlator.reload(vec![definition]).map_err(|error| (stream.line, error.to_string()))?;
    let mut fired = false;
    let mut newest_ns = 0;
    for (sequence, node) in stream.members().iter().enumerate() {
        let event = Flat::of_yaml(node)?;
        let named = event.get("rule").and_then(|values| values.first()).cloned().unwrap_or_default();
        let time =
            event.get("time").and_then(|values| values.first()).and_then(|text| text.parse::<f64>().ok());
        let time = time.ok_or_else(|| (node.line, "the hit has no 'time' in seconds".to_owned()))?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "seconds of a test, none negative"
        )]
        let time_ns = (time.max(0.0) * 1e9) as u64;
        newest_ns = newest_ns.max(time_ns);
        let is_named = |base: &&(usize, &Base)| {
            let about = set.rules().get(base.1.rule as usize).map(|rule| &rule.about);
            about.is_some_and(|about| *about.id == *named || about.name.as_deref() == Some(named.as_str()))
        };
        let bases: Vec<(usize, &Base)> = correlation.bases.iter().enumerate().collect();
        let Some((base, of)) = bases.iter().find(is_named) else {
            return Err((node.line, format!("the correlation is not about a rule '{named}'")));
        };
        let value = |field: &Field| {
            event.get(set.names.name(*field)).and_then(|values| values.first()).cloned().unwrap_or_default()
        };
        let group = of.group_by.iter().map(value).collect::<Vec<String>>().join("\0");
        let value = of.value.as_ref().map(value);
        let hit = correlate::Hit {
            rule: *base,
            time_ns,
            group: group.as_bytes(),
            value: value.as_deref().map(str::as_bytes),
            event: EventRef(sequence as u64),
        };
        fired |= correlator.hit(0, hit).is_some();
    }
    let end_ns = newest_ns.saturating_add(correlation.definition.timespan_ns).saturating_add(1);
    Ok(fired || !correlator.expire(end_ns).is_empty())
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
        scratch.forget();
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
