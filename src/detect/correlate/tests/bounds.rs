//! Limits, and what a hit costs.

use super::super::*;
use super::{SECOND, budget, definition, gte, hit};

const MOST_BYTES: u64 = 16 << 20;

/// Resident memory of this process, bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Time that this thread was on a processor, nanoseconds: other load does not count.
fn on_cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

/// Numbers that look random, always the same.
fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

fn all_kinds() -> Vec<(Box<str>, Definition)> {
    let upper = Condition { lte: Some(3_u64.into()), ..Condition::default() };
    [
        ("event_count", definition(Kind::EventCount, 2, gte(20))),
        ("value_count", definition(Kind::ValueCount, 2, gte(10))),
        ("value_sum", definition(Kind::ValueSum, 2, gte(1_000_000_000_000))),
        ("value_avg", definition(Kind::ValueAvg, 2, gte(u64::MAX / 2))),
        ("temporal", definition(Kind::Temporal, 3, Condition::default())),
        ("temporal_ordered", definition(Kind::TemporalOrdered, 3, Condition::default())),
        ("event_count, upper bound", definition(Kind::EventCount, 2, upper)),
        ("value_count, upper bound", definition(Kind::ValueCount, 2, upper)),
    ]
    .map(|(id, definition)| (id.into(), definition))
    .into()
}

#[test]
fn groups_beyond_the_limit_push_out_the_oldest_and_are_counted() {
    let options = Options { groups: 3, tolerance_ns: 0, suppress: true };
    let (mut state, mut budget) =
        (State::new(definition(Kind::EventCount, 1, gte(2)), options).unwrap(), budget());
    for (n, group) in ["a", "b", "c", "b", "d"].into_iter().enumerate() {
        let fired = state.hit(hit(0, 1, group, n as u64), &mut budget);
        assert_eq!(fired.is_some(), n == 3);
    }
    assert_eq!((state.groups(), state.counts().evicted_groups), (3, 1));
    // "a" is gone, "c" is still there.
    assert!(state.hit(hit(0, 2, "c", 9), &mut budget).is_some());
    assert!(state.hit(hit(0, 2, "a", 10), &mut budget).is_none());
}

#[test]
fn a_window_that_is_over_is_judged_when_it_is_pushed_out() {
    let options = Options { groups: 1, tolerance_ns: 0, suppress: true };
    let lone = Condition { lt: Some(2_u64.into()), ..Condition::default() };
    let (mut state, mut budget) =
        (State::new(definition(Kind::EventCount, 1, lone), options).unwrap(), budget());
    assert_eq!(state.hit(hit(0, 1, "a", 1), &mut budget), None);
    let fired = state.hit(hit(0, 12, "b", 2), &mut budget).unwrap();
    assert_eq!((&*fired.group, state.counts().evicted_groups), (&b"a"[..], 0));
    assert_eq!(state.hit(hit(0, 13, "c", 3), &mut budget), None);
    assert_eq!(state.counts().evicted_groups, 1);
}

#[test]
fn hits_that_come_too_late_count_at_the_edge() {
    let (mut state, mut budget) =
        (State::new(definition(Kind::EventCount, 1, gte(2)), Options::default()).unwrap(), budget());
    assert_eq!(state.hit(hit(0, 100, "a", 1), &mut budget), None);
    assert_eq!(state.hit(hit(0, 50, "a", 2), &mut budget), None);
    let fired = state.expire(101 * SECOND, &mut budget);
    let edge = 100 * SECOND - 200_000_000;
    assert_eq!((fired[0].first_ns, fired[0].last_ns, state.counts().late), (edge, 100 * SECOND, 1));
}

#[test]
fn hits_that_wait_are_limited_and_none_is_lost() {
    let (mut state, mut budget) =
        (State::new(definition(Kind::EventCount, 1, gte(50_000)), Options::default()).unwrap(), budget());
    let fired: Vec<Fired> = (0..50_000).filter_map(|n| state.hit(hit(0, 1, "a", n), &mut budget)).collect();
    assert_eq!((fired.len(), state.counts().early), (0, 50_000 - 16_384));
    assert_eq!(state.expire(2 * SECOND, &mut budget).len(), 1);
    assert_eq!(state.counts().late, 0);
}

