//! Events that are written as fields and values, as in the cases of a rule and in files of events.

use serde_json::Value as Json;

use crate::detect::sigma::fields::{Field, Names};
use crate::detect::sigma::row::{Row, Slot};
use crate::detect::sigma::yaml::{Node, Value};

/// Fields with their values.
pub type Values<'a> = Vec<(Field, Vec<&'a [u8]>)>;

/// Values by the name of their field, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flat(Vec<(String, Vec<String>)>);

impl Flat {
    /// From a mapping of YAML. A list is several values of one field, null is none.
    pub fn of_yaml(node: &Node) -> Result<Flat, (usize, String)> {
        let Some(entries) = node.map() else {
            return Err((node.line, format!("expected fields and values, found {}", node.describe())));
        };
        let value = |node: &Node| match &node.value {
            Value::Text(text, _) => Ok(text.clone()),
            _ => Err((node.line, format!("expected a value, found {}", node.describe()))),
        };
        let entry = |(name, _, node): &(String, usize, Node)| {
            Ok((name.clone(), node.members().iter().map(value).collect::<Result<_, _>>()?))
        };
        entries.iter().map(entry).collect::<Result<_, _>>().map(Flat)
    }

    /// From an object of JSON; objects within it become names with dots.
    pub fn of_json(value: &Json) -> Flat {
        let mut flat = Flat::default();
        if let Json::Object(entries) = value {
            entries.iter().for_each(|(key, value)| flat.add_json(key, value));
        }
        flat
    }

    fn add_json(&mut self, name: &str, value: &Json) {
        let text = |value: &Json| match value {
            Json::String(text) => Some(text.clone()),
            Json::Number(number) => Some(number.to_string()),
            Json::Bool(set) => Some(set.to_string()),
            _ => None,
        };
        match value {
            Json::Object(entries) => {
                entries.iter().for_each(|(key, value)| self.add_json(&format!("{name}.{key}"), value))
            }
            Json::Array(members) => self.0.push((name.to_owned(), members.iter().filter_map(text).collect())),
            Json::Null => {}
            other => self.0.push((name.to_owned(), text(other).into_iter().collect())),
        }
    }

    /// Events like these, whose command lines end with a number: whoever measures how events are judged must not show the
    /// same command lines again and again.
    pub fn renewed(events: &[Flat], number: usize) -> Vec<Flat> {
        let renew = |event: &Flat| {
            let mut event = event.clone();
            let command_lines = event.0.iter_mut().filter(|(name, _)| name.ends_with("CommandLine"));
            command_lines.flat_map(|(_, values)| values).for_each(|value| *value += &format!(" {number}"));
            event
        };
        events.iter().map(renew).collect()
    }

    /// The values of a field, by its name.
    pub fn get(&self, name: &str) -> Option<&[String]> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, values)| values.as_slice())
    }

    /// The values of every field that some rule looks at.
    pub fn values(&self, names: &Names) -> Values<'_> {
        let named = self.0.iter().filter_map(|(name, values)| Some((names.find(name)?, values)));
        named.map(|(field, values)| (field, values.iter().map(|value| value.as_bytes()).collect())).collect()
    }

    /// Calls back with the event as a row.
    pub fn with_row<R>(&self, names: &Names, then: impl FnOnce(&Row<'_>) -> R) -> R {
        let fields: Vec<(Option<Field>, Vec<&[u8]>)> = self
            .0
            .iter()
            .map(|(name, values)| (names.find(name), values.iter().map(|value| value.as_bytes()).collect()))
            .collect();
        let mut row = Row::default();
        for (field, values) in &fields {
            match field {
                Some(field) => row.set(*field, Slot::any(values)),
                None => row.add_unnamed(Slot::any(values)),
            }
        }
        then(&row)
    }

    /// The operation failed, as far as the event says.
    pub fn has_failed(&self) -> bool {
        self.get("Outcome").is_some_and(|values| values.iter().any(|value| value == "failure"))
    }
}
