//! The vocabulary: what an event is, after decoding and before any destination.
//!
//! An [`Event`] borrows from the record's bytes, so decoding allocates nothing; what must outlive the record
//! (the process table's entries) is owned and shared in [`process`]. [`ecs`] turns an event with its context
//! into one line of Elastic Common Schema JSON.
//!
//! This module uses nothing but std and serde: the central side will share it.

pub mod dns;
pub mod ecs;
pub mod file;
pub mod hook;
pub mod host;
pub mod json;
pub mod kind;
pub mod network;
pub mod path;
pub mod privilege;
pub mod process;
pub mod task;

pub use file::{File, FileOp, Object};
pub use hook::{Hook, Origin};
pub use host::{BootId, Host};
pub use kind::Kind;
pub use network::{Endpoint, Network, NetworkOp};
pub use path::Path;
pub use privilege::{Credentials, Creds, Privilege, Target};
pub use process::{Container, EntityId, Image, Labels, Process, Runtime};
pub use task::{Program, Task};

/// A decoded record.
#[derive(Debug, Clone, PartialEq)]
pub struct Event<'a> {
    /// Boot clock, nanoseconds: the kernel's time of the event.
    pub time_ns: u64,
    /// The CPU that it happened on.
    pub cpu: u16,
    /// What happened.
    pub body: Body<'a>,
}

