//! Arranging the tests of rules so that they cost little.
//!
//! Whether a program has one of some names is known from the search for candidates, and whether a regular expression can
//! match where its literals were looked for; other texts that are asked of one field are asked at once (see
//! [`among`](super::among)), and of parts joined the cheap come before the dear. Equal parts
//! of all rules are one, with a number under which its verdict is kept as long as the event is judged: rules that come in
//! families ask for what they share once. What only one place has is not kept. No part has an effect but its verdict, so
//! that the rule's is the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::among::Among;
use super::fields::Field;
use super::index::{Number, position};
use super::pattern::Matcher;
use super::plan::Plan;
use super::test::{Check, Expr, Fold, Test};
use super::witness::{self, Group, Witness};

/// What a test costs that is done once for an event.
const DEAR: u32 = 4;

/// How many times dearer a negation is taken for than it is. Most are filters, which hardly any event passes that a rule
/// may match, while most of these events are not what the rule selects: so that is asked first.
const NOT: u32 = 10;

/// Alternatives of which there are fewer stay as they are.
const AMONG_MIN: usize = 3;

/// Expressions, arranged.
#[derive(Debug)]
pub struct Arranged {
    /// In the order of the expressions.
    pub plans: Vec<Plan>,
    /// How many parts they have that are asked once.
    pub parts: usize,
    /// The groups that they ask of the search for candidates, by their numbers.
    pub groups: Vec<Group>,
}

/// Arranges expressions whose equal tests are [shared](super::intern). These witnesses are looked for in any case.
pub fn arrange<'e>(exprs: impl Iterator<Item = &'e Expr>, looked_for: BTreeSet<&Witness>) -> Arranged {
    let mut arranger = Arranger { looked_for, ..Arranger::default() };
    let plans: Vec<Plan> = exprs.map(|expr| arranger.arrange(expr)).collect();
    let mut uses = vec![0; arranger.shared.len()];
    plans.iter().for_each(|plan| count(plan, &mut uses));
    let mut kept = Kept { uses, plans: vec![None; arranger.shared.len()], parts: 0 };
    let plans = plans.iter().map(|plan| kept.keep(plan)).collect();
    let mut groups = vec![Group::new(); arranger.groups.len()];
    for (group, number) in arranger.groups {
        if let Some(to) = groups.get_mut(number as usize) {
            *to = group;
        }
    }
    Arranged { plans, parts: kept.parts, groups }
}

/// Counts the places that have each part.
fn count(plan: &Plan, uses: &mut [u32]) {
    match plan {
        Plan::Test(_) | Plan::Seen(_) => {}
        Plan::Once(inner, number) => {
            if let Some(of) = uses.get_mut(*number as usize) {
                *of += 1;
                // What is in it is in one place, however many have it.
                if *of == 1 {
                    count(inner, uses);
                }
            }
        }
        Plan::And(members) | Plan::Or(members) => members.iter().for_each(|member| count(member, uses)),
        Plan::Not(inner) => count(inner, uses),
    }
}

/// Parts that several places have.
struct Kept {
    /// How many places have each.
    uses: Vec<u32>,
    plans: Vec<Option<Plan>>,
    /// How many were numbered anew.
    parts: usize,
}

impl Kept {
    /// The plan with only those parts asked once that several places have.
    fn keep(&mut self, plan: &Plan) -> Plan {
        match plan {
            Plan::Test(_) | Plan::Seen(_) => plan.clone(),
            Plan::And(members) => Plan::And(members.iter().map(|member| self.keep(member)).collect()),
            Plan::Or(members) => Plan::Or(members.iter().map(|member| self.keep(member)).collect()),
            Plan::Not(inner) => Plan::Not(Box::new(self.keep(inner))),
            Plan::Once(inner, number) => {
                let at = *number as usize;
                if self.uses.get(at) == Some(&1) {
                    return self.keep(inner);
                }
                if let Some(Some(known)) = self.plans.get(at) {
                    return known.clone();
                }
                let inner = self.keep(inner);
                let once = Plan::Once(Arc::new(inner), position(self.parts));
                self.parts += 1;
                if let Some(known) = self.plans.get_mut(at) {
                    *known = Some(once.clone());
                }
                once
            }
        }
    }
}

/// Parts and groups that were seen so far.
#[derive(Debug, Default)]
struct Arranger<'w> {
    looked_for: BTreeSet<&'w Witness>,
    /// What is asked once, by how it is made of what.
    shared: HashMap<(Join, Vec<usize>), (Arc<Plan>, u32)>,
    groups: BTreeMap<Group, Number>,
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

/// What tells parts apart: equal ones are shared, so that their place in memory does, and no such place is odd. What is joined
/// must come as [`Plan::Once`], whose place stays as long as the arranger: another may come to be where a bare one was.
fn place(plan: &Plan) -> usize {
    match plan {
        Plan::Test(test) => Arc::as_ptr(test).addr(),
        Plan::Once(plan, _) => Arc::as_ptr(plan).addr(),
        Plan::Seen(group) => *group as usize * 2 + 1,
        Plan::And(_) | Plan::Or(_) | Plan::Not(_) => std::ptr::from_ref(plan).addr(),
    }
}

