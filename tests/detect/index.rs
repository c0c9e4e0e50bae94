//! Random rules and events: the index never loses a match.

use proptest::prelude::*;
use sentinel_edge::detect::sigma::logsource::Category;
use sentinel_edge::detect::sigma::scratch::Scratch;
use sentinel_edge::detect::view::flat::Flat;
use serde_json::json;

use crate::exhaustive;
use crate::support::set;

fn value() -> impl Strategy<Value = String> {
    // Few letters, so that values meet; wildcards, blanks, upper case, letters of other alphabets and backslashes among them.
    prop::collection::vec(
        prop::sample::select(vec!["a", "b", "ab", "abc", "/", "/ab", "A", " ", "*", "?", "é", "É", "\\"]),
        0..6,
    )
    .prop_map(|parts| parts.concat())
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop::sample::select(vec!["a", "b", "abc", "/", "/ab", "A", "B", " ", "*", "é", "É", "\n"]),
        0..10,
    )
    .prop_map(|parts| parts.concat())
}

fn field() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["Image", "CommandLine", "ParentImage", "Other", ""])
}

fn modifier() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "",
        "|contains",
        "|startswith",
        "|endswith",
        "|contains|all",
        "|contains|cased",
        "|neq",
        "|re",
        "|re|i",
    ])
}

fn condition() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "a and b",
        "a or b",
        "a and not b",
        "not a",
        "1 of them",
        "all of them",
        "a or (b and not c)",
    ])
}

prop_compose! {
    fn rule()(searches in prop::collection::vec((field(), modifier(), prop::collection::vec(value(), 1..4)), 3), condition in condition()) -> String {
        let mut detection = json!({ "condition": condition });
        for ((field, modifier, values), name) in searches.into_iter().zip(["a", "b", "c"]) {
            // Keywords know only some modifiers, and random text is mostly no regular expression.
            let modifier = if field.is_empty() || modifier.starts_with("|re") && values.iter().any(|v| v.contains(['*', '?', '\\'])) { "|contains" } else { modifier };
            let key = format!("{field}{modifier}");
            detection[name] = json!({ key: values });
        }
        json!({ "title": "t", "logsource": { "category": "process_creation" }, "detection": detection }).to_string()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn candidates_hold_every_match(
        rules in prop::collection::vec(rule(), 1..12),
        events in prop::collection::vec((text(), text(), text(), text()), 1..20),
    ) {
        let texts: Vec<String> = rules.iter().enumerate().map(|(at, rule)| rule.replace("\"t\"", &format!("\"t{at}\""))).collect();
        let set = set(&texts.join("\n---\n"));
        prop_assert_eq!(set.rules().len(), texts.len(), "{:?}", set.problems);
        let mut scratch = Scratch::default();
        for (image, line, parent, other) in events {
            let event = Flat::of_json(&json!({
                "Image": [image.clone(), other.clone()], "CommandLine": line.clone(), "ParentImage": parent, "Other": other.clone(), "Unnamed": image.clone(),
            }));
            let hits = event.with_row(&set.names, |row| exhaustive::hits(&set, Category::ProcessCreation, row, &mut scratch));
            // What matches may match by what is known early, here of two fields.
            let index = set.index_of(Category::ProcessCreation).unwrap();
            let known = [set.names.find("Image"), set.names.find("CommandLine")];
            if let Some(required) = index.required(|field| known.contains(&Some(field))) {
                let early = Flat::of_json(&json!({ "Image": [image, other], "CommandLine": line }));
                let may_match = early.with_row(&set.names, |row| {
                    set.may_match(Category::ProcessCreation, &required, row, &mut scratch)
                });
                prop_assert!(may_match || hits.is_empty());
            }
        }
    }
}

/// Parts of regular expressions as rules write them around words.
fn regex_part() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "nc",
        "tar",
        "(nc|tar|ncat)",
        "(?:ab|tar)",
        "x?",
        "x+",
        "[0-9]",
        "[a-c]",
        r"\d*",
        r"\b",
        r"\B",
        r"\s",
        r"\s*",
        r"\s+",
        r"(^|[;|&/]\s*)",
        r"(\s|$)",
        "^",
        "$",
        ".*",
        "[^x]",
        r"(\.sh)?",
        "(_sh|x)?",
        r"\W",
        r"\w",
        "-",
        " -e ",
        "/",
        "é",
        ";",
    ])
}

/// Pieces that they may match.
fn line_part() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "nc", "NC", "tar", "ncat", "ab", "x", "0", "_sh", ".sh", " ", " ", "\n", ";", "|", "/", "-", "-e",
        "é", "z",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn candidates_hold_every_match_of_regular_expressions(
        rules in prop::collection::vec((prop::collection::vec(regex_part(), 1..6), any::<bool>()), 1..12),
        lines in prop::collection::vec(prop::collection::vec(line_part(), 0..40), 1..30),
    ) {
        let rule = |(at, (parts, ignores_case)): (usize, &(Vec<&str>, bool))| {
            let key = if *ignores_case { "CommandLine|re|i" } else { "CommandLine|re" };
            // What reads as no regular expression is left out.
            let regex = parts.concat();
            regex::Regex::new(&regex).ok()?;
            let detection = json!({ "condition": "a", "a": { key: regex } });
            Some(json!({ "title": format!("t{at}"), "logsource": { "category": "process_creation" }, "detection": detection }).to_string())
        };
        let texts: Vec<String> = rules.iter().enumerate().filter_map(rule).collect();
        prop_assume!(!texts.is_empty());
        let set = set(&texts.join("\n---\n"));
        prop_assert_eq!(set.rules().len(), texts.len(), "{:?}", set.problems);
        let mut scratch = Scratch::default();
        for line in lines {
            let event = Flat::of_json(&json!({ "CommandLine": line.concat() }));
            event.with_row(&set.names, |row| exhaustive::hits(&set, Category::ProcessCreation, row, &mut scratch));
        }
    }
}
