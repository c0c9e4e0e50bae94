//! Correlation rules: documents about hits of other rules.
//!
//! Reads what the Sigma correlation specification 2.1 says: `type`, `rules`, `group-by`, `timespan`, `condition`, `aliases`,
//! `generate`. Rules are referred to by `name` or `id` and must be rules about events; correlations of correlations are
//! refused. An alias is a name for fields that have another name in each rule. A rule that only serves correlations gives
//! no findings of its own, unless one of these says `generate: true`.

use std::sync::Arc;

use super::fields::{Field, Names};
use super::rule::{self, About, Rule};
use super::search::Fault;
use super::yaml::{Node, Value};
use crate::detect::correlate::{Condition, Definition, Kind, Number};
use crate::detect::sigma::index::hash;
use crate::util::nearest;

/// A correlation rule.
#[derive(Debug, Clone)]
pub struct Correlation {
    /// What it says of itself.
    pub about: Arc<About>,
    /// What is looked for.
    pub definition: Definition,
    /// Names of what hits are grouped by.
    pub group_by: Vec<Box<str>>,
    /// The rules whose hits it looks at.
    pub bases: Vec<Base>,
    /// Those rules give findings of their own, too.
    pub generates: bool,
    /// Its own cases, if it has some.
    pub tests: Option<Node>,
}

/// A rule whose hits a correlation looks at.
#[derive(Debug, Clone)]
pub struct Base {
    /// Its number.
    pub rule: u32,
    /// What its hits are grouped by, in the order of the names.
    pub group_by: Vec<Field>,
    /// The field that the condition is about.
    pub value: Option<Field>,
}

/// Every kind, by its name in rules.
const KINDS: [Kind; 6] = [
    Kind::EventCount,
    Kind::ValueCount,
    Kind::ValueSum,
    Kind::ValueAvg,
    Kind::Temporal,
    Kind::TemporalOrdered,
];

/// Keys of the part `correlation`.
const KEYS: [&str; 7] = ["type", "rules", "group-by", "timespan", "condition", "aliases", "generate"];

/// Compiles a correlation rule over these rules.
pub fn compile(
    document: &Node,
    source: &Arc<str>,
    rules: &[Rule],
    names: &mut Names,
) -> Result<Correlation, Fault> {
    let about = rule::about(document, source)?;
    let node = document.get("correlation").unwrap_or(document);
    let Some(entries) = node.map() else {
        return Err((node.line, format!("correlation: expected keys and values, found {}", node.describe())));
    };
    if let Some((key, line, _)) = entries.iter().find(|(key, ..)| !KEYS.contains(&key.as_str())) {
        return Err((*line, format!("correlation: there is no key '{key}'{}", nearest::hint(key, KEYS))));
    }
    let kind = kind(node)?;
    let group_by: Vec<Box<str>> = texts(node, "group-by")?.into_iter().map(Box::from).collect();
    let (condition, value) = condition(node)?;
    let mut bases = Vec::new();
    for (line, reference) in references(node)? {
        let number = find(rules, reference).map_err(|what| (line, what))?;
        let field = |name: &str, names: &mut Names| {
            let name = alias(node, name, reference).unwrap_or(name);
            names.number(name).ok_or_else(|| (line, "the rules name too many different fields".to_owned()))
        };
        let fields: Result<Vec<Field>, Fault> = group_by.iter().map(|name| field(name, names)).collect();
        let value = value.map(|name| field(name, names)).transpose()?;
        bases.push(Base { rule: number, group_by: fields?, value });
    }
    let definition = Definition {
        kind,
        rules: bases.len(),
        timespan_ns: timespan(node)?,
        condition,
        depth: 0,
        basis: basis(rules, &bases, names),
    };
    definition.check().map_err(|error| (node.line, format!("correlation: {error}")))?;
    if definition.needs_value() && value.is_none() {
        return Err((node.line, format!("correlation: the condition of {} needs a 'field'", kind.name())));
    }
    let generates =
        node.get("generate").and_then(Node::text).is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let tests = document.get("tests").cloned();
    Ok(Correlation { about: Arc::new(about), definition, group_by, bases, generates, tests })
}

