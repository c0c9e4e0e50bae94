//! `sentinel-edge check-config`: is the configuration right, on this host and for this user; and what is in effect.

use std::fmt::Write as _;

use clap::Args;
use serde_json::{Value as Json, json};

use super::exit::Exit;
use super::{Global, complain, plural, print, refuse};
use crate::config::check::{self, Finding, Severity};
use crate::config::value::Value;
use crate::config::{DEFAULT_PATH, Errors, Place, Resolved, Setting};

/// Arguments of `check-config`.
#[derive(Debug, Clone, Default, Args)]
pub struct Arguments {
    /// Print every value in effect and where it comes from
    #[arg(long)]
    pub show: bool,
    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

/// Checks, says what it found, and with `--show` what is in effect.
pub fn execute(global: &Global, arguments: &Arguments) -> Exit {
    match global.load(None) {
        Ok(resolved) => {
            let findings = check::host(&resolved);
            let failed = findings.iter().any(|f| f.severity == Severity::Error);
            let printed = if arguments.json {
                print(&format!("{:#}\n", answer(&resolved, &findings, arguments.show)))
            } else {
                tell(&resolved, &findings, arguments.show)
            };
            if failed { Exit::Configuration } else { printed }
        }
        Err(errors) if arguments.json => {
            let printed = print(&format!("{:#}\n", refusal(&errors)));
            match printed {
                Exit::Ok if errors.is_permission() => Exit::Privilege,
                Exit::Ok => Exit::Configuration,
                other => other,
            }
        }
        Err(errors) => refuse(&errors),
    }
}

fn tell(resolved: &Resolved, findings: &[Finding], show: bool) -> Exit {
    if show && print(&shown(resolved)) != Exit::Ok {
        return Exit::Runtime;
    }
    for warning in &resolved.warnings {
        complain(format_args!("warning: {warning}"));
    }
    for Finding { severity, about, message } in findings {
        let severity = if *severity == Severity::Error { "error" } else { "warning" };
        complain(format_args!("{severity}: {about}: {message}"));
    }
    let errors = findings.iter().filter(|f| f.severity == Severity::Error).count();
    if errors > 0 {
        let errors = format!("{errors} {}", plural(errors, "error"));
        complain(format_args!("sentinel-edge: {errors} on this host, checked as {}", check::user()));
        return Exit::Configuration;
    }
    if show {
        return Exit::Ok;
    }
    let subject = match &resolved.source {
        Some(path) => format!("{} is right", path.display()),
        None => format!("there is no {DEFAULT_PATH}, the defaults hold and are right"),
    };
    print(&format!("{subject} (checked as {})\n", check::user()))
}

/// Every value in effect with its origin, in the form of a configuration file.
fn shown(resolved: &Resolved) -> String {
    let lines: Vec<(&Setting, String)> = resolved.settings.iter().map(|s| (s, assignment(s))).collect();
    let first = |line: &str| line.lines().next().map_or(0, str::len);
    let width = lines.iter().map(|(_, line)| first(line)).max().unwrap_or(0);
    let mut out = String::new();
    let mut section = "";
    for (setting, text) in &lines {
        if setting.key.section != section {
            let gap = if section.is_empty() { "" } else { "\n" };
            section = setting.key.section;
            // Writing to a string does not fail, here and below.
            let _ = writeln!(out, "{gap}[{section}]");
        }
        let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
        let _ = writeln!(out, "{line:width$}  # {}", origin(setting));
        out.push_str(rest);
    }
    out
}

/// Names on a line of a long list.
const NAMES_ON_A_LINE: usize = 6;

/// `key = value`; a long list on several lines.
fn assignment(setting: &Setting) -> String {
    let Setting { key, value, .. } = setting;
    match value {
        Value::Names(names) if names.len() > NAMES_ON_A_LINE => {
            let mut out = format!("{} = [\n", key.name);
            for names in names.chunks(NAMES_ON_A_LINE) {
                let list = Value::Names(names.to_vec()).to_string();
                let _ = writeln!(out, "    {},", list.trim_matches(['[', ']']));
            }
            out + "]\n"
        }
        _ => format!("{} = {value}", key.name),
    }
}

fn origin(setting: &Setting) -> String {
    match setting.named {
        Some(key) if key.section == setting.key.section => format!("{}, as {}", setting.place, key.name),
        Some(key) => format!("{}, as {key}", setting.place),
        None => setting.place.to_string(),
    }
}

fn answer(resolved: &Resolved, findings: &[Finding], show: bool) -> Json {
    let findings: Vec<Json> = findings
        .iter()
        .map(|Finding { severity, about, message }| {
            let severity = if *severity == Severity::Error { "error" } else { "warning" };
            json!({ "severity": severity, "about": about, "message": message })
        })
        .collect();
    let valid = findings.iter().all(|f| f["severity"] != "error");
    let mut answer = json!({
        "valid": valid,
        "file": resolved.source,
        "user": check::user(),
        "hash": resolved.hash(),
        "warnings": resolved.warnings,
        "findings": findings,
    });
    if show {
        answer["settings"] = resolved
            .settings
            .iter()
            .map(|s| {
                let key = s.key;
                json!({ "section": key.section, "key": key.name, "value": plain(s), "origin": origin(s) })
            })
            .collect();
    }
    answer
}

/// The value as JSON has it.
fn plain(setting: &Setting) -> Json {
    match &setting.value {
        Value::Switch(b) => json!(b),
        Value::Whole(n) => json!(n),
        Value::Port(n) => json!(n),
        Value::Bytes(n) => json!(n),
        Value::Text(s) => json!(s),
        Value::Ip(ip) => json!(ip),
        Value::Address(address) => json!(address),
        Value::Names(names) => json!(names),
        Value::Ports(ports) => json!(ports),
    }
}

fn refusal(errors: &Errors) -> Json {
    let errors: Vec<Json> = errors
        .iter()
        .map(|error| {
            let (file, line) = match &error.place {
                Place::File { path, line } => (Some(path), Some(*line).filter(|line| *line != 0)),
                _ => (None, None),
            };
            json!({
                "place": error.place.to_string(),
                "file": file,
                "line": line,
                "key": error.key,
                "message": error.problem.to_string(),
            })
        })
        .collect();
    json!({ "valid": false, "errors": errors })
}
