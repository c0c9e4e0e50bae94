//! Witnesses: what every match of a rule must contain.
//!
//! A rule is reduced to clauses, a clause to groups of witnesses: an event can only match the rule if of one clause every
//! group has a witness in the event. Others need not be evaluated. Of tests that must all pass the cheapest makes a group
//! and, as long as that group would often be seen in vain, others make further ones; of alternatives each must give a
//! clause; a negation, a number or an absent field gives none, and a rule without any is evaluated for every event of its
//! category. What is cheap is estimated from how often a witness would be seen in vain: the estimate decides about speed
//! and never about a verdict.

mod common;
mod regex;

use super::fields::Field;
use super::pattern::Matcher;
use super::test::{Check, Expr, Fold, Test};

pub(super) use self::common::rarest;

/// Something in a field's value, with ASCII letters folded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Witness {
    /// The field; none if it may be in any.
    pub field: Option<Field>,
    /// How it is there.
    pub kind: Kind,
    /// The bytes.
    pub bytes: Box<[u8]>,
}

/// How a witness is in a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// As the last component of a path, behind a slash.
    BaseName,
    /// As the whole value.
    Whole,
    /// As its first byte.
    First,
    /// As its last byte.
    Last,
    /// Anywhere; at least [`LITERAL_MIN`] bytes.
    Within,
    /// As a word: a longest run of letters, digits and underscores, of which there are two or three.
    Word,
}

/// Witnesses, one of which must be there.
pub type Group = Vec<Witness>;

/// Groups that must all have a witness.
pub type Clause = Vec<Group>;

/// A single byte is in so many values that looking for it pays nothing.
pub const LITERAL_MIN: usize = 2;

/// A shorter literal must be looked for at every byte, which all events pay for.
const SCANNED_MIN: usize = 4;

/// Groups of a clause.
pub const GROUPS_MAX: usize = 3;

/// Clauses of a rule above which each is rather reduced to a group.
const CLAUSES_MAX: usize = 32;

/// Alternatives in one rule above which the rule is rather evaluated always.
const ALTERNATIVES_MAX: usize = 4096;

/// How often a clause may be seen in vain, for each event, without a further group.
const COST_GOOD: f64 = 0.003;

/// How many times dearer it is to evaluate a rule than to find a witness that is there.
const EVALUATION: f64 = 2.0;

/// The clauses of an expression, or none.
pub fn of(expr: &Expr) -> Option<Vec<Clause>> {
    let mut clauses = costed(expr)?.clauses;
    clauses.iter_mut().flatten().for_each(reduce);
    let count: usize = clauses.iter().flatten().map(Vec::len).sum();
    (count <= ALTERNATIVES_MAX).then_some(clauses)
}

/// Drops what cannot be there without another of the group, and sorts the rest.
fn reduce(group: &mut Group) {
    let literals: Vec<Witness> = group.iter().filter(|w| w.kind == Kind::Within).cloned().collect();
    let has_other = |witness: &Witness| {
        let is_within = |other: &Witness| {
            other.field == witness.field
                && other.bytes.len() < witness.bytes.len()
                && memchr::memmem::find(&witness.bytes, &other.bytes).is_some()
        };
        matches!(witness.kind, Kind::Within | Kind::Whole) && literals.iter().any(is_within)
    };
    group.retain(|witness| !has_other(witness));
    group.sort();
}

/// Clauses, and how often they would be seen in vain, estimated per event.
#[derive(Debug, Clone, Default)]
struct Costed {
    cost: f64,
    clauses: Vec<Clause>,
}

impl Costed {
    fn group(group: Group) -> Costed {
        Costed { cost: group.iter().map(cost).sum(), clauses: vec![vec![group]] }
    }

    /// The share of events that it is seen in, if its witnesses do not depend on each other.
    fn share(&self) -> f64 {
        1.0 - (-self.cost).exp()
    }

    /// All of these must be seen: the cheapest, and others as long as it pays.
    fn all(mut found: Vec<Costed>) -> Option<Costed> {
        found.sort_by(|a, b| a.cost.total_cmp(&b.cost));
        let mut found = found.into_iter();
        let mut best = found.next()?;
        for other in found {
            if best.cost <= COST_GOOD {
                break;
            }
            // What is seen often costs more where it is found than the evaluations that it spares.
            if best.cost * (1.0 - other.share()) * EVALUATION >= other.cost {
                best.join(&other);
            }
        }
        Some(best)
    }

    /// One of these must be seen; none if there is one that cannot be.
    fn any(found: impl Iterator<Item = Option<Costed>>) -> Option<Costed> {
        let mut all = Costed::default();
        for found in found {
            all.or(found?);
        }
        Some(all)
    }

    /// It must be seen beside these.
    fn join(&mut self, other: &Costed) {
        let [groups] = other.clauses.as_slice() else { return };
        if self.clauses.iter().all(|clause| clause.len() + groups.len() <= GROUPS_MAX) {
            self.clauses.iter_mut().for_each(|clause| clause.extend(groups.iter().cloned()));
            self.cost *= other.share();
        }
    }

