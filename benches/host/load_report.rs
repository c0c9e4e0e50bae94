//! The part of the report on loads: goals, a table of all of them beside the agent, tables beside the peers, and what
//! the agent was configured with.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::beside::Beside;
use crate::guest::Cost;
use crate::load::Load;
use crate::report::{Goal, below};
use crate::versus::Watcher;

/// Most that a load may cost beside the agent, in times of its CPU time alone.
fn cpu_limit(beside: &Beside) -> Option<f64> {
    match beside.setting.load {
        _ if beside.setting.quiet => Some(1.01),
        Load::Opens => Some(1.6),
        Load::Distinct => None,
        Load::Getppid | Load::Unwatched => Some(1.25),
        Load::Build => Some(1.03),
        Load::Tcp => Some(1.1),
    }
}

fn name(beside: &Beside) -> String {
    let quiet = if beside.setting.quiet { ", quiet" } else { "" };
    format!("{}{quiet}", beside.setting.load.name())
}

fn ours(loads: &[Beside]) -> impl Iterator<Item = &Beside> {
    loads.iter().filter(|b| b.setting.watcher == Watcher::Ours)
}

/// Rows of the table of goals.
pub fn goals(loads: &[Beside]) -> Vec<Goal> {
    let mut goals = Vec::new();
    for beside in ours(loads) {
        let Some(limit) = cpu_limit(beside) else { continue };
        let name = name(beside);
        goals.push(below(
            format!("Load {name}: CPU time against alone"),
            limit,
            "times",
            &beside.cpu_ratio,
            3,
        ));
        if beside.setting.quiet {
            continue;
        }
        if beside.setting.load == Load::Opens {
            let what = format!("Load {name}: wall time against alone");
            goals.push(below(what, 2.2, "times", &beside.wall_ratio, 3));
        }
        let what = match beside.setting.load {
            Load::Opens => "every open delivered or counted in a merged line, none lost",
            Load::Tcp => "one line for either end of every connection, none lost",
            _ => continue,
        };
        goals.push(Goal {
            what: format!("Load {name}: {what}"),
            goal: "all runs".into(),
            measured: format!("{} of {} runs", beside.complete_runs, beside.runs),
            met: beside.complete_runs == beside.runs,
        });
    }
    goals
}

/// What a table says of one watcher in one row.
type Cell<'a> = &'a dyn Fn(&Beside) -> String;

/// A table: one column for each of `columns`, one row for each of `rows`, of which the first is the header.
fn table(out: &mut String, columns: &[&Beside], rows: &[(&str, Cell)]) {
    for (number, (name, cell)) in rows.iter().enumerate() {
        let name = if name.is_empty() { " ".to_owned() } else { format!(" {name} ") };
        // Writing to a String cannot fail, here and below.
        let _ = write!(out, "|{name}|");
        for column in columns {
            let _ = write!(out, " {} |", cell(column));
        }
        out.push('\n');
        if number == 0 {
            let _ = writeln!(out, "|---|{}", "---|".repeat(columns.len()));
        }
    }
}

/// The sections on loads.
pub fn sections(loads: &[Beside], out: &mut String) {
    let all: Vec<&Beside> = ours(loads).collect();
    if !all.is_empty() {
        beside_us(&all, out);
    }
    for (load, title, sentence) in [
        (
            Load::Opens,
            "File opens, side by side",
            "bpftrace prints a line when an openat of a file in the directory returns; auditd has a rule for openat and \
             openat2 in the directory.",
        ),
        (
            Load::Tcp,
            "TCP connections, side by side",
            "Both ends are to be recorded, so a connection is two events. bpftrace prints a line when connect, accept or \
             accept4 returns, auditd has rules for the same calls; SentinelEdge reports the end of every flow too, with \
             bytes and duration.",
        ),
    ] {
        let columns: Vec<&Beside> =
            loads.iter().filter(|b| b.setting.load == load && !b.setting.quiet).collect();
        if columns.iter().any(|b| b.setting.watcher != Watcher::Ours) {
            side_by_side(&columns, title, sentence, out);
        }
    }
}

