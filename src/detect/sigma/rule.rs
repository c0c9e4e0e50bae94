//! Rules: a document of YAML as what it says.

use std::fmt;
use std::sync::Arc;

use super::condition::{self, Condition, MENTIONS_MAX};
use super::fields::Names;
use super::logsource::Category;
use super::search::{self, Fault, Placeholders};
use super::test::Expr;
use super::yaml::{Node, Value};
use crate::util::nearest;

/// Tests that a rule may have, those of a search counted each time that its condition names it. The largest public rules
/// have some hundreds; a placeholder may stand for thousands.
pub const TESTS_MAX: usize = 100_000;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Only good for correlation and context.
    Informational,
    /// Notable, rarely an incident.
    Low,
    /// Worth a look.
    Medium,
    /// Worth a look now.
    High,
    /// An incident.
    Critical,
}

impl Level {
    /// Every level, the mildest first.
    pub const ALL: [Level; 5] =
        [Level::Informational, Level::Low, Level::Medium, Level::High, Level::Critical];

    /// As rules write it.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Informational => "informational",
            Level::Low => "low",
            Level::Medium => "medium",
            Level::High => "high",
            Level::Critical => "critical",
        }
    }

    /// `event.severity` and `event.risk_score`: 0 to 100.
    pub const fn severity(self) -> u8 {
        match self {
            Level::Informational => 5,
            Level::Low => 21,
            Level::Medium => 47,
            Level::High => 73,
            Level::Critical => 99,
        }
    }

    /// The level of this name.
    pub fn from_name(name: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a rule says of itself. All of it goes into its findings, as the licences of public rules ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The file, or the name of the built-in pack's.
    pub source: Arc<str>,
    /// Line of the document's beginning.
    pub line: usize,
    /// A UUID mostly; the name or title where there is none.
    pub id: Box<str>,
    /// For references by other rules.
    pub name: Option<Box<str>>,
    /// A short title.
    pub title: Box<str>,
    /// What it is about.
    pub description: Box<str>,
    /// Who wrote it.
    pub author: Box<str>,
    /// The licence, if the rule names one.
    pub license: Option<Box<str>>,
    /// Links.
    pub references: Vec<Box<str>>,
    /// Such as `attack.t1059.004`.
    pub tags: Vec<Box<str>>,
    /// What may look like it.
    pub false_positives: Vec<Box<str>>,
    /// How ready it is: `stable`, `test`, `experimental`, `deprecated`, `unsupported`.
    pub status: Option<Box<str>>,
    /// How bad it is; `medium` where the rule doesn't say.
    pub level: Level,
}

/// A rule that can run.
#[derive(Debug, Clone)]
pub struct Rule {
    /// What it says of itself.
    pub about: Arc<About>,
    /// Which events it is about.
    pub category: Category,
    /// When it matches.
    pub expr: Expr,
    /// Failed operations are asked for.
    pub sees_failures: bool,
    /// Its own cases, if it has some.
    pub tests: Option<Node>,
    /// What is odd, by line, but no error.
    pub remarks: Vec<Fault>,
}

/// The kinds of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A rule about events.
    Rule,
    /// A rule about the hits of others.
    Correlation,
    /// A condition that is added to other rules.
    Filter,
}

/// Which kind of document it is.
pub fn form(document: &Node) -> Result<Form, Fault> {
    let Some(entries) = document.map() else {
        return Err((document.line, format!("expected a rule, found {}", document.describe())));
    };
    let has = |name: &str| entries.iter().any(|(key, ..)| key == name);
    if let Some(action) = document.get("action") {
        return Err((
            action.line,
            "collections with 'action' are of the old format; write whole rules".to_owned(),
        ));
    }
    match (has("detection"), has("correlation"), has("filter")) {
        (true, false, false) => Ok(Form::Rule),
        (false, true, false) => Ok(Form::Correlation),
        (_, false, true) => Ok(Form::Filter),
        (false, false, false) => {
            Err((document.line, "the rule has neither 'detection' nor 'correlation'".to_owned()))
        }
        _ => Err((document.line, "'detection', 'correlation' and 'filter' exclude each other".to_owned())),
    }
}

/// What the document says of itself.
pub fn about(document: &Node, source: &Arc<str>) -> Result<About, Fault> {
    let text = |key: &str| -> Result<Option<Box<str>>, Fault> {
        match document.get(key).map(|node| (node, &node.value)) {
            None | Some((_, Value::Null)) => Ok(None),
            Some((_, Value::Text(text, _))) => Ok(Some(Box::from(text.trim()))),
            Some((node, _)) => {
                Err((node.line, format!("{key}: expected a single value, found {}", node.describe())))
            }
        }
    };
    let texts = |key: &str| -> Result<Vec<Box<str>>, Fault> {
        let members = document.get(key).map_or(&[][..], Node::members).iter();
        let one = |node: &Node| match node.text() {
            Some(text) => Ok(Box::from(text.trim())),
            None => Err((node.line, format!("{key}: expected texts, found {}", node.describe()))),
        };
        members.map(one).collect()
    };
    let Some(title) = text("title")?.filter(|title| !title.is_empty()) else {
        return Err((document.line, "the rule has no title".to_owned()));
    };
    let level = match document.get("level").filter(|node| node.value != Value::Null) {
        None => Level::Medium,
        Some(node) => Level::from_name(node.text().unwrap_or_default()).ok_or_else(|| {
            let near = nearest::hint(&node.to_string(), Level::ALL.map(Level::name));
            (node.line, format!("level: there is no level '{node}'{near}"))
        })?,
    };
    let name = text("name")?;
    let id = text("id")?.or_else(|| name.clone()).unwrap_or_else(|| title.clone());
    Ok(About {
        source: Arc::clone(source),
        line: document.line,
        id,
        name,
        title,
        description: text("description")?.unwrap_or_default(),
        author: text("author")?.unwrap_or_default(),
        license: text("license")?,
        references: texts("references")?,
        tags: texts("tags")?,
        false_positives: texts("falsepositives")?,
        status: text("status")?,
        level,
    })
}

