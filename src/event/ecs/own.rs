//! The agent's records about itself: that it started, that it stopped, what it lost and what it could not place.
//!
//! They carry no sequence number, so that those of the events stay without gaps in every sink.

use super::Frame;
use crate::event::json::{Key, Object, key};
use crate::event::{Host, Kind};

/// A number of events that a sink could not write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The sink.
    pub sink: &'static str,
    /// Why, as in the metric's label.
    pub reason: &'static str,
    /// Losses by class; classes that lost nothing are left out.
    pub classes: Vec<(Kind, u64)>,
    /// Where the kernel skipped runs of programs: which and how many. Those of programs that report one class are in the
    /// losses by class; of the others nobody knows what they would have told.
    pub runs: Vec<(&'static str, u64)>,
    /// Sequence numbers of the first and the last of them, if they had any.
    pub sequences: Option<(u64, u64)>,
    /// Kernel times of the first and the last of them, boot clock.
    pub times_ns: (u64, u64),
}

fn record(
    frame: &Frame,
    wall_ns: u64,
    action: &str,
    outcome: &str,
    message: &str,
    out: &mut Vec<u8>,
    own: impl FnOnce(&mut Object<'_>),
) {
    let mut o = Object::begin(out);
    o.time(key!("@timestamp"), wall_ns);
    o.text(key!("message"), message.as_bytes());
    o.object(key!("event"), |o| {
        o.plain(key!("kind"), b"state");
        o.texts(key!("category"), [&b"host"[..]]);
        o.texts(key!("type"), [&b"info"[..]]);
        o.plain(key!("action"), action.as_bytes());
        o.plain(key!("outcome"), outcome.as_bytes());
        o.plain(key!("module"), b"sentineledge");
        o.plain(key!("dataset"), b"sentineledge.agent");
        o.time(key!("created"), wall_ns);
    });
    o.object(key!("sentineledge"), own);
    o.end();
    out.pop();
    out.push(b',');
    out.extend_from_slice(&frame.constant);
    out.extend_from_slice(b"}\n");
}

/// A sensor in the record of the start.
#[derive(Debug, Clone, Copy)]
pub struct Sensor<'a> {
    /// The program's name.
    pub program: &'a str,
    /// Where it is attached, or would be.
    pub hook: &'a str,
    /// Where its fields come from.
    pub grade: &'a str,
    /// Classes that it reports.
    pub classes: &'a [&'static str],
    /// Why it is missing.
    pub missing: Option<&'a str>,
    /// What is limited.
    pub remark: Option<&'a str>,
}

/// A class in the record of the start.
#[derive(Debug, Clone, Copy)]
pub struct Class<'a> {
    /// The class.
    pub kind: Kind,
    /// The rung of the ladder that it is seen on; `None`: not at all.
    pub level: Option<&'a str>,
    /// Where the programs are that see it.
    pub hooks: &'a [&'static str],
    /// Where its fields come from.
    pub grade: &'a str,
    /// Why it, or a part of it, is not seen.
    pub missing: Option<&'a str>,
    /// What is limited.
    pub remark: Option<&'a str>,
}

/// The agent runs and its probes are attached. Tells the facts about the host that would only swell every event.
pub fn started<'a>(
    frame: &Frame,
    host: &Host,
    wall_ns: u64,
    sensors: impl Iterator<Item = Sensor<'a>>,
    classes: impl Iterator<Item = Class<'a>>,
    previous_run: &str,
    out: &mut Vec<u8>,
) {
    record(frame, wall_ns, "agent_started", "success", "the agent watches this host", out, |o| {
        o.text(key!("previous_run"), previous_run.as_bytes());
        o.object(key!("host"), |o| {
            o.text(key!("architecture"), host.architecture.as_bytes());
            o.text(key!("kernel"), host.kernel.as_bytes());
            if let Some(name) = &host.os_name {
                o.text(key!("os_name"), name.as_bytes());
            }
            if let Some(version) = &host.os_version {
                o.text(key!("os_version"), version.as_bytes());
            }
            o.texts(key!("ip"), host.ip.iter().map(|ip| ip.as_bytes()));
        });
        o.objects(key!("sensors"), sensors, |sensor, o| {
            o.text(key!("program"), sensor.program.as_bytes());
            o.text(key!("hook"), sensor.hook.as_bytes());
            o.text(key!("grade"), sensor.grade.as_bytes());
            o.texts(key!("classes"), sensor.classes.iter().map(|class| class.as_bytes()));
            o.boolean(key!("attached"), sensor.missing.is_none());
            if let Some(reason) = sensor.missing {
                o.text(key!("reason"), reason.as_bytes());
            }
            if let Some(remark) = sensor.remark {
                o.text(key!("remark"), remark.as_bytes());
            }
        });
        o.objects(key!("classes"), classes, |class, o| {
            o.plain(key!("class"), class.kind.name().as_bytes());
            o.boolean(key!("seen"), class.level.is_some());
            if let Some(level) = class.level {
                o.plain(key!("level"), level.as_bytes());
                o.plain(key!("grade"), class.grade.as_bytes());
            }
            o.texts(key!("hooks"), class.hooks.iter().map(|hook| hook.as_bytes()));
            if let Some(reason) = class.missing {
                o.text(key!("reason"), reason.as_bytes());
            }
            if let Some(remark) = class.remark {
                o.text(key!("remark"), remark.as_bytes());
            }
        });
    });
}

