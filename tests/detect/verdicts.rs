//! What holds beyond the specification: several values, failures, filters, rules that take the place of others.

use std::sync::Arc;

use sentinel_edge::detect::sigma::logsource::Category;
use sentinel_edge::detect::sigma::search::Placeholders;
use sentinel_edge::detect::sigma::set::{Gravity, Set, Source};
use sentinel_edge::detect::view::flat::Flat;
use serde_json::json;

use crate::support::{set, titles};

fn rule(title: &str, extra: &str, detection: &str) -> String {
    format!(
        "title: {title}\n{extra}logsource:\n  product: linux\n  category: process_creation\ndetection:\n{detection}\n"
    )
}

#[test]
fn a_negation_is_about_all_values_of_a_field() {
    let set = set(&rule(
        "t",
        "",
        "  a:\n    CommandLine|contains: x\n  b:\n    Image|endswith: /nc\n  condition: a and not b",
    ));
    let event = |images: &[&str]| Flat::of_json(&json!({ "CommandLine": "x", "Image": images }));
    assert_eq!(titles(&set, Category::ProcessCreation, &event(&["/bin/nc.openbsd", "/bin/cat"])), ["t"]);
    assert_eq!(
        titles(&set, Category::ProcessCreation, &event(&["/bin/nc.openbsd", "/bin/nc"])),
        Vec::<String>::new()
    );
}

#[test]
fn failures_are_seen_by_rules_that_ask_for_them() {
    let text = [
        rule("quiet", "", "  a:\n    Image|endswith: /x\n  condition: a"),
        rule("asks", "", "  a:\n    Image|endswith: /x\n    Outcome: failure\n  condition: a"),
    ];
    let set = set(&text.join("---\n"));
    let failed = Flat::of_json(&json!({ "Image": "/x", "Outcome": "failure" }));
    assert_eq!(titles(&set, Category::ProcessCreation, &failed), ["asks"]);
    assert_eq!(titles(&set, Category::ProcessCreation, &Flat::of_json(&json!({ "Image": "/x" }))), ["quiet"]);
}

#[test]
fn a_filter_narrows_the_rules_that_it_names() {
    let text = [
        rule("one", "id: one-id\n", "  a:\n    Image|endswith: /x\n  condition: a"),
        rule("two", "id: two-id\n", "  a:\n    Image|endswith: /x\n  condition: a"),
        "title: f\nlogsource:\n  product: linux\n  category: process_creation\nfilter:\n  rules: [one-id]\n  s:\n    User: backup\n  condition: not s\n".to_owned(),
    ];
    let set = set(&text.join("---\n"));
    assert_eq!(set.problems, []);
    let by = |user: &str| {
        titles(&set, Category::ProcessCreation, &Flat::of_json(&json!({ "Image": "/x", "User": user })))
    };
    assert_eq!(by("backup"), ["two"]);
    assert_eq!(by("root"), ["one", "two"]);
}

#[test]
fn an_operators_rule_takes_the_place_of_a_built_in_one_and_nothing_else_may() {
    let source = |name: &str, title: &str, built_in| Source {
        name: Arc::from(name),
        text: rule(title, "id: same\n", "  a:\n    Image|endswith: /x\n  condition: a"),
        built_in,
    };
    let set = Set::new(
        &[source("b", "built in", true), source("o", "own", false), source("p", "again", false)],
        &Placeholders::new(),
    );
    assert_eq!(set.rules().iter().map(|rule| &*rule.about.title).collect::<Vec<_>>(), ["own"]);
    assert_eq!(set.problems.len(), 1);
    assert!(
        set.problems[0].to_string().contains("p:1: the id 'same' is that of o:1 already"),
        "{}",
        set.problems[0]
    );
}

#[test]
fn rules_that_nothing_here_feeds_are_refused_by_name() {
    for (source, why) in [
        ("  product: windows", "it is about the product 'windows'"),
        ("  product: linux\n  service: sshd", "it reads the texts that 'sshd' logs"),
        ("  product: linux\n  category: process_creationn", "did you mean process_creation?"),
        ("  service: auditt", "did you mean auditd?"),
    ] {
        let set =
            set(&format!("title: t\nlogsource:\n{source}\ndetection:\n  a:\n    x: y\n  condition: a\n"));
        assert_eq!(set.rules().len(), 0);
        assert_eq!(set.problems[0].gravity, Gravity::Refused, "{source}");
        assert!(set.problems[0].what.contains(why), "{}", set.problems[0].what);
    }
}

#[test]
fn placeholders_become_every_value_of_their_list() {
    let lists = Placeholders::from([("admins".to_owned(), vec!["alice".to_owned(), "bob".to_owned()])]);
    let text = rule("t", "", "  a:\n    User|expand: '%admins%'\n  condition: a");
    let set = Set::new(&[Source { name: Arc::from("t"), text, built_in: false }], &lists);
    assert_eq!(set.problems, []);
    let by =
        |user: &str| titles(&set, Category::ProcessCreation, &Flat::of_json(&json!({ "User": user }))).len();
    assert_eq!((by("bob"), by("alice"), by("%admins%"), by("eve")), (1, 1, 0, 0));
}

#[test]
fn a_backslash_before_a_slash_is_a_backslash() {
    let set = set(&rule("t", "", "  a:\n    CommandLine|re: 'a\\\\/b|c\\/d'\n  condition: a"));
    assert_eq!(set.problems, []);
    let hits = |text: &str| {
        titles(&set, Category::ProcessCreation, &Flat::of_json(&json!({ "CommandLine": text }))).len()
    };
    assert_eq!((hits("a\\/b"), hits("a/b"), hits("c/d"), hits("c\\/d")), (1, 0, 1, 0));
}

#[test]
fn text_that_is_no_utf_8_hides_nothing() {
    use sentinel_edge::detect::sigma::fields::Field;
    use sentinel_edge::detect::sigma::row::{Row, Slot};
    use sentinel_edge::detect::sigma::scratch::Scratch;
    let text = [
        rule("text", "", "  a:\n    CommandLine|contains: evil\n  condition: a"),
        rule("regex", "", "  a:\n    CommandLine|re: 'ev.l'\n  condition: a"),
    ];
    let set = set(&text.join("---\n"));
    let mut row = Row::default();
    row.set(Field::COMMAND_LINE, Slot::one(b"\xff\xfe EVIL ev\xffl \xc3"));
    let mut hits = 0;
    set.judge(Category::ProcessCreation, &row, false, &mut Scratch::default(), |_| hits += 1);
    assert_eq!(hits, 2);
}
