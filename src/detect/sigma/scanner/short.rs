//! Literals of two or three bytes, found by two of them.
//!
//! They are in many values, and every byte must be looked at, which costs more than all longer ones together. So rules are
//! led to by something else where they can be (see [`witness`](crate::detect::sigma::witness)), and this scan exists for
//! those where they cannot.

use std::collections::BTreeMap;

use super::Text;
use super::bitmap::Bitmap;
use crate::detect::sigma::index::{Number, position};
use crate::detect::sigma::keyed::Keyed;
use crate::detect::sigma::witness;

/// Literals by two of their bytes.
#[derive(Debug)]
pub(super) struct Short {
    pairs: Box<Bitmap>,
    by_pair: Keyed<u32, Entry>,
    groups: Box<[Number]>,
}

/// A literal.
#[derive(Debug)]
struct Entry {
    text: Box<[u8]>,
    /// Where the two bytes are in it.
    offset: usize,
    groups: (u32, u32),
}

impl Short {
    pub(super) fn new(literals: &[Text<'_>]) -> Self {
        let (mut groups, mut pairs) = (Vec::new(), Vec::new());
        let mut by_pair: BTreeMap<u32, Vec<Entry>> = BTreeMap::new();
        for &(literal, of) in literals {
            let (offset, _) = witness::rarest(literal, 2);
            let Some(pair) = literal.get(offset..).and_then(<[u8]>::first_chunk) else { continue };
            let range = (position(groups.len()), position(groups.len() + of.len()));
            groups.extend_from_slice(of);
            let entry = Entry { text: (**literal).into(), offset, groups: range };
            let pair = u16::from_le_bytes(*pair);
            pairs.push(pair);
            by_pair.entry(pair.into()).or_default().push(entry);
        }
        Short { pairs: Bitmap::new(pairs.into_iter()), by_pair: Keyed::new(by_pair), groups: groups.into() }
    }

    pub(super) fn scan(&self, value: &[u8], found: &mut Vec<Number>) {
        for (at, pair) in value.windows(2).enumerate() {
            let Some(pair) = pair.first_chunk() else { continue };
            let pair = u16::from_le_bytes(*pair);
            if !self.pairs.has(pair) {
                continue;
            }
            for entry in self.by_pair.get(pair.into()) {
                let rest = at.checked_sub(entry.offset).and_then(|start| value.get(start..));
                if rest.is_some_and(|rest| rest.starts_with(&entry.text)) {
                    let of = self.groups.get(entry.groups.0 as usize..entry.groups.1 as usize);
                    found.extend_from_slice(of.unwrap_or_default());
                }
            }
        }
    }
}
