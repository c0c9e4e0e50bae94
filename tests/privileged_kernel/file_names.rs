//! Names, attributes and mounts of files, at the return of every system call that changes them.

use std::ffi::CString;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

use nix::libc::{self, c_long};
use nix::sched::{CloneFlags, unshare};
use sentinel_edge::event::{FileOp, Kind};

use crate::file::{CWD, at, attempt, both, c, call, expect, passed, text};
use crate::rig::Place;

/// What the set-up of a role does and no test asks about.
const OPENS: &[FileOp] = &[FileOp::Open, FileOp::Create, FileOp::Close];

/// The descriptor of a directory, as an argument of a call.
fn directory(path: impl AsRef<std::path::Path>) -> (fs::File, c_long) {
    let file = fs::File::open(path).expect("a directory");
    let fd = file.as_raw_fd().into();
    (file, fd)
}

#[test]
#[ignore = "needs root and BPF"]
fn renames_have_both_ends() {
    for options in both() {
        let place = Place::new();
        let root = place.path();
        for name in ["a", "b", "c"] {
            fs::write(root.join(name), "").expect("a file");
        }
        fs::create_dir(root.join("d")).expect("a directory");
        let role = || {
            std::env::set_current_dir(&root).expect("the directory");
            let (_d, d) = directory(root.join("d"));
            let [a, b, cc, e, up] = ["a", "b", "c", "e", "../f"].map(c);
            let absolute = c(root.join("d/e"));
            call(libc::SYS_renameat2, [CWD, text(&a), d, text(&e), 0]);
            call(libc::SYS_renameat2, [CWD, text(&b), CWD, text(&cc), libc::RENAME_EXCHANGE.into()]);
            call(libc::SYS_renameat2, [CWD, text(&b), CWD, text(&a), libc::RENAME_NOREPLACE.into()]);
            #[cfg(target_arch = "x86_64")]
            {
                call(libc::SYS_renameat, [CWD, text(&absolute), d, text(&up)]);
                call(libc::SYS_rename, [text(&a), text(&absolute)]);
            }
            #[cfg(not(target_arch = "x86_64"))]
            {
                call(libc::SYS_renameat2, [CWD, text(&absolute), d, text(&up), 0]);
                call(libc::SYS_renameat2, [CWD, text(&a), CWD, text(&absolute), 0]);
            }
            // What does not work is not told.
            assert_eq!(attempt(libc::SYS_renameat2, [CWD, text(&a), CWD, text(&b), 0]), -1);
        };
        let (rig, _) = expect(
            options,
            &place,
            OPENS,
            role,
            &[
                "Rename @/a > @/d/e user joined other_joined",
                "Exchange @/b > @/c 0x2 user joined other_joined",
                "Rename @/b > @/a 0x1 user joined other_joined",
                "Rename @/d/e > @/d/../f user joined other_joined",
                "Rename @/a > @/d/e user joined other_joined",
            ],
        );
        passed(&rig, &[Kind::FileRename]);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn removals_links_and_new_entries_have_their_paths() {
    for options in both() {
        let place = Place::new();
        let root = place.path();
        let role = || {
            std::env::set_current_dir(&root).expect("the directory");
            let mode = libc::S_IFIFO | 0o644;
            let device = libc::S_IFCHR | 0o666;
            // SAFETY: sets the mask of this process.
            unsafe { libc::umask(0o027) };
            let [d, e, f, n, l, h, i, s, t, empty] = ["d", "e", "f", "n", "l", "h", "i", "s", "t", ""].map(c);
            call(libc::SYS_mkdirat, [CWD, text(&d), 0o1777]);
            let (_dir, dir) = directory(root.join("d"));
            call(libc::SYS_mkdirat, [dir, text(&e), 0o777]);
            call(libc::SYS_mknodat, [dir, text(&f), mode.into(), 0]);
            call(libc::SYS_mknodat, [CWD, text(&n), device.into(), 0x0103]);
            call(libc::SYS_mknodat, [CWD, text(&l), 0o600, 0]);
            call(libc::SYS_linkat, [CWD, text(&l), dir, text(&h), 0]);
            let file = fs::File::open(root.join("l")).expect("the file");
            let fd = file.as_raw_fd().into();
            call(libc::SYS_linkat, [fd, text(&empty), CWD, text(&i), libc::AT_EMPTY_PATH.into()]);
            let content = c("some/where");
            call(libc::SYS_symlinkat, [text(&content), dir, text(&s)]);
            call(libc::SYS_unlinkat, [dir, text(&s), 0]);
            call(libc::SYS_unlinkat, [dir, text(&e), libc::AT_REMOVEDIR.into()]);
            #[cfg(target_arch = "x86_64")]
            {
                call(libc::SYS_mkdir, [text(&t), 0o700]);
                call(libc::SYS_rmdir, [text(&t)]);
                call(libc::SYS_mknod, [text(&t), 0o600, 0]);
                call(libc::SYS_link, [text(&t), text(&s)]);
                call(libc::SYS_unlink, [text(&t)]);
                call(libc::SYS_symlink, [text(&content), text(&t)]);
            }
            #[cfg(not(target_arch = "x86_64"))]
            {
                call(libc::SYS_mkdirat, [CWD, text(&t), 0o700]);
                call(libc::SYS_unlinkat, [CWD, text(&t), libc::AT_REMOVEDIR.into()]);
                call(libc::SYS_mknodat, [CWD, text(&t), 0o600, 0]);
                call(libc::SYS_linkat, [CWD, text(&t), CWD, text(&s), 0]);
                call(libc::SYS_unlinkat, [CWD, text(&t), 0]);
                call(libc::SYS_symlinkat, [text(&content), CWD, text(&t)]);
            }
        };
        let (rig, pid) = expect(
            options,
            &place,
            OPENS,
            role,
            &[
                "Mkdir @/d 41750 user joined",
                "Mkdir @/d/e 40750 user joined",
                "Mknod @/d/f 10640 0x0 user joined",
                "Mknod @/n 20640 0x103 user joined",
                "Mknod @/l 100600 0x0 user joined",
                "Link @/l > @/d/h user joined other_joined",
                "Link @/l > @/i user other_joined",
                "Symlink @/d/s > some/where user joined",
                "Unlink @/d/s user joined",
                "Rmdir @/d/e user joined",
                "Mkdir @/t 40700 user joined",
                "Rmdir @/t user joined",
                "Mknod @/t 100600 0x0 user joined",
                "Link @/t > @/s user joined other_joined",
                "Unlink @/t user joined",
                "Symlink @/t > some/where user joined",
            ],
        );
        let link = rig.files(pid).into_iter().find(|file| file.other.ends_with(b"/i")).expect("a link");
        let real = fs::metadata(root.join("l")).expect("the file");
        assert_eq!((link.object.inode, u64::from(link.object.nlink)), (real.ino(), 3));
        passed(&rig, &[Kind::FileDelete, Kind::FileLink, Kind::FileMkdir]);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn permissions_and_owners_are_told_as_they_are_set() {
    for options in both() {
        let place = Place::new();
        let root = place.path();
        fs::write(root.join("a"), "").expect("a file");
        let role = || {
            std::env::set_current_dir(&root).expect("the directory");
            let (a, empty) = (c("a"), c(""));
            let file = fs::File::open(root.join("a")).expect("the file");
            let fd: c_long = file.as_raw_fd().into();
            call(libc::SYS_fchmod, [fd, 0o4755]);
            call(libc::SYS_fchmodat, [CWD, text(&a), 0o600]);
            // The calls with an empty path came later than the kernels that are tested.
            if attempt(452, [fd, text(&empty), 0o644, libc::AT_EMPTY_PATH.into()]) != 0 {
                call(libc::SYS_fchmod, [fd, 0o644]);
            }
            call(libc::SYS_fchown, [fd, 12, -1]);
            call(libc::SYS_fchownat, [CWD, text(&a), 1, 2, libc::AT_SYMLINK_NOFOLLOW.into()]);
            call(libc::SYS_fchownat, [fd, text(&empty), -1, 70000, libc::AT_EMPTY_PATH.into()]);
            #[cfg(target_arch = "x86_64")]
            {
                call(libc::SYS_chmod, [text(&a), 0o400]);
                call(libc::SYS_chown, [text(&a), 3, 4]);
                call(libc::SYS_lchown, [text(&a), 5, -1]);
            }
            #[cfg(not(target_arch = "x86_64"))]
            {
                call(libc::SYS_fchmodat, [CWD, text(&a), 0o400]);
                call(libc::SYS_fchownat, [CWD, text(&a), 3, 4, 0]);
                call(libc::SYS_fchownat, [CWD, text(&a), 5, -1, 0]);
            }
        };
        let (rig, pid) = expect(
            options,
            &place,
            OPENS,
            role,
            &[
                "Chmod @/a 104755",
                "Chmod @/a 600 user joined",
                "Chmod @/a 100644",
                "Chown @/a 12:-1",
                "Chown @/a 1:2 user joined",
                "Chown @/a -1:70000",
                "Chmod @/a 400 user joined",
                "Chown @/a 3:4 user joined",
                "Chown @/a 5:-1 user joined",
            ],
        );
        let owners: Vec<_> = rig
            .files(pid)
            .iter()
            .filter(|file| file.op == FileOp::Chown)
            .map(|file| (file.object.uid, file.object.gid))
            .collect();
        assert_eq!(owners, [(12, 0), (1, 2), (1, 70000), (3, 4), (5, u32::MAX)]);
        passed(&rig, &[Kind::FileMode, Kind::FileOwner]);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn extended_attributes_have_their_names() {
    for options in both() {
        let place = Place::new();
        let root = place.path();
        fs::write(root.join("a"), "").expect("a file");
        let role = || {
            std::env::set_current_dir(&root).expect("the directory");
            let (a, trusted) = (c("a"), c("trusted.test"));
            let security = c("security.capability");
            let file = fs::File::open(root.join("a")).expect("the file");
            let fd: c_long = file.as_raw_fd().into();
            // Version 2 of the attribute: no capabilities at all.
            let none = [0x0200_0000_u32, 0, 0, 0, 0];
            call(libc::SYS_setxattr, [text(&a), text(&trusted), at(b"x"), 1, 0]);
            call(libc::SYS_lsetxattr, [text(&a), text(&trusted), at(b"xy"), 2, 0]);
            call(libc::SYS_fsetxattr, [fd, text(&security), at(&none), 20, 0]);
            call(libc::SYS_removexattr, [text(&a), text(&trusted)]);
            call(libc::SYS_fremovexattr, [fd, text(&security)]);
            assert_eq!(attempt(libc::SYS_lremovexattr, [text(&a), text(&trusted)]), -1);
            // setxattrat() and removexattrat() came with 6.13.
            let how = [at(b"xyz").cast_unsigned(), 3];
            if attempt(463, [CWD, text(&a), 0, text(&trusted), at(&how), 16]) == 0 {
                call(466, [CWD, text(&a), 0, text(&trusted)]);
            } else {
                call(libc::SYS_setxattr, [text(&a), text(&trusted), at(b"xyz"), 3, 0]);
                call(libc::SYS_lremovexattr, [text(&a), text(&trusted)]);
            }
        };
        let (rig, _) = expect(
            options,
            &place,
            OPENS,
            role,
            &[
                "Setxattr @/a [trusted.test] 0x1 user joined",
                "Setxattr @/a [trusted.test] 0x2 user joined",
                "Setxattr @/a [security.capability] 0x14 user",
                "Removexattr @/a [trusted.test] user joined",
                "Removexattr @/a [security.capability] user",
                "Setxattr @/a [trusted.test] 0x3 user joined",
                "Removexattr @/a [trusted.test] user joined",
            ],
        );
        passed(&rig, &[Kind::FileXattr]);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn lengths_and_times_are_told_as_they_are_set() {
    for options in both() {
        let place = Place::new();
        let root = place.path();
        fs::write(root.join("a"), "").expect("a file");
        let role = || {
            std::env::set_current_dir(&root).expect("the directory");
            let a = c("a");
            let file = fs::File::options().write(true).open(root.join("a")).expect("the file");
            let fd: c_long = file.as_raw_fd().into();
            call(libc::SYS_truncate, [text(&a), 5_000_000_000]);
            call(libc::SYS_ftruncate, [fd, 7]);
            let pair: [i64; 4] = [1_000_000_000, 5, -5, 999_999_999];
            let some: [i64; 4] = [0, libc::UTIME_NOW, 0, libc::UTIME_OMIT];
            call(libc::SYS_utimensat, [CWD, text(&a), at(&pair), 0]);
            call(libc::SYS_utimensat, [fd, 0, at(&some), 0]);
            call(libc::SYS_utimensat, [CWD, text(&a), 0, 0]);
            #[cfg(target_arch = "x86_64")]
            {
                call(libc::SYS_utime, [text(&a), at(&[1_i64, 2])]);
                call(libc::SYS_utimes, [text(&a), at(&[1_i64, 2, 3, 4])]);
                call(libc::SYS_futimesat, [fd, 0, at(&[1_i64, 0, 3, 0])]);
            }
            #[cfg(not(target_arch = "x86_64"))]
            {
                call(libc::SYS_utimensat, [CWD, text(&a), at(&[1_i64, 0, 2, 0]), 0]);
                call(libc::SYS_utimensat, [CWD, text(&a), at(&[1_i64, 2000, 3, 4000]), 0]);
                call(libc::SYS_utimensat, [fd, 0, at(&[1_i64, 0, 3, 0]), 0]);
            }
        };
        let (rig, pid) = expect(
            options,
            &place,
            OPENS,
            role,
            &[
                "Truncate @/a 5000000000 user joined",
                "Truncate @/a 7",
                "Utimes @/a 1000000000000000005 -4000000001 user joined",
                "Utimes @/a now kept user",
                "Utimes @/a now now user joined",
                "Utimes @/a 1000000000 2000000000 user joined",
                "Utimes @/a 1000002000 3000004000 user joined",
                "Utimes @/a 1000000000 3000000000 user",
            ],
        );
        let files = rig.files(pid);
        assert_eq!(files.iter().find(|f| f.arguments[0] == 7).expect("it").object.size_bytes, 7);
        assert_eq!(files.last().expect("an event").op, FileOp::Close);
        let last = files.iter().rfind(|f| f.op == FileOp::Utimes).expect("times");
        assert_eq!(last.object.mtime_ns, 3_000_000_000, "of an object they are the inode's");
        passed(&rig, &[Kind::FileTruncate, Kind::FileTimes]);
    }
}

/// Mounts and roots in a namespace of their own.
#[test]
#[ignore = "needs root and BPF"]
fn mounts_and_roots_are_told() {
    for options in both() {
        let place = Place::new();
        let root = place.path();
        fs::create_dir(root.join("m")).expect("a directory");
        fs::create_dir(root.join("n")).expect("a directory");
        let role = || {
            unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
            let [slash, none, tmpfs, m, n, old] = ["/", "none", "tmpfs", "m", "n", "old"].map(c);
            let private = (libc::MS_REC | libc::MS_PRIVATE) as c_long;
            call(libc::SYS_mount, [text(&none), text(&slash), 0, private, 0]);
            std::env::set_current_dir(&root).expect("the directory");
            call(libc::SYS_mount, [text(&none), text(&m), text(&tmpfs), libc::MS_NOSUID as c_long, 0]);
            call(libc::SYS_mount, [text(&m), text(&n), 0, libc::MS_BIND as c_long, 0]);
            call(libc::SYS_umount2, [text(&n), libc::MNT_DETACH.into()]);
            new_mount_api(&n);
            fs::create_dir(root.join("m/old")).expect("a directory");
            std::env::set_current_dir(root.join("m")).expect("the mount");
            let dot = c(".");
            call(libc::SYS_pivot_root, [text(&dot), text(&old)]);
            call(libc::SYS_chroot, [text(&old)]);
        };
        let mut lines = vec![
            "Mount / > none 0x44000 user joined",
            "Mount @/m > none [tmpfs] 0x2 user joined",
            "Mount @/n > m 0x1000 user joined",
            "Umount @/n 0x2 user joined",
        ];
        if has_mount_api() {
            lines.extend([
                "Mount / [tmpfs] 0x2 detached",
                "MoveMount @/n [tmpfs] 0x4",
                "MoveMount @/o > @/n user joined other_joined",
            ]);
        }
        lines.extend(["PivotRoot / > old [tmpfs] given . user", "Chroot /old"]);
        fs::create_dir(root.join("o")).expect("a directory");
        let but: Vec<_> = OPENS.iter().copied().chain([FileOp::Mkdir]).collect();
        let (rig, pid) = expect(options, &place, &but, role, &lines);
        let pivot = rig.files(pid).into_iter().find(|f| f.op == FileOp::PivotRoot).expect("the pivot");
        assert_eq!((pivot.object.fs_magic, pivot.object.mode & libc::S_IFMT), (0x0102_1994, libc::S_IFDIR));
        passed(&rig, &[Kind::Mount]);
    }
}

const FSOPEN: c_long = 430;

/// fsopen() and its like came with 5.2, and hosts may refuse them.
fn has_mount_api() -> bool {
    let tmpfs = c("tmpfs");
    let fd = attempt(FSOPEN, [text(&tmpfs), 0]);
    if fd < 0 {
        println!("fsopen: {}", std::io::Error::last_os_error());
        return false;
    }
    call(libc::SYS_close, [fd.into()]);
    true
}

/// A tmpfs by fsopen(), first attached at `n`, then moved to `o` by name.
fn new_mount_api(n: &CString) {
    const FSCONFIG: c_long = 431;
    const FSMOUNT: c_long = 432;
    const MOVE_MOUNT: c_long = 429;
    const CMD_CREATE: c_long = 6;
    const ATTR_NOSUID: c_long = 2;
    const EMPTY_PATH: c_long = 4;
    if !has_mount_api() {
        return;
    }
    let (tmpfs, empty, o) = (c("tmpfs"), c(""), c("o"));
    let fs = call(FSOPEN, [text(&tmpfs), 0]).into();
    call(FSCONFIG, [fs, CMD_CREATE, 0, 0, 0]);
    let mount = call(FSMOUNT, [fs, 0, ATTR_NOSUID]).into();
    call(MOVE_MOUNT, [mount, text(&empty), CWD, text(n), EMPTY_PATH]);
    call(MOVE_MOUNT, [CWD, text(n), CWD, text(&o), 0]);
}
