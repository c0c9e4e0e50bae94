//! A JSON writer for the path of every event: appends to a byte vector, allocates nothing of its own.
//!
//! Keys are ours and need no escaping; [`key!`] makes the bytes around them at compile time, so that a key is one
//! copy of constant length. Values are bytes that an attacker may have chosen: what is not UTF-8
//! becomes U+FFFD, and the caller is told, so that the line can name the field. Numbers are written with a
//! table of digit pairs.

use std::cell::Cell;

use super::kind::Kind;
use super::process::HEX_PAIRS;

/// A key as it stands in the text: `,"name":`.
#[derive(Debug, Clone, Copy)]
pub struct Key(&'static str);

impl Key {
    /// From the text with comma, quotes and colon; made by [`key!`].
    pub(super) const fn new(text: &'static str) -> Self {
        Key(text)
    }

    /// The name of a kind.
    pub const fn of_kind(kind: Kind) -> Self {
        Key(kind.json_key())
    }
}

/// The key with this name.
macro_rules! key {
    ($name:literal) => {
        $crate::event::json::Key::new(concat!(",\"", $name, "\":"))
    };
}

pub(super) use key;

/// An open JSON object; closed by [`Object::end`].
#[derive(Debug)]
pub struct Object<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> Object<'o> {
    /// Opens an object at the end of `out`.
    pub fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Object { out, empty: true }
    }

    /// Closes the object.
    pub fn end(self) {
        self.out.push(b'}');
    }

    #[inline(always)]
    fn key(&mut self, key: Key) {
        let text = key.0.as_bytes();
        // The first key has no comma in front.
        self.out.extend_from_slice(if self.empty { &text[1..] } else { text });
        self.empty = false;
    }

    /// Members that were rendered before, each with its comma in front; see [`members`].
    #[inline]
    pub fn members(&mut self, members: &[u8]) {
        self.out.extend_from_slice(if self.empty { members.get(1..).unwrap_or_default() } else { members });
        self.empty &= members.is_empty();
    }

    /// A string value. False if `value` was not UTF-8.
    #[inline]
    pub fn text(&mut self, key: Key, value: &[u8]) -> bool {
        self.key(key);
        string(self.out, value)
    }

    /// A string value that needs no escaping: digits, hexadecimal, constants.
    #[inline]
    pub fn plain(&mut self, key: Key, value: &[u8]) {
        self.key(key);
        self.out.push(b'"');
        self.out.extend_from_slice(value);
        self.out.push(b'"');
    }

    /// A number.
    #[inline]
    pub fn number(&mut self, key: Key, value: u64) {
        self.key(key);
        decimal(self.out, value);
    }

    /// A number as a string, as ECS wants it for ids that are keywords.
    #[inline]
    pub fn digits(&mut self, key: Key, value: u64) {
        self.key(key);
        self.out.push(b'"');
        decimal(self.out, value);
        self.out.push(b'"');
    }

    /// 16 hexadecimal digits.
    #[inline]
    pub fn hex(&mut self, key: Key, value: u64) {
        self.key(key);
        self.out.push(b'"');
        let mut text = [0; 16];
        for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(value.to_be_bytes()) {
            *pair = HEX_PAIRS[usize::from(byte)];
        }
        self.out.extend_from_slice(&text);
        self.out.push(b'"');
    }

    /// `true` or `false`.
    #[inline]
    pub fn boolean(&mut self, key: Key, value: bool) {
        self.key(key);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// `true`; nothing at all if `value` is false.
    #[inline]
    pub fn flag(&mut self, key: Key, value: bool) {
        if value {
            self.boolean(key, true);
        }
    }

    /// A moment, RFC 3339 in UTC with nanoseconds.
    #[inline]
    pub fn time(&mut self, key: Key, wall_ns: u64) {
        self.key(key);
        let mut text = [b'"'; 32];
        text[1..31].copy_from_slice(&rfc3339(wall_ns));
        self.out.extend_from_slice(&text);
    }

    /// A value that is JSON already.
    #[inline]
    pub fn raw(&mut self, key: Key, json: &[u8]) {
        self.key(key);
        self.out.extend_from_slice(json);
    }

    /// An object in the object.
    #[inline]
    pub fn object(&mut self, key: Key, fill: impl FnOnce(&mut Object<'_>)) {
        self.key(key);
        let mut inner = Object::begin(self.out);
        fill(&mut inner);
        inner.end();
    }

    /// An array of strings. False if one was not UTF-8.
    #[inline]
    pub fn texts<'v>(&mut self, key: Key, values: impl IntoIterator<Item = &'v [u8]>) -> bool {
        self.key(key);
        self.out.push(b'[');
        let (mut valid, mut first) = (true, true);
        for value in values {
            if !first {
                self.out.push(b',');
            }
            first = false;
            valid &= string(self.out, value);
        }
        self.out.push(b']');
        valid
    }

    /// An array of objects, one for each item.
    #[inline]
    pub fn objects<T>(
        &mut self,
        key: Key,
        items: impl IntoIterator<Item = T>,
        mut fill: impl FnMut(T, &mut Object<'_>),
    ) {
        self.key(key);
        self.out.push(b'[');
        for (i, item) in items.into_iter().enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            let mut inner = Object::begin(self.out);
            fill(item, &mut inner);
            inner.end();
        }
        self.out.push(b']');
    }

    /// A string of several pieces with `separator` between them. False if one was not UTF-8.
    #[inline]
    pub fn joined<'v>(
        &mut self,
        key: Key,
        values: impl IntoIterator<Item = &'v [u8]>,
        separator: u8,
    ) -> bool {
        self.key(key);
        self.out.push(b'"');
        let (mut valid, mut first) = (true, true);
        for value in values {
            if !first {
                self.out.push(separator);
            }
            first = false;
            valid &= escaped(self.out, value);
        }
        self.out.push(b'"');
        valid
    }
}

