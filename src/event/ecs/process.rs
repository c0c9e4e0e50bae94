//! The `process` object, for every kind that has an acting task.

use super::image::Arguments;
use super::notes::Notes;
use super::{Context, Frame, Names, group, names, user};
use crate::event::json::{Object, key};
use crate::event::process::{Image, Process, base_name};
use crate::event::{Body, Event, Exit, Task};

/// Writes `"process":{...}`.
pub(super) fn write(
    o: &mut Object<'_>,
    event: &Event<'_>,
    task: &Task<'_>,
    context: &Context,
    frame: &Frame,
    names: &dyn Names,
    notes: &mut Notes,
) {
    o.object(key!("process"), |o| {
        o.number(key!("pid"), u64::from(task.pid));
        if let Some(process) = &context.process {
            o.plain(key!("entity_id"), &process.entity_id.hex());
        }
        if task.ns_pid != 0 {
            o.number(key!("vpid"), u64::from(task.ns_pid));
        }
        match &event.body {
            Body::Exec(exec) => {
                notes.text(o, "process.name", key!("name"), base_name(exec.program.executable));
                notes.text(o, "process.executable", key!("executable"), exec.program.executable);
                Arguments::of_exec(exec).write(o, notes, "process.args", Some("process.command_line"));
                notes.text(o, "process.working_directory", key!("working_directory"), exec.program.cwd);
                env_vars(o, exec.env, &frame.env_allow, notes);
            }
            _ => match &context.process {
                Some(process) => {
                    known_image(o, &process.image, task, matches!(event.body, Body::Fork(_)), notes)
                }
                None => notes.text(o, "process.name", key!("name"), task.comm),
            },
        }
        o.time(key!("start"), frame.wall(task.start_ns));
        if let Body::Exit(exit) = &event.body {
            o.time(key!("end"), frame.wall(event.time_ns));
            if exit.signal().is_none() {
                o.number(key!("exit_code"), u64::from(exit.code()));
            }
        }
        // A child is interactive if its parent is; its exit or first exec says it again.
        if !matches!(event.body, Body::Fork(_))
            && let Some(interactive) = context.is_interactive(task)
        {
            o.boolean(key!("interactive"), interactive);
        }
        if let Some((major, minor)) = task.tty {
            o.object(key!("tty"), |o| {
                o.object(key!("char_device"), |o| {
                    o.number(key!("major"), u64::from(major));
                    o.number(key!("minor"), u64::from(minor));
                });
            });
        }
        let in_full = matches!(event.body, Body::Exec(_) | Body::ExecFailed(_));
        parent(o, task, context.parent.as_deref(), in_full, frame, notes);
        o.object(key!("thread"), |o| {
            o.number(key!("id"), u64::from(task.tid));
            notes.text(o, "process.thread.name", key!("name"), task.comm);
            if matches!(event.body, Body::Exec(_)) {
                capabilities(o, task);
            }
        });
        user(o, key!("user"), task.euid, names);
        user(o, key!("real_user"), task.uid, names);
        group(o, key!("real_group"), task.gid, names);
        if !task.brief {
            user(o, key!("saved_user"), task.suid, names);
            group(o, key!("saved_group"), task.sgid, names);
        }
        if task.sid != 0 {
            o.object(key!("session_leader"), |o| {
                o.number(key!("pid"), u64::from(task.sid));
                if let Some(id) = context.session_leader {
                    o.plain(key!("entity_id"), &id.hex());
                }
            });
        }
        if task.pgid != 0 {
            o.object(key!("group_leader"), |o| o.number(key!("pid"), u64::from(task.pgid)));
        }
    });
}

