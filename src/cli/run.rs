//! `sentinel-edge [run]`: the agent in the foreground.

use clap::Args;

/// Flags of `run`, which may also stand without the word `run`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Arguments {
    /// Write events to standard output too: compact for people, JSON lines, or by whether it is a terminal
    #[arg(long, value_name = "FORM", value_parser = ["auto", "compact", "json", "off"])]
    pub stdout: Option<String>,
}
