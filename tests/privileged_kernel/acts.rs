//! What no shell can do: roles for a forked child.

use std::cell::UnsafeCell;
use std::ffi::CStr;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use nix::libc;
use nix::unistd::{ForkResult, fork};

/// Runs `role` in a child and returns its pid. The child ends with 0 if the role returns, with 101 if it panics.
pub fn act(role: impl FnOnce()) -> u32 {
    // SAFETY: the tests run one after the other, so no other thread holds a lock that the child may need, and the C
    // library makes allocation usable in it.
    match unsafe { fork() }.expect("forking") {
        ForkResult::Parent { child } => u32::try_from(child.as_raw()).expect("a pid"),
        ForkResult::Child => {
            let code = if std::panic::catch_unwind(AssertUnwindSafe(role)).is_ok() { 0 } else { 101 };
            end(code)
        }
    }
}

fn end(code: i32) -> ! {
    // SAFETY: ends the process at once; there is nothing to clean up.
    unsafe { libc::_exit(code) }
}

fn end_thread() -> ! {
    // SAFETY: ends the calling thread alone. Nothing of it is used afterwards; the process ends right after.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    unreachable!("exit returned");
}

pub fn exec_from_a_thread() {
    let error = begin(|| Command::new("/bin/true").exec()).join();
    panic!("exec returned: {error:?}");
}

pub fn begin<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> thread::JoinHandle<T> {
    thread::Builder::new().spawn(body).expect("a thread")
}

/// The leader is a zombie for half a second, then another thread ends the process with 7.
pub fn leader_first() {
    begin(|| {
        thread::sleep(Duration::from_millis(500));
        end(7)
    });
    end_thread();
}

/// Threads that leave as much at the same time as can be had.
pub fn exit_at_once() {
    const THREADS: usize = 4;
    let barrier = Arc::new(Barrier::new(THREADS));
    for _ in 1..THREADS {
        let barrier = Arc::clone(&barrier);
        begin(move || {
            barrier.wait();
            end_thread();
        });
    }
    barrier.wait();
    end_thread();
}

/// A child whose parent is our parent.
pub fn clone_parent() {
    let flags = libc::CLONE_PARENT | libc::SIGCHLD;
    // SAFETY: like fork(); the child only exits.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    if pid == 0 {
        end(0);
    }
    assert!(pid > 0);
}

pub fn threads() {
    let threads: Vec<_> = (0..5).map(|_| begin(|| thread::sleep(Duration::from_millis(5)))).collect();
    threads.into_iter().for_each(|t| t.join().expect("a thread"));
}

pub fn exec_of_a_bad_address() {
    // SAFETY: the kernel refuses the addresses; nothing is dereferenced here.
    let code = unsafe { libc::syscall(libc::SYS_execve, 8, 8, 0) };
    assert_eq!(code, -1);
}

/// An argument that one thread rewrites while another one calls execve with it.
struct Shared(UnsafeCell<[u8; 5]>);

// SAFETY: the race is what the test is about; bytes are written with volatile stores, and only the kernel reads them.
unsafe impl Sync for Shared {}

/// Becomes `echo aaaa` or `echo bbbb`, or a mix of them, and writes what it became to a file.
pub fn exec_while_rewriting(output: &Path) {
    static ARGUMENT: Shared = Shared(UnsafeCell::new(*b"aaaa\0"));
    let file = std::fs::File::create(output).expect("a file");
    nix::unistd::dup2_stdout(&file).expect("our output");
    begin(|| {
        for round in 0_u64.. {
            let byte = if round % 2 == 0 { b'b' } else { b'a' };
            for at in 0..4 {
                // SAFETY: within the array; see `Shared`.
                unsafe { ARGUMENT.0.get().cast::<u8>().add(at).write_volatile(byte) };
            }
        }
    });
    thread::sleep(Duration::from_micros(300));
    let argv = [c"echo".as_ptr(), ARGUMENT.0.get().cast::<libc::c_char>(), std::ptr::null()];
    // SAFETY: both strings end in NUL whatever the other thread writes, and the arrays in a null pointer.
    unsafe { libc::execve(c"/bin/echo".as_ptr(), argv.as_ptr(), [std::ptr::null()].as_ptr()) };
    panic!("exec returned");
}

/// A session of our own with a new pseudo terminal, in which a program is run. Tells the terminal's path on the way.
pub fn exec_on_a_terminal(tell: &Path) {
    let master = std::fs::File::options().read(true).write(true).open("/dev/ptmx").expect("a terminal");
    let mut name = [0; 64];
    // SAFETY: an open terminal, and a buffer of the length that is given.
    let path = unsafe {
        assert_eq!(libc::unlockpt(master.as_raw_fd()), 0);
        assert_eq!(libc::ptsname_r(master.as_raw_fd(), name.as_mut_ptr(), name.len()), 0);
        CStr::from_ptr(name.as_ptr())
    };
    std::fs::write(tell, path.to_bytes()).expect("a file");
    nix::unistd::setsid().expect("a new session");
    // Becomes the session's controlling terminal.
    let _slave =
        std::fs::File::options().read(true).write(true).open(path.to_str().expect("a path")).expect("it");
    let error = Command::new("/bin/true").exec();
    panic!("exec returned: {error}");
}

/// Like fork, with a pid of our choice. The child ends at once.
pub fn fork_as(pid: u32) -> std::io::Result<()> {
    let wanted = [i32::try_from(pid).expect("a pid")];
    // SAFETY: plain numbers, for which zeros are valid.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.exit_signal = libc::SIGCHLD as u64;
    args.set_tid = wanted.as_ptr() as u64;
    args.set_tid_size = 1;
    // SAFETY: like fork(); the child only exits.
    let code = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>()) };
    match code {
        0 => end(0),
        -1 => Err(std::io::Error::last_os_error()),
        _ => Ok(()),
    }
}
