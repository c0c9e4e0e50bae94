//! Arranging the tests of a rule so that they cost little.
//!
//! Texts that are asked of one field are asked at once (see [`among`](super::among)), and of tests joined the cheap come
//! before the dear. No test has an effect but its verdict, so that the rule's is the same.

use std::sync::Arc;

use super::among::Among;
use super::fields::Field;
use super::pattern::Matcher;
use super::test::{Check, Expr, Fold, Test};

/// Alternatives of which there are fewer stay as they are.
const AMONG_MIN: usize = 3;

/// The same expression, arranged.
pub fn arrange(expr: &Expr) -> Expr {
    match expr {
        Expr::Test(_) => expr.clone(),
        Expr::Not(inner) => Expr::Not(Box::new(arrange(inner))),
        Expr::And(members) => {
            let mut members: Vec<Expr> = members.iter().map(arrange).collect();
            members.sort_by_key(cost);
            Expr::And(members.into())
        }
        Expr::Or(members) => {
            let mut lists: Vec<(Option<Field>, Vec<&Matcher>)> = Vec::new();
            for (field, matcher) in members.iter().filter_map(text) {
                match lists.iter_mut().find(|(other, _)| *other == field) {
                    Some((_, list)) => list.push(matcher),
                    None => lists.push((field, vec![matcher])),
                }
            }
            lists.retain(|(_, list)| list.len() >= AMONG_MIN);
            let is_listed = |member: &&Expr| {
                text(member).is_some_and(|(field, _)| lists.iter().any(|(other, _)| *other == field))
            };
            let alone = members.iter().filter(|member| !is_listed(member)).map(arrange);
            let mut members: Vec<Expr> = alone.collect();
            members.extend(lists.into_iter().map(|(field, list)| {
                let among = Among::new(list.into_iter().cloned().collect());
                Expr::Test(Arc::new(Test { field, check: Check::Among(Box::new(among)) }))
            }));
            members.sort_by_key(cost);
            match members.len() {
                1 => members.remove(0),
                _ => Expr::Or(members.into()),
            }
        }
    }
}

/// Field and text of a test that ASCII folding is enough for.
fn text(expr: &Expr) -> Option<(Option<Field>, &Matcher)> {
    match expr {
        Expr::Test(test) => match &test.check {
            Check::Text(matcher, Fold::Ascii) => Some((test.field, matcher)),
            _ => None,
        },
        _ => None,
    }
}

/// What it costs to evaluate, in about ten nanoseconds.
fn cost(expr: &Expr) -> u32 {
    match expr {
        Expr::Test(test) => match &test.check {
            // Every field is looked at.
            _ if test.field.is_none() => 100,
            Check::Exists | Check::Null => 1,
            Check::Text(Matcher::Contains(_) | Matcher::Pieces(_), Fold::Ascii) => 4,
            Check::Text(_, Fold::Ascii) => 1,
            Check::Text(_, Fold::None) => 2,
            Check::Number(..) => 3,
            Check::Among(_) => 6,
            Check::Text(_, Fold::Unicode) | Check::Network(_) | Check::Time(..) | Check::Field(..) => 10,
            Check::Regex(_) => 30,
        },
        Expr::Not(inner) => cost(inner),
        Expr::And(members) | Expr::Or(members) => members.iter().map(cost).fold(0, u32::saturating_add),
    }
}
