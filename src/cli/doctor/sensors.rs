//! The lines of `doctor` about the sensors: for every class of events what would see it here, or why nothing can.

use super::host::{fail, ok, warn};
use super::{Line, Verdict};
use crate::event::Kind;
use crate::kernel;
use crate::kernel::classes::{self, Class};
use crate::kernel::plan::{self, Error, Level, Planned, SNAPSHOT_HOOK};
use crate::kernel::support::Facts;

/// A line a class, then one for control groups and one for the snapshot, which the agent needs for itself.
pub(super) fn lines(facts: &Facts, config: &kernel::Config, obstacles: &[Error]) -> Vec<Line> {
    let planned = plan::programs(facts, config);
    let groups = classes::class(Kind::Cgroup, true, &planned);
    let reported = classes::classes(&planned, &config.kinds);
    let mut lines: Vec<Line> =
        reported.iter().chain([&groups]).map(|class| sensor(class, &planned, obstacles)).collect();
    lines.push(snapshot(facts));
    lines
}

fn sensor(class: &Class, planned: &[Planned], obstacles: &[Error]) -> Line {
    let name = format!("sensor {}", class.kind);
    let is_of = |error: &&Error| match error {
        Error::MissingTracepoint { program, .. } => {
            planned.iter().any(|p| p.program == *program && p.kinds.contains(&class.kind))
        }
        _ => false,
    };
    if let Some(error) = obstacles.iter().find(is_of) {
        return fail(&name, error);
    }
    let missing = class.missing.clone().unwrap_or_default();
    let Some(level) = class.level else {
        return if class.is_wanted { warn(&name, missing, None) } else { ok(&name, missing) };
    };
    let purpose = if class.is_wanted { "" } else { ", for the process table only" };
    let rung = if level == Level::Direct { String::new() } else { format!(", level {}", level.name()) };
    let detail = format!("{}, grade {}{rung}{purpose}", class.hooks.join(", "), class.grade);
    let less: Vec<&str> = class.missing.iter().chain(&class.remark).map(String::as_str).collect();
    // A lower rung says why it is not a higher one, which is worth knowing and nothing to mend.
    let verdict = if class.missing.is_none() && level != Level::Direct { Verdict::Ok } else { Verdict::Warn };
    match less.join("; ") {
        none if none.is_empty() => ok(&name, detail),
        less => Line { verdict, ..warn(&name, format!("{detail}; {less}"), None) },
    }
}

fn snapshot(facts: &Facts) -> Line {
    let snapshot = plan::snapshot(facts);
    match (snapshot.missing, snapshot.remark) {
        (Some(missing), _) => warn("sensor snapshot", missing, None),
        (None, Some(remark)) => {
            warn("sensor snapshot", format!("{SNAPSHOT_HOOK}, grade kernel; {remark}"), None)
        }
        (None, None) => ok("sensor snapshot", format!("{SNAPSHOT_HOOK}, grade kernel")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;
    use crate::kernel::plan::samples;

    fn found(facts: &Facts, kinds: &[Kind]) -> Vec<Line> {
        let config = samples::config(kinds);
        lines(facts, &config, &plan::obstacles(facts))
    }

    fn line<'a>(lines: &'a [Line], name: &str) -> &'a Line {
        lines.iter().find(|line| line.name == name).unwrap_or_else(|| panic!("no line {name}"))
    }

    #[test]
    fn every_class_has_a_line() {
        let lines = found(&samples::host(), Kind::ALL);
        for kind in Kind::ALL.iter().filter(|kind| **kind != Kind::Snapshot) {
            line(&lines, &format!("sensor {kind}"));
        }
        assert_eq!(lines.last().map(|line| line.name.as_str()), Some("sensor snapshot"));
        assert_eq!(line(&lines, "sensor exec").detail, "tp_btf/sched_process_exec, grade kernel");
        let failed = line(&lines, "sensor exec_failed");
        assert_eq!(
            (failed.verdict, failed.detail.as_str()),
            (Verdict::Ok, "tp_btf/sys_exit, grade user, level syscall")
        );
    }

    #[test]
    fn what_is_not_reported_says_why_it_is_loaded_or_not() {
        let lines = found(&samples::host(), &[Kind::Exec]);
        let detail = |name: &str| line(&lines, name).detail.as_str();
        assert_eq!(detail("sensor exec"), "tp_btf/sched_process_exec, grade kernel");
        assert_eq!(
            detail("sensor fork"),
            "tp_btf/sched_process_fork, grade kernel, for the process table only"
        );
        assert_eq!(detail("sensor exec_failed"), "off, as [events] says");
        assert_eq!(line(&lines, "sensor file_open").verdict, Verdict::Ok);
    }

    #[test]
    fn what_cannot_be_had_is_a_warning_and_what_must_be_had_a_failure() {
        let mut facts = samples::host();
        facts.btf.as_mut().unwrap().tracepoints.remove("sys_exit");
        let lines = found(&facts, &[Kind::Exec, Kind::ExecFailed]);
        let failed = line(&lines, "sensor exec_failed");
        assert_eq!(
            (failed.verdict, failed.detail.as_str()),
            (Verdict::Warn, "this kernel has no tracepoint sys_exit")
        );
        facts.btf.as_mut().unwrap().tracepoints.remove("sched_process_exit");
        let lines = found(&facts, &[Kind::Exec]);
        assert_eq!(line(&lines, "sensor exit").verdict, Verdict::Fail(Exit::KernelSupport));
    }

    #[test]
    fn short_paths_are_a_warning() {
        let mut facts = samples::host();
        facts.btf.as_mut().unwrap().helpers.remove("loop");
        let lines = found(&facts, &[Kind::Exec]);
        for name in ["sensor exec", "sensor snapshot"] {
            let line = line(&lines, name);
            assert_eq!(line.verdict, Verdict::Warn);
            assert!(line.detail.contains("bpf_loop()"), "{}", line.detail);
        }
    }
}
