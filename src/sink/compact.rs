//! Compact lines for people: one event, one line, the same columns.
//!
//! ```text
//! 05:15:07.123 exec alice     1234  /usr/bin/curl -fsSL https://example.org/x       bash‹sshd‹systemd
//! 05:15:07.310 exit alice     1234  /usr/bin/curl  22  187ms                        bash‹sshd‹systemd
//! 05:15:07.311 FAIL alice     1235  /opt/tool  ENOENT                               make‹bash‹sshd‹systemd
//! 05:15:07.312 exec root→deb… 1236  LD_PRELOAD=/tmp/x.so /usr/bin/su -  setuid      bash‹…  docker:3f2a9c1b7d8e
//! 05:15:07.312 RULE alice     1236  high: Preloaded library: su -                   bash‹sshd‹systemd
//! 05:15:07.313 conn alice     1234  /usr/bin/curl  10.0.0.5:40112 → 93.184.216.34:443 tcp  bash‹sshd‹systemd
//! ```
//!
//! Local time, what happened, who and which process, the program with its arguments, how it ended, the parents from
//! the nearest on, the container. If the login user is another than the effective one, both are shown. Where the
//! width is known the arguments are shortened first, then the parents; result and container stay. Foreign text is
//! escaped (`text`), so a hostile name can neither move the cursor nor forge a line.
//!
//! It reads the JSON line and not the event, so that `tail`, `replay` and the terminal show the same.

mod moment;
mod subject;
mod text;
mod view;

use tz::TimeZone;

use text::{Style, Text};
use view::{LossPart, TailPart, UserPart, View};

/// Columns of the time, and of what happened.
const TIME: usize = 12;
const WHAT: usize = 4;
/// The largest pid is 4194304.
const PID: usize = 7;
/// Characters of a container id, as other tools show it.
const CONTAINER: usize = 12;
/// Longest name of a parent; the kernel's own names have 15.
const ANCESTOR: usize = 16;
/// What a command gets before the parents get anything.
const COMMAND: usize = 20;
/// Narrowest line that still makes sense; on a smaller terminal it wraps.
const NARROWEST: usize = 40;

/// Turns lines of ECS JSON into compact ones.
#[derive(Debug)]
pub struct Renderer {
    colours: bool,
    width: Option<usize>,
    zone: TimeZone,
}

/// What is shown of an event, by column.
#[derive(Debug)]
struct Row {
    what: (Style, &'static str),
    who: Text,
    pid: String,
    command: Text,
    result: Text,
    chain: Text,
    container: Text,
}

impl Renderer {
    /// With colours, and shortened to `width` columns if that is given. Times are in the zone of `TZ` or
    /// `/etc/localtime`.
    pub fn new(colours: bool, width: Option<u16>) -> Self {
        let zone = TimeZone::local().unwrap_or_else(|_| TimeZone::utc());
        let mut renderer = Renderer { colours, width: None, zone };
        renderer.set_width(width);
        renderer
    }

    /// The terminal has another width now.
    pub fn set_width(&mut self, width: Option<u16>) {
        self.width = width.map(|width| usize::from(width).max(NARROWEST));
    }

    /// Appends the compact form of `json_line` with a newline to `out`. A line that is no event of ours is shown as
    /// it is, escaped.
    pub fn line(&mut self, json_line: &[u8], out: &mut Vec<u8>) {
        let mut text = match serde_json::from_slice::<View<'_>>(json_line) {
            Ok(view) => self.event(&view),
            Err(_) => {
                let mut text = Text::within(self.width);
                text.push(Style::Dim, String::from_utf8_lossy(json_line).trim_end());
                text
            }
        };
        if let Some(width) = self.width {
            text.shorten(width);
        }
        text.write(self.colours, out);
        out.push(b'\n');
    }

