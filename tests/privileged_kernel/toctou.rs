//! What a program changes in its own memory while the kernel works on it: events tell of the object that the kernel
//! used, every time. The role itself says which that was, by what its descriptor turned out to be.

use std::cell::UnsafeCell;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::libc;
use nix::sys::wait::WaitStatus;
use sentinel_edge::event::{Body, File, Kind};

use crate::rig::{Options, Rig, bytes};

const TRIES: usize = 10_000;

const OPENS: Options = Options {
    ring_bytes: 32 << 20,
    kinds: &[Kind::Exec, Kind::Fork, Kind::Exit, Kind::FileOpen],
    ..Options::DEFAULT
};

/// Memory that one thread changes while another one's system call reads it.
struct Racy<const N: usize>(UnsafeCell<[u8; N]>);

// SAFETY: the race is what the tests are about; bytes are written with volatile stores, and only the kernel reads
// them.
unsafe impl<const N: usize> Sync for Racy<N> {}

impl<const N: usize> Racy<N> {
    fn new(bytes: &[u8]) -> Arc<Self> {
        let mut all = [0; N];
        all[..bytes.len()].copy_from_slice(bytes);
        Arc::new(Racy(UnsafeCell::new(all)))
    }

    fn address(&self) -> *const libc::c_char {
        self.0.get().cast()
    }

    fn set(&self, at: usize, byte: u8) {
        assert!(at < N);
        // SAFETY: within the array; see above.
        unsafe { self.0.get().cast::<u8>().add(at).write_volatile(byte) };
    }
}

/// Lets a thread do something all the time until the guard is dropped.
struct Meanwhile {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Meanwhile {
    fn new(mut turn: impl FnMut(usize) + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stop);
        let body = move || (0..).take_while(|_| !until.load(Ordering::Relaxed)).for_each(&mut turn);
        Meanwhile { stop, thread: Some(thread::Builder::new().spawn(body).expect("a thread")) }
    }
}

impl Drop for Meanwhile {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the other thread");
        }
    }
}

/// Two files that a racing name may mean.
struct Two {
    directory: tempfile::TempDir,
}

impl Two {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        for name in ["file-a", "file-b"] {
            fs::write(directory.path().join(name), name).expect("a file");
        }
        Two { directory }
    }

    fn path(&self) -> PathBuf {
        fs::canonicalize(self.directory.path()).expect("the directory")
    }
}

/// The inode that an open by this name got.
fn try_open(path: *const libc::c_char) -> io::Result<u64> {
    // SAFETY: a string that ends in NUL whatever the other thread writes.
    let fd = unsafe { libc::open(path, libc::O_WRONLY) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let inode = inode_of(fd);
    // SAFETY: ours, and not used any more.
    unsafe { libc::close(fd) };
    Ok(inode)
}

fn open(path: *const libc::c_char) -> u64 {
    try_open(path).unwrap_or_else(|error| panic!("{error}"))
}

/// The same through a link that is replaced all the time. A preemptible kernel may find it empty: ext4 clears the text of
/// a link that is gone while somebody without a lock still reads it. An empty link leads to the directory that it is in,
/// which cannot be written, so nothing was opened (seen on 7.3, with no program loaded at all).
fn open_link(path: *const libc::c_char) -> u64 {
    loop {
        match try_open(path) {
            Ok(inode) => return inode,
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EISDIR), "{error}"),
        }
    }
}

/// Now and then lets the other thread run where both have but one CPU.
fn take_turns(turn: usize) {
    if turn.is_multiple_of(16) {
        thread::yield_now();
    }
}

fn inode_of(fd: i32) -> u64 {
    // SAFETY: plain numbers, for which zeros are valid.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: an open descriptor and room for the result.
    assert_eq!(unsafe { libc::fstat(fd, &raw mut stat) }, 0);
    stat.st_ino
}

fn tell(at: &Path, inodes: &[u64]) {
    let bytes: Vec<u8> = inodes.iter().flat_map(|inode| inode.to_ne_bytes()).collect();
    fs::write(at, bytes).expect("telling");
}

fn told(at: &Path) -> Vec<u64> {
    let bytes = fs::read(at).expect("what was told");
    bytes.chunks_exact(8).map(|chunk| u64::from_ne_bytes(chunk.try_into().expect("eight bytes"))).collect()
}

/// Opens of the process whose file is one of the two, in their order.
fn opens<'a>(rig: &'a Rig, pid: u32, two: &Path) -> Vec<File<'a>> {
    let prefix = [bytes(two), b"/file-"].concat();
    let files = rig.events().filter_map(|event| match event.body {
        Body::File(file) => Some(*file),
        _ => None,
    });
    files.filter(|file| file.task.pid == pid && file.path.starts_with(&prefix)).collect()
}