impl Arranger<'_> {
    fn arrange(&mut self, expr: &Expr) -> Plan {
        match expr {
            Expr::Test(test) => match witness::exact(test) {
                Some(witness) => self.seen(vec![witness]),
                None if cost_of_test(test) < DEAR => Plan::Test(Arc::clone(test)),
                None => {
                    let guard = self.guard(test);
                    let plan = Plan::Test(Arc::clone(test));
                    let plan = self.once(Join::Test, vec![place(&plan)], || plan);
                    match guard {
                        // Through the same way as all that is joined: only what is kept has a place of its own.
                        Some(guard) => self.joined(Join::And, vec![guard, plan]),
                        None => plan,
                    }
                }
            },
            Expr::Not(inner) => {
                let inner = self.arrange(inner);
                self.once(Join::Not, vec![place(&inner)], || Plan::Not(Box::new(inner)))
            }
            Expr::And(members) => {
                let members = members.iter().map(|member| self.arrange(member)).collect();
                self.joined(Join::And, members)
            }
            Expr::Or(members) => self.any(members),
        }
    }

    /// One of these: names that are looked up for the same field are one group, other texts of the same field one list.
    fn any(&mut self, members: &[Expr]) -> Plan {
        let mut groups: BTreeMap<Option<Field>, Group> = BTreeMap::new();
        let mut lists: Vec<(Option<Field>, Vec<&Arc<Test>>)> = Vec::new();
        let mut plans = Vec::new();
        for member in members {
            let Expr::Test(test) = member else {
                plans.push(self.arrange(member));
                continue;
            };
            if let Some(witness) = witness::exact(test) {
                groups.entry(test.field).or_default().push(witness);
            } else if !is_text(test) {
                plans.push(self.arrange(member));
            } else if let Some((_, list)) = lists.iter_mut().find(|(field, _)| *field == test.field) {
                list.push(test);
            } else {
                lists.push((test.field, vec![test]));
            }
        }
        plans.extend(groups.into_values().map(|group| self.seen(group)));
        for (field, list) in lists {
            if list.len() >= AMONG_MIN {
                plans.push(self.list(field, &list));
            } else {
                plans.extend(list.into_iter().map(|test| self.arrange(&Expr::Test(Arc::clone(test)))));
            }
        }
        self.joined(Join::Or, plans)
    }

    /// What is known to be seen in every event that passes, if that was looked for.
    fn guard(&mut self, test: &Test) -> Option<Plan> {
        let clauses = witness::of_regex(test)?;
        let mut witnesses = clauses.iter().flatten().flatten();
        if !witnesses.all(|witness| self.looked_for.contains(witness)) {
            return None;
        }
        let clauses = clauses.into_iter().map(|clause| {
            let groups = clause.into_iter().map(|group| self.seen(group)).collect();
            self.joined(Join::And, groups)
        });
        let clauses = clauses.collect();
        Some(self.joined(Join::Or, clauses))
    }

    /// A group of which one is enough.
    fn seen(&mut self, mut group: Group) -> Plan {
        group.sort();
        group.dedup();
        let next = position(self.groups.len());
        Plan::Seen(*self.groups.entry(group).or_insert(next))
    }

    /// All or one of these, the cheap ones first.
    fn joined(&mut self, join: Join, mut members: Vec<Plan>) -> Plan {
        members.sort_by_key(cost);
        if members.len() == 1 {
            return members.remove(0);
        }
        let places = members.iter().map(place).collect();
        self.once(join, places, || match join {
            Join::And => Plan::And(members.into()),
            _ => Plan::Or(members.into()),
        })
    }

    /// One test for a list of texts.
    fn list(&mut self, field: Option<Field>, list: &[&Arc<Test>]) -> Plan {
        let places = list.iter().map(|test| Arc::as_ptr(test).addr()).collect();
        self.once(Join::List, places, || {
            let matchers = list.iter().filter_map(|test| match &test.check {
                Check::Text(matcher, _) => Some(matcher.clone()),
                _ => None,
            });
            let among = Among::new(matchers.collect());
            Plan::Test(Arc::new(Test { field, check: Check::Among(Box::new(among)) }))
        })
    }

    fn once(&mut self, join: Join, of: Vec<usize>, new: impl FnOnce() -> Plan) -> Plan {
        let next = position(self.shared.len());
        let (plan, number) = self.shared.entry((join, of)).or_insert_with(|| (Arc::new(new()), next));
        Plan::Once(Arc::clone(plan), *number)
    }
}

/// A test of a text that ASCII folding is enough for.
fn is_text(test: &Test) -> bool {
    matches!(test.check, Check::Text(_, Fold::Ascii))
}

/// What it costs to evaluate, in about ten nanoseconds; more for what hardly decides anything.
fn cost(plan: &Plan) -> u32 {
    match plan {
        Plan::Test(test) => cost_of_test(test),
        Plan::Seen(_) => 0,
        Plan::Once(plan, _) => cost(plan),
        Plan::Not(inner) => cost(inner).saturating_mul(NOT),
        Plan::And(members) | Plan::Or(members) => members.iter().map(cost).fold(0, u32::saturating_add),
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
