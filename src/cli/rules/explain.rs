//! `rules explain`: an event, the rules that match it, and why.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use super::super::{Exit, complain, print};
use crate::config::Resolved;
use crate::detect::judge;
use crate::detect::load::Rules;
use crate::detect::sigma::logsource::Category;
use crate::detect::sigma::row::{Row, Slot};
use crate::detect::sigma::scratch::Scratch;
use crate::detect::view::flat::Flat;
use crate::detect::view::line::Line;
use crate::event::Kind;

/// Arguments of `rules explain`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Arguments {
    /// A line of the agent's log, or an object of Sigma's fields with a `category`; - is standard input, @FILE a file
    #[arg(value_name = "EVENT")]
    pub event: String,
    /// Files or directories of rules [default: those of the configuration, and the built-in ones]
    #[arg(long, value_name = "PATH")]
    pub rules: Vec<PathBuf>,
}

/// Explains the event.
pub fn execute(arguments: &Arguments, resolved: &Resolved) -> Exit {
    let rules = match super::load(&arguments.rules, resolved) {
        Ok(rules) => rules,
        Err(exit) => return exit,
    };
    let text = match read(&arguments.event) {
        Ok(text) => text,
        Err(why) => {
            complain(format_args!("sentinel-edge: {why}"));
            return Exit::Usage;
        }
    };
    let event: Value = match serde_json::from_str(&text) {
        Ok(event) => event,
        Err(why) => {
            complain(format_args!("sentinel-edge: the event is no JSON: {why}"));
            return Exit::Usage;
        }
    };
    print(&explain(&rules, &event))
}

fn read(event: &str) -> Result<String, String> {
    let mut text = String::new();
    match (event, event.strip_prefix('@')) {
        ("-", _) => std::io::stdin()
            .read_to_string(&mut text)
            .map(|_| text)
            .map_err(|e| format!("standard input: {e}")),
        (_, Some(path)) => std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}")),
        _ => Ok(event.to_owned()),
    }
}

/// Which rules match, in the categories that the event is of.
fn explain(rules: &Rules, event: &Value) -> String {
    let mut out = String::new();
    let mut scratch = Scratch::default();
    let class = event.pointer("/sentineledge/class").and_then(Value::as_str).and_then(Kind::from_name);
    let named = event.get("category").and_then(Value::as_str);
    let categories: Vec<Category> = match class {
        Some(kind) => Category::ALL.iter().copied().filter(|c| c.kinds().contains(&kind)).collect(),
        None => Category::ALL.iter().copied().filter(|c| named.is_none_or(|name| name == c.name())).collect(),
    };
    for category in categories {
        let Some(wanted) = rules.set.wanted(category) else { continue };
        if class.is_some() {
            let found = Line::new(event, category).values(wanted, &rules.set.names, |_| false);
            let slices = found.slices();
            let mut row = Row::default();
            for (field, range) in &found.slots {
                row.set(*field, Slot::any(slices.get(range.clone()).unwrap_or_default()));
            }
            let failed = event.pointer("/event/outcome").is_some_and(|outcome| outcome == "failure");
            tell(rules, category, &row, failed, &mut scratch, &mut out);
        } else {
            let flat = Flat::of_json(event);
            flat.with_row(&rules.set.names, |row| {
                tell(rules, category, row, flat.has_failed(), &mut scratch, &mut out);
            });
        }
    }
    if out.is_empty() {
        out.push_str("no rule matches\n");
    }
    out
}

fn tell(
    rules: &Rules,
    category: Category,
    row: &Row<'_>,
    failed: bool,
    scratch: &mut Scratch,
    out: &mut String,
) {
    let mut numbers = Vec::new();
    rules.set.judge(category, row, failed, scratch, |number| numbers.push(number));
    for number in numbers {
        let Some(rule) = rules.set.rules().get(number as usize) else { continue };
        let about = &rule.about;
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{} ({}, {}) {}:{}",
            about.title,
            about.level,
            category.name(),
            about.source,
            about.line
        );
        for (field, value) in judge::matched(rules, number, row, scratch) {
            let _ = writeln!(out, "    {field}: {value}");
        }
    }
}
