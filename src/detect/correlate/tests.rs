//! What rules find in streams that are made by hand. The model and the limits have files of their own.

mod bounds;
mod model;

use super::*;

pub(super) const SECOND: u64 = 1_000_000_000;

pub(super) fn definition(kind: Kind, rules: usize, condition: Condition) -> Definition {
    Definition { kind, rules, timespan_ns: 10 * SECOND, condition, depth: 0, basis: 0 }
}

pub(super) fn gte(n: u64) -> Condition {
    Condition { gte: Some(n.into()), ..Condition::default() }
}

pub(super) fn budget() -> Budget {
    Budget::new(16 << 20)
}

fn state(definition: Definition) -> (State, Budget) {
    (State::new(definition, Options { tolerance_ns: 0, ..Options::default() }).unwrap(), budget())
}

pub(super) fn hit(rule: usize, second: u64, group: &'static str, event: u64) -> Hit<'static> {
    let (time_ns, group) = (second * SECOND, group.as_bytes());
    Hit { rule, time_ns, group, value: None, event: EventRef(event) }
}

fn events(numbers: &[u64]) -> Vec<EventRef> {
    numbers.iter().copied().map(EventRef).collect()
}

#[test]
fn a_count_fires_once_then_is_quiet_then_says_what_it_kept_quiet() {
    let (mut state, mut budget) = state(definition(Kind::EventCount, 1, gte(3)));
    let mut at = |second, event| state.hit(hit(0, second, "a", event), &mut budget);
    assert_eq!((at(0, 1), at(5, 2)), (None, None));
    let fired = at(10, 3).unwrap();
    assert_eq!((fired.first_ns, fired.last_ns, fired.count), (0, 10 * SECOND, 3));
    assert_eq!((fired.events, fired.suppressed), (events(&[1, 2, 3]), 0));
    assert_eq!((at(15, 4), at(20, 5)), (None, None));
    let again = at(21, 6).unwrap();
    assert_eq!((again.suppressed, again.events), (2, events(&[4, 5, 6])));
}

#[test]
fn hits_further_apart_than_the_timespan_and_of_other_groups_do_not_add_up() {
    let (mut state, mut budget) = state(definition(Kind::EventCount, 1, gte(2)));
    for (second, group, fires) in [(0, "a", false), (1, "b", false), (11, "a", false), (21, "a", true)] {
        assert_eq!(state.hit(hit(0, second, group, second), &mut budget).is_some(), fires, "{second}");
    }
}

#[test]
fn an_order_needs_distinct_events_in_order() {
    let (mut state, mut budget) = state(definition(Kind::TemporalOrdered, 2, Condition::default()));
    assert_eq!(state.hit(hit(1, 0, "a", 1), &mut budget), None);
    assert_eq!(state.hit(hit(1, 1, "a", 2), &mut budget), None);
    assert_eq!(state.hit(hit(0, 1, "a", 2), &mut budget), None);
    assert_eq!(state.hit(hit(1, 12, "a", 3), &mut budget), None);
    assert_eq!(state.hit(hit(0, 13, "a", 4), &mut budget), None);
    let fired = state.hit(hit(1, 14, "a", 5), &mut budget).unwrap();
    assert_eq!((fired.count, fired.events), (2, events(&[4, 5])));
}

#[test]
fn a_range_is_judged_when_the_window_is_over() {
    let condition = Condition { lte: Some(3_u64.into()), ..gte(2) };
    let (mut state, mut budget) = state(definition(Kind::EventCount, 1, condition));
    for (second, group) in
        [(0, "one"), (0, "two"), (0, "four"), (1, "two"), (1, "four"), (2, "four"), (3, "four")]
    {
        assert_eq!(state.hit(hit(0, second, group, second), &mut budget), None);
    }
    assert_eq!(state.expire(10 * SECOND, &mut budget), []);
    let fired = state.expire(10 * SECOND + 1, &mut budget);
    assert_eq!(fired.iter().map(|f| (&*f.group, f.count)).collect::<Vec<_>>(), [(&b"two"[..], 2)]);
    assert_eq!(state.groups(), 0);
}

#[test]
fn sums_and_means_are_exact_and_refuse_what_is_no_number() {
    let sum = Condition { gt: Some(Number::parse(b"0.3").unwrap()), ..Condition::default() };
    let (mut total, mut budget) = state(definition(Kind::ValueSum, 1, sum));
    let with = |value| Hit { value: Some(value), ..hit(0, 1, "a", 1) };
    for value in [b"0.1", b"0.2", b"two"] {
        assert_eq!(total.hit(with(value), &mut budget), None);
    }
    assert_eq!(total.hit(hit(0, 1, "a", 1), &mut budget), None);
    let fired = total.hit(with(b".000001"), &mut budget).unwrap();
    assert_eq!((fired.amount.unwrap().to_string(), fired.count), ("0.300001".to_owned(), 3));
    assert_eq!((total.counts().not_numbers, total.counts().without_value), (1, 1));

    let mean = Condition { gte: Some(2_u64.into()), ..Condition::default() };
    let (mut mean, mut budget) = state(definition(Kind::ValueAvg, 1, mean));
    for value in [b"5", b"0", b"1"] {
        assert_eq!(mean.hit(with(value), &mut budget), None);
    }
    let fired = mean.expire(12 * SECOND, &mut budget);
    assert_eq!(fired.first().unwrap().amount, Some(Number::from(2_u64)));
}

#[test]
fn numbers_are_read_exactly_or_not_at_all() {
    for (text, number) in
        [("-1.50", "-1.5"), (" 7 ", "7"), ("+.5", "0.5"), ("3.", "3"), ("0.1234567", "0.123456")]
    {
        assert_eq!(Number::parse(text.as_bytes()).unwrap().to_string(), number);
    }
    for text in ["", ".", "-", "1e3", "0x10", "1_000", "123456789012345678901", "١"] {
        assert_eq!(Number::parse(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn what_cannot_be_looked_for_is_refused() {
    use DefinitionError::{Impossible, NoCondition, NoRules, OrderedCondition, TooMany, TooManyRules};
    let between = Condition { lt: Some(3_u64.into()), gt: Some(2_u64.into()), ..Condition::default() };
    let none = Condition::default();
    for (definition, error) in [
        (definition(Kind::EventCount, 0, gte(1)), NoRules),
        (definition(Kind::EventCount, 1, none), NoCondition(Kind::EventCount)),
        (definition(Kind::EventCount, 1, gte(100_001)), TooMany(100_001)),
        (definition(Kind::ValueCount, 1, between), Impossible { what: "values" }),
        (definition(Kind::Temporal, 2, gte(3)), Impossible { what: "base rules" }),
        (definition(Kind::Temporal, 65, none), TooManyRules { kind: Kind::Temporal, rules: 65 }),
        (definition(Kind::TemporalOrdered, 3, gte(2)), OrderedCondition(3)),
    ] {
        assert_eq!(definition.check(), Err(error));
    }
    assert_eq!(definition(Kind::TemporalOrdered, 3, gte(3)).check(), Ok(()));
    let hard = Condition { neq: Some(2_u64.into()), lte: Some(2_u64.into()), ..Condition::default() };
    assert_eq!(definition(Kind::EventCount, 1, hard).check(), Ok(()));
}

#[test]
fn a_reload_keeps_the_state_of_what_did_not_change() {
    let mut correlator = Correlator::new(Settings::default());
    let (same, changing) =
        (definition(Kind::EventCount, 1, gte(2)), definition(Kind::Temporal, 2, Condition::default()));
    let load = |changing: &Definition| {
        vec![(Box::from("changing"), changing.clone()), (Box::from("same"), same.clone())]
    };
    let reloaded = correlator.reload(load(&changing)).unwrap();
    assert_eq!((reloaded.kept, reloaded.fresh), (0, 2));
    for position in 0..2 {
        assert_eq!(correlator.hit(position, hit(0, 1, "a", 1)), None);
    }
    assert!(correlator.expire(2 * SECOND).is_empty());
    let changed = Definition { basis: 1, ..changing };
    let reloaded = correlator.reload(load(&changed)).unwrap();
    assert_eq!(reloaded, Reloaded { kept: 1, fresh: 1, dropped: 1, dropped_groups: 1 });
    for position in 0..2 {
        assert_eq!(correlator.hit(position, hit(1 - position, 3, "a", 2)), None);
    }
    let fired = correlator.expire(4 * SECOND);
    assert_eq!(fired.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [1]);
    assert_eq!((correlator.position("same"), correlator.counts().hits), (Some(1), 4));

    let twice = vec![("same".into(), same.clone()), ("same".into(), same.clone())];
    assert_eq!(correlator.reload(twice), Err(ReloadError::Twice("same".to_owned())));
    let bad = vec![("bad".into(), definition(Kind::EventCount, 0, gte(1)))];
    let error = correlator.reload(bad).unwrap_err().to_string();
    assert_eq!(
        error,
        "correlation rule bad cannot be looked for: a correlation needs at least one base rule"
    );
    assert_eq!(correlator.states().len(), 2);
    correlator.reload(Vec::new()).unwrap();
    assert_eq!((correlator.budget().used_bytes(), correlator.counts().hits), (0, 4));
}

#[test]
fn fingerprints_tell_definitions_apart() {
    let plain = definition(Kind::EventCount, 1, gte(2));
    let gt = Condition { gt: Some(2_u64.into()), ..Condition::default() };
    let others = [
        Definition { kind: Kind::Temporal, ..plain.clone() },
        Definition { rules: 2, ..plain.clone() },
        Definition { timespan_ns: 1, ..plain.clone() },
        Definition { condition: gte(3), ..plain.clone() },
        Definition { condition: gt, ..plain.clone() },
        Definition { depth: 1, ..plain.clone() },
        Definition { basis: 1, ..plain.clone() },
    ];
    let prints: std::collections::HashSet<u64> = others.iter().chain([&plain]).map(fingerprint).collect();
    assert_eq!(prints.len(), 8);
}

#[test]
fn long_values_stay_distinct() {
    let (mut state, mut budget) = state(definition(Kind::ValueCount, 1, gte(2)));
    let (mut one, mut other) = (vec![b'x'; 5000], vec![b'x'; 5000]);
    one.push(1);
    other.push(2);
    let with = |value| Hit { value: Some(value), ..hit(0, 1, "a", 1) };
    assert_eq!(state.hit(with(&one), &mut budget), None);
    assert_eq!(state.hit(with(&one), &mut budget), None);
    let fired = state.hit(with(&other), &mut budget).unwrap();
    assert!(fired.values.iter().all(|value| value.len() == MOST_VALUE_BYTES + 1));
}
