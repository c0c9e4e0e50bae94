//! A value as somebody wrote it: in the file, a variable or a flag, before it is known what it should be.

use std::fmt;

use toml::de::DeValue;

/// A value as written.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `true`, `false`.
    Switch(bool),
    /// A whole number.
    Whole(i128),
    /// Text: quoted in a file; the whole of a variable or a flag.
    Text(String),
    /// A list of texts and numbers.
    List(Vec<Literal>),
    /// What no key takes, with the words for it.
    Other(String),
}

impl Literal {
    /// From a parsed TOML value.
    pub fn from_toml(value: &DeValue<'_>) -> Literal {
        match value {
            DeValue::Boolean(b) => Literal::Switch(*b),
            DeValue::Integer(i) => match i128::from_str_radix(&i.as_str().replace('_', ""), i.radix()) {
                Ok(whole) => Literal::Whole(whole),
                Err(_) => Literal::Other(format!("the number {i}")),
            },
            DeValue::String(s) => Literal::Text(s.to_string()),
            DeValue::Float(f) => Literal::Other(format!("the number {f}")),
            DeValue::Datetime(d) => Literal::Other(format!("the date {d}")),
            DeValue::Table(_) => Literal::Other("a table".to_owned()),
            DeValue::Array(items) if items.iter().any(|item| item.get_ref().is_table()) => {
                Literal::Other("a list of tables".to_owned())
            }
            DeValue::Array(items) => {
                Literal::List(items.iter().map(|item| Literal::from_toml(item.get_ref())).collect())
            }
        }
    }
}

/// As an error message names it: shortened, control characters escaped.
impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Switch(b) => write!(f, "{b}"),
            Literal::Whole(n) => write!(f, "{n}"),
            Literal::Text(s) => f.write_str(&quoted(s)),
            Literal::List(list) => write!(f, "a list of {}", list.len()),
            Literal::Other(words) => f.write_str(words),
        }
    }
}

/// Longest text that a message repeats, in characters.
const QUOTE_CHARS: usize = 60;

/// Text in quotes for a message: shortened, control characters escaped.
pub fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(QUOTE_CHARS).collect();
    let more = if text.chars().nth(QUOTE_CHARS).is_some() { "..." } else { "" };
    format!("\"{}{more}\"", shown.escape_debug())
}
