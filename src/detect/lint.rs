//! What is odd about rules that are right: names that no event has, tests that exclude each other, sensors that are off,
//! files that are not watched ([`reads`]).

mod reads;

use std::collections::BTreeMap;

use super::sigma::fields::{Field, KNOWN, Names, TABLE};
use super::sigma::logsource::Category;
use super::sigma::pattern::Matcher;
use super::sigma::rule::Rule;
use super::sigma::set::Set;
use super::sigma::test::{Check, Expr, Fold};
use crate::event::Kind;
use crate::util::nearest;

/// A remark on a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The rule's number.
    pub rule: u32,
    /// What is odd.
    pub what: String,
    /// The rule cannot match any event of this host.
    pub is_blind: bool,
}

/// Remarks on all rules. `blind` says why a kind of event is not seen, if it isn't; reads are seen of `watch_paths`.
pub fn remarks(set: &Set, watch_paths: &[String], blind: impl Fn(Kind) -> Option<String>) -> Vec<Remark> {
    let mut remarks = Vec::new();
    for (at, rule) in set.rules().iter().enumerate() {
        let number = u32::try_from(at).unwrap_or(u32::MAX);
        let mut add = |what: String, is_blind: bool| remarks.push(Remark { rule: number, what, is_blind });
        for name in unknown_fields(rule, &set.names) {
            let near = nearest::hint(name, TABLE.iter().map(|(known, ..)| *known));
            add(format!("no event has the field '{name}'{near}"), false);
        }
        if contradicts(&rule.expr) {
            add("it can never match: two tests of its condition exclude each other".to_owned(), true);
        }
        if let Some(why) = blindness(rule.category, &blind) {
            add(why, true);
        } else if let Some(path) = reads::unwatched(rule, watch_paths) {
            add(
                format!("no read that it asks for is watched: '{path}' is in no entry of [file] watch_paths"),
                true,
            );
        }
    }
    remarks
}

/// Names that are neither in the table nor names of ECS, which have dots.
fn unknown_fields<'n>(rule: &Rule, names: &'n Names) -> Vec<&'n str> {
    let mut unknown = Vec::new();
    rule.expr.tests(&mut |test| {
        let name = test.field.filter(|field| field.index() >= KNOWN).map(|field| names.name(field));
        if let Some(name) = name.filter(|name| !name.contains('.') && !unknown.contains(name)) {
            unknown.push(name);
        }
    });
    unknown
}

/// Why no event of the category comes, if every kind that feeds it is blind.
fn blindness(category: Category, blind: impl Fn(Kind) -> Option<String>) -> Option<String> {
    let reasons: Option<Vec<String>> = category.kinds().iter().map(|kind| blind(*kind)).collect();
    let mut reasons = reasons?;
    reasons.dedup();
    Some(format!("it cannot fire on this host: {} is not seen: {}", category.name(), reasons.join("; ")))
}

/// Of an expression's tests that must all pass, two ask for different whole values of a field that has one only.
fn contradicts(expr: &Expr) -> bool {
    match expr {
        Expr::And(members) => {
            let mut wholes: BTreeMap<Field, &[u8]> = BTreeMap::new();
            members.iter().any(contradicts)
                || members.iter().any(|member| {
                    let Expr::Test(test) = member else { return false };
                    let (Some(field), Check::Text(Matcher::Equals(value), Fold::Ascii)) =
                        (test.field, &test.check)
                    else {
                        return false;
                    };
                    let before = wholes.insert(field, value);
                    !MANY.contains(&field) && before.is_some_and(|before| before != &**value)
                })
        }
        Expr::Or(members) => !members.is_empty() && members.iter().all(contradicts),
        Expr::Test(_) | Expr::Not(_) => false,
    }
}

/// Fields that can have several values at a time.
const MANY: [Field; 8] = [
    Field::IMAGE,
    Field::PARENT_IMAGE,
    Field::ANCESTOR_IMAGES,
    Field::EXE_FLAGS,
    Field::ENVIRONMENT,
    Field::NAMESPACES,
    Field::NEW_CAPABILITIES,
    Field::QUERY_RESULTS,
];
