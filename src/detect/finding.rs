//! Findings: what is told of a rule that matched, as a line of Elastic Common Schema.
//!
//! A finding is the event's own line with `event.kind` turned to `alert` and `rule.*`, `threat.*` and
//! `sentineledge.finding.*` added. Author, licence and reference of the rule stay in it: the Detection Rule License asks
//! that of whoever shows matches. The sequence number is the event's and so moves to `sentineledge.finding`, where it does
//! not look like a number of its own.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::judge::Hit;
use super::sigma::rule::About;
use super::trail::{Before, Preceding};
use crate::event::json::rfc3339;
use crate::event::{EntityId, Image, Process};

/// Ancestors that a finding shows with their arguments.
const ANCESTORS_MAX: usize = 32;

/// Bytes of an ancestor's arguments.
const ARGS_MAX: usize = 1024;

/// What became of several findings of the same kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fold {
    /// The same for all of them, 16 bytes in hexadecimal.
    pub fingerprint: String,
    /// How many there were.
    pub count: u64,
    /// Wall time of the first and the last, nanoseconds.
    pub times_ns: (u64, u64),
    /// What they differ in: command lines or files, some of them.
    pub keys: Vec<String>,
    /// How many different ones there were, up to a bound.
    pub distinct: u64,
}

/// The line of a hit, without its newline.
pub fn line(hit: &Hit, fold: &Fold) -> Vec<u8> {
    let value: Value = serde_json::from_slice(&hit.line).unwrap_or_else(|_| json!({}));
    let subject = value.as_object().and_then(subject);
    alert(value, &hit.about, hit.category, subject, details(hit, &hit.about, fold))
}

/// The line of an event, turned into that of a finding by this rule: what it is about, and what is told of it.
fn alert(mut value: Value, rule: &About, category: &str, subject: Option<String>, details: Value) -> Vec<u8> {
    if let Some(object) = value.as_object_mut() {
        let message = match subject {
            Some(subject) => format!("{}: {subject}", rule.title),
            None => rule.title.to_string(),
        };
        object.insert("message".into(), message.into());
        event(object, rule);
        object.insert("rule".into(), about(rule, category));
        if let Some(threat) = threat(rule) {
            object.insert("threat".into(), threat);
        }
        let tags: Vec<&str> = rule.tags.iter().map(|tag| &**tag).collect();
        object.insert("tags".into(), tags.into());
        let own = object.entry("sentineledge").or_insert_with(|| json!({}));
        if let Some(own) = own.as_object_mut() {
            own.insert("finding".into(), details);
        }
    }
    // A map of texts and numbers can always be written.
    serde_json::to_vec(&value).unwrap_or_default()
}

/// A correlation that fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Together {
    /// The correlation rule.
    pub about: Arc<About>,
    /// Generation of the rules.
    pub generation: u64,
    /// What was looked at, as rules name it.
    pub kind: &'static str,
    /// What the hits have in common: names and values.
    pub group: Vec<(String, String)>,
    /// How many there were, of what the kind counts.
    pub count: u64,
    /// Different values, some of them.
    pub values: Vec<String>,
    /// Sequence numbers of the events, the newest of them.
    pub events: Vec<u64>,
    /// Hits since it fired before, which were kept quiet.
    pub suppressed: u64,
    /// Wall time of the first and the last, nanoseconds.
    pub times_ns: (u64, u64),
    /// The line of the newest of the events, if it is still known.
    pub line: Option<Box<[u8]>>,
    /// What its process tree did before.
    pub preceding: Before,
}

