//! Paths: deep ones, across mounts, out of a chroot, deleted directories; with both ways to walk.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use crate::rig::{Options, Place, Rig, bytes, either_way, shell};

fn both() -> Vec<Options> {
    either_way(Options { env_max_bytes: 0, ..Options::DEFAULT })
}

/// A script that goes down `depth` directories with names of `width` bytes, copies a program there and runs it by
/// a short name, since the kernel takes no path over 4095 bytes.
fn descend(place: &Place, depth: usize, width: usize) -> (String, PathBuf) {
    let name = |level: usize| format!("{level:0>width$}");
    let mut script = format!("cd {} || exit 1\n", place.path().display());
    let mut path = place.path();
    for level in 0..depth {
        let name = name(level);
        script.push_str(&format!("mkdir {name} && cd -P {name} || exit 1\n"));
        path.push(name);
    }
    script.push_str(&format!("cp {} true && exec ./true\n", place.program.display()));
    (script, path)
}

#[test]
#[ignore = "needs root and BPF"]
fn a_path_of_sixty_components_is_whole() {
    for options in both() {
        let (mut rig, place) = (Rig::with(options), Place::new());
        let width = (3900 - bytes(&place.path()).len()) / 60 - 1;
        let (script, path) = descend(&place, 60, width);
        let (pid, status) = rig.run(&mut shell(&script));
        assert!(status.success());
        let exec = rig.exec(pid);
        assert!(bytes(&path).len() > 3800);
        assert_eq!(exec.program.executable, bytes(&path.join("true")), "{options:?}");
        assert_eq!(exec.program.cwd, bytes(&path));
        assert!(!exec.program.executable_cut && !exec.program.cwd_cut && !exec.program.executable_detached);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn a_path_too_long_or_too_deep_loses_its_head_and_says_so() {
    // Over 4096 bytes; and 300 components, which only the bounded walk cannot climb.
    let deep = |(depth, width)| both().into_iter().map(move |options| (options, depth, width));
    for (options, depth, width) in [(30, 200), (300, 4)].into_iter().flat_map(deep) {
        let (mut rig, place) = (Rig::with(options), Place::new());
        let is_cut = depth * width > 4096 || !rig.deep;
        let (script, path) = descend(&place, depth, width);
        let (pid, status) = rig.run(&mut shell(&script));
        assert!(status.success());
        let exec = rig.exec(pid);
        let whole = path.join("true");
        assert_eq!(
            (exec.program.executable_cut, exec.program.cwd_cut),
            (is_cut, is_cut),
            "{depth} {options:?}"
        );
        assert!(bytes(&whole).ends_with(exec.program.executable));
        assert!(exec.program.executable.starts_with(b"/"));
        if is_cut {
            assert!(exec.program.executable.len() < bytes(&whole).len());
        } else {
            assert_eq!(exec.program.executable, bytes(&whole));
        }
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn a_path_crosses_mounts_and_ignores_a_chroot() {
    for options in both() {
        let (mut rig, place) = (Rig::with(options), Place::new());
        let root = place.path();
        let (shown, program) = (root.display(), place.program.display());
        let script = format!(
            "mkdir {shown}/mnt {shown}/from {shown}/mnt2 && mount -t tmpfs none {shown}/mnt || exit 1\n\
             mkdir {shown}/mnt/bin && cp {program} {shown}/mnt/bin/ && mount --bind {shown}/mnt/bin {shown}/mnt2 || exit 2\n\
             cd {shown}/mnt && exec {shown}/mnt2/true\n"
        );
        let (pid, status) = rig.run(Command::new("unshare").args(["-m", "/bin/sh", "-c", &script]));
        assert!(status.success(), "{status}");
        let exec = rig.exec(pid);
        assert_eq!(exec.program.executable, bytes(&root.join("mnt2/true")));
        assert_eq!(exec.program.cwd, bytes(&root.join("mnt")));
        assert!(!exec.program.executable_detached && !exec.program.cwd_detached);
        assert_eq!(exec.program.fs_magic, 0x0102_1994);
        assert_ne!(exec.task.mnt_ns, rig.fork(pid).task.mnt_ns, "a mount namespace of its own");
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn the_root_is_a_slash_and_a_deleted_directory_says_so() {
    for options in both() {
        let (mut rig, place) = (Rig::with(options), Place::new());
        let (pid, _) = rig.run(Command::new("/bin/true").current_dir("/"));
        assert_eq!(rig.exec(pid).program.cwd, b"/");
        assert!(!rig.exec(pid).program.cwd_deleted);

        let gone = place.path().join("gone");
        let script = format!("mkdir {0}; cd {0}; rmdir {0}; exec /bin/true", gone.display());
        let (pid, _) = rig.run(&mut shell(&script));
        assert_eq!(rig.exec(pid).program.cwd, bytes(&gone));
        assert!(rig.exec(pid).program.cwd_deleted);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn a_program_on_a_mount_that_is_gone_is_detached() {
    let (mut rig, place) = (Rig::new(), Place::new());
    let shown = place.path().display().to_string();
    let script = format!(
        "mkdir {shown}/m && mount -t tmpfs none {shown}/m && mkdir {shown}/m/in && cp {} {shown}/m/in/ || exit 1\n\
         cd {shown}/m/in && umount -l {shown}/m && exec ./true\n",
        place.program.display()
    );
    let (pid, status) = rig.run(Command::new("unshare").args(["-m", "/bin/sh", "-c", &script]));
    assert!(status.success(), "{status}");
    let exec = rig.exec(pid);
    assert_eq!((exec.program.executable, exec.program.cwd), (&b"/in/true"[..], &b"/in"[..]));
    assert!(exec.program.executable_detached && exec.program.cwd_detached);
}

#[test]
#[ignore = "needs root and BPF"]
fn overlay_tells_what_was_written_since() {
    let (mut rig, place) = (Rig::new(), Place::new());
    let shown = place.path().display().to_string();
    // The upper layer may not lie on an overlay, and the host's temporary directory may be one.
    let script = format!(
        "cd {shown} && mkdir t && mount -t tmpfs none t && cd t && mkdir lower upper work merged || exit 1\n\
         cp {} lower/old && mount -t overlay none -o lowerdir=lower,upperdir=upper,workdir=work merged || exit 2\n\
         cp merged/old merged/new && (merged/old; merged/new; true)\n",
        place.program.display()
    );
    let (_, status) = rig.run(Command::new("unshare").args(["-m", "/bin/sh", "-c", &script]));
    assert!(status.success(), "{status}");
    let merged = place.path().join("t/merged");
    for (name, upper) in [("old", false), ("new", true)] {
        let path = merged.join(name);
        let exec = rig.execs().find(|x| x.program.executable == bytes(&path));
        let exec = exec.unwrap_or_else(|| panic!("an exec of {}", path.display()));
        assert_eq!((exec.program.overlay, exec.program.overlay_upper), (true, upper), "{name}");
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn a_chroot_does_not_shorten_a_path() {
    let (mut rig, place) = (Rig::new(), Place::new());
    // A copy of the whole system's view: the root bound to a directory, so that any program runs inside.
    let root = place.path().join("root");
    let script = format!("mkdir {0} && mount --rbind / {0} && exec chroot {0} /bin/true", root.display());
    let (pid, status) = rig.run(Command::new("unshare").args(["-m", "/bin/sh", "-c", &script]));
    assert!(status.success(), "{status}");
    let program = fs::canonicalize("/bin/true").unwrap();
    let inside = root.join(program.strip_prefix("/").unwrap());
    assert_eq!(rig.exec(pid).program.executable, bytes(&inside));
    assert_eq!(rig.exec(pid).program.cwd, bytes(&root));
    let (pid, _) = rig.run(Command::new("/bin/true").arg0("true"));
    assert_eq!(rig.exec(pid).program.executable, bytes(&program));
}
