//! What gets into the kernel, and what is set for the whole host.

use super::{name_or_number, names, signed, write_bits};
use crate::event::Privilege;
use crate::event::ecs::notes::Notes;
use crate::event::json::{Object, key};
use crate::event::privilege::op;

/// `sentineledge.module`.
pub(super) fn module(o: &mut Object<'_>, event: &Privilege<'_>, notes: &mut Notes) {
    let operation: &[u8] = if event.op == op::MODULE_UNLOAD { b"unload" } else { b"load" };
    o.plain(key!("operation"), operation);
    if !event.name.is_empty() {
        notes.text(o, "sentineledge.module.name", key!("name"), event.name);
    }
    if let Some(signed) = event.signed {
        o.boolean(key!("signed"), signed);
    }
    write_bits(o, key!("taints"), names::TAINTS, event.arguments[0]);
    o.flag(key!("from_memory"), event.from_memory);
}

/// `sentineledge.kexec`.
pub(super) fn kexec(o: &mut Object<'_>, event: &Privilege<'_>) {
    let [flags, segments, ..] = event.arguments;
    let is_file = event.op == op::KEXEC_FILE_LOAD;
    let operation: &[u8] = if is_file { b"kexec_file_load" } else { b"kexec_load" };
    o.plain(key!("operation"), operation);
    if is_file {
        write_bits(o, key!("flags"), names::KEXEC_FILE, flags);
    } else {
        // The upper half is the architecture.
        write_bits(o, key!("flags"), names::KEXEC, flags & 0xffff);
        o.number(key!("segments"), segments);
    }
    o.flag(key!("from_memory"), event.from_memory);
}

/// `sentineledge.bpf`.
pub(super) fn bpf(o: &mut Object<'_>, event: &Privilege<'_>, notes: &mut Notes) {
    let [id, kind, subtype, attachment, tag, program, ..] = event.arguments;
    let command = u64::from(event.op);
    name_or_number(o, key!("command"), names::at(&names::BPF_COMMANDS, command), command);
    let (kind, types): (&[u8], &'static [&'static str]) = match kind {
        1 => (b"map", &names::BPF_MAPS),
        2 => (b"program", &names::BPF_PROGRAMS),
        3 => (b"link", &names::BPF_LINKS),
        _ => (b"", &[]),
    };
    if !kind.is_empty() {
        o.object(key!("object"), |o| {
            o.plain(key!("kind"), kind);
            if id != 0 {
                o.number(key!("id"), id);
            }
            // The first type of each is "unspecified": it is not known.
            if subtype != 0 || event.op == PROG_LOAD {
                name_or_number(o, key!("type"), names::at(types, subtype), subtype);
            }
            if !event.name.is_empty() {
                notes.text(o, "sentineledge.bpf.object.name", key!("name"), event.name);
            }
        });
    }
    if let Some(attachment) = attachment.checked_sub(1) {
        name_or_number(o, key!("attach_type"), names::at(&names::BPF_ATTACHMENTS, attachment), attachment);
    }
    if tag != 0 {
        o.hex(key!("program_tag"), u64::from_be_bytes(tag.to_ne_bytes()));
    }
    if program != 0 {
        o.number(key!("program_id"), program);
    }
    if !event.path.is_empty() {
        let field = if event.op == RAW_TRACEPOINT_OPEN { key!("tracepoint") } else { key!("path") };
        notes.text(o, "sentineledge.bpf.path", field, event.path);
    }
    o.flag(key!("own_object"), event.own_object);
}

/// BPF_PROG_LOAD.
const PROG_LOAD: u32 = 5;
/// BPF_RAW_TRACEPOINT_OPEN, by which programs on BTF tracepoints and trampolines are attached too, without a name.
const RAW_TRACEPOINT_OPEN: u32 = 17;

/// `sentineledge.perf_event`.
pub(super) fn perf_event(o: &mut Object<'_>, event: &Privilege<'_>) {
    let [config, pid, cpu, ..] = event.arguments;
    name_or_number(o, key!("type"), names::of(names::PERF, event.op), u64::from(event.op));
    o.hex(key!("config"), config);
    signed(o, key!("pid"), pid.cast_signed());
    signed(o, key!("cpu"), cpu.cast_signed());
}

/// `sentineledge.io_uring`.
pub(super) fn io_uring(o: &mut Object<'_>, event: &Privilege<'_>) {
    let [submissions, completions, flags, descriptor, ..] = event.arguments;
    o.number(key!("sq_entries"), submissions);
    if event.errno == 0 {
        o.number(key!("cq_entries"), completions);
        o.number(key!("descriptor"), descriptor);
    }
    write_bits(o, key!("flags"), names::IO_URING, flags);
}

/// `sentineledge.host_name`.
pub(super) fn host_name(o: &mut Object<'_>, event: &Privilege<'_>, notes: &mut Notes) {
    o.plain(key!("kind"), if event.op == op::NAME_DOMAIN { b"domain" } else { b"host" });
    notes.text(o, "sentineledge.host_name.name", key!("name"), event.name);
    o.number(key!("uts_namespace"), event.arguments[0]);
}

/// `sentineledge.clock`.
pub(super) fn clock(o: &mut Object<'_>, event: &Privilege<'_>) {
    let [clock, seconds, nanoseconds, modes, offset, frequency, zone_only, _] = event.arguments;
    o.plain(key!("operation"), if event.op == op::CLOCK_SET { b"set" } else { b"adjust" });
    let known = u32::try_from(clock).ok().and_then(|clock| names::of(names::CLOCKS, clock));
    match known {
        Some(name) => o.plain(key!("clock"), name.as_bytes()),
        None => o.plain(key!("clock"), clock.cast_signed().to_string().as_bytes()),
    }
    if zone_only == 1 {
        o.boolean(key!("time_zone_only"), true);
        return;
    }
    // A time before 1970 or beyond 2554 is nothing that a line can express.
    let wall_ns = seconds.checked_mul(1_000_000_000).and_then(|ns| ns.checked_add(nanoseconds));
    if let Some(wall_ns) = wall_ns {
        o.time(key!("time"), wall_ns);
    }
    if event.op == op::CLOCK_ADJUST {
        write_bits(o, key!("modes"), names::ADJUSTMENTS, modes);
        signed(o, key!("offset"), offset.cast_signed());
        signed(o, key!("frequency"), frequency.cast_signed());
    }
}

/// `sentineledge.swap`.
pub(super) fn swap(o: &mut Object<'_>, event: &Privilege<'_>) {
    o.boolean(key!("on"), event.op == op::SWAP_ON);
    if event.arguments[0] != 0 {
        o.hex(key!("flags"), event.arguments[0]);
    }
}

/// `sentineledge.reboot`.
pub(super) fn reboot(o: &mut Object<'_>, event: &Privilege<'_>, notes: &mut Notes) {
    match names::of(names::REBOOT, event.op) {
        Some(name) => o.plain(key!("command"), name.as_bytes()),
        None => o.plain(key!("command"), format!("{:#x}", event.op).as_bytes()),
    }
    if !event.name.is_empty() {
        notes.text(o, "sentineledge.reboot.argument", key!("argument"), event.name);
    }
}
