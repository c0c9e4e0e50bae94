//! Which program goes on which hook: facts about the host and the configuration in, a plan or the obstacle out.
//!
//! Pure: the facts come from [`support`](super::support), loading is the loader's. One table of sensors drives
//! everything; `doctor`, /health and the metrics show what came out of it.
//!
//! 1. [`obstacles`] lists what keeps the agent from running at all, each with its remedy.
//! 2. [`programs`] goes through the sensors: those the configuration or the process table wants, each with its hook,
//!    and with the reason if it cannot be had or only with less.
//! 3. [`plan`] is both: the first obstacle, or what to load. If that has trampolines it comes with a plan without them,
//!    since one program that the verifier refuses fails a whole load.
//!
//! Hooks are BTF tracepoints, control group hooks and trampolines, see [`table`]. They need no tracefs and no perf
//! events, which hosts like to restrict, and attach with CAP_BPF and CAP_PERFMON alone. What BTF promises the verifier
//! may still refuse; that is an error of the loader.

pub mod calls;
mod error;
mod refused;
#[cfg(test)]
pub(crate) mod samples;
mod table;
#[cfg(test)]
mod tests;

pub use calls::Routes;
pub use error::Error;
pub use table::{Attach, Level};

use table::{Entry, Rung, Sensor, Use, sensors};

use std::collections::BTreeMap;

use super::Config;
use super::abi::types::se_limit;
use super::support::{Btf, BtfError, Capability, Facts, Lockdown};
use crate::event::Kind;
use crate::metrics::label::Program;

/// The first kernel with everything that cannot be done without: ring buffers, CAP_BPF and the task iterator.
pub const OLDEST_KERNEL: (u32, u32) = (5, 8);

/// The first kernel that charges maps to the memory cgroup and not to the limit on locked memory.
pub const MAPS_NOT_LOCKED: (u32, u32) = (5, 11);

/// The first kernel that runs programs on tracepoints with preemption on: it guards them by SRCU.
const PREEMPTIBLE: (u32, u32) = (7, 0);

/// What to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The programs, in the order of the table of sensors; the one on the return of system calls last.
    pub programs: Vec<Planned>,
    /// How the processes are found that already run.
    pub snapshot: Snapshot,
    /// Whether paths are walked by bpf_loop(), in depth as good as unlimited. Else the programs whose symbols end in
    /// `_bnd` are loaded.
    pub deep_paths: bool,
    /// Whether the limit on locked memory must be raised before maps are made.
    pub raise_memlock: bool,
    /// Where the control group hooks go, if there are any.
    pub cgroup2: Option<String>,
    /// How many arguments functions take on which trampolines go.
    pub arguments: BTreeMap<String, u32>,
    /// Programs on tracepoints can be preempted, and must forbid it themselves.
    pub preemptible: bool,
    /// What to load if the kernel refuses this plan: the same without trampolines. None if there are none.
    pub fallback: Option<Box<Plan>>,
}

impl Plan {
    /// The programs of the network that the others can rely on, bits of `enum se_net_part`.
    pub fn net_parts(&self) -> u32 {
        table::net_parts(&self.programs)
    }

    /// Whether there is a program on a kernel function or on a hook of the security modules.
    pub fn has_trampolines(&self) -> bool {
        self.programs.iter().any(|planned| planned.missing.is_none() && planned.attach.is_trampoline())
    }

    /// The kinds that are taken from the return of system calls, of those that `config` wants.
    pub fn called(&self, config: &Config) -> Vec<Kind> {
        called(&self.programs, config)
    }

    /// The calls that the program on the return of system calls goes on with.
    pub fn routes(&self) -> Routes {
        let present = self.programs.iter().filter(|planned| planned.missing.is_none());
        Routes::new(present.flat_map(|planned| match planned.attach {
            Attach::Calls(calls, results) => calls.iter().map(|call| (*call, results)).collect(),
            _ => Vec::new(),
        }))
    }
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
    /// How high on the ladder it stands.
    pub level: Level,
    /// How it gets to run.
    pub attach: Attach,
    /// Why it cannot be had here, if so. Then it is not loaded.
    pub missing: Option<String>,
    /// It could be had by the plan, and attaching failed.
    pub has_failed: bool,
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

impl Sensor {
    /// `called`: kinds that are taken from the return of system calls.
    fn is_used(&self, config: &Config, called: &[Kind]) -> bool {
        match self.usage {
            Use::Vital | Use::Useful => true,
            Use::Wanted => self.kinds.iter().any(|kind| config.kinds.contains(kind)),
            Use::Beside => self.kinds.iter().any(|kind| called.contains(kind)),
        }
    }

