//! Views: an event as the rows that rules judge.
//!
//! Whom an event is about comes from the process table's [`Context`], typed and at once ([`actor`]); so does everything of
//! an exec, the kind that most rules are about. What else a kind tells is taken from the line that was rendered of it
//! anyway ([`line`]), by the table of [`fields`](super::sigma::fields), and only if a rule of its category asks for it. So
//! a rule may also name any field of ECS. A process creation is seen by the auditd view too ([`audit`]).
//!
//! Values are the kernel's where the event has the kernel's. What the sensors could not see is absent here.

mod actor;
pub mod audit;
pub mod flat;
pub mod line;
mod texts;

use super::load::Rules;
use super::sigma::fields::Field;
use super::sigma::logsource::Category;
use super::sigma::row::{Row, Slot};
use super::sigma::scratch::Scratch;
use super::sigma::set::Wanted;
use crate::event::ecs::{self, Context};
use crate::event::{Body, Event};
use texts::Texts;

/// An event with all that is known of it.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The event.
    pub event: &'a Event<'a>,
    /// What the process table adds.
    pub context: &'a Context,
    /// Names of users.
    pub names: &'a dyn ecs::Names,
    /// Variables of the environment that are recorded.
    pub env_allow: &'a [String],
    /// Its line of ECS.
    pub line: &'a [u8],
}

impl std::fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("event", &self.event).finish_non_exhaustive()
    }
}

/// Every one of these fields is known of an exec without its line.
pub fn is_typed(fields: impl IntoIterator<Item = Field>) -> bool {
    fields.into_iter().all(|field| actor::provides(true, field))
}

/// The field is known of every event without its line.
pub fn is_known(field: Field) -> bool {
    actor::provides(false, field)
}

/// Makes rows of events, with memory that is kept between them.
#[derive(Debug, Default)]
pub struct View {
    texts: Texts,
    /// For the question whether the line must be read at all.
    early: Scratch,
}

impl View {
    /// Calls back with the row of each category that the event feeds and that the set has rules for, and whether the
    /// operation failed.
    pub fn rows(
        &mut self,
        input: &Input<'_>,
        rules: &Rules,
        mut judge: impl FnMut(Category, &Row<'_>, bool),
    ) {
        let (kind, set) = (input.event.kind(), &rules.set);
        for category in set.categories_of(kind) {
            let Some(wanted) = set.wanted(*category) else { continue };
            if *category == Category::Auditd {
                audit::rows(input, &mut self.texts, &mut judge);
            } else {
                self.row(input, *category, wanted, rules, &mut judge);
            }
        }
    }

    fn row(
        &mut self,
        input: &Input<'_>,
        category: Category,
        wanted: &Wanted,
        rules: &Rules,
        judge: &mut impl FnMut(Category, &Row<'_>, bool),
    ) {
        let is_exec = matches!(input.event.body, Body::Exec(_));
        let texts = &mut self.texts;
        texts.clear();
        actor::write(input, wanted, texts);
        actor::write_failed(input, texts);
        let lists = actor::Lists::of(input, wanted);
        if is_exec && rules.exec_is_typed {
            let mut row = Row::default();
            lists.fill(&mut row);
            texts.fill(&mut row);
            judge(category, &row, false);
            return;
        }
        // Reading a line costs more than judging it, and most events have nothing to do with any rule.
        if let Some(required) = rules.required.get(&category) {
            let mut row = Row::default();
            lists.fill(&mut row);
            texts.fill(&mut row);
            if !rules.set.may_match(category, required, &row, &mut self.early) {
                return;
            }
        }
        // Only lines that this agent rendered come here, so that they are JSON is certain; if it were not, the row
        // would lack what only they tell.
        let value = serde_json::from_slice(input.line).unwrap_or(serde_json::Value::Null);
        let found = line::Line::new(&value, category)
            .values(wanted, &rules.set.names, |field| actor::provides(is_exec, field));
        let slices = found.slices();
        let mut row = Row::default();
        lists.fill(&mut row);
        texts.fill(&mut row);
        for (field, range) in &found.slots {
            row.set(*field, Slot::any(slices.get(range.clone()).unwrap_or_default()));
        }
        let failed = value.pointer("/event/outcome").is_some_and(|outcome| outcome == "failure");
        judge(category, &row, failed);
    }
}
