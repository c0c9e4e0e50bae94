//! Modifiers as rules have them, each against an obvious implementation that shares no code with the engine.
//!
//! Every case is a rule with one search, written as text, loaded, and judged by the index: so reading, escapes, folding
//! and matching are all within what is compared.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use sentinel_edge::detect::sigma::logsource::Category;
use sentinel_edge::detect::view::flat::Flat;
use serde_json::json;

use crate::support::{set, titles};

/// The verdict of a rule with this search on an event with this value.
fn matches(key: &str, value: &str, found: &str) -> bool {
    let rule = json!({
        "title": "t", "logsource": { "category": "process_creation" },
        "detection": { "a": { key: value }, "condition": "a" },
    });
    let set = set(&rule.to_string());
    assert_eq!(set.problems, [], "{rule}");
    let event = Flat::of_json(&json!({ "CommandLine": found }));
    !titles(&set, Category::ProcessCreation, &event).is_empty()
}

/// What a value of a rule is made of.
#[derive(Clone, Copy)]
enum Token {
    Character(char),
    One,
    Many,
}

/// A backslash before `\`, `*` or `?` takes the meaning of that away.
fn tokens(value: &str) -> Vec<Token> {
    let characters: Vec<char> = value.chars().collect();
    let (mut tokens, mut at) = (Vec::new(), 0);
    while at < characters.len() {
        let escapes =
            characters[at] == '\\' && at + 1 < characters.len() && "\\*?".contains(characters[at + 1]);
        tokens.push(match characters[at] {
            '\\' if escapes => Token::Character(characters[at + 1]),
            '*' => Token::Many,
            '?' => Token::One,
            other => Token::Character(other),
        });
        at += if escapes { 2 } else { 1 };
    }
    tokens
}

fn same(a: char, b: char, cased: bool) -> bool {
    a == b || !cased && a.to_lowercase().eq(b.to_lowercase())
}

/// Tries everything.
fn covers(tokens: &[Token], text: &[char], cased: bool) -> bool {
    match (tokens, text) {
        ([], _) => text.is_empty(),
        ([Token::Many, rest @ ..], _) => (0..=text.len()).any(|from| covers(rest, &text[from..], cased)),
        ([Token::One, rest @ ..], [_, behind @ ..]) => covers(rest, behind, cased),
        ([Token::Character(c), rest @ ..], [first, behind @ ..]) => {
            same(*c, *first, cased) && covers(rest, behind, cased)
        }
        (_, []) => false,
    }
}

/// What the modifiers `place` and `cased` mean.
fn means(value: &str, place: &str, cased: bool, text: &str) -> bool {
    let mut all = tokens(value);
    if matches!(place, "|endswith" | "|contains") {
        all.insert(0, Token::Many);
    }
    if matches!(place, "|startswith" | "|contains") {
        all.push(Token::Many);
    }
    covers(&all, &text.chars().collect::<Vec<_>>(), cased)
}

/// The values that `windash` makes of one: as it is, and with all dashes that begin an option turned into each kind.
fn with_dashes(value: &str) -> Vec<String> {
    const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];
    let characters: Vec<char> = value.chars().collect();
    let joins = |c: &char| c.is_alphanumeric() || *c == '_';
    let turned = DASHES.map(|dash| {
        let turn = |(at, c): (usize, &char)| {
            let begins = at == 0 || !joins(&characters[at - 1]);
            let goes_on = characters.get(at + 1).is_some_and(|c| c.is_alphanumeric());
            if DASHES.contains(c) && begins && goes_on { dash } else { *c }
        };
        characters.iter().enumerate().map(turn).collect::<String>()
    });
    turned.into_iter().chain([value.to_owned()]).collect()
}

