//! Reads one list, line by line.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::error::{Problem, Reason};
use super::parse::{self, Entry};
use super::set::Kind;

/// Bytes of a line, note and line end included.
pub const MOST_LINE_BYTES: usize = 8192;

/// Problems that are told of one file; of more, only how many there are.
pub const MOST_PROBLEMS: usize = 100;

/// Bytes read at once.
const BUFFER_BYTES: usize = 256 << 10;

/// Problems of one file.
struct Problems<'a> {
    path: &'a Path,
    all: &'a mut Vec<Problem>,
    told: usize,
    untold: u64,
}

impl Problems<'_> {
    fn add(&mut self, line: u64, reason: Reason) {
        if self.told >= MOST_PROBLEMS {
            self.untold += 1;
            return;
        }
        self.told += 1;
        self.all.push(Problem { path: self.path.to_owned(), line, reason });
    }
}

/// Gives each entry with its note, which may be empty, to `take`.
pub(super) fn read(
    path: &Path,
    most_bytes: u64,
    problems: &mut Vec<Problem>,
    mut take: impl FnMut(Entry<'_>, &[u8]),
) {
    let mut problems = Problems { path, all: problems, told: 0, untold: 0 };
    let mut reader = match open(path, most_bytes) {
        Ok(file) => BufReader::with_capacity(BUFFER_BYTES, file.take(most_bytes)),
        Err(reason) => return problems.add(0, reason),
    };
    let mut kind = None;
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let limit = MOST_LINE_BYTES as u64;
        let outcome = (&mut reader).take(limit).read_until(b'\n', &mut line);
        match outcome {
            Err(error) => {
                problems.add(0, Reason::Unreadable(error));
                break;
            }
            Ok(0) => break,
            Ok(length) if length == MOST_LINE_BYTES && line.last() != Some(&b'\n') => {
                problems.add(number, Reason::LongLine(MOST_LINE_BYTES));
                if let Err(error) = reader.skip_until(b'\n') {
                    problems.add(0, Reason::Unreadable(error));
                    break;
                }
            }
            Ok(_) => {
                if let Err(reason) = take_line(&line, number, &mut kind, &mut take) {
                    problems.add(number, reason);
                }
            }
        }
    }
    if problems.untold > 0 {
        let reason = Reason::More(problems.untold);
        problems.all.push(Problem { path: path.to_owned(), line: 0, reason });
    }
}

fn take_line(
    line: &[u8],
    number: u64,
    kind: &mut Option<Kind>,
    take: &mut impl FnMut(Entry<'_>, &[u8]),
) -> Result<(), Reason> {
    let line = if number == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
    let line = line.trim_ascii();
    if line.is_empty() {
        return Ok(());
    }
    if let Some(comment) = line.strip_prefix(b"#") {
        if let Some(stated) = parse::header(comment) {
            *kind = stated?;
        }
        return Ok(());
    }
    let (text, note) = parse::columns(line);
    take(parse::entry(text, *kind)?, note);
    Ok(())
}

fn open(path: &Path, most_bytes: u64) -> Result<File, Reason> {
    // A pipe would block on opening, so it is looked at first.
    if !fs::metadata(path).map_err(Reason::Unreadable)?.is_file() {
        return Err(Reason::NotRegular);
    }
    let file = File::open(path).map_err(Reason::Unreadable)?;
    let size_bytes = file.metadata().map_err(Reason::Unreadable)?.len();
    if size_bytes > most_bytes {
        return Err(Reason::TooLarge { size_bytes, most_bytes });
    }
    Ok(file)
}
