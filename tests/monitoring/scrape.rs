//! A real Prometheus, with the delivered configuration and rules, on what the agent exposes at its start. That needs no
//! root: tests/live does the same with a running agent.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use sentinel_edge::metrics::Metrics;

use crate::dashboard::expressions;
use crate::prometheus::Prometheus;
use crate::rules::rules;

/// Serves the exposition until the process ends; the address.
fn serve(metrics: Metrics) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let answer = move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            // One read takes the question, which is short. Whoever hangs up early gets no answer.
            let _ = stream.read(&mut [0; 4096]);
            let body = metrics.render();
            let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain; version=0.0.4\r\n";
            let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len());
        }
    };
    std::thread::Builder::new().name("exposition".to_owned()).spawn(answer).expect("a thread");
    address
}

#[test]
fn a_real_prometheus_answers_every_panel_and_raises_no_false_alarm() {
    let metrics = Metrics::default();
    metrics.build.set(vec![("version", "1".to_owned())]);
    metrics.config.set(vec![("sha256", "2".to_owned())]);
    // As an agent that is well has them.
    metrics.healthy.set(1.0);
    metrics.ready.set(1.0);
    metrics.canary_last.set(1.0);
    metrics.process_start.set(1.0);
    let prometheus = Prometheus::start(&serve(metrics));
    let soon = Duration::from_secs(60);
    prometheus.until("up{job=\"sentineledge\"} == 1", soon);
    prometheus.until("sentineledge:ledger_gap:events", soon);
    // A rate needs two readings.
    prometheus.until("count_over_time(sentinel_healthy[1m]) > 2", soon);
    for (title, expression) in expressions() {
        let asked = expression.replace("$instance", ".*").replace("$__rate_interval", "1m");
        assert!(!prometheus.query(&asked).is_empty(), "the panel '{title}' is empty: {asked}");
    }
    for rule in rules().iter().filter(|rule| rule.is_alert) {
        let found = prometheus.query(&rule.expression);
        // No canary comes back here, which is what that alert is for.
        assert_eq!(found.is_empty(), rule.name != "SentinelEdgeCanaryLate", "{}: {found:?}", rule.name);
    }
}
