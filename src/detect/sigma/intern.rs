//! Keeping equal tests of different rules once.
//!
//! Public rules come in families that share regular expressions and lists. Of equal tests one is kept, which saves memory,
//! and which lets an event be asked once for all of them (see [`arrange`](super::arrange)). Tests that take little of either
//! stay as they are.

use std::collections::HashMap;
use std::sync::Arc;

use super::pattern::{Matcher, Piece};
use super::test::{Check, Expr, Test};

/// Tests by what they ask.
#[derive(Debug, Default)]
pub struct Interned(HashMap<Box<[u8]>, Arc<Test>>);

impl Interned {
    /// Replaces tests that there are already.
    pub fn share(&mut self, expr: &mut Expr) {
        expr.tests_mut(&mut |test| {
            if let Some(key) = key(test) {
                *test = Arc::clone(self.0.entry(key).or_insert_with(|| Arc::clone(test)));
            }
        });
    }
}

/// What a test asks, as bytes that can be read in one way only.
fn key(test: &Test) -> Option<Box<[u8]>> {
    let mut key = Vec::new();
    key.extend(test.field.map_or(u16::MAX, |field| field.0).to_ne_bytes());
    match &test.check {
        Check::Regex(regex) => {
            key.push(b'r');
            key.extend(regex.as_str().as_bytes());
        }
        Check::Text(matcher, fold) => {
            key.push(b't');
            key.push(*fold as u8);
            match matcher {
                Matcher::Equals(text) => write(&mut key, b'=', text),
                Matcher::Prefix(text) => write(&mut key, b'<', text),
                Matcher::Suffix(text) => write(&mut key, b'>', text),
                Matcher::Contains(finder) => write(&mut key, b'*', finder.needle()),
                Matcher::Any => key.push(b'.'),
                Matcher::Pieces(pattern) => {
                    for piece in &pattern.0 {
                        match piece {
                            Piece::Literal(text) => write(&mut key, b'l', text),
                            Piece::One => key.push(b'1'),
                            Piece::Many => key.push(b'm'),
                        }
                    }
                }
            }
        }
        _ => return None,
    }
    Some(key.into())
}

fn write(key: &mut Vec<u8>, kind: u8, text: &[u8]) {
    key.push(kind);
    key.extend(text.len().to_ne_bytes());
    key.extend(text);
}
