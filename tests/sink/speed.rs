//! How fast the worker is. A measurement, not a test: run it by name, in a release build, and read what it prints.

use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use sentinel_edge::metrics::{Outcome, SinkName};

use crate::common::{assert_closed, batch, config, start, total};

#[test]
#[ignore = "a measurement: cargo test --release --test sink speed -- --ignored --nocapture"]
fn lines_per_second_to_a_file() {
    const LINES: u64 = 64;
    const BATCHES: u64 = 16_384;
    for (size, buffer_bytes) in [(1200, 8 << 20), (300, 8 << 20)] {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(&dir.path().join("sentinel.log"));
        config.worker.buffer_bytes = buffer_bytes;
        config.worker.batch_lines = 512;
        let (sinks, metrics) = start(&config);
        // The same lines under all indices, so that making them costs nothing.
        let template = batch(0, 0, LINES, size);
        let all: Vec<_> = (0..BATCHES)
            .map(|index| {
                let (bytes, lines) = (template.bytes.clone(), template.lines.clone());
                std::sync::Arc::new(sentinel_edge::sink::Batch { index, bytes, lines })
            })
            .collect();
        let usage = || {
            let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
            (usage.user_time().num_microseconds(), usage.system_time().num_microseconds())
        };
        let (user, system) = usage();
        let began = Instant::now();
        for batch in &all {
            sinks.offer(batch);
        }
        assert!(sinks.flush(Duration::from_secs(60)));
        let (took, after) = (began.elapsed(), usage());
        sinks.stop(Duration::from_secs(60));
        assert_closed(&metrics, SinkName::File);
        let lines = total(&metrics, SinkName::File, Outcome::Delivered);
        let bytes = metrics.sink_bytes.at(SinkName::File).get();
        println!(
            "{size} bytes a line: {:.2} M lines/s, {:.0} MB/s; per line {:.0} ns user (offer and worker), {:.0} ns system",
            lines as f64 / took.as_secs_f64() / 1e6,
            bytes as f64 / took.as_secs_f64() / 1e6,
            (after.0 - user) as f64 * 1000.0 / lines as f64,
            (after.1 - system) as f64 * 1000.0 / lines as f64,
        );
    }
}
