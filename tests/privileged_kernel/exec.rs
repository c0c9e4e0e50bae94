//! Successful and refused execs.

use std::collections::{BTreeMap, HashMap};
use std::ffi::CString;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::{execveat, getpgrp, getsid};
use sentinel_edge::event::Body;

use crate::acts;
use crate::rig::{Options, Place, Rig, bytes, is_guest, shell};

/// The lines of /proc/self/status by name.
fn status() -> BTreeMap<String, String> {
    let text = fs::read_to_string("/proc/self/status").expect("our status");
    let pair = |line: &str| line.split_once(":\t").map(|(k, v)| (k.to_owned(), v.trim().to_owned()));
    text.lines().filter_map(pair).collect()
}

fn namespace(name: &str) -> u32 {
    let ino = fs::metadata(format!("/proc/self/ns/{name}")).expect("a namespace").ino();
    u32::try_from(ino).expect("its number")
}

#[test]
#[ignore = "needs root and BPF"]
fn an_exec_tells_program_arguments_and_environment() {
    let (mut rig, place) = (Rig::new(), Place::new());
    chown(&place.program, Some(12), Some(34)).unwrap();
    fs::set_permissions(&place.program, fs::Permissions::from_mode(0o2751)).unwrap();
    let mut command = Command::new(&place.program);
    command
        .args(["first", "", "third one"])
        .current_dir(place.path())
        .env_clear()
        .env("SE_TEST", "some value");
    let (pid, _) = rig.run(&mut command);
    let exec = rig.exec(pid);
    let meta = fs::metadata(&place.program).unwrap();

    let argv = [bytes(&place.program), b"first", b"", b"third one", b""].join(&0);
    assert_eq!(exec.args_head, argv);
    assert_eq!((exec.args_len, exec.argc), (argv.len() as u64, 4));
    assert_eq!((exec.args_tail, exec.args_cut, exec.args_fault), (&b""[..], false, false));
    assert_eq!(exec.env, b"SE_TEST=some value\0");
    assert_eq!((exec.env_len, exec.envc, exec.env_cut, exec.env_fault), (19, 1, false, false));
    assert_eq!(exec.filename, bytes(&place.program));
    assert_eq!((exec.interpreter, exec.script, exec.by_fd, exec.old_tid), (None, false, false, None));

    let program = &exec.program;
    assert_eq!(program.executable, bytes(&place.path().join("true")));
    assert_eq!(program.cwd, bytes(&place.path()));
    assert_eq!(program.inode, meta.ino());
    let dev = meta.dev();
    let (major, minor) = program.device;
    assert_eq!(
        (u64::from(major), u64::from(minor)),
        (nix::sys::stat::major(dev), nix::sys::stat::minor(dev))
    );
    assert_eq!(program.mode, meta.mode());
    assert_eq!((program.owner_uid, program.owner_gid), (12, 34));
    assert_eq!((program.nlink, program.size_bytes), (1, meta.size()));
    assert_eq!(program.mtime_ns, meta.mtime() * 1_000_000_000 + meta.mtime_nsec());
    assert_eq!(program.ctime_ns, meta.ctime() * 1_000_000_000 + meta.ctime_nsec());
    assert!(!program.memfd && !program.executable_cut && !program.executable_detached);
    assert!(!program.cwd_cut && !program.cwd_detached && !program.cwd_deleted);
    // The setgid bit took effect: group 34.
    assert!(exec.secure);
    assert_eq!((exec.task.egid, exec.task.sgid, exec.task.fsgid), (34, 34, 34));
}

