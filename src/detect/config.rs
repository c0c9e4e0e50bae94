//! What detection needs to know of the configuration: section `[security]`.

use std::path::PathBuf;

pub use super::sigma::rule::Level;

/// Resolved settings of detection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Judge events at all.
    pub enabled: bool,
    /// Write findings to the destinations of events.
    pub log_findings: bool,
    /// Let rules fire that look for the unusual.
    pub anomalies: bool,
    /// The operator's rules; it need not exist.
    pub rules_dir: PathBuf,
    /// Lists of indicators; it need not exist.
    pub indicators_dir: PathBuf,
    /// Use the rules that come with the agent.
    pub built_in: bool,
    /// Ids or names of rules that are not loaded.
    pub disabled: Vec<String>,
    /// Ids or names of rules that are counted and write no findings.
    pub shadow: Vec<String>,
    /// Findings of milder rules are counted only.
    pub min_level: Level,
    /// Share of one core that a rule may use, percent; 0: any.
    pub rule_percent: u32,
    /// Memory for what process trees did lately; 0: none.
    pub trail_bytes: usize,
}
