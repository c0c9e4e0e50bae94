//! Which program goes on which hook: facts about the host and the configuration in, a plan or the obstacle out.
//!
//! Pure: the facts come from [`support`](super::support), loading is the loader's. One table of sensors drives
//! everything; `doctor`, /health and the metrics show what came out of it.
//!
//! 1. [`obstacles`] lists what keeps the agent from running at all, each with its remedy.
//! 2. [`programs`] goes through the sensors: those the configuration or the process table wants, each with its hook,
//!    and with the reason if it cannot be had or only with less.
//! 3. [`plan`] is both: the first obstacle, or what to load.
//!
//! All hooks are BTF tracepoints. They cost nothing elsewhere, need no tracefs and no perf events, which hosts like to
//! restrict, and attach with CAP_BPF and CAP_PERFMON alone. What BTF promises the verifier may still refuse; that is
//! an error of the loader.

mod error;
#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;

pub use error::Error;

use super::Config;
use super::abi::types::se_limit;
use super::support::{Btf, BtfError, Capability, Facts, Lockdown};
use crate::event::Kind;
use crate::metrics::label::Program;

/// The first kernel with everything that cannot be done without: ring buffers, CAP_BPF and the task iterator.
pub const OLDEST_KERNEL: (u32, u32) = (5, 8);

/// The first kernel that charges maps to the memory cgroup and not to the limit on locked memory.
pub const MAPS_NOT_LOCKED: (u32, u32) = (5, 11);

/// What to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The programs, in the order of the metrics' label.
    pub programs: Vec<Planned>,
    /// How the processes are found that already run.
    pub snapshot: Snapshot,
    /// Whether paths are walked by bpf_loop(), in depth as good as unlimited. Else the programs whose symbols end in
    /// `_bnd` are loaded.
    pub deep_paths: bool,
    /// Whether the limit on locked memory must be raised before maps are made.
    pub raise_memlock: bool,
}

/// A program and what is to become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The sensor.
    pub program: Program,
    /// Name of the program in the object that is to be loaded.
    pub symbol: &'static str,
    /// Where it attaches, such as `tp_btf/sched_process_exec`.
    pub hook: &'static str,
    /// Kinds of records that it makes.
    pub kinds: &'static [Kind],
    /// Where its fields come from: `kernel` memory, or `user` memory too, which the process can change meanwhile.
    pub grade: &'static str,
    /// Why it cannot be had here, if so. Then it is not loaded.
    pub missing: Option<String>,
    /// What is less here than it could be, and why.
    pub remark: Option<String>,
}

/// The program that lists the processes that already run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Name of the program in the object that is to be loaded.
    pub symbol: &'static str,
    /// Why it cannot be had here, if so. Then /proc is read instead.
    pub missing: Option<String>,
    /// What is less here than it could be, and why.
    pub remark: Option<String>,
}

/// Hook of the snapshot.
pub const SNAPSHOT_HOOK: &str = "iter/task";

/// When a sensor is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Always; without it there is no agent, as the process table would be wrong.
    Vital,
    /// Wherever it can be had.
    Useful,
    /// If one of its kinds is to be reported.
    Wanted,
}

/// A line of the table.
struct Sensor {
    program: Program,
    hook: &'static str,
    kinds: &'static [Kind],
    grade: &'static str,
    usage: Use,
    /// The twin for kernels without bpf_loop(), if the program walks paths.
    bounded: Option<&'static str>,
}

