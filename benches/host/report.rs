//! The report: docs/performance.md.

use std::fmt::Write as _;

use crate::PARTS;
use crate::beside::Beside;
use crate::guest::Cost;
use crate::load_report;
use crate::measure::{Idle, Latency, Replay, Start};
use crate::rules::Rules;
use crate::stats::Samples;
use crate::versus::{Versus, Watcher};

/// What was measured; what is `None` was not asked for.
#[derive(Default)]
pub struct Report {
    /// CPU, memory, kernel.
    pub host: String,
    /// The agent's own version line.
    pub version: String,
    /// Nothing happens.
    pub idle: Option<Idle>,
    /// From start to the first event.
    pub start: Option<Start>,
    /// Recorded events through the pipeline.
    pub replay: Option<Replay>,
    /// Kernel to file.
    pub latency: Option<Latency>,
    /// Rules.
    pub rules: Option<Rules>,
    /// The storm, by watcher.
    pub storms: Vec<Versus>,
    /// Other loads, by watcher.
    pub loads: Vec<Beside>,
    /// Cost of an open by rung, from a guest.
    pub costs: Vec<Cost>,
    /// Where all files were, a name that means nothing to others.
    pub directory: String,
    /// What could not be measured, and why.
    pub absent: Vec<(String, String)>,
}

/// A row of the table of goals.
pub struct Goal {
    /// Of what.
    pub what: String,
    /// What was to be reached.
    pub goal: String,
    /// What was.
    pub measured: String,
    /// Whether the one is in the other.
    pub met: bool,
}

/// A goal that the median must not exceed.
pub fn below(what: impl Into<String>, limit: f64, unit: &str, samples: &Samples, decimals: usize) -> Goal {
    let met = samples.median() <= limit;
    Goal { what: what.into(), goal: format!("at most {limit} {unit}"), measured: samples.show(decimals), met }
}

impl Report {
    /// Notes what could not be measured, here and for whoever waits.
    pub fn miss(&mut self, what: String, why: &dyn std::error::Error) {
        eprintln!("  not measured: {what}: {why}");
        let why: Vec<String> = why.to_string().lines().map(|line| line.trim().to_owned()).collect();
        self.absent.push((what, why.join("; ")));
    }

    fn goals(&self) -> Vec<Goal> {
        let mut goals = Vec::new();
        if let Some(idle) = &self.idle {
            let resident: Samples = [idle.resident_mb].into_iter().collect();
            goals.push(below("Idle: CPU", 0.2, "% of a core", &idle.cpu_percent, 3));
            let mut memory = below("Idle: resident memory", 25.0, "MB", &resident, 1);
            memory.measured =
                format!("{:.1}; {:.1} counting shared pages once", idle.resident_mb, idle.proportional_mb);
            goals.push(memory);
        }
        if let Some(start) = &self.start {
            goals.push(below("Start to first event in the file", 500.0, "ms", &start.first_line_ms, 0));
        }
        if let Some(ours) = self.storms.iter().find(|v| v.watcher == Watcher::Ours) {
            goals.push(below("Storm: wall time against none", 1.08, "times", &ours.wall_ratio, 3));
            goals.push(below(
                "Storm: CPU of the agent an exec, fork and exit",
                25.0,
                "µs",
                &ours.watcher_us,
                1,
            ));
            goals.push(Goal {
                what: "Storm: every exec, fork and exit in the file once, none lost".into(),
                goal: "all runs".into(),
                measured: format!("{} of {} runs", ours.complete_runs, ours.runs),
                met: ours.complete_runs == ours.runs,
            });
            if let Some(unjudged) = self.storms.iter().find(|v| v.watcher == Watcher::Unjudged) {
                let ratio = ours.wall_ratio.median() / unjudged.wall_ratio.median();
                goals.push(Goal {
                    what: "Storm: wall time with detection against without".into(),
                    goal: "at most 1.05 times".into(),
                    measured: format!("{ratio:.3}"),
                    met: ratio <= 1.05,
                });
            }
        }
        if let Some(replay) = &self.replay {
            let met = replay.per_second.median() >= 400_000.0;
            let goal = "at least 400000 events/s".into();
            goals.push(Goal {
                what: "Replay on one CPU".into(),
                goal,
                measured: replay.per_second.show(0),
                met,
            });
        }
        if let Some(latency) = &self.latency {
            goals.push(below(
                "Kernel to file at 10,000 events/s: 99th percentile",
                50.0,
                "ms",
                &latency.p99_ms,
                2,
            ));
        }
        goals.extend(self.rules.iter().flat_map(Rules::goals));
        goals.extend(load_report::goals(&self.loads));
        goals
    }

