//! Verdicts on directories, which the programs keep for seconds: what takes a directory to another path voids them.
//!
//! Each role opens a file where nobody watches, so that there is a verdict, takes its directory to a watched path and
//! opens it again at once.

use std::ffi::CString;
use std::fs;
use std::path::Path;

use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use sentinel_edge::event::Kind;
use sentinel_edge::kernel::{Config, Filter};

use crate::file::{c, call, text};
use crate::filters::{Filtered, Place, config, read};
use crate::uring_ring::{Mode, Op, Way};

/// A container's start: its root is made ready below a directory of the host, and entered.
#[test]
#[ignore = "needs root and BPF"]
fn a_root_that_was_made_ready_elsewhere_is_judged_anew() {
    let place = Place::new();
    fs::create_dir(place.path("root")).expect("a directory");
    let mut kernel = Filtered::watching(&["/se-verdict/"], &[]);
    let pid = kernel.act(|| {
        unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
        let none = None::<&Path>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("mounts of its own");
        mount(none, &place.path("root"), Some("tmpfs"), MsFlags::empty(), none).expect("a tmpfs");
        place.file("root/se-verdict/file");
        fs::create_dir(place.path("root/old")).expect("a directory");
        read(&place.path("root/se-verdict/file"));
        std::env::set_current_dir(place.path("root")).expect("the new root");
        let [dot, old] = [".", "old"].map(c);
        call(libc::SYS_pivot_root, [text(&dot), text(&old)]);
        read(Path::new("/se-verdict/file"));
    });
    assert_eq!(kernel.opened(pid, Kind::FileRead), [Path::new("/se-verdict/file")]);
    kernel.finish();
    kernel.assert_closes();
}

/// Renames by a system call or through a ring.
fn rename(way: &mut Way, from: &CString, to: &CString, flags: u32) {
    way.good(&Op::rename(libc::AT_FDCWD, from, to, flags));
}

#[test]
#[ignore = "needs root and BPF"]
fn a_renamed_directory_is_judged_anew() {
    let place = Place::new();
    let [moved, back, swapped] = ["watched/moved/sub/file", "elsewhere/sub/file", "watched/other/sub/file"]
        .map(|name| place.path(name));
    place.file("watched/other/sub/file");
    place.file("outside/sub/file");
    let filter = Filter { watch_paths: vec![place.text("watched/")], ..config().filter };
    // Renames are followed only if they are wanted.
    let kinds = [config().kinds, vec![Kind::FileRename]].concat();
    let mut kernel = Filtered::with(Config { filter, kinds, ..config() });
    let follows_rings = kernel.kernel.sensors().iter().all(|sensor| sensor.missing.is_none());
    for mode in [None, Some(Mode::Plain)] {
        if mode.is_some() && !follows_rings {
            continue;
        }
        let pid = kernel.act(|| {
            let way = &mut Way::new(mode);
            let [outside, moved_to, elsewhere, other] =
                ["outside", "watched/moved", "elsewhere", "watched/other"].map(|name| c(place.path(name)));
            read(&place.path("outside/sub/file"));
            rename(way, &outside, &moved_to, 0);
            read(&moved);
            rename(way, &moved_to, &elsewhere, 0);
            read(&back);
            rename(way, &elsewhere, &other, libc::RENAME_EXCHANGE);
            read(&swapped);
            read(&back);
            rename(way, &elsewhere, &outside, 0);
        });
        assert_eq!(kernel.opened(pid, Kind::FileRead), [&moved, &swapped], "{mode:?}");
    }
    kernel.finish();
    kernel.assert_closes();
}
