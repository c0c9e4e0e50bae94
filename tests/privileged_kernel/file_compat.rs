//! Files through the 32-bit calls of x86, which have numbers, registers and structs of their own.
//!
//! A 64-bit process can make them by `int 0x80`, as long as what it passes lies below 4 GiB.

use std::arch::asm;
use std::ffi::CString;
use std::fs;

use nix::libc;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use sentinel_edge::event::FileOp;

use crate::acts::act;
use crate::file::{both, expect};
use crate::rig::Place;

/// The numbers of arch/x86/entry/syscalls/syscall_32.tbl.
mod nr {
    pub const OPEN: u32 = 5;
    pub const CLOSE: u32 = 6;
    pub const CREAT: u32 = 8;
    pub const LINK: u32 = 9;
    pub const UNLINK: u32 = 10;
    pub const MKNOD: u32 = 14;
    pub const CHMOD: u32 = 15;
    pub const LCHOWN16: u32 = 16;
    pub const MOUNT: u32 = 21;
    pub const UMOUNT: u32 = 22;
    pub const UTIME: u32 = 30;
    pub const RENAME: u32 = 38;
    pub const MKDIR: u32 = 39;
    pub const RMDIR: u32 = 40;
    pub const CHROOT: u32 = 61;
    pub const SYMLINK: u32 = 83;
    pub const FCHMOD: u32 = 94;
    pub const FTRUNCATE64: u32 = 194;
    pub const TRUNCATE64: u32 = 193;
    pub const CHOWN32: u32 = 212;
    pub const SETXATTR: u32 = 226;
    pub const UTIMES: u32 = 271;
    pub const OPENAT: u32 = 295;
    pub const UNLINKAT: u32 = 301;
    pub const UTIMENSAT: u32 = 320;
    pub const RENAMEAT2: u32 = 353;
    pub const UTIMENSAT_TIME64: u32 = 412;
    pub const OPENAT2: u32 = 437;
    pub const GETPID: u32 = 20;
}

/// Memory below 4 GiB that is never given back.
struct Low {
    next: usize,
}

