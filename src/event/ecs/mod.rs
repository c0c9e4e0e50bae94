//! Events as lines of Elastic Common Schema 8.
//!
//! A line is one JSON object and a newline, written in one pass from the decoded event and its [`Context`].
//! ECS fields are used wherever ECS has one; everything else is under `sentineledge.*`. What was cut, and what
//! was not UTF-8, is named in the line itself. What never changes (host, agent) is rendered once, in [`Frame`].
//!
//! The order of fields is fixed, so equal input gives equal bytes; golden tests rely on it.

mod file;
mod image;
pub mod names;
mod network;
mod notes;
pub mod own;
mod privilege;
mod process;
pub use file::mode as file_mode;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::json::{self, Key, Object, key};
use super::process::{Container, EntityId, Process};
use super::{Body, Creds, Event, Host, Kind, Origin, Task};
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
    /// The path in user memory does not lead to the file that the kernel opened.
    pub argument_swap: bool,
    /// The name by which the process found the peer's address.
    pub destination_domain: Option<Arc<str>>,
    /// Its credentials before the event, where the record does not say them.
    pub old_creds: Option<Box<Creds>>,
    /// The other process that something was done to.
    pub target: Option<Arc<Process>>,
}

impl Context {
    /// There is a controlling terminal; what a brief task does not say is that of its program. `None`: not known.
    pub fn is_interactive(&self, task: &Task<'_>) -> Option<bool> {
        if task.brief { self.process.as_deref()?.image.interactive } else { Some(task.tty.is_some()) }
    }
}

/// What is the same for all lines of a batch, or of a run.
#[derive(Debug, Clone)]
pub struct Frame {
    /// `"host":{...},"agent":{...}` without the braces around.
    constant: Arc<[u8]>,
    /// In the order of [`Kind::ALL`].
    kinds: Arc<[KindTexts; Kind::COUNT]>,
    /// Flags of opens as the host's machine numbers them.
    open_flags: file::OwnFlags,
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
        let open_flags = file::own_flags(&host.architecture);
        let constant = constant.into();
        Frame { constant, kinds, open_flags, wall_offset_ns: 0, created_ns: 0, env_allow, ancestors }
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
            o.plain(key!("action"), kind.name().as_bytes());
            o.plain(key!("module"), b"sentineledge");
            o.plain(key!("dataset"), class.dataset.as_bytes());
        });
        let own = json::members(|o| {
            o.plain(key!("class"), kind.name().as_bytes());
            if let Some((hook, grade)) = class.seen {
                o.plain(key!("grade"), grade.as_bytes());
                o.plain(key!("hook"), hook.as_bytes());
            }
        });
        KindTexts { event, own }
    }
}

/// Fixed facts about a kind: its ECS classification, and where the records that do not say so come from.
struct Class {
    category: &'static str,
    types: &'static str,
    dataset: &'static str,
    seen: Option<(&'static str, &'static str)>,
}

