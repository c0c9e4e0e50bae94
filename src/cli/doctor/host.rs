//! The lines of `doctor` about the host: kernel, privileges, mounts; those about the sensors are from [`sensors`].
//!
//! Judges nothing by itself: a line fails if [`plan::obstacles`] has something against it, so that `doctor` and the
//! start of the agent never disagree. It warns where the agent runs with less than it could have.

use super::{Line, Verdict, sensors};
use crate::cli::exit::Exit;
use crate::kernel;
use crate::kernel::plan::{self, Error};
use crate::kernel::support::{Capabilities, Capability, Facts};

/// One line a thing, in the order in which one depends on the other.
pub fn lines(facts: &Facts, config: &kernel::Config) -> Vec<Line> {
    let obstacles = plan::obstacles(facts);
    let against = |is_it: fn(&Error) -> bool| obstacles.iter().find(|obstacle| is_it(obstacle));
    let unless = |is_it: fn(&Error) -> bool, line: Line| match against(is_it) {
        Some(error) => fail(&line.name, error),
        None => line,
    };
    let mut lines = vec![
        unless(|e| matches!(e, Error::KernelTooOld { .. }), release(facts)),
        unless(|e| matches!(e, Error::NoBtf { .. } | Error::BtfRefused { .. }), btf(facts)),
        unless(|e| matches!(e, Error::Lockdown), ok("lockdown", facts.lockdown.to_string())),
        unless(|e| matches!(e, Error::UserNamespace), namespaces(facts)),
    ];
    // Those of another user namespace would look like real ones.
    if against(|e| matches!(e, Error::UserNamespace)).is_none() {
        lines.push(unless(|e| matches!(e, Error::MissingCapabilities { .. }), capabilities(facts)));
    }
    match against(|e| matches!(e, Error::BpfRefused { .. })) {
        Some(error) => lines.push(fail("bpf()", error)),
        None if facts.bpf_call.is_ok() => {
            lines.push(ok("bpf()", "no filter or security module refuses it".into()))
        }
        // Refused for a reason that stands above.
        None => {}
    }
    lines.extend([
        unless(|e| matches!(e, Error::Memlock { .. }), memlock(facts)),
        jit(facts),
        unprivileged_bpf(facts),
        cgroup2(facts),
        tracefs(facts),
        trampolines(facts),
        security_modules(facts),
    ]);
    lines.extend(sensors::lines(facts, config, &obstacles));
    lines
}

fn release(facts: &Facts) -> Line {
    match facts.release.version {
        Some(_) => ok("kernel", format!("Linux {} on {}", facts.release.text, facts.machine)),
        None => warn("kernel", format!("unknown version {:?}", facts.release.text), None),
    }
}

fn btf(facts: &Facts) -> Line {
    let detail = match &facts.btf {
        Ok(btf) => format!("/sys/kernel/btf/vmlinux, knows {} tracepoints", btf.tracepoints.len()),
        Err(error) => error.to_string(),
    };
    ok("BTF", detail)
}

fn namespaces(facts: &Facts) -> Line {
    match &facts.host_pid_namespace {
        Ok(true) => ok("namespaces", "user and pid namespace of the host".into()),
        Ok(false) => warn(
            "namespaces",
            "in a pid namespace of its own: processes outside that already run stay unknown until they exec"
                .into(),
            Some("start the container with --pid=host"),
        ),
        Err(reason) => ok("namespaces", format!("unknown: {reason}")),
    }
}

/// What is amiss without a capability that loading does not take.
const STRANGERS: &str = "what /proc keeps from strangers stays unknown of processes that already run";
const USED: [(Capability, &str); 3] = [
    (Capability::NetAdmin, "hooks of control groups cannot be attached, which network classes stand on"),
    (Capability::SysPtrace, STRANGERS),
    (Capability::DacReadSearch, STRANGERS),
];

/// Those that loading takes, those of the network's hooks, and those that looking into other users' processes takes.
fn capabilities(facts: &Facts) -> Line {
    let own = match &facts.capabilities {
        Ok(own) => *own,
        Err(reason) => return ok("capabilities", format!("unknown: {reason}")),
    };
    // CAP_SYS_ADMIN stands in for CAP_NET_ADMIN where programs are attached (`bpf_net_capable`).
    let has = |capability| {
        own.has(capability) || capability == Capability::NetAdmin && own.has(Capability::SysAdmin)
    };
    let missing: Vec<_> = USED.into_iter().filter(|(capability, _)| !has(*capability)).collect();
    if missing.is_empty() {
        let used =
            USED.into_iter().map(|(capability, _)| capability).filter(|capability| own.has(*capability));
        let used = [loading(own), used.map(Capability::name).collect()].concat();
        return ok("capabilities", used.join(", "));
    }
    let names = missing.iter().map(|(capability, _)| capability.name()).collect::<Vec<_>>().join(" and ");
    let mut effects: Vec<&str> = missing.iter().map(|(_, effect)| *effect).collect();
    effects.dedup();
    warn(
        "capabilities",
        format!("{}, without {names}: {}", loading(own).join(", "), effects.join("; ")),
        Some(&format!("grant {names} as well")),
    )
}

