//! Memory that can be executed or that somebody else looks after.

use super::{names, write_bits};
use crate::event::Privilege;
use crate::event::ecs::notes::Notes;
use crate::event::json::{Object, key};
use crate::event::privilege::op;

/// `sentineledge.userfaultfd`.
pub(super) fn userfaultfd(o: &mut Object<'_>, event: &Privilege<'_>) {
    write_bits(o, key!("flags"), names::USERFAULTFD, event.arguments[0]);
}

/// `sentineledge.memfd`.
pub(super) fn memfd(o: &mut Object<'_>, event: &Privilege<'_>, notes: &mut Notes) {
    if event.op == op::MEMFD_SECRET {
        o.boolean(key!("secret"), true);
    } else {
        notes.text(o, "sentineledge.memfd.name", key!("name"), event.name);
        write_bits(o, key!("flags"), names::MEMFD, event.arguments[0]);
    }
}

/// `sentineledge.memory_exec`.
pub(super) fn memory_exec(o: &mut Object<'_>, event: &Privilege<'_>) {
    let [address, bytes, protection, ..] = event.arguments;
    let operation: &[u8] = if event.op == op::EXEC_MMAP { b"mmap" } else { b"mprotect" };
    o.plain(key!("operation"), operation);
    o.hex(key!("address"), address);
    o.number(key!("bytes"), bytes);
    let letter = |bit: u64, letter: u8| if protection & bit != 0 { letter } else { b'-' };
    o.plain(key!("protection"), &[letter(1, b'r'), letter(2, b'w'), letter(4, b'x')]);
    o.flag(key!("anonymous"), event.anonymous);
    o.flag(key!("memfd"), event.object.is_some_and(|object| object.memfd));
    o.flag(key!("written"), event.written);
    o.flag(key!("write_and_execute"), event.write_exec);
    o.flag(key!("flip"), event.flip);
    o.flag(key!("unsure"), event.unsure);
}
