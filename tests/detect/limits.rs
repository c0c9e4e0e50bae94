//! Rules whose cost grows faster than their text are refused, and long ones load in time.

use std::sync::Arc;

use sentinel_edge::detect::sigma::search::Placeholders;
use sentinel_edge::detect::sigma::set::{Set, Source};

/// What is said about a rule with these searches and this condition, and how many rules load.
fn load(searches: &str, condition: &str) -> (Vec<String>, usize) {
    let text = format!(
        "title: t\nlogsource: {{category: process_creation}}\ndetection:\n{searches}\n  condition: {condition}\n"
    );
    let set = Set::new(&[Source { name: Arc::from("t"), text, built_in: false }], &Placeholders::new());
    (set.problems.iter().map(|problem| problem.what.clone()).collect(), set.rules().len())
}

#[test]
fn a_condition_names_only_so_many_searches() {
    let searches: String = (0..200).map(|number| format!("  s{number}: [x]\n")).collect();
    let (problems, rules) = load(&searches, &vec!["1 of them"; 100].join(" or "));
    assert_eq!(
        (problems.as_slice(), rules),
        (["condition: it names searches more than 10000 times".to_owned()].as_slice(), 0)
    );
    let list = format!("[{}]", vec!["1 of them"; 100].join(", "));
    let (problems, rules) = load(&searches, &list);
    assert!(problems[0].contains("together they name searches more than 10000 times"), "{problems:?}");
    assert_eq!(rules, 0);
    assert_eq!(load(&searches, &vec!["1 of them"; 50].join(" or ")), (vec![], 1));
}

#[test]
fn a_search_is_copied_only_so_often() {
    let search = format!("  a: [{}]", vec!["x"; 1001].join(", "));
    let (problems, rules) = load(&search, &vec!["a"; 100].join(" or "));
    assert_eq!(
        (problems.as_slice(), rules),
        (["condition: the rule has more than 100000 tests".to_owned()].as_slice(), 0)
    );
    assert_eq!(load(&search, &["a"; 9].join(" or ")), (vec![], 1));
}

#[test]
fn filters_are_copied_only_so_often() {
    let one = |at: usize| {
        format!(
            "title: r{at}\nlogsource: {{category: process_creation}}\ndetection:\n  a: [x]\n  condition: a\n"
        )
    };
    let filter = format!(
        "title: f\nlogsource: {{category: process_creation}}\nfilter:\n  rules: any\n  a: [{}]\n  condition: not a\n",
        vec!["x"; 1000].join(", ")
    );
    let loaded = |filters: usize| {
        let text = (0..60).map(one).chain(vec![filter.clone(); filters]).collect::<Vec<_>>().join("---\n");
        let set = Set::new(&[Source { name: Arc::from("t"), text, built_in: false }], &Placeholders::new());
        set.problems.iter().map(|problem| problem.what.clone()).collect::<Vec<_>>()
    };
    assert_eq!(loaded(3), [""; 0]);
    assert_eq!(loaded(4), ["filter: all filters add more than 200000 tests to rules"]);
}

#[test]
fn many_fields_take_no_quadratic_time() {
    let fields: String = (0..50_000).map(|number| format!("    f{number}: x\n")).collect();
    assert_eq!(load(&format!("  a:\n{fields}"), "a"), (vec![], 1));
}