fn loading(own: Capabilities) -> Vec<&'static str> {
    let narrow = [Capability::Bpf, Capability::Perfmon];
    let enough: &[Capability] =
        if narrow.iter().all(|c| own.has(*c)) { &narrow } else { &[Capability::SysAdmin] };
    enough.iter().copied().map(Capability::name).collect()
}

fn memlock(facts: &Facts) -> Line {
    let limit = match &facts.memlock {
        Ok(limit) => limit,
        Err(reason) => return ok("locked memory", format!("unknown: {reason}")),
    };
    let bytes = limit.soft.map_or_else(|| "no limit".to_owned(), |bytes| format!("limit of {bytes} bytes"));
    let detail = if !facts.release.is_before(plan::MAPS_NOT_LOCKED) {
        format!("{bytes}, which does not matter: maps have not counted since Linux 5.11")
    } else if limit.soft.is_some() {
        format!("{bytes}, which the agent raises: maps count before Linux 5.11")
    } else {
        bytes
    };
    ok("locked memory", detail)
}

fn jit(facts: &Facts) -> Line {
    match facts.jit {
        Ok(0) => warn(
            "JIT",
            "off: programs are interpreted and cost several times as much".into(),
            Some("sysctl net.core.bpf_jit_enable=1"),
        ),
        Ok(_) => ok("JIT", "on".into()),
        Err(_) => ok("JIT", "unknown: only the host's network namespace shows it".into()),
    }
}

fn unprivileged_bpf(facts: &Facts) -> Line {
    match facts.unprivileged_bpf_disabled {
        Ok(0) => warn(
            "unprivileged eBPF",
            "open: any user may load programs, which has been a way into the kernel".into(),
            Some("sysctl kernel.unprivileged_bpf_disabled=1"),
        ),
        Ok(_) => ok("unprivileged eBPF", "closed".into()),
        Err(ref reason) => ok("unprivileged eBPF", format!("unknown: {reason}")),
    }
}

fn cgroup2(facts: &Facts) -> Line {
    match &facts.cgroup2 {
        Ok(point) => ok("cgroup v2", point.clone()),
        Err(reason) => warn(
            "cgroup v2",
            format!(
                "{reason}: containers that run before the agent are known by their v1 groups, if they have any"
            ),
            Some(
                "mount it: mount -t cgroup2 cgroup2 DIRECTORY; in a container, mount the host's /sys/fs/cgroup",
            ),
        ),
    }
}

fn tracefs(facts: &Facts) -> Line {
    let found = facts.tracefs.as_ref().unwrap_or_else(|reason| reason);
    ok("tracefs", format!("{found}; the agent does not need it"))
}

fn trampolines(facts: &Facts) -> Line {
    match &facts.trampolines {
        Ok(()) => ok("trampolines", "can be put on kernel functions".into()),
        Err(reason) => warn(
            "trampolines",
            format!("{reason}: what they would tell comes from system calls, with less certainty"),
            None,
        ),
    }
}

fn security_modules(facts: &Facts) -> Line {
    let detail = match &facts.security_modules {
        Ok(names) => names.join(", "),
        Err(reason) => format!("unknown: {reason}"),
    };
    ok("security modules", detail)
}

pub(super) fn ok(name: &str, detail: String) -> Line {
    Line { name: name.to_owned(), verdict: Verdict::Ok, detail, remedy: None }
}

pub(super) fn warn(name: &str, detail: String, remedy: Option<&str>) -> Line {
    Line { name: name.to_owned(), verdict: Verdict::Warn, detail, remedy: remedy.map(str::to_owned) }
}

