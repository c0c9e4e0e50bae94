//! The alerts: sound by Prometheus' own tools, about what exists, each with cases and with words that help.

use std::collections::BTreeSet;
use std::fs;

use sentinel_edge::detect::sigma::yaml::Node;
use sentinel_edge::metrics::Reason;

use crate::prometheus::monitoring;
use crate::rules::{Rule, rules, unknown};
use crate::{document, linter, promql, root};

/// The files of cases.
const CASES: &[&str] = &["alerts.test.yml", "ledger.test.yml"];

fn alerts() -> Vec<Rule> {
    rules().into_iter().filter(|rule| rule.is_alert).collect()
}

#[test]
fn the_tools_of_prometheus_and_alertmanager_find_nothing_wrong() {
    let prometheus = monitoring().join("prometheus");
    linter::run("promtool", &["check", "rules", "alerts.yml"], &prometheus).unwrap();
    linter::run("promtool", &["check", "config", "prometheus.yml"], &prometheus).unwrap();
    // The certificates and the token that it names are the user's.
    let syntax = ["check", "config", "--syntax-only", "prometheus-tls.yml"];
    linter::run("promtool", &syntax, &prometheus).unwrap();
    linter::run("amtool", &["check-config", "alertmanager.yml"], &monitoring().join("alertmanager")).unwrap();
}

#[test]
fn every_alert_fires_when_it_should_and_not_else() {
    linter::run("promtool", &[&["test", "rules"], CASES].concat(), &monitoring().join("prometheus")).unwrap();
}

/// What wakes somebody does so, and nothing else does.
#[test]
fn alerts_go_to_whom_they_concern() {
    for (severity, receiver) in [("critical", "on-call"), ("warning", "desk")] {
        let receiver = format!("--verify.receivers={receiver}");
        let severity = format!("severity={severity}");
        let arguments = ["config", "routes", "test", "--config.file=alertmanager.yml", &receiver, &severity];
        linter::run("amtool", &arguments, &monitoring().join("alertmanager")).unwrap();
    }
}

/// A threshold that is changed must be noticed by a case, or the cases prove nothing.
#[test]
fn the_cases_are_not_silent() {
    let directory = tempfile::tempdir().unwrap();
    let read = |name: &str| fs::read_to_string(monitoring().join("prometheus").join(name)).unwrap();
    CASES.iter().for_each(|name| fs::write(directory.path().join(name), read(name)).unwrap());
    let alerts = read("alerts.yml");
    for (from, to) in [
        ("for: 30s", "for: 90s"),
        ("> 1073741824", "> 2147483648"),
        ("|summarised\"}[5m]", "\"}[5m]"),
        ("> 1000\n", "> 9000\n"),
        ("outcome=~\"delivered|lost\"", "outcome=\"delivered\""),
        ("sentinel_sensor_blind == 1", "sentinel_sensor_level == 0"),
    ] {
        assert!(alerts.contains(from), "{from}");
        fs::write(directory.path().join("alerts.yml"), alerts.replace(from, to)).unwrap();
        let said = linter::run("promtool", &[&["test", "rules"], CASES].concat(), directory.path());
        assert!(said.is_err(), "no case notices {to}");
    }
}

/// Names of alerts that the cases expect to fire, and of those that they expect not to.
fn expected() -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut fires, mut rests) = (BTreeSet::new(), BTreeSet::new());
    let files: Vec<Node> = CASES.iter().map(|name| document(&format!("prometheus/{name}"))).collect();
    let text = |node: &Node, key: &str| node.get(key).and_then(Node::text).unwrap_or_default().to_owned();
    for test in files.iter().flat_map(|file| file.get("tests").expect("tests").members()) {
        let of = |key: &str| test.get(key).map(Node::members).unwrap_or_default();
        let asked = of("promql_expr_test").iter().filter_map(|case| {
            let selectors = promql::selectors(&text(case, "expr"));
            let named = &selectors[0].matchers.iter().find(|(key, _)| key == "alertname")?.1[0];
            Some((named.clone(), case.get("exp_samples")))
        });
        let by_name =
            of("alert_rule_test").iter().map(|case| (text(case, "alertname"), case.get("exp_alerts")));
        for (name, expected) in asked.chain(by_name) {
            let is_firing = expected.is_some_and(|node| !node.members().is_empty());
            if is_firing { &mut fires } else { &mut rests }.insert(name);
        }
    }
    (fires, rests)
}