/// Renders members once, to be put into many objects by [`Object::members`].
pub fn members(fill: impl FnOnce(&mut Object<'_>)) -> Box<[u8]> {
    let mut out = Vec::new();
    let mut object = Object { out: &mut out, empty: false };
    fill(&mut object);
    out.into()
}

/// Appends a quoted string. False if `value` was not UTF-8.
pub fn string(out: &mut Vec<u8>, value: &[u8]) -> bool {
    out.push(b'"');
    let valid = escaped(out, value);
    out.push(b'"');
    valid
}

/// Printable ASCII other than the two that JSON escapes. Eight bytes at a time: each term has the high bit of a byte
/// set if that byte is below 0x20, is one of the two, or is above 0x7e. A borrow from a byte below may set a bit too
/// many, but only where one is set already.
fn is_plain(value: &[u8]) -> bool {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let odd = |word: u64| {
        let equals = |byte: u8| {
            let zero = word ^ (ONES * u64::from(byte));
            zero.wrapping_sub(ONES) & !zero
        };
        let low = word.wrapping_sub(ONES * 0x20) & !word;
        let above = word.wrapping_add(ONES) | word;
        (low | equals(b'"') | equals(b'\\') | above) & HIGH
    };
    let (words, rest) = value.as_chunks::<8>();
    let mut last = [b' '; 8];
    last[..rest.len()].copy_from_slice(rest);
    let found = words.iter().fold(0, |found, word| found | odd(u64::from_ne_bytes(*word)));
    found | odd(u64::from_ne_bytes(last)) == 0
}

#[inline]
fn escaped(out: &mut Vec<u8>, value: &[u8]) -> bool {
    if is_plain(value) {
        out.extend_from_slice(value);
        return true;
    }
    escaped_slowly(out, value)
}

#[cold]
fn escaped_slowly(out: &mut Vec<u8>, value: &[u8]) -> bool {
    let mut valid = true;
    for chunk in value.utf8_chunks() {
        for &byte in chunk.valid().as_bytes() {
            match byte {
                b'"' => out.extend_from_slice(b"\\\""),
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                0..0x20 | 0x7f => {
                    out.extend_from_slice(b"\\u00");
                    out.push(b"0123456789abcdef"[usize::from(byte >> 4)]);
                    out.push(b"0123456789abcdef"[usize::from(byte & 15)]);
                }
                _ => out.push(byte),
            }
        }
        if !chunk.invalid().is_empty() {
            valid = false;
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    valid
}

const PAIRS: [u8; 200] = {
    let mut pairs = [0; 200];
    let mut pair: u8 = 0;
    while pair < 100 {
        pairs[pair as usize * 2] = b'0' + pair / 10;
        pairs[pair as usize * 2 + 1] = b'0' + pair % 10;
        pair += 1;
    }
    pairs
};

#[inline]
fn pair(value: u32) -> [u8; 2] {
    let at = (value % 100) as usize * 2;
    [PAIRS[at], PAIRS[at + 1]]
}

/// Appends a number in decimal.
#[inline]
pub fn decimal(out: &mut Vec<u8>, value: u64) {
    // Most ids are root's.
    match u8::try_from(value) {
        Ok(digit @ 0..10) => out.push(b'0' + digit),
        _ => decimal_slowly(out, value),
    }
}

fn decimal_slowly(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    // Only the sequence, times and capabilities need more than 32 bits, whose division is cheaper.
    while value > u64::from(u32::MAX) {
        start -= 2;
        digits[start..start + 2].copy_from_slice(&pair(u32::try_from(value % 100).unwrap_or(0)));
        value /= 100;
    }
    let mut value = u32::try_from(value).unwrap_or(u32::MAX);
    while value >= 10 {
        start -= 2;
        digits[start..start + 2].copy_from_slice(&pair(value));
        value /= 100;
    }
    if value > 0 {
        start -= 1;
        digits[start] = pair(value)[1];
    }
    out.extend_from_slice(&digits[start..]);
}

thread_local! {
    /// The second that was last written by this thread, and its text: events come in the order of time.
    static LAST_SECOND: Cell<(u64, [u8; 30])> = const { Cell::new((u64::MAX, [0; 30])) };
}

/// `2026-11-22T04:15:07.123456789Z`.
pub fn rfc3339(wall_ns: u64) -> [u8; 30] {
    let seconds = wall_ns / 1_000_000_000;
    let nanos = u32::try_from(wall_ns % 1_000_000_000).unwrap_or(0);
    let (last, mut text) = LAST_SECOND.get();
    if last != seconds {
        text = whole_second(seconds);
        LAST_SECOND.set((seconds, text));
    }
    for (at, divisor) in [(20, 10_000_000), (22, 100_000), (24, 1000), (26, 10)] {
        text[at..at + 2].copy_from_slice(&pair(nanos / divisor));
    }
    text[28] = pair(nanos % 10)[1];
    text
}

/// Days to date by Howard Hinnant's `civil_from_days`.
fn whole_second(seconds: u64) -> [u8; 30] {
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let era_day = days % 146_097;
    let era_year = (era_day - era_day / 1460 + era_day / 36_524 - era_day / 146_096) / 365;
    let year_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
    let shifted = (5 * year_day + 2) / 153;
    let day = year_day - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = days / 146_097 * 400 + era_year + u64::from(month <= 2);

    let mut text = *b"0000-00-00T00:00:00.000000000Z";
    let fields = [
        (0, year / 100),
        (2, year),
        (5, month),
        (8, day),
        (11, second / 3600),
        (14, second / 60 % 60),
        (17, second % 60),
    ];
    for (at, value) in fields {
        text[at..at + 2].copy_from_slice(&pair(u32::try_from(value % 100).unwrap_or(0)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(fill: impl FnOnce(&mut Object<'_>)) -> String {
        let mut out = Vec::new();
        let mut object = Object::begin(&mut out);
        fill(&mut object);
        object.end();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn objects_nest_and_separate() {
        let json = render(|o| {
            o.number(key!("a"), 0);
            o.object(key!("b"), |o| o.flag(key!("absent"), false));
            o.objects(key!("c"), [1, 20], |n, o| o.number(key!("n"), n));
            assert!(o.texts(key!("d"), [&b"x"[..], b"y"]));
        });
        assert_eq!(json, r#"{"a":0,"b":{},"c":[{"n":1},{"n":20}],"d":["x","y"]}"#);
    }

    #[test]
    fn hostile_strings_stay_one_line_of_valid_json() {
        let hostile = b"a\"b\\c\n\r\t\x00\x1b\x7f\xff\xfe\xc3\xa9\xe2\x80\xa8";
        let mut valid = true;
        let json = render(|o| valid = o.text(key!("k"), hostile));
        assert!(!valid);
        let parsed: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(parsed["k"], "a\"b\\c\n\r\t\u{0}\u{1b}\u{7f}\u{fffd}\u{fffd}é\u{2028}");
        assert!(!json.contains('\n') && !json.contains('\u{1b}'));
    }

    #[test]
    fn every_byte_at_every_place_is_judged_right() {
        for byte in 0..=255_u8 {
            for place in 0..17 {
                let mut value = [b'~'; 17];
                value[place] = byte;
                let plain = (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
                assert_eq!(is_plain(&value), plain, "{byte:#x} at {place}");
            }
        }
        assert!(is_plain(b""));
    }

    #[test]
    fn numbers_equal_those_of_std() {
        for value in [0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, 12345, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            decimal(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
        assert_eq!(render(|o| o.hex(key!("h"), 0x1ff_ffff_ffff)), r#"{"h":"000001ffffffffff"}"#);
    }

    #[test]
    fn times_are_right_around_leap_days_and_centuries() {
        for (ns, expected) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_399_999_999_999, "2000-02-28T23:59:59.999999999Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000000000Z"),
            (1_709_164_800_123_456_789, "2024-02-29T00:00:00.123456789Z"),
            (1_795_320_907_123_456_789, "2026-11-22T04:15:07.123456789Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000000000Z"),
        ] {
            assert_eq!(std::str::from_utf8(&rfc3339(ns)).unwrap(), expected);
        }
    }
}
