//! Operations that run through an io_uring, which no system call returns.
//!
//! The programs stand beside those on the return of system calls and make the same events. Hooks further down see
//! these operations themselves. What the tracepoints hand over has changed; before Linux 6.0 it is not the request.

use super::{Attach, Entry, Level, Rung, Sensor, Use};
use crate::event::Kind;
use crate::metrics::label::Program;

const fn request(program: Program, name: &'static str, arguments: usize, hook: &'static str) -> Entry {
    Entry {
        program,
        attach: Attach::TracepointOf(name, arguments),
        hook,
        grade: "kernel",
        bounded: None,
        remark: None,
    }
}

const SUBMIT: Entry = request(Program::IoUringSubmit, "io_uring_submit_req", 1, "tp_btf/io_uring_submit_req");
const OVERFLOW: Entry =
    request(Program::IoUringOverflow, "io_uring_cqe_overflow", 5, "tp_btf/io_uring_cqe_overflow");
const RESULT: Entry = request(Program::IoUringResult, "io_uring_complete", 7, "tp_btf/io_uring_complete");

pub(super) const SENSORS: &[Sensor] = &[Sensor {
    kinds: &[
        Kind::FileOpen,
        Kind::FileRead,
        Kind::FileClose,
        Kind::FileRename,
        Kind::FileDelete,
        Kind::FileLink,
        Kind::FileMkdir,
        Kind::FileXattr,
        Kind::FileTruncate,
        Kind::NetAccept,
        Kind::NetListen,
        Kind::NetSocket,
    ],
    usage: Use::Beside,
    rungs: &[
        Rung {
            level: Level::Direct,
            entries: &[
                SUBMIT,
                request(Program::IoUringDone, "io_uring_complete", 3, "tp_btf/io_uring_complete"),
                OVERFLOW,
            ],
        },
        Rung { level: Level::Direct, entries: &[SUBMIT, RESULT, OVERFLOW] },
        Rung {
            level: Level::Direct,
            entries: &[
                request(Program::IoUringSqe, "io_uring_submit_sqe", 2, "tp_btf/io_uring_submit_sqe"),
                RESULT,
                OVERFLOW,
            ],
        },
    ],
}];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::plan::samples::{config, host};
    use crate::kernel::plan::{Planned, programs};
    use crate::kernel::support::Facts;
    use crate::kernel::{Config, Hooks};

    const OWN: [Program; 5] = [
        Program::IoUringSubmit,
        Program::IoUringSqe,
        Program::IoUringDone,
        Program::IoUringResult,
        Program::IoUringOverflow,
    ];

    fn planned(facts: &Facts, kinds: &[Kind]) -> Vec<Planned> {
        // Trampolines see what an io_uring does, so only without them is it to be followed.
        let config = Config { hooks: Hooks::Syscall, ..config(kinds) };
        let all = programs(facts, &config).into_iter();
        all.filter(|planned| OWN.contains(&planned.program)).collect()
    }

    fn names(facts: &Facts) -> Vec<Program> {
        let found = planned(facts, &[Kind::FileOpen]).into_iter();
        found.filter(|planned| planned.missing.is_none()).map(|planned| planned.program).collect()
    }

    /// A host whose tracepoints of io_uring have so many arguments.
    fn host_with(arguments: &[(&str, usize)]) -> Facts {
        let mut facts = host();
        let btf = facts.btf.as_mut().unwrap();
        btf.tracepoints.retain(|name| !name.starts_with("io_uring"));
        for (name, count) in arguments {
            btf.tracepoints.insert((*name).to_owned());
            btf.arguments.insert((*name).to_owned(), *count);
        }
        facts
    }

    #[test]
    fn requests_are_followed_only_beside_system_calls() {
        assert_eq!(planned(&host(), &[Kind::FileRename]).len(), 3);
        assert_eq!(planned(&host(), &[Kind::Exec, Kind::ExecFailed]), []);
        let mut trampolines = config(&[Kind::FileOpen]);
        trampolines.hooks = Hooks::Trampoline;
        assert!(programs(&host(), &trampolines).iter().all(|planned| !OWN.contains(&planned.program)));
    }

    #[test]
    fn each_kernel_gets_the_programs_that_fit_its_tracepoints() {
        const OVERFLOW: (&str, usize) = ("io_uring_cqe_overflow", 5);
        type Case = (&'static [(&'static str, usize)], &'static [Program]);
        let cases: [Case; 3] = [
            (
                &[("io_uring_submit_req", 1), ("io_uring_complete", 3), OVERFLOW],
                &[Program::IoUringSubmit, Program::IoUringDone, Program::IoUringOverflow],
            ),
            (
                &[("io_uring_submit_req", 1), ("io_uring_complete", 7), OVERFLOW],
                &[Program::IoUringSubmit, Program::IoUringResult, Program::IoUringOverflow],
            ),
            (
                &[("io_uring_submit_sqe", 2), ("io_uring_complete", 7), OVERFLOW],
                &[Program::IoUringSqe, Program::IoUringResult, Program::IoUringOverflow],
            ),
        ];
        for (arguments, expected) in cases {
            assert_eq!(names(&host_with(arguments)), expected, "{arguments:?}");
        }
    }

    #[test]
    fn before_6_0_they_are_missing_with_a_reason() {
        // As in 5.10.
        let facts = host_with(&[("io_uring_submit_sqe", 5), ("io_uring_complete", 3)]);
        let found = planned(&facts, &[Kind::FileOpen]);
        assert!(!found.is_empty());
        for planned in found {
            let reason = planned.missing.unwrap();
            assert!(
                reason.contains("tracepoint io_uring_submit_sqe has 5 arguments here, not 2"),
                "{reason}"
            );
        }
    }
}
