//! What an observer made of a load: events by class, further ones that they stand for, losses, bytes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::Path;

use crate::Result;
use crate::load::{Load, Run};
use crate::names::{CONNECTIONS, Line, OPENS};

/// An account of one run.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Lines written while the load ran, of any class.
    pub lines: u64,
    /// Their size.
    pub bytes: u64,
    /// Events of the load with a line of their own, by class. For a load of which not every operation must be seen, all.
    pub classes: BTreeMap<String, u64>,
    /// Further events of the load, told by lines that count them and are no event themselves.
    pub merged: u64,
    /// Events lost, as the observer says.
    pub lost: u64,
}

impl Tally {
    /// Counts the lines that the agent wrote after the first `skip` bytes.
    ///
    /// An open belongs to the load by its path, which nobody else opens; a connection by its process.
    pub fn of_lines(path: &Path, skip: u64, load: Load, files: &Path, run: &Run) -> Result<Self> {
        let mut tally = Tally { bytes: fs::metadata(path)?.len().saturating_sub(skip), ..Tally::default() };
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(skip))?;
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes)? > 0 {
            tally.lines += 1;
            let line: Line = serde_json::from_slice(&bytes)?;
            let is_ours = match load {
                Load::Opens | Load::Distinct => {
                    OPENS.contains(&line.class()) && Path::new(line.path()).starts_with(files)
                }
                Load::Tcp => line.pid() == run.pid,
                Load::Getppid | Load::Build | Load::Unwatched => true,
            };
            match line.merged() {
                0 if is_ours => *tally.classes.entry(line.class().to_owned()).or_default() += 1,
                count if is_ours => tally.merged += count,
                _ => {}
            }
            bytes.clear();
        }
        Ok(tally)
    }

    /// Events of the load that must be there, by the classes that tell them.
    fn required(&self, load: Load) -> impl Iterator<Item = u64> {
        let classes = if load == Load::Tcp { CONNECTIONS } else { OPENS };
        classes.iter().map(|class| self.classes.get(*class).copied().unwrap_or(0))
    }

    /// Lines of the events that must be there.
    pub fn seen(&self, load: Load) -> u64 {
        self.required(load).sum()
    }

    /// Events that those lines account for. A merged connection is not told in full, so it does not count.
    pub fn accounted(&self, load: Load) -> u64 {
        self.seen(load) + if load == Load::Tcp { 0 } else { self.merged }
    }

    /// Every operation is there: each open once or within a merged line, each connection with one line of either end.
    pub fn is_accounted(&self, load: Load, operations: u64) -> bool {
        if load == Load::Tcp {
            self.required(load).all(|ends| ends == operations)
        } else {
            self.accounted(load) == operations
        }
    }
}