#[test]
#[ignore = "needs root and BPF"]
fn an_exec_tells_who_acts_and_where() {
    let mut rig = Rig::new();
    let before = sentinel_edge::util::clock::boot_ns();
    let (pid, _) = rig.run(&mut Command::new("/bin/true"));
    let after = sentinel_edge::util::clock::boot_ns();
    let (exec, fork, status) = (rig.exec(pid), rig.fork(pid), status());
    let task = &exec.task;
    let own = std::process::id();

    assert_eq!((task.tid, task.ns_pid, task.ns_tid, task.ppid), (pid, pid, pid, own));
    assert!((before..after).contains(&task.start_ns), "{before} {} {after}", task.start_ns);
    assert!(task.parent_start_ns > 0 && task.parent_start_ns < before);
    assert_eq!((fork.task.start_ns, fork.creator_start_ns), (task.start_ns, task.parent_start_ns));
    assert_eq!(fork.creator_pid, own);
    assert_eq!(task.sid, u32::try_from(getsid(None).unwrap().as_raw()).unwrap());
    assert_eq!(task.pgid, u32::try_from(getpgrp().as_raw()).unwrap());
    assert!(task.leader_start_ns <= task.start_ns);

    let numbers = |key: &str| status[key].split('\t').map(|n| n.parse().unwrap()).collect::<Vec<u32>>();
    assert_eq!(vec![task.uid, task.euid, task.suid, task.fsuid], numbers("Uid"));
    assert_eq!(vec![task.gid, task.egid, task.sgid, task.fsgid], numbers("Gid"));
    let set = |key: &str| u64::from_str_radix(&status[key], 16).unwrap();
    // Of a program without file capabilities that root runs: all that the bounding set allows.
    assert_eq!((task.cap_permitted, task.cap_effective), (set("CapBnd"), set("CapBnd")));
    assert_eq!((task.cap_inheritable, task.cap_bounding), (set("CapInh"), set("CapBnd")));
    assert_eq!(task.cap_ambient, set("CapAmb"));

    for (name, found) in [
        ("mnt", task.mnt_ns),
        ("pid", task.pid_ns),
        ("net", task.net_ns),
        ("user", task.user_ns),
        ("uts", task.uts_ns),
        ("ipc", task.ipc_ns),
        ("cgroup", task.cgroup_ns),
    ] {
        assert_eq!(found, namespace(name), "{name} namespace");
    }
    let audit = |name: &str| -> Option<u32> {
        let text = fs::read_to_string(format!("/proc/self/{name}")).ok()?;
        text.trim().parse().ok().filter(|id| *id != u32::MAX)
    };
    assert_eq!((task.loginuid, task.sessionid), (audit("loginuid"), audit("sessionid")));
    assert_eq!(task.comm, b"true");
    assert!(task.agent, "a child of the one whose pid the programs were given");
    assert!(!task.kernel_thread && !task.compat && !task.no_new_privs);
    assert_eq!(task.seccomp, status.get("Seccomp").is_some_and(|mode| mode == "2"));
}

#[test]
#[ignore = "needs root and BPF"]
fn a_process_that_gave_up_rights_shows_it() {
    let mut rig = Rig::new();
    let mut command = Command::new("/bin/true");
    command.uid(65534).gid(65533);
    let lower = || {
        nix::sys::prctl::set_no_new_privs()?;
        Ok(())
    };
    // SAFETY: one system call, nothing that a fork could have left in disorder.
    unsafe { command.pre_exec(lower) };
    let (pid, _) = rig.run(&mut command);
    let task = rig.exec(pid).task;
    assert_eq!((task.uid, task.euid, task.gid, task.egid), (65534, 65534, 65533, 65533));
    assert_eq!((task.cap_permitted, task.cap_effective), (0, 0));
    assert!(task.no_new_privs && !rig.exec(pid).secure);
}

#[test]
#[ignore = "needs root and BPF"]
fn a_setuid_program_is_told_with_the_rights_it_gained() {
    let (mut rig, place) = (Rig::new(), Place::new());
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&place.program, fs::Permissions::from_mode(0o4755)).unwrap();
    let (pid, _) = rig.run(Command::new(&place.program).uid(65534).gid(65534));
    let exec = rig.exec(pid);
    assert_eq!((exec.task.uid, exec.task.euid, exec.task.suid), (65534, 0, 0));
    assert_ne!(exec.task.cap_effective, 0);
    assert_eq!(exec.program.mode & 0o7777, 0o4755);
    assert!(exec.secure);
}