/// The line of a correlation, without its newline: that of its newest event, with what they all have in common.
pub fn together(together: &Together) -> Vec<u8> {
    let rule = &together.about;
    let parsed = together.line.as_ref().and_then(|line| serde_json::from_slice(line).ok());
    let value: Value = parsed.unwrap_or_else(|| json!({ "@timestamp": time(together.times_ns.1) }));
    let group: Vec<String> = together.group.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let matched: Vec<Value> =
        together.group.iter().map(|(name, value)| json!({ "field": name, "value": value })).collect();
    let mut details = json!({
        "level": rule.level.name(),
        "correlation": together.kind,
        "count": together.count,
        "first": time(together.times_ns.0),
        "last": time(together.times_ns.1),
        "events": together.events,
        "generation": together.generation,
        "matched": matched,
        "source": format!("{}:{}", rule.source, rule.line),
    });
    if let Some(details) = details.as_object_mut() {
        if !together.values.is_empty() {
            details.insert("keys".into(), json!(together.values));
        }
        if together.suppressed > 0 {
            details.insert("suppressed".into(), together.suppressed.into());
        }
        preceding(details, &together.preceding);
        of_rule(details, rule);
    }
    alert(value, rule, "correlation", (!group.is_empty()).then(|| group.join(", ")), details)
}

/// What a finding is about, in a few words.
pub fn subject(event: &Map<String, Value>) -> Option<String> {
    let text = |path: &[&str]| {
        let mut at = event.get(*path.first()?)?;
        for key in path.get(1..)? {
            at = at.get(key)?;
        }
        at.as_str().map(str::to_owned)
    };
    let paths: [&[&str]; 4] =
        [&["process", "command_line"], &["file", "path"], &["destination", "domain"], &["destination", "ip"]];
    paths.into_iter().find_map(text).or_else(|| text(&["process", "executable"]))
}

fn event(object: &mut Map<String, Value>, about: &About) {
    let event = object.entry("event").or_insert_with(|| json!({}));
    let Some(event) = event.as_object_mut() else { return };
    event.remove("sequence");
    event.insert("kind".into(), "alert".into());
    event.insert("dataset".into(), "sentineledge.finding".into());
    event.insert("severity".into(), about.level.severity().into());
    event.insert("risk_score".into(), about.level.severity().into());
}

fn about(about: &About, category: &str) -> Value {
    let mut rule = Map::new();
    let mut put = |key: &str, value: &str| {
        if !value.is_empty() {
            rule.insert(key.to_owned(), value.into());
        }
    };
    put("id", &about.id);
    put("name", &about.title);
    put("description", &about.description);
    put("category", category);
    put("license", about.license.as_deref().unwrap_or_default());
    put("reference", about.references.first().map_or("", |reference| reference));
    put("ruleset", &about.source);
    if !about.author.is_empty() {
        let authors: Vec<&str> = about.author.split(',').map(str::trim).filter(|a| !a.is_empty()).collect();
        rule.insert("author".into(), authors.into());
    }
    rule.into()
}

/// Tactics and techniques from the tags. Names of tactics are taken as they are tagged, since their list changes.
fn threat(about: &About) -> Option<Value> {
    let (mut tactics, mut techniques, mut subtechniques) = (Vec::new(), Vec::new(), Vec::new());
    let (mut groups, mut software) = (Vec::new(), Vec::new());
    for tag in about.tags.iter().filter_map(|tag| tag.strip_prefix("attack.")) {
        let numbered = |letter: char| {
            tag.strip_prefix(letter).is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit()))
        };
        if numbered('t') {
            let id = tag.to_ascii_uppercase();
            let technique = id.split('.').next().unwrap_or_default().to_owned();
            if !techniques.contains(&technique) {
                techniques.push(technique);
            }
            if id.contains('.') {
                subtechniques.push(id);
            }
        } else if numbered('g') {
            groups.push(tag.to_ascii_uppercase());
        } else if numbered('s') {
            software.push(tag.to_ascii_uppercase());
        } else {
            tactics.push(title_case(tag));
        }
    }
    if tactics.is_empty() && techniques.is_empty() {
        return None;
    }
    let mut threat = json!({ "framework": "MITRE ATT&CK" });
    if let Some(threat) = threat.as_object_mut() {
        if !tactics.is_empty() {
            threat.insert("tactic".into(), json!({ "name": tactics }));
        }
        if !techniques.is_empty() {
            let mut technique = json!({ "id": techniques });
            if !subtechniques.is_empty()
                && let Some(technique) = technique.as_object_mut()
            {
                technique.insert("subtechnique".into(), json!({ "id": subtechniques }));
            }
            threat.insert("technique".into(), technique);
        }
        if !groups.is_empty() {
            threat.insert("group".into(), json!({ "id": groups }));
        }
        if !software.is_empty() {
            threat.insert("software".into(), json!({ "id": software }));
        }
    }
    Some(threat)
}

