//! Numbers of conditions and events: decimal, exact to a millionth.
//!
//! Sums must not depend on the order of their parts, and a part that leaves a window must leave nothing behind.
//! Floating point can do neither, so amounts are whole millionths.

use std::fmt;

/// Millionths in one.
const SCALE: i128 = 1_000_000;

/// Digits before the point that are read; a sum of a billion such numbers still fits.
const MOST_DIGITS: usize = 20;

/// A decimal number in whole millionths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(i128);

impl Number {
    /// Reads decimal digits with an optional sign and an optional fraction, whose digits after the sixth are dropped;
    /// white space around is ignored. `None` for anything else, exponents included, and for more than 20 digits
    /// before the point.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        let (negative, digits) = match text.split_first() {
            Some((b'-', rest)) => (true, rest),
            Some((b'+', rest)) => (false, rest),
            _ => (false, text),
        };
        let (whole, fraction) = match memchr::memchr(b'.', digits) {
            Some(at) => (digits.get(..at)?, digits.get(at + 1..)?),
            None => (digits, &digits[..0]),
        };
        if whole.len() + fraction.len() == 0 || whole.len() > MOST_DIGITS {
            return None;
        }
        let mut value: i128 = 0;
        for &byte in whole {
            value = value * 10 + digit(byte)?;
        }
        value *= SCALE;
        let mut unit = SCALE / 10;
        for &byte in fraction {
            value += digit(byte)? * unit;
            unit /= 10;
        }
        Some(Number(if negative { -value } else { value }))
    }

    /// The number in millionths.
    pub fn millionths(self) -> i128 {
        self.0
    }

    pub(super) fn plus(self, other: Number) -> Number {
        Number(self.0.saturating_add(other.0))
    }

    pub(super) fn minus(self, other: Number) -> Number {
        Number(self.0.saturating_sub(other.0))
    }

    pub(super) fn times(self, count: u64) -> Number {
        Number(self.0.saturating_mul(i128::from(count)))
    }

    pub(super) fn over(self, count: u64) -> Number {
        Number(self.0 / i128::from(count.max(1)))
    }

    /// The least whole number that is not below this one; 0 for negative ones.
    pub(super) fn ceiling(self) -> u64 {
        clamp(self.0.max(0).saturating_add(SCALE - 1) / SCALE)
    }

    /// The greatest whole number that is not above this one; 0 for negative ones.
    pub(super) fn floor(self) -> u64 {
        clamp(self.0.max(0) / SCALE)
    }
}

fn digit(byte: u8) -> Option<i128> {
    byte.is_ascii_digit().then(|| i128::from(byte - b'0'))
}

fn clamp(value: i128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Number(i128::from(value) * SCALE)
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Number(i128::from(value) * SCALE)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let size = self.0.unsigned_abs();
        let (whole, fraction) = (size / SCALE.unsigned_abs(), size % SCALE.unsigned_abs());
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let fraction = format!("{fraction:06}");
        write!(f, "{sign}{whole}.{}", fraction.trim_end_matches('0'))
    }
}
