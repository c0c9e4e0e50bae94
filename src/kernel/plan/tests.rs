//! Invented hosts, and what becomes of them.

use super::samples::{config, host};
use super::table::Use;
use super::*;
use crate::kernel::Hooks;
use crate::kernel::support::{Capabilities, Memlock, Release, btf};

const BPF: u64 = 1 << 39;
const PERFMON: u64 = 1 << 38;
const SYS_ADMIN: u64 = 1 << 21;
const SYS_RESOURCE: u64 = 1 << 24;

/// A host that differs from [`host`] in what `change` does.
fn host_with(change: impl FnOnce(&mut Facts)) -> Facts {
    let mut facts = host();
    change(&mut facts);
    facts
}

fn without(name: &'static str) -> impl FnOnce(&mut Facts) {
    move |facts| {
        let btf = facts.btf.as_mut().unwrap();
        assert!(btf.tracepoints.remove(name) || btf.helpers.remove(name) || btf.iterators.remove(name));
    }
}

fn planned(facts: &Facts, kinds: &[Kind]) -> Plan {
    plan(facts, &config(kinds)).unwrap()
}

fn programs_of(plan: &Plan) -> Vec<Program> {
    plan.programs.iter().map(|p| p.program).collect()
}

#[test]
fn a_host_of_today_gets_everything_at_its_best() {
    let plan = planned(&host(), Kind::ALL);
    for planned in &plan.programs {
        assert_eq!(planned.symbol, planned.program.name());
        assert_eq!(planned.missing, None, "{planned:?}");
    }
    for sensor in sensors().filter(|sensor| sensor.usage != Use::Beside) {
        // Another sensor may report the same kinds beside it.
        assert!(levels(&plan, sensor).contains(&sensor.rungs[0].level), "{:?}", sensor.kinds);
    }
    assert_eq!(plan.snapshot, Snapshot { symbol: "se_snapshot", missing: None, remark: None });
    assert!(plan.deep_paths && !plan.raise_memlock);
}

/// The levels of the programs that a plan has for a sensor, whether they can be had or not.
fn levels(plan: &Plan, sensor: &Sensor) -> Vec<Level> {
    let own = plan.programs.iter().filter(|p| p.kinds == sensor.kinds && !p.kinds.is_empty());
    let mut levels: Vec<_> = own.map(|p| p.level).collect();
    levels.dedup();
    levels
}

#[test]
fn what_the_process_table_needs_is_loaded_whatever_is_reported() {
    let plan = planned(&host(), &[]);
    let expected = [
        Program::Exec,
        Program::Fork,
        Program::Exit,
        Program::CgroupMkdir,
        Program::CgroupRelease,
        Program::CgroupRename,
    ];
    assert_eq!(programs_of(&plan), expected);
    assert!(plan.fallback.is_none());
}

#[test]
fn failed_execs_are_watched_only_if_wanted() {
    let has = |kinds: &[Kind]| programs_of(&planned(&host(), kinds)).contains(&Program::ExecFailed);
    assert!(has(&[Kind::ExecFailed]));
    assert!(!has(&[Kind::Exec, Kind::Fork, Kind::Exit]));
}

#[test]
fn an_optional_sensor_that_is_missing_says_so_and_stops_nothing() {
    for (tracepoint, kind) in
        [("sys_exit", Kind::ExecFailed), ("cgroup_mkdir", Kind::Cgroup), ("cgroup_rename", Kind::Cgroup)]
    {
        let plan = planned(&host_with(without(tracepoint)), PROCESS);
        for planned in &plan.programs {
            let expected = format!("this kernel has no tracepoint {tracepoint}");
            let missing = planned.kinds.contains(&kind).then_some(expected);
            assert_eq!(planned.missing, missing, "{planned:?}");
        }
    }
    let plan = planned(&host_with(without("task")), Kind::ALL);
    assert!(plan.snapshot.missing.unwrap().contains("/proc is read instead"));
}

const PROCESS: &[Kind] = &[Kind::Exec, Kind::ExecFailed, Kind::Fork, Kind::Exit, Kind::Cgroup];

