//! Rotated files: their names, which there are, and which must go.
//!
//! `sentinel.log` becomes `sentinel.log.2026-11-22T041507.123Z`, later with `.gz`: the moment of rotation, in
//! UTC. Names sort by age, never clash (a moment that is taken, or before the newest file's, becomes the next
//! free millisecond after it) and never change, so a shipper that knows a file goes on knowing it. Everything
//! else in the directory is left alone.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::calendar::{civil, days_from_civil};

/// Nanoseconds of a day.
pub(super) const DAY_NS: u64 = 86_400_000_000_000;

/// A rotated file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rotated {
    /// The moment of rotation, as in the name.
    pub(super) stamp: String,
    /// It is compressed.
    pub(super) compressed: bool,
    /// Where it is.
    pub(super) path: PathBuf,
}

/// Rotated files of the log at `path`, oldest first; one that exists plain and compressed occurs twice.
pub(super) fn list(path: &Path) -> io::Result<Vec<Rotated>> {
    let (directory, name) = split(path);
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let entry_name = entry.file_name();
        let Some(rest) = suffix(&entry_name, name) else { continue };
        let (stamp, compressed) = match rest.strip_suffix(".gz") {
            Some(stamp) => (stamp, true),
            None => (rest, false),
        };
        if is_stamp(stamp) {
            found.push(Rotated { stamp: stamp.to_owned(), compressed, path: entry.path() });
        }
    }
    found.sort();
    Ok(found)
}

/// Temporary files that a compression left behind when it was interrupted.
pub(super) fn leftovers(path: &Path) -> io::Result<Vec<PathBuf>> {
    let (directory, name) = split(path);
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let entry_name = entry.file_name();
        let stamp = suffix(&entry_name, name).and_then(|rest| rest.strip_suffix(".gz.tmp"));
        if stamp.is_some_and(is_stamp) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// The name for a file that is rotated at `now_ns`.
pub(super) fn target(path: &Path, now_ns: u64, newest: Option<&Rotated>) -> PathBuf {
    let mut ms = now_ns / 1_000_000;
    if let Some(newest) = newest.and_then(|n| parse_stamp(&n.stamp)) {
        ms = ms.max(newest + 1);
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(stamp(ms));
    PathBuf::from(name)
}

/// Deletes what is more than `max_files` or was last written more than `max_age_days` before `now_ns`.
pub(super) fn prune(
    path: &Path,
    max_files: usize,
    max_age_days: Option<u32>,
    now_ns: u64,
) -> io::Result<usize> {
    let mut files = list(path)?;
    let now = UNIX_EPOCH + Duration::from_nanos(now_ns);
    let age = |file: &Rotated| {
        let written =
            fs::metadata(&file.path).and_then(|meta| meta.modified()).unwrap_or_else(|_| SystemTime::now());
        now.duration_since(written).unwrap_or_default()
    };
    // Newest first; plain and compressed forms of one file are one.
    files.reverse();
    let mut distinct = 0;
    let mut last_stamp = String::new();
    let mut deleted = 0;
    for file in files {
        if file.stamp != last_stamp {
            distinct += 1;
            last_stamp.clone_from(&file.stamp);
        }
        let too_old = max_age_days.is_some_and(|days| age(&file) > Duration::from_nanos(DAY_NS) * days);
        if distinct > max_files || too_old {
            fs::remove_file(&file.path)?;
            deleted += 1;
        }
    }
    Ok(deleted)
}

/// Directory and file name of the log.
pub(super) fn split(path: &Path) -> (&Path, &OsStr) {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    (directory, path.file_name().unwrap_or_default())
}

/// What follows `name` and a dot.
fn suffix<'a>(entry: &'a OsStr, name: &OsStr) -> Option<&'a str> {
    let rest = entry.as_encoded_bytes().strip_prefix(name.as_encoded_bytes())?.strip_prefix(b".")?;
    std::str::from_utf8(rest).ok()
}

