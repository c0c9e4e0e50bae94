//! What trampolines alone can tell: kernel paths of both ends, what a file was before, and results.
//!
//! Where they cannot be had, as on kernels that refuse them, each test says so and what the reason is.

use std::ffi::CStr;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use sentinel_edge::event::{File, FileOp, Hook, Kind};
use sentinel_edge::kernel::loader::Kernel;
use sentinel_edge::kernel::plan::plan;
use sentinel_edge::kernel::{Filter, Hooks, support};

use crate::rig::{Options, Place, Rig, bytes, hooks};

/// The rig on trampolines, if they can be had and are to be tested.
fn rig(class: &str, kinds: &'static [Kind]) -> Option<Rig> {
    let options = Options { kinds, filter: without_noise, ..Options::DEFAULT };
    let rig = match hooks() {
        Hooks::Syscall => Err("[ebpf] hooks = \"syscall\" rules trampolines out".to_owned()),
        _ => Rig::try_with(options, Hooks::Trampoline),
    };
    match rig {
        Ok(rig) => Some(rig),
        Err(reason) => {
            assert!(reason.contains("trampolines"), "{reason}");
            println!("MATRIX class={class} hook=none result=missing: {reason}");
            None
        }
    }
}

fn without_noise() -> Filter {
    Filter { skip_pseudo: true, ..Filter::default() }
}

fn passed(class: &str, hook: Hook) {
    println!("MATRIX class={class} hook={} result=passed", hook.name());
}

/// What a role did to files in a place of its own, on the kinds that are asked for.
fn deeds<'a>(rig: &'a mut Rig, place: &'a Path, role: impl FnOnce(&Path)) -> Vec<File<'a>> {
    let (pid, status) = rig.act(|| {
        std::env::set_current_dir(place).expect("the place");
        role(place);
    });
    assert!(matches!(status, nix::sys::wait::WaitStatus::Exited(_, 0)), "{status:?}");
    let deeds: Vec<_> = rig.files_below(pid, place).collect();
    for deed in &deeds {
        assert!(!deed.origin.grade_user && !deed.object.path_joined && !deed.other_joined, "{deed:?}");
        assert_eq!(deed.errno, 0, "{deed:?}");
    }
    deeds
}

#[test]
#[ignore = "needs root and BPF"]
fn an_open_is_reported_when_it_worked() {
    let Some(mut rig) = rig("file_open", &[Kind::FileOpen, Kind::Exit]) else { return };
    let place = Place::new();
    let root = place.path();
    let deeds = deeds(&mut rig, &root, |_| {
        fs::write("made", b"1").expect("a file");
        fs::write("made", b"2").expect("the same file");
        // Read only, and refused: neither is reported.
        fs::read("made").expect("its contents");
        OpenOptions::new().write(true).create_new(true).open("made").expect_err("it is there");
        fs::create_dir("directory").expect("a directory");
        OpenOptions::new().write(true).open("directory").expect_err("a directory");
    });
    let seen: Vec<_> = deeds.iter().map(|deed| (deed.op, deed.path, deed.origin.hook)).collect();
    let made = root.join("made");
    assert_eq!(
        seen,
        [(FileOp::Create, bytes(&made), Hook::Fexit), (FileOp::Open, bytes(&made), Hook::Fexit)]
    );
    for deed in &deeds {
        let flags = deed.open_flags as i32;
        assert_eq!(flags & libc::O_ACCMODE, libc::O_WRONLY);
        assert_eq!(flags & (libc::O_CREAT | libc::O_TRUNC), libc::O_CREAT | libc::O_TRUNC, "{flags:o}");
        assert_eq!(deed.object.inode, fs::metadata(&made).unwrap().ino());
    }
    passed("file_open", Hook::Fexit);
}