    /// The programs of the first rung that can be had, or those of the last one with the reason.
    fn planned(&self, facts: &Facts, config: &Config) -> Vec<Planned> {
        let mut reasons = Vec::new();
        for rung in self.rungs {
            match obstacle(rung, facts, config) {
                None => {
                    return rung
                        .entries
                        .iter()
                        .map(|entry| self.entry(rung, entry, None, &reasons, facts))
                        .collect();
                }
                Some(reason) => reasons.push(reason),
            }
        }
        let missing = reasons.join("; ");
        let last = self.rungs.last().into_iter();
        last.flat_map(|rung| {
            rung.entries.iter().map(|entry| self.entry(rung, entry, Some(missing.clone()), &[], facts))
        })
        .collect()
    }

    /// `higher`: why the rungs above this one cannot be had.
    fn entry(
        &self,
        rung: &Rung,
        entry: &Entry,
        missing: Option<String>,
        higher: &[String],
        facts: &Facts,
    ) -> Planned {
        let Entry { program, attach, hook, grade, bounded, remark } = *entry;
        let symbol = bounded.filter(|_| !has_loop(facts)).unwrap_or_else(|| program.name());
        let short = bounded.and_then(|_| short_paths(facts));
        let remarks: Vec<String> =
            higher.iter().cloned().chain(remark.map(str::to_owned)).chain(short).collect();
        let remark = (missing.is_none() && !remarks.is_empty()).then(|| remarks.join("; "));
        Planned {
            program,
            symbol,
            hook,
            kinds: self.kinds,
            grade,
            level: rung.level,
            attach,
            missing,
            has_failed: false,
            remark,
        }
    }
}

/// Why a rung cannot be had.
fn obstacle(rung: &Rung, facts: &Facts, config: &Config) -> Option<String> {
    if !config.hooks.allows(rung.level) {
        return Some(format!("[ebpf] hooks = \"{}\" rules out its hooks", config.hooks.name()));
    }
    let is_ruled_out =
        |entry: &Entry| matches!(entry.attach, Attach::Calls(..)) && !config.hooks.allows(Level::Syscall);
    if rung.entries.iter().any(is_ruled_out) {
        return Some(format!(
            "[ebpf] hooks = \"{}\" rules out the return of system calls",
            config.hooks.name()
        ));
    }
    rung.entries.iter().find_map(|entry| obstacle_of(&entry.attach, facts))
}

fn obstacle_of(attach: &Attach, facts: &Facts) -> Option<String> {
    let tracepoint = |name: &str| match &facts.btf {
        Ok(btf) if btf.tracepoints.contains(name) => None,
        Ok(_) => Some(format!("this kernel has no tracepoint {name}")),
        Err(reason) => Some(unknown(reason)),
    };
    match attach {
        Attach::Tracepoint(name) => tracepoint(name),
        Attach::TracepointOf(name, wanted) => tracepoint(name).or_else(|| {
            let found = facts.btf.as_ref().ok()?.arguments.get(*name)?;
            (found != wanted).then(|| format!("tracepoint {name} has {found} arguments here, not {wanted}"))
        }),
        Attach::Calls(..) => tracepoint("sys_exit"),
        Attach::Cgroup => facts.cgroup2.as_ref().err().cloned(),
        Attach::Trampoline(function, arguments) => {
            facts.trampolines.as_ref().err().cloned().or_else(|| missing_function(function, arguments, facts))
        }
        Attach::Lsm(_) => facts.bpf_lsm.as_ref().err().cloned(),
    }
}

fn missing_function(function: &str, arguments: &[u32], facts: &Facts) -> Option<String> {
    let btf = match &facts.btf {
        Ok(btf) => btf,
        Err(reason) => return Some(unknown(reason)),
    };
    match btf.functions.get(function) {
        Some(number) if arguments.contains(number) => None,
        Some(number) => Some(format!("this kernel's {function}() takes {number} arguments, not those known")),
        None => Some(format!("this kernel has no function {function}() that a trampoline can go on")),
    }
}

/// Whether a trampoline may be used, so that finding out whether they work is worth its while.
pub fn wants_trampolines(config: &Config) -> bool {
    let used = sensors().filter(|sensor| sensor.is_used(config, &[]));
    let mut rungs = used.flat_map(|sensor| sensor.rungs);
    config.hooks.allows(Level::Trampoline) && rungs.any(|rung| rung.level == Level::Trampoline)
}

/// Whether a program belongs to a sensor that is used, on whatever rung.
pub fn is_candidate(program: Program, config: &Config) -> bool {
    let mut used = sensors().filter(|sensor| sensor.is_used(config, sensor.kinds));
    used.any(|s| s.rungs.iter().flat_map(|rung| rung.entries).any(|entry| entry.program == program))
}

/// What to load on this host.
///
/// # Errors
///
/// The first of the [`obstacles`].
pub fn plan(facts: &Facts, config: &Config) -> Result<Plan, Error> {
    match obstacles(facts).into_iter().next() {
        Some(obstacle) => Err(obstacle),
        None => {
            let mut plan = ladder(facts, config);
            if plan.has_trampolines() {
                let refused = Facts {
                    trampolines: Err(REFUSED.to_owned()),
                    bpf_lsm: Err(REFUSED.to_owned()),
                    ..facts.clone()
                };
                plan.fallback = Some(Box::new(ladder(&refused, config)));
            }
            Ok(plan)
        }
    }
}

/// Why the fallback has no trampolines.
const REFUSED: &str =
    "this kernel refused to load a program that goes on a trampoline; the log of the start says which";

fn ladder(facts: &Facts, config: &Config) -> Plan {
    Plan {
        programs: programs(facts, config),
        snapshot: snapshot(facts),
        deep_paths: has_loop(facts),
        raise_memlock: needs_memlock(facts),
        cgroup2: facts.cgroup2.clone().ok(),
        arguments: facts.btf.as_ref().map(|btf| btf.functions.clone()).unwrap_or_default(),
        preemptible: !facts.release.is_before(PREEMPTIBLE),
        fallback: None,
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
    let vital = sensors().filter(|sensor| sensor.usage == Use::Vital);
    let entries = vital.flat_map(|sensor| sensor.rungs).flat_map(|rung| rung.entries);
    entries.filter_map(|entry| match entry.attach {
        Attach::Tracepoint(tracepoint) if !btf.tracepoints.contains(tracepoint) => {
            Some(Error::MissingTracepoint { program: entry.program, tracepoint })
        }
        _ => None,
    })
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

/// The programs of the sensors that the configuration or the process table wants, whether they can be had or not. The
/// one on the return of system calls comes last, if any needs it.
pub fn programs(facts: &Facts, config: &Config) -> Vec<Planned> {
    let mut programs: Vec<Planned> = Vec::new();
    let add = |called: &[Kind], is_beside: bool, programs: &mut Vec<Planned>| {
        let all = sensors().filter(|sensor| (sensor.usage == Use::Beside) == is_beside);
        let used = all.filter(|sensor| sensor.is_used(config, called));
        for planned in used.flat_map(|sensor| sensor.planned(facts, config)) {
            // Two sensors may share a program.
            let is_there =
                |other: &Planned| (other.program, &other.missing) == (planned.program, &planned.missing);
            if !programs.iter().any(is_there) {
                programs.push(planned);
            }
        }
    };
    add(&[], false, &mut programs);
    let called = called(&programs, config);
    add(&called, true, &mut programs);
    if !called.is_empty() {
        programs.push(Planned {
            program: Program::SysExit,
            symbol: Program::SysExit.name(),
            hook: "tp_btf/sys_exit",
            kinds: &[],
            grade: "kernel",
            level: Level::Syscall,
            attach: Attach::Tracepoint("sys_exit"),
            missing: None,
            has_failed: false,
            remark: None,
        });
    }
    programs
}

/// The kinds that are wanted and taken from the return of system calls.
fn called(programs: &[Planned], config: &Config) -> Vec<Kind> {
    let is_called =
        |planned: &&Planned| matches!(planned.attach, Attach::Calls(..)) && planned.missing.is_none();
    let kinds = programs.iter().filter(is_called).flat_map(|planned| planned.kinds);
    kinds.copied().filter(|kind| config.kinds.contains(kind)).collect()
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