/// `credential-access` as `Credential Access`.
fn title_case(tag: &str) -> String {
    let words = tag.split(['-', '_']).map(|word| {
        let mut letters = word.chars();
        letters
            .next()
            .map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
    });
    words.collect::<Vec<_>>().join(" ")
}

fn details(hit: &Hit, about: &About, fold: &Fold) -> Value {
    let matched: Vec<Value> =
        hit.matched.iter().map(|(field, value)| json!({ "field": field, "value": value })).collect();
    let ancestors = hit.process.iter().flat_map(|process| process.ancestors()).take(ANCESTORS_MAX);
    let mut details = json!({
        "level": about.level.name(),
        "fingerprint": fold.fingerprint,
        "count": fold.count,
        "first": time(fold.times_ns.0),
        "last": time(fold.times_ns.1),
        "event_sequence": hit.sequence,
        "generation": hit.rules.generation,
        "matched": matched,
        "source": format!("{}:{}", about.source, about.line),
    });
    if let Some(details) = details.as_object_mut() {
        let ancestors: Vec<Value> = ancestors.map(ancestor).collect();
        if !ancestors.is_empty() {
            details.insert("ancestors".into(), ancestors.into());
        }
        preceding(details, &hit.preceding);
        if fold.count > 1 {
            details.insert("keys".into(), json!(fold.keys));
            details.insert("distinct".into(), json!(fold.distinct));
        }
        of_rule(details, about);
    }
    details
}

/// What the process tree did before, as short events.
fn preceding(details: &mut Map<String, Value>, before: &[Preceding]) {
    if before.is_empty() {
        return;
    }
    let event = |step: &Preceding| {
        let mut event = json!({
            "@timestamp": time(step.wall_ns),
            "event": { "action": step.kind.name(), "sequence": step.sequence },
            "process": {
                "pid": step.pid,
                "entity_id": hex(&step.entity_id),
                "name": String::from_utf8_lossy(&step.name),
            },
        });
        if let Some(event) = event.as_object_mut() {
            if !step.text.is_empty() {
                let more = if step.is_cut { "…" } else { "" };
                event.insert("message".into(), (String::from_utf8_lossy(&step.text) + more).into());
            }
            if step.count > 1 {
                event.insert("count".into(), step.count.into());
            }
        }
        event
    };
    details.insert("preceding".into(), before.iter().map(event).collect());
}

fn hex(id: &EntityId) -> String {
    id.hex().map(char::from).iter().collect()
}

/// What ECS has no field for of what a rule says of itself.
fn of_rule(details: &mut Map<String, Value>, about: &About) {
    let texts = |texts: &[Box<str>]| Value::from(texts.iter().map(|text| &**text).collect::<Vec<&str>>());
    if !about.false_positives.is_empty() {
        details.insert("false_positives".into(), texts(&about.false_positives));
    }
    if about.references.len() > 1 {
        details.insert("references".into(), texts(&about.references));
    }
    if let Some(status) = &about.status {
        details.insert("status".into(), (&**status).into());
    }
}

fn time(wall_ns: u64) -> String {
    rfc3339(wall_ns).iter().map(|byte| char::from(*byte)).collect()
}

fn ancestor(process: &Process) -> Value {
    let image: &Image = &process.image;
    let args = image.args.get(..ARGS_MAX).unwrap_or(&image.args);
    let args = String::from_utf8_lossy(args.strip_suffix(&[0]).unwrap_or(args)).replace('\0', " ");
    json!({
        "pid": process.pid,
        "entity_id": hex(&process.entity_id),
        "executable": String::from_utf8_lossy(&image.executable),
        "command_line": args,
    })
}