#[test]
#[ignore = "needs root and BPF"]
fn a_close_is_the_last_one_and_knows_whether_it_was_written() {
    let Some(mut rig) = rig("file_close", &[Kind::FileClose, Kind::Exit]) else { return };
    let place = Place::new();
    let root = place.path();
    fs::write(root.join("old"), b"contents").unwrap();
    let deeds = deeds(&mut rig, &root, |_| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open("old").expect("it");
        let again = file.try_clone().expect("another descriptor");
        file.write_all(b"longer contents").expect("writing");
        drop(file);
        drop(again);
        std::thread::sleep(std::time::Duration::from_millis(50));
        drop(OpenOptions::new().write(true).open("old").expect("it"));
        drop(fs::File::open("old").expect("it"));
    });
    let seen: Vec<_> = deeds.iter().map(|deed| (deed.op, deed.path, deed.written)).collect();
    let old = root.join("old");
    assert_eq!(seen, [(FileOp::Close, bytes(&old), Some(true)), (FileOp::Close, bytes(&old), Some(false))]);
    assert_eq!(deeds[0].before.map(|before| before.size_bytes), Some(8));
    assert_eq!(deeds[0].object.size_bytes, 15);
    passed("file_close", Hook::Fentry);
}

#[test]
#[ignore = "needs root and BPF"]
fn a_rename_has_both_ends_and_what_it_replaced() {
    let Some(mut rig) = rig("file_rename", &[Kind::FileRename, Kind::Exit]) else { return };
    let place = Place::new();
    let root = place.path();
    for (name, contents) in [("a", "1"), ("b", "22"), ("c", "333"), ("d", "4444")] {
        fs::write(root.join(name), contents).unwrap();
    }
    fs::create_dir(root.join("sub")).unwrap();
    let replaced = fs::metadata(root.join("b")).unwrap().ino();
    let deeds = deeds(&mut rig, &root, |_| {
        // Twice through a link, whose name must not be in any path.
        std::os::unix::fs::symlink("sub", "link").expect("a link");
        fs::rename("a", "b").expect("over another file");
        fs::rename("b", "link/moved").expect("into a directory");
        fs::rename("no", "b").expect_err("no such file");
        fs::rename("c", "sub").expect_err("a directory");
        // SAFETY: two strings that end in NUL.
        let code = unsafe {
            libc::syscall(
                libc::SYS_renameat2,
                libc::AT_FDCWD,
                c"c".as_ptr(),
                libc::AT_FDCWD,
                c"d".as_ptr(),
                2,
            )
        };
        assert_eq!(code, 0, "exchange");
        fs::hard_link("c", "twin").expect("a twin");
        fs::rename("c", "twin").expect("nothing to do");
    });
    let seen: Vec<_> = deeds.iter().map(|deed| (deed.op, deed.path.to_vec(), deed.other.to_vec())).collect();
    let path = |name: &str| bytes(&root.join(name)).to_vec();
    assert_eq!(
        seen,
        [
            (FileOp::Rename, path("a"), path("b")),
            (FileOp::Rename, path("b"), path("sub/moved")),
            (FileOp::Exchange, path("c"), path("d")),
        ]
    );
    assert!(deeds[0].replaced);
    assert_eq!(deeds[0].before.map(|before| (before.inode, before.size_bytes)), Some((replaced, 2)));
    assert_eq!(deeds[0].object.size_bytes, 1);
    assert!(!deeds[1].replaced && deeds[1].before.is_none());
    assert_eq!(deeds[1].object.inode, fs::metadata(root.join("sub/moved")).unwrap().ino());
    assert_eq!(deeds[2].before.map(|before| before.size_bytes), Some(4));
    passed("file_rename", Hook::Fexit);
}