/// Base64 by way of a text of bits.
fn base64(bytes: &[u8]) -> String {
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let sextets = bits
        .chunks(6)
        .map(|chunk| (0..6).fold(0_u8, |value, at| value << 1 | chunk.get(at).copied().unwrap_or(0)));
    let character = |value: u8| match value {
        0..26 => char::from(b'A' + value),
        26..52 => char::from(b'a' + value - 26),
        52..62 => char::from(b'0' + value - 52),
        62 => '+',
        _ => '/',
    };
    let mut text: String = sextets.map(character).collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

/// Whether the first bits of both addresses are the same.
fn shares(a: &[u8], b: &[u8], bits: usize) -> bool {
    let bit = |bytes: &[u8], at: usize| bytes[at / 8] >> (7 - at % 8) & 1;
    (0..bits).all(|at| bit(a, at) == bit(b, at))
}

/// A small regular expression.
#[derive(Debug, Clone)]
enum Re {
    Is(char),
    Dot,
    Not(char),
    Both(Box<Re>, Box<Re>),
    Either(Box<Re>, Box<Re>),
    Star(Box<Re>),
}

impl Re {
    fn text(&self) -> String {
        match self {
            Re::Is('/') => "\\/".to_owned(),
            Re::Is('\\') => "\\\\".to_owned(),
            Re::Is(c) => c.to_string(),
            Re::Dot => ".".to_owned(),
            Re::Not(c) => format!("[^{c}]"),
            Re::Both(a, b) => a.text() + &b.text(),
            Re::Either(a, b) => format!("(?:{}|{})", a.text(), b.text()),
            Re::Star(inner) => format!("(?:{})*", inner.text()),
        }
    }

    /// Every place where a match that begins at `from` may end.
    fn ends(&self, text: &[char], from: usize) -> Vec<usize> {
        let one = |is: bool| if is { vec![from + 1] } else { vec![] };
        match self {
            Re::Is(c) => one(text.get(from) == Some(c)),
            Re::Dot => one(text.get(from).is_some_and(|c| *c != '\n')),
            Re::Not(c) => one(text.get(from).is_some_and(|other| other != c)),
            Re::Both(a, b) => a.ends(text, from).into_iter().flat_map(|at| b.ends(text, at)).collect(),
            Re::Either(a, b) => [a.ends(text, from), b.ends(text, from)].concat(),
            Re::Star(inner) => {
                let mut all = vec![from];
                let mut at = 0;
                while at < all.len() {
                    let next = inner.ends(text, all[at]);
                    next.into_iter().for_each(|end| {
                        if !all.contains(&end) {
                            all.push(end)
                        }
                    });
                    at += 1;
                }
                all
            }
        }
    }
}

fn re() -> impl Strategy<Value = Re> {
    let leaf = prop_oneof![
        prop::sample::select(vec!['a', 'b', '/', '\\']).prop_map(Re::Is),
        Just(Re::Dot),
        prop::sample::select(vec!['a', '/']).prop_map(Re::Not),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Re::Both(a.into(), b.into())),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Re::Either(a.into(), b.into())),
            inner.prop_map(|inner| Re::Star(inner.into())),
        ]
    })
}

