//! Remembered verdicts are those that judging anew gives.

use sentinel_edge::detect::sigma::logsource::Category;
use sentinel_edge::detect::sigma::scratch::Scratch;
use sentinel_edge::detect::sigma::search::Placeholders;
use sentinel_edge::detect::sigma::set::Set;
use sentinel_edge::detect::sigma::verdicts::Verdicts;
use sentinel_edge::detect::view::flat::Flat;
use serde_json::json;

use crate::support::{built_in_sources, events, public_sources, set};

fn judged(set: &Set, event: &Flat, scratch: &mut Scratch) -> Vec<u32> {
    let mut numbers = Vec::new();
    event.with_row(&set.names, |row| {
        set.judge(Category::ProcessCreation, row, false, scratch, |number| numbers.push(number));
    });
    numbers
}

fn remembered(of: (u64, &Set), event: &Flat, verdicts: &mut Verdicts, scratch: &mut Scratch) -> Vec<u32> {
    event.with_row(&of.1.names, |row| {
        verdicts.judge(of, Category::ProcessCreation, row, false, scratch).to_vec()
    })
}

#[test]
fn they_are_the_same() {
    let set = Set::new(&[public_sources(), built_in_sources()].concat(), &Placeholders::new());
    let (mut scratch, mut verdicts) = (Scratch::default(), Verdicts::default());
    let (events, mut hits) = (events(), 0);
    for event in events.iter().chain(&events).chain(events.iter().rev()) {
        let expected = judged(&set, event, &mut scratch);
        assert_eq!(remembered((1, &set), event, &mut verdicts, &mut scratch), expected, "{event:?}");
        hits += expected.len();
    }
    assert!(hits > 3 * 59, "{hits}");
}

/// What parts two values, and how many there are, is part of what is compared.
#[test]
fn events_that_read_alike_are_told_apart() {
    let set = set(
        "title: t\nlogsource: {category: process_creation}\ndetection:\n  a: {Image: ab, CommandLine: null}\n  condition: a\n",
    );
    let (mut scratch, mut verdicts) = (Scratch::default(), Verdicts::default());
    let alike = [
        json!({"Image": "ab"}),
        json!({"Image": ["a", "b"]}),
        json!({"Image": "a", "CommandLine": "b"}),
        json!({"Image": "ab", "CommandLine": ""}),
        json!({"CommandLine": "ab"}),
        json!({"Image": "ab"}),
    ];
    let alike = alike.map(|event| Flat::of_json(&event));
    let found: Vec<usize> =
        alike.iter().map(|e| remembered((1, &set), e, &mut verdicts, &mut scratch).len()).collect();
    assert_eq!(found, [1, 0, 0, 0, 0, 1]);
}

/// What a remembered verdict is explained with is the event at hand, not the one that was judged last.
#[test]
fn a_remembered_verdict_is_explained_by_its_own_event() {
    let set = set(
        "title: t\nlogsource: {category: process_creation}\ndetection:\n  a: {CommandLine|contains: [X1, x2]}\n  condition: a\n",
    );
    let (mut scratch, mut verdicts) = (Scratch::default(), Verdicts::default());
    let events = [json!({"CommandLine": "run X1"}), json!({"CommandLine": "y"})];
    let [hit, other] = events.map(|event| Flat::of_json(&event));
    for _ in 0..3 {
        assert_eq!(remembered((1, &set), &hit, &mut verdicts, &mut scratch), [0]);
        let mut tests = Vec::new();
        hit.with_row(&set.names, |row| set.rules()[0].expr.explain(row, &mut scratch, &mut tests));
        assert_eq!(tests.len(), 1);
        assert_eq!(remembered((1, &set), &other, &mut verdicts, &mut scratch), [0; 0]);
    }
}

#[test]
fn other_rules_are_asked_anew() {
    let rule = |image: &str| {
        format!(
            "title: t\nlogsource: {{category: process_creation}}\ndetection:\n  a: {{Image: {image}}}\n  condition: a\n"
        )
    };
    let (before, after) = (set(&rule("x")), set(&rule("y")));
    let (mut scratch, mut verdicts) = (Scratch::default(), Verdicts::default());
    let event = Flat::of_json(&json!({"Image": "x"}));
    for _ in 0..2 {
        assert_eq!(remembered((1, &before), &event, &mut verdicts, &mut scratch), [0]);
        assert_eq!(remembered((2, &after), &event, &mut verdicts, &mut scratch), [0; 0]);
    }
}

/// More different events than there is patience for, and the rules still find theirs.
#[test]
fn what_never_repeats_is_judged_all_the_same() {
    let set = set(
        "title: t\nlogsource: {category: process_creation}\ndetection:\n  a: {CommandLine|endswith: '7'}\n  condition: a\n",
    );
    let (mut scratch, mut verdicts) = (Scratch::default(), Verdicts::default());
    let hits: usize = (0..20_000)
        .map(|at| Flat::of_json(&json!({"CommandLine": format!("run {at}")})))
        .map(|event| remembered((1, &set), &event, &mut verdicts, &mut scratch).len())
        .sum();
    assert_eq!(hits, 2000);
}
