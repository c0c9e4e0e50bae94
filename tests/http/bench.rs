//! Figures, when asked for: `cargo test --release --test http bench -- --ignored --nocapture`.

use std::time::Instant;

use crate::support::{Agent, get, status};

#[test]
#[ignore = "a measurement: run it by name, in release"]
fn bench_sequential_requests() {
    let before = status("VmRSS");
    let agent = Agent::new();
    assert_eq!(agent.get("/health").status(), 200);
    println!("resident memory of the HTTP side: {} KiB", status("VmRSS") - before);
    crate::secured::measured(|name, ask| {
        for path in ["/health", "/metrics"] {
            let mut times: Vec<_> = (0..2000)
                .map(|_| {
                    let begun = Instant::now();
                    assert_eq!(ask(&get(path)).status(), 200);
                    begun.elapsed()
                })
                .collect();
            times.sort_unstable();
            let total: f64 = times.iter().map(std::time::Duration::as_secs_f64).sum();
            println!(
                "{name:9} {path:9} {:6.0} requests/s, p50 {:?}, p99 {:?}",
                2000.0 / total,
                times[1000],
                times[1980]
            );
        }
    });
    println!("peak resident memory: {} KiB", status("VmHWM"));
}