/// Every answer that a host may give about hooks, with every way to force them, for every sensor: its first rung that
/// all agree on is taken, and what stands above it is explained; or it is missing, with the reason for each rung.
#[test]
fn the_best_rung_that_can_be_had_is_taken_and_the_others_have_reasons() {
    let no = || Err("no trampolines here".to_owned());
    let answers: [(bool, bool); 4] = [(true, true), (true, false), (false, true), (false, false)];
    for (trampolines, sys_exit) in answers {
        for hooks in [Hooks::Auto, Hooks::Trampoline, Hooks::Syscall] {
            let facts = host_with(|facts| {
                facts.trampolines = if trampolines { Ok(()) } else { no() };
                if !sys_exit {
                    without("sys_exit")(facts);
                }
            });
            let config = Config { hooks, ..config(Kind::ALL) };
            let plan = plan(&facts, &config).unwrap();
            for sensor in sensors() {
                let can = |entry: &Entry| match entry.attach {
                    Attach::Trampoline(..) => trampolines && hooks != Hooks::Syscall,
                    Attach::Calls(..) => sys_exit && hooks != Hooks::Trampoline,
                    _ => true,
                };
                // Programs of sensors that report the same kinds cannot be told apart here.
                if sensors().filter(|other| other.kinds == sensor.kinds).count() > 1 {
                    continue;
                }
                let at = sensor.rungs.iter().position(|rung| rung.entries.iter().all(can));
                let own: Vec<_> = plan.programs.iter().filter(|p| p.kinds == sensor.kinds).collect();
                // What stands beside calls is there for them alone.
                if sensor.usage == Use::Beside && !programs_of(&plan).contains(&Program::SysExit) {
                    assert!(own.is_empty(), "{own:#?}");
                    continue;
                }
                match at {
                    Some(at) => {
                        let level = sensor.rungs[at].level;
                        assert!(levels(&plan, sensor).contains(&level));
                        let mut own = own.iter().filter(|p| p.level == level);
                        assert!(own.any(|p| p.missing.is_none() && (p.remark.is_some() || at == 0)));
                    }
                    None => {
                        let reasons = own[0].missing.as_ref().unwrap().split("; ").count();
                        assert_eq!(reasons, sensor.rungs.len(), "{:?}", own[0].missing);
                    }
                }
                for planned in own {
                    let text = planned.missing.iter().chain(&planned.remark).cloned().collect::<String>();
                    let above = at.unwrap_or(sensor.rungs.len());
                    let mut skipped = sensor.rungs[..above].iter();
                    // A rung may also want for the calls that it needs beside its trampolines.
                    let can_have = trampolines && hooks == Hooks::Auto;
                    if hooks != Hooks::Trampoline
                        && !can_have
                        && skipped.any(|rung| rung.level == Level::Trampoline)
                    {
                        let expected = if hooks == Hooks::Syscall {
                            "hooks = \"syscall\""
                        } else {
                            "no trampolines here"
                        };
                        assert!(text.contains(expected), "{text}");
                    }
                }
            }
            let has_dispatcher = programs_of(&plan).contains(&Program::SysExit);
            let is_called =
                plan.programs.iter().any(|p| matches!(p.attach, Attach::Calls(..)) && p.missing.is_none());
            assert_eq!(has_dispatcher, is_called);
        }
    }
}

#[test]
fn a_plan_with_trampolines_has_one_without() {
    let config = config(&[Kind::FileOpen, Kind::Credentials]);
    let plan = plan(&host(), &config).unwrap();
    assert!(plan.has_trampolines());
    let fallback = plan.fallback.unwrap();
    assert!(!fallback.has_trampolines() && fallback.fallback.is_none());
    let open = fallback.programs.iter().find(|p| p.kinds.contains(&Kind::FileOpen)).unwrap();
    assert_eq!((open.level, open.missing.is_none()), (Level::Syscall, true));
    assert!(open.remark.as_ref().unwrap().contains("refused to load"));
    let forced =
        super::plan(&host(), &Config { hooks: Hooks::Trampoline, ..config }).unwrap().fallback.unwrap();
    let open = forced.programs.iter().find(|p| p.kinds.contains(&Kind::FileOpen)).unwrap();
    let missing = open.missing.as_ref().unwrap();
    assert!(missing.contains("refused to load") && missing.contains("hooks = \"trampoline\""), "{missing}");
}

#[test]
fn a_function_that_is_gone_or_has_changed_is_no_target() {
    let reason = |change: fn(&mut BTreeMap<String, u32>)| {
        let facts = host_with(|facts| change(&mut facts.btf.as_mut().unwrap().functions));
        let plan = planned(&facts, &[Kind::FileDelete, Kind::FileLink]);
        let of = |kind| plan.programs.iter().find(|p| p.kinds.contains(&kind)).unwrap().clone();
        // The other sensor does not mind.
        assert_eq!((of(Kind::FileLink).level, of(Kind::FileLink).missing), (Level::Trampoline, None));
        let delete = of(Kind::FileDelete);
        delete.missing.or(delete.remark).unwrap()
    };
    let gone = reason(|functions| assert!(functions.remove("vfs_unlink").is_some()));
    assert!(gone.contains("this kernel has no function vfs_unlink() that"), "{gone}");
    let changed = reason(|functions| assert!(functions.insert("vfs_unlink".into(), 7).is_some()));
    assert!(changed.contains("vfs_unlink() takes 7 arguments"), "{changed}");
}

