//! `rules list`: a line for each rule.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::super::{Exit, agent, print};
use crate::config::Resolved;
use crate::detect::sigma::rule::Rule;

/// Arguments of `rules list`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Arguments {
    /// Files or directories of rules [default: those of the configuration, and the built-in ones]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

/// Lists.
pub fn execute(arguments: &Arguments, resolved: &Resolved) -> Exit {
    let rules = match super::load(&arguments.paths, resolved) {
        Ok(rules) => rules,
        Err(exit) => return exit,
    };
    let mut rows: Vec<(&Rule, bool)> = rules.set.rules().iter().zip(rules.shadow.iter().copied()).collect();
    // Other rules than the agent's may have the same ids.
    let is_ours = arguments.paths.is_empty();
    let demoted = if is_ours { agent::demoted_rules(resolved) } else { HashMap::new() };
    let stride = |rule: &Rule| demoted.get(&*rule.about.id).copied();
    rows.sort_by(|(a, _), (b, _)| {
        (a.category, b.about.level, &a.about.title).cmp(&(b.category, a.about.level, &b.about.title))
    });
    if arguments.json {
        let list: Vec<Value> =
            rows.iter().map(|(rule, shadow)| object(rule, *shadow, stride(rule))).collect();
        return print(&format!("{:#}\n", Value::from(list)));
    }
    let mut text = String::new();
    for (rule, shadow) in rows {
        let about = &rule.about;
        let mut mark = if shadow { " (shadow)" } else { "" }.to_owned();
        if let Some(stride) = stride(rule) {
            // Writing to a String cannot fail.
            let _ = write!(mark, " (costs too much: evaluated for 1 of {stride} events)");
        }
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<23} {:<13} {:<36} {}{mark}",
            rule.category.name(),
            about.level.name(),
            about.id,
            about.title
        );
    }
    print(&text)
}

fn object(rule: &Rule, shadow: bool, demoted: Option<u32>) -> Value {
    let about = &rule.about;
    json!({
        "id": about.id,
        "name": about.name,
        "title": about.title,
        "level": about.level.name(),
        "status": about.status,
        "category": rule.category.name(),
        "tags": about.tags,
        "author": about.author,
        "license": about.license,
        "source": format!("{}:{}", about.source, about.line),
        "shadow": shadow,
        "evaluated_one_in": demoted,
    })
}