    fn event(&self, view: &View<'_>) -> Text {
        let mut line = Text::within(None);
        let time = moment::parse(&view.timestamp).map(|ns| moment::of_day(ns, &self.zone));
        line.push(Style::Dim, &time.unwrap_or_default());
        line.pad(TIME + 1);
        let (what, says) = if let Some(tail) = &view.sentineledge.tail {
            (Style::Bad, tail_says(tail))
        } else if let Some(loss) = &view.sentineledge.loss {
            (Style::Bad, loss_says(loss))
        } else if view.event.kind == "alert" {
            let mut row = self.row(view);
            row.what = (Style::Bad, "RULE");
            row.command = finding_says(view);
            row.result = Text::within(None);
            self.columns(&mut line, &row);
            return line;
        } else if view.event.kind == "state" || view.process.pid.is_none() {
            (Style::Place, agent_says(view))
        } else {
            self.columns(&mut line, &self.row(view));
            return line;
        };
        line.push(what, if what == Style::Bad { "LOST" } else { "self" });
        line.pad(TIME + WHAT + 2);
        line.push(Style::Plain, &says);
        line
    }

    /// Sets the columns side by side.
    fn columns(&self, line: &mut Text, row: &Row) {
        line.push(row.what.0, row.what.1);
        line.pad(TIME + WHAT + 2);
        let who_columns = self.who_columns();
        let mut who = Text::within(None);
        who.append(&row.who);
        who.shorten(who_columns);
        who.pad(who_columns);
        line.append(&who);
        line.push(Style::Dim, &format!(" {:>PID$}  ", row.pid));
        let mut after = Text::within(None);
        for (i, part) in [&row.chain, &row.container].into_iter().filter(|p| p.columns() > 0).enumerate() {
            if i > 0 {
                after.push(Style::Plain, "  ");
            }
            after.append(part);
        }
        let mut command = Text::within(None);
        command.append(&row.command);
        let gap = if row.result.columns() > 0 { 2 } else { 0 };
        if let Some(width) = self.width {
            let room = width.saturating_sub(line.columns());
            let behind = if after.columns() > 0 { after.columns() + 2 } else { 0 };
            command.shorten(room.saturating_sub(behind + gap + row.result.columns()));
        }
        if gap > 0 {
            command.push(Style::Plain, "  ");
            command.append(&row.result);
        }
        if after.columns() > 0 {
            // The parents begin at the same column on every line whose command leaves room for that.
            let column = self.width.map_or(0, |width| {
                let room = width.saturating_sub(line.columns());
                (room * 3 / 5).min(room.saturating_sub(after.columns() + 2))
            });
            command.pad(column);
            command.push(Style::Plain, "  ");
            command.append(&after);
        }
        line.append(&command);
    }

    fn row(&self, view: &View<'_>) -> Row {
        let (command, result, container) = (self.command(view), result(view), container(view));
        let room = self.width.map(|_| {
            let rest = self.rest();
            let before = command.columns().min(COMMAND) + 2 + result.columns();
            let taken = 2 + if container.columns() > 0 { container.columns() + 2 } else { 0 };
            (rest * 9 / 20).min(rest.saturating_sub(before)).saturating_sub(taken)
        });
        Row {
            what: subject::word(&view.event.action),
            who: who(view),
            pid: view.process.pid.map(|pid| pid.to_string()).unwrap_or_default(),
            command,
            result,
            chain: self.chain(view, room),
            container,
        }
    }

    fn command(&self, view: &View<'_>) -> Text {
        let process = &view.process;
        let mut text = Text::within(self.width);
        let rest = self.rest();
        if !process.env_vars.is_empty() {
            let mut variables = Text::within(self.width);
            for (i, variable) in process.env_vars.iter().enumerate() {
                variables.push(Style::Plain, if i > 0 { " " } else { "" });
                variables.push(Style::Warn, &quoted(variable));
            }
            variables.shorten(rest / 3);
            text.append(&variables);
            text.push(Style::Plain, " ");
        }
        let failed = view.event.action == "exec_failed";
        let asked_for = view.file.as_ref().and_then(|file| file.path.as_deref());
        let runs = process.executable.as_deref().or(process.name.as_deref());
        let program = if failed { asked_for } else { runs }.unwrap_or("?");
        let (directory, name) = program.split_at(program.rfind('/').map_or(0, |slash| slash + 1));
        // On a narrow terminal the name matters more than where it is.
        text.push(Style::Dim, if program.len() > rest / 2 && !name.is_empty() { "…/" } else { directory });
        text.push(Style::Bold, name);
        if let Some(subject) = subject::subject(view, self.width) {
            text.push(Style::Plain, "  ");
            text.append(&subject);
            return text;
        }
        // Those of who tried to run it; what it was to get is not known.
        if failed {
            return text;
        }
        if let Some(called) = process.args.first().map(|arg| arg.trim_start_matches('-')) {
            // python3 may be python3.13, but busybox is what it is called, and malware what it likes to look like.
            if !name.starts_with(called.rsplit('/').next().unwrap_or(called)) {
                text.push(Style::Dim, "(");
                text.push(Style::Plain, called);
                text.push(Style::Dim, ")");
            }
        }
        // The arguments of a new process are still its parent's.
        if view.event.action != "fork" {
            for argument in process.args.iter().skip(1) {
                text.push(Style::Plain, " ");
                text.push(Style::Plain, &quoted(argument));
            }
        }
        text
    }