/// The sets of the exec by name; `sentineledge.capabilities` has those of every event, as bits. For a root user
/// with all that there is to have, the list would be a third of the line and say no more than the user does.
fn capabilities(o: &mut Object<'_>, task: &Task<'_>) {
    let is_none = task.cap_effective == 0 && task.cap_permitted == 0;
    let is_all = task.euid == 0 && task.cap_effective == task.cap_bounding;
    if is_none || is_all {
        return;
    }
    o.object(key!("capabilities"), |o| {
        o.texts(key!("effective"), names::capabilities(task.cap_effective).map(str::as_bytes));
        // The permitted set is nearly always the same; saying it twice would double the line.
        if task.cap_permitted != task.cap_effective {
            o.texts(key!("permitted"), names::capabilities(task.cap_permitted).map(str::as_bytes));
        }
    });
}

/// What the table knows of the program that runs. The exec event has told its command line; an exit repeats the
/// arguments, a fork nothing of it, since the child runs what its parent, named beside, runs.
fn known_image(o: &mut Object<'_>, image: &Image, task: &Task<'_>, is_fork: bool, notes: &mut Notes) {
    let name = if image.executable.is_empty() { task.comm } else { image.name() };
    notes.text(o, "process.name", key!("name"), name);
    if image.executable.starts_with(b"/") && !image.kernel_thread {
        notes.text(o, "process.executable", key!("executable"), &image.executable);
        notes.cut("process.executable", image.executable_cut);
    }
    if !is_fork {
        Arguments::of_image(image).write(o, notes, "process.args", None);
    }
}

/// The parent; with its arguments only where `in_full`, which is for execs.
fn parent(
    o: &mut Object<'_>,
    task: &Task<'_>,
    parent: Option<&Process>,
    in_full: bool,
    frame: &Frame,
    notes: &mut Notes,
) {
    if task.ppid == 0 {
        return;
    }
    o.object(key!("parent"), |o| {
        o.number(key!("pid"), u64::from(task.ppid));
        let Some(parent) = parent else { return };
        o.plain(key!("entity_id"), &parent.entity_id.hex());
        if !parent.image.executable.is_empty() {
            notes.text(o, "process.parent.name", key!("name"), parent.image.name());
            // Of a program that nobody told of only the short name is known, which is no path.
            if parent.image.executable.starts_with(b"/") && !parent.image.kernel_thread {
                notes.cut("process.parent.executable", parent.image.executable_cut);
                notes.text(o, "process.parent.executable", key!("executable"), &parent.image.executable);
            }
        }
        if in_full {
            let command_line = Some("process.parent.command_line");
            Arguments::of_image(&parent.image).write(o, notes, "process.parent.args", command_line);
        }
        o.time(key!("start"), frame.wall(parent.start_ns));
    });
}

/// Variables of the allow-list; `LD_*` in the list stands for every name that begins so.
fn env_vars(o: &mut Object<'_>, env: &[u8], allow: &[String], notes: &mut Notes) {
    let allowed = |variable: &&[u8]| {
        let name = variable.split(|&b| b == b'=').next().unwrap_or_default();
        allow.iter().any(|a| match a.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix.as_bytes()),
            None => name == a.as_bytes(),
        })
    };
    let mut shown = env.split(|&b| b == 0).filter(allowed).peekable();
    if shown.peek().is_some() {
        let valid = o.texts(key!("env_vars"), shown);
        notes.valid("process.env_vars", valid);
    }
}

/// How the process ended and what it used.
pub(super) fn exit(o: &mut Object<'_>, exit: &Exit<'_>) {
    o.object(key!("exit"), |o| {
        if let Some(signal) = exit.signal() {
            o.number(key!("signal"), u64::from(signal));
            if let Some(name) = names::signal(signal) {
                o.plain(key!("signal_name"), name.as_bytes());
            }
            o.boolean(key!("core_dumped"), exit.core_dumped());
        }
        o.number(key!("cpu_ns"), exit.cpu_ns);
        o.number(key!("user_ns"), exit.utime_ns);
        o.number(key!("system_ns"), exit.stime_ns);
        o.number(key!("max_rss_bytes"), exit.max_rss_bytes);
    });
}
