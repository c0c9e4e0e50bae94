//! Real rules with random faults: they load or say what is wrong, within a bounded time, and what loads judges real
//! events by the index as without it. `fuzz/run rules` looks for the same with coverage feedback.
//!
//! `DETECT_MUTATION_SECONDS` sets for how long, else it is a few seconds; `DETECT_MUTATION_SEED` repeats a run, and stands
//! in the message of a failure.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sentinel_edge::detect::sigma::logsource::Category;
use sentinel_edge::detect::sigma::scratch::Scratch;
use sentinel_edge::detect::sigma::search::Placeholders;
use sentinel_edge::detect::sigma::set::{Set, Source};
use sentinel_edge::detect::view::flat::Flat;

use crate::exhaustive;
use crate::support::{built_in_sources, events, public_sources};

/// What may be put anywhere.
const WORDS: &[&str] = &[
    "|re",
    "|re|i",
    "|contains",
    "|contains|all",
    "|startswith",
    "|endswith|cased",
    "|windash|contains",
    "|base64offset|contains",
    "|wide|base64",
    "|utf16",
    "|cidr",
    "|exists",
    "|gt",
    "|neq",
    "|fieldref",
    "|expand",
    "|hour",
    "|",
    ":",
    " ",
    "\n",
    "\n    ",
    "- ",
    "'",
    "\"",
    "*",
    "?",
    "\\",
    "\\\\*",
    "%list%",
    "null",
    "[]",
    "{}",
    "&a",
    "*a",
    "\n---\n",
    "1 of them",
    "all of sel*",
    " and not (",
    ")",
    " or ",
    "(a{99}){99}",
    "[[:alpha:]]",
    "(?i)",
    "\\p{L}",
    "10.0.0.0/8",
    "-1",
    "1e999",
    "é",
    "\u{2028}",
    "\0",
    "\t",
    "!!binary x",
    "Image",
    "CommandLine",
    "condition: ",
    "correlation:\n  type: event_count\n",
    "filter:\n  rules: any\n",
];

/// A small generator of numbers: SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ z >> 31) % limit.max(1) as u64).expect("below the limit")
    }

    fn range(&mut self, length: usize, longest: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        start..(start + self.below(longest)).min(length)
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

fn mutate(text: &str, others: &[String], random: &mut Random) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..1 + random.below(4) {
        let at = random.range(bytes.len(), 24);
        let new: Vec<u8> = match random.below(5) {
            0 => Vec::new(),
            1 => vec![u8::try_from(random.below(256)).expect("a byte")],
            2 => bytes[at.clone()].repeat(2 + random.below(40)),
            3 => {
                let other: &String = random.pick(others);
                let other = other.as_bytes();
                other[random.range(other.len(), 200)].to_vec()
            }
            _ => WORDS[random.below(WORDS.len())].as_bytes().to_vec(),
        };
        let until = if random.below(2) == 0 { at.start } else { at.end };
        bytes.splice(at.start..until, new);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Loads the text, judges the events, and returns the number of rules.
fn check(text: &str, events: &[Flat]) -> usize {
    let lists =
        Placeholders::from([("list".to_owned(), vec!["a".to_owned(), "*b\\".to_owned(), String::new()])]);
    let begun = Instant::now();
    let set =
        Set::new(&[Source { name: Arc::from("input"), text: text.to_owned(), built_in: false }], &lists);
    assert!(set.problems.iter().all(|problem| !problem.what.is_empty()));
    let mut scratch = Scratch::default();
    for event in events {
        event.with_row(&set.names, |row| {
            for category in Category::ALL.iter().filter(|category| set.index_of(**category).is_some()) {
                exhaustive::hits(&set, *category, row, &mut scratch);
            }
        });
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "it took {:?}", begun.elapsed());
    set.rules().len()
}

#[test]
fn rules_with_faults_never_panic_nor_hang_nor_lose_matches() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let duration = Duration::from_secs(number("DETECT_MUTATION_SECONDS").unwrap_or(4));
    let seed = number("DETECT_MUTATION_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let sources = [public_sources(), built_in_sources()].concat();
    let texts: Vec<String> = sources.into_iter().map(|source| source.text).collect();
    let mut events: Vec<Flat> = events().into_iter().step_by(50).collect();
    events.push(Flat::default());
    let (mut random, begun) = (Random(seed), Instant::now());
    let (mut cases, mut loaded) = (0_usize, 0);
    while begun.elapsed() < duration {
        let original: &String = random.pick(&texts);
        let text = mutate(original, &texts, &mut random);
        match catch_unwind(AssertUnwindSafe(|| check(&text, &events))) {
            Ok(rules) => loaded += rules,
            Err(_) => panic!("DETECT_MUTATION_SEED={seed}, case {cases}:\n{text}"),
        }
        cases += 1;
    }
    println!("DETECT_MUTATION_SEED={seed}: {cases} cases, {loaded} rules loaded");
    assert!(loaded > 0, "nothing of {cases} cases was loaded");
}
