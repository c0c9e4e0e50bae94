//! What every match of a regular expression must contain.
//!
//! The texts that its parts stand for are multiplied out as long as they are few. A short text of letters and digits
//! becomes a word where the expression leaves nothing else beside it: between `\b`, spaces, the ends of the value and the like.

use std::collections::BTreeSet;

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::{Costed, Kind, LITERAL_MIN, Witness};
use crate::detect::sigma::expression::parse;
use crate::detect::sigma::fields::Field;
use crate::detect::sigma::scanner::{WORD_LENGTHS, is_word};

/// Texts that alternatives within a regular expression are multiplied out to.
const RUNS_MAX: usize = 16;

/// What every match of a regular expression must have in it; none if there is nothing that can be looked for.
pub fn costed(text: &str, field: Option<Field>) -> Option<Costed> {
    required(&parse(text).ok()?, field, Beside::default())
}

/// The byte that every match of a regular expression begins with, at the beginning of the value.
pub fn first_byte(text: &str) -> Option<u8> {
    let hir = parse(text).ok()?;
    let HirKind::Concat(members) = hir.kind() else { return None };
    let [start, first, ..] = members.as_slice() else { return None };
    if !matches!(start.kind(), HirKind::Look(Look::Start)) {
        return None;
    }
    match exact(first).as_slice() {
        [text] => text.first().copied(),
        _ => None,
    }
}

/// Whether what is right before and right behind a part can be of no word.
#[derive(Debug, Clone, Copy, Default)]
struct Beside {
    left: bool,
    right: bool,
}

fn required(hir: &Hir, field: Option<Field>, beside: Beside) -> Option<Costed> {
    match hir.kind() {
        HirKind::Literal(literal) => text(vec![literal.0.to_ascii_lowercase()], field, beside),
        HirKind::Capture(capture) => required(&capture.sub, field, beside),
        // What is beside a repeated part may be the part itself.
        HirKind::Repetition(repetition) if repetition.min > 0 => {
            required(&repetition.sub, field, Beside::default())
        }
        HirKind::Alternation(members) => {
            Costed::any(members.iter().map(|member| required(member, field, beside)))
        }
        HirKind::Concat(members) => {
            let mut parts = Vec::new();
            let mut run = Run::default();
            for (at, member) in members.iter().enumerate() {
                let (before, behind) = (members.iter().take(at).rev(), members.iter().skip(at + 1));
                let beside = Beside {
                    left: all_end_word(before, beside.left, Side::Left),
                    right: all_end_word(behind, beside.right, Side::Right),
                };
                let pieces = exact(member);
                if !run.takes(&pieces) {
                    parts.extend(std::mem::take(&mut run).end(field));
                }
                if run.takes(&pieces) {
                    run.add(&pieces, beside);
                } else {
                    parts.extend(required(member, field, beside));
                }
            }
            parts.extend(run.end(field));
            Costed::all(parts)
        }
        _ => None,
    }
}

/// Texts, one of which is there, of neighbouring parts of an expression.
#[derive(Debug, Default)]
struct Run {
    texts: Vec<Vec<u8>>,
    beside: Beside,
}

impl Run {
    /// Whether a part that stands for these texts is of the run: they are few, and no word ends between them.
    fn takes(&self, pieces: &[Vec<u8>]) -> bool {
        let is_split = || {
            let [class, word] = if self.are_words() { [pieces, &self.texts] } else { [&self.texts, pieces] };
            class.len() > 1 && are_words(word) && class.iter().all(|text| !text.iter().any(|b| is_word(*b)))
        };
        !pieces.is_empty() && self.texts.len() * pieces.len() <= RUNS_MAX && !is_split()
    }

    fn are_words(&self) -> bool {
        !self.texts.is_empty() && are_words(&self.texts)
    }

    fn add(&mut self, pieces: &[Vec<u8>], beside: Beside) {
        if self.texts.is_empty() {
            (self.texts, self.beside) = (pieces.to_vec(), beside);
        } else {
            self.texts = multiplied(&self.texts, pieces);
            self.beside.right = beside.right;
        }
    }

    fn end(self, field: Option<Field>) -> Option<Costed> {
        if self.texts.is_empty() { None } else { text(self.texts, field, self.beside) }
    }
}

fn are_words(texts: &[Vec<u8>]) -> bool {
    texts.iter().all(|text| text.iter().all(|byte| is_word(*byte)))
}

/// One of these texts is in the field, as a word if nothing of a word is beside it.
fn text(texts: Vec<Vec<u8>>, field: Option<Field>, beside: Beside) -> Option<Costed> {
    let is_bounded = beside.left && beside.right && are_words(&texts);
    let witness = |bytes: Vec<u8>| {
        let is_word = is_bounded && WORD_LENGTHS.contains(&bytes.len());
        Witness { field, kind: if is_word { Kind::Word } else { Kind::Within }, bytes: bytes.into() }
    };
    let is_long = texts.iter().all(|text| text.len() >= LITERAL_MIN);
    is_long.then(|| Costed::group(texts.into_iter().map(witness).collect()))
}

