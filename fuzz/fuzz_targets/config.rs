//! Any text is a configuration or a list of errors that each say something; and a configuration whose values are
//! written down, as `check-config --show` does, reads back as the same.

#![no_main]

use std::fmt::Write;

use libfuzzer_sys::fuzz_target;
use sentinel_edge::config::{Resolved, parse_str};

fn written_down(resolved: &Resolved) -> String {
    let mut text = String::new();
    let mut section = "";
    for setting in resolved.settings.iter() {
        if setting.key.section != section {
            section = setting.key.section;
            writeln!(text, "[{section}]").expect("a string takes everything");
        }
        writeln!(text, "{} = {}", setting.key.name, setting.value).expect("a string takes everything");
    }
    text
}

fuzz_target!(|bytes: &[u8]| {
    // What is no UTF-8 never gets as far as the parser.
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match parse_str("input", text) {
        Ok(resolved) => {
            let again = written_down(&resolved);
            match parse_str("again", &again) {
                Ok(same) => assert_eq!(same.hash(), resolved.hash(), "{again}"),
                Err(errors) => panic!("{errors}\n{again}"),
            }
        }
        Err(errors) => {
            assert!(errors.iter().next().is_some(), "refused without a reason");
            assert!(errors.iter().all(|error| error.to_string().len() > "input".len()));
        }
    }
});
