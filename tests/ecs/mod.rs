//! Checks a line of output against the published field list of the Elastic Common Schema.
//!
//! The list is vendored in `fields.tsv` and `categories.tsv` (`derive.sh` makes them, `NOTICE` says whose they are).
//! [`check`] walks the line: every leaf must be a field of the list with the JSON type that the field's type asks
//! for, an array where the schema normalizes to arrays and a scalar elsewhere, and a value from the list where the
//! schema has one. It also holds `event.type` against the types that the schema expects for `event.category`.
//!
//! Fields under `sentineledge` are the agent's own: the schema says nothing of them, so only null is refused there.
//! What the schema does not formalize (that `process.exit_code` belongs to exits, say) is not checked here.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::OnceLock;

use serde_json::{Map, Value};

/// The schema version that the vendored list describes.
pub const VERSION: &str = "8.11.0";

/// The root of the agent's own fields.
const OWN: &str = "sentineledge";

/// One field of the list.
struct Field {
    kind: &'static str,
    array: bool,
    values: Vec<&'static str>,
    pattern: Option<&'static str>,
}

/// The list.
struct Schema {
    fields: BTreeMap<&'static str, Field>,
    /// Expected `event.type` by `event.category`.
    categories: BTreeMap<&'static str, Vec<&'static str>>,
}

/// Everything wrong with a line, each as `path: what`. Empty: the line conforms.
pub fn check(line: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let Value::Object(members) = line else {
        return vec!["line: not a JSON object".to_owned()];
    };
    check_members("", members, &mut wrong);
    for required in ["/@timestamp", "/ecs/version"] {
        if line.pointer(required).is_none() {
            wrong.push(format!("{}: required by the schema, missing", required[1..].replace('/', ".")));
        }
    }
    match line.pointer("/ecs/version") {
        Some(Value::String(version)) if version != VERSION => {
            wrong.push(format!("ecs.version: {version}, but the list is of {VERSION}"));
        }
        _ => {}
    }
    check_event_types(line, &mut wrong);
    wrong
}

fn schema() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let rows = |text: &'static str| text.lines().filter(|l| !l.starts_with('#')).map(|l| l.split('\t'));
        let list = |cell: &'static str| cell.split(',').filter(|&v| v != "-").collect::<Vec<_>>();
        let fields = rows(include_str!("fields.tsv"))
            .map(|mut row| {
                let mut cell = || row.next().expect("five cells a row in fields.tsv");
                let (name, kind, array, values, pattern) = (cell(), cell(), cell(), cell(), cell());
                let pattern = Some(pattern).filter(|&p| p != "-");
                (name, Field { kind, array: array == "array", values: list(values), pattern })
            })
            .collect();
        let categories = rows(include_str!("categories.tsv"))
            .map(|mut row| {
                let mut cell = || row.next().expect("two cells a row in categories.tsv");
                (cell(), list(cell()))
            })
            .collect();
        Schema { fields, categories }
    })
}

impl Schema {
    /// True if the list has fields below this path.
    fn has_children(&self, path: &str) -> bool {
        let prefix = format!("{path}.");
        self.fields.range(prefix.as_str()..).next().is_some_and(|(name, _)| name.starts_with(&prefix))
    }
}

fn check_members(parent: &str, members: &Map<String, Value>, wrong: &mut Vec<String>) {
    for (key, value) in members {
        let path = if parent.is_empty() { key.clone() } else { format!("{parent}.{key}") };
        if path == OWN {
            check_own(&path, value, wrong);
        } else {
            check_value(&path, value, wrong);
        }
    }
}

/// Null is what a serializer leaves behind when it should have left the field out.
fn check_own(path: &str, value: &Value, wrong: &mut Vec<String>) {
    match value {
        Value::Null => wrong.push(format!("{path}: null; leave the field out")),
        Value::Object(members) => {
            members.iter().for_each(|(key, value)| check_own(&format!("{path}.{key}"), value, wrong));
        }
        Value::Array(items) => items.iter().for_each(|item| check_own(path, item, wrong)),
        _ => {}
    }
}

fn check_value(path: &str, value: &Value, wrong: &mut Vec<String>) {
    let schema = schema();
    let Some(field) = schema.fields.get(path) else {
        match value {
            Value::Object(members) if schema.has_children(path) => check_members(path, members, wrong),
            _ if schema.has_children(path) => wrong.push(format!("{path}: an object in the schema")),
            _ => wrong.push(format!("{path}: not a field of the schema")),
        }
        return;
    };
    if value.is_null() {
        wrong.push(format!("{path}: null; leave the field out"));
        return;
    }
    if matches!(field.kind, "object" | "nested" | "flattened" | "geo_point") {
        check_structure(path, field, value, wrong);
        return;
    }
    match value {
        Value::Array(items) if field.array => {
            items.iter().for_each(|item| check_scalar(path, field, item, wrong));
        }
        Value::Array(_) => wrong.push(format!("{path}: an array, where the schema has a single value")),
        _ if field.array => wrong.push(format!("{path}: a single value, where the schema has an array")),
        _ => check_scalar(path, field, value, wrong),
    }
}

