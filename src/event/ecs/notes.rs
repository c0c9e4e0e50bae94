//! What must be said about a line's own fields: which were cut, and which were not UTF-8.

use crate::event::json::{Key, Object, key};

/// More fields than any line has that can be cut or be hostile.
const MOST: usize = 24;

/// Names of fields, each once, in the order they were noted.
#[derive(Debug, Default)]
struct Fields {
    names: [&'static str; MOST],
    count: usize,
}

impl Fields {
    fn add(&mut self, name: &'static str) {
        let known = self.names.get(..self.count).is_some_and(|n| n.contains(&name));
        if let (false, Some(slot)) = (known, self.names.get_mut(self.count)) {
            *slot = name;
            self.count += 1;
        }
    }

    fn write(&self, o: &mut Object<'_>, key: Key) {
        if self.count > 0 {
            o.texts(key, self.names.iter().take(self.count).map(|n| n.as_bytes()));
        }
    }
}

/// Remarks on the line that is being written.
#[derive(Debug, Default)]
pub(super) struct Notes {
    cut: Fields,
    invalid_utf8: Fields,
}

impl Notes {
    /// Writes a string of unknown bytes and remembers if it was not UTF-8. `field` is the full ECS name.
    pub(super) fn text(&mut self, o: &mut Object<'_>, field: &'static str, key: Key, value: &[u8]) {
        let valid = o.text(key, value);
        self.valid(field, valid);
    }

    /// Remembers a field that was not UTF-8.
    pub(super) fn valid(&mut self, field: &'static str, valid: bool) {
        if !valid {
            self.invalid_utf8.add(field);
        }
    }

    /// Remembers a field of which a part is missing.
    pub(super) fn cut(&mut self, field: &'static str, is_cut: bool) {
        if is_cut {
            self.cut.add(field);
        }
    }

    /// A field was cut.
    pub(super) fn any_cut(&self) -> bool {
        self.cut.count > 0
    }

    /// Writes `truncated` and `invalid_utf8`, each only if it says something.
    pub(super) fn write(&self, o: &mut Object<'_>) {
        self.cut.write(o, key!("truncated"));
        self.invalid_utf8.write(o, key!("invalid_utf8"));
    }
}
