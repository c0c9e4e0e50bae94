//! Sigma: rules of the community's format, run as they are.
//!
//! ```text
//! file --yaml--> tree --rule--> About + Expr --set--> index of witnesses --judge--> hits
//! ```
//!
//! Steps: [`yaml`] makes a tree with lines of the text; [`rule`] reads what a rule says of itself, [`logsource`] which
//! events it is about, [`search`] and [`condition`] make tests of its detection; [`set`] numbers the rules, finds for each
//! what every match must contain ([`witness`]) and builds the [`index`] by which an event is led to the few rules that
//! may match it. Only these are evaluated, within a [`budget`] each. Limits: bounded regular expressions, no anchors in YAML.
//!
//! The format is that of the Sigma rules specification 2.1 (github.com/SigmaHQ/sigma-specification).

pub mod among;
pub mod arrange;
pub mod budget;
pub mod condition;
pub mod correlation;
pub mod encode;
pub mod expression;
pub mod fields;
pub mod index;
pub mod intern;
mod keyed;
pub mod logsource;
mod memo;
pub mod pattern;
pub mod plan;
pub mod row;
pub mod rule;
pub mod scanner;
pub mod scratch;
pub mod search;
pub mod set;
pub mod test;
pub mod time;
pub mod verdicts;
pub mod witness;
pub mod yaml;
