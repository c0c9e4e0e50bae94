//! Events as lines of Elastic Common Schema 8.
//!
//! A line is one JSON object and a newline, written in one pass from the decoded event and its [`Context`].
//! ECS fields are used wherever ECS has one; everything else is under `sentineledge.*`. What was cut, and what
//! was not UTF-8, is named in the line itself. What never changes (host, agent) is rendered once, in [`Frame`].
//!
//! The order of fields is fixed, so equal input gives equal bytes; golden tests rely on it.

mod image;
pub mod names;
mod notes;
pub mod own;
mod process;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::json::{self, Key, Object, key};
use super::process::{Container, EntityId, Process};
use super::{Body, Event, Host, Kind, Task};
use notes::Notes;

/// The version of ECS that the lines follow.
pub const ECS_VERSION: &str = "8.11.0";

/// Names of users and groups, without ever waiting for one.
pub trait Names {
    /// The user's name, if it is known by now.
    fn user(&self, uid: u32) -> Option<Arc<str>>;
    /// The group's name, if it is known by now.
    fn group(&self, gid: u32) -> Option<Arc<str>>;
}

/// What the record does not say itself.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Position among all events of this boot, without gaps.
    pub sequence: u64,
    /// The acting process after the event, if the table knows it.
    pub process: Option<Arc<Process>>,
    /// Its real parent at the event.
    pub parent: Option<Arc<Process>>,
    /// Its session's leader.
    pub session_leader: Option<EntityId>,
    /// Its container.
    pub container: Option<Arc<Container>>,
    /// Path of its control group.
    pub cgroup_path: Option<Arc<str>>,
}

/// What is the same for all lines of a batch, or of a run.
#[derive(Debug, Clone)]
pub struct Frame {
    /// `"host":{...},"agent":{...}` without the braces around.
    constant: Arc<[u8]>,
    /// In the order of [`Kind::ALL`].
    kinds: Arc<[KindTexts; Kind::COUNT]>,
    /// Add to the boot clock to get wall time.
    pub wall_offset_ns: i64,
    /// Wall time at which the batch was read; 0 in a replay, where it means nothing.
    pub created_ns: u64,
    /// Environment variables to show.
    pub env_allow: Arc<[String]>,
    /// Ancestors to show, the nearest ones.
    pub ancestors: u16,
}

impl Frame {
    /// Renders what is constant.
    pub fn new(host: &Host, env_allow: Arc<[String]>, ancestors: u16) -> Self {
        let mut constant = Vec::new();
        let mut o = Object::begin(&mut constant);
        o.object(key!("ecs"), |o| o.plain(key!("version"), ECS_VERSION.as_bytes()));
        o.object(key!("host"), |o| {
            o.text(key!("name"), host.name.as_bytes());
            o.text(key!("hostname"), host.hostname.as_bytes());
            if let Some(id) = &host.id {
                o.text(key!("id"), id.as_bytes());
            }
            o.object(key!("boot"), |o| o.plain(key!("id"), host.boot_id.text().as_bytes()));
        });
        o.object(key!("agent"), |o| {
            o.plain(key!("type"), b"sentineledge");
            o.plain(key!("version"), env!("CARGO_PKG_VERSION").as_bytes());
        });
        o.end();
        constant.remove(0);
        constant.pop();
        let kinds = Arc::new(std::array::from_fn(|at| KindTexts::of(Kind::ALL[at])));
        Frame { constant: constant.into(), kinds, wall_offset_ns: 0, created_ns: 0, env_allow, ancestors }
    }

    /// Wall time of a moment of the boot clock.
    fn wall(&self, boot_ns: u64) -> u64 {
        boot_ns.saturating_add_signed(self.wall_offset_ns)
    }
}

/// What is the same in every line of a kind, rendered once.
#[derive(Debug)]
struct KindTexts {
    /// For `event`.
    event: Box<[u8]>,
    /// For `sentineledge`.
    own: Box<[u8]>,
}

impl KindTexts {
    fn of(kind: Kind) -> Self {
        let class = class(kind);
        let event = json::members(|o| {
            o.plain(key!("kind"), b"event");
            o.texts(key!("category"), [class.category.as_bytes()]);
            o.texts(key!("type"), [class.types.as_bytes()]);
            o.plain(key!("action"), kind.name().as_bytes());
            o.plain(key!("outcome"), if kind == Kind::ExecFailed { b"failure" } else { b"success" });
            o.plain(key!("module"), b"sentineledge");
            o.plain(key!("dataset"), class.dataset.as_bytes());
        });
        let own = json::members(|o| {
            o.plain(key!("class"), kind.name().as_bytes());
            o.plain(key!("grade"), class.grade.as_bytes());
            o.plain(key!("hook"), class.hook.as_bytes());
        });
        KindTexts { event, own }
    }
}