impl Low {
    fn new() -> Low {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT;
        // SAFETY: fresh memory of its own.
        let page = unsafe {
            libc::mmap(std::ptr::null_mut(), 65536, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        assert_ne!(page, libc::MAP_FAILED);
        Low { next: page as usize }
    }

    /// Keeps the bytes and tells their address.
    fn put(&mut self, bytes: &[u8]) -> u32 {
        let at = self.next;
        // SAFETY: within the memory that was mapped, of which the tests use little.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), at as *mut u8, bytes.len()) };
        self.next += bytes.len().next_multiple_of(16);
        u32::try_from(at).expect("an address below 4 GiB")
    }

    fn text(&mut self, string: &str) -> u32 {
        self.put(CString::new(string).expect("no NUL").as_bytes_with_nul())
    }

    fn words<const N: usize>(&mut self, words: [i32; N]) -> u32 {
        self.put(&words.map(i32::to_ne_bytes).concat())
    }
}

fn attempt<const N: usize>(number: u32, args: [u32; N]) -> i32 {
    let mut five = [0; 5];
    five[..N].copy_from_slice(&args);
    let mut result = u64::from(number);
    // SAFETY: the tests pass addresses of memory that is never given back. The compiler keeps rbx for itself, so
    // it is swapped in and out.
    unsafe {
        asm!(
            "xchg rbx, {first}", "int 0x80", "xchg rbx, {first}",
            first = inout(reg) u64::from(five[0]) => _,
            inout("rax") result, in("rcx") u64::from(five[1]), in("rdx") u64::from(five[2]),
            in("rsi") u64::from(five[3]), in("rdi") u64::from(five[4]),
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    u32::try_from(result & u64::from(u32::MAX)).expect("masked").cast_signed()
}

fn call<const N: usize>(number: u32, args: [u32; N]) -> u32 {
    let result = attempt(number, args);
    u32::try_from(result).unwrap_or_else(|_| panic!("call {number}: {result}"))
}

/// Whether this kernel has 32-bit calls. Without them the way in ends the process.
fn has_compat() -> bool {
    let pid = act(|| assert_eq!(call(nr::GETPID, []), std::process::id()));
    let status = waitpid(Pid::from_raw(pid.cast_signed()), None).expect("waiting for a child");
    let has = matches!(status, WaitStatus::Exited(_, 0));
    if !has {
        println!("no 32-bit calls here: {status:?}");
    }
    has
}

const CWD: u32 = libc::AT_FDCWD.cast_unsigned();

#[test]
#[ignore = "needs root and BPF"]
fn calls_of_32_bits_tell_the_same() {
    if !has_compat() {
        return;
    }
    for options in both() {
        let place = Place::new();
        let root = place.path();
        fs::write(root.join("a"), "").expect("a file");
        let role = || {
            std::env::set_current_dir(&root).expect("the directory");
            let mut low = Low::new();
            let [a, b, d, l, x] = ["a", "b", "d", "l", "trusted.x"].map(|name| low.text(name));
            call(nr::CLOSE, [call(nr::OPEN, [a, 1])]);
            call(nr::CLOSE, [call(nr::OPENAT, [CWD, b, 0o101, 0o600])]);
            call(nr::CLOSE, [call(nr::CREAT, [b, 0o600])]);
            let how = low.words([2, 0, 0, 0, 0, 0]);
            let fd = call(nr::OPENAT2, [CWD, a, how, 24]);
            call(nr::FCHMOD, [fd, 0o711]);
            call(nr::FTRUNCATE64, [fd, 5, 1]);
            call(nr::CLOSE, [fd]);
            call(nr::TRUNCATE64, [a, 6, 0]);
            call(nr::CHMOD, [a, 0o640]);
            call(nr::LCHOWN16, [a, 0xffff, 12]);
            call(nr::CHOWN32, [a, 70000, u32::MAX]);
            call(nr::SETXATTR, [a, x, a, 1, 0]);
            let times = low.words([1, 2, -3, 4]);
            call(nr::UTIME, [a, times]);
            call(nr::UTIMES, [a, times]);
            call(nr::UTIMENSAT, [CWD, a, times, 0]);
            let wide = low.words([1, 0, 2, 0, 3, 0, 4, 0]);
            if attempt(nr::UTIMENSAT_TIME64, [CWD, a, wide, 0]) != 0 {
                panic!("utimensat_time64");
            }
            call(nr::LINK, [a, l]);
            call(nr::UNLINK, [l]);
            call(nr::SYMLINK, [a, l]);
            call(nr::UNLINKAT, [CWD, l, 0]);
            call(nr::MKDIR, [d, 0o700]);
            call(nr::RMDIR, [d]);
            call(nr::MKNOD, [d, 0o600, 0]);
            call(nr::RENAME, [a, d]);
            call(nr::RENAMEAT2, [CWD, d, CWD, b, libc::RENAME_EXCHANGE]);
        };
        expect(
            options,
            &place,
            &[],
            role,
            &[
                "Open @/a 1",
                "Close @/a unchanged",
                "Create @/b 101",
                "Close @/b unchanged",
                "Open @/b 1101",
                "Close @/b unchanged",
                "Open @/a 2",
                "Chmod @/a 100711",
                "Truncate @/a 4294967301",
                "Close @/a written",
                "Truncate @/a 6 user joined",
                "Chmod @/a 640 user joined",
                "Chown @/a -1:12 user joined",
                "Chown @/a 70000:-1 user joined",
                "Setxattr @/a [trusted.x] 0x1 user joined",
                "Utimes @/a 1000000000 2000000000 user joined",
                "Utimes @/a 1000002000 -2999996000 user joined",
                "Utimes @/a 1000000002 -2999999996 user joined",
                "Utimes @/a 1000000002 3000000004 user joined",
                "Link @/a > @/l user joined other_joined",
                "Unlink @/l user joined",
                "Symlink @/l > a user joined",
                "Unlink @/l user joined",
                "Mkdir @/d 40700 user joined",
                "Rmdir @/d user joined",
                "Mknod @/d 100600 0x0 user joined",
                "Rename @/a > @/d user joined other_joined",
                "Exchange @/d > @/b 0x2 user joined other_joined",
            ],
        );
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn mounts_by_32_bit_calls_tell_the_same() {
    if !has_compat() {
        return;
    }
    let place = Place::new();
    let root = place.path();
    fs::create_dir(root.join("m")).expect("a directory");
    let role = || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).expect("a mount namespace");
        std::env::set_current_dir(&root).expect("the directory");
        let mut low = Low::new();
        let [none, slash, tmpfs, m] = ["none", "/", "tmpfs", "m"].map(|name| low.text(name));
        let private = u32::try_from(libc::MS_REC | libc::MS_PRIVATE).expect("flags");
        call(nr::MOUNT, [none, slash, 0, private, 0]);
        call(nr::MOUNT, [none, m, tmpfs, 0, 0]);
        call(nr::UMOUNT, [m]);
        call(nr::CHROOT, [m]);
    };
    expect(
        crate::file::OPTIONS,
        &place,
        &[FileOp::Open],
        role,
        &[
            "Mount / > none 0x44000 user joined",
            "Mount @/m > none [tmpfs] user joined",
            "Umount @/m user joined",
            "Chroot @/m",
        ],
    );
}
