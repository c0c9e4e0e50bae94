//! Types and labels of every metric, read from the exposition itself, so that they are what a scraper sees.

use std::collections::BTreeMap;

use sentinel_edge::event::Kind;
use sentinel_edge::metrics::{Metrics, label};

/// One metric of the rendered text.
#[derive(Default)]
pub struct Rendered {
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// Label keys in their order.
    pub labels: Vec<String>,
}

/// Every metric by name.
pub fn rendered() -> BTreeMap<String, Rendered> {
    let mut metrics: BTreeMap<String, Rendered> = BTreeMap::new();
    let mut current = String::new();
    for line in Metrics::default().render().lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type line has a name and a type");
            name.clone_into(&mut current);
            metrics.entry(current.clone()).or_default().kind = kind.to_owned();
        } else if let Some((_, rest)) = line.split_once('{').filter(|_| !line.starts_with('#')) {
            let labels = rest.split_once('}').expect("labels end").0;
            let keys =
                labels.split(',').filter_map(|pair| pair.split_once('=')).map(|(key, _)| key.to_owned());
            metrics.entry(current.clone()).or_default().labels = keys.filter(|key| key != "le").collect();
        }
    }
    metrics
}

/// Every label: key, and its values with their meanings.
pub fn labels() -> Vec<(&'static str, Vec<(&'static str, &'static str)>)> {
    macro_rules! rows {
        ($($label:ident),+) => {
            vec![$((
                <label::$label as label::Label>::KEY,
                label::$label::ALL.iter().map(|v| (v.name(), v.help())).collect(),
            )),+]
        };
    }
    let mut labels = rows![Stage, Reason, Outcome, SinkName, Ring, Program, ThreadName, Level, ErrorType];
    labels.insert(0, ("class", Kind::ALL.iter().map(|k| (k.name(), k.help())).collect()));
    labels
}
