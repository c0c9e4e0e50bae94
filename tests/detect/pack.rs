//! The built-in rules: every one loads, names its technique, and passes its own cases.

use std::collections::BTreeSet;

use sentinel_edge::detect::lint;
use sentinel_edge::detect::sigma::search::Placeholders;
use sentinel_edge::detect::sigma::set::Set;
use sentinel_edge::detect::{cases, pack};

use crate::support::built_in_sources;

fn files() -> Set {
    Set::new(&built_in_sources(), &Placeholders::new())
}

#[test]
fn every_rule_loads_and_the_binary_has_them_all() {
    let set = files();
    assert_eq!(set.problems, []);
    assert!(set.rules().len() >= 120, "{} rules", set.rules().len());
    assert_eq!(Set::new(&pack::sources(), &Placeholders::new()).rules().len(), set.rules().len());
}

#[test]
fn every_rule_has_cases_and_passes_them() {
    let set = files();
    let mut failures = Vec::new();
    for (at, rule) in set.rules().iter().enumerate() {
        let outcome = cases::run(&set, u32::try_from(at).expect("few"));
        let (must, must_not) = outcome.counts;
        if must < 1 || must_not < 1 {
            failures.push(format!("{}: {must} cases to match, {must_not} to ignore", rule.about.source));
        }
        failures
            .extend(outcome.failures.iter().map(|f| format!("{}:{}: {}", rule.about.source, f.line, f.what)));
    }
    for (at, correlation) in set.correlations().iter().enumerate() {
        let outcome = cases::run_correlation(&set, at);
        if outcome.counts.0 < 1 || outcome.counts.1 < 1 {
            failures.push(format!("{}: cases are missing", correlation.about.source));
        }
        let place = &correlation.about.source;
        failures.extend(outcome.failures.iter().map(|f| format!("{place}:{}: {}", f.line, f.what)));
    }
    assert_eq!(failures, Vec::<String>::new());
}

#[test]
fn every_rule_says_what_operators_need() {
    let set = files();
    let mut titles = BTreeSet::new();
    for rule in set.rules() {
        let about = &rule.about;
        let place = &about.source;
        assert!(titles.insert(&about.title), "{place}: the title is there twice");
        assert!(!about.description.is_empty() && !about.false_positives.is_empty(), "{place}");
        assert_eq!(
            (&*about.author, about.license.as_deref()),
            ("SentinelEdge", Some("Apache-2.0")),
            "{place}"
        );
        assert!(about.tags.iter().any(|tag| tag.starts_with("attack.t")), "{place}: no technique");
        assert_eq!(about.id.len(), 36, "{place}: the id is a UUID");
    }
    // Whatever this host may lack, the rules are made for events that exist, and for reads that are watched by default.
    let watch_paths = sentinel_edge::config::parse_str("c", "").unwrap().kernel.filter.watch_paths;
    assert_eq!(lint::remarks(&set, &watch_paths, |_| None), []);
}