#[test]
#[ignore = "needs root and BPF"]
fn what_is_deleted_is_described_as_it_was() {
    let Some(mut rig) = rig("file_delete", &[Kind::FileDelete, Kind::Exit]) else { return };
    let place = Place::new();
    let root = place.path();
    fs::write(root.join("file"), b"12345").unwrap();
    fs::set_permissions(root.join("file"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::hard_link(root.join("file"), root.join("twin")).unwrap();
    fs::create_dir_all(root.join("directory/full")).unwrap();
    let inode = fs::metadata(root.join("file")).unwrap().ino();
    let deeds = deeds(&mut rig, &root, |_| {
        fs::remove_file("file").expect("a file");
        fs::remove_file("twin").expect("its twin");
        fs::remove_dir("directory").expect_err("not empty");
        fs::remove_dir("directory/full").expect("a directory");
        fs::remove_file("directory").expect_err("a directory");
        fs::remove_file("no").expect_err("no such file");
    });
    let seen: Vec<_> = deeds.iter().map(|deed| (deed.op, deed.path.to_vec(), deed.object.deleted)).collect();
    let path = |name: &str| bytes(&root.join(name)).to_vec();
    assert_eq!(
        seen,
        [
            (FileOp::Unlink, path("file"), false),
            (FileOp::Unlink, path("twin"), true),
            (FileOp::Rmdir, path("directory/full"), true),
        ]
    );
    for (deed, nlink) in deeds.iter().zip([1, 0]) {
        let object = &deed.object;
        assert_eq!((object.inode, object.size_bytes, object.nlink), (inode, 5, nlink));
        assert_eq!(object.mode & 0o7777, 0o640);
    }
    passed("file_delete", Hook::Fexit);
}

#[test]
#[ignore = "needs root and BPF"]
fn links_have_both_ends() {
    let Some(mut rig) = rig("file_link", &[Kind::FileLink, Kind::Exit]) else { return };
    let place = Place::new();
    let root = place.path();
    fs::write(root.join("file"), b"1").unwrap();
    fs::create_dir(root.join("sub")).unwrap();
    let deeds = deeds(&mut rig, &root, |_| {
        fs::hard_link("sub/../file", "sub/hard").expect("a link");
        fs::hard_link("file", "sub/hard").expect_err("it is there");
        std::os::unix::fs::symlink("../anything\n", "sub/soft").expect("a link");
    });
    let seen: Vec<_> = deeds.iter().map(|deed| (deed.op, deed.path.to_vec(), deed.other.to_vec())).collect();
    let path = |name: &str| bytes(&root.join(name)).to_vec();
    assert_eq!(
        seen,
        [
            (FileOp::Link, path("file"), path("sub/hard")),
            (FileOp::Symlink, path("sub/soft"), b"../anything\n".to_vec()),
        ]
    );
    assert_eq!(deeds[0].object.nlink, 2);
    assert_eq!(deeds[1].object.mode & libc::S_IFMT, libc::S_IFLNK);
    passed("file_link", Hook::Fexit);
}

#[test]
#[ignore = "needs root and BPF"]
fn directories_and_nodes_are_there_when_they_are_reported() {
    let Some(mut rig) = rig("file_mkdir", &[Kind::FileMkdir, Kind::Exit]) else { return };
    let place = Place::new();
    let root = place.path();
    let deeds = deeds(&mut rig, &root, |_| {
        fs::create_dir("directory").expect("a directory");
        fs::create_dir("directory").expect_err("it is there");
        nix::unistd::mkfifo("pipe", nix::sys::stat::Mode::from_bits_truncate(0o600)).expect("a pipe");
        fs::write("file", b"1").expect("a file");
    });
    let seen: Vec<_> =
        deeds.iter().map(|deed| (deed.op, deed.path.to_vec(), deed.object.mode & libc::S_IFMT)).collect();
    let path = |name: &str| bytes(&root.join(name)).to_vec();
    assert_eq!(
        seen,
        [(FileOp::Mkdir, path("directory"), libc::S_IFDIR), (FileOp::Mknod, path("pipe"), libc::S_IFIFO),]
    );
    assert_eq!(deeds[0].object.inode, fs::metadata(root.join("directory")).unwrap().ino());
    passed("file_mkdir", Hook::Fexit);
}

#[test]
#[ignore = "needs root and BPF"]
fn attributes_are_known_before_and_after() {
    const KINDS: &[Kind] =
        &[Kind::FileMode, Kind::FileOwner, Kind::FileTruncate, Kind::FileTimes, Kind::FileXattr, Kind::Exit];
    const CLASSES: [&str; 5] = ["file_mode", "file_owner", "file_truncate", "file_times", "file_xattr"];
    let Some(mut rig) = rig(CLASSES[0], KINDS) else { return };
    let place = Place::new();
    let root = place.path();
    fs::create_dir(root.join("sub")).unwrap();
    fs::write(root.join("sub/file"), b"0123456789").unwrap();
    fs::set_permissions(root.join("sub/file"), fs::Permissions::from_mode(0o644)).unwrap();
    let deeds = deeds(&mut rig, &root, |_| {
        std::os::unix::fs::symlink("sub", "link").expect("a link");
        let file = OpenOptions::new().read(true).write(true).open("sub/file").expect("a file");
        fs::set_permissions("link/file", fs::Permissions::from_mode(0o4755)).expect("by path");
        file.set_permissions(fs::Permissions::from_mode(0o600)).expect("by descriptor");
        fs::set_permissions("no", fs::Permissions::from_mode(0o600)).expect_err("no such file");
        std::os::unix::fs::chown("link/file", Some(1), Some(2)).expect("an owner");
        nix::unistd::truncate("link/file", 5).expect("by path");
        file.set_len(3).expect("by descriptor");
        // Truncated by an open, which is an event of its own.
        fs::write("sub/file", b"x").expect("again");
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        file.set_times(fs::FileTimes::new().set_modified(time).set_accessed(time)).expect("times");
        set_attribute(c"link/file", c"security.sentinel_test").expect("an attribute");
        remove_attribute(c"link/file", c"security.sentinel_test").expect("an attribute");
        remove_attribute(c"link/file", c"security.sentinel_test").expect_err("it is gone");
    });
    let path = root.join("sub/file");
    for deed in &deeds {
        assert_eq!(deed.path, bytes(&path), "{deed:#?}");
        assert!(!deed.object.path_detached, "{deed:#?}");
        assert_eq!(deed.origin.hook, Hook::Fexit);
        assert_eq!(deed.before.is_some(), deed.kind != Kind::FileXattr);
    }
    let ops: Vec<_> = deeds.iter().map(|deed| deed.op).collect();
    assert_eq!(
        ops,
        [
            FileOp::Chmod,
            FileOp::Chmod,
            FileOp::Chown,
            FileOp::Truncate,
            FileOp::Truncate,
            FileOp::Utimes,
            FileOp::Setxattr,
            FileOp::Removexattr
        ]
    );
    let change = |at: usize| (deeds[at].before.unwrap(), deeds[at].object);
    let modes = |at| (change(at).0.mode & 0o7777, change(at).1.mode & 0o7777);
    assert_eq!((modes(0), modes(1)), ((0o644, 0o4755), (0o4755, 0o600)));
    let (before, after) = change(2);
    assert_eq!(((before.uid, before.gid), (after.uid, after.gid)), ((0, 0), (1, 2)));
    let sizes = |at| (change(at).0.size_bytes, change(at).1.size_bytes);
    assert_eq!((sizes(3), sizes(4)), ((10, 5), (5, 3)));
    assert_eq!(deeds[5].arguments, [1_000_000_000_000_000_000; 2]);
    assert_eq!(deeds[5].object.mtime_ns, 1_000_000_000_000_000_000);
    assert!(change(5).0.mtime_ns > 1_600_000_000_000_000_000);
    assert_eq!(
        (deeds[6].name, deeds[7].name),
        (&b"security.sentinel_test"[..], &b"security.sentinel_test"[..])
    );
    for class in CLASSES {
        passed(class, Hook::Fexit);
    }
}

fn set_attribute(path: &CStr, name: &CStr) -> nix::Result<()> {
    // SAFETY: strings that end in NUL, and a value of the length that is given.
    let code = unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), c"1".as_ptr().cast(), 1, 0) };
    nix::errno::Errno::result(code).map(drop)
}

