//! A value that fits its key, and the way from it to the type of the section's field.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// A value that fits its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `true`, `false`.
    Switch(bool),
    /// A whole number.
    Whole(u32),
    /// A port.
    Port(u16),
    /// A size in bytes.
    Bytes(u64),
    /// A word, a path, a log filter.
    Text(String),
    /// An address to listen on, without port.
    Ip(IpAddr),
    /// An address to listen on, with port.
    Address(SocketAddr),
    /// Names or paths.
    Names(Vec<String>),
    /// Ports.
    Ports(Vec<u16>),
}

/// As the configuration file would have it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Switch(b) => write!(f, "{b}"),
            Value::Whole(n) => write!(f, "{n}"),
            Value::Port(n) => write!(f, "{n}"),
            Value::Bytes(n) => write!(f, "{}", Size(*n)),
            Value::Text(s) => write!(f, "{}", toml_text(s)),
            Value::Ip(ip) => write!(f, "\"{ip}\""),
            Value::Address(address) => write!(f, "\"{address}\""),
            Value::Names(names) => {
                let names: Vec<String> = names.iter().map(|n| toml_text(n)).collect();
                write!(f, "[{}]", names.join(", "))
            }
            Value::Ports(ports) => {
                let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
                write!(f, "[{}]", ports.join(", "))
            }
        }
    }
}

fn toml_text(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A number of bytes, in the largest unit that says it exactly: `"1MiB"`, `"100MB"`, else the plain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

/// Units of sizes, the larger ones first.
const UNITS: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

impl Size {
    /// Reads `1048576`, `100MB`, `64 KiB`. kB, MB, GB, TB count in thousands, KiB, MiB, GiB, TiB in 1024s.
    pub fn parse(text: &str) -> Option<Size> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let unit = unit.trim();
        if unit.is_empty() {
            return Some(Size(number));
        }
        let (_, factor) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
        number.checked_mul(*factor).map(Size)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |factor: u64| factor > 1 && self.0 != 0 && self.0.is_multiple_of(factor);
        match UNITS.iter().find(|(_, factor)| fits(*factor)) {
            Some((unit, factor)) => write!(f, "\"{}{unit}\"", self.0 / factor),
            None => write!(f, "{}", self.0),
        }
    }
}

/// The type of a section's field, made from the value that its shape let through.
pub trait FromValue: Sized {
    /// `None` if the shape gives another variant, which the table's macro rules out.
    fn from_value(value: &Value) -> Option<Self>;
}

macro_rules! from_value {
    ($($type:ty: $variant:ident($held:ident) => $made:expr;)+) => {
        $(impl FromValue for $type {
            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::$variant($held) => Some($made),
                    _ => None,
                }
            }
        })+
    };
}

from_value! {
    bool: Switch(v) => *v;
    u32: Whole(v) => *v;
    u16: Port(v) => *v;
    u64: Bytes(v) => *v;
    String: Text(v) => v.clone();
    PathBuf: Text(v) => PathBuf::from(v);
    Option<PathBuf>: Text(v) => Some(v).filter(|v| !v.is_empty()).map(PathBuf::from);
    IpAddr: Ip(v) => *v;
    SocketAddr: Address(v) => *v;
    Vec<String>: Names(v) => v.clone();
    Vec<u16>: Ports(v) => v.clone();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_and_show() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("64KiB", 65_536),
            ("100MB", 100_000_000),
            ("100 mb", 100_000_000),
            ("1gib", 1 << 30),
            ("7B", 7),
        ] {
            assert_eq!(Size::parse(text), Some(Size(bytes)), "{text}");
        }
        for text in ["", "MB", "-1", "1.5GB", "1M", "1MBB", "99999999999999999999", "99999999999GiB"] {
            assert_eq!(Size::parse(text), None, "{text}");
        }
        for (bytes, text) in
            [(0, "0"), (999, "999"), (1 << 20, "\"1MiB\""), (16_000_000, "\"16MB\""), (1_025, "1025")]
        {
            assert_eq!(Size(bytes).to_string(), text);
        }
    }
}
