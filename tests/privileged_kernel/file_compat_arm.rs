//! Files through the calls of 32-bit programs on arm64, which have numbers, structs and pairs of registers of their own.
//!
//! A 64-bit process has no way to make them, so a program of 32 bits is made here: an ELF file of one page of data and a
//! few instructions, which make the calls of a table one after the other. A call that fails ends it with 1.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::libc;
use nix::sched::CloneFlags;
use sentinel_edge::event::FileOp;

use crate::file::{both, expect};
use crate::rig::Place;

/// The numbers of arch/arm/tools/syscall.tbl.
mod nr {
    pub const OPEN: u32 = 5;
    pub const CLOSE: u32 = 6;
    pub const CREAT: u32 = 8;
    pub const LINK: u32 = 9;
    pub const UNLINK: u32 = 10;
    pub const CHDIR: u32 = 12;
    pub const MKNOD: u32 = 14;
    pub const CHMOD: u32 = 15;
    pub const LCHOWN16: u32 = 16;
    pub const MOUNT: u32 = 21;
    pub const RENAME: u32 = 38;
    pub const MKDIR: u32 = 39;
    pub const RMDIR: u32 = 40;
    pub const UMOUNT2: u32 = 52;
    pub const CHROOT: u32 = 61;
    pub const SYMLINK: u32 = 83;
    pub const FCHMOD: u32 = 94;
    pub const TRUNCATE64: u32 = 193;
    pub const FTRUNCATE64: u32 = 194;
    pub const CHOWN32: u32 = 212;
    pub const PIVOT_ROOT: u32 = 218;
    pub const SETXATTR: u32 = 226;
    pub const EXIT_GROUP: u32 = 248;
    pub const UTIMES: u32 = 269;
    pub const OPENAT: u32 = 322;
    pub const UNLINKAT: u32 = 328;
    pub const UTIMENSAT: u32 = 348;
    pub const RENAMEAT2: u32 = 382;
    pub const UTIMENSAT_TIME64: u32 = 412;
    pub const OPENAT2: u32 = 437;
}

const CWD: u32 = libc::AT_FDCWD.cast_unsigned();

/// The first descriptor that a program gets which was started with three.
const FD: u32 = 3;

/// Where the file is mapped, and what is where in it.
const BASE: u32 = 0x10000;
const CODE: usize = 0x54;
const DATA: usize = 0x4000;
const END: usize = 0x5000;

/// A program in the making.
struct Program {
    calls: Vec<u32>,
    data: Vec<u8>,
}

impl Program {
    fn new() -> Self {
        Program { calls: Vec::new(), data: Vec::new() }
    }

    /// Keeps the bytes and tells their address.
    fn put(&mut self, bytes: &[u8]) -> u32 {
        let at = DATA + self.data.len();
        self.data.extend_from_slice(bytes);
        self.data.resize(self.data.len().next_multiple_of(16), 0);
        BASE + u32::try_from(at).expect("a small program")
    }

    fn text(&mut self, string: &str) -> u32 {
        self.put(&[string.as_bytes(), &[0]].concat())
    }

    fn words<const N: usize>(&mut self, words: [i32; N]) -> u32 {
        self.put(&words.map(i32::to_ne_bytes).concat())
    }

    fn call<const N: usize>(&mut self, number: u32, arguments: [u32; N]) {
        let mut all = [0; 7];
        all[..N].copy_from_slice(&arguments);
        all[6] = number;
        self.calls.extend(all);
    }

    /// Writes the file.
    fn make(mut self, path: &Path) {
        self.call(nr::EXIT_GROUP, []);
        let code = [
            0xe28f_8018, // add r8, pc, #24: the table
            0xe8b8_00bf, // ldm r8!, {r0-r5, r7}
            0xef00_0000, // svc #0
            0xe350_0000, // cmp r0, #0
            0xaaff_fffb, // bge to the ldm
            0xe3a0_0001, // mov r0, #1
            0xe3a0_7001, // mov r7, #1: exit
            0xef00_0000, // svc #0
        ];
        let half = |low: u32, high: u32| low | high << 16;
        let start = BASE + u32::try_from(CODE).expect("a small program");
        let size = u32::try_from(END).expect("a small program");
        // Of a 32-bit file for little-endian ARM: the header, with EABI 5 in its flags, and one piece to be mapped.
        let header = [
            u32::from_le_bytes(*b"\x7fELF"),
            half(0x0101, 1),
            0,
            0,
            half(2, 40),
            1,
            start,
            52,
            0,
            0x0500_0000,
            half(52, 32),
            half(1, 0),
            0,
        ];
        let piece = [1, 0, BASE, BASE, size, size, 7, 0x1000];
        let words = header.into_iter().chain(piece).chain(code).chain(self.calls);
        let mut file: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        assert!(file.len() <= DATA && DATA + self.data.len() <= END, "the program has become too large");
        file.resize(DATA, 0);
        file.extend(self.data);
        file.resize(END, 0);
        fs::write(path, file).expect("a program");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a program");
    }
}

