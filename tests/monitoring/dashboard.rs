//! The dashboard, generated from the table of metrics: `WRITE_GOLDEN=1 cargo test --test monitoring` (part of `make
//! docs`) writes it anew, and without that a stale file fails.

use std::collections::BTreeSet;

use sentinel_edge::metrics::Metrics;
use serde_json::{Value, json};

use crate::generated::assert_fresh;
use crate::layout::rows;
use crate::panel::source;
use crate::rules::unknown;
use crate::{delivered, promql, schema};

const FILE: &str = "grafana/dashboards/sentineledge.json";

/// Columns of Grafana's grid.
const COLUMNS: u32 = 24;

/// Panels from left to right and top to bottom, a row's title above its own.
fn panels() -> Vec<Value> {
    let (mut panels, mut y) = (Vec::new(), 0);
    for (title, members) in rows() {
        panels.push(json!({
            "id": panels.len() + 1, "type": "row", "title": title, "collapsed": false, "panels": [],
            "gridPos": { "x": 0, "y": y, "w": COLUMNS, "h": 1 },
        }));
        y += 1;
        let (mut x, mut height) = (0, 0);
        for panel in members {
            let (w, h) = panel.size();
            if x + w > COLUMNS || (x > 0 && h != height) {
                (x, y) = (0, y + height);
            }
            panels.push(panel.json(panels.len() + 1, x, y));
            (x, height) = (x + w, h);
        }
        y += height;
    }
    panels
}

fn dashboard() -> Value {
    let variables = json!([
        { "name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "refresh": 1 },
        {
            "name": "instance", "label": "Agent", "type": "query", "datasource": source(),
            "query": {
                "query": "label_values(up{job=\"sentineledge\"}, instance)", "refId": "instance",
            },
            "refresh": 2, "sort": 1, "multi": true, "includeAll": true,
            // One pattern for all, instead of a list of each that grows with the hosts.
            "allValue": ".*",
            "current": { "text": ["All"], "value": ["$__all"] },
        },
    ]);
    json!({
        "uid": "sentineledge",
        "title": "SentinelEdge",
        "description": "Generated from the agent's table of metrics by `make docs`; changes belong into a copy.",
        "tags": ["sentineledge", "security"],
        "schemaVersion": 42,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": { "from": "now-6h", "to": "now" },
        "timezone": "browser",
        "templating": { "list": variables },
        "annotations": { "list": [] },
        "links": [],
        "panels": panels(),
    })
}

/// Expressions of the delivered file with the titles of their panels, those of rows left out.
pub fn expressions() -> Vec<(String, String)> {
    let file: Value = serde_json::from_str(&delivered(FILE)).expect("JSON");
    let panels = file["panels"].as_array().expect("panels").iter();
    let targets = panels.flat_map(|panel| {
        let title = panel["title"].as_str().expect("a title");
        let targets = panel["targets"].as_array().into_iter().flatten();
        targets.map(|t| (title.to_owned(), t["expr"].as_str().expect("an expression").to_owned()))
    });
    targets.collect()
}

#[test]
fn the_dashboard_is_fresh() {
    let text = serde_json::to_string_pretty(&dashboard()).expect("JSON") + "\n";
    assert_fresh(&format!("packaging/monitoring/{FILE}"), &text);
}

#[test]
fn the_dashboard_is_what_grafana_takes() {
    let file: Value = serde_json::from_str(&delivered(FILE)).expect("JSON");
    assert_eq!(schema::faults(&file), [""; 0]);
}

#[test]
fn every_metric_is_on_it_and_nothing_that_is_not_there() {
    let expressions = expressions();
    let unknown: Vec<String> = expressions.iter().flat_map(|(_, e)| unknown(e)).collect();
    assert_eq!(unknown, [""; 0]);
    let shown: BTreeSet<String> =
        expressions.iter().flat_map(|(_, e)| promql::selectors(e)).map(|selector| selector.name).collect();
    let is_shown = |name: &str| shown.contains(name) || shown.contains(&format!("{name}_bucket"));
    let missing = Metrics::DESCRIPTIONS.iter().map(|metric| metric.name).filter(|name| !is_shown(name));
    assert_eq!(missing.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn counters_are_rates_and_panels_explain_themselves() {
    let file: Value = serde_json::from_str(&delivered(FILE)).expect("JSON");
    let panels: Vec<&Value> = file["panels"].as_array().expect("panels").iter().collect();
    let ids: BTreeSet<u64> = panels.iter().filter_map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "ids are there once each");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let title = &panel["title"];
        assert!(
            panel["description"].as_str().is_some_and(|text| text.ends_with('.')),
            "{title}: description"
        );
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title}: unit");
    }
    for (title, expression) in expressions() {
        for selector in promql::selectors(&expression) {
            let grows = selector.name.ends_with("_total") || selector.name.ends_with("_bucket");
            assert!(!grows || expression.contains("rate("), "{title}: {expression}");
            let keys: Vec<&str> = selector.matchers.iter().map(|(key, _)| key.as_str()).collect();
            assert!(keys.starts_with(&["job", "instance"]), "{title}: {expression}");
        }
    }
}

/// No two panels overlap, and none sticks out.
#[test]
fn panels_lie_side_by_side() {
    let mut cells = BTreeSet::new();
    for panel in panels() {
        let at = |key: &str| panel["gridPos"][key].as_u64().expect("a number");
        assert!(at("x") + at("w") <= u64::from(COLUMNS), "{}", panel["title"]);
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(cells.insert((x, y)), "{} overlaps", panel["title"]);
            }
        }
    }
}

#[test]
fn what_is_provided_to_grafana_fits_together() {
    let sources = crate::document("grafana/provisioning/datasources/sentineledge.yml");
    let source = &sources.get("datasources").expect("datasources").members()[0];
    assert_eq!(source.get("type").and_then(|node| node.text()), Some("prometheus"));
    // Grafana asks Prometheus where prometheus.yml says that it listens.
    let url = source.get("url").and_then(|node| node.text()).expect("a url");
    let address = url.strip_prefix("http://").expect("a url of HTTP");
    assert!(delivered("prometheus/prometheus.yml").contains(&format!("--web.listen-address={address}")));
    let providers = crate::document("grafana/provisioning/dashboards/sentineledge.yml");
    let provider = &providers.get("providers").expect("providers").members()[0];
    assert_eq!(provider.get("type").and_then(|node| node.text()), Some("file"));
}