fn check_structure(path: &str, field: &Field, value: &Value, wrong: &mut Vec<String>) {
    let objects: Vec<&Value> = match value {
        Value::Array(items) if field.array || field.kind == "nested" => items.iter().collect(),
        single => vec![single],
    };
    for object in objects {
        match object {
            // A structure without listed members (labels, say) takes any.
            Value::Object(members) if schema().has_children(path) => check_members(path, members, wrong),
            Value::Object(_) => {}
            _ => wrong.push(format!("{path}: not an object, where the schema has type {}", field.kind)),
        }
    }
}

fn check_scalar(path: &str, field: &Field, value: &Value, wrong: &mut Vec<String>) {
    let fits = match (field.kind, value) {
        ("keyword" | "constant_keyword" | "wildcard" | "match_only_text", Value::String(_)) => true,
        ("long", Value::Number(number)) => number.as_i64().is_some(),
        ("float" | "scaled_float", Value::Number(_)) => true,
        ("boolean", Value::Bool(_)) => true,
        ("date", Value::String(text)) => is_date(text),
        ("ip", Value::String(text)) => text.parse::<IpAddr>().is_ok(),
        _ => false,
    };
    if !fits {
        wrong.push(format!("{path}: {value} is not of type {}", field.kind));
        return;
    }
    let Value::String(text) = value else { return };
    if !field.values.is_empty() && !field.values.contains(&text.as_str()) {
        wrong.push(format!("{path}: {text:?} is not one of {}", field.values.join(", ")));
    }
    if field.pattern.is_some_and(|pattern| !matches(pattern, text)) {
        wrong.push(format!("{path}: {text:?} does not match {}", field.pattern.unwrap_or_default()));
    }
}

/// Every type must be one that the schema expects for at least one of the event's categories.
fn check_event_types(line: &Value, wrong: &mut Vec<String>) {
    let texts = |pointer: &str| -> Vec<&str> {
        let items = line.pointer(pointer).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let (categories, types) = (texts("/event/category"), texts("/event/type"));
    if categories.is_empty() {
        return;
    }
    for kind in types {
        let expected = |c: &&str| schema().categories.get(*c).is_some_and(|types| types.contains(&kind));
        if !categories.iter().any(expected) {
            wrong
                .push(format!("event.type: {kind:?} is not expected for category {}", categories.join(", ")));
        }
    }
}

/// The patterns of the list, by hand: there are two. A new one must be taught here.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern {
        r"^(CAP_[A-Z_]+|\d+)$" => match text.strip_prefix("CAP_") {
            Some(name) => !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'),
            None => !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()),
        },
        "^[A-F0-9]{2}(-[A-F0-9]{2}){5,}$" => {
            let is_pair = |p: &str| p.len() == 2 && p.bytes().all(|b| matches!(b, b'A'..=b'F' | b'0'..=b'9'));
            text.split('-').count() >= 6 && text.split('-').all(is_pair)
        }
        unknown => panic!("fields.tsv has a pattern that the checker does not know: {unknown}"),
    }
}

/// `YYYY-MM-DDThh:mm:ss[.fraction]Z`, in UTC, at most nanoseconds: what the agent writes of all that `date` takes.
fn is_date(text: &str) -> bool {
    let Some((date, time)) = text.strip_suffix('Z').and_then(|t| t.split_once('T')) else { return false };
    let (clock, fraction) = time.split_once('.').map_or((time, None), |(clock, f)| (clock, Some(f)));
    let numbers = |part: &str, separator: char, shape: [usize; 3], low: [u32; 3], high: [u32; 3]| {
        let parts: Vec<&str> = part.split(separator).collect();
        parts.len() == 3
            && (0..3).all(|i| {
                parts[i].len() == shape[i]
                    && parts[i].bytes().all(|b| b.is_ascii_digit())
                    && parts[i].parse().is_ok_and(|n| (low[i]..=high[i]).contains(&n))
            })
    };
    numbers(date, '-', [4, 2, 2], [1970, 1, 1], [9999, 12, 31])
        && numbers(clock, ':', [2, 2, 2], [0, 0, 0], [23, 59, 60])
        && fraction.is_none_or(|f| (1..=9).contains(&f.len()) && f.bytes().all(|b| b.is_ascii_digit()))
}
