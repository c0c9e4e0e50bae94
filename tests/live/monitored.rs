//! The running agent as a real Prometheus sees it, with the delivered configuration and alerts.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::SOON;
use crate::agent::{Agent, Options};
use crate::prometheus::Prometheus;

/// The value of the only series.
fn value(found: &[Value]) -> f64 {
    assert_eq!(found.len(), 1, "{found:?}");
    found[0]["value"][1].as_str().unwrap().parse().unwrap()
}

#[test]
#[ignore = "needs root and BPF"]
fn a_real_prometheus_scrapes_the_agent_and_tells_when_it_is_gone() {
    let mut agent = Agent::start(Options::default());
    let prometheus = Prometheus::start(&format!("127.0.0.1:{}", agent.port));
    prometheus.until("up{job=\"sentineledge\"} == 1", SOON);
    prometheus.until("sentinel_ready == 1", SOON);
    // The canary's exec at least was written.
    prometheus.until("sentinel_events_total{class=\"exec\",stage=\"emitted\"} > 0", SOON);
    let ring = "sentinel_ring_size_bytes{ring=\"critical\"}";
    assert_eq!(value(&prometheus.query(ring)), agent.metrics().at(ring));
    // All accounts of a class are judged, whether or not events are on their way.
    let accounts =
        prometheus.until("count by (account) (sentineledge:ledger_gap:events{class=\"exec\"})", SOON);
    assert!(accounts.len() >= 4, "{accounts:?}");
    assert_eq!(prometheus.query("ALERTS{alertstate=\"firing\"}"), [Value::Null; 0]);

    let ended = Instant::now();
    assert!(agent.stop().success());
    prometheus.until("ALERTS{alertname=\"SentinelEdgeDown\",alertstate=\"firing\"}", Duration::from_secs(90));
    assert!(ended.elapsed() >= Duration::from_secs(30), "it waits for what is over at once");
}