fn kind(node: &Node) -> Result<Kind, Fault> {
    let named = node.get("type").ok_or_else(|| (node.line, "correlation: there is no 'type'".to_owned()))?;
    let text = named.text().unwrap_or_default();
    KINDS.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
        let near = nearest::hint(text, KINDS.map(Kind::name));
        (named.line, format!("correlation: the type '{named}' is not known{near}"))
    })
}

fn texts<'n>(node: &'n Node, key: &str) -> Result<Vec<&'n str>, Fault> {
    let members = node.get(key).map_or(&[][..], Node::members).iter();
    let one = |member: &'n Node| {
        member
            .text()
            .ok_or_else(|| (member.line, format!("{key}: expected texts, found {}", member.describe())))
    };
    members.map(one).collect()
}

fn references(node: &Node) -> Result<Vec<(usize, &str)>, Fault> {
    let rules =
        node.get("rules").ok_or_else(|| (node.line, "correlation: there is no 'rules'".to_owned()))?;
    let references = texts(node, "rules")?;
    Ok(rules.members().iter().map(|member| member.line).zip(references).collect())
}

fn find(rules: &[Rule], reference: &str) -> Result<u32, String> {
    let is_named =
        |rule: &Rule| *rule.about.id == *reference || rule.about.name.as_deref() == Some(reference);
    let found = rules.iter().position(is_named).and_then(|at| u32::try_from(at).ok());
    found.ok_or_else(|| {
        let names = rules.iter().filter_map(|rule| rule.about.name.as_deref());
        format!(
            "rules: no rule about events is loaded that is called '{reference}'{}",
            nearest::hint(reference, names)
        )
    })
}

/// The field that stands for a name in one of the rules.
fn alias<'n>(node: &'n Node, name: &str, reference: &str) -> Option<&'n str> {
    node.get("aliases")?.get(name)?.get(reference)?.text()
}

/// A number and a unit: seconds, minutes, hours or days.
fn timespan(node: &Node) -> Result<u64, Fault> {
    let given =
        node.get("timespan").ok_or_else(|| (node.line, "correlation: there is no 'timespan'".to_owned()))?;
    let wrong =
        || (given.line, format!("correlation: the timespan '{given}' is not written as 30s, 5m, 2h or 1d"));
    let text = given.text().ok_or_else(wrong)?;
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).and_then(|s| s.checked_mul(1_000_000_000)).ok_or_else(wrong)
}

/// The condition, and the field that it is about.
fn condition(node: &Node) -> Result<(Condition, Option<&str>), Fault> {
    let mut condition = Condition::default();
    let mut field = None;
    let Some(given) = node.get("condition").filter(|given| given.value != Value::Null) else {
        return Ok((condition, None));
    };
    let Some(entries) = given.map() else {
        return Err((given.line, "condition: expected a comparison such as 'gte: 5'".to_owned()));
    };
    for (key, line, value) in entries {
        let bound = match key.as_str() {
            "field" => {
                field = value.text();
                continue;
            }
            "gt" => &mut condition.gt,
            "gte" => &mut condition.gte,
            "lt" => &mut condition.lt,
            "lte" => &mut condition.lte,
            "eq" => &mut condition.eq,
            "neq" => &mut condition.neq,
            _ => {
                let near = nearest::hint(key, ["gt", "gte", "lt", "lte", "eq", "neq", "field"]);
                return Err((*line, format!("condition: there is no comparison '{key}'{near}")));
            }
        };
        let number = value.text().and_then(|text| Number::parse(text.as_bytes()));
        *bound = Some(number.ok_or_else(|| (*line, format!("condition: '{value}' is no number")))?);
    }
    Ok((condition, field))
}

/// A digest of the rules and fields that the state depends on.
fn basis(rules: &[Rule], bases: &[Base], names: &Names) -> u64 {
    let mut text = Vec::new();
    for base in bases {
        let id = rules.get(base.rule as usize).map_or("", |rule| &rule.about.id);
        let fields = base.group_by.iter().chain(&base.value).map(|field| names.name(*field));
        for part in [id].into_iter().chain(fields) {
            text.extend_from_slice(part.as_bytes());
            text.push(0);
        }
        text.push(1);
    }
    hash(&text)
}
