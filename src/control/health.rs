//! Health as a pure function: facts in, judgement with reasons out.
//!
//! /health asks whether the agent does its work at all: its threads live, the ring is looked at, something is
//! written. /ready asks for more: that a canary came through lately, that every sink writes, that every wanted
//! sensor is attached, and that the configuration on disk is the one in effect. Whoever is degraded without being
//! down says so in the body; nothing here is a constant.

use std::time::Duration;

use serde_json::{Value, json};

use super::http::Status;
use crate::kernel::plan::Level;

/// A thread that did not come round for this long is stuck. The slowest regular round is a write call.
const STUCK: Duration = Duration::from_secs(15);

/// What is known of a thread.
#[derive(Debug, Clone)]
pub struct ThreadFact {
    /// Its name.
    pub name: String,
    /// Since it last came round.
    pub age: Duration,
    /// It has ended.
    pub ended: bool,
    /// It waits for work without coming round, so only its end counts.
    pub may_wait: bool,
}

/// What is known of a sink.
#[derive(Debug, Clone)]
pub struct SinkFact {
    /// Its name.
    pub name: &'static str,
    /// It writes.
    pub up: bool,
    /// Why not.
    pub reason: Option<String>,
    /// Since it went up or down.
    pub since: Duration,
}

/// What is known of a sensor.
#[derive(Debug, Clone)]
pub struct SensorFact {
    /// The program's name.
    pub program: &'static str,
    /// Where it is attached, or would be.
    pub hook: &'static str,
    /// Where its fields come from.
    pub grade: &'static str,
    /// The classes that it reports.
    pub classes: Vec<&'static str>,
    /// Why it is not attached.
    pub missing: Option<String>,
    /// It could not be attached, or was detached. Else what is missing is what this host does not offer: that is told,
    /// and nothing that anybody could mend.
    pub has_failed: bool,
    /// What is limited although it is attached.
    pub remark: Option<String>,
}

/// What is known of a class.
pub use crate::kernel::classes::Class as ClassFact;

/// What is known of the canary.
#[derive(Debug, Clone, Default)]
pub struct CanaryFact {
    /// Age and latency of the last success.
    pub last_success: Option<(Duration, Duration)>,
    /// Why the last one failed, if it did.
    pub failure: Option<String>,
    /// The oldest that a success may be.
    pub limit: Duration,
}

/// What is known of the rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RulesFact {
    /// The set in force, counted from 1.
    pub generation: u64,
    /// Rules in it.
    pub loaded: usize,
    /// Rules that are right but nothing here can feed.
    pub refused: usize,
    /// Rules left out because of an error.
    pub wrong: usize,
    /// The first error: of the set in force, or of a newer one that was not taken on.
    pub error: Option<String>,
    /// Rules that cost more than their budget.
    pub demoted: Vec<DemotedFact>,
}

/// What is known of a rule that is evaluated for some events only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DemotedFact {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// For one in so many.
    pub stride: u32,
}

/// Everything that is judged.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The probes are attached and the flow runs.
    pub started: bool,
    /// Threads.
    pub threads: Vec<ThreadFact>,
    /// Sinks.
    pub sinks: Vec<SinkFact>,
    /// Sensors.
    pub sensors: Vec<SensorFact>,
    /// Classes.
    pub classes: Vec<ClassFact>,
    /// The canary; `None` if it is switched off.
    pub canary: Option<CanaryFact>,
    /// The rules in force; `None` if detection is switched off.
    pub rules: Option<RulesFact>,
    /// Why the last reload was refused, if it was.
    pub reload_error: Option<String>,
    /// Events lost in the last minute, by reason.
    pub lately_lost: Vec<(&'static str, u64)>,
    /// Runs that the kernel skipped in the last minute of programs that report several classes.
    pub lately_skipped: u64,
}

impl Facts {
    /// The answer to /health.
    pub fn health(&self) -> Status {
        self.status(self.down(), self.degraded())
    }

    /// The answer to /ready.
    pub fn ready(&self) -> Status {
        let mut reasons = self.down();
        reasons.extend(self.unready());
        self.status(reasons, self.losses())
    }

    /// The threads do their work: what systemd's watchdog asks. A disk that is full is no reason to be killed, as the
    /// restart would lose what is buffered and mend nothing.
    pub fn is_alive(&self) -> bool {
        self.stuck().is_empty()
    }

    /// Reasons why the agent does not do its work.
    fn down(&self) -> Vec<String> {
        let mut reasons = self.stuck();
        if !self.sinks.is_empty() && self.sinks.iter().all(|sink| !sink.up) {
            reasons.push("no sink can write".to_owned());
        }
        reasons
    }

    /// Reasons that only a restart could mend.
    fn stuck(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if !self.started {
            reasons.push("starting: the probes are not attached yet".to_owned());
        }
        for thread in &self.threads {
            if thread.ended {
                reasons.push(format!("the thread {} has ended", thread.name));
            } else if !thread.may_wait && thread.age > STUCK {
                let age = thread.age.as_secs();
                reasons.push(format!("the thread {} has not come round for {age} s", thread.name));
            }
        }
        reasons
    }

