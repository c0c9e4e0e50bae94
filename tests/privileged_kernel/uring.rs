//! What runs through an io_uring makes the events of the system call that does the same: done by the submitting
//! thread, by the thread that polls the queue and by a worker.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::libc;
use nix::sys::wait::WaitStatus;
use sentinel_edge::event::{Body, File, FileOp, Kind};
use sentinel_edge::kernel::plan::Planned;

use crate::rig::{Options, Rig, bytes, is_guest};
use crate::uring_ring::{CQE_SKIP, How, Mode, Op, Ring, Way};

const FILES: &[Kind] = &[
    Kind::Exec,
    Kind::Fork,
    Kind::Exit,
    Kind::FileOpen,
    Kind::FileRead,
    Kind::FileClose,
    Kind::FileRename,
    Kind::FileDelete,
    Kind::FileLink,
    Kind::FileMkdir,
    Kind::FileXattr,
    Kind::FileTruncate,
];

/// Everything in a directory whose name no host has by itself is watched.
fn options() -> Options {
    Options { kinds: FILES, ..Options::DEFAULT }
}

/// A system call, or a ring of a mode.
const WAYS: [Option<Mode>; 4] = [None, Some(Mode::Plain), Some(Mode::Sqpoll), Some(Mode::Async)];

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().expect("a temporary directory"))
    }

    fn path(&self) -> PathBuf {
        fs::canonicalize(self.0.path()).expect("the directory")
    }
}

fn c(text: &str) -> CString {
    CString::new(text).expect("no NUL")
}

/// What must be equal of an event, whatever way the operation came. Paths are those below the place.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    kind: Kind,
    op: FileOp,
    path: String,
    other: String,
    name: String,
    errno: u32,
    open_flags: u32,
    mode: u32,
    nlink: u32,
    is_known: bool,
    joined: (bool, bool),
    written: Option<bool>,
    replaced: bool,
}

fn passed(status: &WaitStatus) -> bool {
    matches!(status, WaitStatus::Exited(_, 0))
}

fn below(place: &Path, path: &[u8]) -> String {
    let prefix = [bytes(place), b"/"].concat();
    String::from_utf8_lossy(path.strip_prefix(&prefix[..]).unwrap_or(path)).into_owned()
}

fn row(place: &Path, file: &File<'_>) -> Row {
    Row {
        kind: file.kind,
        op: file.op,
        path: below(place, file.path),
        other: below(place, file.other),
        name: String::from_utf8_lossy(file.name).into_owned(),
        errno: file.errno,
        open_flags: file.open_flags,
        mode: file.object.mode,
        nlink: file.object.nlink,
        is_known: file.object.inode != 0,
        joined: (file.object.path_joined, file.other_joined),
        written: file.written,
        replaced: file.replaced,
    }
}

/// The events of files below the place, in their order.
fn files<'a>(rig: &'a Rig, place: &'a Path) -> Vec<File<'a>> {
    let files = rig.events().filter_map(|event| match event.body {
        Body::File(file) => Some(*file),
        _ => None,
    });
    let prefix = [bytes(place), b"/"].concat();
    files.filter(|file| file.path.starts_with(&prefix)).collect()
}

/// Everything that both ways can do to files.
fn work(way: &mut Way, place: &Path) {
    let top = fs::File::open(place).expect("the place");
    let dir = top.as_raw_fd();
    let (made, a, b) = (c("made"), c("made/a"), c("made/b"));
    way.good(&Op::mkdir(dir, &made, 0o755));
    let fd = way.good(&Op::openat(dir, &a, libc::O_CREAT | libc::O_RDWR, 0o640));
    way.good(&Op::write(fd, b"content"));
    way.good(&Op::fsetxattr(fd, &c("security.sentinel"), b"value"));
    // Linux 6.9 was the first to have it on a ring.
    if way.call(&Op::ftruncate(fd, 3)) == -libc::EINVAL {
        Op::ftruncate(fd, 3).call();
    }
    way.good(&Op::close(fd));
    let how = How { flags: 1, ..How::default() };
    let fd = way.good(&Op::openat2(dir, &a, &how));
    way.good(&Op::close(fd));
    way.good(&Op::setxattr(&c(&format!("{}/made/a", place.display())), &c("security.other"), b"v"));
    way.good(&Op::link(dir, &a, &b));
    way.good(&Op::symlink(&c("a"), dir, &c("made/s")));
    way.good(&Op::rename(dir, &a, &c("made/c"), 0));
    way.good(&Op::rename(dir, &b, &c("made/c2"), 0));
    way.good(&Op::unlink(dir, &c("made/c"), 0));
    way.good(&Op::unlink(dir, &c("made/c2"), 0));
    way.good(&Op::unlink(dir, &c("made/s"), 0));
    way.good(&Op::unlink(dir, &made, libc::AT_REMOVEDIR));
}