/// Whether the parts, the nearest first, are such that a word beside them ends there. What may be absent must do so if it
/// is there, and then what is beyond it counts, too; beyond all of them is what `beyond` says.
fn all_end_word<'h>(parts: impl Iterator<Item = &'h Hir>, beyond: bool, side: Side) -> bool {
    for part in parts {
        match part.kind() {
            HirKind::Repetition(repetition) if repetition.min == 0 => {
                if !ends_word(&repetition.sub, side) {
                    return false;
                }
            }
            _ => return ends_word(part, side),
        }
    }
    beyond
}

/// Whether a part is such that a word beside it ends there: it is an end of the text, a boundary, or its end on the side of
/// the word is of no word.
fn ends_word(hir: &Hir, side: Side) -> bool {
    match hir.kind() {
        HirKind::Look(look) => !matches!(look, Look::WordAsciiNegate | Look::WordUnicodeNegate),
        HirKind::Literal(literal) => {
            let byte = if side == Side::Left { literal.0.last() } else { literal.0.first() };
            byte.is_some_and(|byte| !is_word(*byte))
        }
        HirKind::Class(class) => !may_be_word(class),
        HirKind::Capture(capture) => ends_word(&capture.sub, side),
        HirKind::Repetition(repetition) => repetition.min > 0 && ends_word(&repetition.sub, side),
        HirKind::Alternation(members) => members.iter().all(|member| ends_word(member, side)),
        HirKind::Concat(members) if side == Side::Left => all_end_word(members.iter().rev(), false, side),
        HirKind::Concat(members) => all_end_word(members.iter(), false, side),
        HirKind::Empty => false,
    }
}

/// The side of a word that a part is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

fn may_be_word(class: &Class) -> bool {
    let has = |start: u32, end: u32| (start..=end.min(0x7f)).any(|c| u8::try_from(c).is_ok_and(is_word));
    match class {
        Class::Unicode(class) => class.ranges().iter().any(|r| has(r.start().into(), r.end().into())),
        Class::Bytes(class) => class.ranges().iter().any(|r| has(r.start().into(), r.end().into())),
    }
}
/// Each of these texts with each of those after it.
fn multiplied(texts: &[Vec<u8>], pieces: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let joined = |text: &Vec<u8>| -> Vec<Vec<u8>> {
        pieces.iter().map(|piece| [text.as_slice(), piece].concat()).collect()
    };
    texts.iter().flat_map(joined).collect()
}

/// All texts, in lower case, that it stands for, if these are few and none of them is empty; else none.
fn exact(hir: &Hir) -> Vec<Vec<u8>> {
    let all = |found: Vec<Vec<Vec<u8>>>| {
        let is_exact = found.iter().all(|texts| !texts.is_empty());
        if is_exact && found.len() <= RUNS_MAX { found.concat() } else { Vec::new() }
    };
    match hir.kind() {
        HirKind::Capture(capture) => exact(&capture.sub),
        HirKind::Alternation(members) => all(members.iter().map(exact).collect()),
        HirKind::Concat(members) => members.iter().fold(vec![Vec::new()], |runs: Vec<Vec<u8>>, member| {
            let pieces = exact(member);
            if runs.len() * pieces.len() > RUNS_MAX {
                return Vec::new();
            }
            multiplied(&runs, &pieces)
        }),
        HirKind::Literal(literal) => vec![literal.0.to_ascii_lowercase()],
        HirKind::Class(class) => few_bytes(class).into_iter().map(|byte| vec![byte]).collect(),
        _ => Vec::new(),
    }
}

/// The characters of a class, in lower case, if they are few and all of ASCII; else none.
fn few_bytes(class: &Class) -> BTreeSet<u8> {
    let ranges: Vec<(u32, u32)> = match class {
        Class::Unicode(class) => class.ranges().iter().map(|r| (r.start().into(), r.end().into())).collect(),
        Class::Bytes(class) => class.ranges().iter().map(|r| (r.start().into(), r.end().into())).collect(),
    };
    let count: u32 = ranges.iter().map(|(start, end)| end - start + 1).sum();
    if usize::try_from(count).is_ok_and(|count| count >= RUNS_MAX)
        || ranges.iter().any(|(_, end)| *end > 0x7f)
    {
        return BTreeSet::new();
    }
    let bytes = ranges.into_iter().flat_map(|(start, end)| start..=end).filter_map(|c| u8::try_from(c).ok());
    bytes.map(|byte| byte.to_ascii_lowercase()).collect()
}
