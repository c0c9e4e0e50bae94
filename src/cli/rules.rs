//! `sentinel-edge rules`: look at rules without running the agent.
//!
//! One file per command. All of them take the rules that the configuration names, or those of a file or directory that is
//! given. None needs root; what a host can feed is known in part without.

pub mod bench;
pub mod check;
pub mod explain;
pub mod list;
pub mod test;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::{Exit, complain};
use crate::config::Resolved;
use crate::detect;
use crate::detect::load::Rules;

/// Arguments of `rules`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Arguments {
    /// What to do with them.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do with rules.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Say what is wrong or odd about rules, and which cannot fire on this host
    Check(check::Arguments),
    /// List rules
    List(list::Arguments),
    /// Run the cases that rules bring along
    Test(test::Arguments),
    /// Measure how fast events are judged
    Bench(bench::Arguments),
    /// Say which rules match an event, and which tests made them
    Explain(explain::Arguments),
}

/// Does it.
pub fn execute(arguments: &Arguments, resolved: &Resolved) -> Exit {
    match &arguments.command {
        Command::Check(arguments) => check::execute(arguments, resolved),
        Command::List(arguments) => list::execute(arguments, resolved),
        Command::Test(arguments) => test::execute(arguments, resolved),
        Command::Bench(arguments) => bench::execute(arguments, resolved),
        Command::Explain(arguments) => explain::execute(arguments, resolved),
    }
}

/// The rules of these paths, or of the configuration if there are none; an exit if a path does not exist.
pub(super) fn load(paths: &[PathBuf], resolved: &Resolved) -> Result<Rules, Exit> {
    let mut config = detect::Config { enabled: true, ..resolved.detect.clone() };
    if paths.is_empty() {
        return Ok(Rules::load(&config, 1).0);
    }
    config.built_in = false;
    let mut found = detect::load::Found::default();
    for path in paths {
        exists(path)?;
        let more = detect::load::read(path);
        found.sources.extend(more.sources);
        found.lists.extend(more.lists);
        found.problems.extend(more.problems);
    }
    let mut set = detect::sigma::set::Set::new(&found.sources, &found.lists);
    set.problems.append(&mut found.problems);
    Ok(Rules::of(set, &config.shadow, 1))
}

fn exists(path: &Path) -> Result<(), Exit> {
    match std::fs::metadata(path) {
        Ok(_) => Ok(()),
        Err(error) => {
            complain(format_args!("sentinel-edge: {}: {error}", path.display()));
            Err(Exit::Usage)
        }
    }
}
