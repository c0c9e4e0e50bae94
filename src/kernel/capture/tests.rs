//! Files as they should be, cut at every byte, damaged, and of other versions.

use std::os::unix::fs::{MetadataExt as _, symlink};
use std::time::Instant;

use tempfile::TempDir;

use super::*;
use crate::event::{BootId, Host};
use crate::util::clock::Offset;

fn header() -> Header {
    Header {
        host: Host {
            name: "node-3".into(),
            hostname: "web\"1\u{fc}".into(),
            id: None,
            architecture: "x86_64".into(),
            kernel: "6.1.0-28-amd64".into(),
            os_name: Some("Debian GNU/Linux".into()),
            os_version: Some("12".into()),
            boot_id: BootId(*b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"),
            ip: vec!["192.0.2.7".into(), "2001:db8::7".into()],
        },
        clock: Offset::from_ns(1_795_230_000_123_456_789),
        agent_version: "0.1.0".into(),
    }
}

fn records() -> Vec<Vec<u8>> {
    vec![b"a".to_vec(), vec![0xff; 5000], (0..=255).collect(), vec![7; FRAME_MAX_BYTES]]
}

/// A directory with a capture of `records` in it.
fn capture(records: &[Vec<u8>]) -> (TempDir, PathBuf, Totals) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.secap");
    let mut writer = Writer::create(&path, &header(), Existing::Refuse).unwrap();
    records.iter().for_each(|record| writer.write(record).unwrap());
    let totals = writer.finish().unwrap();
    (dir, path, totals)
}

/// Every frame, then how it ended.
fn read_all<R: Read>(reader: &mut Reader<R>) -> (Vec<Vec<u8>>, Option<Error>) {
    let mut frames = Vec::new();
    while let Some(frame) = reader.next() {
        match frame {
            Ok(frame) => frames.push(frame.to_owned()),
            Err(error) => {
                assert!(reader.next().is_none(), "nothing comes after an error");
                return (frames, Some(error));
            }
        }
    }
    (frames, None)
}

fn open(bytes: &[u8]) -> Result<Reader<&[u8]>, Error> {
    Reader::new(Path::new("x.secap"), bytes)
}

#[test]
fn what_was_written_is_read_again() {
    let (_dir, path, totals) = capture(&records());
    assert_eq!(totals, Totals { frames: 4, bytes: fs::metadata(&path).unwrap().len() });
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!(*reader.header(), header());
    let (frames, end) = read_all(&mut reader);
    assert!(end.is_none() && frames == records(), "{end:?}");
    assert_eq!(reader.frames(), 4);
}

#[test]
fn a_capture_without_frames_is_one() {
    let (_dir, path, totals) = capture(&[]);
    assert_eq!(totals.frames, 0);
    assert!(Reader::open(&path).unwrap().next().is_none());
}

#[test]
fn the_file_is_for_its_owner_and_not_overwritten() {
    let (_dir, path, _) = capture(&records());
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    let before = fs::read(&path).unwrap();
    let refused = Writer::create(&path, &header(), Existing::Refuse).unwrap_err();
    assert!(matches!(refused, Error::Exists { .. }), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), before);
    Writer::create(&path, &header(), Existing::Replace).unwrap().finish().unwrap();
    assert!(fs::metadata(&path).unwrap().len() < before.len() as u64);
}

#[test]
fn replacing_follows_no_link_and_removes_no_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (target, link) = (dir.path().join("precious"), dir.path().join("link"));
    fs::write(&target, "precious").unwrap();
    symlink(&target, &link).unwrap();
    Writer::create(&link, &header(), Existing::Replace).unwrap().finish().unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"precious");
    let refused = Writer::create(dir.path(), &header(), Existing::Replace).unwrap_err();
    assert!(matches!(refused, Error::Exists { .. }), "{refused}");
}

#[test]
fn a_file_cut_anywhere_gives_its_whole_frames_and_says_what_is_missing() {
    let records = vec![b"first".to_vec(), b"second one".to_vec()];
    let (_dir, path, totals) = capture(&records);
    let bytes = fs::read(&path).unwrap();
    let start = bytes.len() - (4 + 5) - (4 + 10);
    assert_eq!(totals.bytes, bytes.len() as u64);
    for cut in 0..bytes.len() {
        let opened = open(&bytes[..cut]);
        if cut < start {
            match opened.unwrap_err() {
                Error::NotACapture { .. } => assert!(cut < MAGIC.len()),
                Error::HeaderCut { .. } => assert!(cut >= MAGIC.len()),
                other => panic!("cut at {cut}: {other}"),
            }
            continue;
        }
        let (frames, end) = read_all(&mut opened.unwrap());
        let (whole, rest) = if cut < start + 9 { (0, cut - start) } else { (1, cut - start - 9) };
        assert_eq!(frames, records[..whole], "cut at {cut}");
        match end {
            None => assert_eq!(rest, 0, "cut at {cut}"),
            Some(Error::FrameCut { frame, found, needed, .. }) => {
                let expected = if rest < 4 { 4 } else { 4 + records[whole].len() };
                assert_eq!((frame, found, needed), (whole as u64 + 1, rest, expected));
            }
            Some(other) => panic!("cut at {cut}: {other}"),
        }
    }
}

