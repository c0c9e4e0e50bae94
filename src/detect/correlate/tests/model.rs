//! Random streams, out of order, against a model that sorts them, keeps them all and looks anew at each.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::*;
use super::budget;

const TIMESPAN: u64 = 100;
const TOLERANCE: u64 = 30;

#[derive(Debug, Clone)]
struct Event {
    rule: usize,
    time: u64,
    delay: u64,
    group: u8,
    value: i8,
}

fn number(value: i8) -> Number {
    Number::from(i64::from(value))
}

/// The hits of one group up to one of them, that one included, in order.
fn outcome(definition: &Definition, past: &[(u64, Event)]) -> Option<Fired> {
    let (_, last) = past.last()?;
    let since = last.time.saturating_sub(TIMESPAN);
    let window: Vec<&(u64, Event)> = past.iter().filter(|(_, event)| event.time >= since).collect();
    let least = usize::try_from(definition.condition.least()).unwrap();
    let chosen: Vec<&(u64, Event)> = match definition.kind {
        Kind::EventCount => {
            if window.len() < least {
                return None;
            }
            window[window.len() - least..].to_vec()
        }
        Kind::ValueCount | Kind::Temporal => {
            let mut latest = BTreeMap::new();
            for (at, hit) in window.iter().enumerate() {
                let key =
                    if definition.kind == Kind::Temporal { hit.1.rule as i64 } else { hit.1.value.into() };
                latest.insert(key, (at, *hit));
            }
            let all = definition.kind == Kind::Temporal && definition.condition == Condition::default();
            let least = if all { definition.rules } else { least };
            if latest.len() < least {
                return None;
            }
            let mut latest: Vec<_> = latest.into_values().collect();
            latest.sort_by_key(|(at, hit)| match definition.kind {
                Kind::Temporal => (hit.1.time, hit.0, 0),
                _ => (0, 0, *at),
            });
            let skipped = if definition.kind == Kind::Temporal { 0 } else { latest.len() - least };
            latest.into_iter().skip(skipped).map(|(_, hit)| hit).collect()
        }
        Kind::TemporalOrdered => {
            if last.rule + 1 != definition.rules {
                return None;
            }
            let mut chain = vec![];
            let mut wanted = definition.rules;
            for hit in window.iter().rev() {
                if wanted > 0 && hit.1.rule + 1 == wanted {
                    chain.push(*hit);
                    wanted -= 1;
                }
            }
            if wanted > 0 {
                return None;
            }
            chain.reverse();
            chain
        }
        Kind::ValueSum | Kind::ValueAvg => window,
    };
    let sum = chosen.iter().fold(Number::default(), |sum, hit| sum.plus(number(hit.1.value)));
    let summed = definition.kind == Kind::ValueSum;
    if summed && !definition.condition.holds(sum, 1) {
        return None;
    }
    let mut fired = finding(&chosen, chosen.len() as u64);
    fired.amount = summed.then_some(sum);
    if definition.kind == Kind::ValueCount {
        fired.values = chosen.iter().map(|hit| hit.1.value.to_string().into_bytes().into()).collect();
    }
    Some(fired)
}

fn finding(chosen: &[&(u64, Event)], count: u64) -> Fired {
    let mut events: Vec<EventRef> = chosen.iter().map(|hit| EventRef(hit.0)).collect();
    events.dedup();
    events.drain(..events.len().saturating_sub(MOST_EVENTS));
    Fired {
        group: [chosen[0].1.group].into(),
        first_ns: chosen[0].1.time,
        last_ns: chosen[chosen.len() - 1].1.time,
        count,
        amount: None,
        values: vec![],
        events,
        suppressed: 0,
    }
}

fn of_closed(definition: &Definition, term: &[&(u64, Event)]) -> Option<Fired> {
    let mut values: Vec<i8> = vec![];
    for hit in term {
        if !values.contains(&hit.1.value) {
            values.push(hit.1.value);
        }
    }
    let kept = usize::try_from(definition.condition.saturation()).unwrap_or(usize::MAX);
    values.truncate(kept);
    let rules: BTreeSet<usize> = term.iter().map(|hit| hit.1.rule).collect();
    let sum = term.iter().fold(Number::default(), |sum, hit| sum.plus(number(hit.1.value)));
    let (total, parts) = match definition.kind {
        Kind::ValueCount => (Number::from(values.len() as u64), 1),
        Kind::Temporal => (Number::from(rules.len() as u64), 1),
        Kind::ValueSum => (sum, 1),
        Kind::ValueAvg => (sum, term.len() as u64),
        _ => (Number::from(term.len() as u64), 1),
    };
    if !definition.condition.holds(total, parts) {
        return None;
    }
    let summed = definition.needs_number();
    let mut fired = finding(term, if summed { term.len() as u64 } else { total.floor() });
    fired.amount = summed.then(|| total.over(parts));
    if definition.kind == Kind::ValueCount {
        fired.values = values.iter().map(|value| value.to_string().into_bytes().into()).collect();
    }
    Some(fired)
}

