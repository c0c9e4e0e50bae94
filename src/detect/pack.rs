//! The built-in rules: the files of `pack/`, put into the binary by the build as gzip.

use std::io::Read;
use std::sync::Arc;

use flate2::read::GzDecoder;

use super::sigma::set::Source;

/// Name and text of each file, each followed by a zero byte.
static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pack.gz"));

/// The rules as sources.
pub fn sources() -> Vec<Source> {
    let mut text = String::new();
    // The build made these bytes, and a test counts the rules in them.
    if let Err(error) = GzDecoder::new(PACKED).read_to_string(&mut text) {
        log::error!("rules: the built-in rules cannot be unpacked, the binary is damaged: {error}");
    }
    let mut parts = text.split_terminator('\0');
    let mut sources = Vec::new();
    while let (Some(name), Some(text)) = (parts.next(), parts.next()) {
        sources.push(Source {
            name: Arc::from(format!("built-in/{name}")),
            text: text.to_owned(),
            built_in: true,
        });
    }
    sources
}