    /// Parents, nearest first, as many as there is room for.
    fn chain(&self, view: &View<'_>, room: Option<usize>) -> Text {
        let ancestors = &view.sentineledge.ancestors;
        let parent = view.process.parent.as_ref().filter(|_| ancestors.is_empty());
        let parents = parent.into_iter().chain(ancestors).map(|a| a.shown());
        // What could not be run has no process; the first in the chain is who tried.
        let tried = Some(&view.process).filter(|_| view.event.action == "exec_failed");
        let names: Vec<&str> = tried.map(|process| process.shown()).into_iter().chain(parents).collect();
        let mut text = Text::within(None);
        for (i, name) in names.iter().enumerate() {
            let mut next = Text::within(room);
            if i > 0 {
                next.push(Style::Dim, "‹");
            }
            let mut one = Text::within(self.width.map(|_| ANCESTOR));
            one.push(if i == 0 { Style::Calm } else { Style::Dim }, name);
            if self.width.is_some() {
                one.shorten(ANCESTOR);
            }
            next.append(&one);
            let more = usize::from(i + 1 < names.len()) * 2;
            if let Some(room) = room
                && text.columns() + next.columns() + more > room
            {
                if i == 0 {
                    next.shorten(room);
                    text.append(&next);
                } else {
                    text.push(Style::Dim, "‹…");
                }
                break;
            }
            text.append(&next);
        }
        text
    }

    /// Columns behind those that every event has.
    fn rest(&self) -> usize {
        let taken = TIME + WHAT + self.who_columns() + PID + 5;
        self.width.map_or(usize::MAX / 20, |width| width.saturating_sub(taken))
    }

    fn who_columns(&self) -> usize {
        if self.width.is_some_and(|width| width < 100) { 8 } else { 12 }
    }
}

fn who(view: &View<'_>) -> Text {
    let mut text = Text::within(Some(64));
    let effective = view.process.user.as_ref().or(view.user.as_ref());
    let login = view.sentineledge.login.as_ref().and_then(|login| login.user.as_ref());
    let id = |user: Option<&UserPart<'_>>| user.and_then(|user| user.id.as_deref()).map(str::to_owned);
    if let Some(login) = login.filter(|_| id(login) != id(effective)) {
        text.push(Style::Plain, login.shown());
        text.push(Style::Dim, "→");
    }
    if let Some(effective) = effective {
        let root = effective.id.as_deref() == Some("0");
        text.push(if root { Style::Warn } else { Style::Plain }, effective.shown());
    }
    text
}