#[test]
#[ignore = "needs root and BPF"]
fn long_arguments_are_whole_or_cut_in_the_middle() {
    let long: String = (b'a'..=b'z').cycle().take(100_000).map(char::from).collect();
    for (args_max_bytes, is_cut) in [(131_072, false), (32_768, true), (4096, true)] {
        let mut rig = Rig::with(Options { args_max_bytes, ..Options::default() });
        let (pid, _) = rig.run(Command::new("/bin/true").args([&long, "end"]));
        let exec = rig.exec(pid);
        let whole = [b"/bin/true", long.as_bytes(), b"end", b""].join(&0);
        assert_eq!((exec.args_len, exec.argc), (whole.len() as u64, 3));
        assert_eq!((exec.args_cut, exec.args_fault), (is_cut, false));
        if is_cut {
            let half = args_max_bytes as usize / 2;
            assert!(exec.args_head == &whole[..half] && exec.args_tail == &whole[whole.len() - half..]);
        } else {
            assert!(exec.args_head == whole && exec.args_tail.is_empty());
        }
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn two_thousand_arguments_and_a_long_environment() {
    let mut rig = Rig::new();
    let args: Vec<String> = (0..2000).map(|n| n.to_string()).collect();
    let value = "v".repeat(20_000);
    let (pid, _) = rig.run(Command::new("/bin/true").args(&args).env_clear().env("LONG", &value));
    let exec = rig.exec(pid);
    assert_eq!(exec.argc, 2001);
    let told: Vec<&[u8]> = exec.args_head.split(|&b| b == 0).skip(1).take(2000).collect();
    assert!(told.iter().zip(&args).all(|(told, arg)| *told == arg.as_bytes()) && !exec.args_cut);
    assert_eq!((exec.env.len(), exec.env_len, exec.env_cut), (8192, 20_006, true));
    assert!(exec.env.starts_with(b"LONG=vvv"));
}

#[test]
#[ignore = "needs root and BPF"]
fn without_an_environment_limit_none_is_told() {
    let mut rig = Rig::with(Options { env_max_bytes: 0, ..Options::default() });
    let (pid, _) = rig.run(Command::new("/bin/true").env_clear().env("A", "b"));
    let exec = rig.exec(pid);
    assert_eq!((exec.env, exec.env_len, exec.envc, exec.env_cut), (&b""[..], 4, 1, false));
}

#[test]
#[ignore = "needs root and BPF"]
fn a_script_is_told_beside_its_interpreter() {
    let (mut rig, place) = (Rig::new(), Place::new());
    let script = place.path().join("script");
    fs::write(&script, "#!/bin/sh -e\nexit 3\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let (pid, status) = rig.run(Command::new(&script).arg("x"));
    assert_eq!(status.code(), Some(3));
    let exec = rig.exec(pid);
    assert_eq!((exec.filename, exec.interpreter, exec.script), (bytes(&script), Some(&b"/bin/sh"[..]), true));
    let interpreter = fs::canonicalize("/bin/sh").unwrap();
    assert_eq!(exec.program.executable, bytes(&interpreter));
    assert_eq!(exec.args_head, [b"/bin/sh", b"-e".as_slice(), bytes(&script), b"x", b""].join(&0));
    assert_eq!(exec.argc, 4);
}

/// A program in a memfd, or in a file without a name.
fn contents(into: &OwnedFd) {
    let program = fs::read("/bin/true").expect("/bin/true");
    let mut file = fs::File::from(into.try_clone().expect("a descriptor"));
    std::io::Write::write_all(&mut file, &program).expect("writing the program");
}

#[test]
#[ignore = "needs root and BPF"]
fn a_program_in_a_memfd_is_told_by_its_name() {
    let mut rig = Rig::new();
    // A descriptor that is open for writing cannot be executed.
    let written = memfd_create(c"payload", MFdFlags::empty()).unwrap();
    contents(&written);
    let readable = fs::File::open(format!("/proc/self/fd/{}", written.as_raw_fd())).unwrap();
    drop(written);
    let mut command = Command::new("/bin/false");
    let fd = readable.as_raw_fd();
    let arg = CString::new("true").unwrap();
    let run = move || {
        // SAFETY: the descriptor is open in the child as in the parent; it is closed by the exec.
        let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
        let Err(error) = execveat(fd, c"", &[&arg], &[] as &[CString], AtFlags::AT_EMPTY_PATH);
        Err(error.into())
    };
    // SAFETY: one system call that replaces the process; what it needs was allocated before the fork.
    unsafe { command.pre_exec(run) };
    let (pid, status) = rig.run(&mut command);
    assert!(status.success());
    let exec = rig.exec(pid);
    assert_eq!(exec.program.executable, b"/memfd:payload");
    assert!(exec.program.memfd && exec.program.executable_detached && exec.by_fd);
    assert_eq!(exec.program.nlink, 0);
    assert_eq!(exec.filename, format!("/dev/fd/{fd}").as_bytes());
    assert_eq!((exec.args_head, exec.env), (&b"true\0"[..], &b""[..]));
}

#[test]
#[ignore = "needs root and BPF"]
fn a_deleted_program_has_no_link() {
    let (mut rig, place) = (Rig::new(), Place::new());
    let path = place.path().join("true");
    let file = fs::File::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let (pid, status) = rig.run(Command::new(format!("/proc/self/fd/{}", file.as_raw_fd())).arg0("true"));
    assert!(status.success());
    let exec = rig.exec(pid);
    assert_eq!((exec.program.nlink, exec.program.memfd, exec.by_fd), (0, false, false));
    assert_eq!(exec.program.executable, bytes(&path));
}

#[test]
#[ignore = "needs root and BPF"]
fn an_exec_from_a_thread_names_that_thread() {
    let mut rig = Rig::new();
    let (pid, _) = rig.act(acts::exec_from_a_thread);
    let exec = rig.exec(pid);
    assert_eq!((exec.task.pid, exec.task.tid), (pid, pid));
    let old = exec.old_tid.expect("the thread's id until then");
    assert!(old != pid && old != 0);
    assert_eq!(rig.exits(pid).len(), 1, "the threads that the exec ended are no exits");
}

#[test]
#[ignore = "needs root and BPF"]
fn arguments_are_those_that_the_program_got_whatever_the_caller_did() {
    // A guest takes half a minute for so many as the host in a second.
    let tries = if is_guest() { 200 } else { 2_000 };
    let (mut rig, place) = (Rig::new(), Place::new());
    let output = place.path().join("output");
    let got: HashMap<u32, Vec<u8>> = (0..tries)
        .map(|_| (rig.act(|| acts::exec_while_rewriting(&output)).0, fs::read(&output).unwrap()))
        .collect();
    assert_eq!(got.len(), tries, "no pid came twice");
    let mut told = 0;
    for exec in rig.execs() {
        let Some(got) = got.get(&exec.task.pid) else { continue };
        assert_eq!(exec.args_head, [b"echo", got.trim_ascii_end(), b""].join(&0));
        told += 1;
    }
    assert_eq!(told, tries);
}

#[test]
#[ignore = "needs root and BPF"]
fn refused_execs_tell_why_and_what_was_asked_for() {
    let (mut rig, place) = (Rig::new(), Place::new());
    fs::set_permissions(&place.program, fs::Permissions::from_mode(0o644)).unwrap();
    let script = format!("cd {}; /no/such/program 'a b' c; ./true x; exit 0", place.path().display());
    let (pid, _) = rig.run(&mut shell(&script));
    // The shell forks for each.
    let failed: Vec<_> = rig.refused().filter(|x| x.task.ppid == pid).collect();
    let [missing, forbidden] = &failed[..] else { panic!("two refused execs, not {failed:?}") };
    assert_eq!(missing.errno, Errno::ENOENT as u32);
    assert_eq!(missing.filename, b"/no/such/program");
    assert_eq!(missing.args, b"/no/such/program\0a b\0c\0");
    assert_eq!((missing.args_count, missing.args_cut), (3, false));
    assert_eq!(missing.cwd, bytes(&place.path()));
    assert_eq!(missing.task.comm, b"sh");
    assert_eq!(forbidden.errno, Errno::EACCES as u32);
    assert_eq!((forbidden.filename, forbidden.args), (&b"./true"[..], &b"./true\0x\0"[..]));
}

#[test]
#[ignore = "needs root and BPF"]
fn a_refused_exec_with_many_arguments_is_cut_and_says_so() {
    let mut rig = Rig::new();
    let many: Vec<String> = (0..40).map(|n| format!("argument {n}")).collect();
    let long = "x".repeat(6000);
    let before = std::process::id();
    Command::new("/no/such").args(&many).spawn().expect_err("no such program");
    Command::new("/no/such").arg("0").arg(&long).spawn().expect_err("no such program");
    rig.wait_for(
        "second refusal",
        |e| matches!(&e.body, Body::ExecFailed(x) if x.task.ppid == before && x.args.len() > 4000),
    );
    let failed: Vec<_> = rig.refused().filter(|x| x.filename == b"/no/such").collect();
    let [counted, sized] = &failed[..] else { panic!("two refusals, not {failed:?}") };
    assert_eq!((counted.args_count, counted.args_cut), (32, true));
    assert!(counted.args.ends_with(b"argument 30\0"));
    assert_eq!((sized.args_count, sized.args.len(), sized.args_cut), (3, 4096, true));
}

#[test]
#[ignore = "needs root and BPF"]
fn a_refused_exec_with_a_bad_address_says_so() {
    let mut rig = Rig::new();
    let (pid, _) = rig.act(acts::exec_of_a_bad_address);
    let failed: Vec<_> = rig.refused().filter(|x| x.task.pid == pid).collect();
    let [one] = &failed[..] else { panic!("one refusal, not {failed:?}") };
    assert_eq!((one.errno, one.filename_fault), (Errno::EFAULT as u32, true));
    assert_eq!((one.filename, one.args_count), (&b""[..], 0));
}

#[test]
#[ignore = "needs root and BPF"]
fn a_file_name_that_is_not_utf8_comes_as_it_is() {
    let (mut rig, place) = (Rig::new(), Place::new());
    let odd = place.path().join(std::ffi::OsStr::from_bytes(b"odd \xff\n\"name"));
    fs::rename(&place.program, &odd).unwrap();
    let (pid, _) = rig.run(Command::new(&odd).arg0("true"));
    assert_eq!(rig.exec(pid).program.executable, bytes(&odd));
    assert_eq!(rig.exec(pid).task.comm, &b"odd \xff\n\"name"[..]);
}
