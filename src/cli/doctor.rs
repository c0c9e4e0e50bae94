//! `sentinel-edge doctor`: can this host run the agent, what would each sensor use, and what to do about the rest.
//!
//! Renders lines and decides the exit code. The lines on kernel and sensors come from [`host`], those on the
//! configuration from [`check`](crate::config::check).

pub mod host;
mod sensors;

use std::fmt::Write as _;

use clap::Args;
use serde_json::json;

use super::exit::Exit;
use super::{Global, agent, plural, print, refuse};
use crate::config::check::{self, Finding, Severity};
use crate::config::profile;
use crate::config::{DEFAULT_PATH, Host, Resolved};

/// Arguments of `doctor`.
#[derive(Debug, Clone, Default, Args)]
pub struct Arguments {
    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

/// How a line turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// The agent runs, with less than it could have.
    Warn,
    /// The agent cannot run; the kind of reason.
    Fail(Exit),
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What was looked at, in a word or two: `kernel`, `lockdown`, `sensor exec`.
    pub name: String,
    /// How it turned out.
    pub verdict: Verdict,
    /// What was found.
    pub detail: String,
    /// What to do; `None` if there is nothing.
    pub remedy: Option<String>,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail(_) => "fail",
        }
    }

    /// SGR parameters.
    fn colour(self) -> &'static str {
        match self {
            Verdict::Ok => "32",
            Verdict::Warn => "33",
            Verdict::Fail(_) => "1;31",
        }
    }
}

/// Looks at everything and prints it.
pub fn execute(global: &Global, arguments: &Arguments) -> Exit {
    let resolved = match global.load(None) {
        Ok(resolved) => resolved,
        Err(errors) => return refuse(&errors),
    };
    let mut lines = agent::doctor(&resolved.kernel);
    lines.extend(configuration(&resolved));
    let text = if arguments.json { json(&lines) } else { render(&lines, Host::detect().colour) };
    match print(&text) {
        Exit::Ok => outcome(&lines),
        other => other,
    }
}

/// The exit code: that of the kernel if it lacks something, as nothing that the user could be granted helps against
/// it, then that of a missing privilege, from which the others may follow.
fn outcome(lines: &[Line]) -> Exit {
    let has = |exit: &Exit| lines.iter().any(|line| line.verdict == Verdict::Fail(*exit));
    let order = [Exit::KernelSupport, Exit::Privilege];
    let first = lines.iter().find_map(|line| match line.verdict {
        Verdict::Fail(exit) => Some(exit),
        _ => None,
    });
    order.into_iter().find(has).or(first).unwrap_or(Exit::Ok)
}

/// Which profile is in effect, and the size of this host.
fn profile(resolved: &Resolved, host: &Host) -> String {
    let named = resolved.settings.find("core", "profile").map(|setting| setting.value.to_string());
    let named = named.unwrap_or_default();
    let mib = host.memory_bytes >> 20;
    let size = profile::size_of(host);
    format!("{}; this host is {size}: {} CPUs, {mib} MiB", named.trim_matches('"'), host.online_cpus)
}

fn configuration(resolved: &Resolved) -> Vec<Line> {
    let detail = match &resolved.source {
        Some(path) => path.display().to_string(),
        None => format!("no {DEFAULT_PATH}, the defaults hold"),
    };
    let mut lines = vec![
        Line { name: "configuration".to_owned(), verdict: Verdict::Ok, detail, remedy: None },
        Line {
            name: "profile".to_owned(),
            verdict: Verdict::Ok,
            detail: profile(resolved, &Host::detect()),
            remedy: None,
        },
    ];
    let warn = |detail: String| Line {
        name: "configuration".to_owned(),
        verdict: Verdict::Warn,
        detail,
        remedy: None,
    };
    lines.extend(resolved.warnings.iter().cloned().map(warn));
    lines.extend(check::host(resolved).into_iter().map(|Finding { severity, about, message }| {
        let (detail, remedy) = match message.split_once("; ") {
            Some((detail, remedy)) => (detail.to_owned(), Some(remedy.to_owned())),
            None => (message, None),
        };
        let verdict = match severity {
            Severity::Warning => Verdict::Warn,
            Severity::Error => Verdict::Fail(Exit::Configuration),
        };
        Line { name: "configuration".to_owned(), verdict, detail: format!("{about}: {detail}"), remedy }
    }));
    lines
}

/// Aligned lines and a last one that says whether the agent can run.
fn render(lines: &[Line], colour: bool) -> String {
    let width = lines.iter().map(|line| line.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for Line { name, verdict, detail, remedy } in lines {
        let word = format!("{:4}", verdict.word());
        let word = if colour { format!("\x1b[{}m{word}\x1b[0m", verdict.colour()) } else { word };
        // Writing to a string does not fail, here and below.
        let _ = writeln!(out, "{word}  {name:width$}  {detail}");
        if let Some(remedy) = remedy {
            let _ = writeln!(out, "      {:width$}  -> {remedy}", "");
        }
    }
    let count = |word: &str| lines.iter().filter(|line| line.verdict.word() == word).count();
    let (failed, warned) = (count("fail"), count("warn"));
    let warned = format!("{warned} {}", plural(warned, "warning"));
    let _ = match failed {
        0 => writeln!(out, "\nThe agent can run here; {warned}."),
        _ => writeln!(out, "\nThe agent cannot run here: {failed} {}, {warned}.", plural(failed, "failure")),
    };
    out
}

fn json(lines: &[Line]) -> String {
    let exit = outcome(lines);
    let lines: Vec<_> = lines
        .iter()
        .map(|line| {
            let Line { name, verdict, detail, remedy } = line;
            json!({ "name": name, "verdict": verdict.word(), "detail": detail, "remedy": remedy })
        })
        .collect();
    format!("{:#}\n", json!({ "can_run": exit == Exit::Ok, "exit_code": exit.code(), "lines": lines }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, verdict: Verdict, remedy: Option<&str>) -> Line {
        Line { name: name.into(), verdict, detail: "found".into(), remedy: remedy.map(str::to_owned) }
    }

    #[test]
    fn lines_are_aligned_and_summed_up() {
        let lines = [
            line("kernel", Verdict::Ok, None),
            line("cgroup v2", Verdict::Warn, Some("mount it")),
            line("capabilities", Verdict::Fail(Exit::Privilege), Some("run as root")),
        ];
        let expected = "\
ok    kernel        found
warn  cgroup v2     found
                    -> mount it
fail  capabilities  found
                    -> run as root

The agent cannot run here: 1 failure, 1 warning.
";
        assert_eq!(render(&lines, false), expected);
        assert!(render(&lines[..1], false).ends_with("\nThe agent can run here; 0 warnings.\n"));
        assert!(render(&lines, true).contains("\x1b[1;31mfail\x1b[0m  capabilities"));
    }

    #[test]
    fn the_exit_code_names_what_has_to_be_mended_first() {
        let lines = [
            line("configuration", Verdict::Fail(Exit::Configuration), None),
            line("capabilities", Verdict::Fail(Exit::Privilege), None),
            line("BTF", Verdict::Fail(Exit::KernelSupport), None),
        ];
        assert_eq!(outcome(&lines), Exit::KernelSupport);
        assert_eq!(outcome(&lines[..2]), Exit::Privilege);
        assert_eq!(outcome(&lines[..1]), Exit::Configuration);
        assert_eq!(outcome(&[]), Exit::Ok);
    }
}
