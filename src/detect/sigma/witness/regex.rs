//! What every match of a regular expression must contain.

use std::collections::BTreeSet;

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
    match exact(first).as_slice() {
        [text] => text.first().copied(),
        _ => None,
    }
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
