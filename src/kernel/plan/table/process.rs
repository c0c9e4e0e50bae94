//! Sensors of processes and control groups.

use super::{Level, Rung, Sensor, Use, calls, deep, tracepoint};
use crate::event::Kind;
use crate::kernel::plan::calls::{Call, Results};
use crate::metrics::label::Program;

pub(super) const SENSORS: &[Sensor] = &[
    Sensor {
        kinds: &[Kind::Exec],
        usage: Use::Vital,
        rungs: &[Rung {
            level: Level::Direct,
            entries: &[deep(
                tracepoint(Program::Exec, "sched_process_exec", "tp_btf/sched_process_exec"),
                "se_exec_bnd",
            )],
        }],
    },
    Sensor {
        kinds: &[Kind::ExecFailed],
        usage: Use::Wanted,
        rungs: &[Rung {
            level: Level::Syscall,
            entries: &[calls(
                Program::ExecFailed,
                &[Call::Execve, Call::Execveat],
                Results::Bad,
                "user",
                Some("se_failed_bnd"),
            )],
        }],
    },
    Sensor {
        kinds: &[Kind::Fork],
        usage: Use::Vital,
        rungs: &[Rung {
            level: Level::Direct,
            entries: &[tracepoint(Program::Fork, "sched_process_fork", "tp_btf/sched_process_fork")],
        }],
    },
    Sensor {
        kinds: &[Kind::Exit],
        usage: Use::Vital,
        rungs: &[Rung {
            level: Level::Direct,
            entries: &[tracepoint(Program::Exit, "sched_process_exit", "tp_btf/sched_process_exit")],
        }],
    },
    Sensor {
        kinds: &[Kind::Cgroup],
        usage: Use::Useful,
        rungs: &[Rung {
            level: Level::Direct,
            entries: &[
                tracepoint(Program::CgroupMkdir, "cgroup_mkdir", "tp_btf/cgroup_mkdir"),
                tracepoint(Program::CgroupRelease, "cgroup_release", "tp_btf/cgroup_release"),
                tracepoint(Program::CgroupRename, "cgroup_rename", "tp_btf/cgroup_rename"),
            ],
        }],
    },
];
