//! An event as rules see it: values by field.
//!
//! Fields are small numbers, given when rules are compiled (see [`fields`](super::fields)). Values are bytes, borrowed:
//! command lines need not be UTF-8. A field may have several values, any of which may match, as `Image` has the
//! resolved and the invoked path. A field that is absent is null in the sense of Sigma.

use super::fields::{Field, KNOWN};

/// The values of a field.
#[derive(Debug, Clone, Copy, Default)]
pub struct Slot<'a> {
    first: Option<&'a [u8]>,
    more: &'a [&'a [u8]],
}

impl<'a> Slot<'a> {
    /// A single value.
    pub fn one(value: &'a [u8]) -> Self {
        Slot { first: Some(value), more: &[] }
    }

    /// A first value and others.
    pub fn with(value: &'a [u8], more: &'a [&'a [u8]]) -> Self {
        Slot { first: Some(value), more }
    }

    /// Any of these; absent if there are none.
    pub fn any(values: &'a [&'a [u8]]) -> Self {
        match values.split_first() {
            Some((first, more)) => Slot { first: Some(first), more },
            None => Slot::default(),
        }
    }

    /// There is a value, if only an empty one.
    pub fn is_present(&self) -> bool {
        self.first.is_some()
    }

    /// The values.
    pub fn values(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.first.into_iter().chain(self.more.iter().copied())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        if self.first.is_some() { 1 + self.more.len() } else { 0 }
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

/// A set of fields.
#[derive(Debug, Clone, Default)]
pub struct Fields(Vec<bool>);

impl Fields {
    /// Adds a field.
    pub fn add(&mut self, field: Field) {
        if self.0.len() <= field.index() {
            self.0.resize(field.index() + 1, false);
        }
        if let Some(is_in) = self.0.get_mut(field.index()) {
            *is_in = true;
        }
    }

    fn has(&self, field: Field) -> bool {
        self.0.get(field.index()).copied().unwrap_or(false)
    }
}

/// The values of an event.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    known: [Slot<'a>; KNOWN],
    /// Fields that only some rule or test names, and those that nothing but a keyword looks at.
    others: Vec<(Option<Field>, Slot<'a>)>,
}

impl Default for Row<'_> {
    fn default() -> Self {
        Row { known: [Slot::default(); KNOWN], others: Vec::new() }
    }
}

impl<'a> Row<'a> {
    /// Gives a field its values. An absent slot leaves it absent.
    pub fn set(&mut self, field: Field, slot: Slot<'a>) {
        match self.known.get_mut(field.index()) {
            Some(known) => *known = slot,
            None => self.others.push((Some(field), slot)),
        }
    }

    /// Adds a value that no rule has a field for; keywords find it.
    pub fn add_unnamed(&mut self, slot: Slot<'a>) {
        self.others.push((None, slot));
    }

    /// The values of a field.
    pub fn get(&self, field: Field) -> Slot<'a> {
        match self.known.get(field.index()) {
            Some(known) => *known,
            None => {
                let found = self.others.iter().find(|(other, _)| *other == Some(field));
                found.map(|(_, slot)| *slot).unwrap_or_default()
            }
        }
    }

    /// Every field with values, and values that no rule has a field for.
    pub(super) fn slots(&self) -> impl Iterator<Item = (Option<Field>, &Slot<'a>)> {
        let known = (0..).zip(&self.known).map(|(at, slot)| (Some(Field(at)), slot));
        let others = self.others.iter().map(|(field, slot)| (*field, slot));
        known.chain(others).filter(|(_, slot)| slot.is_present())
    }

    /// Every value of the fields that are none of these.
    pub(super) fn values_but(&self, fields: &Fields) -> impl Iterator<Item = &'a [u8]> {
        let is_other = |field: Option<Field>| field.is_none_or(|field| !fields.has(field));
        self.slots().filter(move |(field, _)| is_other(*field)).flat_map(|(_, slot)| slot.values())
    }

    /// Every value of every field, for keywords.
    pub fn values(&self) -> impl Iterator<Item = &'a [u8]> {
        let others = self.others.iter().map(|(_, slot)| slot);
        self.known.iter().chain(others).flat_map(Slot::values)
    }
}