/// The log source as a category.
pub fn category(document: &Node) -> Result<Category, Fault> {
    let Some(source) = document.get("logsource") else {
        return Err((document.line, "the rule has no 'logsource'".to_owned()));
    };
    let text = |key: &str| source.get(key).and_then(Node::text).map(str::trim);
    Category::of(text("product"), text("category"), text("service")).map_err(|what| (source.line, what))
}

/// Compiles the searches of `node`, joined by its condition, and says what is odd.
pub fn detection(node: &Node, names: &mut Names, lists: &Placeholders) -> Result<(Expr, Vec<Fault>), Fault> {
    let Some(entries) = node.map() else {
        return Err((node.line, format!("detection: expected searches, found {}", node.describe())));
    };
    // Fields of the old format, or of other tools, that are no searches.
    let is_search = |name: &str| !matches!(name, "condition" | "timeframe" | "rules");
    let searches: Vec<_> = entries.iter().filter(|(name, ..)| is_search(name)).collect();
    let search_names: Vec<&str> = searches.iter().map(|(name, ..)| name.as_str()).collect();
    let Some(condition) = node.get("condition") else {
        return Err((node.line, "detection: there is no 'condition'".to_owned()));
    };
    let (mut conditions, mut used) = (Vec::new(), Vec::new());
    for member in condition.members() {
        let text = member.text().ok_or_else(|| (member.line, "condition: expected a text".to_owned()))?;
        let parsed = condition::parse(text, &search_names)
            .map_err(|what| (member.line, format!("condition: {what}")))?;
        parsed.searches(&mut used);
        if used.len() > MENTIONS_MAX {
            let what = format!("condition: together they name searches more than {MENTIONS_MAX} times");
            return Err((member.line, what));
        }
        conditions.push(parsed);
    }
    let condition_line = condition.line;
    let condition = match conditions.len() {
        0 => return Err((condition_line, "condition: it is empty".to_owned())),
        1 => conditions.remove(0),
        _ => Condition::Or(conditions),
    };
    let mut compiled = Vec::new();
    for (name, _, value) in &searches {
        let expr =
            search::compile(value, names, lists).map_err(|(line, what)| (line, format!("{name}: {what}")))?;
        compiled.push(expr);
    }
    let size = |at: &usize| compiled.get(*at).map_or(0, Expr::size);
    if used.iter().map(size).sum::<usize>() > TESTS_MAX {
        return Err((condition_line, format!("condition: the rule has more than {TESTS_MAX} tests")));
    }
    let unused =
        searches.iter().enumerate().filter(|(at, (name, ..))| !used.contains(at) && !name.starts_with('_'));
    let remarks = unused
        .map(|(_, (name, line, _))| (*line, format!("the search '{name}' is in no condition")))
        .collect();
    Ok((join(&condition, &compiled), remarks))
}

fn join(condition: &Condition, searches: &[Expr]) -> Expr {
    let all = |members: &[Condition]| members.iter().map(|member| join(member, searches)).collect();
    match condition {
        Condition::Search(at) => searches.get(*at).cloned().unwrap_or_else(|| Expr::Or(Box::default())),
        Condition::And(members) => Expr::And(all(members)),
        Condition::Or(members) => Expr::Or(all(members)),
        Condition::Not(inner) => Expr::Not(Box::new(join(inner, searches))),
    }
}

/// Compiles a rule about the events of a category.
pub fn rule_for(
    document: &Node,
    source: &Arc<str>,
    category: Category,
    names: &mut Names,
    lists: &Placeholders,
) -> Result<Rule, Fault> {
    let about = about(document, source)?;
    let node =
        document.get("detection").ok_or_else(|| (document.line, "the rule has no 'detection'".to_owned()))?;
    let (expr, remarks) = detection(node, names, lists)?;
    let mut sees_failures =
        matches!(category, Category::NetworkConnection | Category::ProcessCreationFailed | Category::Auditd);
    expr.tests(&mut |test| sees_failures |= test.field == Some(super::fields::Field::OUTCOME));
    Ok(Rule {
        about: Arc::new(about),
        category,
        expr,
        sees_failures,
        tests: document.get("tests").cloned(),
        remarks,
    })
}