/// The agent stops; from here on nothing is watched.
pub fn stopped(frame: &Frame, wall_ns: u64, reason: &str, last_sequence: u64, out: &mut Vec<u8>) {
    record(frame, wall_ns, "agent_stopped", "success", "the agent stops watching this host", out, |o| {
        o.text(key!("reason"), reason.as_bytes());
        o.number(key!("last_sequence"), last_sequence);
    });
}

/// Events that were merged in the kernel and whose first one, which they would be told with, was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merged {
    /// Their class.
    pub class: Kind,
    /// How many.
    pub count: u64,
    /// The process.
    pub pid: u32,
    /// Inode number of what they are about; 0 where there is none.
    pub inode: u64,
    /// Boot clock times of the first, which was lost and is not counted here, and of the last.
    pub times_ns: (u64, u64),
}

/// Events happened that no line of their own tells of. `others` are those that were too many to be told one by one.
pub fn merged(frame: &Frame, wall_ns: u64, each: &[Merged], others: &[(Kind, u64)], out: &mut Vec<u8>) {
    let count_of = |kind: Kind| -> u64 {
        let each = each.iter().filter(|merged| merged.class == kind).map(|merged| merged.count);
        let others = others.iter().filter(|(class, _)| *class == kind).map(|(_, count)| *count);
        each.chain(others).sum()
    };
    let classes: Vec<(Kind, u64)> =
        Kind::ALL.iter().map(|kind| (*kind, count_of(*kind))).filter(|(_, count)| *count > 0).collect();
    let total: u64 = classes.iter().map(|(_, count)| count).sum();
    let message = format!("{total} events were merged into others that were lost");
    record(frame, wall_ns, "events_merged", "success", &message, out, |o| {
        o.object(key!("merges"), |o| {
            o.number(key!("events"), total);
            o.object(key!("classes"), |o| {
                classes.iter().for_each(|(kind, count)| o.number(Key::of_kind(*kind), *count));
            });
            o.objects(key!("each"), each.iter(), |merged, o| {
                o.plain(key!("class"), merged.class.name().as_bytes());
                o.number(key!("pid"), u64::from(merged.pid));
                if merged.inode != 0 {
                    o.digits(key!("inode"), merged.inode);
                }
                o.number(key!("events"), merged.count);
                o.time(key!("first_time"), frame.wall(merged.times_ns.0));
                o.time(key!("last_time"), frame.wall(merged.times_ns.1));
            });
        });
    });
}

/// Events are missing in this sink.
pub fn gap(frame: &Frame, wall_ns: u64, gap: &Gap, out: &mut Vec<u8>) {
    let total: u64 = gap.classes.iter().map(|(_, n)| n).sum();
    let runs: u64 = gap.runs.iter().map(|(_, n)| n).sum();
    let message = match runs.saturating_sub(total) {
        0 => format!("{total} events are missing here: {}", gap.reason),
        more => {
            format!("{total} events are missing here, and up to {more} of unknown classes: {}", gap.reason)
        }
    };
    record(frame, wall_ns, "events_lost", "failure", &message, out, |o| {
        o.object(key!("loss"), |o| {
            o.plain(key!("sink"), gap.sink.as_bytes());
            o.plain(key!("reason"), gap.reason.as_bytes());
            o.number(key!("events"), total);
            o.object(key!("classes"), |o| {
                gap.classes.iter().for_each(|(kind, n)| o.number(Key::of_kind(*kind), *n))
            });
            if !gap.runs.is_empty() {
                o.objects(key!("programs"), &gap.runs, |(program, runs), o| {
                    o.plain(key!("program"), program.as_bytes());
                    o.number(key!("runs"), *runs);
                });
            }
            if let Some((first, last)) = gap.sequences {
                o.number(key!("first_sequence"), first);
                o.number(key!("last_sequence"), last);
            }
            o.time(key!("first_time"), frame.wall(gap.times_ns.0));
            o.time(key!("last_time"), frame.wall(gap.times_ns.1));
        });
    });
}
