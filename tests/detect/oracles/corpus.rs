//! Rules and events that the engines are compared on.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::sync::Arc;

use flate2::read::GzDecoder;
use sentinel_edge::detect::sigma::set::Source;
use sentinel_edge::detect::sigma::yaml::{self, Node, Value};
use serde_json::{Map, Value as Json};

use crate::support::data;

/// Rules as texts, each by its id.
pub struct Rules {
    sources: Vec<Source>,
    ids: Vec<String>,
}

impl Rules {
    /// One rule a text; correlations are left out, as they are about hits and not events.
    pub fn new(mut sources: Vec<Source>) -> Self {
        let document = |source: &Source| {
            let mut documents = yaml::documents(&source.text).expect("YAML");
            assert_eq!(documents.len(), 1, "{}", source.name);
            documents.remove(0)
        };
        sources.retain(|source| document(source).get("detection").is_some());
        let id = |source: &Source| document(source).get("id").map(Node::to_string).expect("an id");
        let ids = sources.iter().map(id).collect();
        Rules { sources, ids }
    }

    /// The texts for our engine.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Every id.
    pub fn ids(&self) -> BTreeSet<String> {
        self.ids.iter().cloned().collect()
    }

    /// Id and text of each.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.ids.iter().zip(&self.sources).map(|(id, source)| (id.as_str(), source.text.as_str()))
    }
}

/// Generated events, and those that were recorded while public attack emulations ran.
pub fn events() -> Vec<Json> {
    let mut text = fs::read_to_string(data("events.jsonl")).expect("the generated events");
    let recorded = fs::File::open(data("../atomics/events.jsonl.gz")).expect("the recorded events");
    GzDecoder::new(recorded).read_to_string(&mut text).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The cases of the rules that have some: what each must match, and look-alikes.
pub fn cases(rules: &Rules) -> Vec<Json> {
    let mut cases = Vec::new();
    for source in rules.sources() {
        for document in yaml::documents(&source.text).expect("YAML") {
            let tests = document.get("tests");
            let lists = ["match", "ignore"].into_iter().filter_map(|key| tests?.get(key));
            cases.extend(lists.flat_map(Node::members).map(json));
        }
    }
    cases
}

/// A value of YAML with the type that the others' readers give it.
fn json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Text(text, false) => match (text.parse::<i64>(), text.parse::<bool>()) {
            (Ok(number), _) => number.into(),
            (_, Ok(set)) => set.into(),
            _ => text.as_str().into(),
        },
        Value::Text(text, true) => text.as_str().into(),
        Value::List(members) => members.iter().map(json).collect(),
        Value::Map(entries) => {
            entries.iter().map(|(key, _, value)| (key.clone(), json(value))).collect::<Map<_, _>>().into()
        }
    }
}

/// The specification's cases: each a rule, whose id is the case's name, with its events.
pub fn conformance() -> Vec<(Rules, Vec<Json>)> {
    let text = fs::read_to_string(data("conformance.json")).expect("the cases");
    let cases: Vec<Json> = serde_json::from_str(&text).expect("JSON");
    let one = |case: &Json| {
        let mut rule = case["rule"].clone();
        rule["id"] = case["name"].clone();
        let source = Source { name: Arc::from("case"), text: rule.to_string(), built_in: false };
        let events = case["events"].as_array().expect("events");
        (Rules::new(vec![source]), events.iter().map(|event| event["event"].clone()).collect())
    };
    cases.iter().map(one).collect()
}
