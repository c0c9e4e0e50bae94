//! YAML as a tree of nodes that know their lines.
//!
//! The crate `saphyr-parser` turns text into events with positions; this module makes a tree of them, because an error
//! in a rule must name its line, which readers into structs do not keep. Anchors and aliases are refused: Sigma has no
//! use for them, and they let a small file expand into a huge one. Depth and size are limited for the same reason.

use std::collections::HashSet;
use std::fmt;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// Mappings and lists within one another; the deepest public rule has six.
const DEPTH_MAX: usize = 32;

/// Why a text is no tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Error {
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// From 1.
    pub line: usize,
    /// The value.
    pub value: Value,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `null`, `~` or nothing, unquoted.
    Null,
    /// Any other scalar as it is written, and whether it was quoted or a block.
    Text(String, bool),
    /// A list.
    List(Vec<Node>),
    /// A mapping in the order of the file, each key with its line.
    Map(Vec<(String, usize, Node)>),
}

impl Node {
    /// The value of a key, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.map()?.iter().find(|(name, ..)| name == key).map(|(.., node)| node)
    }

    /// The entries, if this is a mapping.
    pub fn map(&self) -> Option<&[(String, usize, Node)]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The text, if this is a scalar other than null.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text, _) => Some(text),
            _ => None,
        }
    }

    /// The members of a list; a single other value is a list of one, and null an empty one.
    pub fn members(&self) -> &[Node] {
        match &self.value {
            Value::List(members) => members,
            Value::Null => &[],
            _ => std::slice::from_ref(self),
        }
    }

    /// What it is, for messages.
    pub fn describe(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Text(..) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().unwrap_or_else(|| self.describe()))
    }
}

/// What is being filled.
enum Open {
    List(Node),
    /// With the key whose value comes next, and all keys so far.
    Map(Node, Option<(String, usize)>, HashSet<String>),
}

/// The documents of a text.
pub fn documents(text: &str) -> Result<Vec<Node>, Error> {
    let mut documents = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut parser = Parser::new_from_str(text);
    while let Some(next) = parser.next_event() {
        let (event, span) = next
            .map_err(|e| Error { line: e.marker().line(), what: format!("no valid YAML: {}", e.info()) })?;
        let line = span.start.line();
        let fail = |what: &str| Err(Error { line, what: what.to_owned() });
        let done = match event {
            Event::Alias(_) => return fail("aliases are not taken; write the value where it belongs"),
            Event::Scalar(.., anchor, _)
            | Event::SequenceStart(anchor, _)
            | Event::MappingStart(anchor, _)
                if anchor != 0 =>
            {
                return fail("anchors are not taken; write the value where it belongs");
            }
            Event::Scalar(text, style, ..) => {
                let plain = style == ScalarStyle::Plain;
                let value = match &*text {
                    "" | "~" | "null" | "Null" | "NULL" if plain => Value::Null,
                    text => Value::Text(text.to_owned(), !plain),
                };
                Some(Node { line, value })
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() == DEPTH_MAX => {
                return fail("nested too deeply");
            }
            Event::SequenceStart(..) => {
                open.push(Open::List(Node { line, value: Value::List(Vec::new()) }));
                None
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(Node { line, value: Value::Map(Vec::new()) }, None, HashSet::new()));
                None
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(|open| match open {
                Open::List(node) | Open::Map(node, ..) => node,
            }),
            _ => None,
        };
        let Some(node) = done else { continue };
        match open.last_mut() {
            None => documents.push(node),
            Some(Open::List(list)) => {
                if let Value::List(members) = &mut list.value {
                    members.push(node);
                }
            }
            Some(Open::Map(map, key, keys)) => match key.take() {
                None => *key = Some(new_key(map, keys, node)?),
                Some((name, line)) => {
                    if let Value::Map(entries) = &mut map.value {
                        entries.push((name, line, node));
                    }
                }
            },
        }
    }
    Ok(documents)
}

/// The node as a key that the mapping doesn't have yet.
fn new_key(map: &Node, keys: &mut HashSet<String>, node: Node) -> Result<(String, usize), Error> {
    let line = node.line;
    let name = match node.value {
        Value::Text(text, _) => text,
        Value::Null => String::new(),
        _ => return Err(Error { line, what: "a key must be a single value".to_owned() }),
    };
    if keys.insert(name.clone()) {
        return Ok((name, line));
    }
    let earlier = map.map().and_then(|entries| entries.iter().find(|(other, ..)| *other == name));
    let first = earlier.map_or(line, |(_, first, _)| *first);
    Err(Error { line, what: format!("the key '{name}' is here twice; first in line {first}") })
}
