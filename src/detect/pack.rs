//! The built-in rules: the files of `pack/`, put into the binary by the build.

use std::sync::Arc;

use super::sigma::set::Source;

/// Name and text of each file.
static FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/pack.rs"));

/// The rules as sources.
pub fn sources() -> Vec<Source> {
    let source = |(name, text): &(&str, &str)| Source {
        name: Arc::from(format!("built-in/{name}")),
        text: (*text).to_owned(),
        built_in: true,
    };
    FILES.iter().map(source).collect()
}