    /// Reasons why events are not proven to flow.
    fn unready(&self) -> Vec<String> {
        let sinks = self.sinks.iter().filter(|sink| !sink.up).map(|sink| {
            let why = sink.reason.as_deref().unwrap_or("no reason known");
            format!("the sink {} cannot write since {} s: {why}", sink.name, sink.since.as_secs())
        });
        let sensors = self.sensors.iter().filter_map(|sensor| {
            let missing = sensor.missing.as_ref().filter(|_| sensor.has_failed);
            missing.map(|why| format!("blind to {}: {why}", sensor.classes.join(", ")))
        });
        let canary = self.canary.iter().filter_map(|canary| match (&canary.failure, canary.last_success) {
            (Some(why), _) => Some(format!("the canary did not come back: {why}")),
            (None, None) => Some("the first canary is on its way".to_owned()),
            (None, Some((age, _))) if age > canary.limit => {
                Some(format!("no canary has come back for {} s", age.as_secs()))
            }
            (None, Some(_)) => None,
        });
        let rules = self.rules.iter().filter_map(|rules| rules.error.as_ref());
        let rules = rules.map(|why| format!("an error in the rules: {why}"));
        let reload = self.reload_error.iter().map(|why| format!("the configuration was refused: {why}"));
        sinks.chain(sensors).chain(canary).chain(rules).chain(reload).collect()
    }

    fn losses(&self) -> Vec<String> {
        let lost = self.lately_lost.iter();
        let lost = lost.map(|(reason, n)| format!("{n} events lost in the last minute: {reason}"));
        let skipped = Some(self.lately_skipped)
            .filter(|runs| *runs > 0)
            .map(|runs| format!("up to {runs} events of unknown classes lost in the last minute: skipped"));
        lost.chain(skipped).collect()
    }

    fn degraded(&self) -> Vec<String> {
        let rules = self.rules.iter().flat_map(|rules| &rules.demoted);
        let rules = rules.map(|DemotedFact { id, title, stride }| {
            format!("the rule '{title}' ({id}) costs too much and is evaluated for 1 of {stride} events")
        });
        self.unready().into_iter().chain(self.losses()).chain(rules).collect()
    }

    /// Down for `reasons`, else degraded for `remarks`, else up.
    fn status(&self, reasons: Vec<String>, remarks: Vec<String>) -> Status {
        let up = reasons.is_empty();
        let word = match (up, remarks.is_empty()) {
            (false, _) => "down",
            (true, false) => "degraded",
            (true, true) => "up",
        };
        let reasons = if up { remarks } else { reasons };
        let brief = json!({ "status": word, "reasons": reasons });
        let mut body = brief.clone();
        body["threads"] = self.threads.iter().map(thread).collect();
        body["sinks"] = self.sinks.iter().map(sink).collect();
        body["sensors"] = self.sensors.iter().map(sensor).collect();
        body["classes"] = self.classes.iter().map(class).collect();
        body["rules"] = self.rules.as_ref().map_or(Value::Null, rules);
        body["canary"] = self.canary.as_ref().map_or(Value::Null, canary);
        Status { up, body, brief }
    }
}

fn thread(fact: &ThreadFact) -> Value {
    json!({ "name": fact.name, "alive": !fact.ended, "last_round_ms": millis(fact.age) })
}

fn sink(fact: &SinkFact) -> Value {
    json!({ "name": fact.name, "up": fact.up, "since_s": fact.since.as_secs(), "reason": fact.reason })
}

fn sensor(fact: &SensorFact) -> Value {
    json!({
        "program": fact.program,
        "hook": fact.hook,
        "grade": fact.grade,
        "classes": fact.classes,
        "attached": fact.missing.is_none(),
        "reason": fact.missing,
        "remark": fact.remark,
    })
}

fn class(fact: &ClassFact) -> Value {
    json!({
        "class": fact.kind.name(),
        "wanted": fact.is_wanted,
        "level": fact.level.map(Level::name),
        "hooks": fact.hooks,
        "grade": fact.level.map(|_| fact.grade),
        "reason": fact.missing,
        "remark": fact.remark,
    })
}

fn rules(fact: &RulesFact) -> Value {
    json!({
        "generation": fact.generation,
        "loaded": fact.loaded,
        "refused": fact.refused,
        "wrong": fact.wrong,
        "error": fact.error,
        "demoted": fact.demoted.iter().map(demoted).collect::<Vec<Value>>(),
    })
}

fn demoted(fact: &DemotedFact) -> Value {
    json!({ "id": fact.id, "title": fact.title, "one_in": fact.stride })
}