fn remove_attribute(path: &CStr, name: &CStr) -> nix::Result<()> {
    // SAFETY: strings that end in NUL.
    nix::errno::Errno::result(unsafe { libc::removexattr(path.as_ptr(), name.as_ptr()) }).map(drop)
}

#[test]
#[ignore = "needs root and BPF"]
fn mounts_and_roots_have_their_place() {
    let Some(mut rig) = rig("mount", &[Kind::Mount, Kind::Exit]) else { return };
    let place = Place::new();
    let root = place.path();
    fs::create_dir(root.join("at")).unwrap();
    let deeds = deeds(&mut rig, &root, |_| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).expect("a mount namespace");
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private mounts");
        mount(Some("nothing"), "./at/../at", Some("tmpfs"), MsFlags::MS_NOSUID, none).expect("a tmpfs");
        mount(Some("nothing"), "./no", Some("tmpfs"), MsFlags::MS_NOSUID, none).expect_err("no such place");
        fs::create_dir_all("at/new/old").expect("directories");
        mount(Some("at/new"), "at/new", none, MsFlags::MS_BIND, none).expect("a bind mount");
        umount2("at/new", MntFlags::MNT_DETACH).expect("off again");
        umount2("at/new", MntFlags::empty()).expect_err("nothing there");
        nix::unistd::chroot("at/new").expect("a root");
    });
    let seen: Vec<_> = deeds
        .iter()
        .map(|deed| (deed.op, deed.path.to_vec(), deed.other.to_vec(), deed.name.to_vec(), deed.arguments[0]))
        .collect();
    let path = |name: &str| bytes(&root.join(name)).to_vec();
    let empty = Vec::new;
    assert_eq!(
        seen,
        [
            (FileOp::Mount, path("at"), b"nothing".to_vec(), b"tmpfs".to_vec(), MsFlags::MS_NOSUID.bits()),
            (FileOp::Mount, path("at/new"), b"at/new".to_vec(), empty(), MsFlags::MS_BIND.bits()),
            (FileOp::Umount, path("at/new"), empty(), b"tmpfs".to_vec(), 2),
            (FileOp::Chroot, path("at/new"), empty(), empty(), 0),
        ]
    );
    passed("mount", Hook::Fexit);
}

