//! Files: every operation at the return of its system call, with both ways to walk paths.
//!
//! A role does one thing after the other in a child, and what came out is compared as text, one line an event: the
//! operation, where `@` is the test's own directory, and what else the record says. So a test reads as a list of what was done and
//! a list of what was told.

use std::ffi::CString;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::time::Duration;

use nix::libc::{self, c_int, c_long};
use nix::sys::wait::WaitStatus;
use sentinel_edge::event::{File, FileOp, Kind};
use sentinel_edge::kernel::Hooks;

use crate::rig::{FILE, Options, Place, Rig, bytes, either_way};

pub const OPTIONS: Options =
    Options { ring_bytes: 32 << 20, kinds: FILE, hooks: Some(Hooks::Syscall), ..Options::DEFAULT };

/// With either way to walk.
pub fn both() -> Vec<Options> {
    either_way(OPTIONS)
}

/// Says for the table of what runs where that these kinds do here.
pub fn passed(rig: &Rig, kinds: &[Kind]) {
    for kind in kinds {
        assert!(rig.has(*kind), "{kind} has a program");
        println!("MATRIX class={kind} hook=syscall result=passed");
    }
}

/// A string that a system call takes.
pub fn c(path: impl AsRef<Path>) -> CString {
    CString::new(path.as_ref().as_os_str().as_bytes()).expect("no NUL")
}

/// A system call that has to work; its result.
pub fn call<const N: usize>(number: c_long, args: [c_long; N]) -> c_int {
    let result = attempt(number, args);
    assert!(result >= 0, "call {number}: {}", std::io::Error::last_os_error());
    result
}

/// A system call that may fail.
pub fn attempt<const N: usize>(number: c_long, args: [c_long; N]) -> c_int {
    let mut six = [0; 6];
    six[..N].copy_from_slice(&args);
    // SAFETY: the tests pass addresses of strings and structs that outlive the call.
    let result = unsafe { libc::syscall(number, six[0], six[1], six[2], six[3], six[4], six[5]) };
    c_int::try_from(result).expect("a result that is no address")
}

/// An address as an argument of a call.
pub fn at<T: ?Sized>(value: &T) -> c_long {
    (&raw const *value).cast::<()>() as c_long
}

/// A string as an argument of a call.
pub fn text(string: &CString) -> c_long {
    string.as_ptr() as c_long
}

pub const CWD: c_long = libc::AT_FDCWD as c_long;

pub fn ended_well(status: WaitStatus) {
    assert!(matches!(status, WaitStatus::Exited(_, 0)), "{status:?}");
}

/// An owner as it was passed in, of which -1 leaves the old one.
fn id(argument: u64) -> i32 {
    u32::try_from(argument & u64::from(u32::MAX)).expect("masked").cast_signed()
}

fn time(ns: u64) -> String {
    match ns.cast_signed() {
        i64::MAX => "now".into(),
        i64::MIN => "kept".into(),
        ns => format!("{ns}"),
    }
}

/// The event in a line, with `@` for the directory.
pub fn told(file: &File<'_>, root: &Path) -> String {
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(root.to_str().expect("UTF-8"), "@");
    let mut line = format!("{:?} {}", file.op, shown(file.path));
    let [first, second] = file.arguments;
    if !file.other.is_empty() {
        line += &format!(" > {}", shown(file.other));
    }
    if !file.name.is_empty() {
        line += &format!(" [{}]", shown(file.name));
    }
    if !file.given.is_empty() {
        line += &format!(" given {}", shown(file.given));
    }
    match file.op {
        FileOp::Open | FileOp::Create => line += &format!(" {:o}", file.open_flags & 0o400_3303),
        FileOp::Close => {
            line += match file.written {
                Some(true) => " written",
                Some(false) => " unchanged",
                None => " unsure",
            }
        }
        FileOp::Mkdir | FileOp::Chmod => line += &format!(" {:o}", file.object.mode),
        FileOp::Mknod => line += &format!(" {:o} {first:#x}", file.object.mode),
        FileOp::Chown => line += &format!(" {}:{}", id(first), id(second)),
        FileOp::Truncate => line += &format!(" {first}"),
        FileOp::Utimes => line += &format!(" {} {}", time(first), time(second)),
        _ if first != 0 => line += &format!(" {first:#x}"),
        _ => {}
    }
    for (is, word) in [
        (file.origin.grade_user, "user"),
        (file.origin.argument_swap, "swap"),
        (file.object.path_joined, "joined"),
        (file.object.path_cut, "cut"),
        (file.object.path_detached, "detached"),
        (file.object.path_fault, "fault"),
        (file.other_joined, "other_joined"),
        (file.other_fault, "other_fault"),
        (file.other_cut, "other_cut"),
    ] {
        if is {
            line += " ";
            line += word;
        }
    }
    line
}

