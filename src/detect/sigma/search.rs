//! Searches: the named parts of a rule's detection, made into tests.
//!
//! A search is a mapping of fields to values, all of which must fit; a list of such mappings, one of which must; or
//! keywords, which may be anywhere in the event. Behind a field's name come modifiers, separated by `|` (Sigma rules
//! specification 2.1 and its appendix on modifiers): some change the values, one says how they are compared, `all` asks
//! for every value instead of any. Whatever is unknown or makes no sense together is an error with its line: a rule
//! that silently never matches is worse than one that is refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::encode;
use super::expression::Expression;
use super::fields::{Field, Names};
use super::pattern::{Matcher, Pattern};
use super::test::{Check, Expr, Fold, Network, Order, Place, Test, unicode_lower};
use super::time::Part;
use super::yaml::{Node, Value};
use crate::util::nearest;

/// Values for the modifier `expand`, by the placeholder's name.
pub type Placeholders = BTreeMap<String, Vec<String>>;

/// What is wrong, and in which line.
pub type Fault = (usize, String);

/// Values that a single one may become by `expand` and `windash`.
const VARIANTS_MAX: usize = 10_000;

/// Every modifier, for messages.
const MODIFIERS: [&str; 35] = [
    "contains",
    "startswith",
    "endswith",
    "all",
    "cased",
    "neq",
    "exists",
    "cidr",
    "expand",
    "fieldref",
    "windash",
    "re",
    "i",
    "m",
    "s",
    "ignorecase",
    "multiline",
    "dotall",
    "base64",
    "base64offset",
    "wide",
    "utf16",
    "utf16le",
    "utf16be",
    "lt",
    "lte",
    "gt",
    "gte",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "year",
    "utf8",
];

/// How values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    Text(Place),
    Regex,
    Network,
    Exists,
    Number(Order),
}

/// The modifiers of a field.
struct Modifiers<'t> {
    compare: Compare,
    all: bool,
    cased: bool,
    negated: bool,
    fieldref: bool,
    expand: bool,
    windash: bool,
    part: Option<Part>,
    /// `i`, `m`, `s`.
    regex_flags: [bool; 3],
    /// `wide`, `base64` and so on, in their order.
    encodings: Vec<&'t str>,
}

/// Makes a search into tests. New names of fields get numbers.
pub fn compile(node: &Node, names: &mut Names, lists: &Placeholders) -> Result<Expr, Fault> {
    match &node.value {
        Value::Map(entries) => {
            if entries.is_empty() {
                return Err((node.line, "the search is empty".to_owned()));
            }
            let tests = entries.iter().map(|(key, line, value)| entry(key, *line, value, names, lists));
            Ok(all_of(tests.collect::<Result<_, _>>()?))
        }
        Value::List(members) => {
            if members.is_empty() {
                return Err((node.line, "the search is empty".to_owned()));
            }
            let tests = members.iter().map(|member| match &member.value {
                Value::Map(_) => compile(member, names, lists),
                _ => entry("", member.line, member, names, lists),
            });
            Ok(any_of(tests.collect::<Result<_, _>>()?))
        }
        Value::Text(..) => entry("", node.line, node, names, lists),
        Value::Null => Err((node.line, "the search is empty".to_owned())),
    }
}

fn all_of(mut members: Vec<Expr>) -> Expr {
    match members.pop() {
        Some(only) if members.is_empty() => only,
        last => Expr::And(members.into_iter().chain(last).collect()),
    }
}

fn any_of(mut members: Vec<Expr>) -> Expr {
    match members.pop() {
        Some(only) if members.is_empty() => only,
        last => Expr::Or(members.into_iter().chain(last).collect()),
    }
}

