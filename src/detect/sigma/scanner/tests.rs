//! What is found is exactly what is there, wherever it is: against searches that share no code with the scans.

use std::collections::{BTreeMap, BTreeSet};

use super::super::index::{ByText, Number};
use super::{Scanner, WORD_LENGTHS, is_word};

/// A generator that repeats (Steele et al., splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ mixed >> 31) % limit as u64).unwrap()
    }

    /// Few different bytes, so that texts are found by chance; one of them is not of ASCII.
    fn text(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| b"ab_1 -/\xc3"[self.below(8)]).collect()
    }
}

fn by_text(texts: &BTreeSet<Vec<u8>>, from: usize) -> BTreeMap<&[u8], Vec<Number>> {
    let numbered = texts.iter().zip(from..);
    numbered.map(|(text, number)| (text.as_slice(), vec![Number::try_from(number).unwrap()])).collect()
}

fn check(literals: &BTreeSet<Vec<u8>>, words: &BTreeSet<Vec<u8>>, values: &[Vec<u8>]) -> usize {
    let (literals, words): (ByText<'_>, ByText<'_>) = (by_text(literals, 0), by_text(words, 1000));
    let scanner = Scanner::new(&literals, &words);
    let mut seen = 0;
    for value in values {
        let mut expected = BTreeSet::new();
        for (text, of) in &literals {
            if value.windows(text.len()).any(|window| window == *text) {
                expected.extend(of);
            }
        }
        for word in value.split(|byte| !is_word(*byte)) {
            expected.extend(words.get(word).into_iter().flatten());
        }
        let mut found = Vec::new();
        scanner.scan(value, &mut found);
        let found: BTreeSet<Number> = found.into_iter().collect();
        assert_eq!(found, expected.into_iter().collect(), "in {:?}", String::from_utf8_lossy(value));
        seen += found.len();
    }
    seen
}

#[test]
fn everything_is_found_at_every_place() {
    let mut random = Random(7);
    let mut seen = 0;
    for round in 0..200 {
        let texts = |random: &mut Random, count: usize, shortest: usize, longest: usize| {
            let text = |_| {
                let length = shortest + random.below(longest - shortest + 1);
                random.text(length)
            };
            (0..count).map(text).collect::<BTreeSet<_>>()
        };
        // Few and many, short and long ones: each kind of scan by itself and beside the others.
        let mut literals = texts(&mut random, round % 5, 2, 3);
        literals.extend(texts(&mut random, round % 7 * 3, 4, 12));
        literals.extend(texts(&mut random, round % 3 * 10, 2, 3));
        let mut words = texts(&mut random, round % 4 * 8, *WORD_LENGTHS.start(), *WORD_LENGTHS.end());
        words.retain(|word| word.iter().all(|byte| is_word(*byte)));
        let values: Vec<Vec<u8>> = (0..40)
            .map(|_| {
                let length = random.below(200);
                random.text(length)
            })
            .collect();
        seen += check(&literals, &words, &values);
    }
    assert!(seen > 10_000, "only {seen} texts were there to be found");
}

#[test]
fn a_literal_and_a_word_are_found_across_every_boundary() {
    let literals: BTreeSet<Vec<u8>> =
        ["abcd", "bcdef", "cdefgh", "/dev/tcp", "-i", "x-y", "zz"].map(Vec::from).into();
    let words: BTreeSet<Vec<u8>> = ["nc", "tar"].map(Vec::from).into();
    let mut values = Vec::new();
    for before in 0..140 {
        for inner in [" nc ", " tar ", " nct ", "abcd", "abcdefgh", "/dev/tcp", " x-y-i "] {
            for behind in [0, 1, 2, 3, 5, 70] {
                let value = ["=".repeat(before), inner.to_owned(), ";".repeat(behind)].concat();
                values.push(value.into_bytes());
            }
            values.push(["=".repeat(before), inner.trim().to_owned()].concat().into_bytes());
        }
    }
    assert!(check(&literals, &words, &values) > values.len() / 2);
}
