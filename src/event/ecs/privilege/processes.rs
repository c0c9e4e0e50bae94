//! What is done to processes: other ones, or the own face of one.

use super::{name_or_number, names, signed, write_bits};
use crate::event::Privilege;
use crate::event::ecs::names::signal as signal_name;
use crate::event::ecs::notes::Notes;
use crate::event::json::{Object, key};
use crate::event::privilege::op;

/// `sentineledge.ptrace`.
pub(super) fn ptrace(o: &mut Object<'_>, event: &Privilege<'_>) {
    let [address, data, pid, ..] = event.arguments;
    name_or_number(o, key!("request"), names::of(names::PTRACE, event.op), u64::from(event.op));
    if address != 0 {
        o.hex(key!("address"), address);
    }
    if data != 0 {
        o.hex(key!("data"), data);
    }
    if pid != 0 {
        o.number(key!("pid"), pid);
    }
}

/// `sentineledge.process_memory`.
pub(super) fn process_memory(o: &mut Object<'_>, event: &Privilege<'_>) {
    let [first, second, ..] = event.arguments;
    let operation: &[u8] = match event.op {
        op::MEMORY_READ => b"read",
        op::MEMORY_WRITE => b"write",
        _ => b"take_descriptor",
    };
    o.plain(key!("operation"), operation);
    if event.op == op::MEMORY_GETFD {
        o.number(key!("descriptor"), second);
        if event.errno == 0 {
            o.number(key!("new_descriptor"), first);
        }
    } else {
        o.number(key!("bytes"), first);
        o.number(key!("pid"), second);
    }
}

/// `sentineledge.signal`.
pub(super) fn signal(o: &mut Object<'_>, event: &Privilege<'_>) {
    let [code, is_group, result, ..] = event.arguments;
    o.number(key!("number"), u64::from(event.op));
    if let Some(name) = signal_name(event.op) {
        o.plain(key!("name"), name.as_bytes());
    }
    let code = code.cast_signed();
    match i32::try_from(code).ok().and_then(|code| names::of(names::SIGNAL_CODES, code)) {
        Some(name) => o.plain(key!("code"), name.as_bytes()),
        None => o.plain(key!("code"), code.to_string().as_bytes()),
    }
    o.plain(key!("scope"), if is_group == 0 { b"thread" } else { b"process" });
    let result: &[u8] = match result {
        0 => b"delivered",
        1 => b"ignored",
        2 => b"pending",
        _ => b"overflow",
    };
    o.plain(key!("result"), result);
}

/// `sentineledge.prctl`.
pub(super) fn prctl(o: &mut Object<'_>, event: &Privilege<'_>, notes: &mut Notes) {
    const SET_NAME: u32 = 15;
    name_or_number(o, key!("option"), names::of(names::PRCTL, event.op), u64::from(event.op));
    if event.op != SET_NAME {
        let used = event.arguments.iter().take(4).rposition(|argument| *argument != 0).unwrap_or(0);
        let texts: Vec<String> =
            event.arguments.iter().take(used + 1).map(|argument| format!("{argument:#x}")).collect();
        o.texts(key!("arguments"), texts.iter().map(String::as_bytes));
        return;
    }
    let old = event.target.as_ref().map_or(event.task.comm, |target| target.comm);
    notes.text(o, "sentineledge.prctl.old_name", key!("old_name"), old);
    notes.text(o, "sentineledge.prctl.name", key!("name"), event.name);
}

/// `sentineledge.namespace`.
pub(super) fn namespace(o: &mut Object<'_>, event: &Privilege<'_>, notes: &mut Notes) {
    let [flags, entered, now @ .., _] = event.arguments;
    let operation: &[u8] = if event.op == op::NS_UNSHARE { b"unshare" } else { b"setns" };
    o.plain(key!("operation"), operation);
    write_bits(o, key!("types"), names::NAMESPACES, flags);
    if entered != 0 {
        o.object(key!("entered"), |o| {
            notes.text(o, "sentineledge.namespace.entered.type", key!("type"), event.name);
            o.number(key!("inode"), entered);
        });
    }
    let keys = [key!("uts"), key!("ipc"), key!("pid_for_children"), key!("cgroup"), key!("time")];
    o.object(key!("now"), |o| {
        for (key, inode) in keys.into_iter().zip(now).filter(|(_, inode)| *inode != 0) {
            o.number(key, inode);
        }
    });
}

/// `sentineledge.keyring`.
pub(super) fn keyring(o: &mut Object<'_>, event: &Privilege<'_>, notes: &mut Notes) {
    let [result, key, ..] = event.arguments;
    let number = u64::from(event.op);
    match event.op {
        op::KEY_ADD => o.plain(key!("operation"), b"add_key"),
        op::KEY_REQUEST => o.plain(key!("operation"), b"request_key"),
        _ => name_or_number(o, key!("operation"), names::at(&names::KEYCTL, number), number),
    }
    if event.errno == 0 && result != 0 {
        o.number(key!("result"), result);
    }
    if key != 0 {
        signed(o, key!("key"), key.cast_signed());
    }
    if !event.path.is_empty() {
        notes.text(o, "sentineledge.keyring.type", key!("type"), event.path);
    }
    if !event.name.is_empty() {
        notes.text(o, "sentineledge.keyring.description", key!("description"), event.name);
        notes.cut("sentineledge.keyring.description", event.origin.trimmed);
    }
}
