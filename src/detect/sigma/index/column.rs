//! What is looked up in the values of one field.

use super::hashed::Hashed;
use super::{ByText, Number};
use crate::detect::sigma::fields::Field;
use crate::detect::sigma::scanner::Scanner;
use crate::detect::sigma::witness::{Kind, Witness};

/// Groups by the first or last byte of a value.
type Ends = [Vec<Number>; 256];

/// Witnesses of a field with their groups.
#[derive(Debug)]
pub(super) struct Column {
    /// The field.
    pub field: Field,
    base_names: Option<Hashed>,
    wholes: Option<Hashed>,
    first: Option<Box<Ends>>,
    last: Option<Box<Ends>>,
    within: Option<Scanner>,
}

/// Witnesses of a field, or of all, while they are collected.
#[derive(Debug, Default)]
pub(super) struct Collected<'a> {
    base_names: ByText<'a>,
    wholes: ByText<'a>,
    first: ByText<'a>,
    last: ByText<'a>,
    literals: ByText<'a>,
    words: ByText<'a>,
}

impl<'a> Collected<'a> {
    /// Adds a witness of a group.
    pub(super) fn add(&mut self, witness: &'a Witness, group: Number) {
        let of = match witness.kind {
            Kind::BaseName => &mut self.base_names,
            Kind::Whole => &mut self.wholes,
            Kind::First => &mut self.first,
            Kind::Last => &mut self.last,
            Kind::Within => &mut self.literals,
            Kind::Word => &mut self.words,
        };
        of.entry(&witness.bytes).or_default().push(group);
    }

    /// Something is looked for within values.
    pub(super) fn is_scanned(&self) -> bool {
        !self.literals.is_empty() || !self.words.is_empty()
    }

    /// Adds what is looked for within values of another.
    pub(super) fn scan_for(&mut self, other: &Collected<'a>) {
        let both = [(&mut self.literals, &other.literals), (&mut self.words, &other.words)];
        for (to, from) in both {
            for (text, of) in from {
                to.entry(text).or_default().extend_from_slice(of);
            }
        }
    }

    /// The scan for it.
    pub(super) fn scanner(&self) -> Option<Scanner> {
        self.is_scanned().then(|| Scanner::new(&self.literals, &self.words))
    }
}

fn hashed(texts: &ByText<'_>) -> Option<Hashed> {
    (!texts.is_empty()).then(|| Hashed::new(texts))
}

fn ends(texts: &ByText<'_>) -> Option<Box<Ends>> {
    if texts.is_empty() {
        return None;
    }
    let mut ends = Box::new([const { Vec::new() }; 256]);
    for (byte, of) in texts {
        let byte = byte.first().copied().unwrap_or_default();
        if let Some(end) = ends.get_mut(usize::from(byte)) {
            end.extend_from_slice(of);
        }
    }
    Some(ends)
}

impl Column {
    pub(super) fn new(field: Field, of: &Collected<'_>) -> Self {
        Column {
            field,
            base_names: hashed(&of.base_names),
            wholes: hashed(&of.wholes),
            first: ends(&of.first),
            last: ends(&of.last),
            within: of.scanner(),
        }
    }

    /// Adds the groups with a witness in the value, which is in lower case; some more than once.
    pub(super) fn look(&self, value: &[u8], found: &mut Vec<Number>) {
        if let Some(names) = &self.base_names
            && let Some(name) = memchr::memrchr(b'/', value).and_then(|at| value.get(at + 1..))
        {
            found.extend_from_slice(names.get(name));
        }
        if let Some(wholes) = &self.wholes {
            found.extend_from_slice(wholes.get(value));
        }
        for (ends, byte) in [(&self.first, value.first()), (&self.last, value.last())] {
            if let (Some(ends), Some(byte)) = (ends, byte) {
                found.extend_from_slice(ends.get(usize::from(*byte)).map_or(&[], Vec::as_slice));
            }
        }
        if let Some(scanner) = &self.within {
            scanner.scan(value, found);
        }
    }
}
