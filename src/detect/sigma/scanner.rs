//! Looking for many texts in a value at once.
//!
//! Texts go to the scan that is cheapest for them: a handful are looked for one by one, short words in the table of
//! [`words`], literals of four bytes and more by [`grams`] at every other byte, and the few shorter ones by [`short`].
//! All of them take values in lower case and give the groups of the texts that are in it, some more than once.

mod bitmap;
mod grams;
mod short;
#[cfg(test)]
mod tests;
mod words;

use memchr::memmem::Finder;

use self::grams::Grams;
use self::short::Short;
use self::words::Words;
pub(super) use self::words::{LENGTHS as WORD_LENGTHS, is_word};
use super::index::{ByText, Number};

/// So many literals are looked for one by one.
const FEW: usize = 3;

/// So many short ones are, as every byte must be looked at to find them together.
const FEW_SHORT: usize = 4;

/// A text, and the groups that it is in.
type Text<'a> = (&'a &'a [u8], &'a Vec<Number>);

/// Texts that are looked for in the values of a field.
#[derive(Debug, Default)]
pub struct Scanner {
    few: Vec<(Finder<'static>, Box<[Number]>)>,
    grams: Option<Grams>,
    short: Option<Short>,
    words: Option<Words>,
}

impl Scanner {
    /// Takes literals of two bytes and more, and words, all in lower case.
    pub(super) fn new(literals: &ByText<'_>, words: &ByText<'_>) -> Self {
        let words = (!words.is_empty()).then(|| Words::new(words));
        let (long, short): (Vec<_>, Vec<_>) = literals.iter().partition(|(text, _)| text.len() >= grams::MIN);
        let few = |texts: &[Text<'_>]| -> Vec<(Finder<'static>, Box<[Number]>)> {
            texts.iter().map(|(text, of)| (Finder::new(text).into_owned(), of.as_slice().into())).collect()
        };
        let mut scanner = Scanner { words, ..Scanner::default() };
        if long.len() <= FEW {
            scanner.few.extend(few(&long));
        } else {
            scanner.grams = Some(Grams::new(&long));
        }
        if short.len() <= FEW_SHORT {
            scanner.few.extend(few(&short));
        } else {
            scanner.short = Some(Short::new(&short));
        }
        scanner
    }

    /// Adds the groups of everything that is in the value.
    pub(super) fn scan(&self, value: &[u8], found: &mut Vec<Number>) {
        for (finder, of) in &self.few {
            // Most values of short fields are shorter than what is looked for, which the finder would tell later.
            if finder.needle().len() <= value.len() && finder.find(value).is_some() {
                found.extend_from_slice(of);
            }
        }
        if let Some(grams) = &self.grams {
            grams.scan(value, found);
        }
        if let Some(short) = &self.short {
            short.scan(value, found);
        }
        if let Some(words) = &self.words {
            words.scan(value, found);
        }
    }
}