const fn class(kind: Kind) -> Class {
    let (category, types, dataset) = match kind {
        Kind::Exec | Kind::ExecFailed | Kind::Fork => ("process", "start", "sentineledge.process"),
        Kind::Exit => ("process", "end", "sentineledge.process"),
        Kind::Cgroup => ("process", "change", "sentineledge.process"),
        Kind::Snapshot => ("process", "info", "sentineledge.process"),
        Kind::FileOpen => ("file", "change", "sentineledge.file"),
        Kind::FileRead => ("file", "access", "sentineledge.file"),
        Kind::FileClose => ("file", "change", "sentineledge.file"),
        Kind::FileRename => ("file", "change", "sentineledge.file"),
        Kind::FileDelete => ("file", "deletion", "sentineledge.file"),
        Kind::FileLink => ("file", "creation", "sentineledge.file"),
        Kind::FileMkdir => ("file", "creation", "sentineledge.file"),
        Kind::FileMode => ("file", "change", "sentineledge.file"),
        Kind::FileOwner => ("file", "change", "sentineledge.file"),
        Kind::FileXattr => ("file", "change", "sentineledge.file"),
        Kind::FileTruncate => ("file", "change", "sentineledge.file"),
        Kind::FileTimes => ("file", "change", "sentineledge.file"),
        Kind::Mount => ("configuration", "change", "sentineledge.file"),
        Kind::NetConnect => ("network", "connection", "sentineledge.network"),
        Kind::NetAccept => ("network", "connection", "sentineledge.network"),
        Kind::NetBind => ("network", "info", "sentineledge.network"),
        Kind::NetListen => ("network", "info", "sentineledge.network"),
        Kind::NetFlow => ("network", "end", "sentineledge.network"),
        Kind::NetSocket => ("network", "info", "sentineledge.network"),
        Kind::NetDns => ("network", "protocol", "sentineledge.network"),
        Kind::Credentials => ("process", "change", "sentineledge.privilege"),
        Kind::Ptrace => ("process", "access", "sentineledge.privilege"),
        Kind::ProcessMemory => ("process", "access", "sentineledge.privilege"),
        Kind::Module => ("driver", "start", "sentineledge.privilege"),
        Kind::Kexec => ("configuration", "change", "sentineledge.privilege"),
        Kind::Bpf => ("configuration", "change", "sentineledge.privilege"),
        Kind::PerfEvent => ("process", "info", "sentineledge.privilege"),
        Kind::Userfaultfd => ("process", "info", "sentineledge.privilege"),
        Kind::Memfd => ("process", "info", "sentineledge.privilege"),
        Kind::MemoryExec => ("process", "change", "sentineledge.privilege"),
        Kind::Namespace => ("process", "change", "sentineledge.privilege"),
        Kind::IoUring => ("process", "info", "sentineledge.privilege"),
        Kind::Signal => ("process", "info", "sentineledge.privilege"),
        Kind::Prctl => ("process", "change", "sentineledge.privilege"),
        Kind::Keyring => ("iam", "info", "sentineledge.privilege"),
        Kind::HostName => ("configuration", "change", "sentineledge.privilege"),
        Kind::Clock => ("configuration", "change", "sentineledge.privilege"),
        Kind::Swap => ("configuration", "change", "sentineledge.privilege"),
        Kind::Reboot => ("host", "info", "sentineledge.privilege"),
    };
    let seen = match kind {
        Kind::Exec => Some(("tp_btf/sched_process_exec", "kernel")),
        Kind::ExecFailed => Some(("tp_btf/sys_exit", "user")),
        Kind::Fork => Some(("tp_btf/sched_process_fork", "kernel")),
        Kind::Exit => Some(("tp_btf/sched_process_exit", "kernel")),
        Kind::Cgroup => Some(("tp_btf/cgroup_mkdir", "kernel")),
        Kind::Snapshot => Some(("iter/task", "kernel")),
        _ => None,
    };
    Class { category, types, dataset, seen }
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
        types(o, event);
        o.plain(key!("outcome"), if event.errno().is_some() { b"failure" } else { b"success" });
        o.number(key!("sequence"), context.sequence);
        if let (Body::Exit(_), Some(task)) = (&event.body, event.task()) {
            o.number(key!("duration"), event.time_ns.saturating_sub(task.start_ns));
        }
        if let Body::Network(event) = &event.body
            && let Some(duration_ns) = network::duration_ns(event)
        {
            o.number(key!("duration"), duration_ns);
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
        }
        Body::File(event) => file::write(&mut o, event, names, &mut notes),
        Body::Network(event) => network::write(&mut o, event, context, &mut notes),
        Body::Privilege(event) => privilege::write(&mut o, event, &mut notes),
        Body::Fork(_) | Body::Exit(_) | Body::Cgroup(_) | Body::Snapshot(_) | Body::Credentials(_) => {}
    }
    if let Some(errno) = event.errno() {
        error(&mut o, errno);
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

/// `event.type`: of the kind, but where the kind has several.
fn types(o: &mut Object<'_>, event: &Event<'_>) {
    let of_kind = [class(event.kind()).types];
    let types: &[&str] = match &event.body {
        Body::File(event) => file::types(event).unwrap_or(&of_kind),
        Body::Network(event) => network::types(event).unwrap_or(&of_kind),
        Body::Privilege(event) => privilege::types(event).unwrap_or(&of_kind),
        _ => &of_kind,
    };
    o.texts(key!("type"), types.iter().map(|text| text.as_bytes()));
}

fn error(o: &mut Object<'_>, errno: u32) {
    o.object(key!("error"), |o| {
        match names::error(errno) {
            Some(name) => o.plain(key!("code"), name.as_bytes()),
            None => o.digits(key!("code"), u64::from(errno)),
        }
        let message = std::io::Error::from_raw_os_error(errno.cast_signed()).to_string();
        o.text(key!("message"), message.split(" (os error").next().unwrap_or_default().as_bytes());
    });
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
    let labels = container.labels.get();
    o.object(key!("container"), |o| {
        o.text(key!("id"), container.id.as_bytes());
        o.plain(key!("runtime"), container.runtime.name().as_bytes());
        if let Some(name) = labels.and_then(|labels| labels.name.as_deref()) {
            o.text(key!("name"), name.as_bytes());
        }
        if let Some(image) = labels.and_then(|labels| labels.image_name()) {
            o.object(key!("image"), |o| {
                o.text(key!("name"), image.name.as_bytes());
                if let Some(tag) = image.tag {
                    o.texts(key!("tag"), [tag.as_bytes()]);
                }
                if let Some(digest) = image.digest {
                    o.object(key!("hash"), |o| {
                        o.texts(key!("all"), [digest.as_bytes()]);
                    });
                }
            });
        }
    });
    let (pod, namespace) =
        labels.map_or((None, None), |labels| (labels.pod.as_deref(), labels.namespace.as_deref()));
    if container.pod_uid.is_none() && pod.is_none() {
        return;
    }
    o.object(key!("orchestrator"), |o| {
        o.plain(key!("type"), b"kubernetes");
        if let Some(namespace) = namespace {
            o.text(key!("namespace"), namespace.as_bytes());
        }
        o.object(key!("resource"), |o| {
            o.plain(key!("type"), b"pod");
            if let Some(uid) = &container.pod_uid {
                o.text(key!("id"), uid.as_bytes());
            }
            if let Some(pod) = pod {
                o.text(key!("name"), pod.as_bytes());
            }
        });
    });
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
        Body::File(file) => file::own(o, file, &frame.open_flags, frame.wall(event.time_ns), notes),
        Body::Network(event) => network::own(o, event, context, notes),
        Body::Privilege(event) => privilege::own(o, event, context, names, notes),
        Body::Credentials(event) => privilege::credentials(o, event, context, names),
        Body::Cgroup(_) | Body::Snapshot(_) => {}
    }
    if let Some(origin) = event.origin() {
        seen(o, origin, event.time_ns, context, frame);
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

/// How it was seen.
fn seen(o: &mut Object<'_>, origin: &Origin, last_ns: u64, context: &Context, frame: &Frame) {
    o.plain(key!("grade"), if origin.grade_user { b"user" } else { b"kernel" });
    o.plain(key!("hook"), origin.hook.name().as_bytes());
    o.flag(key!("via_io_uring"), origin.via_io_uring);
    o.flag(key!("argument_swap"), origin.argument_swap || context.argument_swap);
    o.flag(key!("watched"), origin.watched);
    if origin.merged != 0 {
        o.object(key!("merged"), |o| {
            o.number(key!("count"), u64::from(origin.merged));
            o.time(key!("last"), frame.wall(last_ns));
        });
    }
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
        for (key, inode) in
            namespaces.iter().take(if in_full { 7 } else { 4 }).filter(|(_, inode)| *inode != 0)
        {
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
        if task.brief {
            return;
        }
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
