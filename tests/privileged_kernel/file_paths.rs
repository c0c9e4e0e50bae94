//! Hostile and odd paths: newlines, bytes that are no UTF-8, the longest names and paths, deleted directories,
//! roots and mounts of one's own.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::libc::{self, c_long};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use sentinel_edge::event::FileOp;

use crate::file::{CWD, at, both, c, call, ended_well, text};
use crate::rig::{Options, Place, Rig, bytes};

/// Makes a file by open, a directory by name, and removes both, all relative to the working directory.
fn touch_here(name: &OsStr) {
    let name = c(Path::new(name));
    let flags = libc::O_WRONLY | libc::O_CREAT;
    let fd = call(libc::SYS_openat, [CWD, text(&name), flags.into(), 0o600]);
    call(libc::SYS_close, [fd.into()]);
    call(libc::SYS_unlinkat, [CWD, text(&name), 0]);
    call(libc::SYS_mkdirat, [CWD, text(&name), 0o700]);
    call(libc::SYS_unlinkat, [CWD, text(&name), libc::AT_REMOVEDIR.into()]);
}

/// The paths of `operations` that a role's events have, in order.
fn paths(options: Options, role: impl FnOnce(), operations: &[FileOp]) -> Vec<(FileOp, Vec<u8>, bool, bool)> {
    let mut rig = Rig::with(options);
    let (pid, status) = rig.act(role);
    ended_well(status);
    rig.files(pid)
        .into_iter()
        .filter(|file| operations.contains(&file.op))
        .map(|file| (file.op, file.path.to_vec(), file.object.path_cut, file.object.path_detached))
        .collect()
}

const TOUCH: &[FileOp] = &[FileOp::Create, FileOp::Close, FileOp::Unlink, FileOp::Mkdir, FileOp::Rmdir];

fn assert_touched(seen: Vec<(FileOp, Vec<u8>, bool, bool)>, path: &[u8], what: &str) {
    let expected: Vec<_> = TOUCH.iter().map(|op| (*op, path.to_vec(), false, false)).collect();
    assert!(seen == expected, "{what}: {seen:?}");
}

#[test]
#[ignore = "needs root and BPF"]
fn names_come_as_they_are() {
    for options in both() {
        let long = [b'x'; 255];
        for name in [&b"new\nline\"\\"[..], b"\xff\xfe\x80", b" ", &long] {
            let place = Place::new();
            let root = place.path();
            let role = || {
                std::env::set_current_dir(&root).expect("the directory");
                touch_here(OsStr::from_bytes(name));
            };
            let path = root.join(OsStr::from_bytes(name));
            assert_touched(paths(options, role, TOUCH), bytes(&path), &String::from_utf8_lossy(name));
        }
    }
}

/// Goes down `depth` directories with names of `width` bytes; the path of the last.
fn descend(root: &Path, depth: usize, width: usize) -> Vec<u8> {
    let mut path = bytes(root).to_vec();
    std::env::set_current_dir(root).expect("the directory");
    for level in 0..depth {
        let name = format!("{level:0>width$}");
        fs::create_dir(&name).expect("a directory");
        std::env::set_current_dir(&name).expect("the directory");
        path.extend_from_slice(b"/");
        path.extend_from_slice(name.as_bytes());
    }
    path
}

