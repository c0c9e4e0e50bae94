//! Syntax errors in words that help: the parser knows what TOML wants, the line and the table know what was meant.

use super::literal::quoted;
use super::shape::Shape;
use super::{Key, table};

/// What is wrong with a line that is not TOML, and the key that it is about.
#[derive(Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The key of the line, if there is such a key.
    pub key: Option<String>,
    /// In words.
    pub message: String,
}

/// Explains the parser's `message` about the text `at` in line `line` (from 1) of `text`.
pub fn explain(message: &str, at: &str, line: usize, text: &str) -> Explanation {
    let content = text.lines().nth(line - 1).unwrap_or_default().trim();
    if message.starts_with("duplicate key")
        && let Some(message) = duplicate(at.trim(), content, line, text)
    {
        return Explanation { key: None, message };
    }
    let (name, value) =
        content.split_once('=').map_or((content, ""), |(name, value)| (name.trim(), value.trim()));
    let key = section_of(line, text).and_then(|section| table::find(section, name));
    let value = value.split('#').next().unwrap_or_default().trim();
    let message = remedy(key, value).unwrap_or_else(|| printable(message));
    let expected = key.map_or_else(String::new, |key| format!("; expected {}", key.shape.expected()));
    Explanation { key: key.map(ToString::to_string), message: format!("{message}{expected}") }
}

/// The usual mistakes of who does not write TOML every day.
fn remedy(key: Option<&Key>, value: &str) -> Option<String> {
    let bare = value.starts_with(|c: char| c.is_alphabetic() || c == '/') && !value.contains(['"', '\'']);
    let switch = key.is_some_and(|key| matches!(key.shape, Shape::Switch));
    match value.to_ascii_lowercase() {
        lower if bare && (lower == "true" || lower == "false") => {
            Some(format!("write {lower} in lower case"))
        }
        _ if bare && !switch => Some(format!("text stands in quotes, as in {}", quoted(value))),
        _ => None,
    }
}

/// The name of the section that the line stands in.
fn section_of(line: usize, text: &str) -> Option<&str> {
    let header = text.lines().take(line).filter(|l| l.trim_start().starts_with('[')).last()?;
    Some(header.trim_start().trim_start_matches('[').split(']').next()?.trim())
}

/// Names the line of the first, with the remedy for the mistake that the guide invites: both its examples of
/// `[logging]` in one file.
fn duplicate(at: &str, content: &str, line: usize, text: &str) -> Option<String> {
    if at.is_empty() {
        return None;
    }
    let is_header = content.starts_with('[');
    let names_it = |l: &&str| {
        let l = l.trim_start();
        let rest = if is_header { l.strip_prefix('[').map(str::trim_start) } else { Some(l) };
        let rest = rest.and_then(|l| l.strip_prefix(at));
        rest.is_some_and(|rest| rest.trim_start().starts_with(if is_header { ']' } else { '=' }))
    };
    // The nearest one before: of two keys of one name in two sections it is the one of this section.
    let before: Vec<&str> = text.lines().take(line - 1).collect();
    let first = before.iter().rposition(names_it)? + 1;
    let remedy = if is_header { "; put the keys of both under the first" } else { "" };
    Some(format!("{} is there already, on line {first}{remedy}", printable(at)))
}

/// Text of the file or of the parser on one printable line.
fn printable(text: &str) -> String {
    text.chars()
        .take(200)
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(text: &str) -> (Option<String>, String) {
        let Explanation { key, message } = explain("in the parser's words", "", text.lines().count(), text);
        (key, message)
    }

    #[test]
    fn a_forgotten_quote_is_told_with_the_key() {
        let (key, message) = explained("[core]\nstate_dir = /var/lib/x # here");
        assert_eq!(key.as_deref(), Some("[core] state_dir"));
        assert_eq!(message, "text stands in quotes, as in \"/var/lib/x\"; expected an absolute path");
        let (_, message) = explained("[core]\nmetrics_enabled = True");
        assert_eq!(message, "write true in lower case; expected true or false");
    }

    #[test]
    fn other_mistakes_are_told_in_the_words_of_the_parser() {
        assert_eq!(explained("[core\n"), (None, "in the parser's words".to_owned()));
        let (key, message) = explained("[ebpf]\nbatch_size = 0100");
        assert_eq!(key.as_deref(), Some("[ebpf] batch_size"));
        assert_eq!(message, "in the parser's words; expected a whole number of lines from 1 to 65536");
    }
}