/// Fixed facts about a kind: its ECS classification and the hook that reports it.
struct Class {
    category: &'static str,
    types: &'static str,
    dataset: &'static str,
    hook: &'static str,
    grade: &'static str,
}

const fn class(kind: Kind) -> Class {
    let (types, hook, grade) = match kind {
        Kind::Exec => ("start", "tp_btf/sched_process_exec", "kernel"),
        Kind::ExecFailed => ("start", "tp_btf/sys_exit", "user"),
        Kind::Fork => ("start", "tp_btf/sched_process_fork", "kernel"),
        Kind::Exit => ("end", "tp_btf/sched_process_exit", "kernel"),
        Kind::Cgroup => ("change", "tp_btf/cgroup_mkdir", "kernel"),
        Kind::Snapshot => ("info", "iter/task", "kernel"),
    };
    Class { category: "process", types, dataset: "sentineledge.process", hook, grade }
}

/// Appends the event's line, newline included. True if a field was cut.
pub fn line(
    event: &Event<'_>,
    context: &Context,
    frame: &Frame,
    names: &dyn Names,
    out: &mut Vec<u8>,
) -> bool {
    let texts = &frame.kinds[event.kind().index()];
    let mut notes = Notes::default();
    let wall_ns = frame.wall(event.time_ns);

    let mut o = Object::begin(out);
    o.time(key!("@timestamp"), wall_ns);
    o.object(key!("event"), |o| {
        o.members(&texts.event);
        o.number(key!("sequence"), context.sequence);
        if let (Body::Exit(_), Some(task)) = (&event.body, event.task()) {
            o.number(key!("duration"), event.time_ns.saturating_sub(task.start_ns));
        }
        if frame.created_ns != 0 {
            o.time(key!("created"), frame.created_ns);
        }
    });
    if let Some(task) = event.task() {
        process::write(&mut o, event, task, context, frame, names, &mut notes);
        user(&mut o, key!("user"), task.euid, names);
        group(&mut o, key!("group"), task.egid, names);
    }
    match &event.body {
        Body::Exec(exec) => image::file(&mut o, &exec.program, names, &mut notes),
        Body::ExecFailed(failed) => {
            if !failed.filename.is_empty() {
                o.object(key!("file"), |o| notes.text(o, "file.path", key!("path"), failed.filename));
            }
            o.object(key!("error"), |o| {
                match names::error(failed.errno) {
                    Some(name) => o.plain(key!("code"), name.as_bytes()),
                    None => o.digits(key!("code"), u64::from(failed.errno)),
                }
                let message = std::io::Error::from_raw_os_error(failed.errno.cast_signed()).to_string();
                o.text(key!("message"), message.split(" (os error").next().unwrap_or_default().as_bytes());
            });
        }
        Body::Fork(_) | Body::Exit(_) | Body::Cgroup(_) | Body::Snapshot(_) => {}
    }
    if let Some(container) = &context.container {
        write_container(&mut o, container);
    }
    o.object(key!("sentineledge"), |o| own_fields(o, event, &texts.own, context, frame, names, &mut notes));
    o.end();
    // The constant part goes in before the closing brace.
    out.pop();
    out.push(b',');
    out.extend_from_slice(&frame.constant);
    out.extend_from_slice(b"}\n");
    notes.any_cut()
}

/// An empty or unknown name is left out; the id is always there.
fn user(o: &mut Object<'_>, key: Key, uid: u32, names: &dyn Names) {
    o.object(key, |o| {
        o.digits(key!("id"), u64::from(uid));
        if let Some(name) = names.user(uid) {
            o.text(key!("name"), name.as_bytes());
        }
    });
}

fn group(o: &mut Object<'_>, key: Key, gid: u32, names: &dyn Names) {
    o.object(key, |o| {
        o.digits(key!("id"), u64::from(gid));
        if let Some(name) = names.group(gid) {
            o.text(key!("name"), name.as_bytes());
        }
    });
}

fn write_container(o: &mut Object<'_>, container: &Container) {
    o.object(key!("container"), |o| {
        o.text(key!("id"), container.id.as_bytes());
        o.plain(key!("runtime"), container.runtime.name().as_bytes());
    });
    if let Some(uid) = &container.pod_uid {
        o.object(key!("orchestrator"), |o| {
            o.plain(key!("type"), b"kubernetes");
            o.object(key!("resource"), |o| {
                o.plain(key!("type"), b"pod");
                o.text(key!("id"), uid.as_bytes());
            });
        });
    }
}

