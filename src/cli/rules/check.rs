//! `rules check`: what is wrong, what is refused, what is odd, and what cannot fire here.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::super::{Exit, agent, plural, print};
use crate::config::Resolved;
use crate::detect::lint;
use crate::detect::load::Rules;
use crate::detect::sigma::set::Gravity;

/// Arguments of `rules check`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Arguments {
    /// Files or directories of rules [default: those of the configuration, and the built-in ones]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

/// A line of the answer.
struct Line {
    gravity: &'static str,
    place: String,
    title: Option<String>,
    what: String,
}

/// Checks and prints. Errors in rules give the exit code of a wrong configuration.
pub fn execute(arguments: &Arguments, resolved: &Resolved) -> Exit {
    let rules = match super::load(&arguments.paths, resolved) {
        Ok(rules) => rules,
        Err(exit) => return exit,
    };
    let (blind, unsure) = agent::blindness(&resolved.kernel);
    let lines = lines(&rules, &resolved.kernel.filter.watch_paths, |kind| blind.get(&kind).cloned());
    let count = |gravity: &str| lines.iter().filter(|line| line.gravity == gravity).count();
    let (errors, refused) = (count("error"), count("refused"));
    let loaded = rules.set.rules().len();
    let correlations = rules.set.correlations().len();
    let text = if arguments.json {
        json(&lines, loaded, unsure.as_deref())
    } else {
        let mut text = String::new();
        for Line { gravity, place, title, what } in &lines {
            let title = title.as_ref().map_or_else(String::new, |title| format!("{title}: "));
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{place}: {gravity}: {title}{what}");
        }
        if let Some(unsure) = unsure {
            let _ = writeln!(text, "what this host can see is not known: {unsure}");
        }
        let _ = writeln!(
            text,
            "{loaded} {} in force, {correlations} of several events, {refused} not for this agent, {errors} wrong",
            plural(loaded, "rule")
        );
        text
    };
    match print(&text) {
        Exit::Ok if errors > 0 => Exit::Configuration,
        exit => exit,
    }
}

fn lines(
    rules: &Rules,
    watch_paths: &[String],
    blind: impl Fn(crate::event::Kind) -> Option<String>,
) -> Vec<Line> {
    let mut lines: Vec<Line> = rules
        .set
        .problems
        .iter()
        .map(|problem| Line {
            gravity: match problem.gravity {
                Gravity::Error => "error",
                Gravity::Refused => "refused",
                Gravity::Remark => "remark",
            },
            place: format!("{}:{}", problem.source, problem.line),
            title: problem.title.as_deref().map(str::to_owned),
            what: problem.what.clone(),
        })
        .collect();
    for remark in lint::remarks(&rules.set, watch_paths, blind) {
        let Some(rule) = rules.set.rules().get(remark.rule as usize) else { continue };
        lines.push(Line {
            gravity: if remark.is_blind { "blind" } else { "remark" },
            place: format!("{}:{}", rule.about.source, rule.about.line),
            title: Some(rule.about.title.to_string()),
            what: remark.what,
        });
    }
    lines
}

fn json(lines: &[Line], loaded: usize, unsure: Option<&str>) -> String {
    let line = |line: &Line| json!({ "gravity": line.gravity, "place": line.place, "rule": line.title, "what": line.what });
    let answer = json!({
        "rules": loaded,
        "problems": lines.iter().map(line).collect::<Vec<Value>>(),
        "host_unknown": unsure,
    });
    format!("{answer:#}\n")
}
