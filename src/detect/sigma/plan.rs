//! A rule as it is evaluated: its expression, [arranged](super::arrange) so that it costs little.

use std::sync::Arc;

use super::index::Number;
use super::row::Row;
use super::scratch::Scratch;
use super::test::Test;

/// An expression, arranged. It holds exactly where the rule's does, of an event whose candidates were just looked for.
#[derive(Debug, Clone)]
pub enum Plan {
    /// A test.
    Test(Arc<Test>),
    /// One of a group's witnesses was seen when candidates were looked for.
    Seen(Number),
    /// What is asked once for an event, under this number, however many rules have it.
    Once(Arc<Plan>, u32),
    /// All of these; true if there are none.
    And(Box<[Plan]>),
    /// One of these; false if there are none.
    Or(Box<[Plan]>),
    /// The opposite.
    Not(Box<Plan>),
}

impl Plan {
    /// The event is as this says.
    #[inline]
    pub fn holds(&self, row: &Row<'_>, scratch: &mut Scratch) -> bool {
        match self {
            Plan::Seen(group) => scratch.was_seen(*group),
            Plan::Test(test) => test.holds(row, scratch),
            joined => joined.joined_holds(row, scratch),
        }
    }

    /// The same, where it is joined of others: most members are simple, and need not go through here.
    fn joined_holds(&self, row: &Row<'_>, scratch: &mut Scratch) -> bool {
        match self {
            Plan::Seen(group) => scratch.was_seen(*group),
            Plan::Test(test) => test.holds(row, scratch),
            Plan::Once(plan, number) => match scratch.remembered(*number) {
                Some(verdict) => verdict,
                None => {
                    let verdict = plan.holds(row, scratch);
                    scratch.remember(*number, verdict);
                    verdict
                }
            },
            Plan::And(members) => members.iter().all(|member| member.holds(row, scratch)),
            Plan::Or(members) => members.iter().any(|member| member.holds(row, scratch)),
            Plan::Not(inner) => !inner.holds(row, scratch),
        }
    }
}
