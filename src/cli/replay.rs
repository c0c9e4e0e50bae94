//! `sentinel-edge replay`: a recorded file through the same pipeline, from decoding to output, without root. With rules
//! it shows what they would have found.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Arguments of `replay`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Arguments {
    /// File that `record` wrote
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// File to write events to; - is standard output
    #[arg(long, short, value_name = "PATH", default_value = "-")]
    pub output: PathBuf,
    /// Overwrite the output file if it exists
    #[arg(long)]
    pub force: bool,
    /// Form of the lines
    #[arg(long, value_enum, default_value_t = Format::Json)]
    pub format: Format,
    /// Judge the events by the configured rules too, and write findings as the agent would
    #[arg(long)]
    pub judge: bool,
    /// Judge by the rules of this file or directory instead
    #[arg(long, value_name = "PATH")]
    pub rules: Vec<PathBuf>,
    /// Write findings only
    #[arg(long)]
    pub findings: bool,
    /// Directory that stands for the root of the recorded host: names of users and groups are looked up there
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
}

/// Form of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// ECS, one JSON object a line
    Json,
    /// One line for people
    Compact,
}

impl Arguments {
    /// Events are judged: any of the options about rules and findings asks for it.
    pub fn judges(&self) -> bool {
        self.judge || self.findings || !self.rules.is_empty()
    }
}
