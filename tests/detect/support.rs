//! Rules and events for the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sentinel_edge::detect::load;
use sentinel_edge::detect::sigma::logsource::Category;
use sentinel_edge::detect::sigma::scratch::Scratch;
use sentinel_edge::detect::sigma::search::Placeholders;
use sentinel_edge::detect::sigma::set::{Set, Source};
use sentinel_edge::detect::view::flat::Flat;

/// Where test data is.
pub fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sigma").join(name)
}

/// A set of one text.
pub fn set(text: &str) -> Set {
    let source = Source { name: Arc::from("test.yml"), text: text.to_owned(), built_in: false };
    Set::new(&[source], &Placeholders::new())
}

/// The texts of a directory with rules.
pub fn sources(directory: &Path) -> Vec<Source> {
    let found = load::read(directory);
    assert_eq!(found.problems, [], "{}", directory.display());
    found.sources
}

/// The public rules of the test data, as texts.
pub fn public_sources() -> Vec<Source> {
    let directories = ["process_creation", "file_event", "network_connection"];
    directories.iter().flat_map(|name| sources(&data(name))).collect()
}

/// The built-in rules as they are in the source, with their cases.
pub fn built_in_sources() -> Vec<Source> {
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/detect/pack"))
}

/// The public rules of the test data.
pub fn public() -> Set {
    Set::new(&public_sources(), &Placeholders::new())
}

/// The generated events of the test data, all of processes.
pub fn events() -> Vec<Flat> {
    let text = fs::read_to_string(data("events.jsonl")).expect("the events");
    text.lines().map(|line| Flat::of_json(&serde_json::from_str(line).expect("JSON"))).collect()
}

/// Titles of the rules that match, in order.
pub fn titles(set: &Set, category: Category, event: &Flat) -> Vec<String> {
    let mut scratch = Scratch::default();
    let mut numbers = Vec::new();
    event.with_row(&set.names, |row| {
        set.judge(category, row, event.has_failed(), &mut scratch, |number| numbers.push(number));
    });
    let mut titles: Vec<String> =
        numbers.iter().map(|number| set.rules()[*number as usize].about.title.to_string()).collect();
    titles.sort();
    titles
}