proptest! {
    #[test]
    fn text_with_wildcards_and_escapes(
        value in "[aBbéÉ*?/\\\\]{0,8}",
        text in "[aAbBéÉ*?/\\\\\n]{0,9}",
        place in prop::sample::select(vec!["", "|contains", "|startswith", "|endswith"]),
        cased in any::<bool>(),
    ) {
        let key = format!("CommandLine{place}{}", if cased { "|cased" } else { "" });
        prop_assert_eq!(matches(&key, &value, &text), means(&value, place, cased, &text));
    }

    #[test]
    fn dashes(value in "[ab_ \u{2013}/-]{0,7}", text in "[ab_ \u{2013}\u{2015}/-]{0,9}", turned in 0_usize..6) {
        let expected = |text: &str| with_dashes(&value).iter().any(|variant| means(variant, "|contains", false, text));
        // A random text hardly ever has the value; one of its variants has it.
        let other = format!("x{}", with_dashes(&value)[turned]);
        for text in [&text, &other] {
            prop_assert_eq!(matches("CommandLine|windash|contains", &value, text), expected(text), "{:?}", text);
        }
    }

    #[test]
    fn networks_of_four_bytes(network in any::<[u8; 4]>(), length in 0_usize..=32, flip in 0_usize..33, mapped in any::<bool>()) {
        let mut address = network;
        if flip < 32 {
            address[flip / 8] ^= 0x80 >> (flip % 8);
        }
        let v4 = Ipv4Addr::from(address);
        let text = if mapped { v4.to_ipv6_mapped().to_string() } else { v4.to_string() };
        let rule = format!("{}/{length}", Ipv4Addr::from(network));
        prop_assert_eq!(matches("CommandLine|cidr", &rule, &text), shares(&network, &address, length));
    }

    #[test]
    fn networks_of_sixteen_bytes(network in any::<[u8; 16]>(), length in 0_usize..=128, flip in 0_usize..129) {
        let mut address = network;
        if flip < 128 {
            address[flip / 8] ^= 0x80 >> (flip % 8);
        }
        let [rule, text] = [network, address].map(|bytes| IpAddr::from(Ipv6Addr::from(bytes)).to_string());
        prop_assert_eq!(matches("CommandLine|cidr", &format!("{rule}/{length}"), &text), shares(&network, &address, length));
    }

    #[test]
    fn base64_at_any_offset(before in "[a-zé]{0,5}", value in "[a-zA-Z0-9 é]{2,9}", after in "[a-zé]{0,5}", wide in any::<bool>()) {
        let key = if wide { "CommandLine|wide|base64offset|contains" } else { "CommandLine|base64offset|contains" };
        let bytes = |text: &str| if wide { text.encode_utf16().flat_map(u16::to_le_bytes).collect() } else { text.as_bytes().to_vec() };
        let whole = base64(&[bytes(&before), bytes(&value), bytes(&after)].concat());
        prop_assert!(matches(key, &value, &whole), "{}", whole);
        // What is left of the value are all characters that none of its neighbours can change.
        let stable = |offset: usize| {
            let [low, high] = [0_u8, 0xff].map(|byte| base64(&[vec![byte; offset], bytes(&value), vec![byte; 3]].concat()));
            let same = low.chars().zip(high.chars()).skip_while(|(a, b)| a != b).take_while(|(a, b)| a == b);
            same.map(|(a, _)| a).collect::<String>()
        };
        for offset in 0..3 {
            let whole = stable(offset);
            prop_assert!(matches(key, &value, &whole), "{}", whole);
            let others = |shorter: &str| (0..3).any(|o| shorter.to_lowercase().contains(&stable(o).to_lowercase()));
            for shorter in [&whole[1..], &whole[..whole.len() - 1]] {
                prop_assert_eq!(matches(key, &value, shorter), others(shorter), "{}", shorter);
            }
        }
    }

    #[test]
    fn whole_base64(value in "[a-zA-Z0-9 é]{0,9}", other in "[a-zA-Z0-9 é]{0,9}") {
        prop_assert!(matches("CommandLine|base64|cased", &value, &base64(value.as_bytes())));
        prop_assert_eq!(matches("CommandLine|base64|cased", &value, &base64(other.as_bytes())), value == other);
    }

    #[test]
    fn regular_expressions(re in re(), text in "[abA/\\\\\n]{0,8}", start in any::<bool>(), end in any::<bool>()) {
        let expression = format!("{}{}{}", if start { "^" } else { "" }, re.text(), if end { "$" } else { "" });
        let characters: Vec<char> = text.chars().collect();
        let mut begins = if start { 0..=0 } else { 0..=characters.len() };
        let expected = begins.any(|from| re.ends(&characters, from).iter().any(|to| !end || *to == characters.len()));
        prop_assert_eq!(matches("CommandLine|re", &expression, &text), expected, "{}", expression);
    }

    #[test]
    fn numbers(limit in -20_i32..20, value in -20_i32..20, order in prop::sample::select(vec!["lt", "lte", "gt", "gte"])) {
        let (limit, value) = (f64::from(limit) / 4.0, f64::from(value) / 4.0);
        let expected = match order { "lt" => value < limit, "lte" => value <= limit, "gt" => value > limit, _ => value >= limit };
        prop_assert_eq!(matches(&format!("CommandLine|{order}"), &limit.to_string(), &value.to_string()), expected);
    }
}
