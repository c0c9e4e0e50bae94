//! The auditd view: an event as the records that the kernel's audit system would have written of it.
//!
//! Public rules exist that are about auditd's records. Most ask for `EXECVE` with its arguments, some for `PATH`, a few for
//! `SYSCALL` with a name; all of that is in our events. Each record is a row of its own, as in auditd. Not here: the
//! `key` that an operator gives an audit rule, terminals (`TTY`), services of systemd, and arguments of calls that the
//! kernel side does not keep.

use super::Input;
use super::texts::Texts;
use crate::detect::sigma::fields::Field;
use crate::detect::sigma::logsource::Category;
use crate::detect::sigma::row::{Row, Slot};
use crate::event::process::base_name;
use crate::event::{Body, Exec, File, FileOp, Kind};

/// Fields of arguments; those behind the tenth are not seen.
const ARGUMENTS: [Field; 10] = [
    Field::AUDIT_A0,
    Field::AUDIT_A1,
    Field::AUDIT_A2,
    Field::AUDIT_A3,
    Field::AUDIT_A4,
    Field::AUDIT_A5,
    Field::AUDIT_A6,
    Field::AUDIT_A7,
    Field::AUDIT_A8,
    Field::AUDIT_A9,
];

/// Calls back with the row of each record.
pub fn rows(input: &Input<'_>, texts: &mut Texts, judge: &mut impl FnMut(Category, &Row<'_>, bool)) {
    match &input.event.body {
        Body::Exec(exec) => {
            execve(exec, judge);
            path(exec.program.executable, "NORMAL", judge);
            syscall(input, texts, "execve", exec.program.executable, false, None, judge);
        }
        Body::File(file) => {
            let failed = file.errno != 0;
            let (name, nametype, call) = of_file(file);
            if !failed {
                path(name, nametype, judge);
                if matches!(file.op, FileOp::Rename | FileOp::Exchange) {
                    path(file.path, "DELETE", judge);
                }
            }
            syscall(input, texts, call, executable(input), failed, None, judge);
        }
        Body::Network(network) => {
            let call = if network.kind == Kind::NetSocket { "socket" } else { "connect" };
            let family = (network.kind == Kind::NetSocket).then_some(u64::from(network.family));
            syscall(input, texts, call, executable(input), network.errno != 0, family, judge);
        }
        Body::Privilege(privilege) => {
            let call = match privilege.kind {
                Kind::Memfd => "memfd_create",
                Kind::Module if privilege.op == crate::event::privilege::op::MODULE_UNLOAD => "delete_module",
                Kind::Module if privilege.from_memory => "init_module",
                Kind::Module => "finit_module",
                Kind::Ptrace => "ptrace",
                Kind::Clock => "clock_settime",
                Kind::HostName => "sethostname",
                _ => return,
            };
            let request = (privilege.kind == Kind::Ptrace).then_some(u64::from(privilege.op));
            syscall(input, texts, call, executable(input), privilege.errno != 0, request, judge);
        }
        _ => {}
    }
}

fn executable<'a>(input: &Input<'a>) -> &'a [u8] {
    input.context.process.as_deref().map_or(b"", |process| &process.image.executable)
}

/// The name that counts after the operation, what happened to it, and the call that does such a thing.
fn of_file<'a>(file: &File<'a>) -> (&'a [u8], &'static str, &'static str) {
    match file.op {
        FileOp::Create => (file.path, "CREATE", "openat"),
        FileOp::Rename | FileOp::Exchange => (file.other, "CREATE", "rename"),
        FileOp::Link => (file.other, "CREATE", "link"),
        FileOp::Symlink => (file.path, "CREATE", "symlink"),
        FileOp::Mkdir => (file.path, "CREATE", "mkdir"),
        FileOp::Mknod => (file.path, "CREATE", "mknod"),
        FileOp::Unlink => (file.path, "DELETE", "unlink"),
        FileOp::Rmdir => (file.path, "DELETE", "rmdir"),
        FileOp::Chmod => (file.path, "NORMAL", "chmod"),
        FileOp::Chown => (file.path, "NORMAL", "chown"),
        _ => (file.path, "NORMAL", "openat"),
    }
}

fn execve(exec: &Exec<'_>, judge: &mut impl FnMut(Category, &Row<'_>, bool)) {
    let mut row = Row::default();
    row.set(Field::AUDIT_TYPE, Slot::one(b"EXECVE"));
    let args = exec.args_head.strip_suffix(&[0]).unwrap_or(exec.args_head);
    for (field, arg) in ARGUMENTS.iter().zip(args.split(|&b| b == 0)) {
        row.set(*field, Slot::one(arg));
    }
    judge(Category::Auditd, &row, false);
}

fn path(name: &[u8], nametype: &str, judge: &mut impl FnMut(Category, &Row<'_>, bool)) {
    let mut row = Row::default();
    row.set(Field::AUDIT_TYPE, Slot::one(b"PATH"));
    row.set(Field::AUDIT_NAME, Slot::one(name));
    row.set(Field::AUDIT_NAMETYPE, Slot::one(nametype.as_bytes()));
    judge(Category::Auditd, &row, false);
}

fn syscall(
    input: &Input<'_>,
    texts: &mut Texts,
    call: &'static str,
    exe: &[u8],
    failed: bool,
    first: Option<u64>,
    judge: &mut impl FnMut(Category, &Row<'_>, bool),
) {
    texts.clear();
    if let Some(task) = input.event.task() {
        texts.number(Field::AUDIT_UID, u64::from(task.uid));
        texts.number(Field::AUDIT_EUID, u64::from(task.euid));
        texts.text(Field::AUDIT_COMM, if task.comm.is_empty() { base_name(exe) } else { task.comm });
    }
    if let Some(first) = first {
        texts.add(Field::AUDIT_A0, |out| out.extend_from_slice(format!("{first:x}").as_bytes()));
    }
    let mut row = Row::default();
    row.set(Field::AUDIT_TYPE, Slot::one(b"SYSCALL"));
    row.set(Field::AUDIT_SYSCALL, Slot::one(call.as_bytes()));
    row.set(Field::AUDIT_EXE, Slot::one(exe));
    row.set(Field::AUDIT_SUCCESS, Slot::one(if failed { b"no" } else { b"yes" }));
    texts.fill(&mut row);
    judge(Category::Auditd, &row, failed);
}