/// A key with its values.
fn entry(
    key: &str,
    line: usize,
    value: &Node,
    names: &mut Names,
    lists: &Placeholders,
) -> Result<Expr, Fault> {
    let mut words = key.split('|');
    let name = words.next().unwrap_or_default().trim();
    let modifiers = modifiers(words).map_err(|what| (line, format!("{key}: {what}")))?;
    let field = match name {
        "" => None,
        name => Some(
            names
                .number(name)
                .ok_or_else(|| (line, "the rules name too many different fields".to_owned()))?,
        ),
    };
    let members = value.members();
    if field.is_none() && (modifiers.fieldref || modifiers.compare == Compare::Exists) {
        return Err((line, format!("{key}: 'exists' and 'fieldref' need a field")));
    }
    let is_null = matches!(value.value, Value::Null);
    if members.is_empty() && !is_null {
        return Err((value.line, format!("{key}: the list of values is empty")));
    }
    if members.len() > 1 && modifiers.compare == Compare::Exists {
        return Err((value.line, format!("{key}: 'exists' takes one value")));
    }
    let values: &[Node] = if is_null { std::slice::from_ref(value) } else { members };
    let mut tests = Vec::new();
    for node in values {
        tests.push(
            one(field, &modifiers, node, names, lists)
                .map_err(|(line, what)| (line, format!("{key}: {what}")))?,
        );
    }
    let expr = if modifiers.all { all_of(tests) } else { any_of(tests) };
    Ok(if modifiers.negated { Expr::Not(Box::new(expr)) } else { expr })
}

fn modifiers<'t>(words: impl Iterator<Item = &'t str>) -> Result<Modifiers<'t>, String> {
    let mut m = Modifiers {
        compare: Compare::Text(Place::Whole),
        all: false,
        cased: false,
        negated: false,
        fieldref: false,
        expand: false,
        windash: false,
        part: None,
        regex_flags: [false; 3],
        encodings: Vec::new(),
    };
    let mut compare: Option<(&str, Compare)> = None;
    for word in words {
        let mut set = |how: Compare| match compare.replace((word, how)) {
            None => Ok(()),
            Some((other, _)) => Err(format!("'{other}' and '{word}' exclude each other")),
        };
        match word {
            "contains" => set(Compare::Text(Place::Anywhere))?,
            "startswith" => set(Compare::Text(Place::Start))?,
            "endswith" => set(Compare::Text(Place::End))?,
            "re" => set(Compare::Regex)?,
            "cidr" => set(Compare::Network)?,
            "exists" => set(Compare::Exists)?,
            "lt" => set(Compare::Number(Order::Lt))?,
            "lte" => set(Compare::Number(Order::Lte))?,
            "gt" => set(Compare::Number(Order::Gt))?,
            "gte" => set(Compare::Number(Order::Gte))?,
            "all" => m.all = true,
            "cased" => m.cased = true,
            "neq" => m.negated = true,
            "fieldref" => m.fieldref = true,
            "expand" => m.expand = true,
            "windash" => m.windash = true,
            "i" | "ignorecase" => m.regex_flags[0] = true,
            "m" | "multiline" => m.regex_flags[1] = true,
            "s" | "dotall" => m.regex_flags[2] = true,
            // Text is UTF-8 here anyway.
            "utf8" => {}
            "base64" | "base64offset" | "wide" | "utf16" | "utf16le" | "utf16be" => m.encodings.push(word),
            "minute" => m.part = Some(Part::Minute),
            "hour" => m.part = Some(Part::Hour),
            "day" => m.part = Some(Part::Day),
            "week" => m.part = Some(Part::Week),
            "month" => m.part = Some(Part::Month),
            "year" => m.part = Some(Part::Year),
            "" => return Err("a modifier is missing behind '|'".to_owned()),
            _ => return Err(format!("there is no modifier '{word}'{}", nearest::hint(word, MODIFIERS))),
        }
    }
    m.compare = compare.map_or(m.compare, |(_, how)| how);
    check(&m)?;
    Ok(m)
}

