//! What a run of the privileged tests in a guest said of the cost of an open, by rung of the ladder.
//!
//! Trampolines are refused on some hosts, so their cost is measured in a guest, by `tests/privileged_kernel/cost.rs`,
//! which prints lines `COST hook=... open=... ns_per_open=... base_ns=... records=... kernel=...`. Their log is read
//! here; nothing is started.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;

/// One line of a guest: opens of one kind on one rung.
pub struct Cost {
    /// The guest's kernel.
    pub kernel: String,
    /// "trampoline" or "syscall".
    pub hook: String,
    /// What was opened, and how.
    pub open: String,
    /// Nanoseconds an open and close without the agent's programs.
    pub base_ns: f64,
    /// Nanoseconds an open and close with them.
    pub ns: f64,
    /// Records that the opens became.
    pub records: u64,
}

/// Where the log is looked for, from the project's directory, which is where cargo runs a benchmark.
pub fn log() -> PathBuf {
    PathBuf::from("target/guest-cost.log")
}

/// Every such line of a log, wherever in the line it begins: consoles put things before it.
pub fn costs(path: &Path) -> Result<Vec<Cost>> {
    let text = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let text = String::from_utf8_lossy(&text);
    let costs: Vec<Cost> = text.lines().filter_map(|l| cost(l.split_once("COST ")?.1)).collect();
    if costs.is_empty() {
        return Err(format!("{} has no line with COST", path.display()).into());
    }
    Ok(costs)
}

fn cost(line: &str) -> Option<Cost> {
    let words: BTreeMap<&str, &str> =
        line.split_whitespace().filter_map(|word| word.split_once('=')).collect();
    let text = |key: &str| words.get(key).map(|&value| value.to_owned());
    let number = |key: &str| words.get(key)?.parse::<f64>().ok();
    Some(Cost {
        kernel: text("kernel")?,
        hook: text("hook")?,
        open: text("open")?,
        base_ns: number("base_ns")?,
        ns: number("ns_per_open")?,
        records: words.get("records")?.parse().ok()?,
    })
}
