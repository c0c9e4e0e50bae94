//! What is left of a plan when the kernel refuses one of its programs.
//!
//! The plan is made of what is known of a kernel, and its verifier may know better. One program less is a class less or
//! a rung lower, and no reason to watch nothing at all; only what the process table stands on cannot be left out.

use super::{Attach, Plan, Planned};
use crate::metrics::label::Program;

/// Without these the process table would be wrong.
const VITAL: [Program; 3] = [Program::Exec, Program::Fork, Program::Exit];

impl Planned {
    /// The process table cannot do without it.
    pub fn is_vital(&self) -> bool {
        VITAL.contains(&self.program)
    }
}

impl Plan {
    /// The plan without a program that the kernel refused, by its name in the object. `None` if there is no way on: it is
    /// vital, or it was not to be loaded in the first place.
    #[must_use]
    pub fn without(&self, symbol: &str, reason: &str) -> Option<Plan> {
        let why = format!("this kernel refused to load it: {reason}");
        let mut plan = self.clone();
        if plan.snapshot.symbol == symbol && plan.snapshot.missing.is_none() {
            plan.snapshot.missing = Some(format!("{why}; /proc is read instead"));
            return Some(plan);
        }
        let mut refused =
            self.programs.iter().filter(|p| p.symbol == symbol && p.missing.is_none()).peekable();
        refused.peek()?;
        // A lower rung has all of its classes, and trampolines come in pairs.
        if refused.any(|planned| planned.attach.is_trampoline())
            && let Some(fallback) = plan.fallback.take()
        {
            return Some(*fallback);
        }
        let is_dispatcher = symbol == Program::SysExit.name();
        for planned in plan.programs.iter_mut().filter(|planned| planned.missing.is_none()) {
            let is_called = is_dispatcher && matches!(planned.attach, Attach::Calls(..));
            if planned.symbol != symbol && !is_called {
                continue;
            }
            if planned.is_vital() {
                return None;
            }
            planned.missing = Some(why.clone());
            planned.has_failed = true;
        }
        Some(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan;
    use super::super::samples::{config, host};
    use super::*;
    use crate::event::Kind;
    use crate::kernel::{Config, Hooks};

    fn on_calls(kinds: &[Kind]) -> Plan {
        plan(&host(), &Config { hooks: Hooks::Syscall, ..config(kinds) }).unwrap()
    }

    fn missing(plan: &Plan) -> Vec<&str> {
        plan.programs.iter().filter(|p| p.missing.is_some()).map(|p| p.symbol).collect()
    }

    #[test]
    fn one_class_less_is_no_reason_to_stop() {
        let whole = on_calls(&[Kind::FileOpen, Kind::NetDns]);
        assert_eq!(missing(&whole), [""; 0]);
        let refused = whole.programs.iter().find(|p| p.kinds.contains(&Kind::NetDns)).unwrap().symbol;
        let less = whole.without(refused, "R4 invalid").unwrap();
        assert_eq!(missing(&less), [refused]);
        let gone = less.programs.iter().find(|p| p.symbol == refused).unwrap();
        assert!(
            gone.has_failed && gone.missing.as_ref().unwrap().ends_with("refused to load it: R4 invalid")
        );
        assert_eq!(less.without(refused, "R4 invalid"), None, "it was not to be loaded");
    }

    #[test]
    fn without_the_dispatcher_nothing_is_called() {
        let less = on_calls(&[Kind::FileOpen]).without("se_sys_exit", "too large").unwrap();
        let called: Vec<_> = less.programs.iter().filter(|p| matches!(p.attach, Attach::Calls(..))).collect();
        assert!(!called.is_empty() && called.iter().all(|p| p.missing.is_some()), "{called:#?}");
        assert!(less.programs.iter().filter(|p| p.is_vital()).all(|p| p.missing.is_none()));
    }

    #[test]
    fn the_process_table_cannot_do_without_execs() {
        assert_eq!(on_calls(&[Kind::Exec]).without("se_exec", "too large"), None);
        let less = on_calls(&[Kind::Exec]).without("se_snapshot", "too large").unwrap();
        assert!(less.snapshot.missing.unwrap().contains("/proc"));
    }

    #[test]
    fn a_refused_trampoline_takes_the_others_with_it() {
        let plan = plan(&host(), &config(&[Kind::Credentials])).unwrap();
        assert!(plan.has_trampolines());
        let less = plan.without("se_t_creds", "-EPERM").unwrap();
        assert_eq!(Some(less), plan.fallback.map(|fallback| *fallback));
    }
}