/// Every event tells an inode that the role got, in its order, and the path that goes with it; none is missing but for
/// what the kernel skipped. Of how many the name given differed.
fn check(rig: &mut Rig, pid: u32, two: &Path, truth: &[u64]) -> usize {
    let names = ["file-a", "file-b"].map(|name| two.join(name));
    let path_of = |inode: u64| {
        names.iter().find(|path| fs::metadata(path).expect("a file").ino() == inode).expect("one of the two")
    };
    let skipped = rig.skipped(Kind::FileOpen);
    let found = opens(rig, pid, two);
    let (seen, all) = (found.len() as u64, truth.len() as u64);
    println!("{seen} events of {all} opens, {skipped} runs skipped");
    assert!(seen <= all && seen + skipped >= all, "what is missing was skipped");
    let mut truth = truth.iter();
    let wrong = found.iter().filter(|file| {
        let inode = file.object.inode;
        !truth.any(|got| *got == inode) || file.path != bytes(path_of(inode)) || file.object.path_joined
    });
    let wrong: Vec<_> = wrong.take(3).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    for file in &found {
        // Only what is not the object's is carried.
        assert_ne!(file.given, file.path);
    }
    found.iter().filter(|file| !file.given.is_empty()).count()
}

/// The hook that opens come from. That on the function that opens a file sees no memory of the caller's: it has nothing
/// to compare, and nothing to be deceived by.
fn hook(rig: &Rig) -> &'static str {
    rig.hooks_of(Kind::FileOpen).find(|hook| !hook.contains("io_uring")).expect("opens are seen")
}

fn compares(rig: &Rig) -> bool {
    hook(rig) == "tp_btf/sys_exit"
}

fn passed(status: &WaitStatus) -> bool {
    matches!(status, WaitStatus::Exited(_, 0))
}

#[test]
#[ignore = "needs root and BPF"]
fn a_path_that_is_swapped_during_the_open() {
    let (mut rig, two) = (Rig::with(OPENS), Two::new());
    let (path, report) = (two.path(), two.path().join("report"));
    let (pid, status) = rig.act(|| {
        let name = format!("{}/file-a", path.display());
        let (last, racy) = (name.len() - 1, Racy::<256>::new(name.as_bytes()));
        let other = Arc::clone(&racy);
        let swapping =
            Meanwhile::new(move |turn| other.set(last, if turn.is_multiple_of(2) { b'b' } else { b'a' }));
        let inodes: Vec<u64> = (0..TRIES)
            .map(|turn| {
                take_turns(turn);
                open(racy.address())
            })
            .collect();
        drop(swapping);
        tell(&report, &inodes);
    });
    assert!(passed(&status), "{status:?}");
    let truth = told(&report);
    assert_eq!(truth.len(), TRIES);
    let both = truth.iter().collect::<BTreeSet<_>>().len();
    assert_eq!(both, 2, "the name was swapped meanwhile");
    let swapped = check(&mut rig, pid, &path, &truth);
    println!("{swapped} of {TRIES} opens were given another name than that of the file they got");
    println!("MATRIX class=toctou_path hook={} result=passed", hook(&rig));
}

#[test]
#[ignore = "needs root and BPF"]
fn a_link_that_is_turned_during_the_open() {
    let (mut rig, two) = (Rig::with(OPENS), Two::new());
    let (path, report) = (two.path(), two.path().join("report"));
    std::os::unix::fs::symlink("file-a", path.join("link")).expect("a link");
    let (pid, status) = rig.act(|| {
        let (link, fresh) = (path.join("link"), path.join("fresh"));
        let name = Racy::<256>::new(bytes(&link));
        let turning = Meanwhile::new(move |turn| {
            let target = if turn.is_multiple_of(2) { "file-b" } else { "file-a" };
            std::os::unix::fs::symlink(target, &fresh).expect("a link");
            fs::rename(&fresh, &link).expect("the link");
        });
        let inodes: Vec<u64> = (0..TRIES)
            .map(|turn| {
                take_turns(turn);
                open_link(name.address())
            })
            .collect();
        drop(turning);
        tell(&report, &inodes);
    });
    assert!(passed(&status), "{status:?}");
    let truth = told(&report);
    assert_eq!(truth.len(), TRIES);
    let both = truth.iter().collect::<BTreeSet<_>>().len();
    assert_eq!(both, 2, "the link was turned meanwhile");
    check(&mut rig, pid, &path, &truth);
    println!("MATRIX class=toctou_link hook={} result=passed", hook(&rig));
}

/// Two pages, the second of which the kernel has to ask for: whoever reads it waits until it is served.
struct Served {
    faults: OwnedFd,
    pages: *mut u8,
}

// SAFETY: the mapping lives as long as the process, and bytes of it change under the kernel on purpose.
unsafe impl Send for Served {}
// SAFETY: the same.
unsafe impl Sync for Served {}

