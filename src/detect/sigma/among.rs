//! One of many texts: what a list of values in a rule asks, answered at once.
//!
//! Whole values are found by binary search, beginnings and ends among those that share the first or last byte, and
//! texts anywhere in the value by passes over it that look at many bytes at once, or by one of an automaton where the
//! processor cannot do that. The verdict is that of trying each by itself.

use aho_corasick::AhoCorasick;
use aho_corasick::packed;

use super::pattern::Matcher;

/// Texts anywhere of which there are fewer are looked for one by one.
const WITHIN_MIN: usize = 3;

/// Texts that one pass by vectors looks for: with more, too much of what it sees is nothing (Teddy of the aho-corasick
/// crate takes 64 at most).
const PACKED_MAX: usize = 32;

/// Passes that are cheaper than the one of an automaton.
const PASSES_MAX: usize = 4;

/// Many texts, in lower case.
#[derive(Debug, Clone, Default)]
pub struct Among {
    /// Sorted.
    wholes: Box<[Box<[u8]>]>,
    starts: ByByte,
    ends: ByByte,
    within: Within,
    others: Box<[Matcher]>,
}

impl Among {
    /// Takes texts that were folded as values will be.
    pub fn new(matchers: Vec<Matcher>) -> Among {
        let (mut wholes, mut starts, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        let (mut within, mut others) = (Vec::new(), Vec::new());
        for matcher in matchers {
            match matcher {
                Matcher::Equals(text) => wholes.push(text),
                Matcher::Prefix(text) if !text.is_empty() => starts.push(text),
                Matcher::Suffix(text) if !text.is_empty() => ends.push(text),
                Matcher::Contains(_) => within.push(matcher),
                other => others.push(other),
            }
        }
        let searches = if within.len() < WITHIN_MIN { Within::None } else { Within::new(&within) };
        if matches!(searches, Within::None) {
            others.append(&mut within);
        }
        wholes.sort_unstable();
        Among {
            wholes: wholes.into(),
            starts: ByByte::new(starts, |text| text.first()),
            ends: ByByte::new(ends, |text| text.last()),
            within: searches,
            others: others.into(),
        }
    }

    /// The value is, begins with, ends with or has one of them, as each asks.
    pub fn is_match(&self, value: &[u8]) -> bool {
        self.starts.of(value.first()).any(|text| value.starts_with(text))
            || self.ends.of(value.last()).any(|text| value.ends_with(text))
            || self.wholes.binary_search_by(|text| (**text).cmp(value)).is_ok()
            || self.within.is_match(value)
            || self.others.iter().any(|matcher| matcher.is_match(value))
    }
}

/// How texts anywhere in a value are looked for.
#[derive(Debug, Clone, Default)]
enum Within {
    #[default]
    None,
    /// By vectors, so many at once.
    Packed(Box<[packed::Searcher]>),
    Automaton(Box<AhoCorasick>),
}

impl Within {
    fn new(matchers: &[Matcher]) -> Within {
        let pass = |some: &[Matcher]| {
            packed::Config::new().builder().extend(some.iter().map(Matcher::longest_literal)).build()
        };
        let passes: Option<Box<[_]>> = matchers.chunks(PACKED_MAX).map(pass).collect();
        if let Some(passes) = passes.filter(|passes| passes.len() <= PASSES_MAX) {
            return Within::Packed(passes);
        }
        let automaton = AhoCorasick::new(matchers.iter().map(Matcher::longest_literal));
        automaton.map_or(Within::None, |automaton| Within::Automaton(Box::new(automaton)))
    }

    fn is_match(&self, value: &[u8]) -> bool {
        match self {
            Within::None => false,
            Within::Packed(passes) => passes.iter().any(|pass| pass.find(value).is_some()),
            Within::Automaton(automaton) => automaton.is_match(value),
        }
    }
}

/// Texts by a byte of theirs.
#[derive(Debug, Clone, Default)]
struct ByByte {
    /// Which bytes there are.
    has: [u64; 4],
    /// Byte and text, sorted.
    texts: Box<[(u8, Box<[u8]>)]>,
}

impl ByByte {
    fn new(texts: Vec<Box<[u8]>>, byte: impl Fn(&[u8]) -> Option<&u8>) -> ByByte {
        let keyed = texts.into_iter().filter_map(|text| Some((*byte(&text)?, text)));
        let mut texts: Vec<_> = keyed.collect();
        texts.sort_unstable();
        let mut has = [0; 4];
        texts.iter().for_each(|(byte, _)| has[usize::from(*byte >> 6)] |= 1 << (byte & 63));
        ByByte { has, texts: texts.into() }
    }

    fn of(&self, byte: Option<&u8>) -> impl Iterator<Item = &[u8]> {
        // The index is at most 3 by its type, which the compiler sees.
        let byte = byte.filter(|byte| self.has[usize::from(**byte >> 6)] >> (**byte & 63) & 1 == 1);
        let from =
            byte.map_or(self.texts.len(), |byte| self.texts.partition_point(|(other, _)| other < byte));
        let texts = self.texts.get(from..).unwrap_or_default();
        texts.iter().take_while(move |(other, _)| Some(other) == byte).map(|(_, text)| &**text)
    }
}
