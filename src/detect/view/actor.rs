//! Whom an event is about: the fields that every category has, and those of an exec.

use super::Input;
use super::texts::Texts;
use crate::detect::sigma::fields::Field;
use crate::detect::sigma::row::{Row, Slot};
use crate::detect::sigma::set::Wanted;
use crate::event::ecs::names;
use crate::event::{Body, ExecFailed, Exit, Image, Labels, Process};

/// Values of a field with several at most; what is beyond is not looked at.
const LIST_MAX: usize = 24;

/// A few borrowed values.
struct Few<'a> {
    values: [&'a [u8]; LIST_MAX],
    len: usize,
}

impl<'a> Few<'a> {
    const fn new() -> Self {
        Few { values: [b""; LIST_MAX], len: 0 }
    }

    /// Adds a value that is neither empty nor there already.
    fn push(&mut self, value: &'a [u8]) {
        if value.is_empty() || self.slice().contains(&value) {
            return;
        }
        if let Some(place) = self.values.get_mut(self.len) {
            *place = value;
            self.len += 1;
        }
    }

    fn slice(&self) -> &[&'a [u8]] {
        self.values.get(..self.len).unwrap_or_default()
    }

    fn image(&mut self, image: &'a Image) {
        self.push(&image.executable);
        image.invoked.iter().for_each(|path| self.push(path));
        image.script.iter().for_each(|path| self.push(path));
    }
}

/// Fields with several values.
pub struct Lists<'a> {
    image: Few<'a>,
    parent: Few<'a>,
    ancestors: Few<'a>,
    flags: Few<'a>,
    environment: Few<'a>,
    container: [&'a [u8]; CONTAINER.len()],
}

/// Fields about the container, each with one value.
const CONTAINER: [Field; 7] = [
    Field::CONTAINER_ID,
    Field::CONTAINER_RUNTIME,
    Field::CGROUP,
    Field::CONTAINER_NAME,
    Field::CONTAINER_IMAGE,
    Field::POD_NAME,
    Field::POD_NAMESPACE,
];

impl<'a> Lists<'a> {
    /// Collects them.
    pub fn of(input: &Input<'a>, wanted: &Wanted) -> Self {
        let mut lists = Lists {
            image: Few::new(),
            parent: Few::new(),
            ancestors: Few::new(),
            flags: Few::new(),
            environment: Few::new(),
            container: [b""; CONTAINER.len()],
        };
        let process = input.context.process.as_deref();
        match &input.event.body {
            Body::Exec(exec) => {
                lists.image.push(exec.program.executable);
                lists.image.push(exec.filename);
                let program = &exec.program;
                let flags = [
                    (program.memfd, "memfd"),
                    (program.nlink == 0 && !program.memfd, "deleted"),
                    (program.overlay_upper, "upper_layer"),
                    (exec.secure, "setuid"),
                    (exec.script, "script"),
                ];
                flags.iter().filter(|(set, _)| *set).for_each(|(_, name)| lists.flags.push(name.as_bytes()));
                if wanted.has(Field::ENVIRONMENT) {
                    environment(&mut lists.environment, exec.env, input.env_allow);
                }
            }
            _ => process.into_iter().for_each(|process| lists.image.image(&process.image)),
        }
        if let Some(parent) = input.context.parent.as_deref() {
            lists.parent.image(&parent.image);
        }
        if wanted.has(Field::ANCESTOR_IMAGES) {
            let parent = input.context.parent.as_deref();
            let chain = parent.into_iter().chain(process.into_iter().flat_map(Process::ancestors));
            chain.for_each(|ancestor| lists.ancestors.image(&ancestor.image));
        }
        let container = input.context.container.as_deref();
        let labels = container.and_then(|container| container.labels.get());
        let label = |of: fn(&Labels) -> Option<&str>| labels.and_then(|labels| of(labels));
        let texts = [
            container.map(|container| &*container.id),
            container.map(|container| container.runtime.name()),
            input.context.cgroup_path.as_deref(),
            label(|labels| labels.name.as_deref()),
            label(|labels| labels.image_name().map(|image| image.name)),
            label(|labels| labels.pod.as_deref()),
            label(|labels| labels.namespace.as_deref()),
        ];
        lists.container = texts.map(|text| text.unwrap_or_default().as_bytes());
        lists
    }

    /// Gives the row its values.
    pub fn fill<'b>(&'b self, row: &mut Row<'b>) {
        let lists = [
            (Field::IMAGE, &self.image),
            (Field::PARENT_IMAGE, &self.parent),
            (Field::ANCESTOR_IMAGES, &self.ancestors),
            (Field::EXE_FLAGS, &self.flags),
            (Field::ENVIRONMENT, &self.environment),
        ];
        for (field, few) in lists {
            row.set(field, Slot::any(few.slice()));
        }
        for (field, value) in CONTAINER.into_iter().zip(self.container) {
            if !value.is_empty() {
                row.set(field, Slot::one(value));
            }
        }
    }
}

fn environment<'a>(few: &mut Few<'a>, env: &'a [u8], allow: &[String]) {
    let is_allowed = |variable: &&[u8]| {
        let name = variable.split(|&b| b == b'=').next().unwrap_or_default();
        allow.iter().any(|allowed| match allowed.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix.as_bytes()),
            None => name == allowed.as_bytes(),
        })
    };
    env.split(|&b| b == 0).filter(is_allowed).for_each(|variable| few.push(variable));
}

