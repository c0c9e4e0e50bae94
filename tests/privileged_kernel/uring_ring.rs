//! An io_uring by hand, since no library for it may be needed, and system calls that do the same.

use std::ffi::CStr;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::libc;

const SETUP_SQPOLL: u32 = 1 << 1;
const SETUP_CQSIZE: u32 = 1 << 3;
const SQ_NEED_WAKEUP: u32 = 1;
const ENTER_GETEVENTS: u32 = 1;
const ENTER_SQ_WAKEUP: u32 = 2;
const REGISTER_FILES: u32 = 2;
const OFF_RINGS: i64 = 0;
const OFF_SQES: i64 = 0x1000_0000;

/// The completion is announced to nobody if the request succeeds.
pub const CQE_SKIP: u8 = 1 << 6;
/// A worker does it, whether it would block or not.
const FORCE_ASYNC: u8 = 1 << 4;

/// How a request is handed over and done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// By the thread that submits it.
    Plain,
    /// By a kernel thread that polls the queue.
    Sqpoll,
    /// By a worker.
    Async,
}

#[repr(C)]
#[derive(Default)]
struct Offsets {
    head: u32,
    tail: u32,
    ring_mask: u32,
    ring_entries: u32,
    flags_or_overflow: u32,
    dropped_or_cqes: u32,
    array_or_flags: u32,
    reserved: u32,
    user_address: u64,
}

#[repr(C)]
#[derive(Default)]
struct Params {
    sq_entries: u32,
    cq_entries: u32,
    flags: u32,
    sq_thread_cpu: u32,
    sq_thread_idle_ms: u32,
    features: u32,
    wq_fd: u32,
    reserved: [u32; 3],
    sq: Offsets,
    cq: Offsets,
}

/// What to do, as a request and as a system call.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Request {
    opcode: u8,
    flags: u8,
    ioprio: u16,
    fd: i32,
    offset: u64,
    address: u64,
    len: u32,
    op_flags: u32,
    user_data: u64,
    buffer: u16,
    personality: u16,
    file_index: u32,
    address3: u64,
    reserved: u64,
}

#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Completion {
    user_data: u64,
    res: i32,
    flags: u32,
}

/// A request beside the system call that does the same.
#[derive(Debug, Clone, Copy)]
pub struct Op {
    pub request: Request,
    nr: libc::c_long,
    args: [u64; 6],
}

/// `struct open_how`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct How {
    pub flags: u64,
    pub mode: u64,
    pub resolve: u64,
}

/// A descriptor as an argument of a system call: sign-extended.
#[expect(clippy::cast_sign_loss, reason = "what the kernel's ABI does")]
fn wide(fd: i32) -> u64 {
    i64::from(fd) as u64
}

#[expect(clippy::cast_sign_loss, reason = "flags")]
fn bits(flags: i32) -> u32 {
    flags as u32
}

fn at(text: &CStr) -> u64 {
    text.as_ptr() as u64
}

/// The length of something small.
fn len32(len: usize) -> u32 {
    u32::try_from(len).expect("a short length")
}

impl Op {
    fn new(nr: libc::c_long, args: &[u64], request: Request) -> Op {
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        Op { request, nr, args: all }
    }

    /// The request with these flags of a submission.
    pub fn with(mut self, flags: u8) -> Op {
        self.request.flags |= flags;
        self
    }

    pub fn openat(dir: i32, path: &CStr, flags: i32, mode: u32) -> Op {
        let flags = bits(flags);
        Op::new(
            libc::SYS_openat,
            &[wide(dir), at(path), flags.into(), mode.into()],
            Request {
                opcode: 18,
                fd: dir,
                address: at(path),
                len: mode,
                op_flags: flags,
                ..Request::default()
            },
        )
    }

    pub fn openat2(dir: i32, path: &CStr, how: &How) -> Op {
        let how = ptr::from_ref(how) as u64;
        let len = size_of::<How>();
        Op::new(
            libc::SYS_openat2,
            &[wide(dir), at(path), how, len as u64],
            Request {
                opcode: 28,
                fd: dir,
                address: at(path),
                offset: how,
                len: len32(len),
                ..Request::default()
            },
        )
    }