/// The first of these operations that the rows lack.
fn lacking(rows: &[Row]) -> Vec<FileOp> {
    let seen: Vec<FileOp> = rows.iter().map(|row| row.op).collect();
    let wanted = [
        FileOp::Create,
        FileOp::Open,
        FileOp::Close,
        FileOp::Rename,
        FileOp::Unlink,
        FileOp::Rmdir,
        FileOp::Link,
        FileOp::Symlink,
        FileOp::Mkdir,
        FileOp::Setxattr,
    ];
    wanted.into_iter().filter(|op| !seen.contains(op)).collect()
}

/// Whether the kernel shows requests of io_urings. If not that must be said, and why.
pub fn has_requests(rig: &Rig, what: &str) -> bool {
    let of_rings = |planned: &&Planned| planned.hook.contains("io_uring");
    let reason = rig.kernel.sensors().iter().find(of_rings).and_then(|planned| planned.missing.clone());
    match reason {
        None => true,
        Some(reason) => {
            println!("MATRIX class=io_uring_{what} hook=none result=missing: {reason}");
            assert!(reason.contains("io_uring"), "{reason}");
            false
        }
    }
}

/// Waits for what comes after the work is done: polling threads and workers may be behind, and before Linux 6.5 a ring is
/// taken apart by a worker of the kernel, some 50 ms after the process has ended; files that only the ring held are
/// closed then.
fn settle() {
    std::thread::sleep(Duration::from_millis(if is_guest() { 1500 } else { 50 }));
}

/// Whether a ring of this kernel knows the operation, which is one that cannot succeed. It would say that otherwise.
fn ring_knows(op: &Op) -> bool {
    Way::new(Some(Mode::Plain)).call(op) != -libc::EINVAL
}

/// Rings make directories since Linux 5.15. Before, they know neither direct descriptors nor successes that nobody is
/// told of, so what is tried here cannot be done.
fn makes_directories(what: &str) -> bool {
    let knows = ring_knows(&Op::mkdir(-1, &c("x"), 0));
    if !knows {
        println!(
            "MATRIX class=io_uring_{what} hook=none result=missing: io_uring of this kernel knows no such operations"
        );
    }
    knows
}

pub fn print_passed(what: &str) {
    println!("MATRIX class=io_uring_{what} hook=tp_btf/io_uring_complete result=passed");
}

#[test]
#[ignore = "needs root and BPF"]
fn files_through_a_ring_are_files() {
    let mut rig = Rig::with(options());
    if !has_requests(&rig, "files") || !makes_directories("files") {
        return;
    }
    let truncates = ring_knows(&Op::ftruncate(-1, 3));
    let mut expected: Option<Vec<Row>> = None;
    for mode in WAYS {
        let place = Place::new();
        let path = place.path();
        let (pid, status) = rig.act(|| work(&mut Way::new(mode), &path));
        assert!(passed(&status), "{mode:?}: {status:?}");
        // The polling thread and workers may be behind.
        settle();
        rig.drain();
        let found = files(&rig, &path);
        for file in &found {
            assert_eq!(file.task.pid, pid, "{mode:?} {file:#?}");
            let by_ring = mode.is_some() && (truncates || file.op != FileOp::Truncate);
            assert_eq!(file.origin.via_io_uring, by_ring, "{mode:?} {file:#?}");
        }
        let rows: Vec<Row> = found.iter().map(|file| row(&path, file)).collect();
        match &expected {
            None => {
                assert_eq!(lacking(&rows), [], "{rows:#?}");
                expected = Some(rows);
            }
            Some(expected) => assert_eq!(rows, *expected, "{mode:?}"),
        }
    }
    let ops: BTreeSet<String> =
        expected.iter().flatten().map(|row| format!("{:?}", row.op).to_lowercase()).collect();
    ops.iter().for_each(|op| print_passed(op));
}

