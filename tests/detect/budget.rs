//! A rule that is really costly is held to its budget, the others of its set lose nothing, and what is remembered stays
//! right.

use std::sync::Arc;
use std::time::Instant;

use sentinel_edge::detect::sigma::budget::Budgets;
use sentinel_edge::detect::sigma::logsource::Category;
use sentinel_edge::detect::sigma::scratch::Scratch;
use sentinel_edge::detect::sigma::verdicts::Verdicts;
use sentinel_edge::detect::view::flat::Flat;
use serde_json::json;

use crate::support::set;

/// An automaton of this expression has more states than fit into any memory, so every byte of a text is compared with
/// hundreds of places of the expression: milliseconds for what a command line holds. It has no text that an event could
/// be told apart by beforehand.
const RULES: &str = "title: costly\nlogsource: {category: process_creation}\ndetection:\n  a: {CommandLine|re: '1[01]{400}[ab]'}\n  condition: a\n---\ntitle: cheap\nlogsource: {category: process_creation}\ndetection:\n  a: {CommandLine|contains: '01'}\n  condition: a\n";

/// A number of 16,000 digits that nobody can compress.
fn digits(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let digit = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        if state >> 63 == 1 { '1' } else { '0' }
    };
    (0..16_000).map(digit).collect()
}

#[test]
fn a_costly_rule_is_asked_less_and_the_others_as_before() {
    let set = set(RULES);
    let budgets = Arc::new(Budgets::new(set.rules().len(), 1));
    let (mut scratch, mut verdicts) = (Scratch::default(), Verdicts::default());
    scratch.meters.follow(&budgets);
    let (mut costly, mut cheap) = (0, 0);
    let begun = Instant::now();
    for seed in 0..1000 {
        let event = Flat::of_json(&json!({"CommandLine": digits(seed)}));
        event.with_row(&set.names, |row| {
            for number in verdicts.judge((1, &set), Category::ProcessCreation, row, false, &mut scratch) {
                *if *number == 0 { &mut costly } else { &mut cheap } += 1;
            }
        });
    }
    let (changes, skipped) = budgets.tick();
    assert_eq!(cheap, 1000);
    assert_eq!((changes.len(), changes[0].rule, changes[0].before), (1, 0, 1), "{changes:?}");
    assert!(changes[0].stride > 1 && skipped >= 500, "{changes:?}, {skipped} left out");
    assert_eq!(costly, 0, "it matches none of them");
    println!("{skipped} of 1000 left out, {:?}", begun.elapsed());
    // What was not asked is not remembered as an answer.
    let event = Flat::of_json(&json!({"CommandLine": format!("{}1{}a", digits(1), "0".repeat(400))}));
    let found = (0..5000).any(|_| {
        event.with_row(&set.names, |row| {
            verdicts.judge((1, &set), Category::ProcessCreation, row, false, &mut scratch).contains(&0)
        })
    });
    assert!(found, "asked often enough, a demoted rule still finds");
}

#[test]
fn real_rules_stay_within_their_budgets() {
    let set = sentinel_edge::detect::sigma::set::Set::new(
        &[crate::support::public_sources(), crate::support::built_in_sources()].concat(),
        &sentinel_edge::detect::sigma::search::Placeholders::new(),
    );
    let budgets = Arc::new(Budgets::new(set.rules().len(), 2));
    let mut scratch = Scratch::default();
    scratch.meters.follow(&budgets);
    for event in crate::support::events().iter().cycle().take(20_000) {
        event.with_row(&set.names, |row| {
            set.judge(Category::ProcessCreation, row, false, &mut scratch, |_| {})
        });
    }
    assert_eq!(budgets.tick(), (Vec::new(), 0));
}
