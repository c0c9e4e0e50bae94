//! Privilege events: their ECS objects, and what ECS has no words for.
//!
//! ECS knows the actor, the file behind it, and no other process that something was done to: that one is
//! `sentineledge.target`. The rest of each class is an object of the class's name. Addresses are hexadecimal strings;
//! numbers with names are given by name, and as a number where this version knows none.

mod credentials;
mod kernel;
mod memory;
mod names;
mod processes;

pub(super) use credentials::credentials;

use super::notes::Notes;
use super::{Context, Names};
use crate::event::json::{Key, Object, key};
use crate::event::privilege::op;
use crate::event::{Kind, Privilege, Target};

/// `event.type`, where it is not the kind's.
pub(super) fn types(event: &Privilege<'_>) -> Option<&'static [&'static str]> {
    match (event.kind, event.op) {
        // Whatever changes the other process; looking and attaching are access.
        (Kind::Ptrace, 4..=6 | 13 | 15 | 19 | 0x4203 | 0x4205 | 0x4212) => Some(&["change"]),
        (Kind::ProcessMemory, op::MEMORY_WRITE) => Some(&["change"]),
        (Kind::Module, op::MODULE_UNLOAD) => Some(&["end"]),
        (Kind::Bpf, 5 | 17 | 28) => Some(&["creation"]),
        (Kind::Bpf, 9 | 34) => Some(&["deletion"]),
        (Kind::Bpf, 1 | 4 | 7 | 13 | 14 | 24 | 30) => Some(&["access"]),
        (Kind::Keyring, op::KEY_ADD) => Some(&["creation"]),
        (Kind::Keyring, 3 | 7 | 9 | 21) => Some(&["deletion"]),
        (Kind::Keyring, 2 | 4 | 5 | 8 | 15 | 29 | 30) => Some(&["change"]),
        _ => None,
    }
}

/// Writes the ECS objects: the file, if there is one.
pub(super) fn write(o: &mut Object<'_>, event: &Privilege<'_>, notes: &mut Notes) {
    // Of these it is no file that the path names.
    let path = if matches!(event.kind, Kind::Keyring | Kind::Bpf) { &b""[..] } else { event.path };
    if path.is_empty() && event.object.is_none() {
        return;
    }
    o.object(key!("file"), |o| {
        if !path.is_empty() {
            notes.text(o, "file.path", key!("path"), path);
        }
        let Some(object) = &event.object else { return };
        notes.cut("file.path", object.path_cut);
        o.digits(key!("inode"), object.inode);
        let (major, minor) = object.device;
        o.plain(key!("device"), format!("{major}:{minor}").as_bytes());
        o.digits(key!("uid"), u64::from(object.uid));
        o.digits(key!("gid"), u64::from(object.gid));
        o.time(key!("mtime"), u64::try_from(object.mtime_ns).unwrap_or(0));
        o.number(key!("size"), object.size_bytes);
    });
}

/// The rest, under `sentineledge`.
pub(super) fn own(
    o: &mut Object<'_>,
    event: &Privilege<'_>,
    context: &Context,
    names: &dyn Names,
    notes: &mut Notes,
) {
    o.object(Key::of_kind(event.kind), |o| match event.kind {
        Kind::Ptrace => processes::ptrace(o, event),
        Kind::ProcessMemory => processes::process_memory(o, event),
        Kind::Signal => processes::signal(o, event),
        Kind::Prctl => processes::prctl(o, event, notes),
        Kind::Namespace => processes::namespace(o, event, notes),
        Kind::Keyring => processes::keyring(o, event, notes),
        Kind::Module => kernel::module(o, event, notes),
        Kind::Kexec => kernel::kexec(o, event),
        Kind::Bpf => kernel::bpf(o, event, notes),
        Kind::PerfEvent => kernel::perf_event(o, event),
        Kind::IoUring => kernel::io_uring(o, event),
        Kind::HostName => kernel::host_name(o, event, notes),
        Kind::Clock => kernel::clock(o, event),
        Kind::Swap => kernel::swap(o, event),
        Kind::Reboot => kernel::reboot(o, event, notes),
        Kind::Userfaultfd => memory::userfaultfd(o, event),
        Kind::Memfd => memory::memfd(o, event, notes),
        Kind::MemoryExec => memory::memory_exec(o, event),
        // Of other bodies; see `decode`.
        Kind::Exec
        | Kind::ExecFailed
        | Kind::Fork
        | Kind::Exit
        | Kind::Cgroup
        | Kind::Snapshot
        | Kind::FileOpen
        | Kind::FileRead
        | Kind::FileClose
        | Kind::FileRename
        | Kind::FileDelete
        | Kind::FileLink
        | Kind::FileMkdir
        | Kind::FileMode
        | Kind::FileOwner
        | Kind::FileXattr
        | Kind::FileTruncate
        | Kind::FileTimes
        | Kind::Mount
        | Kind::NetConnect
        | Kind::NetAccept
        | Kind::NetBind
        | Kind::NetListen
        | Kind::NetFlow
        | Kind::NetSocket
        | Kind::NetDns
        | Kind::Credentials => {}
    });
    if let Some(target) = &event.target {
        write_target(o, target, context, names, notes);
    }
}

/// Whom it was done to. What the process table knows of it is as it was at the event.
fn write_target(
    o: &mut Object<'_>,
    target: &Target<'_>,
    context: &Context,
    names: &dyn Names,
    notes: &mut Notes,
) {
    o.object(key!("target"), |o| {
        o.number(key!("pid"), u64::from(target.pid));
        if target.tid != target.pid {
            o.number(key!("tid"), u64::from(target.tid));
        }
        let known = context.target.as_deref();
        if let Some(process) = known {
            o.plain(key!("entity_id"), &process.entity_id.hex());
        }
        let image = known.map(|process| &process.image).filter(|image| image.executable.starts_with(b"/"));
        let name = image.map_or(target.comm, |image| image.name());
        notes.text(o, "sentineledge.target.name", key!("name"), name);
        if let Some(image) = image {
            let field = "sentineledge.target.executable";
            notes.text(o, field, key!("executable"), &image.executable);
            notes.cut(field, image.executable_cut);
        }
        super::user(o, key!("user"), target.uid, names);
        o.flag(key!("kernel_thread"), target.kernel_thread);
        o.flag(key!("agent"), target.agent);
    });
}

/// A name, or the number that has none.
fn name_or_number(o: &mut Object<'_>, key: Key, name: Option<&'static str>, number: u64) {
    match name {
        Some(name) => o.plain(key, name.as_bytes()),
        None => o.digits(key, number),
    }
}

/// Names of bits.
fn write_bits(o: &mut Object<'_>, key: Key, table: &[(u64, &'static str)], set: u64) {
    let names = names::bits(table, set);
    if !names.is_empty() {
        o.texts(key, names.iter().map(|name| name.as_bytes()));
    }
}

/// A number that may be negative.
fn signed(o: &mut Object<'_>, key: Key, value: i64) {
    o.raw(key, value.to_string().as_bytes());
}