#[test]
fn trampolines_are_tried_only_where_they_may_be_used() {
    let wants = |hooks, kinds| wants_trampolines(&Config { hooks, ..config(kinds) });
    assert!(wants(Hooks::Auto, &[Kind::FileOpen]) && wants(Hooks::Trampoline, &[Kind::FileOpen]));
    assert!(!wants(Hooks::Syscall, &[Kind::FileOpen]));
    assert!(!wants(Hooks::Auto, &[Kind::Exec]) && !wants(Hooks::Auto, &[]));
}

#[test]
fn every_trampoline_goes_on_a_function_that_is_looked_for() {
    let mut looked_for = Vec::new();
    for entry in sensors().flat_map(|s| s.rungs).flat_map(|rung| rung.entries) {
        if let Attach::Trampoline(function, arguments) = entry.attach {
            assert!(btf::TARGETS.contains(&function), "{function}");
            assert!(entry.hook.ends_with(&format!("/{function}")), "{}", entry.hook);
            assert!(arguments.is_sorted() && !arguments.is_empty());
            looked_for.push(function);
        }
    }
    for target in btf::TARGETS {
        assert!(looked_for.contains(target), "{target} is used by nobody");
    }
}

#[test]
fn without_loops_the_bounded_twins_are_loaded() {
    let plan = planned(&host_with(without("loop")), Kind::ALL);
    assert!(!plan.deep_paths);
    let symbols: Vec<_> = plan.programs.iter().map(|p| p.symbol).collect();
    assert_eq!(symbols[..4], ["se_exec_bnd", "se_failed_bnd", "se_fork", "se_exit"]);
    assert!(symbols.contains(&"se_t_open_bnd") && symbols.contains(&"se_t_open_in"));
    assert_eq!(plan.snapshot.symbol, "se_snap_bnd");
    for planned in &plan.programs {
        assert_eq!(planned.remark.is_some(), planned.symbol.ends_with("_bnd"), "{planned:?}");
    }
    assert!(plan.programs[0].remark.as_ref().unwrap().contains("more than 128 components"));
}

#[test]
fn locked_memory_matters_before_5_11_only() {
    let limits = |soft, hard| Ok(Memlock { soft, hard });
    let old = |memlock, capabilities| {
        host_with(|facts| {
            facts.release = Release::parse("5.10.0-46-amd64");
            facts.memlock = memlock;
            facts.capabilities = Ok(Capabilities(capabilities));
        })
    };
    let raises = |facts: &Facts| plan(facts, &config(&[])).map(|plan| plan.raise_memlock);
    assert_eq!(raises(&old(limits(Some(65536), Some(65536)), u64::MAX)), Ok(true));
    assert_eq!(raises(&old(limits(Some(65536), None), BPF | PERFMON)), Ok(true));
    assert_eq!(raises(&old(limits(None, None), BPF | PERFMON)), Ok(false));
    assert_eq!(raises(&old(limits(Some(1), Some(65536)), BPF | PERFMON | SYS_RESOURCE)), Ok(true));
    let refused = Err(Error::Memlock { limit_bytes: 65536 });
    assert_eq!(raises(&old(limits(Some(1), Some(65536)), BPF | PERFMON)), refused);
    assert_eq!(raises(&old(limits(Some(1), Some(65536)), SYS_ADMIN)), refused);

    let newer = |facts: &mut Facts| {
        facts.release = Release::parse("5.11.0");
        facts.capabilities = Ok(Capabilities(BPF | PERFMON));
    };
    assert_eq!(raises(&host_with(newer)), Ok(false));
}