pub(super) fn fail(name: &str, error: &Error) -> Line {
    let verdict = Verdict::Fail(Exit::from(error));
    Line { name: name.to_owned(), verdict, detail: error.missing(), remedy: Some(error.remedy()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Kind;
    use crate::kernel::plan::samples;
    use crate::kernel::support::{BtfError, Lockdown, Release};

    /// Classes that every sample host can see.
    const PROCESS: &[Kind] = &[Kind::Exec, Kind::ExecFailed, Kind::Fork, Kind::Exit];

    /// The lines about a host that differs from a good one in what `change` does.
    fn lines_with(change: impl FnOnce(&mut Facts)) -> Vec<Line> {
        let mut facts = samples::host();
        change(&mut facts);
        lines(&facts, &samples::config(PROCESS))
    }

    /// The lines that are not as they should be.
    fn complaints(change: impl FnOnce(&mut Facts)) -> Vec<Line> {
        lines_with(change).into_iter().filter(|line| line.verdict != Verdict::Ok).collect()
    }

    /// The only complaint, which must be of this kind.
    fn complaint(verdict: Verdict, change: impl FnOnce(&mut Facts)) -> Line {
        let complaints = complaints(change);
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert_eq!(complaints[0].verdict, verdict, "{complaints:?}");
        complaints.into_iter().next().unwrap()
    }

    #[test]
    fn a_good_host_has_a_line_for_everything() {
        let lines = lines_with(|_| {});
        assert!(lines.iter().all(|line| line.verdict == Verdict::Ok && line.remedy.is_none()), "{lines:?}");
        let names = lines.iter().map(|line| line.name.as_str());
        let names: Vec<_> = names.filter(|name| !name.starts_with("sensor ")).collect();
        let expected = [
            "kernel",
            "BTF",
            "lockdown",
            "namespaces",
            "capabilities",
            "bpf()",
            "locked memory",
            "JIT",
            "unprivileged eBPF",
            "cgroup v2",
            "tracefs",
            "trampolines",
            "security modules",
        ];
        assert_eq!(names, expected);
        let detail = |name: &str| &lines.iter().find(|line| line.name == name).unwrap().detail;
        assert_eq!(detail("kernel"), "Linux 6.12.9-cloud-amd64 on x86_64");
    }

    #[test]
    fn each_obstacle_fails_its_line() {
        let support = Verdict::Fail(Exit::KernelSupport);
        let privilege = Verdict::Fail(Exit::Privilege);
        let line = complaint(support, |facts| facts.lockdown = Lockdown::Confidentiality);
        assert_eq!(
            (line.name.as_str(), line.remedy.as_deref()),
            ("lockdown", Some("boot with lockdown=integrity"))
        );
        let line = complaint(support, |facts| facts.release = Release::parse("5.7.1"));
        assert_eq!(line.name, "kernel");
        let line = complaint(support, |facts| {
            facts.btf.as_mut().unwrap().tracepoints.remove("sched_process_exit");
        });
        assert_eq!(line.name, "sensor exit");
        let line = complaint(privilege, |facts| facts.capabilities = Ok(Capabilities(0)));
        assert_eq!(line.name, "capabilities");
        let line = complaint(privilege, |facts| facts.bpf_call = Err("EPERM".into()));
        assert_eq!(line.name, "bpf()");
        let line = complaint(privilege, |facts| {
            facts.release = Release::parse("5.10.0");
            facts.capabilities = Ok(Capabilities(!(1 << 24)));
        });
        assert_eq!(line.name, "locked memory");
        let no_btf = complaints(|facts| facts.btf = Err(BtfError::Absent));
        assert_eq!((no_btf[0].name.as_str(), no_btf[0].verdict), ("BTF", support));
        assert!(no_btf[1..].iter().all(|line| line.name.starts_with("sensor ")), "{no_btf:?}");
    }

    #[test]
    fn capabilities_of_another_user_namespace_are_not_shown() {
        let line = complaint(Verdict::Fail(Exit::Privilege), |facts| facts.host_user_namespace = Ok(false));
        assert_eq!(line.name, "namespaces");
        let lines = lines_with(|facts| facts.host_user_namespace = Ok(false));
        assert!(lines.iter().all(|line| line.name != "capabilities"));
    }

    #[test]
    fn what_is_less_than_it_could_be_is_a_warning() {
        let name = |change: fn(&mut Facts)| complaint(Verdict::Warn, change).name;
        assert_eq!(name(|facts| facts.capabilities = Ok(Capabilities(0xc0_0000_0000))), "capabilities");
        assert_eq!(name(|facts| facts.host_pid_namespace = Ok(false)), "namespaces");
        assert_eq!(name(|facts| facts.cgroup2 = Err("no cgroup2 is mounted".into())), "cgroup v2");
        assert_eq!(name(|facts| facts.jit = Ok(0)), "JIT");
        assert_eq!(name(|facts| facts.unprivileged_bpf_disabled = Ok(0)), "unprivileged eBPF");
    }
}
