//! `sentinel-edge replay`: a recorded file through the same pipeline, from decoding to output, without root.

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
