//! Images: what the table keeps of a program, and how much of it.
//!
//! An event shows everything the record holds; what is kept for later events and for children is bounded by
//! [`Keep`]. When many large images are in memory the table turns to [`Keep::LEAN`], so that programs with
//! huge paths and arguments cannot fill memory; see [`super::lineage`].

use crate::event::{Exec, Image, Program, Task};

/// How much of a program is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keep {
    /// Most bytes of arguments.
    pub args_bytes: usize,
    /// Most bytes of each path; of a longer executable the end is kept, other longer paths are dropped.
    pub path_bytes: usize,
}

impl Keep {
    /// The whole of every path the kernel side can send, and `args_bytes` of arguments.
    pub const fn full(args_bytes: usize) -> Self {
        Keep { args_bytes, path_bytes: 4096 }
    }

    /// Enough to name the program.
    pub const LEAN: Keep = Keep { args_bytes: 0, path_bytes: 128 };

    /// The image that an exec loads.
    pub fn of_exec(self, exec: &Exec<'_>) -> Image {
        let other = Some(exec.filename).filter(|path| path.len() <= self.path_bytes && !path.is_empty());
        let script = other.filter(|_| exec.script);
        let invoked = other.filter(|path| !exec.script && *path != exec.program.executable);
        Image {
            args: self.args(exec.args_head),
            args_len: exec.args_len,
            script: script.map(Box::from),
            invoked: invoked.map(Box::from),
            interactive: terminal(&exec.task),
            ..self.of_program(&exec.program)
        }
    }

    /// The image of a process that already runs; arguments are those that /proc shows, if it was asked.
    pub fn of_snapshot(self, task: &Task<'_>, program: Option<&Program<'_>>, args: Option<&[u8]>) -> Image {
        let image = match program {
            Some(program) => self.of_program(program),
            None => unknown(task),
        };
        let args = args.unwrap_or_default();
        Image { args: self.args(args), args_len: args.len() as u64, interactive: terminal(task), ..image }
    }

    fn of_program(self, program: &Program<'_>) -> Image {
        let path = program.executable;
        let head = path.len().saturating_sub(self.path_bytes);
        Image {
            executable: path[head..].into(),
            cwd: if program.cwd.len() <= self.path_bytes { program.cwd.into() } else { Box::default() },
            executable_cut: program.executable_cut || head > 0,
            ..Image::default()
        }
    }

    fn args(self, args: &[u8]) -> Box<[u8]> {
        args[..args.len().min(self.args_bytes)].into()
    }
}

/// What is known of a program when no exec of it was seen: the short name alone. `executable_cut` says that the
/// directory is missing, unless it is a kernel thread, which has none.
pub(super) fn unknown(task: &Task<'_>) -> Image {
    Image {
        executable: task.comm.into(),
        executable_cut: !task.kernel_thread,
        kernel_thread: task.kernel_thread,
        interactive: terminal(task),
        ..Image::default()
    }
}

/// Whether there is a controlling terminal; what a brief record does not say stays unknown.
fn terminal(task: &Task<'_>) -> Option<bool> {
    (!task.brief).then_some(task.tty.is_some())
}

/// True if nothing but a short name, or not even that, is known of the program.
pub(super) fn is_unknown(image: &Image) -> bool {
    !image.kernel_thread && !image.executable.contains(&b'/')
}

/// Bytes in memory, allocator overhead excluded.
pub(super) fn bytes(image: &Image) -> usize {
    let others = [&image.script, &image.invoked].into_iter().flatten().map(|path| path.len()).sum::<usize>();
    size_of::<Image>() + 16 + image.executable.len() + image.args.len() + others + image.cwd.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lean_keeps_the_end_of_the_path() {
        let long = [b"/a".repeat(100), b"/sh".to_vec()].concat();
        let program = Program { executable: &long, cwd: &long, ..Program::default() };
        let image = Keep::LEAN.of_snapshot(&Task::default(), Some(&program), Some(b"sh\0-c\0"));
        assert_eq!(image.executable.len(), 128);
        assert_eq!(image.name(), b"sh");
        assert!(image.executable_cut);
        assert!(image.cwd.is_empty());
        assert_eq!((&*image.args, image.args_len), (&b""[..], 6));
    }

    #[test]
    fn arguments_are_cut_and_their_length_kept() {
        let image = Keep::full(4).of_snapshot(&Task::default(), None, Some(b"bash\0-c\0x\0"));
        assert_eq!((&*image.args, image.args_len), (&b"bash"[..], 10));
    }

    #[test]
    fn an_unknown_program_has_its_short_name() {
        let task = Task { comm: b"cron", ..Task::default() };
        let image = unknown(&task);
        assert_eq!(image.name(), b"cron");
        assert!(image.executable_cut && is_unknown(&image));
        let kernel = unknown(&Task { kernel_thread: true, ..task });
        assert!(!kernel.executable_cut && !is_unknown(&kernel));
    }
}
