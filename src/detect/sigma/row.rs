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

/// Fields of the table whose values after the first are kept in the row itself.
const MANY_MAX: usize = 8;

/// The values of an event. Most fields are absent and hardly any has several values, so that a field takes no more than
/// its first value: a row is made for every event.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    known: [Option<&'a [u8]>; KNOWN],
    /// A bit for each of these that has more values.
    many: u128,
    more: [(u16, &'a [&'a [u8]]); MANY_MAX],
    more_count: usize,
    /// Fields that only some rule or test names, those that nothing but a keyword looks at, and what no room was for.
    others: Vec<(Option<Field>, Slot<'a>)>,
}

// A field of the table has a bit.
const _: () = assert!(KNOWN <= 128);

impl Default for Row<'_> {
    #[inline]
    fn default() -> Self {
        Row { known: [None; KNOWN], many: 0, more: [(0, &[]); MANY_MAX], more_count: 0, others: Vec::new() }
    }
}

impl<'a> Row<'a> {
    /// Gives a field its values. An absent slot leaves it absent.
    #[inline]
    pub fn set(&mut self, field: Field, slot: Slot<'a>) {
        let Some(known) = self.known.get_mut(field.index()) else {
            self.others.push((Some(field), slot));
            return;
        };
        *known = slot.first;
        self.many &= !(1 << field.index());
        if !slot.more.is_empty() {
            self.set_more(field, slot);
        }
    }

    fn set_more(&mut self, field: Field, slot: Slot<'a>) {
        self.many |= 1 << field.index();
        let set = self.more.iter_mut().take(self.more_count).find(|(other, _)| *other == field.0);
        if let Some((_, more)) = set {
            *more = slot.more;
        } else if let Some(room) = self.more.get_mut(self.more_count) {
            *room = (field.0, slot.more);
            self.more_count += 1;
        } else {
            self.others.retain(|(other, _)| *other != Some(field));
            self.others.push((Some(field), slot));
        }
    }

    /// Adds a value that no rule has a field for; keywords find it.
    pub fn add_unnamed(&mut self, slot: Slot<'a>) {
        self.others.push((None, slot));
    }

    /// The values of a field.
    #[inline]
    pub fn get(&self, field: Field) -> Slot<'a> {
        match self.known.get(field.index()) {
            Some(first) if self.many >> field.index() & 1 == 0 => Slot { first: *first, more: &[] },
            Some(first) => Slot { first: *first, more: self.more_of(field) },
            None => self.other(field),
        }
    }

    fn more_of(&self, field: Field) -> &'a [&'a [u8]] {
        let set = self.more.iter().take(self.more_count).find(|(other, _)| *other == field.0);
        set.map_or_else(|| self.other(field).more, |(_, more)| more)
    }

    fn other(&self, field: Field) -> Slot<'a> {
        let found = self.others.iter().find(|(other, _)| *other == Some(field));
        found.map(|(_, slot)| *slot).unwrap_or_default()
    }

    /// Every field with values, and values that no rule has a field for.
    pub(super) fn slots(&self) -> impl Iterator<Item = (Option<Field>, Slot<'a>)> {
        let known = (0..).zip(&self.known).filter(|(_, first)| first.is_some());
        let known = known.map(|(at, _)| (Some(Field(at)), self.get(Field(at))));
        let is_other = |field: Option<Field>| field.is_none_or(|field| field.index() >= KNOWN);
        let others = self.others.iter().copied().filter(move |(field, _)| is_other(*field));
        known.chain(others.filter(|(_, slot)| slot.is_present()))
    }

    /// Every value of the fields that are none of these.
    pub(super) fn values_but(&self, fields: &Fields) -> impl Iterator<Item = &'a [u8]> {
        let is_other = |field: Option<Field>| field.is_none_or(|field| !fields.has(field));
        self.slots().filter(move |(field, _)| is_other(*field)).flat_map(|(_, slot)| slot.values())
    }

    /// Every value of every field, for keywords.
    pub fn values(&self) -> impl Iterator<Item = &'a [u8]> {
        self.slots().flat_map(|(_, slot)| slot.values())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_with_many_values_keep_them_however_many_such_fields_there_are() {
        let more: Vec<Vec<&[u8]>> = (0..KNOWN).map(|_| vec![b"b".as_slice(), b"c"]).collect();
        let mut row = Row::default();
        for (at, more) in (0..).zip(&more) {
            row.set(Field(at), Slot::one(b"old"));
            row.set(Field(at), Slot::with(b"a", more));
            row.set(Field(at), Slot::with(b"x", more));
        }
        row.set(Field(3), Slot::one(b"one"));
        row.set(Field(60), Slot::default());
        row.add_unnamed(Slot::one(b"unnamed"));
        let of = |at: u16| row.get(Field(at)).values().collect::<Vec<_>>();
        for at in (0..).take(KNOWN) {
            match at {
                3 => assert_eq!(of(at), [b"one"]),
                60 => assert!(of(at).is_empty() && !row.get(Field(at)).is_present()),
                _ => assert_eq!(of(at), [b"x", b"b", b"c"], "field {at}"),
            }
        }
        assert_eq!(row.values().count(), 3 * (KNOWN - 2) + 1 + 1);
        assert_eq!(row.slots().count(), KNOWN);
    }
}
