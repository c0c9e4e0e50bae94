//! Profiles, from their name to what the sections are given.

use std::time::Duration;

use sentinel_edge::config::profile::{SIZES, VALUES};
use sentinel_edge::config::{Host, Place, Resolved, parse_str};

use crate::Given;

fn with_profile(name: &str) -> Resolved {
    parse_str("c", &format!("[core]\nprofile = \"{name}\"\n")).unwrap()
}

#[test]
fn each_profile_takes_effect() {
    let expected = [
        ("small", 262_144, 32, 1_000, 200, 2_000),
        ("medium", 1_048_576, 100, 5_000, 100, 1_000),
        ("large", 4_194_304, 200, 20_000, 50, 500),
    ];
    for (name, ring_bytes, batch, rate, poll_us, batch_us) in expected {
        let Resolved { kernel, sink, settings, .. } = with_profile(name);
        assert_eq!(
            (kernel.ring_buffer_bytes, kernel.batch, kernel.bulk_rate),
            (ring_bytes, batch, rate),
            "{name}"
        );
        assert_eq!(kernel.busy_window, Duration::from_micros(poll_us), "{name}");
        assert_eq!(sink.worker.batch_timeout, Duration::from_micros(batch_us), "{name}");
        let from_profile = settings.iter().filter(|setting| matches!(setting.place, Place::Profile(_)));
        assert_eq!(from_profile.count(), VALUES.len(), "{name}");
    }
    assert!(
        SIZES.iter().all(|size| expected.iter().any(|(name, ..)| name == size)),
        "a profile is not tested"
    );
}

#[test]
fn what_somebody_set_goes_before_a_profile() {
    let text = "[core]\nprofile = \"small\"\n[ebpf]\nmax_events_per_sec = 7\nbatch_size = 3\n";
    let resolved = parse_str("c", text).unwrap();
    assert_eq!((resolved.kernel.bulk_rate, resolved.kernel.ring_buffer_bytes), (7, 262_144));
    let place = &resolved.settings.find("ebpf", "max_events_per_sec").unwrap().place;
    assert!(matches!(place, Place::File { line: 4, .. }), "{place}");

    let given = Given::file("[core]\nprofile = \"large\"\n").variable("SENTINEL_MAX_EVENTS_PER_SEC", "9");
    let resolved = given.load().unwrap();
    assert_eq!((resolved.kernel.bulk_rate, resolved.kernel.ring_buffer_bytes), (9, 4_194_304));
}

#[test]
fn auto_looks_at_the_host() {
    let place = |online_cpus, memory_bytes| {
        let host = Host { online_cpus, memory_bytes, ..Host::plain() };
        let resolved = Given::file("[core]\nprofile = \"auto\"\n").host(host).load().unwrap();
        resolved.settings.find("ebpf", "event_batch_size").unwrap().place.to_string()
    };
    assert_eq!(place(2, 1 << 30), "profile small");
    assert_eq!(place(6, 6 << 30), "profile medium");
    assert_eq!(place(32, 64 << 30), "profile large");
}

#[test]
fn without_a_profile_the_defaults_hold() {
    assert_eq!(with_profile("none").settings.hash(), parse_str("c", "").unwrap().settings.hash());
    let error = parse_str("c", "[core]\nprofile = \"tiny\"\n").unwrap_err().to_string();
    assert!(error.contains("small") && error.contains("tiny"), "{error}");
}
