//! Privileges and evasion, class by class: what is provoked comes out, with its numbers, names and targets; what nobody
//! wants does not; and the books close.
//!
//! What must not be done to the host that runs the tests (loading a module or a kernel, switching swap, restarting) is
//! tested by an attempt that the kernel refuses. Each test tells on which hooks its class passed, or why it has none.

mod compat;
mod credentials;
mod host;
mod kernel;
mod memory;
mod processes;

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::wait::WaitStatus;
use sentinel_edge::event::{Body, Hook, Kind, Privilege};
use sentinel_edge::metrics::label::Stage;

use crate::rig::{Options, Rig};

/// A system call with numbers and addresses; negative errno if it fails.
pub fn call<const N: usize>(number: libc::c_long, arguments: [usize; N]) -> isize {
    let mut all = [0; 6];
    all[..N].copy_from_slice(&arguments);
    let [a, b, c, d, e, f] = all;
    // SAFETY: the callers pass addresses of what lives as long as the call, or such that the kernel refuses.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if result == -1 {
        -isize::try_from(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)).expect("an errno")
    } else {
        isize::try_from(result).expect("a long")
    }
}

/// The same for one that must succeed.
pub fn must<const N: usize>(number: libc::c_long, arguments: [usize; N]) -> usize {
    let result = call(number, arguments);
    usize::try_from(result).unwrap_or_else(|_| panic!("system call {number}: {result}"))
}

/// A string in memory that was touched: what the kernel refuses before it has read it, a BPF program can only read if
/// the page is there.
pub fn text(text: &CStr) -> usize {
    text.to_owned().into_raw().expose_provenance()
}

/// Where the kernel reads from.
pub fn address<T>(of: &T) -> usize {
    std::ptr::from_ref(of).expose_provenance()
}

/// Where the kernel writes to.
fn room<T>(of: &mut T) -> usize {
    std::ptr::from_mut(of).expose_provenance()
}

fn descriptor(file: &File) -> usize {
    usize::try_from(file.as_raw_fd()).expect("a descriptor")
}

/// A number that a call was given, as an event has it: sign-extended.
pub fn number(value: i32) -> usize {
    isize::try_from(value).expect("a number").cast_unsigned()
}

/// Becomes nobody, without any rights.
fn lower() {
    must(libc::SYS_setresgid, [65534; 3]);
    must(libc::SYS_setresuid, [65534; 3]);
}

/// A process of the role's own that waits to be killed; its pid as the role knows it.
fn sleeper() -> usize {
    let parent = call(libc::SYS_getpid, []);
    match call(libc::SYS_clone, [usize::try_from(libc::SIGCHLD).expect("a signal"), 0, 0, 0, 0]) {
        0 => {
            // Not to outlive the test whatever becomes of it.
            call(libc::SYS_prctl, [1 /* PR_SET_PDEATHSIG */, 9]);
            while call(libc::SYS_getppid, []) == parent {
                std::thread::sleep(std::time::Duration::from_secs(1));
            }
            call(libc::SYS_exit_group, [0]);
            unreachable!("exit returned")
        }
        pid => usize::try_from(pid).expect("a child"),
    }
}

fn kill(pid: usize) {
    call(libc::SYS_kill, [pid, 9]);
    call(libc::SYS_wait4, [pid, 0, 0, 0]);
}

/// One class under test.
struct Case {
    rig: Rig,
    kind: Kind,
}

impl Case {
    /// The class alone, on the hooks that this host and the run have. `None`, and the reason is told, if it has none.
    fn of(kind: Kind) -> Option<Case> {
        Case::with(kind, Options::DEFAULT)
    }

    fn with(kind: Kind, options: Options) -> Option<Case> {
        let at = Kind::ALL.iter().position(|other| *other == kind).expect("a kind");
        let rig = Rig::with(Options { kinds: &Kind::ALL[at..=at], may_miss: true, ..options });
        for (hook, reason) in rig.missing(kind) {
            println!("MATRIX class={kind} hook={hook} result=missing: {reason}");
        }
        rig.has(kind).then_some(Case { rig, kind })
    }

    /// Plays a role, which must not panic; its pid.
    fn play(&mut self, role: impl FnOnce()) -> u32 {
        let (pid, status) = self.rig.act(role);
        assert!(matches!(status, WaitStatus::Exited(_, 0)), "{status:?}");
        pid
    }

    /// What a process did, in order.
    fn did(&self, pid: u32) -> Vec<Privilege<'_>> {
        let all = self.rig.events().filter_map(|event| match event.body {
            Body::Privilege(event) if event.kind == self.kind && event.task.pid == pid => Some(*event),
            _ => None,
        });
        all.collect()
    }

    /// The pids of processes that a process made, in order.
    fn children(&self, pid: u32) -> Vec<u32> {
        self.rig.forks().filter(|fork| fork.creator_pid == pid).map(|fork| fork.task.pid).collect()
    }

    /// The program on this hook is there.
    fn has(&self, hook: Hook) -> bool {
        self.rig.hooks_of(self.kind).any(|name| name == hook.name())
    }

    /// The books close, and the class is told to have passed.
    fn pass(mut self) {
        let kind = self.kind;
        self.rig.assert_closes(&[kind]);
        assert!(self.rig.stage(kind, Stage::Submitted) > 0, "{kind}");
        let mut hooks: Vec<_> = self.rig.hooks_of(kind).collect();
        hooks.sort_unstable();
        hooks.dedup();
        for hook in hooks {
            println!("MATRIX class={kind} hook={hook} result=passed");
        }
    }
}