    /// It or these must be seen. What needs only one group shares one.
    fn or(&mut self, other: Costed) {
        self.cost += other.cost;
        for mut clause in other.clauses {
            let same = self.clauses.iter_mut().find(|clause| clause.len() == 1).and_then(|c| c.first_mut());
            match (same, clause.pop()) {
                (Some(group), Some(more)) if clause.is_empty() => merge(group, more),
                (_, Some(last)) => {
                    clause.push(last);
                    self.clauses.push(clause);
                }
                (_, None) => {}
            }
        }
        if self.clauses.len() > CLAUSES_MAX {
            let mut all = Vec::new();
            // The first group of a clause is its cheapest.
            self.clauses
                .drain(..)
                .filter_map(|clause| clause.into_iter().next())
                .for_each(|group| merge(&mut all, group));
            self.clauses.push(vec![all]);
        }
    }
}

fn merge(group: &mut Group, more: Group) {
    for witness in more {
        if !group.contains(&witness) {
            group.push(witness);
        }
    }
}

fn costed(expr: &Expr) -> Option<Costed> {
    match expr {
        Expr::Test(test) => of_test(test),
        Expr::And(members) => Costed::all(members.iter().filter_map(costed).collect()),
        Expr::Or(members) => Costed::any(members.iter().map(costed)),
        Expr::Not(_) => None,
    }
}

fn of_test(test: &Test) -> Option<Costed> {
    match &test.check {
        // What other letters fold to is not told by their bytes.
        Check::Text(_, Fold::Unicode) => None,
        Check::Text(matcher, _) => of_text(test.field, matcher),
        Check::Regex(regex) => regex::costed(regex.as_str(), test.field)
            .or_else(|| of_byte(test.field, Kind::First, regex::first_byte(regex.as_str())?)),
        _ => None,
    }
}

fn of_text(field: Option<Field>, matcher: &Matcher) -> Option<Costed> {
    let literal = matcher.longest_literal().to_ascii_lowercase();
    let is_path = field.is_some_and(|f| PATHS.contains(&f));
    let (kind, bytes) = match matcher {
        Matcher::Equals(whole) if field.is_some() && !is_path => (Kind::Whole, whole.to_ascii_lowercase()),
        Matcher::Equals(end) | Matcher::Suffix(end)
            if is_path && end.contains(&b'/') && !end.ends_with(b"/") =>
        {
            let name = end.rsplit(|&b| b == b'/').next().unwrap_or(end);
            (Kind::BaseName, name.to_ascii_lowercase())
        }
        Matcher::Equals(whole) if field.is_some() => (Kind::Whole, whole.to_ascii_lowercase()),
        _ if literal.len() >= LITERAL_MIN => (Kind::Within, literal),
        Matcher::Prefix(start) => return start.first().and_then(|byte| of_byte(field, Kind::First, *byte)),
        Matcher::Suffix(end) => return end.last().and_then(|byte| of_byte(field, Kind::Last, *byte)),
        _ => return None,
    };
    let witness = Witness { field, kind, bytes: bytes.into() };
    Some(Costed::group(vec![witness]))
}

/// The witness that is seen exactly in the events that pass the test, if there is one: a path of a program ends with a
/// slash and a name.
pub fn exact(test: &Test) -> Option<Witness> {
    let Check::Text(Matcher::Suffix(end), Fold::Ascii) = &test.check else { return None };
    let name = end.strip_prefix(b"/").filter(|name| !name.is_empty() && !name.contains(&b'/'))?;
    let field = test.field.filter(|field| PATHS.contains(field));
    Some(Witness { field: Some(field?), kind: Kind::BaseName, bytes: name.into() })
}

/// The clauses of a regular expression.
pub fn of_regex(test: &Test) -> Option<Vec<Clause>> {
    let Check::Regex(_) = &test.check else { return None };
    let mut clauses = of_test(test)?.clauses;
    clauses.iter_mut().flatten().for_each(reduce);
    Some(clauses)
}

fn of_byte(field: Option<Field>, kind: Kind, byte: u8) -> Option<Costed> {
    let bytes = [byte.to_ascii_lowercase()];
    let witness = Witness { field: Some(field?), kind, bytes: bytes.into() };
    Some(Costed::group(vec![witness]))
}

/// Fields whose values are paths of programs, where rules ask for the last component.
const PATHS: [Field; 5] =
    [Field::IMAGE, Field::PARENT_IMAGE, Field::TARGET_IMAGE, Field::AUDIT_EXE, Field::ANCESTOR_IMAGES];

/// Names of programs that are seen all the time.
const BUSY_NAMES: [&str; 12] =
    ["sh", "bash", "dash", "python3", "python", "perl", "sudo", "systemd", "sshd", "cat", "grep", "node"];

/// How often it is seen in vain, estimated per event.
fn cost(witness: &Witness) -> f64 {
    let parent = matches!(
        witness.field,
        Some(Field::PARENT_IMAGE | Field::ANCESTOR_IMAGES | Field::PARENT_COMMAND_LINE)
    );
    let base = match witness.kind {
        Kind::BaseName if BUSY_NAMES.iter().any(|name| name.as_bytes() == &*witness.bytes) => 0.05,
        Kind::BaseName => 0.004,
        Kind::Whole => 0.02,
        Kind::First | Kind::Last
            if witness.bytes.first().is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'/') =>
        {
            0.1
        }
        Kind::First | Kind::Last => 0.01,
        Kind::Within if witness.bytes.len() < SCANNED_MIN => {
            // Paths of programs are short.
            let scan = if witness.field.is_some_and(|field| PATHS.contains(&field)) { 0.3 } else { 3.0 };
            scan + common::cost_of_literal(&witness.bytes)
        }
        Kind::Within => common::cost_of_literal(&witness.bytes),
        Kind::Word => common::cost_of_word(&witness.bytes),
    };
    if parent { base * 4.0 } else { base }
}