/// `2026-11-22T041507.123Z`.
pub(super) fn stamp(ms: u64) -> String {
    let (days, ms) = (ms / 86_400_000, ms % 86_400_000);
    let (year, month, day) = civil(days);
    let s = ms / 1000;
    format!("{year:04}-{month:02}-{day:02}T{:02}{:02}{:02}.{:03}Z", s / 3600, s / 60 % 60, s % 60, ms % 1000)
}

fn is_stamp(text: &str) -> bool {
    const SHAPE: &[u8] = b"dddd-dd-ddTdddddd.dddZ";
    let fits = |(c, shape): (&u8, &u8)| if *shape == b'd' { c.is_ascii_digit() } else { c == shape };
    text.len() == SHAPE.len() && text.as_bytes().iter().zip(SHAPE).all(fits)
}

/// Milliseconds since the Unix epoch.
fn parse_stamp(text: &str) -> Option<u64> {
    if !is_stamp(text) {
        return None;
    }
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    let days = days_from_civil(number(0, 4)?, number(5, 7)?, number(8, 10)?)?;
    let seconds = number(11, 13)? * 3600 + number(13, 15)? * 60 + number(15, 17)?;
    Some((days * 86_400 + seconds) * 1000 + number(18, 21)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_sort_by_time_and_come_back() {
        assert_eq!(stamp(1_795_320_907_123), "2026-11-22T041507.123Z");
        assert_eq!(stamp(951_782_400_000), "2000-02-29T000000.000Z");
        let mut last = String::new();
        for ms in (0..4_102_444_800_000).step_by(86_399_977 * 13) {
            let text = stamp(ms);
            assert_eq!(parse_stamp(&text), Some(ms), "{text}");
            assert!(text > last);
            last = text;
        }
        for foreign in ["1", "2026-11-22", "2026-13-22T041507.123Z", "2026-11-22T041507.123Z.bak"] {
            assert_eq!(parse_stamp(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_name_is_never_used_twice_even_if_the_clock_goes_back() {
        let log = Path::new("/x/sentinel.log");
        let first = target(log, 1_795_320_907_123_000_000, None);
        assert_eq!(first, Path::new("/x/sentinel.log.2026-11-22T041507.123Z"));
        let newest = Rotated { stamp: "2026-11-22T041507.123Z".to_owned(), compressed: true, path: first };
        let later = target(log, 1_000_000_000_000_000_000, Some(&newest));
        assert_eq!(later, Path::new("/x/sentinel.log.2026-11-22T041507.124Z"));
    }

    #[test]
    fn prune_keeps_the_newest_and_what_is_not_ours() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("sentinel.log");
        let now_ns = 1_795_320_907_123_000_000;
        let touch = |name: &str, days_ago: u64| {
            let file = fs::File::create(dir.path().join(name)).unwrap();
            let at = UNIX_EPOCH + Duration::from_nanos(now_ns - days_ago * DAY_NS);
            file.set_modified(at).unwrap();
        };
        touch("sentinel.log", 0);
        touch("sentinel.log.2026-11-18T000000.000Z.gz", 4);
        touch("sentinel.log.2026-11-19T000000.000Z.gz", 3);
        touch("sentinel.log.2026-11-20T000000.000Z", 2);
        touch("sentinel.log.2026-11-20T000000.000Z.gz", 2);
        touch("sentinel.log.2026-11-21T000000.000Z", 1);
        touch("sentinel.log.1", 90);
        touch("sentinel.log.bak.gz", 90);
        touch("other.log.2026-11-18T000000.000Z", 90);
        let left = || {
            let mut names: Vec<_> =
                list(&log).unwrap().into_iter().map(|r| r.stamp[8..10].to_owned()).collect();
            names.dedup();
            names
        };
        assert_eq!(prune(&log, 3, None, now_ns).unwrap(), 1);
        assert_eq!(left(), ["19", "20", "21"]);
        assert_eq!(prune(&log, 3, Some(1), now_ns).unwrap(), 3);
        assert_eq!(left(), ["21"]);
        assert_eq!(prune(&log, 0, None, now_ns).unwrap(), 1);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4, "the log and foreign files stay");
    }
}
