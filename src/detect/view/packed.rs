//! Events side by side in memory, for whoever measures how they are judged: fetching one must not be what is measured, as
//! the agent judges an event that it has just decoded.

use super::flat::Flat;
use crate::detect::sigma::fields::{Field, Names};
use crate::detect::sigma::row::{Row, Slot};

/// Events with the values of the fields that some rule looks at.
#[derive(Debug, Default)]
pub struct Packed {
    bytes: Vec<u8>,
    /// Field, and where its values end in `ends`.
    fields: Vec<(Field, usize)>,
    /// Where each value ends in `bytes`.
    ends: Vec<usize>,
    /// Where the fields of each event end.
    events: Vec<usize>,
}

impl Packed {
    /// Packs events.
    pub fn new(events: &[Flat], names: &Names) -> Packed {
        let mut packed = Packed::default();
        for event in events {
            for (field, values) in event.values(names) {
                for value in values {
                    packed.bytes.extend_from_slice(value);
                    packed.ends.push(packed.bytes.len());
                }
                packed.fields.push((field, packed.ends.len()));
            }
            packed.events.push(packed.fields.len());
        }
        packed
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Calls back with each as a row.
    pub fn rows(&self, mut each: impl FnMut(&Row<'_>)) {
        let (mut field_at, mut value_at, mut byte_at) = (0, 0, 0);
        let mut values: Vec<&[u8]> = Vec::new();
        for end in &self.events {
            let fields = self.fields.get(field_at..*end).unwrap_or_default();
            values.clear();
            let to = fields.last().map_or(value_at, |(_, to)| *to);
            for end in self.ends.get(value_at..to).unwrap_or_default() {
                values.push(self.bytes.get(byte_at..*end).unwrap_or_default());
                byte_at = *end;
            }
            let mut row = Row::default();
            let mut from = 0;
            for (field, to) in fields {
                let to = to - value_at;
                row.set(*field, Slot::any(values.get(from..to).unwrap_or_default()));
                from = to;
            }
            each(&row);
            (field_at, value_at) = (*end, to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_those_of_the_events() {
        let texts = [
            r#"{"Image": ["/usr/bin/a", "/bin/a"], "CommandLine": "a b", "Unknown": "x"}"#,
            r#"{}"#,
            r#"{"CommandLine": "", "User": "root", "Image": "/usr/bin/c"}"#,
        ];
        let events: Vec<Flat> = texts.map(|text| Flat::of_json(&serde_json::from_str(text).unwrap())).into();
        let names = Names::default();
        let packed = Packed::new(&events, &names);
        let mut rows = Vec::new();
        packed.rows(|row| {
            let of = |field| row.get(field).values().map(<[u8]>::to_vec).collect::<Vec<_>>();
            rows.push([Field::IMAGE, Field::COMMAND_LINE, Field::USER].map(of));
        });
        let list = |values: &[&str]| values.iter().map(|value| value.as_bytes().to_vec()).collect::<Vec<_>>();
        let expected = [
            [list(&["/usr/bin/a", "/bin/a"]), list(&["a b"]), list(&[])],
            [list(&[]), list(&[]), list(&[])],
            [list(&["/usr/bin/c"]), list(&[""]), list(&["root"])],
        ];
        assert_eq!(rows, expected);
        assert_eq!(packed.len(), 3);
    }
}