/// Every event of the process in a line.
pub fn all_told(rig: &Rig, pid: u32, root: &Path) -> Vec<String> {
    rig.files(pid).iter().map(|file| told(file, root)).collect()
}

/// Plays the role and compares what is told of it, but for the kinds that `but` names.
pub fn expect(
    options: Options,
    place: &Place,
    but: &[FileOp],
    role: impl FnOnce(),
    lines: &[&str],
) -> (Rig, u32) {
    let mut rig = Rig::with(options);
    let (pid, status) = rig.act(role);
    ended_well(status);
    let root = place.path();
    let files = rig.files(pid);
    let seen: Vec<_> = files.iter().filter(|f| !but.contains(&f.op)).map(|f| told(f, &root)).collect();
    assert_eq!(seen, lines, "bounded: {}", options.bounded);
    (rig, pid)
}

fn write(fd: c_int, what: &str) {
    call(libc::SYS_write, [fd.into(), what.as_ptr() as c_long, what.len() as c_long]);
}

fn close(fd: c_int) {
    call(libc::SYS_close, [fd.into()]);
}

#[test]
#[ignore = "needs root and BPF"]
fn opens_tell_the_object_and_closes_whether_it_was_written() {
    for options in both() {
        let place = Place::new();
        let root = place.path();
        let (a, b, new) = (c(root.join("a")), c(root.join("b")), c(root.join("new")));
        fs::write(root.join("a"), "old").expect("a file");
        // Old enough that a change of the same length has another time.
        std::thread::sleep(Duration::from_millis(20));
        let role = || {
            let how: [u64; 3] = [(libc::O_WRONLY | libc::O_TRUNC) as u64, 0, 0];
            let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
            let fd = call(libc::SYS_openat, [CWD, text(&new), flags.into(), 0o640]);
            write(fd, "hello");
            close(fd);
            let fd = call(libc::SYS_openat, [CWD, text(&a), libc::O_RDWR.into()]);
            close(fd);
            let fd = call(libc::SYS_openat, [CWD, text(&a), libc::O_RDWR.into()]);
            write(fd, "new");
            close(fd);
            let fd = call(libc::SYS_openat2, [CWD, text(&a), at(&how), 24]);
            close(fd);
            // Neither reading nor a mere handle is of interest.
            close(call(libc::SYS_openat, [CWD, text(&a), libc::O_RDONLY.into()]));
            close(call(libc::SYS_openat, [CWD, text(&a), libc::O_PATH.into()]));
            #[cfg(target_arch = "x86_64")]
            {
                close(call(libc::SYS_creat, [text(&b), 0o600]));
                close(call(libc::SYS_open, [text(&b), libc::O_WRONLY.into()]));
            }
            #[cfg(not(target_arch = "x86_64"))]
            {
                close(call(libc::SYS_openat, [CWD, text(&b), 0o1101, 0o600]));
                close(call(libc::SYS_openat, [CWD, text(&b), libc::O_WRONLY.into()]));
            }
        };
        let (rig, pid) = expect(
            options,
            &place,
            &[],
            role,
            &[
                "Create @/new 301",
                "Close @/new written",
                "Open @/a 2",
                "Close @/a unchanged",
                "Open @/a 2",
                "Close @/a written",
                "Open @/a 1001",
                "Close @/a unchanged",
                "Create @/b 1101",
                "Close @/b unchanged",
                "Open @/b 1",
                "Close @/b unchanged",
            ],
        );
        let files = rig.files(pid);
        let real = fs::metadata(root.join("new")).expect("the new file");
        for file in &files[..2] {
            assert_eq!(file.object.inode, real.ino());
            assert_eq!(file.object.mode, real.mode());
            assert_eq!(file.object.mode & 0o177_777, 0o100_640);
            let (major, minor) = (libc::major(real.dev()), libc::minor(real.dev()));
            assert_eq!(file.object.device, (major, minor));
        }
        let close = &files[1];
        assert_eq!((close.object.size_bytes, close.before.expect("before").size_bytes), (5, 0));
        assert!(close.arguments[0] > 0);
        passed(&rig, &[Kind::FileOpen, Kind::FileClose]);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn a_close_does_not_claim_what_it_cannot_know() {
    let place = Place::new();
    let root = place.path();
    let (a, gone) = (c(root.join("a")), c(root.join("gone")));
    let role = || {
        let flags = libc::O_WRONLY | libc::O_CREAT;
        // Another descriptor of the same file may still be written to.
        let fd = call(libc::SYS_openat, [CWD, text(&a), flags.into(), 0o600]);
        let other = call(libc::SYS_dup, [fd.into()]);
        close(fd);
        write(other, "later");
        close(other);
        // What has no name when it is closed has no path.
        let fd = call(libc::SYS_openat, [CWD, text(&gone), flags.into(), 0o600]);
        write(fd, "x");
        fs::remove_file(Path::new(gone.to_str().expect("UTF-8"))).expect("removing it");
        close(fd);
        // The number was taken over by something that is only read.
        let fd = call(libc::SYS_openat, [CWD, text(&a), libc::O_WRONLY.into()]);
        call(libc::SYS_close_range, [fd.into(), fd.into(), 0]);
        assert_eq!(call(libc::SYS_openat, [CWD, text(&a), libc::O_RDONLY.into()]), fd);
        close(fd);
    };
    let (rig, pid) = {
        let mut rig = Rig::with(OPTIONS);
        let (pid, status) = rig.act(role);
        ended_well(status);
        (rig, pid)
    };
    let seen = all_told(&rig, pid, &root);
    let closes: Vec<_> = seen.iter().filter(|line| line.starts_with("Close")).collect();
    assert_eq!(closes[0], "Close @/a unsure");
    assert!(
        ["Close  written", "Close  unsure", "Close @/gone written", "Close @/gone unsure"]
            .contains(&closes[1].as_str()),
        "{closes:?}"
    );
    assert_eq!(closes.len(), 2, "{seen:#?}");
}

#[test]
#[ignore = "needs root and BPF"]
fn a_file_without_a_name_and_one_opened_by_handle_are_told() {
    let place = Place::new();
    let root = place.path();
    fs::write(root.join("a"), "").expect("a file");
    let (directory, a) = (c(&root), c(root.join("a")));
    let mut rig = Rig::with(OPTIONS);
    let (pid, status) = rig.act(|| {
        let flags = libc::O_TMPFILE | libc::O_RDWR;
        let fd = attempt(libc::SYS_openat, [CWD, text(&directory), flags.into(), 0o600]);
        assert!(fd >= 0 || nix::errno::Errno::last_raw() == libc::EOPNOTSUPP);
        let mut handle = [0_u32; 34];
        handle[0] = 128;
        let mut mount = 0_i32;
        let code = attempt(
            libc::SYS_name_to_handle_at,
            [
                CWD,
                text(&a),
                (&raw mut handle).addr().cast_signed() as i64,
                (&raw mut mount).addr().cast_signed() as i64,
                0,
            ],
        );
        let mounted = call(libc::SYS_openat, [CWD, text(&directory), libc::O_RDONLY.into()]);
        if code == 0 {
            call(libc::SYS_open_by_handle_at, [mounted.into(), at(&handle), libc::O_RDWR.into()]);
        }
    });
    ended_well(status);
    let seen = all_told(&rig, pid, &root);
    let tmpfile = seen.iter().any(|line| line.starts_with("Create @/#") && !line.contains("given"));
    let by_handle = rig.files(pid).iter().any(|file| file.op == FileOp::Open && file.path.ends_with(b"a"));
    // Not every file system can do either.
    println!("O_TMPFILE: {tmpfile}, by handle: {by_handle}");
    assert!(tmpfile || by_handle, "{seen:#?}");
}

#[test]
#[ignore = "needs root and BPF"]
fn the_path_in_user_memory_is_kept_where_it_names_something_else() {
    for options in both() {
        let place = Place::new();
        let root = place.path();
        fs::create_dir(root.join("d")).expect("a directory");
        fs::write(root.join("d/a"), "").expect("a file");
        symlink("a", root.join("d/link")).expect("a link");
        let role = || {
            std::env::set_current_dir(root.join("d")).expect("the directory");
            for name in ["a", "./a", "../d//a", "link", "../d/link"] {
                let name = c(name);
                call(libc::SYS_openat, [CWD, text(&name), libc::O_WRONLY.into()]);
            }
            // Directories cannot be opened for writing but made in with O_TMPFILE; dots and slashes are no names.
            let name = c(root.join("d/a"));
            call(libc::SYS_openat, [CWD, text(&name), (libc::O_WRONLY | libc::O_NOFOLLOW).into()]);
        };
        expect(
            options,
            &place,
            &[FileOp::Close],
            role,
            &[
                "Open @/d/a 1",
                "Open @/d/a 1",
                "Open @/d/a 1",
                "Open @/d/a given link 1",
                "Open @/d/a given ../d/link 1",
                "Open @/d/a 1",
            ]
            .map(|line| line.to_owned())
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
        );
    }
}

/// Opens `path` while another thread rewrites the string, which a lease gives all the time for: the open waits
/// inside the kernel until the lease is given up.
fn open_while_rewriting(path: &Path, flags: c_int, by: &[u8]) {
    // The signal that tells of the open would end the process.
    // SAFETY: ignores a signal.
    unsafe { libc::signal(libc::SIGIO, libc::SIG_IGN) };
    let held = fs::File::open(path).expect("the file");
    call(libc::SYS_fcntl, [held.as_raw_fd().into(), libc::F_SETLEASE.into(), libc::F_RDLCK.into()]);
    let string = c(path).into_bytes_with_nul().leak();
    let (address, len) = (string.as_mut_ptr() as usize, string.len());
    let opener = std::thread::Builder::new()
        .spawn(move || call(libc::SYS_openat, [CWD, address as c_long, flags.into()]))
        .expect("a thread");
    std::thread::sleep(Duration::from_millis(200));
    for (offset, byte) in by.iter().enumerate() {
        // SAFETY: within the string, which is leaked; the other thread is inside the kernel, which has its copy.
        unsafe { ((address + len - 1 - by.len() + offset) as *mut u8).write_volatile(*byte) };
    }
    call(libc::SYS_fcntl, [held.as_raw_fd().into(), libc::F_SETLEASE.into(), libc::F_UNLCK.into()]);
    opener.join().expect("the open");
}

#[test]
#[ignore = "needs root and BPF"]
fn a_string_that_is_swapped_during_the_call_is_found_out() {
    for (flags, line) in [
        (libc::O_WRONLY | libc::O_NOFOLLOW, "Open @/secret given @/public 1 swap"),
        (libc::O_WRONLY, "Open @/secret given @/public 1"),
    ] {
        let place = Place::new();
        let root = place.path();
        fs::write(root.join("secret"), "").expect("a file");
        let role = || open_while_rewriting(&root.join("secret"), flags, b"public");
        // O_NOFOLLOW is left out of what is shown here.
        expect(OPTIONS, &place, &[FileOp::Close], role, &[line]);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn a_string_that_cannot_be_read_is_said_to_be_missing() {
    let place = Place::new();
    let root = place.path();
    fs::write(root.join("secret"), "").expect("a file");
    let role = || {
        // SAFETY: a page of its own, which is unmapped while the call that was given it waits in the kernel.
        let page = unsafe {
            libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ | libc::PROT_WRITE, 0x22, -1, 0)
        };
        let path = c(root.join("secret"));
        // SAFETY: the string fits into the page.
        unsafe { std::ptr::copy_nonoverlapping(path.as_ptr(), page.cast(), path.as_bytes_with_nul().len()) };
        // SAFETY: ignores a signal.
        unsafe { libc::signal(libc::SIGIO, libc::SIG_IGN) };
        let held = fs::File::open(root.join("secret")).expect("the file");
        call(libc::SYS_fcntl, [held.as_raw_fd().into(), libc::F_SETLEASE.into(), libc::F_RDLCK.into()]);
        let address = page as c_long;
        let opener = std::thread::Builder::new()
            .spawn(move || call(libc::SYS_openat, [CWD, address, libc::O_WRONLY.into()]))
            .expect("a thread");
        std::thread::sleep(Duration::from_millis(200));
        call(libc::SYS_munmap, [address, 4096]);
        call(libc::SYS_fcntl, [held.as_raw_fd().into(), libc::F_SETLEASE.into(), libc::F_UNLCK.into()]);
        opener.join().expect("the open");
    };
    expect(OPTIONS, &place, &[FileOp::Close], role, &["Open @/secret 1 fault"]);
}

#[test]
#[ignore = "needs root and BPF"]
fn pseudo_files_are_left_out() {
    let place = Place::new();
    let role = || {
        for path in ["/dev/null", "/proc/self/comm", "/dev/zero"] {
            let path = c(path);
            close(call(libc::SYS_openat, [CWD, text(&path), libc::O_WRONLY.into()]));
        }
        // By a name in a directory of theirs, too. Elsewhere it could lead anywhere, and is told.
        std::env::set_current_dir("/proc/self").expect("the directory");
        let comm = c("comm");
        attempt(libc::SYS_fchmodat, [CWD, text(&comm), 0o644]);
    };
    let mut rig = Rig::with(Options {
        filter: || sentinel_edge::kernel::Filter { skip_pseudo: true, ..Default::default() },
        ..OPTIONS
    });
    let (pid, status) = rig.act(role);
    ended_well(status);
    let seen = all_told(&rig, pid, &place.path());
    assert!(seen.iter().all(|line| !line.starts_with("Open") && !line.starts_with("Close")), "{seen:#?}");
    assert!(!bytes(&place.path()).is_empty());
}