    /// An open into a direct descriptor of the ring, counted from 0.
    pub fn direct(mut self, slot: u32) -> Op {
        self.request.file_index = slot + 1;
        self
    }

    /// Closes a direct descriptor.
    pub fn close_direct(slot: u32) -> Op {
        let request = Request { opcode: 19, file_index: slot + 1, ..Request::default() };
        // No system call does that.
        Op::new(-1, &[], request)
    }

    pub fn write(fd: i32, bytes: &[u8]) -> Op {
        let (address, len) = (bytes.as_ptr() as u64, bytes.len());
        Op::new(
            libc::SYS_write,
            &[wide(fd), address, len as u64],
            Request { opcode: 23, fd, address, len: len32(len), offset: u64::MAX, ..Request::default() },
        )
    }

    pub fn close(fd: i32) -> Op {
        Op::new(libc::SYS_close, &[wide(fd)], Request { opcode: 19, fd, ..Request::default() })
    }

    pub fn rename(dir: i32, old: &CStr, new: &CStr, flags: u32) -> Op {
        let request = Request {
            opcode: 35,
            fd: dir,
            address: at(old),
            offset: at(new),
            len: bits(dir),
            op_flags: flags,
            ..Request::default()
        };
        Op::new(libc::SYS_renameat2, &[wide(dir), at(old), wide(dir), at(new), flags.into()], request)
    }

    pub fn unlink(dir: i32, path: &CStr, flags: i32) -> Op {
        let flags = bits(flags);
        Op::new(
            libc::SYS_unlinkat,
            &[wide(dir), at(path), flags.into()],
            Request { opcode: 36, fd: dir, address: at(path), op_flags: flags, ..Request::default() },
        )
    }

    pub fn mkdir(dir: i32, path: &CStr, mode: u32) -> Op {
        Op::new(
            libc::SYS_mkdirat,
            &[wide(dir), at(path), mode.into()],
            Request { opcode: 37, fd: dir, address: at(path), len: mode, ..Request::default() },
        )
    }

    pub fn symlink(target: &CStr, dir: i32, path: &CStr) -> Op {
        Op::new(
            libc::SYS_symlinkat,
            &[at(target), wide(dir), at(path)],
            Request { opcode: 38, fd: dir, address: at(target), offset: at(path), ..Request::default() },
        )
    }

    pub fn link(dir: i32, old: &CStr, new: &CStr) -> Op {
        let request = Request {
            opcode: 39,
            fd: dir,
            address: at(old),
            offset: at(new),
            len: bits(dir),
            ..Request::default()
        };
        Op::new(libc::SYS_linkat, &[wide(dir), at(old), wide(dir), at(new), 0], request)
    }

    pub fn fsetxattr(fd: i32, name: &CStr, value: &[u8]) -> Op {
        let (data, len) = (value.as_ptr() as u64, value.len());
        Op::new(
            libc::SYS_fsetxattr,
            &[wide(fd), at(name), data, len as u64, 0],
            Request {
                opcode: 41,
                fd,
                address: at(name),
                offset: data,
                len: len32(len),
                ..Request::default()
            },
        )
    }

    pub fn setxattr(path: &CStr, name: &CStr, value: &[u8]) -> Op {
        let (data, len) = (value.as_ptr() as u64, value.len());
        let request = Request {
            opcode: 42,
            address: at(name),
            offset: data,
            len: len32(len),
            address3: at(path),
            ..Request::default()
        };
        Op::new(libc::SYS_setxattr, &[at(path), at(name), data, len as u64, 0], request)
    }

    pub fn ftruncate(fd: i32, len: u64) -> Op {
        Op::new(
            libc::SYS_ftruncate,
            &[wide(fd), len],
            Request { opcode: 55, fd, offset: len, ..Request::default() },
        )
    }

    pub fn connect(fd: i32, address: &[u8]) -> Op {
        let (data, len) = (address.as_ptr() as u64, address.len() as u64);
        Op::new(
            libc::SYS_connect,
            &[wide(fd), data, len],
            Request { opcode: 16, fd, address: data, offset: len, ..Request::default() },
        )
    }

    pub fn accept(fd: i32) -> Op {
        Op::new(libc::SYS_accept4, &[wide(fd)], Request { opcode: 13, fd, ..Request::default() })
    }

