//! Any bytes decode to an event or to an error, and an event that was decoded survives the roundtrip.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sentinel_edge::decode::{decode, synth};

/// Where the header keeps the record's length: behind the time.
const LENGTH: std::ops::Range<usize> = 8..12;

fn check(record: &[u8]) {
    if let Ok(event) = decode(record) {
        let again = synth::encode(&event);
        assert_eq!(decode(&again).as_ref(), Ok(&event));
    }
}

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    // Almost every mutation makes the stated length wrong; with it put right, the rest gets its turn.
    let mut settled = bytes.to_vec();
    if let (Some(stated), Ok(length)) = (settled.get_mut(LENGTH), u32::try_from(bytes.len())) {
        stated.copy_from_slice(&length.to_ne_bytes());
        check(&settled);
    }
});
