//! The rules of alerts.yml as a list, and the check that what an expression names exists.

use std::collections::{BTreeMap, BTreeSet};

use sentinel_edge::detect::sigma::yaml::Node;

use crate::exposition::{labels, rendered};
use crate::{document, promql};

/// An alert, or a series that is recorded for alerts.
#[derive(Debug, Clone)]
pub struct Rule {
    pub name: String,
    pub expression: String,
    pub is_alert: bool,
    pub severity: String,
    pub wait: Option<String>,
    pub summary: String,
    pub description: String,
}

/// Series that Prometheus makes itself.
const OWN: &[&str] = &["up", "ALERTS"];

/// Every rule, in the order of the file.
pub fn rules() -> Vec<Rule> {
    let file = document("prometheus/alerts.yml");
    let groups = file.get("groups").expect("groups").members();
    let rules = groups.iter().flat_map(|group| group.get("rules").expect("rules").members());
    rules.map(rule).collect()
}

fn rule(node: &Node) -> Rule {
    let text = |node: Option<&Node>| node.and_then(Node::text).unwrap_or_default().to_owned();
    let below = |key: &str, name: &str| text(node.get(key).and_then(|node| node.get(name)));
    let is_alert = node.get("alert").is_some();
    Rule {
        name: text(node.get(if is_alert { "alert" } else { "record" })),
        expression: text(node.get("expr")),
        is_alert,
        severity: below("labels", "severity"),
        wait: node.get("for").and_then(Node::text).map(str::to_owned),
        summary: below("annotations", "summary"),
        description: below("annotations", "description"),
    }
}

/// What an expression names and nobody has: metrics, labels of them, values of those.
pub fn unknown(expression: &str) -> Vec<String> {
    let metrics = rendered();
    let values: BTreeMap<&str, BTreeSet<&str>> = labels()
        .into_iter()
        .map(|(key, rows)| (key, rows.iter().map(|(value, _)| *value).collect()))
        .collect();
    let recorded: BTreeSet<String> = rules().into_iter().filter(|r| !r.is_alert).map(|r| r.name).collect();
    let mut unknown = Vec::new();
    for selector in promql::selectors(expression) {
        let name = &selector.name;
        if OWN.contains(&name.as_str()) || recorded.contains(name) {
            continue;
        }
        let parts = ["_bucket", "_sum", "_count"].iter().filter_map(|part| name.strip_suffix(part));
        let of_histogram =
            parts.filter_map(|family| metrics.get(family)).find(|metric| metric.kind == "histogram");
        let Some(metric) = metrics.get(name).or(of_histogram) else {
            unknown.push(name.clone());
            continue;
        };
        for (key, named) in selector.matchers {
            // Every target has these, and their values are not ours.
            if ["job", "instance"].contains(&key.as_str()) {
                continue;
            }
            if !metric.labels.contains(&key) {
                unknown.push(format!("{name}{{{key}}}"));
                continue;
            }
            let strange = named.iter().filter(|value| !values[key.as_str()].contains(value.as_str()));
            unknown.extend(strange.map(|value| format!("{name}{{{key}=\"{value}\"}}")));
        }
    }
    unknown
}

#[test]
fn what_nobody_has_is_noticed() {
    assert_eq!(unknown("sentinel_healthy == 0 and up"), [""; 0]);
    assert_eq!(unknown("rate(sentinel_canary_latency_seconds_bucket[5m])"), [""; 0]);
    assert_eq!(unknown("sentinel_helthy"), ["sentinel_helthy"]);
    assert_eq!(unknown("sentinel_healthy_count"), ["sentinel_healthy_count"]);
    assert_eq!(unknown("sentinel_healthy{sink=\"file\"}"), ["sentinel_healthy{sink}"]);
    assert_eq!(
        unknown("sentinel_events_dropped_total{reason=~\"ring_full|ringfull\"}"),
        ["sentinel_events_dropped_total{reason=\"ringfull\"}"]
    );
}