#[test]
#[ignore = "needs root and BPF"]
fn the_longest_paths_are_whole_and_longer_ones_say_what_is_missing() {
    for options in both() {
        // All of 4,000 bytes; more than the kernel takes at once.
        for (depth, width) in [(19, 200), (25, 200)] {
            let place = Place::new();
            let root = place.path();
            let whole = {
                let mut path = bytes(&root).to_vec();
                for level in 0..depth {
                    path.extend_from_slice(format!("/{level:0>width$}").as_bytes());
                }
                path.extend_from_slice(b"/file");
                path
            };
            let role = || {
                descend(&root, depth, width);
                touch_here(OsStr::new("file"));
            };
            let seen = paths(options, role, &[FileOp::Create, FileOp::Close, FileOp::Unlink]);
            assert_eq!(seen.len(), 3);
            for (op, path, cut, _) in seen {
                assert_eq!(cut, whole.len() > 4096, "{op:?} {}", path.len());
                assert!(whole.ends_with(&path), "{op:?}");
                if !cut {
                    assert_eq!(path, whole, "{op:?}");
                }
            }
        }
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn the_longest_string_of_a_call_is_whole() {
    for options in both() {
        let place = Place::new();
        let root = place.path();
        // 4,095 bytes and the NUL.
        let mut long = bytes(&root).to_vec();
        while long.len() < 4095 - 5 {
            long.extend_from_slice(b"/.");
        }
        long.extend_from_slice(b"/////"[..4095 - 4 - long.len()].as_ref());
        long.extend_from_slice(b"name");
        assert_eq!(long.len(), 4095);
        let to = [b"/".as_slice(), &long[..4091], b"/to"].concat()[1..].to_vec();
        let role = || {
            let (from, to) = (c(OsStr::from_bytes(&long)), c(OsStr::from_bytes(&to[..4094])));
            call(libc::SYS_mkdirat, [CWD, text(&from), 0o700]);
            call(libc::SYS_renameat2, [CWD, text(&from), CWD, text(&to), 0]);
        };
        let mut rig = Rig::with(options);
        let (pid, status) = rig.act(role);
        ended_well(status);
        let files = rig.files(pid);
        let rename = files.iter().find(|file| file.op == FileOp::Rename).expect("a rename");
        assert_eq!(rename.path, long);
        assert_eq!(rename.other, &to[..4094]);
        assert!(!rename.object.path_cut && !rename.other_cut && !rename.object.path_fault);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn a_deleted_working_directory_keeps_its_name() {
    for options in both() {
        let place = Place::new();
        let root = place.path();
        let role = || {
            fs::write(root.join("kept"), "").expect("a file");
            fs::create_dir(root.join("gone")).expect("a directory");
            std::env::set_current_dir(root.join("gone")).expect("the directory");
            fs::remove_dir(root.join("gone")).expect("removing it");
            let kept = c("../kept");
            call(libc::SYS_unlinkat, [CWD, text(&kept), 0]);
        };
        let seen = paths(options, role, &[FileOp::Unlink]);
        assert_eq!(seen, [(FileOp::Unlink, bytes(&root.join("gone/../kept")).to_vec(), false, false)]);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn a_chroot_stands_in_front_of_every_path() {
    for options in both() {
        let place = Place::new();
        let root = place.path();
        let role = || {
            nix::unistd::chroot(&root).expect("a root");
            std::env::set_current_dir("/").expect("the root");
            let absolute = c("/made");
            call(libc::SYS_mkdirat, [CWD, text(&absolute), 0o700]);
            call(libc::SYS_unlinkat, [CWD, text(&absolute), libc::AT_REMOVEDIR.into()]);
            touch_here(OsStr::new("file"));
        };
        let mut seen = paths(options, role, TOUCH);
        let made = bytes(&root.join("made")).to_vec();
        assert_eq!(seen.remove(0), (FileOp::Mkdir, made.clone(), false, false));
        assert_eq!(seen.remove(0), (FileOp::Rmdir, made, false, false));
        assert_touched(seen, bytes(&root.join("file")), "chroot");
    }
}

fn private_mounts() {
    unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private mounts");
}

#[test]
#[ignore = "needs root and BPF"]
fn bind_mounts_and_overlays_are_named_as_the_process_sees_them() {
    for options in both() {
        let place = Place::new();
        let root = place.path();
        for name in ["t", "to"] {
            fs::create_dir(root.join(name)).expect("a directory");
        }
        let role = || {
            private_mounts();
            let none = None::<&str>;
            std::env::set_current_dir(&root).expect("the directory");
            // The upper layer may not lie on an overlay, and the temporary directory may be one.
            mount(Some("none"), "t", Some("tmpfs"), MsFlags::empty(), none).expect("a tmpfs");
            for name in ["from", "lower", "upper", "work", "merged"] {
                fs::create_dir(Path::new("t").join(name)).expect("a directory");
            }
            mount(Some("t/from"), "to", none, MsFlags::MS_BIND, none).expect("a bind mount");
            std::env::set_current_dir(root.join("to")).expect("the mount");
            touch_here(OsStr::new("file"));
            std::env::set_current_dir(root.join("t")).expect("the mount");
            let layers = "lowerdir=lower,upperdir=upper,workdir=work";
            mount(Some("none"), "merged", Some("overlay"), MsFlags::empty(), Some(layers))
                .expect("an overlay");
            std::env::set_current_dir("merged").expect("the overlay");
            touch_here(OsStr::new("file"));
        };
        let mut rig = Rig::with(options);
        let (pid, status) = rig.act(role);
        ended_well(status);
        let all = rig.files(pid);
        let touched: Vec<_> =
            all.iter().filter(|f| TOUCH.contains(&f.op) && f.path.ends_with(b"/file")).collect();
        let expected: Vec<_> = ["to/file", "t/merged/file"]
            .iter()
            .map(|path| bytes(&root.join(path)).to_vec())
            .flat_map(|path| TOUCH.iter().map(move |op| (*op, path.clone())))
            .collect();
        assert_eq!(touched.iter().map(|f| (f.op, f.path.to_vec())).collect::<Vec<_>>(), expected);
        let created: Vec<_> = touched.iter().filter(|f| f.op == FileOp::Create).collect();
        assert_eq!((created[0].object.fs_magic, created[0].object.overlay), (0x0102_1994, false));
        assert!(created[1].object.overlay && created[1].object.overlay_upper);
        assert!(!created.iter().any(|f| f.object.path_detached));
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn a_descriptor_that_leads_out_of_the_namespace_is_followed() {
    let place = Place::new();
    let root = place.path();
    fs::create_dir(root.join("m")).expect("a directory");
    let role = || {
        private_mounts();
        let none = None::<&str>;
        mount(Some("none"), &root.join("m"), Some("tmpfs"), MsFlags::empty(), none).expect("a tmpfs");
        let inside = fs::File::open(root.join("m")).expect("the mount");
        let fd: c_long = inside.as_raw_fd().into();
        nix::mount::umount2(&root.join("m"), nix::mount::MntFlags::MNT_DETACH).expect("unmounting");
        let name = c("lost");
        let how = [(libc::O_WRONLY | libc::O_CREAT) as u64, 0o600, 0];
        call(libc::SYS_openat2, [fd, text(&name), at(&how), 24]);
        call(libc::SYS_unlinkat, [fd, text(&name), 0]);
    };
    let seen = paths(crate::file::OPTIONS, role, &[FileOp::Create, FileOp::Unlink]);
    // Of a mount that is nowhere any more only what is below it has a name.
    assert_eq!(
        seen,
        [(FileOp::Create, b"/lost".to_vec(), false, true), (FileOp::Unlink, b"/lost".to_vec(), false, true)]
    );
}
