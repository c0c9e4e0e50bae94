//! The metrics table, as Prometheus' own linter sees it: every metric at its start value.

mod linter;

use linter::check;
use sentinel_edge::metrics::Metrics;

#[test]
fn every_metric_passes_the_linter() {
    assert_eq!(check(&Metrics::default().render()), "");
}

#[test]
fn the_linter_is_not_silent() {
    let said = check("# TYPE requests gauge\nrequests_total 1\n");
    assert!(said.contains("_total"), "{said}");
}
