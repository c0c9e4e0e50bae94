//! The verdicts of `tests/data/sigma/conformance.json`: what the Sigma specification says, case by case.

use std::fs;

use sentinel_edge::detect::sigma::logsource::Category;
use sentinel_edge::detect::view::flat::Flat;
use serde_json::Value;

use crate::support::{data, set, titles};

#[test]
fn every_verdict_is_the_specifications() {
    let text = fs::read_to_string(data("conformance.json")).expect("the cases");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let (mut verdicts, mut wrong) = (0, Vec::new());
    for case in &cases {
        // JSON is YAML.
        let set = set(&case["rule"].to_string());
        for event in case["events"].as_array().expect("events") {
            verdicts += 1;
            // No verdict: the rule must be refused.
            let got = match set.rules().len() {
                0 => None,
                _ => {
                    Some(!titles(&set, Category::ProcessCreation, &Flat::of_json(&event["event"])).is_empty())
                }
            };
            if got != event["expect"].as_bool() {
                wrong.push(format!("{}: {event}: {got:?} {:?}", case["name"], set.problems));
            }
        }
    }
    assert_eq!(verdicts, 138);
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let refused = |detection: &str| {
        let set = set(&format!(
            "title: t\nlogsource:\n  product: linux\n  category: process_creation\ndetection:\n{detection}\n"
        ));
        assert_eq!(set.rules().len(), 0, "{detection}");
        set.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let cases = [
        (
            "  a:\n    CommandLine|contain: x\n  condition: a",
            "7: a: CommandLine|contain: there is no modifier 'contain'; did you mean contains?",
        ),
        (
            "  sel:\n    Image: x\n  condition: sell",
            "8: condition: there is no search 'sell'; did you mean sel?",
        ),
        ("  a:\n    Image: x\n  condition: a and", "8: condition: expected the name of a search at the end"),
        ("  a:\n    Image: x\n  condition: (a", "8: condition: a ')' is missing"),
        ("  a:\n    Image: x\n  condition: a a", "8: condition: expected 'and', 'or' or the end before 'a'"),
        ("  a:\n    Image: x\n  condition: 1 of b*", "8: condition: no search is named like 'b*'"),
        ("  a:\n    Image: x\n  condition: 2 of a", "8: condition: '2 of' is not known"),
        (
            "  a:\n    Image: x\n  condition: a | count() > 5",
            "8: condition: aggregations after '|' are of the old format",
        ),
        (
            "  a:\n    Image|re: '(x'\n  condition: a",
            "7: a: Image|re: the regular expression '(x' is refused: unclosed group",
        ),
        (
            "  a:\n    Image|expand: '%x%'\n  condition: a",
            "7: a: Image|expand: there is no list for the placeholder %x%",
        ),
        (
            "  a:\n    Image|contains|endswith: x\n  condition: a",
            "7: a: Image|contains|endswith: 'contains' and 'endswith' exclude each other",
        ),
        (
            "  a:\n    ip|cidr: 10.0.0.0/33\n  condition: a",
            "7: a: ip|cidr: the length of the network '10.0.0.0/33' is not between 0 and 32",
        ),
        ("  a:\n    n|gt: many\n  condition: a", "7: a: n|gt: 'many' is no number"),
        ("  a:\n    Image: []\n  condition: a", "7: a: Image: the list of values is empty"),
        (
            "  a:\n    Image: x\n    Image: y\n  condition: a",
            "8: the key 'Image' is here twice; first in line 7",
        ),
        (
            "  a:\n    CommandLine|base64offset|contains: x\n  condition: a",
            "7: a: CommandLine|base64offset|contains: 'x' is too short for 'base64offset'",
        ),
        ("  a:\n    '|exists': true\n  condition: a", "7: a: |exists: 'exists' and 'fieldref' need a field"),
        ("  a: &x\n    Image: x\n  condition: a", "anchors are not taken"),
    ];
    for (detection, expected) in cases {
        let told = refused(detection);
        assert!(told.contains(expected), "{detection}\n{told}\n{expected}");
    }
}

#[test]
fn one_bad_rule_does_not_stop_the_others() {
    let rule = |title: &str, modifier: &str| {
        format!(
            "title: {title}\nlogsource:\n  category: process_creation\ndetection:\n  a:\n    Image|{modifier}: x\n  condition: a\n"
        )
    };
    let set = set(&[rule("one", "contains"), rule("two", "bad"), rule("three", "endswith")].join("---\n"));
    assert_eq!(set.rules().iter().map(|rule| &*rule.about.title).collect::<Vec<_>>(), ["one", "three"]);
    assert_eq!(set.problems.len(), 1);
    assert_eq!(set.problems[0].title.as_deref(), Some("two"));
}