/// Plays a role in a place; the place.
fn play(rig: &mut Rig, role: impl FnOnce(&Path)) -> Place {
    let place = Place::new();
    let path = place.path();
    let (_, status) = rig.act(|| role(&path));
    assert!(passed(&status), "{status:?}");
    settle();
    rig.drain();
    place
}

/// An open, a close of the descriptor that it will get, and another open, which gets the same one: when the kernel
/// announces the completions, it is a descriptor of the other file.
#[test]
#[ignore = "needs root and BPF"]
fn a_descriptor_that_means_another_file_by_its_completion() {
    let mut rig = Rig::with(options());
    if !has_requests(&rig, "reused_descriptor") {
        return;
    }
    for mode in [Mode::Plain, Mode::Sqpoll] {
        let place = play(&mut rig, |path| {
            for name in ["secret", "harmless"] {
                fs::write(path.join(name), name).expect("a file");
            }
            let top = fs::File::open(path).expect("the place");
            let dir = top.as_raw_fd();
            let mut ring = Ring::new(mode);
            // The lowest number that is free.
            let next = fs::File::open("/").expect("a descriptor").as_raw_fd();
            let (secret, harmless) = (c("secret"), c("harmless"));
            let ops = [
                Op::openat(dir, &secret, libc::O_WRONLY, 0),
                Op::close(next),
                Op::openat(dir, &harmless, libc::O_WRONLY, 0),
            ];
            ring.submit(&ops, 3);
            let results: Vec<i32> = ring.reap().into_iter().map(|(_, result)| result).collect();
            assert_eq!(results, [next, 0, next]);
        });
        let path = place.path();
        let opens: Vec<(String, u64)> = files(&rig, &path)
            .iter()
            .filter(|file| file.origin.via_io_uring && file.kind == Kind::FileOpen)
            .map(|file| (below(&path, file.path), file.object.inode))
            .collect();
        let inode = |name: &str| fs::metadata(path.join(name)).expect("a file").ino();
        let expected = ["secret", "harmless"].map(|name| (name.to_owned(), inode(name)));
        assert_eq!(opens, expected, "{mode:?}");
    }
    print_passed("reused_descriptor");
}

/// A program that never takes its completions: the queue overflows, and newer kernels announce nothing then.
#[test]
#[ignore = "needs root and BPF"]
fn a_completion_queue_that_overflows_hides_nothing() {
    const OPS: usize = 16;
    let mut rig = Rig::with(options());
    if !has_requests(&rig, "overflow") || !makes_directories("overflow") {
        return;
    }
    for mode in [Mode::Plain, Mode::Sqpoll, Mode::Async] {
        let place = play(&mut rig, |path| {
            let top = fs::File::open(path).expect("the place");
            let dir = top.as_raw_fd();
            let mut ring = Ring::sized(mode, 2, 2);
            let names: Vec<CString> = (0..OPS).map(|n| c(&format!("d{n}"))).collect();
            for name in &names {
                ring.submit(&[Op::mkdir(dir, name, 0o700)], 0);
            }
            let deadline = std::time::Instant::now() + Duration::from_secs(10);
            while names.iter().any(|name| !path.join(name.to_str().expect("a name")).exists()) {
                assert!(std::time::Instant::now() < deadline, "the directories were made");
                std::thread::yield_now();
            }
        });
        let path = place.path();
        let found = files(&rig, &path);
        let mut made: Vec<String> = found
            .iter()
            .filter(|file| file.op == FileOp::Mkdir && file.origin.via_io_uring)
            .map(|file| below(&path, file.path))
            .collect();
        made.sort_unstable_by_key(|name| name[1..].parse::<usize>().expect("a number"));
        let expected: Vec<String> = (0..OPS).map(|n| format!("d{n}")).collect();
        assert_eq!(made, expected, "{mode:?}");
    }
    print_passed("overflow");
}

