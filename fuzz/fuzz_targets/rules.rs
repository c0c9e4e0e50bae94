//! Any text is rules or a list of problems that each say something, and rules that load judge any event: without a
//! panic, within the limits of time and memory that the fuzzer has, and by the index as without it.
//!
//! An input is the text of rules, a zero byte, and values separated by bytes of 1. Each value is in every field once.

#![no_main]

#[path = "../../tests/detect/exhaustive.rs"]
mod exhaustive;

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sentinel_edge::detect::sigma::logsource::Category;
use sentinel_edge::detect::sigma::row::{Row, Slot};
use sentinel_edge::detect::sigma::scratch::Scratch;
use sentinel_edge::detect::sigma::search::Placeholders;
use sentinel_edge::detect::sigma::set::{Set, Source};

/// Rows of an input.
const ROWS_MAX: usize = 8;

fuzz_target!(|bytes: &[u8]| {
    let split = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (text, values) = bytes.split_at(split);
    // What is no UTF-8 never gets as far as the parser.
    let Ok(text) = std::str::from_utf8(text) else { return };
    let lists = Placeholders::from([("list".to_owned(), vec!["a".to_owned(), "*b\\".to_owned(), String::new()])]);
    let source = Source { name: Arc::from("input"), text: text.to_owned(), built_in: false };
    let set = Set::new(&[source], &lists);
    assert!(set.problems.iter().all(|problem| !problem.what.is_empty()));

    let values: Vec<&[u8]> = values.get(1..).unwrap_or_default().split(|byte| *byte == 1).collect();
    let mut scratch = Scratch::default();
    for turn in 0..values.len().min(ROWS_MAX) {
        for category in Category::ALL {
            let Some(wanted) = set.wanted(*category) else { continue };
            let mut row = Row::default();
            for (at, field) in wanted.fields().enumerate() {
                let value = values[(at + turn) % values.len()];
                // Every third field has several values, and every fifth none.
                match at % 15 {
                    5 | 10 => {}
                    0 | 3 | 6 | 9 | 12 => row.set(field, Slot::with(value, &values)),
                    _ => row.set(field, Slot::one(value)),
                }
            }
            row.add_unnamed(Slot::any(&values));
            exhaustive::hits(&set, *category, &row, &mut scratch);
        }
    }
});
