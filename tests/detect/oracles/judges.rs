//! The three engines behind one face.

use std::collections::{BTreeMap, BTreeSet};

use rsigma_eval::Engine;
use rsigma_eval::event::JsonEvent;
use sentinel_edge::detect::sigma::logsource::Category;
use sentinel_edge::detect::sigma::scratch::Scratch;
use sentinel_edge::detect::sigma::search::Placeholders;
use sentinel_edge::detect::sigma::set::Set;
use sentinel_edge::detect::view::flat::Flat;
use serde_json::Value as Json;

use super::corpus::Rules;

/// An engine with rules in it.
pub trait Judge {
    /// Its name in the table of differences.
    fn name(&self) -> &'static str;

    /// Rules that it does not take, by their ids, and why.
    fn refused(&self) -> &BTreeMap<String, String>;

    /// Ids of the rules that match the event, whatever it is about.
    fn matches(&self, event: &Json) -> BTreeSet<String>;
}

/// This crate's.
pub struct Ours {
    set: Set,
    ids: BTreeSet<String>,
}

impl Ours {
    /// With these rules.
    pub fn new(rules: &Rules) -> Self {
        Ours { set: Set::new(rules.sources(), &Placeholders::new()), ids: rules.ids() }
    }

    /// Rules that it does not take.
    pub fn refused(&self) -> BTreeSet<String> {
        let taken: BTreeSet<String> = self.set.rules().iter().map(|rule| rule.about.id.to_string()).collect();
        self.ids.difference(&taken).cloned().collect()
    }

    /// Ids of the rules that match the event.
    pub fn matches(&self, event: &Json) -> BTreeSet<String> {
        let (event, mut found) = (Flat::of_json(event), BTreeSet::new());
        let mut scratch = Scratch::default();
        event.with_row(&self.set.names, |row| {
            for category in Category::ALL {
                self.set.judge(*category, row, false, &mut scratch, |number| {
                    found.insert(self.set.rules()[number as usize].about.id.to_string());
                });
            }
        });
        found
    }
}

/// `rsigma-eval`.
pub struct Rsigma {
    engine: Engine,
    refused: BTreeMap<String, String>,
}

impl Rsigma {
    /// With these rules.
    pub fn new(rules: &Rules) -> Self {
        let (mut engine, mut refused) = (Engine::new(), BTreeMap::new());
        for (id, text) in rules.texts() {
            let parsed = rsigma_parser::parse_sigma_yaml(text).map_err(|error| error.to_string());
            let result = parsed.and_then(|all| match (all.rules.as_slice(), all.errors.first()) {
                ([rule], None) => engine.add_rule(rule).map_err(|error| error.to_string()),
                (_, error) => Err(format!("{error:?}")),
            });
            if let Err(why) = result {
                refused.insert(id.to_owned(), why);
            }
        }
        Rsigma { engine, refused }
    }
}

impl Judge for Rsigma {
    fn name(&self) -> &'static str {
        "rsigma-eval"
    }

    fn refused(&self) -> &BTreeMap<String, String> {
        &self.refused
    }

    fn matches(&self, event: &Json) -> BTreeSet<String> {
        let results = self.engine.evaluate(&JsonEvent::borrow(event));
        results.into_iter().filter_map(|result| result.header.rule_id).collect()
    }
}

/// `sigma-rust`.
pub struct SigmaRust {
    rules: Vec<(String, sigma_rust::Rule)>,
    refused: BTreeMap<String, String>,
}

impl SigmaRust {
    /// With these rules.
    pub fn new(rules: &Rules) -> Self {
        let (mut taken, mut refused) = (Vec::new(), BTreeMap::new());
        for (id, text) in rules.texts() {
            match sigma_rust::rule_from_yaml(text) {
                Ok(rule) => taken.push((id.to_owned(), rule)),
                Err(error) => {
                    refused.insert(id.to_owned(), error.to_string());
                }
            }
        }
        SigmaRust { rules: taken, refused }
    }
}

impl Judge for SigmaRust {
    fn name(&self) -> &'static str {
        "sigma-rust"
    }

    fn refused(&self) -> &BTreeMap<String, String> {
        &self.refused
    }

    fn matches(&self, event: &Json) -> BTreeSet<String> {
        let event = sigma_rust::event_from_json(&event.to_string()).expect("an event is an object");
        let hits = self.rules.iter().filter(|(_, rule)| rule.is_match(&event));
        hits.map(|(id, _)| id.clone()).collect()
    }
}
