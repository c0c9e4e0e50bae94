//! Values that an event has to be asked for: joined arguments, numbers, names of users.

use std::io::Write as _;
use std::ops::Range;

use crate::detect::sigma::fields::Field;
use crate::detect::sigma::row::{Row, Slot};

/// Texts of an event by field, in one buffer that is kept.
#[derive(Debug, Default)]
pub struct Texts {
    bytes: Vec<u8>,
    fields: Vec<(Field, Range<usize>)>,
}

impl Texts {
    /// Forgets the last event.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.fields.clear();
    }

    /// Adds what the closure writes.
    pub fn add(&mut self, field: Field, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.fields.push((field, start..self.bytes.len()));
    }

    /// Adds a text.
    pub fn text(&mut self, field: Field, text: &[u8]) {
        self.add(field, |out| out.extend_from_slice(text));
    }

    /// Adds a number.
    pub fn number(&mut self, field: Field, number: u64) {
        // Writing to a Vec cannot fail.
        self.add(field, |out| drop(write!(out, "{number}")));
    }

    /// Adds NUL-separated arguments, joined by blanks: all of them and nothing, or the head and the tail of long ones.
    pub fn joined(&mut self, field: Field, parts: [&[u8]; 2]) {
        self.add(field, |out| {
            let start = out.len();
            for part in parts.into_iter().map(|part| part.strip_suffix(&[0]).unwrap_or(part)) {
                if !part.is_empty() && out.len() > start {
                    out.push(b' ');
                }
                out.extend_from_slice(part);
            }
            for byte in out.get_mut(start..).unwrap_or_default() {
                if *byte == 0 {
                    *byte = b' ';
                }
            }
        });
    }

    /// Gives the row its values.
    pub fn fill<'a>(&'a self, row: &mut Row<'a>) {
        for (field, range) in &self.fields {
            row.set(*field, Slot::one(self.bytes.get(range.clone()).unwrap_or_default()));
        }
    }
}
