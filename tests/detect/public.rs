//! Public rules: all of them are taken, and judge the generated events as a plain evaluation of every rule does.

use sentinel_edge::detect::sigma::logsource::Category;
use sentinel_edge::detect::sigma::scratch::Scratch;

use crate::exhaustive;
use crate::support::{events, public};

#[test]
fn all_are_taken() {
    let set = public();
    assert_eq!(set.problems, []);
    assert_eq!(set.rules().len(), 82);
    // Licences ask for the author in every finding, so every rule must have kept it.
    assert!(set.rules().iter().all(|rule| !rule.about.author.is_empty()));
}

#[test]
fn no_rule_needs_to_be_evaluated_always() {
    let set = public();
    for category in [Category::ProcessCreation, Category::FileEvent, Category::NetworkConnection] {
        assert_eq!(set.index_of(category).map(|index| index.open_rules()), Some(0), "{}", category.name());
    }
}

#[test]
fn the_index_finds_what_evaluating_every_rule_finds() {
    let set = public();
    let events = events();
    let (mut scratch, mut hits) = (Scratch::default(), 0);
    for event in &events {
        event.with_row(&set.names, |row| {
            hits += exhaustive::hits(&set, Category::ProcessCreation, row, &mut scratch).len();
        });
    }
    assert_eq!((events.len(), hits), (1000, 59));
}