const SENSORS: &[Sensor] = &[
    Sensor {
        program: Program::Exec,
        hook: "tp_btf/sched_process_exec",
        kinds: &[Kind::Exec],
        grade: "kernel",
        usage: Use::Vital,
        bounded: Some("se_exec_bnd"),
    },
    // The only one that every system call pays for, some nanoseconds each: nobody gets it who does not want it.
    Sensor {
        program: Program::ExecFailed,
        hook: "tp_btf/sys_exit",
        kinds: &[Kind::ExecFailed],
        grade: "user",
        usage: Use::Wanted,
        bounded: Some("se_failed_bnd"),
    },
    Sensor {
        program: Program::Fork,
        hook: "tp_btf/sched_process_fork",
        kinds: &[Kind::Fork],
        grade: "kernel",
        usage: Use::Vital,
        bounded: None,
    },
    Sensor {
        program: Program::Exit,
        hook: "tp_btf/sched_process_exit",
        kinds: &[Kind::Exit],
        grade: "kernel",
        usage: Use::Vital,
        bounded: None,
    },
    Sensor {
        program: Program::CgroupMkdir,
        hook: "tp_btf/cgroup_mkdir",
        kinds: &[Kind::Cgroup],
        grade: "kernel",
        usage: Use::Useful,
        bounded: None,
    },
    Sensor {
        program: Program::CgroupRelease,
        hook: "tp_btf/cgroup_release",
        kinds: &[Kind::Cgroup],
        grade: "kernel",
        usage: Use::Useful,
        bounded: None,
    },
    Sensor {
        program: Program::CgroupRename,
        hook: "tp_btf/cgroup_rename",
        kinds: &[Kind::Cgroup],
        grade: "kernel",
        usage: Use::Useful,
        bounded: None,
    },
];

impl Sensor {
    /// The tracepoint that the hook names.
    fn tracepoint(&self) -> &'static str {
        self.hook.split_once('/').map_or(self.hook, |(_, tracepoint)| tracepoint)
    }

    fn is_used(&self, config: &Config) -> bool {
        self.usage != Use::Wanted || self.kinds.iter().any(|kind| config.kinds.contains(kind))
    }

    fn planned(&self, facts: &Facts) -> Planned {
        let deep = has_loop(facts);
        let symbol = self.bounded.filter(|_| !deep).unwrap_or_else(|| self.program.name());
        let missing = match &facts.btf {
            Ok(btf) if btf.tracepoints.contains(self.tracepoint()) => None,
            Ok(_) => Some(format!("this kernel has no tracepoint {}", self.tracepoint())),
            Err(reason) => Some(unknown(reason)),
        };
        let remark = self.bounded.and_then(|_| short_paths(facts)).filter(|_| missing.is_none());
        let Sensor { program, hook, kinds, grade, .. } = *self;
        Planned { program, symbol, hook, kinds, grade, missing, remark }
    }
}

/// What to load on this host.
///
/// # Errors
///
/// The first of the [`obstacles`].
pub fn plan(facts: &Facts, config: &Config) -> Result<Plan, Error> {
    match obstacles(facts).into_iter().next() {
        Some(obstacle) => Err(obstacle),
        None => Ok(Plan {
            programs: programs(facts, config),
            snapshot: snapshot(facts),
            deep_paths: has_loop(facts),
            raise_memlock: needs_memlock(facts),
        }),
    }
}

/// Everything that keeps the agent from running here. What the kernel lacks stands before what this process lacks,
/// since no privilege helps against it. What is not known is no obstacle: the attempt will tell.
pub fn obstacles(facts: &Facts) -> Vec<Error> {
    let mut found = Vec::new();
    if facts.release.is_before(OLDEST_KERNEL) {
        found.push(Error::KernelTooOld { release: facts.release.text.clone() });
    }
    match &facts.btf {
        Ok(btf) => found.extend(missing_tracepoints(btf)),
        // Stands with the privileges below.
        Err(BtfError::Refused(_)) => {}
        Err(error) => found.push(Error::NoBtf { reason: error.to_string() }),
    }
    if facts.lockdown == Lockdown::Confidentiality {
        found.push(Error::Lockdown);
    }
    found.extend(privilege_obstacles(facts));
    found
}

fn missing_tracepoints(btf: &Btf) -> impl Iterator<Item = Error> {
    let vital = SENSORS.iter().filter(|sensor| sensor.usage == Use::Vital);
    let absent = vital.filter(|sensor| !btf.tracepoints.contains(sensor.tracepoint()));
    absent.map(|sensor| Error::MissingTracepoint { program: sensor.program, tracepoint: sensor.tracepoint() })
}

