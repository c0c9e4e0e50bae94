//! What of each class of events is seen on this host, on which rung of the ladder and by which hooks: the plan's
//! programs, turned round.
//!
//! `doctor`, /health, a metric and the record of the start show it. A class may have several sensors, such as one for
//! system calls and one for io_uring; it stands as low as its lowest one.

use super::plan::{Level, Planned};
use crate::event::Kind;

/// A class and how it is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// The class.
    pub kind: Kind,
    /// It is to be reported.
    pub is_wanted: bool,
    /// The lowest rung that is used; `None`: nothing of it is seen.
    pub level: Option<Level>,
    /// Where the programs are that see it, each once; where they would be, if none can be had.
    pub hooks: Vec<&'static str>,
    /// Where the fields come from: `kernel`, or `user` if a program needs user memory.
    pub grade: &'static str,
    /// Why it, or a part of it, is not seen.
    pub missing: Option<String>,
    /// What is less here than it could be.
    pub remark: Option<String>,
}

/// Why a class is not seen that nobody wants.
const OFF: &str = "off, as [events] says";

/// Why a class is not seen that no table of sensors has.
const NO_SENSOR: &str = "this version has no sensor for it";

/// Every class that can be reported, in the order of the kinds. `wanted` are those that are to be reported.
pub fn classes(programs: &[Planned], wanted: &[Kind]) -> Vec<Class> {
    let reported = Kind::ALL.iter().copied().filter(|kind| !kind.is_internal());
    reported.map(|kind| class(kind, wanted.contains(&kind), programs)).collect()
}

/// One class.
pub fn class(kind: Kind, is_wanted: bool, programs: &[Planned]) -> Class {
    let of_kind = || programs.iter().filter(|planned| planned.kinds.contains(&kind));
    let present = || of_kind().filter(|planned| planned.missing.is_none());
    let all_missing = present().next().is_none();
    let shown = of_kind().filter(|planned| all_missing || planned.missing.is_none());
    let is_user = present().any(|planned| planned.grade == "user");
    let missing = joined(of_kind().filter_map(|planned| planned.missing.as_deref()));
    let nothing = if is_wanted { NO_SENSOR } else { OFF };
    Class {
        kind,
        is_wanted,
        level: present().map(|planned| planned.level).max(),
        hooks: once(shown.map(|planned| planned.hook)),
        grade: if is_user { "user" } else { "kernel" },
        missing: missing.or_else(|| all_missing.then(|| nothing.to_owned())),
        remark: joined(present().filter_map(|planned| planned.remark.as_deref())),
    }
}

/// Each text once, in the order of the first.
fn once<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    texts.for_each(|text| {
        if !seen.contains(&text) {
            seen.push(text);
        }
    });
    seen
}

fn joined<'a>(texts: impl Iterator<Item = &'a str>) -> Option<String> {
    let texts = once(texts);
    (!texts.is_empty()).then(|| texts.join("; "))
}

impl Level {
    /// As the metric has it: 1 is the best rung; 0 is left for what is not seen.
    pub const fn number(self) -> u8 {
        match self {
            Level::Direct => 1,
            Level::Trampoline => 2,
            Level::Syscall => 3,
        }
    }

    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Direct => "direct",
            Level::Trampoline => "trampoline",
            Level::Syscall => "syscall",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::plan::Attach;
    use crate::metrics::label::Program;

    fn planned(hook: &'static str, level: Level, missing: Option<&str>) -> Planned {
        Planned {
            program: Program::Exec,
            symbol: "se_exec",
            hook,
            kinds: &[Kind::Exec],
            grade: if level == Level::Syscall { "user" } else { "kernel" },
            level,
            attach: Attach::Tracepoint("sched_process_exec"),
            missing: missing.map(str::to_owned),
            has_failed: false,
            remark: None,
        }
    }

    fn exec(programs: &[Planned]) -> Class {
        classes(programs, &[Kind::Exec, Kind::Exit])
            .into_iter()
            .find(|class| class.kind == Kind::Exec)
            .unwrap()
    }

    #[test]
    fn a_class_stands_as_low_as_its_lowest_sensor() {
        let direct = planned("tp_btf/a", Level::Direct, None);
        let call = planned("tp_btf/sys_exit", Level::Syscall, None);
        let class = exec(&[direct.clone(), direct.clone()]);
        assert_eq!(
            (class.level, class.hooks, class.grade),
            (Some(Level::Direct), vec!["tp_btf/a"], "kernel")
        );
        let class = exec(&[direct, call]);
        assert_eq!((class.level, class.grade), (Some(Level::Syscall), "user"));
        assert_eq!(class.hooks, ["tp_btf/a", "tp_btf/sys_exit"]);
        assert_eq!((class.missing, class.remark), (None, None));
    }

    #[test]
    fn what_is_not_seen_says_why() {
        let gone = planned("fexit/x", Level::Trampoline, Some("no trampolines"));
        let class = exec(&[gone.clone(), gone.clone()]);
        assert_eq!((class.level, class.missing.as_deref()), (None, Some("no trampolines")));
        assert_eq!(class.hooks, ["fexit/x"]);
        let half = exec(&[planned("tp_btf/a", Level::Direct, None), gone]);
        assert_eq!((half.level, half.missing.as_deref()), (Some(Level::Direct), Some("no trampolines")));
        assert_eq!(half.hooks, ["tp_btf/a"]);
        let all = classes(&[], &[Kind::Exit]);
        let of = |kind| all.iter().find(|class| class.kind == kind).unwrap();
        assert_eq!(of(Kind::Exit).missing.as_deref(), Some(NO_SENSOR));
        assert_eq!((of(Kind::Exec).missing.as_deref(), of(Kind::Exec).is_wanted), (Some(OFF), false));
        assert!(all.iter().all(|class| !class.kind.is_internal()));
    }
}
