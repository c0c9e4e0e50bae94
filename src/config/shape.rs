//! What a key takes: its shape says what to expect, reads a literal, and helps with the nearest valid value.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub use super::list::Items;
use super::literal::Literal;
use super::value::{Size, Value};
use crate::util::nearest;

/// What a key takes.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// `true` or `false`.
    Switch,
    /// A whole number within bounds.
    Whole {
        /// Smallest.
        min: u32,
        /// Largest.
        max: u32,
        /// What is counted, for messages and documents.
        unit: &'static str,
    },
    /// A TCP port, not 0.
    Port,
    /// A size in bytes, as a number or as text with a unit.
    Bytes {
        /// Smallest, zero aside.
        min: u64,
        /// Largest.
        max: u64,
        /// Only powers of two.
        power_of_two: bool,
        /// What 0 means, if it is allowed.
        zero: Option<&'static str>,
    },
    /// One of these words.
    Word(&'static [&'static str]),
    /// A log level, or a list of them by module as in `RUST_LOG`.
    Filter,
    /// An absolute path.
    Path,
    /// An absolute path, or empty text with this meaning.
    OptionalPath(&'static str),
    /// An IP address.
    Ip,
    /// An IP address and port.
    Address,
    /// A list.
    List(Items),
}

/// Constructors, named as the table names the shapes.
pub(super) mod new {
    use super::{Items, Shape};

    pub const fn switch() -> Shape {
        Shape::Switch
    }
    pub const fn whole(min: u32, max: u32, unit: &'static str) -> Shape {
        Shape::Whole { min, max, unit }
    }
    pub const fn port() -> Shape {
        Shape::Port
    }
    pub const fn bytes(min: u64, max: u64, zero: Option<&'static str>) -> Shape {
        Shape::Bytes { min, max, power_of_two: false, zero }
    }
    pub const fn power_of_two(min: u64, max: u64, zero: Option<&'static str>) -> Shape {
        Shape::Bytes { min, max, power_of_two: true, zero }
    }
    pub const fn word(words: &'static [&'static str]) -> Shape {
        Shape::Word(words)
    }
    pub const fn filter() -> Shape {
        Shape::Filter
    }
    pub const fn path() -> Shape {
        Shape::Path
    }
    pub const fn optional_path(empty: &'static str) -> Shape {
        Shape::OptionalPath(empty)
    }
    pub const fn ip() -> Shape {
        Shape::Ip
    }
    pub const fn address() -> Shape {
        Shape::Address
    }
    pub const fn names(items: Items) -> Shape {
        Shape::List(items)
    }
    pub const fn ports() -> Shape {
        Shape::List(Items::Ports)
    }
}

/// Levels of the agent's own log, the quiet ones first.
pub const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

/// A literal that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// What may help: the nearest valid value, or what is wrong in detail.
    pub hint: Option<String>,
}

const NO_HINT: Misfit = Misfit { hint: None };

fn hint(text: String) -> Misfit {
    Misfit { hint: Some(text) }
}

impl Shape {
    /// What is expected, to follow "expected".
    pub fn expected(&self) -> String {
        match self {
            Shape::Switch => "true or false".to_owned(),
            Shape::Whole { min, max, unit: "" } => {
                format!("a whole number from {min} to {max}")
            }
            Shape::Whole { min, max, unit } => format!("a whole number of {unit} from {min} to {max}"),
            Shape::Port => "a port from 1 to 65535".to_owned(),
            Shape::Bytes { min, max, power_of_two, zero } => {
                let what = if *power_of_two { "a power of two of bytes" } else { "a size in bytes" };
                let zero = zero.map_or_else(String::new, |meaning| format!(", or 0 ({meaning})"));
                format!("{what} from {} to {}{zero}", bare(*min), bare(*max))
            }
            Shape::Word(words) => match words {
                [only] => format!("\"{only}\""),
                _ => format!("one of {}", listed(words)),
            },
            Shape::Filter => format!("one of {}", listed(LEVELS)),
            Shape::Path => "an absolute path".to_owned(),
            Shape::OptionalPath(empty) => format!("an absolute path, or \"\" ({empty})"),
            Shape::Ip => "an IP address such as \"127.0.0.1\" or \"::1\"".to_owned(),
            Shape::Address => {
                "an IP address and port such as \"127.0.0.1:9090\" or \"[::1]:9090\"".to_owned()
            }
            Shape::List(items) => items.expected(),
        }
    }