fn canary(fact: &CanaryFact) -> Value {
    json!({
        "last_success_age_ms": fact.last_success.map(|(age, _)| millis(age)),
        "latency_ms": fact.last_success.map(|(_, latency)| millis(latency)),
        "failure": fact.failure,
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Kind;

    #[test]
    fn every_class_says_how_it_is_seen() {
        let mut facts = good();
        let told = |facts: &Facts| facts.health().body["classes"][0].clone();
        assert_eq!(told(&facts)["level"], "direct");
        assert_eq!(told(&facts)["hooks"], json!(["tp_btf/sched_process_exec"]));
        (facts.classes[0].level, facts.classes[0].missing) = (None, Some("no BTF".into()));
        assert_eq!((&told(&facts)["level"], &told(&facts)["reason"]), (&Value::Null, &json!("no BTF")));
    }

    fn good() -> Facts {
        let second = Duration::from_secs(1);
        Facts {
            started: true,
            threads: vec![ThreadFact { name: "se-ring".into(), age: second, ended: false, may_wait: false }],
            sinks: vec![SinkFact { name: "file", up: true, reason: None, since: second }],
            sensors: vec![SensorFact {
                program: "se_exec",
                hook: "tp_btf/sched_process_exec",
                grade: "kernel",
                classes: vec!["exec"],
                missing: None,
                has_failed: true,
                remark: None,
            }],
            classes: vec![ClassFact {
                kind: Kind::Exec,
                is_wanted: true,
                level: Some(Level::Direct),
                hooks: vec!["tp_btf/sched_process_exec"],
                grade: "kernel",
                missing: None,
                remark: None,
            }],
            canary: Some(CanaryFact {
                last_success: Some((second, Duration::from_millis(3))),
                failure: None,
                limit: Duration::from_secs(40),
            }),
            rules: Some(RulesFact { generation: 1, loaded: 5, ..RulesFact::default() }),
            reload_error: None,
            lately_lost: Vec::new(),
            lately_skipped: 0,
        }
    }

    #[test]
    fn all_is_well() {
        assert!(good().health().up && good().ready().up);
        assert_eq!(good().ready().brief, json!({ "status": "up", "reasons": [] }));
    }

    #[test]
    fn each_fault_shows_where_it_must() {
        type Break = fn(&mut Facts);
        let faults: [(Break, bool, &str); 10] = [
            (|f| f.started = false, false, "starting"),
            (|f| f.threads[0].ended = true, false, "se-ring has ended"),
            (|f| f.threads[0].age = Duration::from_secs(60), false, "not come round for 60 s"),
            (|f| f.sinks[0].up = false, false, "no sink can write"),
            (|f| f.sensors[0].missing = Some("no BTF".into()), true, "blind to exec: no BTF"),
            (|f| f.canary.as_mut().unwrap().failure = Some("not written".into()), true, "did not come back"),
            (|f| f.canary.as_mut().unwrap().last_success = None, true, "first canary"),
            (|f| f.canary.as_mut().unwrap().limit = Duration::ZERO, true, "no canary has come back"),
            (|f| f.rules.as_mut().unwrap().error = Some("x.yml:3: bad".into()), true, "rules: x.yml:3: bad"),
            (|f| f.reload_error = Some("line 3".into()), true, "refused: line 3"),
        ];
        for (fault, healthy, reason) in faults {
            let mut facts = good();
            fault(&mut facts);
            assert_eq!(facts.health().up, healthy, "{reason}");
            assert_eq!(facts.is_alive(), healthy || !facts.sinks[0].up, "{reason}");
            assert!(!facts.ready().up, "{reason}");
            let told = facts.ready().brief["reasons"].to_string();
            assert!(told.contains(reason), "{reason} is not in {told}");
            assert_ne!(facts.health().brief["status"], "up");
        }
    }

    #[test]
    fn one_sink_of_two_keeps_the_agent_healthy_and_losses_degrade_it() {
        let mut facts = good();
        facts.sinks.push(SinkFact { name: "stdout", up: false, reason: None, since: Duration::ZERO });
        assert!(facts.health().up && !facts.ready().up);
        let mut facts = good();
        facts.lately_lost = vec![("ring_full", 7)];
        assert_eq!(facts.ready().brief["status"], "degraded");
        assert!(facts.ready().up);
        let mut facts = good();
        facts.lately_skipped = 3;
        assert!(facts.ready().up && facts.health().brief["status"] == "degraded");
        let told = facts.health().brief["reasons"].to_string();
        assert!(told.contains("up to 3 events of unknown classes"), "{told}");
    }

    #[test]
    fn a_demoted_rule_is_told_and_harms_neither_health_nor_readiness() {
        let mut facts = good();
        let demoted = DemotedFact { id: "x-1".into(), title: "Costly".into(), stride: 16 };
        facts.rules.as_mut().unwrap().demoted = vec![demoted];
        assert!(facts.health().up && facts.ready().up);
        assert_eq!(facts.health().brief["status"], "degraded");
        let told = facts.health().brief["reasons"][0].as_str().unwrap().to_owned();
        assert_eq!(told, "the rule 'Costly' (x-1) costs too much and is evaluated for 1 of 16 events");
        assert_eq!(facts.health().body["rules"]["demoted"][0]["one_in"], 16);
    }

    #[test]
    fn a_thread_that_waits_for_work_is_not_stuck() {
        let mut facts = good();
        facts.threads[0].age = Duration::from_secs(600);
        facts.threads[0].may_wait = true;
        assert!(facts.health().up);
    }
}