#[test]
#[ignore = "needs root and BPF"]
fn credentials_are_known_before_and_after() {
    const SETFCAP: u64 = 1 << 31;
    let Some(mut rig) = rig("credentials", &[Kind::Credentials, Kind::Exec, Kind::Exit]) else { return };
    let (pid, status) = rig.act(|| {
        // SAFETY: plain numbers.
        assert_eq!(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, 31, 0, 0, 0) }, 0);
        nix::unistd::setgid(7.into()).expect("a group");
        nix::unistd::setgid(7.into()).expect("the same group");
        nix::unistd::seteuid(1.into()).expect("a user");
        nix::unistd::setresuid(0.into(), 0.into(), 0.into()).expect("back");
        nix::unistd::setuid(5.into()).expect("another user");
        nix::unistd::setuid(0.into()).expect_err("no way back");
        let error = std::os::unix::process::CommandExt::exec(&mut std::process::Command::new("/bin/true"));
        panic!("exec returned: {error}");
    });
    assert!(matches!(status, nix::sys::wait::WaitStatus::Exited(_, 0)), "{status:?}");
    let seen: Vec<_> = rig.credentials(pid).collect();
    let ids = |at: usize| {
        let (old, new) = (seen[at].old.expect("the old ones"), &seen[at].task);
        assert_eq!(seen[at].origin.hook, Hook::Fentry);
        ((old.uid, old.euid, old.gid), (new.uid, new.euid, new.gid))
    };
    assert_eq!(seen.len(), 5, "{seen:#?}");
    assert_eq!(ids(0), ((0, 0, 0), (0, 0, 0)));
    let bounding = (seen[0].old.unwrap().cap_bounding, seen[0].task.cap_bounding);
    assert_eq!((bounding.0 & SETFCAP, bounding.1 & SETFCAP), (SETFCAP, 0));
    assert_eq!(ids(1), ((0, 0, 0), (0, 0, 7)));
    assert_eq!(ids(2), ((0, 0, 7), (0, 1, 7)));
    assert_eq!(seen[2].task.cap_effective, 0);
    assert_eq!(ids(3), ((0, 1, 7), (0, 0, 7)));
    assert_eq!(ids(4), ((0, 0, 7), (5, 5, 7)));
    passed("credentials", Hook::Fentry);
}

#[test]
#[ignore = "needs root and BPF"]
fn where_trampolines_are_refused_the_next_rung_is_taken() {
    let mut facts = support::probe(&support::Roots::default());
    facts.try_trampolines();
    let works = facts.trampolines.is_ok();
    // As on a host where the trial went well and the real programs do not.
    facts.trampolines = Ok(());
    let config = Rig::config(Options { kinds: &[Kind::FileOpen], ..Options::default() }, Hooks::Auto);
    let plan = plan(&facts, &config).expect("a plan");
    assert!(plan.has_trampolines());
    let kernel = Kernel::load(&config, &plan, std::process::id()).expect("loaded all the same");
    let open: Vec<_> =
        kernel.sensors().iter().filter(|sensor| sensor.kinds.contains(&Kind::FileOpen)).collect();
    assert!(open.iter().all(|sensor| sensor.missing.is_none()), "{open:#?}");
    assert_eq!(open.iter().any(|sensor| sensor.attach.is_trampoline()), works, "{open:#?}");
}