/// Fields of every event that are known without the line.
pub const PROVIDED: [Field; 24] = [
    Field::IMAGE,
    Field::COMMAND_LINE,
    Field::CURRENT_DIRECTORY,
    Field::USER,
    Field::EFFECTIVE_USER,
    Field::LOGON_ID,
    Field::PROCESS_ID,
    Field::PARENT_IMAGE,
    Field::PARENT_COMMAND_LINE,
    Field::PARENT_PROCESS_ID,
    Field::ANCESTOR_IMAGES,
    Field::SESSION_ID,
    Field::CONTAINER_ID,
    Field::CONTAINER_RUNTIME,
    Field::CONTAINER_NAME,
    Field::CONTAINER_IMAGE,
    Field::POD_NAME,
    Field::POD_NAMESPACE,
    Field::CGROUP,
    Field::VIA_IO_URING,
    Field::ARGUMENT_SWAP,
    Field::INTERACTIVE,
    Field::OUTCOME,
    Field::ERRNO,
];

/// Further ones of an exec; without a value they are absent.
pub const PROVIDED_OF_EXEC: [Field; 2] = [Field::EXE_FLAGS, Field::ENVIRONMENT];

/// Further ones of an exit.
pub const PROVIDED_OF_EXIT: [Field; 2] = [Field::SIGNAL, Field::EXIT_CODE];

/// Writes the fields with one value.
pub fn write(input: &Input<'_>, wanted: &Wanted, texts: &mut Texts) {
    let process = input.context.process.as_deref();
    let parent = input.context.parent.as_deref();
    let task = input.event.task();
    if wanted.has(Field::COMMAND_LINE) {
        match (&input.event.body, process) {
            (Body::Exec(exec), _) => texts.joined(Field::COMMAND_LINE, [exec.args_head, exec.args_tail]),
            (_, Some(process)) if !process.image.args.is_empty() => {
                texts.joined(Field::COMMAND_LINE, [&process.image.args, b""]);
            }
            _ => {}
        }
    }
    let cwd = match (&input.event.body, process) {
        (Body::Exec(exec), _) => exec.program.cwd,
        (_, Some(process)) => &process.image.cwd,
        _ => b"",
    };
    if wanted.has(Field::CURRENT_DIRECTORY) && !cwd.is_empty() {
        texts.text(Field::CURRENT_DIRECTORY, cwd);
    }
    if let Some(task) = task {
        number(texts, wanted, Field::PROCESS_ID, task.pid);
        for (field, uid) in [(Field::USER, task.uid), (Field::EFFECTIVE_USER, task.euid)] {
            if wanted.has(field) {
                match input.names.user(uid) {
                    Some(name) => texts.text(field, name.as_bytes()),
                    None => texts.number(field, u64::from(uid)),
                }
            }
        }
        // As Sysmon for Linux has it: the user's number below the terminal's.
        if wanted.has(Field::LOGON_ID) {
            let terminal = task.tty.map_or(0, |(_, minor)| u64::from(minor));
            texts.number(Field::LOGON_ID, terminal << 32 | u64::from(task.uid));
        }
        if let Some(interactive) = input.context.is_interactive(task) {
            texts.text(Field::INTERACTIVE, if interactive { b"true" } else { b"false" });
        }
    }
    if let Some(parent) = parent {
        number(texts, wanted, Field::PARENT_PROCESS_ID, parent.pid);
        if wanted.has(Field::PARENT_COMMAND_LINE) && !parent.image.args.is_empty() {
            texts.joined(Field::PARENT_COMMAND_LINE, [&parent.image.args, b""]);
        }
    }
    if wanted.has(Field::SESSION_ID) {
        let oldest = process.and_then(|process| process.ancestors().last()).map(|process| process.entity_id);
        if let Some(id) = input.context.session_leader.or(oldest) {
            texts.text(Field::SESSION_ID, &id.hex());
        }
    }
    if let Some(origin) = input.event.origin() {
        if origin.via_io_uring {
            texts.text(Field::VIA_IO_URING, b"true");
        }
        if origin.argument_swap || input.context.argument_swap {
            texts.text(Field::ARGUMENT_SWAP, b"true");
        }
    }
    match input.event.errno() {
        None => texts.text(Field::OUTCOME, b"success"),
        Some(errno) => {
            texts.text(Field::OUTCOME, b"failure");
            match names::error(errno) {
                Some(name) => texts.text(Field::ERRNO, name.as_bytes()),
                None => texts.number(Field::ERRNO, u64::from(errno)),
            }
        }
    }
}

/// Command line and path of an exec that was refused, as user memory had them.
pub fn write_failed(failed: &ExecFailed<'_>, texts: &mut Texts) {
    texts.joined(Field::COMMAND_LINE, [failed.args, b""]);
    texts.text(Field::IMAGE, failed.filename);
}

/// How a process ended.
pub fn write_exit(exit: &Exit<'_>, texts: &mut Texts) {
    match exit.signal() {
        None => texts.number(Field::EXIT_CODE, u64::from(exit.code())),
        Some(signal) => {
            if let Some(name) = names::signal(signal) {
                texts.text(Field::SIGNAL, name.as_bytes());
            }
        }
    }
}

fn number(texts: &mut Texts, wanted: &Wanted, field: Field, number: u32) {
    if wanted.has(field) {
        texts.number(field, u64::from(number));
    }
}
