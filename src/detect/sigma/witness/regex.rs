//! What every match of a regular expression must contain.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::Costed;
use crate::detect::sigma::fields::Field;

/// Texts that alternatives within a regular expression are multiplied out to.
const RUNS_MAX: usize = 16;

/// What every match of a regular expression must have in it; none if there is nothing that can be looked for.
pub fn costed(text: &str, field: Option<Field>) -> Option<Costed> {
    required(&parse(text)?, field)
}

fn parse(text: &str) -> Option<Hir> {
    regex_syntax::ParserBuilder::new().utf8(false).build().parse(text).ok()
}

/// The byte that every match of a regular expression begins with, at the beginning of the value.
pub fn first_byte(text: &str) -> Option<u8> {
    let hir = parse(text)?;
    let HirKind::Concat(members) = hir.kind() else { return None };
    let [start, first, ..] = members.as_slice() else { return None };
    if !matches!(start.kind(), HirKind::Look(Look::Start)) {
        return None;
    }
    same_letters(first)?.first().copied()
}

fn required(hir: &Hir, field: Option<Field>) -> Option<Costed> {
    match hir.kind() {
        HirKind::Literal(literal) => Costed::within(field, vec![literal.0.to_ascii_lowercase()]),
        HirKind::Capture(capture) => required(&capture.sub, field),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub, field),
        HirKind::Alternation(members) => Costed::any(members.iter().map(|member| required(member, field))),
        HirKind::Concat(members) => {
            let mut parts = Vec::new();
            let mut runs = vec![Vec::new()];
            for member in members {
                let pieces = exact(member);
                if !pieces.is_empty() && runs.len() * pieces.len() <= RUNS_MAX {
                    runs = multiplied(&runs, &pieces);
                } else {
                    parts.extend(Costed::within(field, std::mem::replace(&mut runs, vec![Vec::new()])));
                    parts.extend(required(member, field));
                }
            }
            parts.extend(Costed::within(field, runs));
            Costed::all(parts)
        }
        _ => None,
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
        HirKind::Class(Class::Unicode(class)) => {
            let characters: Vec<char> = class
                .ranges()
                .iter()
                .take(RUNS_MAX)
                .flat_map(|r| (r.start()..=r.end()).take(RUNS_MAX))
                .collect();
            let few = characters.len() < RUNS_MAX && characters.iter().all(char::is_ascii);
            let mut bytes: Vec<Vec<u8>> = characters
                .iter()
                .filter(|_| few)
                .filter_map(|c| u8::try_from(c.to_ascii_lowercase()).ok())
                .map(|b| vec![b])
                .collect();
            bytes.dedup();
            bytes
        }
        _ => same_letters(hir).into_iter().collect(),
    }
}

/// The bytes, in lower case, if it stands for these letters alone in either case.
fn same_letters(hir: &Hir) -> Option<Vec<u8>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(literal.0.to_ascii_lowercase()),
        HirKind::Class(Class::Bytes(class)) => {
            let bytes: Vec<u8> = class.ranges().iter().flat_map(|r| r.start()..=r.end()).collect();
            letter(&bytes.iter().map(|b| char::from(*b)).collect::<Vec<_>>())
        }
        HirKind::Class(Class::Unicode(class)) => {
            let ranges = class.ranges();
            // Ranges of many characters are no letter in two cases.
            let small = ranges.iter().all(|r| u32::from(r.end()) - u32::from(r.start()) < 4);
            letter(&ranges.iter().filter(|_| small).flat_map(|r| r.start()..=r.end()).collect::<Vec<_>>())
        }
        _ => None,
    }
}

fn letter(characters: &[char]) -> Option<Vec<u8>> {
    let first = characters.first()?.to_ascii_lowercase();
    let same = characters.iter().all(|c| c.is_ascii() && c.to_ascii_lowercase() == first);
    same.then(|| u8::try_from(first).ok().map(|b| vec![b])).flatten()
}