#[test]
fn every_alert_has_a_case_of_each_sort() {
    let names: BTreeSet<String> = alerts().into_iter().map(|alert| alert.name).collect();
    assert_eq!(names.len(), alerts().len(), "a name stands twice");
    let (fires, rests) = expected();
    assert_eq!(fires, names, "alerts that fire in a case");
    assert_eq!(rests, names, "alerts that do not fire in a case");
}

#[test]
fn alerts_name_only_what_exists() {
    let unknown: Vec<String> = rules().iter().flat_map(|rule| unknown(&rule.expression)).collect();
    assert_eq!(unknown, [""; 0]);
    assert!(rules().len() > 20, "rules were read");
}

/// Losses are what the agent itself calls losses, and the books have every reason in exactly one account.
#[test]
fn reasons_of_drops_are_complete() {
    let named = |wanted: &dyn Fn(&Rule) -> bool| -> Vec<String> {
        let rule = rules().into_iter().filter(|rule| wanted(rule));
        let selectors = rule.flat_map(|rule| promql::selectors(&rule.expression));
        let dropped = selectors.filter(|selector| selector.name == "sentinel_events_dropped_total");
        let mut reasons: Vec<String> = dropped
            .flat_map(|selector| selector.matchers.into_iter().filter(|(key, _)| key == "reason"))
            .flat_map(|(_, values)| values)
            .collect();
        reasons.sort_unstable();
        reasons
    };
    let of_table = |wanted: &dyn Fn(&Reason) -> bool| -> Vec<&str> {
        let mut names: Vec<&str> = Reason::ALL.iter().filter(|r| wanted(r)).map(|r| r.name()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(named(&|rule| rule.name == "HighEventDropRate"), of_table(&|reason| !reason.is_loss()));
    // What a sink loses was emitted before; it is in the account of the sink.
    let of_sinks = [Reason::QueueFull, Reason::Unwritable, Reason::Shutdown];
    assert_eq!(named(&|rule| !rule.is_alert), of_table(&|reason| !of_sinks.contains(reason)));
}

#[test]
fn every_alert_says_what_to_do() {
    for alert in alerts() {
        let Rule { name, severity, wait, summary, description, .. } = &alert;
        assert!(["critical", "warning"].contains(&severity.as_str()), "{name}: {severity}");
        assert!(summary.ends_with('.') && !summary.contains('\n'), "{name}: {summary}");
        assert!(description.contains("First: ") && description.ends_with('.'), "{name}: {description}");
        let has_host = summary.contains("$labels.instance") || alert.expression.contains("absent(");
        assert!(has_host, "{name}: which host?");
        // A finding is there or it is not; there is nothing to wait for.
        assert_eq!(wait.is_none(), name == "SentinelEdgeCriticalFinding", "{name}: for");
    }
}

#[test]
fn the_document_has_every_alert() {
    let document = fs::read_to_string(root().join("docs/monitoring.md")).unwrap();
    let rows = document.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let name = cells.next()?.strip_suffix('`')?;
        Some((name.to_owned(), cells.next()?.to_owned()))
    });
    let told: Vec<(String, String)> = rows.filter(|(_, level)| level.ends_with(['l', 'g'])).collect();
    let there: Vec<(String, String)> = alerts().into_iter().map(|a| (a.name, a.severity)).collect();
    assert_eq!(told, there, "alerts and severities in docs/monitoring.md, in the order of alerts.yml");
}
