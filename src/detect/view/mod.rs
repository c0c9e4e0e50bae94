//! Views: an event as the rows that rules judge.
//!
//! Whom an event is about comes from the process table's [`Context`], typed and at once ([`actor`]); so does everything of
//! execs, exits, files ([`file`]) and the network ([`network`]) that the table of [`fields`](super::sigma::fields) names.
//! What else a kind tells, such as any field of ECS that a rule may name, is taken from the line that was rendered of it
//! anyway ([`line`]), and only if a rule of its category asks for it and may match ([`Reading`]). Several kinds are seen by
//! the auditd view too ([`audit`]).
//!
//! Values are the kernel's where the event has the kernel's. What the sensors could not see is absent here.

mod actor;
pub mod audit;
mod file;
pub mod flat;
pub mod line;
mod network;
pub mod packed;
#[cfg(test)]
mod tests;
mod texts;

use super::load::Rules;
use super::sigma::fields::Field;
use super::sigma::index::Required;
use super::sigma::logsource::Category;
use super::sigma::row::{Row, Slot};
use super::sigma::scratch::Scratch;
use super::sigma::set::{Set, Wanted};
use crate::event::ecs::{self, Context};
use crate::event::{Body, Event, Kind};
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

/// How the row of an event comes about.
#[derive(Debug)]
pub enum Reading {
    /// From the event alone, which has all that rules ask for.
    Typed,
    /// From its line too, but only if a rule may match by what the event has.
    Late(Required),
    /// From its line too.
    Line,
}

impl Reading {
    /// What events of a kind need for the rules of a category.
    pub fn of(kind: Kind, category: Category, set: &Set) -> Reading {
        let mut wanted = set.wanted(category).into_iter().flat_map(Wanted::fields);
        if wanted.all(|field| provides(kind, field)) {
            return Reading::Typed;
        }
        let required = set.index_of(category).and_then(|index| index.required(|field| provides(kind, field)));
        required.map_or(Reading::Line, Reading::Late)
    }
}

/// The field is known of events of this kind without the line.
fn provides(kind: Kind, field: Field) -> bool {
    let of_kind: &[&[Field]] = match kind {
        Kind::Exec => &[&actor::PROVIDED_OF_EXEC],
        Kind::Exit => &[&actor::PROVIDED_OF_EXIT],
        Kind::FileOpen
        | Kind::FileRead
        | Kind::FileRename
        | Kind::FileDelete
        | Kind::FileLink
        | Kind::FileMkdir
        | Kind::FileMode
        | Kind::FileOwner
        | Kind::FileXattr
        | Kind::FileTruncate
        | Kind::FileTimes
        | Kind::Mount => &[&file::PROVIDED],
        Kind::NetDns => &[&network::PROVIDED, &network::PROVIDED_OF_DNS],
        Kind::NetConnect | Kind::NetAccept | Kind::NetBind | Kind::NetListen | Kind::NetSocket => {
            &[&network::PROVIDED]
        }
        _ => &[],
    };
    actor::PROVIDED.contains(&field) || of_kind.iter().any(|fields| fields.contains(&field))
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
        let views = rules.views.get(input.event.kind().index());
        for (category, reading) in views.into_iter().flatten() {
            let Some(wanted) = rules.set.wanted(*category) else { continue };
            if *category == Category::Auditd {
                audit::rows(input, &mut self.texts, &mut judge);
            } else {
                self.row(input, *category, wanted, reading, &rules.set, &mut judge);
            }
        }
    }

    fn row(
        &mut self,
        input: &Input<'_>,
        category: Category,
        wanted: &Wanted,
        reading: &Reading,
        set: &Set,
        judge: &mut impl FnMut(Category, &Row<'_>, bool),
    ) {
        let texts = &mut self.texts;
        texts.clear();
        actor::write(input, wanted, texts);
        match &input.event.body {
            Body::ExecFailed(failed) => actor::write_failed(failed, texts),
            Body::Exit(exit) => actor::write_exit(exit, texts),
            Body::File(file) => file::write(file, category, wanted, texts),
            Body::Network(network) => network::write(network, input.context, wanted, texts),
            _ => {}
        }
        let lists = actor::Lists::of(input, wanted);
        let mut row = Row::default();
        lists.fill(&mut row);
        texts.fill(&mut row);
        let failed = input.event.errno().is_some();
        match reading {
            Reading::Typed => return judge(category, &row, failed),
            // Reading a line costs more than judging it, and most events have nothing to do with any rule.
            Reading::Late(required) if !set.may_match(category, required, &row, &mut self.early) => return,
            Reading::Late(_) | Reading::Line => {}
        }
        // Only lines that this agent rendered come here, so that they are JSON is certain; if it were not, the row
        // would lack what only they tell.
        let value = serde_json::from_slice(input.line).unwrap_or(serde_json::Value::Null);
        let kind = input.event.kind();
        let found =
            line::Line::new(&value, category).values(wanted, &set.names, |field| provides(kind, field));
        let slices = found.slices();
        for (field, range) in &found.slots {
            row.set(*field, Slot::any(slices.get(range.clone()).unwrap_or_default()));
        }
        judge(category, &row, failed);
    }
}