fn beside_us(all: &[&Beside], out: &mut String) {
    out.push_str(
        "\n## Loads beside the agent\n\nEach run with the agent is paired with one without, next to it in time; ratios \
         are within pairs. CPU time is user and system time of the load's processes and their children, with the \
         programs that run in the kernel on their account. Quiet is a configuration in which no sensor needs a program \
         on every system call.\n\n",
    );
    let mut told = Vec::new();
    for beside in all {
        let load = beside.setting.load;
        if !told.contains(&load) {
            told.push(load);
            let _ = writeln!(out, "- {}: {}.", load.name(), load.sentence(beside.operations));
        }
    }
    out.push_str(
        "\n| load | CPU time alone, s | CPU ratio | wall ratio | CPU added, µs an operation | agent's CPU, µs a line | \
         lines | merged | lost | MB written |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for b in all {
        let per_line = if b.setting.events().is_some() { b.line_us.show(1) } else { "-".to_owned() };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {per_line} | {} | {} | {} | {} |",
            name(b),
            b.alone_cpu_s.show(3),
            b.cpu_ratio.show(3),
            b.wall_ratio.show(3),
            b.added_us.show(3),
            b.seen.show(0),
            b.merged.show(0),
            b.lost.show(0),
            b.written_mb.show(1),
        );
    }
    out.push_str(
        "\nMerged are events that a line stands for beside its own. Lines are those of the opens or of both ends of the \
         connections, else all that were written meanwhile.\n",
    );
    classes(all, out);
    configurations(all, out);
}

/// Lines by class: what the agent found worth telling of each load.
fn classes(all: &[&Beside], out: &mut String) {
    out.push_str("\nLines by class, in the last run of each:\n\n");
    for b in all {
        let list: Vec<String> = b
            .classes
            .iter()
            .map(|(class, lines)| format!("{} {lines}", if class.is_empty() { "own records" } else { class }))
            .collect();
        let list = if list.is_empty() { "none".to_owned() } else { list.join(", ") };
        let _ = writeln!(out, "- {}: {list}.", name(b));
    }
}

/// The configurations that were used, each once, with the loads that it was used for.
fn configurations(all: &[&Beside], out: &mut String) {
    let mut used: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for b in all {
        used.entry(b.setting.settings.toml()).or_default().push(name(b));
    }
    out.push_str("\nConfiguration beside paths and ports; what is not named has its default:\n");
    for (toml, loads) in used {
        let _ = write!(out, "\n{}:\n\n```toml\n{toml}```\n", loads.join("; "));
    }
}

fn side_by_side(columns: &[&Beside], title: &str, sentence: &str, out: &mut String) {
    let Some(first) = columns.first() else { return };
    let load = first.setting.load.sentence(first.operations);
    let _ = write!(
        out,
        "\n## {title}\n\nThe load: {load}. {sentence} Lost is what was made and is not accounted for. CPU counts all \
         threads and children of the watcher, and kauditd for auditd.\n\n"
    );
    table(
        out,
        columns,
        &[
            ("", &|b| b.setting.watcher.name().to_owned()),
            ("Version", &|b| b.setting.version.clone()),
            ("CPU time alone, s", &|b| b.alone_cpu_s.show(3)),
            ("CPU ratio of the load", &|b| b.cpu_ratio.show(3)),
            ("Wall time alone, s", &|b| b.alone_wall_s.show(3)),
            ("Wall time ratio", &|b| b.wall_ratio.show(3)),
            ("CPU added to the load, µs an operation", &|b| b.added_us.show(3)),
            ("CPU of the watcher, µs an operation", &|b| b.watcher_us.show(1)),
            ("Events reported", &|b| b.seen.show(0)),
            ("Events counted in those", &|b| b.merged.show(0)),
            ("Events lost", &|b| b.lost.show(0)),
            ("Runs with everything accounted for", &|b| format!("{} of {}", b.complete_runs, b.runs)),
            ("MB written", &|b| b.written_mb.show(1)),
            ("Resident memory after, MB", &|b| b.resident_mb.show(1)),
        ],
    );
}

/// The section on the rungs of the ladder in a guest.
pub fn rungs(costs: &[Cost], out: &mut String) {
    if costs.is_empty() {
        return;
    }
    out.push_str(
        "\n## Rungs in a guest\n\nAn open and a close in a virtual machine, where trampolines are allowed, by the rung of \
         the ladder; the records are taken out of the ring between the timed stretches.\n\n\
         | kernel | rung | open | alone, ns | with the agent's programs, ns | added, ns | records |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for c in costs {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {:.0} | {:.0} | {:.0} | {} |",
            c.kernel,
            c.hook,
            c.open,
            c.base_ns,
            c.ns,
            c.ns - c.base_ns,
            c.records
        );
    }
}