/// Nobody is told of the success, so the event comes at the submission and says that it is one.
#[test]
#[ignore = "needs root and BPF"]
fn a_success_that_is_announced_to_nobody_is_pending() {
    let mut rig = Rig::with(options());
    if !has_requests(&rig, "unannounced") || !makes_directories("unannounced") {
        return;
    }
    for mode in [Mode::Plain, Mode::Sqpoll, Mode::Async] {
        let place = play(&mut rig, |path| {
            let top = fs::File::open(path).expect("the place");
            let dir = top.as_raw_fd();
            let mut ring = Ring::new(mode);
            let (made, file, nothing) = (c("made"), c("made/file"), c("nothing"));
            for op in [
                Op::mkdir(dir, &made, 0o700),
                Op::openat(dir, &file, libc::O_CREAT | libc::O_WRONLY, 0o600),
                Op::unlink(dir, &nothing, 0),
                Op::unlink(dir, &file, 0),
            ] {
                ring.submit(&[op.with(CQE_SKIP)], 0);
                std::thread::sleep(Duration::from_millis(20));
            }
            // Kernels differ in whether one is told of the failure.
            assert!(ring.reap().iter().all(|(_, result)| *result == -libc::ENOENT));
        });
        let path = place.path();
        let found: Vec<(FileOp, String, bool)> = files(&rig, &path)
            .iter()
            // What the program left open is closed as it ends, by it or by the worker that ends last.
            .inspect(|file| assert!(file.origin.via_io_uring || file.op == FileOp::Close, "{file:#?}"))
            .map(|file| (file.op, below(&path, file.path), file.pending))
            .collect();
        // Where the functions themselves are seen, what became of it is known, and the last close of the file is seen,
        // which is that of the program's end.
        let knows = rig.hooks_of(Kind::FileMkdir).any(|hook| hook.starts_with("fexit"));
        let expected = if knows {
            [
                (FileOp::Mkdir, "made"),
                (FileOp::Create, "made/file"),
                (FileOp::Unlink, "made/file"),
                (FileOp::Close, "made/file"),
            ]
        } else {
            [
                (FileOp::Mkdir, "made"),
                (FileOp::Open, "made/file"),
                (FileOp::Unlink, "nothing"),
                (FileOp::Unlink, "made/file"),
            ]
        };
        let expected = expected.map(|(op, path)| (op, path.to_owned(), !knows));
        assert_eq!(found, expected, "{mode:?}");
    }
    print_passed("unannounced");
}

#[test]
#[ignore = "needs root and BPF"]
fn a_direct_descriptor_is_one() {
    let mut rig = Rig::with(options());
    if !has_requests(&rig, "direct_descriptor") || !makes_directories("direct_descriptor") {
        return;
    }
    for mode in [Mode::Plain, Mode::Sqpoll, Mode::Async] {
        let place = play(&mut rig, |path| {
            let top = fs::File::open(path).expect("the place");
            let mut ring = Ring::new(mode);
            ring.direct(4);
            let name = c("file");
            let open = Op::openat(top.as_raw_fd(), &name, libc::O_CREAT | libc::O_WRONLY, 0o600).direct(2);
            assert_eq!(ring.call(&open), 0);
            assert_eq!(ring.call(&Op::close_direct(2)), 0);
        });
        let path = place.path();
        let found: Vec<(FileOp, String, u64)> = files(&rig, &path)
            .iter()
            .map(|file| (file.op, below(&path, file.path), file.object.inode))
            .collect();
        let inode = fs::metadata(path.join("file")).expect("a file").ino();
        let expected = [FileOp::Create, FileOp::Close].map(|op| (op, "file".to_owned(), inode));
        assert_eq!(found, expected, "{mode:?}");
    }
    print_passed("direct_descriptor");
}
