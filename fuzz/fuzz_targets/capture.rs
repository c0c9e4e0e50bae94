//! Any bytes are a capture or an error; what is read fits into what was given, and reading ends.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use sentinel_edge::decode::decode;
use sentinel_edge::kernel::capture::Reader;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut reader) = Reader::new(Path::new("input"), bytes) else { return };
    let mut read = 0;
    let mut failed = false;
    while let Some(frame) = reader.next() {
        assert!(!failed, "a frame after an error");
        match frame {
            Ok(record) => {
                read += 4 + record.len();
                let _ = decode(record);
            }
            Err(error) => {
                failed = true;
                assert!(!error.to_string().is_empty());
            }
        }
    }
    assert!(read <= bytes.len(), "{read} bytes of frames in {} bytes", bytes.len());
});
