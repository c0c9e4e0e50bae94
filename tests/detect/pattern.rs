//! Wildcards against a slow and obvious model, and the numbers of modifiers.

use proptest::prelude::*;
use sentinel_edge::detect::sigma::encode;
use sentinel_edge::detect::sigma::pattern::{Matcher, Pattern, Piece};
use sentinel_edge::detect::sigma::time::{Part, part};

/// Matches by trying everything.
fn model(pieces: &[Piece], value: &str) -> bool {
    match pieces.split_first() {
        None => value.is_empty(),
        Some((Piece::Literal(bytes), rest)) => value
            .as_bytes()
            .strip_prefix(bytes.as_slice())
            .and_then(|v| std::str::from_utf8(v).ok())
            .is_some_and(|v| model(rest, v)),
        Some((Piece::One, rest)) => {
            let mut characters = value.chars();
            characters.next().is_some() && model(rest, characters.as_str())
        }
        Some((Piece::Many, rest)) => {
            let ends = value.char_indices().map(|(at, _)| at).chain([value.len()]);
            ends.into_iter().any(|at| model(rest, &value[at..]))
        }
    }
}

proptest! {
    #[test]
    fn wildcards_match_as_the_model_does(
        pattern in "[ab*?é\\\\]{0,8}",
        value in "[abé\n*]{0,10}",
    ) {
        let pattern = Pattern::parse(&pattern);
        prop_assert_eq!(Matcher::new(&pattern).is_match(value.as_bytes()), model(&pattern.0, &value), "{:?}", pattern);
    }

    #[test]
    fn the_longest_literal_is_in_every_match(pattern in "[ab*?]{0,8}", value in "[ab]{0,12}") {
        let matcher = Matcher::new(&Pattern::parse(&pattern));
        if matcher.is_match(value.as_bytes()) {
            prop_assert!(memchr::memmem::find(value.as_bytes(), matcher.longest_literal()).is_some());
        }
    }

    #[test]
    fn base64_of_data_has_one_of_the_three_texts(before in prop::collection::vec(any::<u8>(), 0..7), inner in prop::collection::vec(any::<u8>(), 4..20), after in prop::collection::vec(any::<u8>(), 0..7)) {
        let encoded = encode::base64(&[before, inner.clone(), after].concat());
        let texts = encode::base64_offsets(&inner);
        prop_assert!(texts.iter().any(|text| memchr::memmem::find(&encoded, text).is_some()));
    }
}

#[test]
fn many_stars_take_no_exponential_time() {
    let pattern = Pattern::parse(&"*a".repeat(200));
    let value = "a".repeat(100_000) + "b";
    let begun = std::time::Instant::now();
    assert!(!Matcher::new(&pattern).is_match(value.as_bytes()));
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}

#[test]
fn base64_is_that_of_rfc_4648() {
    for (plain, encoded) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("foobar", "Zm9vYmFy"),
    ] {
        assert_eq!(encode::base64(plain.as_bytes()), encoded.as_bytes());
    }
}

#[test]
fn dashes_are_taken_for_one_another_where_options_begin() {
    let variants = encode::windash("cmd -f /x a-b");
    assert!(variants.contains(&"cmd /f /x a-b".to_owned()), "{variants:?}");
    assert!(variants.contains(&"cmd \u{2013}f \u{2013}x a-b".to_owned()), "{variants:?}");
    assert!(variants.iter().all(|variant| variant.ends_with("a-b")));
}

#[test]
fn weeks_are_those_of_iso_8601() {
    for (date, week) in [
        ("2026-11-22T13:45:07Z", 47),
        ("2021-01-03T00:00:00Z", 53),
        ("2021-01-04", 1),
        ("2024-12-30", 1),
        ("2020-12-31", 53),
        ("2000-02-29", 9),
        ("2018-12-31", 1),
        ("2016-01-01", 53),
    ] {
        assert_eq!(part(date, Part::Week), Some(week), "{date}");
    }
    assert_eq!(part("2026-11-22T13:45:07Z", Part::Hour), Some(13));
    assert_eq!(part("2026-11-22 13:45:07", Part::Minute), Some(45));
    assert_eq!(part("2026-11-22", Part::Minute), None);
    assert_eq!(part("yesterday", Part::Year), None);
}
