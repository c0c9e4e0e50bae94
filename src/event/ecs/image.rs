//! The program of an exec: its file, its arguments, and what ECS has no words for.

use super::Names;
use super::file::{device, mode};
use super::notes::Notes;
use crate::event::json::{Object, key};
use crate::event::process::Image;
use crate::event::task::Program;
use crate::event::{Exec, ExecFailed};

/// Arguments as they lie in memory: NUL-separated, perhaps with a gap in the middle.
pub(super) struct Arguments<'a> {
    head: &'a [u8],
    tail: &'a [u8],
    /// Number of all arguments, if known.
    count: Option<u32>,
    is_cut: bool,
}

impl<'a> Arguments<'a> {
    pub(super) fn of_exec(exec: &Exec<'a>) -> Self {
        Arguments {
            head: exec.args_head,
            tail: exec.args_tail,
            count: Some(exec.argc),
            is_cut: exec.args_cut || exec.args_fault,
        }
    }

    pub(super) fn of_image(image: &'a Image) -> Self {
        let is_cut = image.args_len > image.args.len() as u64;
        Arguments { head: &image.args, tail: &[], count: None, is_cut }
    }

    fn of_failed(failed: &ExecFailed<'a>) -> Self {
        Arguments { head: failed.args, tail: &[], count: Some(failed.args_count), is_cut: failed.args_cut }
    }

    /// Each argument; an argument that was cut in two appears as its two pieces.
    fn each(&self) -> impl Iterator<Item = &'a [u8]> + Clone {
        let split = |bytes: &'a [u8]| {
            let whole = bytes.strip_suffix(b"\0").unwrap_or(bytes);
            (!bytes.is_empty()).then(|| whole.split(|&b| b == 0)).into_iter().flatten()
        };
        split(self.head).chain(split(self.tail))
    }

    /// Writes `args`, `args_count` and, if `line_field` names it, `command_line`; nothing if there are none.
    pub(super) fn write(
        &self,
        o: &mut Object<'_>,
        notes: &mut Notes,
        args_field: &'static str,
        line_field: Option<&'static str>,
    ) {
        if self.head.is_empty() && self.count.unwrap_or(0) == 0 {
            return;
        }
        let valid = o.texts(key!("args"), self.each());
        notes.valid(args_field, valid);
        let seen = || self.each().count() as u64;
        o.number(key!("args_count"), self.count.map_or_else(seen, u64::from));
        notes.cut(args_field, self.is_cut);
        if let Some(line_field) = line_field {
            o.joined(key!("command_line"), self.each(), b' ');
            notes.valid(line_field, valid);
            notes.cut(line_field, self.is_cut);
        }
    }
}

/// The executable as `file.*`.
pub(super) fn file(o: &mut Object<'_>, program: &Program<'_>, names: &dyn Names, notes: &mut Notes) {
    notes.cut("process.executable", program.executable_cut);
    notes.cut("file.path", program.executable_cut);
    notes.cut("process.working_directory", program.cwd_cut);
    o.object(key!("file"), |o| {
        notes.text(o, "file.path", key!("path"), program.executable);
        o.plain(key!("type"), b"file");
        o.digits(key!("inode"), program.inode);
        o.plain(key!("device"), &device(program.device));
        o.plain(key!("mode"), &mode(program.mode));
        o.digits(key!("uid"), u64::from(program.owner_uid));
        o.digits(key!("gid"), u64::from(program.owner_gid));
        if let Some(owner) = names.user(program.owner_uid) {
            o.text(key!("owner"), owner.as_bytes());
        }
        if let Some(group) = names.group(program.owner_gid) {
            o.text(key!("group"), group.as_bytes());
        }
        o.time(key!("mtime"), u64::try_from(program.mtime_ns).unwrap_or(0));
        o.time(key!("ctime"), u64::try_from(program.ctime_ns).unwrap_or(0));
        o.number(key!("size"), program.size_bytes);
    });
}

/// The rest of an exec, under `sentineledge`.
pub(super) fn exec(o: &mut Object<'_>, exec: &Exec<'_>, notes: &mut Notes) {
    let program = &exec.program;
    o.object(key!("executable"), |o| {
        notes.text(o, "sentineledge.executable.invoked", key!("invoked"), exec.filename);
        o.number(key!("links"), u64::from(program.nlink));
        o.hex(key!("filesystem_magic"), program.fs_magic);
        o.flag(key!("deleted"), program.nlink == 0 && !program.memfd);
        o.flag(key!("memfd"), program.memfd);
        o.flag(key!("overlay"), program.overlay);
        o.flag(key!("overlay_upper"), program.overlay_upper);
        o.flag(key!("setuid"), program.mode & 0o4000 != 0);
        o.flag(key!("setgid"), program.mode & 0o2000 != 0);
        o.flag(key!("detached"), program.executable_detached);
        o.flag(key!("by_descriptor"), exec.by_fd);
        o.flag(key!("secure"), exec.secure);
    });
    if let (true, Some(interpreter)) = (exec.script, exec.interpreter) {
        o.object(key!("script"), |o| {
            notes.text(o, "sentineledge.script.path", key!("path"), exec.filename);
            notes.text(o, "sentineledge.script.interpreter", key!("interpreter"), interpreter);
        });
    }
    if program.cwd_deleted || program.cwd_detached {
        o.object(key!("working_directory"), |o| {
            o.flag(key!("deleted"), program.cwd_deleted);
            o.flag(key!("detached"), program.cwd_detached);
        });
    }
    o.object(key!("memory"), |o| {
        o.number(key!("args_bytes"), exec.args_len);
        if exec.args_cut || exec.args_fault {
            let kept = (exec.args_head.len() + exec.args_tail.len()) as u64;
            o.number(key!("args_head_bytes"), exec.args_head.len() as u64);
            o.number(key!("args_tail_bytes"), exec.args_tail.len() as u64);
            o.number(key!("args_omitted_bytes"), exec.args_len.saturating_sub(kept));
        }
        o.number(key!("env_bytes"), exec.env_len);
        o.number(key!("env_count"), u64::from(exec.envc));
        o.flag(key!("args_unreadable"), exec.args_fault);
        o.flag(key!("env_unreadable"), exec.env_fault);
    });
    if let Some(tid) = exec.old_tid {
        o.number(key!("caller_tid"), u64::from(tid));
    }
    notes.cut("process.env_vars", exec.env_cut || exec.env_fault);
    notes.cut("sentineledge.executable.invoked", exec.filename_cut);
}

/// What was asked for in a failed exec, under `sentineledge`.
pub(super) fn exec_failed(o: &mut Object<'_>, failed: &ExecFailed<'_>, notes: &mut Notes) {
    o.object(key!("attempted"), |o| {
        Arguments::of_failed(failed).write(
            o,
            notes,
            "sentineledge.attempted.args",
            Some("sentineledge.attempted.command_line"),
        );
        notes.text(o, "sentineledge.attempted.working_directory", key!("working_directory"), failed.cwd);
        o.flag(key!("path_unreadable"), failed.filename_fault);
    });
    notes.cut("file.path", failed.filename_cut);
    notes.cut("sentineledge.attempted.working_directory", failed.cwd_cut);
}