fn model(definition: &Definition, events: &[(u64, Event)], suppress: bool) -> Vec<Fired> {
    let mut sorted = events.to_vec();
    sorted.sort_by_key(|(id, event)| (event.time, *id, Reverse(event.rule)));
    let mut all = vec![];
    for group in 0..3 {
        let hits: Vec<(u64, Event)> = sorted.iter().filter(|hit| hit.1.group == group).cloned().collect();
        if definition.closes() {
            let mut from = 0;
            while from < hits.len() {
                let end = hits[from].1.time + TIMESPAN;
                let term: Vec<_> = hits[from..].iter().take_while(|hit| hit.1.time <= end).collect();
                from += term.len();
                all.extend(of_closed(definition, &term));
            }
            continue;
        }
        let (mut quiet, mut suppressed, mut before) = (None, 0, 0);
        for n in 0..hits.len() {
            let time = hits[n].1.time;
            if before + TIMESPAN < time {
                suppressed = 0;
            }
            before = time;
            if quiet.is_some_and(|until| time <= until) {
                suppressed += 1;
            } else if let Some(fired) = outcome(definition, &hits[..=n]) {
                all.push(Fired { suppressed, ..fired });
                suppressed = 0;
                quiet = suppress.then_some(time + TIMESPAN);
            }
        }
    }
    sort(&mut all);
    all
}

fn sort(fired: &mut [Fired]) {
    fired.sort_by(|a, b| {
        (a.last_ns, &a.group, &a.events, a.first_ns).cmp(&(b.last_ns, &b.group, &b.events, b.first_ns))
    });
}

/// Feeds the events in order of arrival, moving time on now and then.
fn run(definition: &Definition, events: &[(u64, Event)], suppress: bool, expire_every: usize) -> Vec<Fired> {
    let options = Options { tolerance_ns: TOLERANCE, suppress, ..Options::default() };
    let (mut state, mut budget) = (State::new(definition.clone(), options).unwrap(), budget());
    let mut arrivals = events.to_vec();
    arrivals.sort_by_key(|(_, event)| event.time + event.delay);
    let (mut all, mut newest) = (vec![], 0);
    for (n, (id, event)) in arrivals.iter().enumerate() {
        let value = event.value.to_string();
        newest = newest.max(event.time);
        all.extend(state.hit(
            Hit {
                rule: event.rule,
                time_ns: event.time,
                group: &[event.group],
                value: Some(value.as_bytes()),
                event: EventRef(*id),
            },
            &mut budget,
        ));
        assert_eq!(budget.used_bytes(), state.bytes());
        if n % expire_every == expire_every - 1 {
            all.extend(state.expire(newest, &mut budget));
        }
    }
    all.extend(state.expire(u64::MAX, &mut budget));
    assert_eq!((state.groups(), state.counts().late, state.counts().early), (0, 0, 0));
    assert_eq!(state.counts().fired, all.len() as u64);
    sort(&mut all);
    all
}

fn events() -> impl Strategy<Value = Vec<(u64, Event)>> {
    let event = (0_usize..3, 0_u64..25, 0..=TOLERANCE, 0_u8..3, -3_i8..6);
    proptest::collection::vec(event, 0..150).prop_map(|steps| {
        let mut time = 1000;
        let make = |(n, (rule, step, delay, group, value)): (usize, (usize, u64, u64, u8, i8))| {
            // Most steps are short; some events match several rules, so that they share number and time.
            time += if step > 20 { step * 8 } else { step / 4 };
            (n as u64, Event { rule, time, delay, group, value })
        };
        let mut events: Vec<(u64, Event)> = steps.into_iter().enumerate().map(make).collect();
        for n in (3..events.len()).step_by(5) {
            let (id, first) = events[n - 1].clone();
            events[n] = (id, Event { rule: (first.rule + 1) % 3, ..first });
        }
        events
    })
}

fn condition() -> impl Strategy<Value = Condition> {
    let bound = |n: i64| Some(Number::from(n));
    (0..7, -1_i64..5, 1_i64..4).prop_map(move |(which, n, more)| {
        let none = Condition::default();
        match which {
            0 => Condition { gt: bound(n), ..none },
            1 => Condition { gte: bound(n), ..none },
            2 => Condition { lt: bound(n + 1), ..none },
            3 => Condition { lte: bound(n), ..none },
            4 => Condition { eq: bound(n), ..none },
            5 => Condition { neq: bound(n), ..none },
            _ => Condition { gte: bound(n), lt: bound(n + more), ..none },
        }
    })
}

fn check(
    kind: Kind,
    condition: Condition,
    events: &[(u64, Event)],
    suppress: bool,
    every: usize,
) -> Result<(), TestCaseError> {
    let definition = Definition { kind, rules: 3, timespan_ns: TIMESPAN, condition, depth: 0, basis: 0 };
    prop_assume!(definition.check().is_ok());
    prop_assert_eq!(run(&definition, events, suppress, every), model(&definition, events, suppress));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn counts(c in condition(), events in events(), suppress: bool, every in 1_usize..40) {
        check(Kind::EventCount, c, &events, suppress, every)?;
    }

    #[test]
    fn values(c in condition(), events in events(), suppress: bool, every in 1_usize..40) {
        check(Kind::ValueCount, c, &events, suppress, every)?;
    }

    #[test]
    fn sums(c in condition(), events in events(), suppress: bool, every in 1_usize..40) {
        check(Kind::ValueSum, c, &events, suppress, every)?;
    }

    #[test]
    fn means(c in condition(), events in events(), suppress: bool, every in 1_usize..40) {
        check(Kind::ValueAvg, c, &events, suppress, every)?;
    }

    #[test]
    fn rules(c in condition(), all: bool, events in events(), suppress: bool, every in 1_usize..40) {
        let c = if all { Condition::default() } else { c };
        check(Kind::Temporal, c, &events, suppress, every)?;
    }

    #[test]
    fn orders(events in events(), suppress: bool, every in 1_usize..40) {
        check(Kind::TemporalOrdered, Condition::default(), &events, suppress, every)?;
    }
}