/// What happened, by kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Body<'a> {
    /// A process runs a new program.
    Exec(Box<Exec<'a>>),
    /// An execve or execveat that the kernel refused.
    ExecFailed(Box<ExecFailed<'a>>),
    /// A new process.
    Fork(Box<Fork<'a>>),
    /// A process is gone: its last thread exited.
    Exit(Box<Exit<'a>>),
    /// A control group came, went or got another name. Kept inside the agent.
    Cgroup(Cgroup<'a>),
    /// A process that already ran when the agent started. Kept inside the agent.
    Snapshot(Box<Snapshot<'a>>),
    /// Something was done to a file.
    File(Box<File<'a>>),
    /// Something was done on the network.
    Network(Box<Network<'a>>),
    /// A process changed its users, groups or capabilities.
    Credentials(Box<Credentials<'a>>),
    /// Another privilege was used.
    Privilege(Box<Privilege<'a>>),
}

impl Event<'_> {
    /// The kind of the record that this event came from.
    pub fn kind(&self) -> Kind {
        match self.body {
            Body::Exec(_) => Kind::Exec,
            Body::ExecFailed(_) => Kind::ExecFailed,
            Body::Fork(_) => Kind::Fork,
            Body::Exit(_) => Kind::Exit,
            Body::Cgroup(_) => Kind::Cgroup,
            Body::Snapshot(_) => Kind::Snapshot,
            Body::File(ref e) => e.kind,
            Body::Network(ref e) => e.kind,
            Body::Credentials(_) => Kind::Credentials,
            Body::Privilege(ref e) => e.kind,
        }
    }

    /// Why it failed, if it did.
    pub fn errno(&self) -> Option<u32> {
        let errno = match &self.body {
            Body::ExecFailed(event) => event.errno,
            Body::File(event) => event.errno,
            Body::Network(event) => event.errno,
            Body::Credentials(event) => event.errno,
            Body::Privilege(event) => event.errno,
            Body::Exec(_) | Body::Fork(_) | Body::Exit(_) | Body::Cgroup(_) | Body::Snapshot(_) => 0,
        };
        Some(errno).filter(|errno| *errno != 0)
    }

    /// How it was seen, for the kinds whose records say it.
    pub fn origin(&self) -> Option<&Origin> {
        match &self.body {
            Body::File(e) => Some(&e.origin),
            Body::Network(e) => Some(&e.origin),
            Body::Credentials(e) => Some(&e.origin),
            Body::Privilege(e) => Some(&e.origin),
            _ => None,
        }
    }

    /// The acting task, for the kinds that have one.
    pub fn task(&self) -> Option<&Task<'_>> {
        match &self.body {
            Body::Exec(e) => Some(&e.task),
            Body::ExecFailed(e) => Some(&e.task),
            Body::Fork(e) => Some(&e.task),
            Body::Exit(e) => Some(&e.task),
            Body::Snapshot(e) => Some(&e.task),
            Body::File(e) => Some(&e.task),
            Body::Network(e) => (!e.unowned).then_some(&e.task),
            Body::Credentials(e) => Some(&e.task),
            Body::Privilege(e) => Some(&e.task),
            Body::Cgroup(_) => None,
        }
    }
}

/// A process runs a new program.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exec<'a> {
    /// The process, with the credentials of the new program.
    pub task: Task<'a>,
    /// The program's file.
    pub program: Program<'a>,
    /// As given to execve; the script when one is run.
    pub filename: &'a [u8],
    /// The interpreter that the script names, when one is run.
    pub interpreter: Option<&'a [u8]>,
    /// NUL-separated arguments as the new image's memory holds them, or the head of them.
    pub args_head: &'a [u8],
    /// The end of the arguments, when `args_len` is over the limit; else empty.
    pub args_tail: &'a [u8],
    /// Bytes of all arguments with their NULs.
    pub args_len: u64,
    /// Number of arguments.
    pub argc: u32,
    /// NUL-separated environment, or the head of it.
    pub env: &'a [u8],
    /// Bytes of the whole environment.
    pub env_len: u64,
    /// Number of environment variables.
    pub envc: u32,
    /// The calling thread's id until the exec, if it was not the leader.
    pub old_tid: Option<u32>,
    /// Arguments cut at the limit.
    pub args_cut: bool,
    /// Arguments not readable in part.
    pub args_fault: bool,
    /// Environment cut at the limit.
    pub env_cut: bool,
    /// Environment not readable in part.
    pub env_fault: bool,
    /// `filename` cut.
    pub filename_cut: bool,
    /// An interpreter runs a script.
    pub script: bool,
    /// setuid, setgid or file capabilities took effect (AT_SECURE).
    pub secure: bool,
    /// Executed through a file descriptor.
    pub by_fd: bool,
}

/// An execve or execveat that the kernel refused. Path and arguments come from user memory.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecFailed<'a> {
    /// The calling task.
    pub task: Task<'a>,
    /// Positive errno.
    pub errno: u32,
    /// The path asked for.
    pub filename: &'a [u8],
    /// The path's memory was not readable.
    pub filename_fault: bool,
    /// `filename` cut.
    pub filename_cut: bool,
    /// NUL-separated arguments.
    pub args: &'a [u8],
    /// Number of arguments in `args`.
    pub args_count: u32,
    /// There were more arguments, or longer ones.
    pub args_cut: bool,
    /// Working directory.
    pub cwd: &'a [u8],
    /// `cwd` cut.
    pub cwd_cut: bool,
}

/// A new process.
#[derive(Debug, Clone, PartialEq)]
pub struct Fork<'a> {
    /// The child.
    pub task: Task<'a>,
    /// The process that called clone; not the parent if CLONE_PARENT was given.
    pub creator_pid: u32,
    /// The thread that called clone.
    pub creator_tid: u32,
    /// Start of the creator, boot clock.
    pub creator_start_ns: u64,
}

/// A process is gone.
#[derive(Debug, Clone, PartialEq)]
pub struct Exit<'a> {
    /// The last thread of the process.
    pub task: Task<'a>,
    /// Run time of all threads as the scheduler counts it.
    pub cpu_ns: u64,
    /// User time as sampled by ticks.
    pub utime_ns: u64,
    /// System time as sampled by ticks.
    pub stime_ns: u64,
    /// Peak resident memory.
    pub max_rss_bytes: u64,
    /// As wait(2) reports it.
    pub status: u32,
}

impl Exit<'_> {
    /// The signal that ended the process, if one did.
    pub fn signal(&self) -> Option<u32> {
        Some(self.status & 0x7f).filter(|&s| s != 0)
    }

    /// A core was dumped.
    pub fn core_dumped(&self) -> bool {
        self.status & 0x80 != 0
    }

    /// The exit code; 0 if a signal ended the process.
    pub fn code(&self) -> u32 {
        (self.status >> 8) & 0xff
    }
}

/// What happened to a control group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupChange {
    /// Created.
    Created,
    /// Gone for good.
    Released,
    /// Its path is another one now.
    Renamed,
}

/// A control group came, went or got another name.
#[derive(Debug, Clone, PartialEq)]
pub struct Cgroup<'a> {
    /// The id, as in `cgroup_id` of a task.
    pub id: u64,
    /// The hierarchy, 0 for the default one.
    pub hierarchy: u32,
    /// What happened.
    pub change: CgroupChange,
    /// Path from the hierarchy's root.
    pub path: &'a [u8],
}

/// A process that already ran when the agent started.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot<'a> {
    /// The process, by its group leader.
    pub task: Task<'a>,
    /// The program's file; `None` for a kernel thread.
    pub program: Option<Program<'a>>,
}