/// Everything that ECS has no field for.
fn own_fields(
    o: &mut Object<'_>,
    event: &Event<'_>,
    class: &[u8],
    context: &Context,
    frame: &Frame,
    names: &dyn Names,
    notes: &mut Notes,
) {
    o.members(class);
    match &event.body {
        Body::Exec(exec) => image::exec(o, exec, notes),
        Body::ExecFailed(failed) => image::exec_failed(o, failed, notes),
        Body::Exit(exit) => process::exit(o, exit),
        Body::Fork(fork) => o.object(key!("creator"), |o| {
            o.number(key!("pid"), u64::from(fork.creator_pid));
            o.number(key!("tid"), u64::from(fork.creator_tid));
        }),
        Body::Cgroup(_) | Body::Snapshot(_) => {}
    }
    if let Some(process) = &context.process {
        let nearest = process.ancestors().take(usize::from(frame.ancestors));
        o.objects(key!("ancestors"), nearest, |ancestor, o| {
            o.number(key!("pid"), u64::from(ancestor.pid));
            o.plain(key!("entity_id"), &ancestor.entity_id.hex());
            // Of a program out of the agent's reach the path is unknown, and with it the name.
            if !ancestor.image.name().is_empty() {
                notes.text(o, "sentineledge.ancestors.name", key!("name"), ancestor.image.name());
            }
        });
    }
    if let Some(task) = event.task() {
        let in_full = matches!(event.body, Body::Exec(_) | Body::ExecFailed(_));
        task_fields(o, task, in_full, context, names, notes);
    }
    notes.write(o);
}

fn task_fields(
    o: &mut Object<'_>,
    task: &Task<'_>,
    in_full: bool,
    context: &Context,
    names: &dyn Names,
    notes: &mut Notes,
) {
    // The rest of the namespaces is told at the exec.
    let namespaces = [
        (key!("mnt"), task.mnt_ns),
        (key!("pid"), task.pid_ns),
        (key!("net"), task.net_ns),
        (key!("user"), task.user_ns),
        (key!("uts"), task.uts_ns),
        (key!("ipc"), task.ipc_ns),
        (key!("cgroup"), task.cgroup_ns),
    ];
    o.object(key!("namespaces"), |o| {
        for (key, inode) in namespaces.iter().take(if in_full { 7 } else { 4 }) {
            o.number(*key, u64::from(*inode));
        }
    });
    o.object(key!("cgroup"), |o| {
        o.number(key!("id"), task.cgroup_id);
        if task.hierarchy != 0 {
            o.number(key!("hierarchy"), u64::from(task.hierarchy));
        }
        if let Some(path) = &context.cgroup_path {
            notes.text(o, "sentineledge.cgroup.path", key!("path"), path.as_bytes());
        }
    });
    o.object(key!("capabilities"), |o| {
        o.hex(key!("effective"), task.cap_effective);
        o.hex(key!("permitted"), task.cap_permitted);
        o.hex(key!("bounding"), task.cap_bounding);
        // Empty nearly everywhere.
        for (key, set) in [(key!("inheritable"), task.cap_inheritable), (key!("ambient"), task.cap_ambient)] {
            if set != 0 {
                o.hex(key, set);
            }
        }
    });
    if task.loginuid.is_some() || task.sessionid.is_some() {
        o.object(key!("login"), |o| {
            if let Some(uid) = task.loginuid {
                user(o, key!("user"), uid, names);
            }
            if let Some(session) = task.sessionid {
                o.number(key!("session"), u64::from(session));
            }
        });
    }
    if task.ns_tid != task.tid && task.ns_tid != 0 {
        o.number(key!("container_tid"), u64::from(task.ns_tid));
    }
    if (task.fsuid, task.fsgid) != (task.euid, task.egid) {
        o.object(key!("filesystem_user"), |o| {
            o.digits(key!("uid"), u64::from(task.fsuid));
            o.digits(key!("gid"), u64::from(task.fsgid));
        });
    }
    o.flag(key!("kernel_thread"), task.kernel_thread);
    o.flag(key!("compat"), task.compat);
    o.flag(key!("seccomp"), task.seccomp);
    o.flag(key!("no_new_privs"), task.no_new_privs);
    o.flag(key!("agent"), task.agent);
}