const PAGE: usize = 4096;
const UFFDIO_API: libc::c_ulong = 0xc018_aa3f;
const UFFDIO_REGISTER: libc::c_ulong = 0xc020_aa00;
const UFFDIO_COPY: libc::c_ulong = 0xc028_aa03;
const UFFD_API: u64 = 0xaa;
const REGISTER_MISSING: u64 = 1;

impl Served {
    /// An error where the kernel was built without.
    fn new() -> io::Result<Served> {
        // SAFETY: no memory is handed over.
        let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor that nobody else has.
        let faults = unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).expect("a descriptor")) };
        // SAFETY: a new mapping.
        let pages = unsafe {
            libc::mmap(
                ptr::null_mut(),
                2 * PAGE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(pages, libc::MAP_FAILED);
        let served = Served { faults, pages: pages.cast() };
        served.control(UFFDIO_API, &mut [UFFD_API, 0, 0]);
        let second = served.second() as u64;
        served.control(UFFDIO_REGISTER, &mut [second, PAGE as u64, REGISTER_MISSING, 0]);
        Ok(served)
    }

    fn control(&self, request: libc::c_ulong, arguments: &mut [u64]) {
        // SAFETY: as many words as the request's struct has.
        let code = unsafe { libc::ioctl(self.faults.as_raw_fd(), request, arguments.as_mut_ptr()) };
        assert_eq!(code, 0, "{request:#x}: {}", io::Error::last_os_error());
    }

    fn second(&self) -> *mut u8 {
        // SAFETY: within the mapping.
        unsafe { self.pages.add(PAGE) }
    }

    /// Writes to the end of the first page; the string goes on in the second. Its address.
    fn put(&self, head: &[u8]) -> *const libc::c_char {
        // SAFETY: within the first page.
        unsafe {
            let start = self.second().sub(head.len());
            ptr::copy_nonoverlapping(head.as_ptr(), start, head.len());
            start.cast()
        }
    }

    /// Takes the second page away again.
    fn take(&self) {
        // SAFETY: ours, and nothing refers to it.
        assert_eq!(unsafe { libc::madvise(self.second().cast(), PAGE, libc::MADV_DONTNEED) }, 0);
    }

    /// Waits until somebody asks for the second page, and serves it after `meanwhile`.
    fn serve(&self, page: &[u8; PAGE], meanwhile: impl FnOnce()) {
        let mut message = [0_u64; 4];
        // SAFETY: room for one message.
        let got = unsafe { libc::read(self.faults.as_raw_fd(), message.as_mut_ptr().cast(), 32) };
        assert_eq!(got, 32);
        meanwhile();
        self.control(UFFDIO_COPY, &mut [self.second() as u64, page.as_ptr() as u64, PAGE as u64, 0, 0]);
    }
}

/// The kernel has read the first part of the name and waits for the page with the rest of it. Meanwhile the part that
/// it has read is changed: every open is given another name than that of the file it gets.
#[test]
#[ignore = "needs root and BPF"]
fn a_path_that_is_changed_while_the_kernel_reads_it() {
    const ROUNDS: usize = 1000;
    let served = match Served::new() {
        Ok(served) => served,
        Err(error) => {
            println!("MATRIX class=toctou_userfaultfd hook=none result=missing: userfaultfd: {error}");
            return;
        }
    };
    drop(served);
    let (mut rig, two) = (Rig::with(OPENS), Two::new());
    let (path, report) = (two.path(), two.path().join("report"));
    let (pid, status) = rig.act(|| {
        let served = Arc::new(Served::new().expect("userfaultfd"));
        // Whole words up to the page's end, as the kernel reads word by word and would read a cut one again.
        let mut name = format!("{}/file-a", path.display());
        while !name.len().is_multiple_of(8) {
            name.insert(path.as_os_str().len(), '/');
        }
        let other = name.replace("file-a", "file-b");
        let inodes: Vec<u64> = (0..ROUNDS)
            .map(|_| {
                served.take();
                let address = served.put(name.as_bytes());
                thread::scope(|scope| {
                    scope.spawn(|| {
                        served.serve(&[0; PAGE], || {
                            served.put(other.as_bytes());
                        });
                    });
                    open(address)
                })
            })
            .collect();
        tell(&report, &inodes);
    });
    assert!(passed(&status), "{status:?}");
    let truth = told(&report);
    let first = fs::metadata(path.join("file-a")).expect("a file").ino();
    assert!(truth.iter().all(|inode| *inode == first), "the kernel had read the first part");
    let flagged = if compares(&rig) { opens(&rig, pid, &path).len() } else { 0 };
    assert_eq!(check(&mut rig, pid, &path, &truth), flagged);
    for file in opens(&rig, pid, &path).iter().take(flagged) {
        assert!(file.given.ends_with(b"/file-b"), "{file:#?}");
    }
    println!("MATRIX class=toctou_userfaultfd hook={} result=passed", hook(&rig));
}
