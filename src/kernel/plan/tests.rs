//! Invented hosts, and what becomes of them.

use super::samples::{config, host};
use super::*;
use crate::kernel::support::{Capabilities, Memlock, Release};

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
    assert_eq!(programs_of(&plan), Program::ALL);
    for planned in &plan.programs {
        assert_eq!(planned.symbol, planned.program.name());
        assert_eq!((&planned.missing, &planned.remark), (&None, &None));
    }
    assert_eq!(plan.snapshot, Snapshot { symbol: "se_snapshot", missing: None, remark: None });
    assert!(plan.deep_paths && !plan.raise_memlock);
}

#[test]
fn what_the_process_table_needs_is_loaded_whatever_is_reported() {
    let plan = planned(&host(), &[]);
    let expected: Vec<_> = Program::ALL.iter().copied().filter(|p| *p != Program::ExecFailed).collect();
    assert_eq!(programs_of(&plan), expected);
}

#[test]
fn failed_execs_are_watched_only_if_wanted() {
    let has = |kinds: &[Kind]| programs_of(&planned(&host(), kinds)).contains(&Program::ExecFailed);
    assert!(has(&[Kind::ExecFailed]));
    assert!(!has(&[Kind::Exec, Kind::Fork, Kind::Exit]));
}

#[test]
fn an_optional_sensor_that_is_missing_says_so_and_stops_nothing() {
    for (tracepoint, program) in [
        ("sys_exit", Program::ExecFailed),
        ("cgroup_mkdir", Program::CgroupMkdir),
        ("cgroup_rename", Program::CgroupRename),
    ] {
        let plan = planned(&host_with(without(tracepoint)), Kind::ALL);
        for planned in &plan.programs {
            assert_eq!(planned.missing.is_some(), planned.program == program, "{planned:?}");
        }
        let reason = plan.programs.iter().find_map(|p| p.missing.clone()).unwrap();
        assert_eq!(reason, format!("this kernel has no tracepoint {tracepoint}"));
    }
    let plan = planned(&host_with(without("task")), Kind::ALL);
    assert!(plan.snapshot.missing.unwrap().contains("/proc is read instead"));
}

#[test]
fn without_loops_the_bounded_twins_are_loaded() {
    let plan = planned(&host_with(without("loop")), Kind::ALL);
    assert!(!plan.deep_paths);
    let symbols: Vec<_> = plan.programs.iter().map(|p| p.symbol).collect();
    assert_eq!(symbols[..4], ["se_exec_bnd", "se_failed_bnd", "se_fork", "se_exit"]);
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
fn the_table_covers_every_program_and_kind_once() {
    let programs: Vec<_> = SENSORS.iter().map(|s| s.program).collect();
    assert_eq!(programs, Program::ALL);
    for kind in Kind::ALL {
        let has_sensor = SENSORS.iter().any(|s| s.kinds.contains(kind));
        assert_eq!(has_sensor, *kind != Kind::Snapshot, "{kind}");
    }
    for sensor in SENSORS {
        assert!(sensor.hook.starts_with("tp_btf/"), "{}", sensor.hook);
    }
}
