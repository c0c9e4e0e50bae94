//! What a sudden end leaves behind: a torn last line, which is cut off, and the number of the last event, from
//! which the next run counts on.
//!
//! A write call that is cut short by kill -9 or a power loss leaves a line without its newline, or a run of NULs
//! where a file system had grown the file but not filled it. Neither contains a newline, so everything behind the
//! last newline goes. Only the end of the file is ever read, whatever its size, except of a compressed one.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::Deserialize;

use super::rotate;

/// Bytes that are read at a time, backwards.
const BLOCK: usize = 64 * 1024;
/// How far back from the end a numbered line is looked for: several of the longest lines.
const LOOK_BACK: usize = 8 * 1024 * 1024;

/// Cuts the file after its last newline. The number of bytes that went, 0 if the file was whole.
pub(super) fn cut_torn_line(file: &File) -> io::Result<u64> {
    let len = file.metadata()?.len();
    let whole = end_of_last_line(file, len)?;
    if whole < len {
        file.set_len(whole)?;
    }
    Ok(len - whole)
}

fn end_of_last_line(file: &File, len: u64) -> io::Result<u64> {
    let mut block = vec![0; BLOCK];
    let mut end = len;
    while end > 0 {
        let start = end.saturating_sub(BLOCK as u64);
        let part = &mut block[..usize::try_from(end - start).unwrap_or(BLOCK)];
        file.read_exact_at(part, start)?;
        if let Some(newline) = memchr::memrchr(b'\n', part) {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Boot id and sequence number of the last event in the log at `path`, told by a line about lost events too; if
/// the log holds none, of the newest rotated file that does. `None` if there is none, or nothing is readable:
/// counting then begins anew, which is what a missing log means.
///
/// Call it before the sinks start. It reads the last 8 MiB of a file at most.
pub fn last_sequence(path: &Path) -> Option<(String, u64)> {
    let newest_first = || rotate::list(path).unwrap_or_default().into_iter().rev();
    let current = tail(path, false).ok().and_then(|tail| search(&tail));
    current.or_else(|| newest_first().find_map(|r| search(&tail(&r.path, r.compressed).ok()?)))
}

/// The end of the file.
fn tail(path: &Path, compressed: bool) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if compressed {
        return compressed_tail(&file);
    }
    let len = file.metadata()?.len();
    let start = len.saturating_sub(LOOK_BACK as u64);
    let mut bytes = vec![0; usize::try_from(len - start).unwrap_or(LOOK_BACK)];
    file.read_exact_at(&mut bytes, start)?;
    Ok(bytes)
}

/// A compressed file can be read from its beginning only; memory stays within two look-backs.
fn compressed_tail(file: &File) -> io::Result<Vec<u8>> {
    let mut reader = flate2::read::MultiGzDecoder::new(file);
    let mut bytes = Vec::new();
    let mut block = vec![0; BLOCK];
    loop {
        let n = reader.read(&mut block)?;
        if n == 0 {
            return Ok(bytes);
        }
        bytes.extend_from_slice(&block[..n]);
        if bytes.len() > 2 * LOOK_BACK {
            bytes.drain(..bytes.len() - LOOK_BACK);
        }
    }
}

#[derive(Deserialize)]
struct Numbered<'a> {
    #[serde(borrow)]
    event: EventPart<'a>,
    #[serde(borrow)]
    host: HostPart<'a>,
    #[serde(default)]
    sentineledge: Own,
}

#[derive(Deserialize)]
struct EventPart<'a> {
    sequence: Option<u64>,
    #[serde(borrow)]
    action: Option<&'a str>,
}

#[derive(Deserialize)]
struct HostPart<'a> {
    #[serde(borrow)]
    boot: BootPart<'a>,
}

#[derive(Deserialize)]
struct BootPart<'a> {
    id: &'a str,
}

#[derive(Default, Deserialize)]
struct Own {
    loss: Option<LossPart>,
}

#[derive(Deserialize)]
struct LossPart {
    last_sequence: u64,
}

/// The last whole line with a number.
fn search(tail: &[u8]) -> Option<(String, u64)> {
    let whole = &tail[..memchr::memrchr(b'\n', tail)?];
    whole.rsplit(|byte| *byte == b'\n').find_map(|line| {
        let line: Numbered<'_> = serde_json::from_slice(line).ok()?;
        let lost = line.sentineledge.loss.filter(|_| line.event.action == Some("events_lost"));
        let sequence = line.event.sequence.or_else(|| lost.map(|loss| loss.last_sequence))?;
        Some((line.host.boot.id.to_owned(), sequence))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    fn event(sequence: u64) -> String {
        format!(
            "{{\"event\":{{\"action\":\"exec\",\"sequence\":{sequence}}},\"host\":{{\"boot\":{{\"id\":\"b-1\"}}}}}}\n"
        )
    }

    const STATE: &str = "{\"event\":{\"action\":\"agent_stopped\"},\"host\":{\"boot\":{\"id\":\"b-1\"}},\"sentineledge\":{}}\n";

    #[test]
    fn everything_behind_the_last_newline_goes() {
        let long = "x".repeat(3 * BLOCK);
        for (content, left) in [
            (String::new(), 0),
            ("{}\n".to_owned(), 3),
            ("{}\n{\"a\":".to_owned(), 3),
            (long.clone(), 0),
            (format!("{{}}\n{long}"), 3),
            (format!("{{}}\n{}", "\0".repeat(2 * BLOCK + 5)), 3),
            (format!("{long}\n{{"), 3 * BLOCK + 1),
        ] {
            let file = tempfile::tempfile().unwrap();
            file.write_all_at(content.as_bytes(), 0).unwrap();
            assert_eq!(cut_torn_line(&file).unwrap(), (content.len() - left) as u64);
            assert_eq!(file.metadata().unwrap().len(), left as u64);
        }
    }

    #[test]
    fn the_last_number_is_found_behind_other_lines() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("sentinel.log");
        assert_eq!(last_sequence(&log), None);
        let torn = &event(44)[..20];
        fs::write(&log, format!("{}{}{STATE}not json\n{torn}", event(41), event(42))).unwrap();
        assert_eq!(last_sequence(&log), Some(("b-1".to_owned(), 42)));

        let lost = "{\"event\":{\"action\":\"events_lost\"},\"host\":{\"boot\":{\"id\":\"b-1\"}},\
                    \"sentineledge\":{\"loss\":{\"last_sequence\":99}}}\n";
        fs::write(&log, format!("{}{lost}", event(42))).unwrap();
        assert_eq!(last_sequence(&log), Some(("b-1".to_owned(), 99)), "numbers of lost events are used up");
    }

    #[test]
    fn an_empty_log_leaves_it_to_the_newest_rotated_file() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("sentinel.log");
        fs::write(&log, STATE).unwrap();
        fs::write(dir.path().join("sentinel.log.2026-11-20T000000.000Z"), event(7)).unwrap();
        let packed = File::create(dir.path().join("sentinel.log.2026-11-21T000000.000Z.gz")).unwrap();
        let mut packer = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
        for sequence in 8..100_000 {
            packer.write_all(event(sequence).as_bytes()).unwrap();
        }
        packer.finish().unwrap();
        assert_eq!(last_sequence(&log), Some(("b-1".to_owned(), 99_999)));
        fs::write(dir.path().join("sentinel.log.2026-11-22T000000.000Z.gz"), b"broken").unwrap();
        assert_eq!(
            last_sequence(&log),
            Some(("b-1".to_owned(), 99_999)),
            "an unreadable file is passed over"
        );
    }
}
