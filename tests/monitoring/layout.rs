//! Which row of the dashboard a metric belongs to, by the beginning of its name, and the panels that no single metric
//! gives. A new metric needs nothing here unless it begins a new subject: what no row claims is a resource.

use sentinel_edge::metrics::{Metrics, Reason};

use crate::panel::{Panel, Style, of_metric};

/// What every selector asks for. The job is named because others expose the conventional metrics of a process too.
pub const WHERE: &str = r#"job="sentineledge",instance=~"$instance""#;

/// Rows, and how the names of their metrics begin. The first row that claims a metric has it.
const ROWS: &[(&str, &[&str])] = &[
    (
        "Health and truth of the agent",
        &[
            "sentinel_healthy",
            "sentinel_ready",
            "sentinel_canary_",
            "sentinel_sensor_",
            "sentinel_events_dropped_",
            "sentinel_bpf_program_misses_",
            "sentinel_bpf_program_attached",
            "sentinel_errors_",
            "sentinel_threads_",
            "sentinel_build_",
            "sentinel_config_",
        ],
    ),
    ("Events by class", &["sentinel_events_", "sentinel_truncated_"]),
    (
        "Detection and findings",
        &["sentinel_finding", "sentinel_rule", "sentinel_hashes_", "sentinel_indicators_"],
    ),
    ("Sinks", &["sentinel_sink_", "sentinel_log_", "sentinel_tail_"]),
    ("Kernel side", &["sentinel_ring_", "sentinel_bpf_"]),
    ("Processes, control groups and names", &["sentinel_process_", "sentinel_cgroup_", "sentinel_names_"]),
    ("Resources", &[""]),
];

/// Panels that join several series, with the row that they stand first in.
fn joined() -> Vec<(&'static str, Panel)> {
    let kept: Vec<&str> = Reason::ALL.iter().filter(|r| !r.is_loss()).map(|r| r.name()).collect();
    let lost = format!("sentinel_events_dropped_total{{{WHERE},reason!~\"{}\"}}", kept.join("|"));
    let lost_by = |label: &str| format!("sum by (instance, {label}) (rate({lost}[$__rate_interval]))");
    let gaps = format!("sentineledge:ledger_gap:events{{{WHERE}}}");
    let (health, events) = (ROWS[0].0, ROWS[1].0);
    let table = [
        (
            health,
            "Agents that answer",
            "1 while Prometheus reaches the agent.",
            ("short", format!("up{{{WHERE}}}"), "{{instance}}"),
        ),
        (
            health,
            "Gaps in the books",
            "Events that are neither delivered nor counted as lost, by account. Small while events are on their way, 0 \
             at rest. Recorded by the rules of alerts.yml, which Prometheus must have loaded.",
            ("short", format!("sum by (instance, account) (abs({gaps}))"), "{{instance}} {{account}}"),
        ),
        (
            health,
            "Losses",
            "Events that are missing, by reason. What was left out on purpose, or is told in another event, is not \
             among them.",
            ("cps", lost_by("reason"), "{{instance}} {{reason}}"),
        ),
        (
            events,
            "Losses by class",
            "Events that are missing, by class.",
            ("cps", lost_by("class"), "{{instance}} {{class}}"),
        ),
    ];
    let panel = |(row, title, description, (unit, expression, legend)): (_, &str, &str, (_, _, &str))| {
        let targets = vec![(expression, legend.to_owned())];
        let (title, description) = (title.to_owned(), description.to_owned());
        (row, Panel { title, description, unit, style: Style::Lines, targets })
    };
    table.map(panel).into()
}

/// The rows with their panels: single values before lines, and in the order of the row's beginnings.
pub fn rows() -> Vec<(&'static str, Vec<Panel>)> {
    let mut rows: Vec<_> = ROWS.iter().map(|(title, _)| (*title, Vec::new())).collect();
    let joined = joined().into_iter().map(|(title, panel)| (title, 0, panel));
    let metrics = Metrics::DESCRIPTIONS.iter().map(|metric| {
        let claims = |prefixes: &[&str]| prefixes.iter().position(|prefix| metric.name.starts_with(prefix));
        let claimed = ROWS.iter().find_map(|(title, prefixes)| Some((*title, claims(prefixes)?)));
        let (title, place) = claimed.expect("the last row claims all");
        (title, place + 1, of_metric(metric))
    });
    for (title, place, panel) in joined.chain(metrics) {
        let row = rows.iter_mut().find(|(row, _)| *row == title).expect("a row of the list");
        row.1.push((place, panel));
    }
    let sorted = rows.into_iter().map(|(title, mut panels)| {
        panels.sort_by_key(|(place, panel)| (panel.style == Style::Lines, *place));
        (title, panels.into_iter().map(|(_, panel)| panel).collect())
    });
    sorted.collect()
}