    pub fn send(fd: i32, bytes: &[u8]) -> Op {
        let (address, len) = (bytes.as_ptr() as u64, bytes.len());
        Op::new(
            libc::SYS_sendto,
            &[wide(fd), address, len as u64],
            Request { opcode: 26, fd, address, len: len32(len), ..Request::default() },
        )
    }

    pub fn socket(domain: i32, kind: i32, protocol: i32) -> Op {
        let request = Request {
            opcode: 45,
            fd: domain,
            offset: bits(kind).into(),
            len: bits(protocol),
            ..Request::default()
        };
        Op::new(libc::SYS_socket, &[wide(domain), bits(kind).into(), bits(protocol).into()], request)
    }

    pub fn bind(fd: i32, address: &[u8]) -> Op {
        let (data, len) = (address.as_ptr() as u64, address.len() as u64);
        Op::new(
            libc::SYS_bind,
            &[wide(fd), data, len],
            Request { opcode: 56, fd, address: data, offset: len, ..Request::default() },
        )
    }

    pub fn listen(fd: i32, backlog: u32) -> Op {
        Op::new(
            libc::SYS_listen,
            &[wide(fd), backlog.into()],
            Request { opcode: 57, fd, len: backlog, ..Request::default() },
        )
    }

    /// The system call; its result or negative errno, as a request's.
    pub fn call(&self) -> i32 {
        let [a, b, c, d, e, f] = self.args;
        // SAFETY: the caller of the constructors keeps what the addresses point to.
        let code = unsafe { libc::syscall(self.nr, a, b, c, d, e, f) };
        if code < 0 {
            return -io::Error::last_os_error().raw_os_error().expect("errno");
        }
        i32::try_from(code).expect("a small result")
    }
}

/// Memory shared with the kernel.
struct Shared {
    start: *mut libc::c_void,
    bytes: usize,
}

impl Shared {
    fn map(ring: &OwnedFd, bytes: usize, offset: i64) -> Shared {
        // SAFETY: a new mapping, of a descriptor that is open.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_POPULATE,
                ring.as_raw_fd(),
                offset,
            )
        };
        assert_ne!(start, libc::MAP_FAILED, "mapping the ring");
        Shared { start, bytes }
    }

    fn number(&self, offset: u32) -> &AtomicU32 {
        // SAFETY: the kernel's offsets lie within the mapping and are aligned.
        unsafe { &*self.start.cast::<u8>().add(offset as usize).cast::<AtomicU32>() }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: mapped by us, and nothing refers to it any more.
        unsafe { libc::munmap(self.start, self.bytes) };
    }
}

/// An io_uring of the calling process.
pub struct Ring {
    fd: OwnedFd,
    mode: Mode,
    params: Params,
    rings: Shared,
    sqes: Shared,
}

impl Ring {
    pub fn new(mode: Mode) -> Ring {
        Ring::sized(mode, 16, 64)
    }