fn privilege_obstacles(facts: &Facts) -> Vec<Error> {
    let mut found = Vec::new();
    if let Err(error @ BtfError::Refused(_)) = &facts.btf {
        found.push(Error::BtfRefused { reason: error.to_string() });
    }
    if facts.host_user_namespace == Ok(false) {
        // Whatever capabilities it shows, they are none on the host.
        found.push(Error::UserNamespace);
        return found;
    }
    let missing = missing_capabilities(facts);
    let has_all = missing.is_empty();
    if !has_all {
        found.push(Error::MissingCapabilities { missing, is_root: facts.euid == Ok(0) });
    }
    if let Some(limit_bytes) = fixed_memlock(facts) {
        found.push(Error::Memlock { limit_bytes });
    }
    // Without the capabilities older kernels refuse the call as well, and it would say nothing new.
    if let Err(reason) = &facts.bpf_call
        && has_all
    {
        let has_filter = facts.seccomp_filter == Ok(true);
        found.push(Error::BpfRefused { reason: reason.clone(), has_filter });
    }
    found
}

/// CAP_BPF loads, CAP_PERFMON traces; CAP_SYS_ADMIN stands in for both.
fn missing_capabilities(facts: &Facts) -> Vec<Capability> {
    match facts.capabilities {
        Ok(own) if !own.has(Capability::SysAdmin) => {
            [Capability::Bpf, Capability::Perfmon].into_iter().filter(|c| !own.has(*c)).collect()
        }
        _ => Vec::new(),
    }
}

/// True if maps are charged to a limit on locked memory here, and there is one.
fn needs_memlock(facts: &Facts) -> bool {
    let is_limited = facts.memlock.as_ref().map_or(true, |limit| limit.soft.is_some());
    facts.release.is_before(MAPS_NOT_LOCKED) && is_limited
}

/// The limit on locked memory, if it matters and this process cannot raise it. How much would be enough depends on the
/// number of CPUs and the kernel's version, so anything short of unlimited counts.
fn fixed_memlock(facts: &Facts) -> Option<u64> {
    let can_raise = facts.capabilities.as_ref().map_or(true, |own| own.has(Capability::SysResource));
    let hard = facts.memlock.as_ref().ok()?.hard?;
    (needs_memlock(facts) && !can_raise).then_some(hard)
}

/// The sensors that the configuration or the process table wants, whether they can be had or not.
pub fn programs(facts: &Facts, config: &Config) -> Vec<Planned> {
    SENSORS.iter().filter(|sensor| sensor.is_used(config)).map(|sensor| sensor.planned(facts)).collect()
}

/// How the processes are found that already run.
pub fn snapshot(facts: &Facts) -> Snapshot {
    let missing = match &facts.btf {
        Ok(btf) if btf.iterators.contains("task") => None,
        Ok(_) => Some("this kernel has no task iterator, so /proc is read instead".to_owned()),
        Err(reason) => Some(unknown(reason)),
    };
    Snapshot {
        symbol: if has_loop(facts) { "se_snapshot" } else { "se_snap_bnd" },
        remark: short_paths(facts).filter(|_| missing.is_none()),
        missing,
    }
}

fn has_loop(facts: &Facts) -> bool {
    facts.btf.as_ref().is_ok_and(|btf| btf.helpers.contains("loop"))
}

/// What is less without bpf_loop().
fn short_paths(facts: &Facts) -> Option<String> {
    let depth = se_limit::SE_DEPTH_BOUNDED.0;
    (!has_loop(facts)).then(|| {
        format!(
            "paths of more than {depth} components lose their head; bpf_loop() of Linux 5.17 would keep it"
        )
    })
}

fn unknown(reason: &BtfError) -> String {
    format!("whether it can be had is unknown: {reason}")
}
