//! Values with wildcards, as Sigma writes them.
//!
//! `*` stands for any number of any characters, newlines among them, since command lines can hold those; `?` for one
//! character, which may have several bytes. A backslash before `*`, `?` or another backslash takes their meaning
//! away; before anything else it is itself (Sigma rules specification 2.1, "Escape Character").
//!
//! Matching ignores case unless asked not to: pattern and value are folded before, ASCII letters by this module's
//! callers, values with other letters only where the pattern has such letters too.

use memchr::memmem::Finder;

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// These bytes.
    Literal(Vec<u8>),
    /// `?`
    One,
    /// `*`
    Many,
}

/// A value as the pieces that it is made of. Neighbouring literals are one piece, and so are neighbouring `*`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pattern(pub Vec<Piece>);

impl Pattern {
    /// Reads wildcards and backslashes.
    pub fn parse(text: &str) -> Pattern {
        let mut pattern = Pattern::default();
        let mut rest = text.as_bytes().iter().copied().peekable();
        while let Some(byte) = rest.next() {
            match byte {
                b'\\' => {
                    let escaped = rest.next_if(|next| matches!(next, b'\\' | b'*' | b'?'));
                    pattern.push_byte(escaped.unwrap_or(b'\\'));
                }
                b'*' => pattern.push(Piece::Many),
                b'?' => pattern.push(Piece::One),
                _ => pattern.push_byte(byte),
            }
        }
        pattern
    }

    /// A value that stands for itself.
    pub fn literal(bytes: &[u8]) -> Pattern {
        Pattern(if bytes.is_empty() { Vec::new() } else { vec![Piece::Literal(bytes.to_vec())] })
    }

    fn push_byte(&mut self, byte: u8) {
        match self.0.last_mut() {
            Some(Piece::Literal(bytes)) => bytes.push(byte),
            _ => self.0.push(Piece::Literal(vec![byte])),
        }
    }

    fn push(&mut self, piece: Piece) {
        if piece != Piece::Many || self.0.last() != Some(&Piece::Many) {
            self.0.push(piece);
        }
    }

    /// The bytes, if there is no wildcard.
    pub fn plain(&self) -> Option<&[u8]> {
        match self.0.as_slice() {
            [] => Some(b""),
            [Piece::Literal(bytes)] => Some(bytes),
            _ => None,
        }
    }

    /// With anything before it, as for `endswith`.
    pub fn open_left(mut self) -> Pattern {
        if self.0.first() != Some(&Piece::Many) {
            self.0.insert(0, Piece::Many);
        }
        self
    }

    /// With anything after it, as for `startswith`.
    pub fn open_right(mut self) -> Pattern {
        self.push(Piece::Many);
        self
    }

    /// With every literal changed.
    pub fn map(&self, change: impl Fn(&[u8]) -> Vec<u8>) -> Pattern {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Literal(bytes) => Piece::Literal(change(bytes)),
            other => other.clone(),
        });
        Pattern(pieces.collect())
    }

    /// A byte outside of ASCII is in it.
    pub fn has_other_letters(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Literal(bytes) if !bytes.is_ascii()))
    }
}

/// A pattern made ready to be looked for.
#[derive(Debug, Clone)]
pub enum Matcher {
    /// Nothing else than this.
    Equals(Box<[u8]>),
    /// This, then anything.
    Prefix(Box<[u8]>),
    /// Anything, then this.
    Suffix(Box<[u8]>),
    /// This, anywhere.
    Contains(Box<Finder<'static>>),
    /// Whatever.
    Any,
    /// The general case.
    Pieces(Box<Pattern>),
}

impl Matcher {
    /// Makes a pattern ready.
    pub fn new(pattern: &Pattern) -> Matcher {
        match pattern.0.as_slice() {
            [] => Matcher::Equals(Box::default()),
            [Piece::Literal(l)] => Matcher::Equals(l.as_slice().into()),
            [Piece::Many] => Matcher::Any,
            [Piece::Literal(l), Piece::Many] => Matcher::Prefix(l.as_slice().into()),
            [Piece::Many, Piece::Literal(l)] => Matcher::Suffix(l.as_slice().into()),
            [Piece::Many, Piece::Literal(l), Piece::Many] => {
                Matcher::Contains(Box::new(Finder::new(l.as_slice()).into_owned()))
            }
            _ => Matcher::Pieces(Box::new(pattern.clone())),
        }
    }

    /// The value matches.
    pub fn is_match(&self, value: &[u8]) -> bool {
        match self {
            Matcher::Equals(literal) => value == &**literal,
            Matcher::Prefix(literal) => value.starts_with(literal),
            Matcher::Suffix(literal) => value.ends_with(literal),
            Matcher::Contains(finder) => finder.find(value).is_some(),
            Matcher::Any => true,
            Matcher::Pieces(pattern) => pieces_match(&pattern.0, value),
        }
    }

    /// The longest run of bytes that every match has in it.
    pub fn longest_literal(&self) -> &[u8] {
        match self {
            Matcher::Equals(l) | Matcher::Prefix(l) | Matcher::Suffix(l) => l,
            Matcher::Contains(finder) => finder.needle(),
            Matcher::Any => b"",
            Matcher::Pieces(pattern) => {
                let literals = pattern.0.iter().map(|piece| match piece {
                    Piece::Literal(bytes) => bytes.as_slice(),
                    _ => b"",
                });
                literals.max_by_key(|l| l.len()).unwrap_or(b"")
            }
        }
    }
}

/// Whether the pieces cover the value from end to end.
///
/// The well-known greedy walk: of all `*` only the last one seen must ever be tried again, so the cost is bounded by
/// the product of both lengths.
fn pieces_match(pieces: &[Piece], value: &[u8]) -> bool {
    let (mut piece, mut at) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let advanced = match pieces.get(piece) {
            None if at == value.len() => return true,
            None => None,
            Some(Piece::Many) => {
                if piece + 1 == pieces.len() {
                    return true;
                }
                retry = Some((piece, at));
                Some(at)
            }
            Some(Piece::One) => value.get(at).map(|_| next_character(value, at)),
            Some(Piece::Literal(bytes)) => {
                value.get(at..).is_some_and(|rest| rest.starts_with(bytes)).then(|| at + bytes.len())
            }
        };
        match (advanced, retry) {
            (Some(next), _) => {
                piece += 1;
                at = next;
            }
            (None, Some((star, from))) if from < value.len() => {
                // From the next place where what follows the star can begin.
                let from = match pieces.get(star + 1) {
                    Some(Piece::Literal(bytes)) => {
                        match value.get(from + 1..).and_then(|rest| memchr::memmem::find(rest, bytes)) {
                            Some(skip) => from + 1 + skip,
                            None => return false,
                        }
                    }
                    _ => next_character(value, from),
                };
                retry = Some((star, from));
                piece = star + 1;
                at = from;
            }
            _ => return false,
        }
    }
}

/// Where the character after the one at `at` begins. A byte that is no part of UTF-8 counts as one.
fn next_character(value: &[u8], at: usize) -> usize {
    let continues = |byte: &&u8| **byte & 0xc0 == 0x80;
    let length = match value.get(at).copied().unwrap_or(0) {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    let tail = value.get(at + 1..at + length).unwrap_or(&[]);
    if tail.iter().filter(continues).count() == length - 1 { at + length } else { at + 1 }
}