/// A program in a directory of its own, away from what is looked at.
struct Made {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl Made {
    fn of(program: Program) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("program");
        program.make(&path);
        Made { _directory: directory, path }
    }

    /// Turns this process into the program.
    fn run(&self) {
        let error = Command::new(&self.path).exec();
        panic!("no program of 32 bits can run here: {error}");
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn calls_of_32_bits_tell_the_same() {
    let mut program = Program::new();
    let [a, b, d, l, x] = ["a", "b", "d", "l", "trusted.x"].map(|name| program.text(name));
    let how = program.words([2, 0, 0, 0, 0, 0]);
    let times = program.words([1, 2, -3, 4]);
    let wide = program.words([1, 0, 2, 0, 3, 0, 4, 0]);
    program.call(nr::OPEN, [a, 1]);
    program.call(nr::CLOSE, [FD]);
    program.call(nr::OPENAT, [CWD, b, 0o101, 0o600]);
    program.call(nr::CLOSE, [FD]);
    program.call(nr::CREAT, [b, 0o600]);
    program.call(nr::CLOSE, [FD]);
    program.call(nr::OPENAT2, [CWD, a, how, 24]);
    program.call(nr::FCHMOD, [FD, 0o711]);
    // A number of 64 bits begins in an even register.
    program.call(nr::FTRUNCATE64, [FD, 0, 5, 1]);
    program.call(nr::CLOSE, [FD]);
    program.call(nr::TRUNCATE64, [a, 0, 6, 0]);
    program.call(nr::CHMOD, [a, 0o640]);
    program.call(nr::LCHOWN16, [a, 0xffff, 12]);
    program.call(nr::CHOWN32, [a, 70000, u32::MAX]);
    program.call(nr::SETXATTR, [a, x, a, 1, 0]);
    program.call(nr::UTIMES, [a, times]);
    program.call(nr::UTIMENSAT, [CWD, a, times, 0]);
    program.call(nr::UTIMENSAT_TIME64, [CWD, a, wide, 0]);
    program.call(nr::LINK, [a, l]);
    program.call(nr::UNLINK, [l]);
    program.call(nr::SYMLINK, [a, l]);
    program.call(nr::UNLINKAT, [CWD, l, 0]);
    program.call(nr::MKDIR, [d, 0o700]);
    program.call(nr::RMDIR, [d]);
    program.call(nr::MKNOD, [d, 0o600, 0]);
    program.call(nr::RENAME, [a, d]);
    program.call(nr::RENAMEAT2, [CWD, d, CWD, b, libc::RENAME_EXCHANGE]);
    let made = Made::of(program);
    for options in both() {
        let place = Place::new();
        let root = place.path();
        fs::write(root.join("a"), "").expect("a file");
        let role = || {
            std::env::set_current_dir(&root).expect("the directory");
            made.run();
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
    let mut program = Program::new();
    let [none, slash, tmpfs, m, n, dot, old] =
        ["none", "/", "tmpfs", "m", "n", ".", "old"].map(|name| program.text(name));
    program.call(nr::MOUNT, [none, slash, 0, flags(libc::MS_REC | libc::MS_PRIVATE), 0]);
    program.call(nr::MOUNT, [none, m, tmpfs, 0, 0]);
    program.call(nr::MOUNT, [m, n, 0, flags(libc::MS_BIND), 0]);
    program.call(nr::UMOUNT2, [n, libc::MNT_DETACH.cast_unsigned()]);
    program.call(nr::CHDIR, [m]);
    program.call(nr::MKDIR, [old, 0o700]);
    program.call(nr::PIVOT_ROOT, [dot, old]);
    program.call(nr::CHROOT, [old]);
    let made = Made::of(program);
    let place = Place::new();
    let root = place.path();
    fs::create_dir(root.join("m")).expect("a directory");
    fs::create_dir(root.join("n")).expect("a directory");
    let role = || {
        nix::sched::unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
        std::env::set_current_dir(&root).expect("the directory");
        made.run();
    };
    expect(
        crate::file::OPTIONS,
        &place,
        &[FileOp::Open, FileOp::Mkdir],
        role,
        &[
            "Mount / > none 0x44000 user joined",
            "Mount @/m > none [tmpfs] user joined",
            "Mount @/n > m 0x1000 user joined",
            "Umount @/n 0x2 user joined",
            "PivotRoot / > old [tmpfs] given . user",
            "Chroot /old",
        ],
    );
}

fn flags(flags: libc::c_ulong) -> u32 {
    u32::try_from(flags).expect("flags of 32 bits")
}