/// Refuses modifiers that mean nothing together.
fn check(m: &Modifiers<'_>) -> Result<(), String> {
    let is_text = matches!(m.compare, Compare::Text(_));
    let refuse = |what: &str| Err(what.to_owned());
    if m.regex_flags.contains(&true) && m.compare != Compare::Regex {
        return refuse("'i', 'm' and 's' belong behind 're'");
    }
    if !is_text && (!m.encodings.is_empty() || m.windash || m.fieldref) {
        return refuse("encodings, 'windash' and 'fieldref' are for text");
    }
    if m.cased && !is_text {
        return refuse("'cased' is for text");
    }
    if m.part.is_some() && !matches!(m.compare, Compare::Text(Place::Whole) | Compare::Number(_)) {
        return refuse("a part of a time is compared as a number");
    }
    if m.all && m.compare == Compare::Exists {
        return refuse("'all' makes no sense with 'exists'");
    }
    match m.encodings.iter().rposition(|e| e.starts_with("base64")) {
        Some(at) if at + 1 != m.encodings.len() => refuse("nothing can be encoded behind Base64"),
        _ => Ok(()),
    }
}

/// A field with one value.
fn one(
    field: Option<Field>,
    m: &Modifiers<'_>,
    node: &Node,
    names: &mut Names,
    lists: &Placeholders,
) -> Result<Expr, Fault> {
    let fail = |what: String| (node.line, what);
    let test = |check: Check| Expr::Test(Arc::new(Test { field, check }));
    let text = match &node.value {
        Value::Null if field.is_some() && m.compare == Compare::Text(Place::Whole) => {
            return Ok(test(Check::Null));
        }
        Value::Null => return Err(fail("null can only be compared as it is, and with a field".to_owned())),
        Value::Text(text, _) => text.as_str(),
        _ => return Err(fail(format!("expected a value, found {}", node.describe()))),
    };
    if m.fieldref {
        let other =
            names.number(text).ok_or_else(|| fail("the rules name too many different fields".to_owned()))?;
        let Compare::Text(place) = m.compare else { return Err(fail("'fieldref' compares text".to_owned())) };
        return Ok(test(Check::Field(other, place, if m.cased { Fold::None } else { Fold::Unicode })));
    }
    let values = if m.expand { expand(text, lists).map_err(fail)? } else { vec![text.to_owned()] };
    let mut tests = Vec::new();
    for value in &values {
        let variants = if m.windash { encode::windash(value) } else { vec![value.clone()] };
        for variant in variants {
            compare(field, m, &variant, &mut tests).map_err(fail)?;
        }
    }
    Ok(any_of(tests))
}

/// Adds the tests, one of which must pass, for a value without placeholders.
fn compare(
    field: Option<Field>,
    m: &Modifiers<'_>,
    value: &str,
    tests: &mut Vec<Expr>,
) -> Result<(), String> {
    let mut add = |check: Check| tests.push(Expr::Test(Arc::new(Test { field, check })));
    let number = |value: &str| value.trim().parse::<f64>().map_err(|_| format!("'{value}' is no number"));
    if let Some(part) = m.part {
        let order = if let Compare::Number(order) = m.compare { Some(order) } else { None };
        let limit = value.trim().parse().map_err(|_| format!("'{value}' is no whole number"))?;
        add(Check::Time(part, order, limit));
        return Ok(());
    }
    match m.compare {
        Compare::Regex => add(Check::Regex(Box::new(regex(value, m.regex_flags)?))),
        Compare::Network => add(Check::Network(Network::parse(value)?)),
        Compare::Number(order) => add(Check::Number(order, number(value)?)),
        Compare::Exists => match value.to_ascii_lowercase().as_str() {
            "true" | "yes" => add(Check::Exists),
            "false" | "no" => add(Check::Null),
            _ => return Err(format!("'exists' takes true or false, not '{value}'")),
        },
        Compare::Text(place) if m.encodings.is_empty() => {
            add(text_check(&Pattern::parse(value), place, m.cased, field.is_none()));
        }
        Compare::Text(place) => {
            for bytes in encoded(value, &m.encodings)? {
                // Base64 tells cases apart, and so do few other encodings; yet public rules expect no case.
                add(text_check(&Pattern::literal(&bytes), place, m.cased, field.is_none()));
            }
        }
    }
    Ok(())
}