/// How it ended, and what is strange about the program.
fn result(view: &View<'_>) -> Text {
    let mut text = Text::within(Some(64));
    let mut add = |style, piece: &str| {
        if text.columns() > 0 {
            text.push(Style::Plain, " ");
        }
        text.push(style, piece);
    };
    for (mark, value) in &view.sentineledge.executable {
        if value.as_bool() == Some(true) {
            // sudo and su are everyday, a program that is in no directory is not.
            let everyday = matches!(*mark, "setuid" | "setgid");
            add(if everyday { Style::Warn } else { Style::Bad }, mark);
        }
    }
    if let Some(script) = view.sentineledge.script.as_ref().and_then(|script| script.path.as_deref()) {
        // An interpreter's first argument tells it, unless the script was given through a descriptor.
        if !view.process.args.iter().any(|arg| arg == script) {
            add(Style::Warn, script);
        }
    }
    match &*view.event.action {
        _ if view.event.action == "exec_failed" || view.error.is_some() => {
            let error = view.error.as_ref();
            let code = error.and_then(|error| error.code.as_deref().or(error.message.as_deref()));
            add(Style::Bad, code.unwrap_or("failed"));
        }
        "exit" => {
            let exit = view.sentineledge.exit.as_ref();
            if let Some(signal) = exit.and_then(|exit| exit.signal) {
                let name = exit.and_then(|exit| exit.signal_name.as_deref());
                add(Style::Bad, &name.map_or_else(|| format!("signal {signal}"), str::to_owned));
                if exit.is_some_and(|exit| exit.core_dumped) {
                    add(Style::Bad, "core");
                }
            } else if let Some(code) = view.process.exit_code {
                add(if code == 0 { Style::Dim } else { Style::Warn }, &code.to_string());
            }
            let at = |text: &Option<_>| text.as_deref().and_then(moment::parse);
            if let (Some(start), Some(end)) = (at(&view.process.start), at(&view.process.end)) {
                add(Style::Dim, &moment::duration((end - start).max(0)));
            }
        }
        _ => {}
    }
    text
}

fn container(view: &View<'_>) -> Text {
    let mut text = Text::within(Some(40));
    if let Some(container) = &view.container {
        if let Some(runtime) = &container.runtime {
            text.push(Style::Place, runtime);
            text.push(Style::Dim, ":");
        }
        let id = container.id.as_deref().unwrap_or("?");
        text.push(Style::Place, id.get(..CONTAINER).unwrap_or(id));
    }
    text
}

/// Counts by class, most first.
fn loss_says(loss: &LossPart<'_>) -> String {
    let total = loss.events;
    let mut classes: Vec<_> = loss.classes.iter().collect();
    classes.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    let classes: Vec<String> = classes.iter().map(|(class, n)| format!("{n} {class}")).collect();
    let place = loss.sink.as_deref().map(|sink| format!(" in the {sink} sink")).unwrap_or_default();
    let reason = loss.reason.as_deref().unwrap_or("unknown");
    format!("{total} events are missing{place}: {} ({reason})", classes.join(", "))
}

fn tail_says(tail: &TailPart) -> String {
    match (&tail.error, tail.cut, tail.missed) {
        (Some(error), ..) => format!("the agent refused: {error}"),
        (None, true, missed) => {
            format!("cut off for reading too slowly; {} events missed", missed.unwrap_or(0))
        }
        (None, false, missed) => format!("{} events missed", missed.unwrap_or(0)),
    }
}

/// What a finding says: how bad it is, of which rule and about what, and how often if it stands for several.
fn finding_says(view: &View<'_>) -> Text {
    let mut text = Text::within(None);
    let finding = view.sentineledge.finding.as_ref();
    if let Some(level) = finding.map(|finding| &*finding.level).filter(|level| !level.is_empty()) {
        text.push(Style::Bad, level);
        text.push(Style::Plain, ": ");
    }
    text.push(Style::Plain, view.message.as_deref().unwrap_or_default());
    if let Some(count) = finding.map(|finding| finding.count).filter(|count| *count > 1) {
        text.push(Style::Warn, &format!("  {count} times"));
    }
    text
}

fn agent_says(view: &View<'_>) -> String {
    if let Some(message) = &view.message {
        return message.clone().into_owned();
    }
    let version = view.agent.as_ref().and_then(|agent| agent.version.as_deref());
    match (&*view.event.action, version) {
        ("agent_started", Some(version)) => format!("the agent has started, version {version}"),
        ("agent_started", None) => "the agent has started".to_owned(),
        ("agent_stopped", _) => "the agent has stopped".to_owned(),
        (other, _) => other.to_owned(),
    }
}

/// As a shell would need it, so that one argument looks like one.
fn quoted(argument: &str) -> std::borrow::Cow<'_, str> {
    let harmless = |c: char| !c.is_whitespace() && !"'\"$`\\|&;<>()*?[]#~!{}".contains(c);
    if !argument.is_empty() && argument.chars().all(harmless) {
        argument.into()
    } else if argument.contains('\'') && !argument.contains(['"', '$', '`', '\\', '!']) {
        format!("\"{argument}\"").into()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''")).into()
    }
}

#[cfg(test)]
mod tests;
