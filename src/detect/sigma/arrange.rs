//! Arranging the tests of a rule so that they cost little.
//!
//! Texts that are asked of one field are asked at once (see [`among`](super::among)), and of parts joined the cheap come
//! before the dear. Equal parts of all rules are one, with a number under which its verdict is kept as long as the event is
//! judged: rules that come in families ask for what they share once. No part has an effect but its verdict, so that the
//! rule's is the same.

use std::collections::HashMap;
use std::sync::Arc;

use super::among::Among;
use super::fields::Field;
use super::index::position;
use super::pattern::Matcher;
use super::test::{Check, Expr, Fold, Test};

/// What a test costs that is done once for an event.
const DEAR: u32 = 4;

/// Alternatives of which there are fewer stay as they are.
const AMONG_MIN: usize = 3;

/// Arranges expressions whose equal tests are [shared](super::intern).
#[derive(Debug, Default)]
pub struct Arranger {
    /// What is asked once, by how it is made of what.
    shared: HashMap<(Join, Vec<usize>), (Arc<Expr>, u32)>,
}

/// How parts are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Join {
    Test,
    List,
    And,
    Or,
    Not,
}

/// Where a part is in memory. Those that are equal are shared, so that this tells them apart.
fn place(expr: &Expr) -> usize {
    match expr {
        Expr::Test(test) => Arc::as_ptr(test).addr(),
        Expr::Once(expr, _) => Arc::as_ptr(expr).addr(),
        Expr::And(_) | Expr::Or(_) | Expr::Not(_) => std::ptr::from_ref(expr).addr(),
    }
}

impl Arranger {
    /// How many parts are asked once.
    pub fn parts(&self) -> usize {
        self.shared.len()
    }

    /// The same expression, arranged.
    pub fn arrange(&mut self, expr: &Expr) -> Expr {
        match expr {
            Expr::Test(test) if cost_of_test(test) < DEAR => expr.clone(),
            Expr::Test(_) => self.once(Join::Test, vec![place(expr)], || expr.clone()),
            Expr::Once(expr, _) => self.arrange(expr),
            Expr::Not(inner) => {
                let inner = self.arrange(inner);
                self.once(Join::Not, vec![place(&inner)], || Expr::Not(Box::new(inner)))
            }
            Expr::And(members) => {
                let members = members.iter().map(|member| self.arrange(member)).collect();
                self.joined(Join::And, members)
            }
            Expr::Or(members) => {
                let mut lists: Vec<(Option<Field>, Vec<&Arc<Test>>)> = Vec::new();
                for test in members.iter().filter_map(text) {
                    match lists.iter_mut().find(|(field, _)| *field == test.field) {
                        Some((_, list)) => list.push(test),
                        None => lists.push((test.field, vec![test])),
                    }
                }
                lists.retain(|(_, list)| list.len() >= AMONG_MIN);
                let is_listed = |member: &&Expr| {
                    text(member).is_some_and(|test| lists.iter().any(|(field, _)| *field == test.field))
                };
                let alone: Vec<&Expr> = members.iter().filter(|member| !is_listed(member)).collect();
                let mut members: Vec<Expr> = alone.into_iter().map(|member| self.arrange(member)).collect();
                members.extend(lists.into_iter().map(|(field, list)| self.list(field, &list)));
                self.joined(Join::Or, members)
            }
        }
    }

    /// All or one of these, the cheap ones first.
    fn joined(&mut self, join: Join, mut members: Vec<Expr>) -> Expr {
        members.sort_by_key(cost);
        if members.len() == 1 {
            return members.remove(0);
        }
        let places = members.iter().map(place).collect();
        self.once(join, places, || match join {
            Join::And => Expr::And(members.into()),
            _ => Expr::Or(members.into()),
        })
    }

    /// One test for a list of texts.
    fn list(&mut self, field: Option<Field>, list: &[&Arc<Test>]) -> Expr {
        let places = list.iter().map(|test| Arc::as_ptr(test).addr()).collect();
        self.once(Join::List, places, || {
            let matchers = list.iter().filter_map(|test| match &test.check {
                Check::Text(matcher, _) => Some(matcher.clone()),
                _ => None,
            });
            let among = Among::new(matchers.collect());
            Expr::Test(Arc::new(Test { field, check: Check::Among(Box::new(among)) }))
        })
    }

    fn once(&mut self, join: Join, of: Vec<usize>, new: impl FnOnce() -> Expr) -> Expr {
        let next = position(self.shared.len());
        let (expr, number) = self.shared.entry((join, of)).or_insert_with(|| (Arc::new(new()), next));
        Expr::Once(Arc::clone(expr), *number)
    }
}

/// A test of a text that ASCII folding is enough for.
fn text(expr: &Expr) -> Option<&Arc<Test>> {
    match expr {
        Expr::Test(test) => matches!(test.check, Check::Text(_, Fold::Ascii)).then_some(test),
        _ => None,
    }
}

/// What it costs to evaluate, in about ten nanoseconds.
fn cost(expr: &Expr) -> u32 {
    match expr {
        Expr::Test(test) => cost_of_test(test),
        Expr::Once(expr, _) => cost(expr),
        Expr::Not(inner) => cost(inner),
        Expr::And(members) | Expr::Or(members) => members.iter().map(cost).fold(0, u32::saturating_add),
    }
}

fn cost_of_test(test: &Test) -> u32 {
    match &test.check {
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
    }
}