/// The check of a value's text. A keyword may be anywhere in a value.
fn text_check(pattern: &Pattern, place: Place, cased: bool, keyword: bool) -> Check {
    let place = if keyword && place == Place::Whole { Place::Anywhere } else { place };
    let open = match place {
        Place::Whole => pattern.clone(),
        Place::Start => pattern.clone().open_right(),
        Place::End => pattern.clone().open_left(),
        Place::Anywhere => pattern.clone().open_left().open_right(),
    };
    let fold = match (cased, open.has_other_letters()) {
        (true, _) => Fold::None,
        (false, true) => Fold::Unicode,
        (false, false) => Fold::Ascii,
    };
    let folded = match fold {
        Fold::None => open,
        Fold::Ascii => open.map(<[u8]>::to_ascii_lowercase),
        Fold::Unicode => open.map(|bytes| unicode_lower(bytes).into_bytes()),
    };
    Check::Text(Matcher::new(&folded), fold)
}

/// The value through its encodings; several where Base64 depends on where the value begins.
fn encoded(value: &str, encodings: &[&str]) -> Result<Vec<Vec<u8>>, String> {
    let Some(plain) = Pattern::parse(value).plain().map(<[u8]>::to_vec) else {
        return Err(format!("'{value}' has wildcards, which no encoding can carry"));
    };
    let mut bytes = plain;
    for encoding in encodings {
        let text = || String::from_utf8_lossy(&bytes).into_owned();
        bytes = match *encoding {
            "wide" | "utf16le" => encode::utf16(&text(), false, false),
            "utf16be" => encode::utf16(&text(), true, false),
            "utf16" => encode::utf16(&text(), false, true),
            "base64" => encode::base64(&bytes),
            // Of a single byte nothing is left without the characters that its neighbours change.
            _ if bytes.len() < 2 => return Err(format!("'{value}' is too short for 'base64offset'")),
            _ => return Ok(encode::base64_offsets(&bytes).to_vec()),
        };
    }
    Ok(vec![bytes])
}

fn regex(text: &str, flags: [bool; 3]) -> Result<Expression, String> {
    let set: String =
        ['i', 'm', 's'].into_iter().zip(flags).filter(|(_, set)| *set).map(|(flag, _)| flag).collect();
    Expression::new(text, &set)
}

/// The value with each `%name%` replaced by each member of that list.
fn expand(value: &str, lists: &Placeholders) -> Result<Vec<String>, String> {
    let mut done = Vec::new();
    let mut open = vec![(String::new(), value.to_owned())];
    while let Some((head, tail)) = open.pop() {
        let Some((before, name, after)) = placeholder(&tail) else {
            done.push(head + &tail);
            continue;
        };
        let Some(members) = lists.get(name) else {
            return Err(format!(
                "there is no list for the placeholder %{name}%{}",
                nearest::hint(name, lists.keys().map(String::as_str))
            ));
        };
        if open.len() + done.len() + members.len() > VARIANTS_MAX {
            return Err(format!("'{value}' becomes more than {VARIANTS_MAX} values"));
        }
        open.extend(members.iter().rev().map(|member| (format!("{head}{before}{member}"), after.to_owned())));
    }
    if done.as_slice() == [value] {
        return Err(format!(
            "'{value}' has no placeholder for 'expand' to replace; they are written as %name%"
        ));
    }
    Ok(done)
}

/// What is before the first placeholder, its name, and what is behind it.
fn placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let start = from + text.get(from..)?.find('%')?;
        let rest = text.get(start + 1..)?;
        let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))?;
        if length > 0 && rest.get(length..)?.starts_with('%') {
            return Some((text.get(..start)?, rest.get(..length)?, rest.get(length + 1..)?));
        }
        from = start + 1;
    }
}