/// Every obstacle alone: the change to the host, the error, whether it is one of privilege, words that the line must
/// contain.
#[test]
fn every_obstacle_has_its_error_and_its_remedy() {
    type Case = (fn(&mut Facts), Error, bool, &'static [&'static str]);
    let cases: &[Case] = &[
        (
            |facts| facts.release = Release::parse("5.4.0-200-generic"),
            Error::KernelTooOld { release: "5.4.0-200-generic".into() },
            false,
            &["Linux 5.4.0-200-generic", "5.8 or newer"],
        ),
        (
            |facts| facts.btf = Err(BtfError::Absent),
            Error::NoBtf { reason: "there is no /sys/kernel/btf/vmlinux".into() },
            false,
            &["CONFIG_DEBUG_INFO_BTF=y", "/sys/kernel/btf/vmlinux"],
        ),
        (
            |facts| facts.btf = Err(BtfError::Malformed("cut".into())),
            Error::NoBtf { reason: "cannot parse /sys/kernel/btf/vmlinux: cut".into() },
            false,
            &["cut"],
        ),
        (
            without_fork,
            Error::MissingTracepoint { program: Program::Fork, tracepoint: "sched_process_fork" },
            false,
            &["sched_process_fork", "se_fork"],
        ),
        (|facts| facts.lockdown = Lockdown::Confidentiality, Error::Lockdown, false, &["lockdown=integrity"]),
        (
            |facts| facts.btf = Err(BtfError::Refused("Permission denied".into())),
            Error::BtfRefused { reason: "cannot open /sys/kernel/btf/vmlinux: Permission denied".into() },
            true,
            &["run as root"],
        ),
        (|facts| facts.host_user_namespace = Ok(false), Error::UserNamespace, true, &["rootless"]),
        (
            |facts| {
                facts.capabilities = Ok(Capabilities(0));
                facts.euid = Ok(1000);
                facts.bpf_call = Err("EPERM".into());
            },
            Error::MissingCapabilities {
                missing: vec![Capability::Bpf, Capability::Perfmon],
                is_root: false,
            },
            true,
            &[
                "CAP_BPF and CAP_PERFMON are missing; run as root, or grant them: ",
                "AmbientCapabilities=",
                "--cap-add=",
            ],
        ),
        (
            |facts| facts.capabilities = Ok(Capabilities(BPF | SYS_RESOURCE)),
            Error::MissingCapabilities { missing: vec![Capability::Perfmon], is_root: true },
            true,
            &["CAP_PERFMON is missing, though this is root; grant it: "],
        ),
        (
            |facts| {
                facts.bpf_call = Err("EPERM: Operation not permitted".into());
                facts.seccomp_filter = Ok(true);
            },
            Error::BpfRefused { reason: "EPERM: Operation not permitted".into(), has_filter: true },
            true,
            &["seccomp", "EPERM"],
        ),
        (
            |facts| facts.bpf_call = Err("EACCES".into()),
            Error::BpfRefused { reason: "EACCES".into(), has_filter: false },
            true,
            &["security module", "audit log"],
        ),
    ];
    for (change, expected, is_privilege, words) in cases {
        let facts = host_with(change);
        assert_eq!(obstacles(&facts), std::slice::from_ref(expected));
        let error = plan(&facts, &config(Kind::ALL)).unwrap_err();
        assert_eq!(error, *expected);
        assert_eq!((error.is_privilege(), error.is_support()), (*is_privilege, !is_privilege), "{error}");
        let line = error.to_string();
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
        assert_eq!(line.split_once("; "), Some((error.missing().as_str(), error.remedy().as_str())));
    }
}

fn without_fork(facts: &mut Facts) {
    without("sched_process_fork")(facts);
}

#[test]
fn what_the_kernel_lacks_goes_before_what_the_process_lacks() {
    let facts = host_with(|facts| {
        facts.release = Release::parse("5.4.0");
        facts.btf = Err(BtfError::Absent);
        facts.capabilities = Ok(Capabilities(0));
    });
    let found = obstacles(&facts);
    let privileges: Vec<_> = found.iter().map(Error::is_privilege).collect();
    assert_eq!(privileges, [false, false, true, true], "{found:?}");
    assert!(programs(&facts, &config(&[])).iter().all(|p| p.missing.is_some()));
}

#[test]
fn enough_is_enough() {
    for capabilities in [BPF | PERFMON, SYS_ADMIN, u64::MAX] {
        let facts = host_with(|facts| facts.capabilities = Ok(Capabilities(capabilities)));
        assert_eq!(obstacles(&facts), []);
    }
    let integrity = host_with(|facts| facts.lockdown = Lockdown::Integrity);
    assert_eq!(obstacles(&integrity), []);
}

#[test]
fn what_is_unknown_is_no_obstacle() {
    let facts = host_with(|facts| {
        let unknown = || "unreadable".to_owned();
        facts.release = Release::parse("");
        facts.capabilities = Err(unknown());
        facts.host_user_namespace = Err(unknown());
        facts.memlock = Err(unknown());
        facts.lockdown = Lockdown::Unknown(unknown());
    });
    assert_eq!(obstacles(&facts), []);
}

#[test]
fn the_table_covers_every_program() {
    let entries = || sensors().flat_map(|s| s.rungs).flat_map(|r| r.entries);
    for program in Program::ALL.iter().filter(|program| **program != Program::SysExit) {
        assert!(entries().any(|entry| entry.program == *program), "{}", program.name());
    }
    for kind in Kind::ALL.iter().filter(|kind| **kind != Kind::Snapshot) {
        assert!(sensors().any(|sensor| sensor.kinds.contains(kind)), "{kind}");
    }
}