#[test]
fn a_budget_takes_from_the_flooded_rule_not_from_the_quiet_one() {
    let options = Options { tolerance_ns: 1000, ..Options::default() };
    let mut correlator = Correlator::new(Settings { options, budget_bytes: 1 << 20 });
    let quiet = Definition { timespan_ns: 3600 * SECOND, ..definition(Kind::EventCount, 1, gte(2)) };
    let flooded = Definition { timespan_ns: 3600 * SECOND, ..definition(Kind::ValueCount, 1, gte(3)) };
    correlator.reload(vec![("quiet".into(), quiet), ("flooded".into(), flooded)]).unwrap();
    correlator.hit(0, hit(0, 1, "mine", 0));
    for n in 0..100_000_u64 {
        let (group, value) = (n.to_le_bytes(), [b'v'; 300]);
        let value = Some(&value[..]);
        let hit = Hit { rule: 0, time_ns: SECOND + n * 1000, group: &group, value, event: EventRef(n) };
        correlator.hit(1, hit);
        assert!(correlator.budget().used_bytes() <= 1 << 20);
    }
    let states: Vec<&State> = correlator.states().map(|(_, state)| state).collect();
    assert_eq!((states[0].counts().evicted_groups, states[0].groups()), (0, 0));
    assert!(states[1].counts().evicted_groups > 90_000);
    correlator.hit(0, hit(0, 2, "mine", 1));
    assert_eq!(correlator.expire(10 * SECOND).len(), 1);
}

#[test]
fn long_sums_are_coarsened_not_cut() {
    let condition = Condition { gte: Some(100_000_u64.into()), ..Condition::default() };
    let options = Options { tolerance_ns: 0, ..Options::default() };
    let (mut state, mut budget) =
        (State::new(definition(Kind::ValueSum, 1, condition), options).unwrap(), budget());
    let fired = (1..=100_000).find_map(|n| {
        let event = EventRef(n);
        let hit = Hit { rule: 0, time_ns: n * 1000, group: b"a", value: Some(b"1"), event };
        state.hit(hit, &mut budget)
    });
    assert_eq!(fired.unwrap().count, 100_000);
    assert!(state.counts().coarsened > 0 && state.bytes() < 200_000);
}

/// A million groups, each hit by all kinds of rules: memory stays within the budget, also as the system sees it.
#[test]
fn a_million_random_groups_stay_within_the_budget() {
    let settings = Settings::default();
    let mut correlator = Correlator::new(settings);
    correlator.reload(all_kinds()).unwrap();
    let before = resident();
    let mut peak = 0;
    for n in 0..1_000_000_u64 {
        let random = mix(n);
        let group = format!("{random:x}/usr/bin/some-program-{n}");
        let value = (random >> 40).to_string();
        let position = usize::try_from(n % 8).unwrap();
        let rule = usize::try_from(random % 2).unwrap();
        let (time_ns, event) = (n * 2000 + random % 50_000, EventRef(n));
        correlator.hit(
            position,
            Hit { rule, time_ns, group: group.as_bytes(), value: Some(value.as_bytes()), event },
        );
        assert!(correlator.budget().used_bytes() <= MOST_BYTES + 8192);
        if n % 10_000 == 0 {
            peak = resident().max(peak);
            correlator.expire(time_ns);
        }
    }
    let (counts, used) = (correlator.counts(), correlator.budget().used_bytes());
    println!("{used} bytes charged, resident + {} bytes at most, {counts:?}", peak.saturating_sub(before));
    assert!(counts.evicted_groups > 0 && counts.hits == 1_000_000);
}

/// What a hit costs on average; printed, and judged in release builds.
#[test]
fn a_hit_costs_little() {
    for (id, definition) in all_kinds() {
        for groups in [100_u64, 100_000] {
            let mut correlator = Correlator::new(Settings::default());
            correlator.reload(vec![(id.clone(), definition.clone())]).unwrap();
            let hits = if cfg!(debug_assertions) { 50_000 } else { 1_000_000_u64 };
            let prepared: Vec<(u64, usize, [u8; 40], Vec<u8>)> = (0..hits)
                .map(|n| {
                    let random = mix(n);
                    let mut group = [b'g'; 40];
                    group[32..].copy_from_slice(&(random % groups).to_le_bytes());
                    let rule = usize::try_from(random >> 62).unwrap() % definition.rules;
                    (n * 10_000 + random % 1_000_000, rule, group, (random >> 50).to_string().into_bytes())
                })
                .collect();
            let started = on_cpu_ns();
            let mut fired = 0;
            for (n, (time_ns, rule, group, value)) in prepared.iter().enumerate() {
                let (value, event) = (Some(&value[..]), EventRef(n as u64));
                let hit = Hit { rule: *rule, time_ns: *time_ns, group, value, event };
                fired += usize::from(correlator.hit(0, hit).is_some());
                if n % 10_000 == 0 {
                    fired += correlator.expire(*time_ns).len();
                }
            }
            let each = (on_cpu_ns() - started) / hits;
            println!("{id}, {groups} groups: {each} ns a hit, {fired} fired, {:?}", correlator.counts());
            assert!(cfg!(debug_assertions) || each < 4000, "{id}: {each} ns");
        }
    }
}