#[test]
fn impossible_frame_lengths_are_refused_on_both_sides() {
    let (_dir, path, _) = capture(&[b"first".to_vec()]);
    let whole = fs::read(&path).unwrap();
    for length in [0, FRAME_MAX_BYTES + 1, u32::MAX as usize] {
        let mut bytes = whole.clone();
        bytes.extend_from_slice(&u32::try_from(length).unwrap().to_le_bytes());
        bytes.extend_from_slice(&[0; 64]);
        let (frames, end) = read_all(&mut open(&bytes).unwrap());
        assert_eq!(frames.len(), 1);
        assert!(
            matches!(end, Some(Error::FrameLength { frame: 2, length: l, .. }) if l == length),
            "{end:?}"
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(&dir.path().join("b"), &header(), Existing::Refuse).unwrap();
    let before = writer.totals();
    for record in [vec![], vec![0; FRAME_MAX_BYTES + 1]] {
        assert!(matches!(writer.write(&record), Err(Error::FrameLength { frame: 1, .. })));
    }
    assert_eq!(writer.totals(), before);
}

#[test]
fn other_files_and_other_versions_are_named() {
    for bytes in [&b""[..], b"\x89SECAP", b"{\"json\": true}", b"\x89SECAP\n\n\x01\0\0\0"] {
        let error = open(bytes).unwrap_err().to_string();
        assert_eq!(error, "x.secap is not a capture file");
    }
    let (_dir, path, _) = capture(&[]);
    let patched = |at: usize, patch: &[u8]| {
        let mut bytes = fs::read(&path).unwrap();
        bytes[at..at + patch.len()].copy_from_slice(patch);
        open(&bytes).unwrap_err().to_string()
    };
    assert_eq!(patched(8, &2u32.to_le_bytes()), "x.secap has capture format 2, this version reads 1");
    let ours = ABI_VERSION;
    let expected = format!("x.secap has records of ABI {}, this version reads ABI {ours}", ours + 6);
    assert_eq!(patched(12, &(ours + 6).to_le_bytes()), expected);
    let expected = "x.secap has an unreadable header: 65537 bytes are more than 65536";
    assert_eq!(patched(16, &65537u32.to_le_bytes()), expected);
    assert!(patched(20, b"[").contains("unreadable header"));
}

#[test]
fn a_header_may_grow_and_must_be_whole() {
    let json = String::from_utf8(header().to_json()).unwrap();
    let grown = json.replacen('{', r#"{"something_new":[1,2],"#, 1);
    assert_eq!(Header::from_json(grown.as_bytes()), Ok(header()));
    let wrong = json.replace("00112233-4455", "0011-22334455");
    assert!(Header::from_json(wrong.as_bytes()).unwrap_err().contains("not a UUID"));
    let lacking = json.replace("wall_minus_boot_ns", "wall_minus_boot");
    assert!(Header::from_json(lacking.as_bytes()).unwrap_err().contains("wall_minus_boot_ns"));
}

#[test]
fn a_full_disk_is_an_error() {
    let path = Path::new("/dev/full");
    let file = BufWriter::with_capacity(16, File::options().write(true).open(path).unwrap());
    let mut writer = Writer { path: path.to_owned(), file, totals: Totals { frames: 0, bytes: 0 } };
    let error = writer.write(&[0; 64]).unwrap_err().to_string();
    assert!(error.starts_with("cannot write /dev/full: No space left on device"), "{error}");
}

/// `cargo test --release capture_cost -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, not a check"]
fn capture_cost() {
    const FRAMES: u32 = 1_000_000;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.secap");
    let mut writer = Writer::create(&path, &header(), Existing::Refuse).unwrap();
    let started = Instant::now();
    (0..FRAMES).for_each(|_| writer.write(&[7; 600]).unwrap());
    println!("write: {:?} a record of 600 bytes", started.elapsed() / FRAMES);
    writer.finish().unwrap();
    let mut reader = Reader::open(&path).unwrap();
    let started = Instant::now();
    while let Some(frame) = reader.next() {
        std::hint::black_box(frame.unwrap());
    }
    println!(" read: {:?}", started.elapsed() / FRAMES);
    assert_eq!(reader.frames(), u64::from(FRAMES));
}
