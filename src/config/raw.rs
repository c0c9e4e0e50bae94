//! Exactly what a file says: TOML text in, entries with their lines out.
//!
//! Checks names only; whether a value fits its key is asked later, so that all mistakes of a file are found in one
//! go. A file that is not TOML gives syntax errors alone, since what follows one is guesswork.

use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::error::{Error, Errors, Place, Problem};
use super::key::Key;
use super::literal::Literal;
use super::syntax::Explanation;
use super::{syntax, table};
use crate::util::nearest;

/// A key with the value that the file gives it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key.
    pub key: &'static Key,
    /// What the file says.
    pub literal: Literal,
    /// The line, from 1.
    pub line: usize,
}

/// Reads the text of the file `path`, in the order of lines. Errors go to `errors`.
pub fn parse(path: &Path, text: &str, errors: &mut Errors) -> Vec<Entry> {
    let lines = Lines::new(text);
    let place = |span: Range<usize>| Place::File { path: path.to_owned(), line: lines.of(span.start) };

    let (document, mistakes) = DeTable::parse_recoverable(text);
    if !mistakes.is_empty() {
        let mut seen = Vec::new();
        for error in mistakes {
            let span = error.span().unwrap_or(0..0);
            let line = lines.of(span.start);
            if !seen.contains(&line) {
                seen.push(line);
                let at = text.get(span.clone()).unwrap_or_default();
                let Explanation { key, message } = syntax::explain(error.message(), at, line, text);
                errors.push(Error::new(place(span), key, Problem::Syntax { message }));
            }
        }
        return Vec::new();
    }

    let mut entries = Vec::new();
    for (name, value) in document.get_ref() {
        let section = table::SECTIONS.iter().find(|s| s.name == name.get_ref());
        match (section, value.get_ref()) {
            (Some(section), DeValue::Table(keys)) => {
                for (name, value) in keys {
                    match table::find(section.name, name.get_ref()) {
                        Some(key) => entries.push(Entry {
                            key,
                            literal: Literal::from_toml(value.get_ref()),
                            line: lines.of(name.span().start),
                        }),
                        None => errors.push(unknown_key(place(name.span()), section.name, name.get_ref())),
                    }
                }
            }
            (Some(section), other) => errors.push(Error::new(
                place(name.span()),
                Some(section.name.to_owned()),
                Problem::NoSection { found: Literal::from_toml(other).to_string() },
            )),
            (None, DeValue::Table(_)) => {
                errors.push(unknown_section(place(name.span()), name.get_ref()));
            }
            (None, _) => errors.push(stray_key(place(name.span()), name.get_ref())),
        }
    }
    entries.sort_by_key(|entry| entry.line);
    entries
}

fn unknown_section(place: Place, name: &str) -> Error {
    let hint = match nearest::name(name, table::SECTIONS.iter().map(|s| s.name)) {
        Some(near) => format!("did you mean [{near}]?"),
        None => {
            let known: Vec<String> = table::SECTIONS.iter().map(|s| format!("[{}]", s.name)).collect();
            format!("the sections are {}", known.join(", "))
        }
    };
    Error::new(place, Some(format!("[{}]", printable(name))), Problem::UnknownSection { hint })
}

fn unknown_key(place: Place, section: &str, name: &str) -> Error {
    let here = table::all().filter(|k| k.section == section).map(|k| k.name);
    let elsewhere = || table::all().find(|k| k.name == name);
    let hint = if let Some(key) = elsewhere() {
        format!("{} belongs in [{}]", key.name, key.section)
    } else if let Some(near) = nearest::name(name, here) {
        format!("did you mean {near}?")
    } else if let Some(key) = nearest_anywhere(name) {
        format!("did you mean {key}?")
    } else {
        let known: Vec<&str> = table::all().filter(|k| k.section == section).map(|k| k.name).collect();
        format!("[{section}] has {}", known.join(", "))
    };
    Error::new(place, Some(format!("[{section}] {}", printable(name))), Problem::UnknownKey { hint })
}

fn stray_key(place: Place, name: &str) -> Error {
    let hint = match table::all().find(|k| k.name == name).or_else(|| nearest_anywhere(name)) {
        Some(key) if key.name == name => format!("it belongs under [{}]", key.section),
        Some(key) => format!("did you mean {key}?"),
        None => "every key stands under a section such as [core]".to_owned(),
    };
    Error::new(place, Some(printable(name)), Problem::StrayKey { hint })
}

fn nearest_anywhere(name: &str) -> Option<&'static Key> {
    let near = nearest::name(name, table::all().map(|k| k.name))?;
    table::all().find(|k| k.name == near)
}

/// A name from the file, fit for a message.
fn printable(name: &str) -> String {
    let quoted = super::literal::quoted(name);
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if plain && !name.is_empty() && name.len() <= 60 { name.to_owned() } else { quoted }
}

/// Where lines begin.
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Self {
        Lines(std::iter::once(0).chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|i| i + 1)).collect())
    }

    /// The line of a byte, from 1.
    fn of(&self, byte: usize) -> usize {
        self.0.partition_point(|start| *start <= byte)
    }
}