    /// The whole document.
    pub fn markdown(&self) -> String {
        let mut out = format!(
            "# Performance\n\nWritten by `make bench`; not edited. Figures are medians, with the smallest and the \
             largest value in parentheses. Single figures depend on the machine and on who else uses it, so compare \
             ratios: both sides of each come from the same run.\n\n- Machine: {}\n- Agent: {}, default \
             configuration where no other is named, output to a file on disk\n\n| measure | goal | measured | |\n|---|---|---|---|\n",
            self.host, self.version
        );
        // Writing to a String cannot fail, here and below.
        for g in self.goals() {
            let verdict = if g.met { "met" } else { "**missed**" };
            let _ = writeln!(out, "| {} | {} | {} | {verdict} |", g.what, g.goal, g.measured);
        }
        for (name, why) in &self.absent {
            let _ = write!(out, "\nNot measured: {name}: {why}\n");
        }
        self.storms(&mut out);
        load_report::sections(&self.loads, &mut out);
        load_report::rungs(&self.costs, &mut out);
        self.rules.iter().for_each(|rules| rules.section(&mut out));
        self.details(&mut out);
        if self.directory.is_empty() { out } else { out.replace(&self.directory, "/DIRECTORY") }
    }

    fn storms(&self, out: &mut String) {
        let Some(first) = self.storms.first() else { return };
        let _ = write!(
            out,
            "\n## Exec storm, side by side\n\nA static program that exits at once, spawned {} times a run by one spawner \
             per CPU, as fast as it goes. Each run with a watcher is paired with one without, next to it in time; ratios \
             are within pairs. bpftrace prints the arguments at the exec tracepoint, auditd has its exec rule; both see \
             execs only, SentinelEdge also forks, exits, paths, credentials, ancestors and containers. CPU counts all \
             threads and children of the watcher, and kauditd for auditd; what is added to the workload includes the \
             programs that run in the kernel on its account.\n\n",
            first.count
        );
        out.push_str("| |");
        for v in &self.storms {
            let _ = write!(out, " {} |", v.watcher.name());
        }
        out.push_str("\n|---|");
        out.push_str(&"---|".repeat(self.storms.len()));
        out.push('\n');
        type Cell<'a> = &'a dyn Fn(&Versus) -> String;
        let rows: [(&str, Cell); 11] = [
            ("Version", &|v| v.version.clone()),
            ("Wall time alone, s", &|v| v.alone_s.show(2)),
            ("Wall time watched, s", &|v| v.watched_s.show(2)),
            ("Wall time ratio", &|v| v.wall_ratio.show(3)),
            ("CPU ratio of the workload", &|v| v.cpu_ratio.show(3)),
            ("CPU added to the workload, µs a process", &|v| v.added_us.show(1)),
            ("CPU of the watcher, µs a process", &|v| v.watcher_us.show(1)),
            ("Execs reported, %", &|v| v.reported_percent.show(2)),
            ("Runs with everything reported", &|v| format!("{} of {}", v.complete_runs, v.runs)),
            ("Bytes written a process", &|v| v.bytes.show(0)),
            ("Resident memory after, MB", &|v| v.resident_mb.show(1)),
        ];
        for (name, cell) in rows {
            let _ = write!(out, "| {name} |");
            for v in &self.storms {
                let _ = write!(out, " {} |", cell(v));
            }
            out.push('\n');
        }
    }

    fn details(&self, out: &mut String) {
        out.push_str("\n## Further figures\n\n");
        if let Some(idle) = &self.idle {
            let _ = writeln!(
                out,
                "- Idle: {} processes on the host; CPU of each window, % of a core: {}.",
                idle.processes,
                idle.cpu_percent.list(3)
            );
        }
        if let Some(start) = &self.start {
            let _ = writeln!(
                out,
                "- Start: the first exec that the kernel reported came after {} ms, its line was in the file after {} ms, \
                 /ready said yes after {} ms.",
                start.first_event_ms.show(0),
                start.first_line_ms.show(0),
                start.ready_ms.show(0)
            );
        }
        if let Some(replay) = &self.replay {
            let _ = writeln!(
                out,
                "- Replay: {} events a run, start and end of the process included; {} ns of CPU an event.",
                replay.events,
                replay.cpu_ns.show(0)
            );
        }
        if let Some(latency) = &self.latency {
            let _ = writeln!(
                out,
                "- Latency: {} events/s offered; 50th percentile {} ms, 99th {} ms, worst {} ms. The file is looked at \
                 once a millisecond.",
                latency.rate.show(0),
                latency.p50_ms.show(2),
                latency.p99_ms.show(2),
                latency.max_ms.show(1)
            );
        }
        out.push_str(
            "\n## How to repeat\n\n`sudo make bench` on a machine with nothing else to do. Part of it: \
             `make bench ARGS=\"idle storm\"`; the parts are ",
        );
        out.push_str(&PARTS.join(", "));
        out.push_str(
            ". Less than everything is printed, not written. The figures from a guest are read from the log of its run, \
             `target/guest-cost.log`.\n",
        );
    }
}
