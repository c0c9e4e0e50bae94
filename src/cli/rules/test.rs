//! `rules test`: the cases that rules bring along.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::super::{Exit, complain, print};
use crate::config::Resolved;
use crate::detect::cases;
use crate::detect::sigma::set::Gravity;

/// Arguments of `rules test`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Arguments {
    /// Files or directories of rules; the built-in ones were tested when the agent was built
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
}

/// Runs all cases. A case that fails, or a rule that is wrong, gives the exit code of a wrong configuration.
pub fn execute(arguments: &Arguments, resolved: &Resolved) -> Exit {
    let rules = match super::load(&arguments.paths, resolved) {
        Ok(rules) => rules,
        Err(exit) => return exit,
    };
    let errors: Vec<_> = rules.set.problems.iter().filter(|p| p.gravity == Gravity::Error).collect();
    errors.iter().for_each(|problem| complain(format_args!("{problem}")));
    let (mut matching, mut ignored, mut failed, mut without) = (0, 0, 0, 0);
    let mut text = String::new();
    let plain = rules
        .set
        .rules()
        .iter()
        .enumerate()
        .map(|(at, rule)| (&rule.about, cases::run(&rules.set, u32::try_from(at).unwrap_or(u32::MAX))));
    let correlations = rules.set.correlations().iter().enumerate();
    let correlations = correlations.map(|(at, rule)| (&rule.about, cases::run_correlation(&rules.set, at)));
    for (about, outcome) in plain.chain(correlations) {
        let (must, must_not) = outcome.counts;
        (matching, ignored, failed) = (matching + must, ignored + must_not, failed + outcome.failures.len());
        without += usize::from(must + must_not == 0);
        for failure in outcome.failures {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}:{}: {}: {}", about.source, failure.line, about.title, failure.what);
        }
    }
    let count = rules.set.rules().len() + rules.set.correlations().len();
    let _ = writeln!(
        text,
        "{count} rules, {without} of them without cases; {matching} cases to match, {ignored} to ignore, {failed} failed"
    );
    match print(&text) {
        Exit::Ok if failed > 0 || !errors.is_empty() => Exit::Configuration,
        exit => exit,
    }
}
