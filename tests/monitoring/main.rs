//! What packaging/monitoring delivers: alerts and configuration for Prometheus and Alertmanager, and a dashboard for
//! Grafana that is generated from the table of metrics.
//!
//! Each is held against what reads it: rules, their cases and configurations against Prometheus' and Alertmanager's own
//! tools, every query against a real Prometheus that has scraped what the agent exposes, the dashboard against the
//! schema that Grafana publishes (no distribution packages Grafana, so it is not started). What they name must exist.

#[path = "../exposition/mod.rs"]
mod exposition;
#[path = "../generated/mod.rs"]
mod generated;
#[path = "../linter/mod.rs"]
mod linter;
#[path = "../prometheus/mod.rs"]
mod prometheus;

mod alerts;
mod dashboard;
mod layout;
mod panel;
mod promql;
mod rules;
mod schema;
mod scrape;

use std::fs;
use std::path::Path;

use sentinel_edge::detect::sigma::yaml::{self, Node};

/// The text of a delivered file.
fn delivered(name: &str) -> String {
    let path = prometheus::monitoring().join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A delivered file as YAML. The reader refuses a key that stands twice, which Prometheus does as well.
fn document(name: &str) -> Node {
    let documents = yaml::documents(&delivered(name)).unwrap_or_else(|e| panic!("{name}:{}: {e}", e.line));
    documents.into_iter().next().unwrap_or_else(|| panic!("{name} is empty"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