    /// The literal that a text from outside a file (variable, flag) stands for.
    pub fn literal(&self, text: &str) -> Literal {
        let text = text.trim();
        match self {
            Shape::Switch => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Literal::Switch(true),
                "false" | "0" | "no" | "off" => Literal::Switch(false),
                _ => Literal::Text(text.to_owned()),
            },
            Shape::Whole { .. } | Shape::Port => {
                text.parse().map_or_else(|_| Literal::Text(text.to_owned()), Literal::Whole)
            }
            Shape::List(_) => {
                let item =
                    |text: &str| text.parse().map_or_else(|_| Literal::Text(text.to_owned()), Literal::Whole);
                Literal::List(text.split(',').map(str::trim).map(item).collect())
            }
            _ => Literal::Text(text.to_owned()),
        }
    }

    /// The value, if the literal fits.
    pub fn read(&self, literal: &Literal) -> Result<Value, Misfit> {
        match (self, literal) {
            (Shape::Switch, Literal::Switch(b)) => Ok(Value::Switch(*b)),
            (Shape::Switch, Literal::Text(t)) if t == "true" || t == "false" => {
                Err(hint(format!("write {t} without quotes")))
            }
            (Shape::Whole { min, max, .. }, Literal::Whole(n)) => match u32::try_from(*n) {
                Ok(n) if (*min..=*max).contains(&n) => Ok(Value::Whole(n)),
                _ => Err(NO_HINT),
            },
            (Shape::Port, Literal::Whole(n)) => match u16::try_from(*n) {
                Ok(n) if n != 0 => Ok(Value::Port(n)),
                _ => Err(NO_HINT),
            },
            (Shape::Whole { .. } | Shape::Port, Literal::Text(t)) if t.parse::<u32>().is_ok() => {
                Err(hint("write the number without quotes".to_owned()))
            }
            (Shape::Bytes { .. }, Literal::Whole(n)) => {
                u64::try_from(*n).map_err(|_| NO_HINT).and_then(|n| self.read_bytes(n))
            }
            (Shape::Bytes { .. }, Literal::Text(t)) => match Size::parse(t) {
                Some(Size(n)) => self.read_bytes(n),
                None => Err(hint(
                    "units are B, kB, MB, GB, TB (thousands) and KiB, MiB, GiB, TiB (1024s)".to_owned(),
                )),
            },
            (Shape::Word(words), Literal::Text(t)) => {
                match words.iter().find(|w| w.eq_ignore_ascii_case(t)) {
                    Some(word) => Ok(Value::Text((*word).to_owned())),
                    None => Err(did_you_mean(t, words)),
                }
            }
            (Shape::Filter, Literal::Text(t)) => read_filter(t),
            (Shape::OptionalPath(_), Literal::Text(t)) if t.is_empty() => Ok(Value::Text(String::new())),
            (Shape::Path | Shape::OptionalPath(_), Literal::Text(t)) => read_path(t),
            (Shape::Ip, Literal::Text(t)) => read_ip(t).map(Value::Ip).ok_or(NO_HINT),
            (Shape::Address, Literal::Text(t)) => read_address(t),
            (Shape::List(items), Literal::List(list)) => items.read(list).map_err(hint),
            _ => Err(NO_HINT),
        }
    }

    fn read_bytes(&self, n: u64) -> Result<Value, Misfit> {
        let Shape::Bytes { min, max, power_of_two, zero } = self else { return Err(NO_HINT) };
        if n == 0 && zero.is_some() {
            return Ok(Value::Bytes(0));
        }
        if !(*min..=*max).contains(&n) {
            return Err(NO_HINT);
        }
        if *power_of_two && !n.is_power_of_two() {
            return Err(hint(nearest_powers(n, *min, *max)));
        }
        Ok(Value::Bytes(n))
    }
}

/// "the nearest valid sizes are ...": the powers of two around `n`, within the bounds.
fn nearest_powers(n: u64, min: u64, max: u64) -> String {
    let above = n.checked_next_power_of_two().unwrap_or(max).clamp(min, max);
    let below = if above > n { (above / 2).clamp(min, max) } else { above };
    if below == above {
        return format!("the nearest valid size is {above} ({})", bare(above));
    }
    format!("the nearest valid sizes are {below} ({}) and {above} ({})", bare(below), bare(above))
}

fn bare(bytes: u64) -> String {
    Size(bytes).to_string().replace('"', "")
}

fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|w| format!("\"{w}\"")).collect();
    quoted.join(", ")
}

fn did_you_mean(text: &str, words: &[&str]) -> Misfit {
    Misfit {
        hint: nearest::name(text, words.iter().copied()).map(|word| format!("did you mean \"{word}\"?")),
    }
}

/// A list of directives as in `RUST_LOG`: `level`, `module=level` or `module::path`. A bare word that is no level
/// is taken for a misspelt one, though the logging library would take it for a module.
fn read_filter(text: &str) -> Result<Value, Misfit> {
    let level = |word: &str| LEVELS.iter().find(|l| l.eq_ignore_ascii_case(word)).copied();
    let mut kept = Vec::new();
    for directive in text.split(',').map(str::trim).filter(|d| !d.is_empty()) {
        let (module, word) = match directive.split_once('=') {
            Some((module, word)) => (module.trim(), word.trim()),
            None => ("", directive),
        };
        let is_module = |name: &str| {
            !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-'))
        };
        kept.push(match level(word) {
            Some(level) if module.is_empty() && !directive.contains('=') => level.to_owned(),
            Some(level) if is_module(module) => format!("{module}={level}"),
            None if module.is_empty() && word.contains("::") && is_module(word) => word.to_owned(),
            _ => return Err(did_you_mean(word, LEVELS)),
        });
    }
    if kept.is_empty() { Err(NO_HINT) } else { Ok(Value::Text(kept.join(","))) }
}

fn read_path(text: &str) -> Result<Value, Misfit> {
    if text.contains('\0') {
        return Err(NO_HINT);
    }
    if text.starts_with('/') { Ok(Value::Text(text.to_owned())) } else { Err(NO_HINT) }
}

fn read_ip(text: &str) -> Option<IpAddr> {
    if text == "localhost" { Some(Ipv4Addr::LOCALHOST.into()) } else { text.parse().ok() }
}

fn read_address(text: &str) -> Result<Value, Misfit> {
    let local = text.strip_prefix("localhost:").map(|port| format!("{}:{port}", Ipv4Addr::LOCALHOST));
    let address: Option<SocketAddr> = local.as_deref().unwrap_or(text).parse().ok();
    match address {
        Some(address) if address.port() != 0 => Ok(Value::Address(address)),
        Some(_) => Err(hint("port 0 is none that a scraper could find".to_owned())),
        None if read_ip(text).is_some() => Err(hint("the port is missing".to_owned())),
        None => Err(NO_HINT),
    }
}
