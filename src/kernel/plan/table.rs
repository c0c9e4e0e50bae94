//! The ladder: every sensor with its hooks, the best first.
//!
//! A sensor reports some classes. Each of its rungs is a set of programs that together do so; the first rung that this
//! host and the configuration allow is taken. A new sensor is a line in one of the
//! tables below, a variant of [`Program`] and the program.

mod file;
mod io_uring;
mod network;
mod privilege;
mod process;
mod trampoline;

use super::calls::{Call, Results};
use crate::event::Kind;
use crate::metrics::label::Program;

/// When a sensor is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Always; without it there is no agent, as the process table would be wrong.
    Vital,
    /// Wherever it can be had.
    Useful,
    /// If one of its kinds is to be reported.
    Wanted,
    /// If one of its kinds is taken from the return of system calls: what comes to the same end in another way.
    Beside,
}

/// How high on the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// BTF tracepoints and control group hooks: they cost nothing elsewhere.
    Direct,
    /// Trampolines on kernel functions, or hooks of the security modules.
    Trampoline,
    /// The return of system calls, which every call pays for.
    Syscall,
}

/// How a program gets to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attach {
    /// A BTF tracepoint.
    Tracepoint(&'static str),
    /// A BTF tracepoint whose arguments differ between kernels, where it has so many.
    TracepointOf(&'static str, usize),
    /// Called by the program on the return of system calls.
    Calls(&'static [Call], Results),
    /// A control group hook, in the root of the default hierarchy.
    Cgroup,
    /// The beginning or end of a kernel function, and the numbers of arguments that are known of it: a kernel whose
    /// function takes another number has changed what they mean.
    Trampoline(&'static str, &'static [u32]),
    /// A hook of the security modules.
    Lsm(&'static str),
}

impl Attach {
    /// Whether it is a program on a kernel function or on a hook of the security modules.
    pub fn is_trampoline(&self) -> bool {
        matches!(self, Attach::Trampoline(..) | Attach::Lsm(_))
    }
}

/// A program of a rung.
#[derive(Debug)]
pub(super) struct Entry {
    pub program: Program,
    pub attach: Attach,
    /// As in the object's section, such as `tp_btf/sched_process_exec`.
    pub hook: &'static str,
    /// Where its fields come from.
    pub grade: &'static str,
    /// The twin for kernels without bpf_loop(), if the program walks paths.
    pub bounded: Option<&'static str>,
    /// What this hook does not see.
    pub remark: Option<&'static str>,
}

/// Programs that together report what the sensor is for.
#[derive(Debug)]
pub(super) struct Rung {
    pub level: Level,
    pub entries: &'static [Entry],
}

/// A line of the table.
#[derive(Debug)]
pub(super) struct Sensor {
    pub kinds: &'static [Kind],
    pub usage: Use,
    pub rungs: &'static [Rung],
}

const fn tracepoint(program: Program, name: &'static str, hook: &'static str) -> Entry {
    Entry { program, attach: Attach::Tracepoint(name), hook, grade: "kernel", bounded: None, remark: None }
}

/// At the return of these calls; `bounded` is the twin of the program.
const fn calls(
    program: Program,
    calls: &'static [Call],
    results: Results,
    grade: &'static str,
    bounded: Option<&'static str>,
) -> Entry {
    Entry {
        program,
        attach: Attach::Calls(calls, results),
        hook: "tp_btf/sys_exit",
        grade,
        bounded,
        remark: None,
    }
}

const fn remarked(entry: Entry, remark: &'static str) -> Entry {
    Entry { remark: Some(remark), ..entry }
}

/// At the beginning (`fentry/...`) or end (`fexit/...`) of a kernel function.
const fn trampoline(
    program: Program,
    function: &'static str,
    arguments: &'static [u32],
    hook: &'static str,
) -> Entry {
    let attach = Attach::Trampoline(function, arguments);
    Entry { program, attach, hook, grade: "kernel", bounded: None, remark: None }
}

const fn deep(entry: Entry, bounded: &'static str) -> Entry {
    Entry { bounded: Some(bounded), ..entry }
}

pub(in crate::kernel) use network::parts as net_parts;

/// All sensors, by subject.
pub(super) fn sensors() -> impl Iterator<Item = &'static Sensor> {
    [process::SENSORS, file::SENSORS, network::SENSORS, privilege::SENSORS, io_uring::SENSORS]
        .into_iter()
        .flatten()
}
