//! The text form of Prometheus' exposition format 0.0.4.
//!
//! Families without labels and scalars always appear. A cell with labels appears always too: an absent series
//! cannot be told from a missing one in an alert rule.

use std::fmt::Write;
use std::time::Duration;

use super::family::{Counter, Family, Gauge, Histogram, Info, LabelSet, Total};

/// What a metric writes of itself.
pub(super) trait Render {
    /// `counter`, `gauge` or `histogram`.
    const TYPE: &'static str;
    /// Appends the sample lines.
    fn samples(&self, name: &str, out: &mut String);
}

fn sample(out: &mut String, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
    out.push_str(name);
    if !labels.is_empty() {
        out.push('{');
        for (i, (key, text)) in labels.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            // Writing to a String cannot fail.
            let _ = write!(out, "{comma}{key}=\"{text}\"");
        }
        out.push('}');
    }
    let _ = writeln!(out, " {value}");
}

impl Render for Counter {
    const TYPE: &'static str = "counter";
    fn samples(&self, name: &str, out: &mut String) {
        sample(out, name, &[], self.get());
    }
}

impl Render for Total {
    const TYPE: &'static str = "counter";
    fn samples(&self, name: &str, out: &mut String) {
        sample(out, name, &[], self.get());
    }
}

impl Render for Gauge {
    const TYPE: &'static str = "gauge";
    fn samples(&self, name: &str, out: &mut String) {
        sample(out, name, &[], self.get());
    }
}

impl<L: LabelSet> Render for Family<Counter, L> {
    const TYPE: &'static str = "counter";
    fn samples(&self, name: &str, out: &mut String) {
        self.cells().for_each(|(labels, cell)| sample(out, name, &labels, cell.get()));
    }
}

impl<L: LabelSet> Render for Family<Gauge, L> {
    const TYPE: &'static str = "gauge";
    fn samples(&self, name: &str, out: &mut String) {
        self.cells().for_each(|(labels, cell)| sample(out, name, &labels, cell.get()));
    }
}

impl Render for Histogram {
    const TYPE: &'static str = "histogram";
    fn samples(&self, name: &str, out: &mut String) {
        let (buckets, count, sum) = self.snapshot();
        let bucket = format!("{name}_bucket");
        for (bound, n) in Self::BOUNDS.iter().zip(buckets) {
            sample(out, &bucket, &[("le", &bound.to_string())], n);
        }
        sample(out, &bucket, &[("le", "+Inf")], count);
        sample(out, &format!("{name}_sum"), &[], Duration::as_secs_f64(&sum));
        sample(out, &format!("{name}_count"), &[], count);
    }
}

impl Render for Info {
    const TYPE: &'static str = "gauge";
    fn samples(&self, name: &str, out: &mut String) {
        let labels = self.get();
        if !labels.is_empty() {
            let labels: Vec<_> = labels.iter().map(|(k, v)| (*k, v.as_str())).collect();
            sample(out, name, &labels, 1);
        }
    }
}

/// Appends a metric with its help and type lines.
pub(super) fn metric<M: Render>(out: &mut String, name: &str, help: &str, metric: &M) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {}", M::TYPE);
    metric.samples(name, out);
}