    /// A ring of so many submissions and completions.
    pub fn sized(mode: Mode, submissions: u32, completions: u32) -> Ring {
        let mut params = Params {
            flags: SETUP_CQSIZE,
            cq_entries: completions,
            sq_thread_idle_ms: 100,
            ..Params::default()
        };
        if mode == Mode::Sqpoll {
            params.flags |= SETUP_SQPOLL;
        }
        // SAFETY: the struct has the layout that the kernel fills.
        let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, submissions, &raw mut params) };
        assert!(fd >= 0, "making an io_uring: {}", io::Error::last_os_error());
        // SAFETY: a new descriptor that nobody else has.
        let fd = unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).expect("a descriptor")) };
        let entries = |count: u32, size: usize| count as usize * size;
        let sq_bytes = params.sq.array_or_flags as usize + entries(params.sq_entries, 4);
        let cq_bytes =
            params.cq.dropped_or_cqes as usize + entries(params.cq_entries, size_of::<Completion>());
        let rings = Shared::map(&fd, sq_bytes.max(cq_bytes), OFF_RINGS);
        let sqes = Shared::map(&fd, entries(params.sq_entries, size_of::<Request>()), OFF_SQES);
        Ring { fd, mode, params, rings, sqes }
    }

    /// Does one operation and waits for it; its result.
    pub fn call(&mut self, op: &Op) -> i32 {
        self.submit(&[*op], 1);
        self.reap().pop().expect("a completion").1
    }

    /// Hands over all of them at once and waits for so many completions.
    pub fn submit(&mut self, ops: &[Op], completions: u32) {
        let (sq, count) = (&self.params.sq, len32(ops.len()));
        let tail = self.rings.number(sq.tail);
        let mask = self.rings.number(sq.ring_mask).load(Ordering::Relaxed);
        let mut at = tail.load(Ordering::Relaxed);
        for (number, op) in ops.iter().enumerate() {
            let mut request = op.request;
            request.user_data = number as u64;
            if self.mode == Mode::Async {
                request.flags |= FORCE_ASYNC;
            }
            let slot = at & mask;
            // SAFETY: the mask keeps the slot within the mapped array, and the kernel reads it only after the tail
            // has moved past it.
            unsafe { self.sqes.start.cast::<Request>().add(slot as usize).write(request) };
            self.rings.number(sq.array_or_flags + 4 * slot).store(slot, Ordering::Relaxed);
            at = at.wrapping_add(1);
        }
        tail.store(at, Ordering::SeqCst);
        if self.mode != Mode::Sqpoll {
            self.enter(count, completions, ENTER_GETEVENTS);
            return;
        }
        if self.rings.number(sq.flags_or_overflow).load(Ordering::SeqCst) & SQ_NEED_WAKEUP != 0 {
            self.enter(0, 0, ENTER_SQ_WAKEUP);
        }
        if completions > 0 {
            self.enter(0, completions, ENTER_GETEVENTS);
        } else {
            while self.rings.number(sq.head).load(Ordering::Acquire) != at {
                std::thread::yield_now();
            }
        }
    }

    fn enter(&self, submit: u32, wait: u32, flags: u32) {
        let fd = self.fd.as_raw_fd();
        // SAFETY: no memory is handed over.
        let code = unsafe { libc::syscall(libc::SYS_io_uring_enter, fd, submit, wait, flags, 0, 0) };
        assert_eq!(u32::try_from(code), Ok(submit), "entering the ring: {}", io::Error::last_os_error());
    }

    /// Makes room for so many direct descriptors.
    pub fn direct(&mut self, slots: usize) {
        let none = vec![-1_i32; slots];
        let fd = self.fd.as_raw_fd();
        // SAFETY: an array of the length that is given.
        let code =
            unsafe { libc::syscall(libc::SYS_io_uring_register, fd, REGISTER_FILES, none.as_ptr(), slots) };
        assert_eq!(code, 0, "{}", io::Error::last_os_error());
    }

    /// The completions that are there: number of the operation within its submission, and result.
    pub fn reap(&mut self) -> Vec<(u64, i32)> {
        let cq = &self.params.cq;
        let head = self.rings.number(cq.head);
        let tail = self.rings.number(cq.tail).load(Ordering::Acquire);
        let mask = self.rings.number(cq.ring_mask).load(Ordering::Relaxed);
        let mut found = Vec::new();
        let mut at = head.load(Ordering::Relaxed);
        while at != tail {
            // SAFETY: the mask keeps the slot within the mapped array, and the kernel wrote it before the tail moved.
            let completion = unsafe {
                let cqes = self.rings.start.cast::<u8>().add(cq.dropped_or_cqes as usize);
                cqes.cast::<Completion>().add((at & mask) as usize).read()
            };
            found.push((completion.user_data, completion.res));
            at = at.wrapping_add(1);
        }
        head.store(at, Ordering::Release);
        found
    }
}

/// The way in which operations are done.
pub enum Way {
    Call,
    Ring(Box<Ring>),
}

impl Way {
    /// By system calls, or by a ring of this mode.
    pub fn new(mode: Option<Mode>) -> Way {
        mode.map_or(Way::Call, |mode| Way::Ring(Box::new(Ring::new(mode))))
    }

    pub fn call(&mut self, op: &Op) -> i32 {
        match self {
            Way::Call => op.call(),
            Way::Ring(ring) => ring.call(op),
        }
    }

    /// Does what must succeed.
    pub fn good(&mut self, op: &Op) -> i32 {
        let result = self.call(op);
        assert!(result >= 0, "{op:?}: {}", io::Error::from_raw_os_error(-result));
        result
    }
}
