//! A panel: what it shows of a metric, which follows from the metric's type, labels and name, and how Grafana has it.

use sentinel_edge::metrics::table::Description;
use serde_json::{Value, json};

use crate::exposition::rendered;
use crate::layout::WHERE;

/// How values are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Over time.
    Lines,
    /// The last value, as yes or no.
    Verdict,
    /// The last value.
    Number,
    /// The labels of the series.
    Name,
}

/// What a panel shows.
#[derive(Debug)]
pub struct Panel {
    pub title: String,
    pub description: String,
    pub unit: &'static str,
    pub style: Style,
    /// Expression and legend.
    pub targets: Vec<(String, String)>,
}

/// Words of names that are written otherwise in titles.
const WORDS: &[(&str, &str)] =
    &[("bpf", "BPF"), ("cpu", "CPU"), ("http", "HTTP"), ("fds", "descriptors"), ("cgroup", "control group")];

/// What a name ends with that the unit says already.
const ENDS: &[&str] = &["_total", "_timestamp_seconds", "_seconds", "_bytes", "_percent", "_info"];

fn title(name: &str) -> String {
    let mut rest = name.strip_prefix("sentinel_").unwrap_or(name);
    while let Some(shorter) = ENDS.iter().find_map(|end| rest.strip_suffix(end)) {
        rest = shorter;
    }
    let spelt = |word| WORDS.iter().find_map(|&(from, to)| (from == word).then_some(to)).unwrap_or(word);
    let words = rest.split('_').map(spelt).collect::<Vec<_>>().join(" ");
    let (first, others) = words.split_at(1);
    first.to_uppercase() + others
}

/// The labels to tell apart. A class beside other labels would be hundreds of lines; the row of classes has it.
fn grouping(labels: &[String]) -> Vec<&str> {
    let labels = labels.iter().map(String::as_str);
    if labels.len() > 1 { labels.filter(|label| *label != "class").collect() } else { labels.collect() }
}

/// The panel of a metric.
pub fn of_metric(metric: &Description) -> Panel {
    let shape = &rendered()[metric.name];
    let name = metric.name;
    let labels = grouping(&shape.labels);
    let legend = ["instance"].iter().chain(&labels).map(|label| format!("{{{{{label}}}}}"));
    let legend = legend.collect::<Vec<_>>().join(" ");
    let by = ["instance"].iter().chain(&labels).copied().collect::<Vec<_>>().join(", ");
    let selector = format!("{name}{{{WHERE}}}");
    let is_time = name.ends_with("_timestamp_seconds") || name.ends_with("_start_time_seconds");
    let (unit, style, targets) = match shape.kind.as_str() {
        "histogram" => {
            let quantile = |share: &str| {
                let rate = format!("rate({name}_bucket{{{WHERE}}}[$__rate_interval])");
                let expression = format!("histogram_quantile({share}, sum by (instance, le) ({rate}))");
                (expression, format!("{{{{instance}}}} {share}"))
            };
            ("s", Style::Lines, ["0.5", "0.9", "0.99"].map(quantile).to_vec())
        }
        "counter" => {
            let unit = match name {
                _ if name.ends_with("_bytes_total") => "binBps",
                // Seconds in a second.
                _ if name.ends_with("_seconds_total") => "percentunit",
                _ => "cps",
            };
            (
                unit,
                Style::Lines,
                vec![(format!("sum by ({by}) (rate({selector}[$__rate_interval]))"), legend)],
            )
        }
        // Grafana counts time in milliseconds. What has not been is left out rather than shown as half a century ago.
        _ if is_time => {
            ("dateTimeFromNow", Style::Number, vec![(format!("({selector} > 0) * 1000"), legend)])
        }
        _ if metric.shape == "Info" => ("short", Style::Name, vec![(selector, String::new())]),
        _ if metric.help.starts_with("1 if ") => ("short", Style::Verdict, vec![(selector, legend)]),
        _ => {
            let unit = match name {
                _ if name.ends_with("_bytes") => "bytes",
                _ if name.ends_with("_seconds") => "s",
                _ if name.ends_with("_percent") => "percent",
                _ => "short",
            };
            (unit, Style::Lines, vec![(selector, legend)])
        }
    };
    Panel { title: title(name), description: metric.help.to_owned(), unit, style, targets }
}

/// Where the values come from: whichever Prometheus was chosen.
pub fn source() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

impl Panel {
    /// Width and height in the grid of 24 columns.
    pub fn size(&self) -> (u32, u32) {
        match self.style {
            Style::Lines => (8, 8),
            Style::Name => (12, 4),
            Style::Verdict | Style::Number => (6, 4),
        }
    }

    /// The panel as Grafana has it.
    pub fn json(&self, id: usize, x: u32, y: u32) -> Value {
        let (w, h) = self.size();
        let is_lines = self.style == Style::Lines;
        let targets = self.targets.iter().zip("ABC".chars()).map(|((expression, legend), letter)| {
            json!({
                "refId": letter.to_string(), "datasource": source(), "expr": expression,
                "legendFormat": legend, "range": is_lines, "instant": !is_lines,
            })
        });
        let mut defaults = json!({ "unit": self.unit });
        match self.style {
            Style::Lines => {
                let is_rate = self.targets.iter().any(|(expression, _)| expression.contains("rate("));
                defaults["min"] = json!(0);
                defaults["color"] = json!({ "mode": "palette-classic" });
                defaults["custom"] = json!({
                    "drawStyle": "line", "lineWidth": 1, "fillOpacity": if is_rate { 10 } else { 0 },
                    "showPoints": "never",
                });
            }
            Style::Verdict => {
                defaults["mappings"] = json!([{ "type": "value", "options": {
                    "0": { "text": "no", "color": "red" }, "1": { "text": "yes", "color": "green" },
                }}]);
            }
            Style::Number | Style::Name => {}
        }
        json!({
            "id": id,
            "type": if is_lines { "timeseries" } else { "stat" },
            "title": self.title,
            "description": self.description,
            "datasource": source(),
            "gridPos": { "x": x, "y": y, "w": w, "h": h },
            "targets": targets.collect::<Vec<_>>(),
            "fieldConfig": { "defaults": defaults, "overrides": [] },
            "options": self.options(),
        })
    }

    fn options(&self) -> Value {
        if self.style == Style::Lines {
            // The largest stand first, as a class or a program has many lines.
            return json!({
                "legend": {
                    "displayMode": "table", "placement": "bottom", "showLegend": true,
                    "calcs": ["lastNotNull", "max"], "sortBy": "Max", "sortDesc": true,
                },
                "tooltip": { "mode": "multi", "sort": "desc" },
            });
        }
        json!({
            "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
            "orientation": "auto",
            "colorMode": if self.style == Style::Verdict { "background" } else { "none" },
            "graphMode": "none",
            "justifyMode": "auto",
            "textMode": if self.style == Style::Name { "name" } else { "auto" },
            "wideLayout": true,
            "showPercentChange": false,
            "percentChangeColorMode": "standard",
        })
    }
}
