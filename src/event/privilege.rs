//! Privileges and evasion: what processes do to gain rights, to hide or to reach into others.
//!
//! One struct holds all kinds but [`Credentials`]. Its `op`, `arguments`, `name` and `path` mean, by kind (numbers that
//! are not in [`op`] are those of the kernel's interface; what is not listed is 0 or empty):
//!
//! | kind | `op` | `arguments` | `name`, `path`, `target` |
//! |---|---|---|---|
//! | `ptrace` | `PTRACE_*` | address, data, pid as the caller gave it | target: the tracee, or who will trace (`TRACEME`) |
//! | `process_memory` | [`op::MEMORY_READ`] and on | bytes moved, pid as given; of a descriptor: the new one, the old one | path: the file of the descriptor |
//! | `module` | [`op::MODULE_LOAD`] and on | taints of the module, bits as in /proc/sys/kernel/tainted | name of the module, path of its file |
//! | `kexec` | [`op::KEXEC_LOAD`] and on | `KEXEC_*` flags, segments | path of the kernel's image |
//! | `bpf` | command of bpf() | object's id, 1 map 2 program 3 link, its type, attach type plus 1 (0: none), program's tag, id of the program behind a link | name of the object; path where it is pinned, or the tracepoint |
//! | `perf_event` | `PERF_TYPE_*` | config, pid (0 itself, -1 all), CPU (-1 all), flags | target: whose events |
//! | `userfaultfd` | | flags | |
//! | `memfd` | [`op::MEMFD_CREATE`] and on | flags | name without `memfd:` |
//! | `memory_exec` | [`op::EXEC_MMAP`] and on | address, bytes, `PROT_*`, `MAP_*` | path of the mapped file |
//! | `namespace` | [`op::NS_UNSHARE`] and on | `CLONE_NEW*`, inode of the one entered, then inodes of those it is in now: UTS, IPC, pid (of children), cgroup, time | name: type of the one entered; target: whose, with a pidfd |
//! | `io_uring` | | entries of the submission and the completion queue, `IORING_SETUP_*`, descriptor | |
//! | `signal` | signal | `si_code`, 1 for a whole process, result (0 delivered, 1 ignored, 2 pending already, 3 and 4 no room) | target: who gets it |
//! | `prctl` | `PR_*` | the other arguments | name: the new name (`PR_SET_NAME`; the task still has the old one); target: the leader, if another thread renames it |
//! | `keyring` | `KEYCTL_*`, [`op::KEY_ADD`] and on | result, key or keyring as given, further arguments | name: description of the key, or name of the keyring; path: type of the key |
//! | `host_name` | [`op::NAME_HOST`] and on | inode of the UTS namespace | name: the new one |
//! | `clock` | [`op::CLOCK_SET`] and on | clock, seconds, nanoseconds (after it, if it worked), `ADJ_*` modes, offset, frequency, 1 for a time zone alone | |
//! | `swap` | [`op::SWAP_ON`] and on | flags | path as given |
//! | `reboot` | `LINUX_REBOOT_CMD_*` | | name: the command for the next start |
//!
//! A clone into new namespaces is no event here: the fork of the child names all that the child is in.

use super::file::Object;
use super::{Kind, Origin, Task};

/// Values of [`Privilege::op`] that are not the kernel's own. The numbers are those of `enum se_privilege_op` in
/// `bpf/abi.h`; those of different kinds may be the same.
pub mod op {
    /// `process_memory`: process_vm_readv().
    pub const MEMORY_READ: u32 = 1;
    /// `process_memory`: process_vm_writev().
    pub const MEMORY_WRITE: u32 = 2;
    /// `process_memory`: pidfd_getfd().
    pub const MEMORY_GETFD: u32 = 3;
    /// `module`: loaded, or to be loaded.
    pub const MODULE_LOAD: u32 = 1;
    /// `module`: unloaded, or to be unloaded.
    pub const MODULE_UNLOAD: u32 = 2;
    /// `kexec`: kexec_load(), an image from memory.
    pub const KEXEC_LOAD: u32 = 1;
    /// `kexec`: kexec_file_load().
    pub const KEXEC_FILE_LOAD: u32 = 2;
    /// `memfd`: memfd_create().
    pub const MEMFD_CREATE: u32 = 1;
    /// `memfd`: memfd_secret().
    pub const MEMFD_SECRET: u32 = 2;
    /// `memory_exec`: a new mapping.
    pub const EXEC_MMAP: u32 = 1;
    /// `memory_exec`: a mapping that got another protection.
    pub const EXEC_MPROTECT: u32 = 2;
    /// `namespace`: unshare(), into new ones.
    pub const NS_UNSHARE: u32 = 1;
    /// `namespace`: setns(), into ones that were there.
    pub const NS_SETNS: u32 = 2;
    /// `keyring`: add_key().
    pub const KEY_ADD: u32 = 1000;
    /// `keyring`: request_key().
    pub const KEY_REQUEST: u32 = 1001;
    /// `host_name`: the host's.
    pub const NAME_HOST: u32 = 1;
    /// `host_name`: the NIS domain's.
    pub const NAME_DOMAIN: u32 = 2;
    /// `clock`: set.
    pub const CLOCK_SET: u32 = 1;
    /// `clock`: adjusted.
    pub const CLOCK_ADJUST: u32 = 2;
    /// `swap`: on.
    pub const SWAP_ON: u32 = 1;
    /// `swap`: off.
    pub const SWAP_OFF: u32 = 2;
}

/// Another process that something was done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Target<'a> {
    /// Start of its thread group's leader: with `pid` its identity.
    pub start_ns: u64,
    /// Process id.
    pub pid: u32,
    /// Thread id.
    pub tid: u32,
    /// Real user.
    pub uid: u32,
    /// Short name.
    pub comm: &'a [u8],
    /// A kernel thread.
    pub kernel_thread: bool,
    /// The agent itself.
    pub agent: bool,
}

/// One of the kinds from `ptrace` to `reboot`. What `op` and `arguments` mean depends on the kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Privilege<'a> {
    /// The kind.
    pub kind: Kind,
    /// Who did it.
    pub task: Task<'a>,
    /// How it was seen.
    pub origin: Origin,
    /// By kind.
    pub arguments: [u64; 8],
    /// The process that it was done to.
    pub target: Option<Target<'a>>,
    /// The file behind it.
    pub object: Option<Object>,
    /// By kind: request, command, option.
    pub op: u32,
    /// Positive errno, 0 if it worked.
    pub errno: u32,
    /// By kind: name of a module, a memfd, a key, a host.
    pub name: &'a [u8],
    /// Path of `object`.
    pub path: &'a [u8],
    /// Module: whether its signature was checked and good.
    pub signed: Option<bool>,
    /// bpf: a map or program of the agent.
    pub own_object: bool,
    /// Memory not backed by a file.
    pub anonymous: bool,
    /// Memory that was writable or written to.
    pub written: bool,
    /// Memory writable and executable at once.
    pub write_exec: bool,
    /// Memory from writable to executable.
    pub flip: bool,
    /// setns().
    pub leaves: bool,
    /// The image came from memory, no file is known.
    pub from_memory: bool,
    /// A module was unloaded.
    pub unload: bool,
    /// What backs the memory could not be looked at: the flags above are from the call's arguments alone.
    pub unsure: bool,
}

/// The credentials that matter for rights, as `struct cred` has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Creds {
    /// Permitted capabilities.
    pub cap_permitted: u64,
    /// Effective capabilities.
    pub cap_effective: u64,
    /// Inheritable capabilities.
    pub cap_inheritable: u64,
    /// Bounding set.
    pub cap_bounding: u64,
    /// Ambient capabilities.
    pub cap_ambient: u64,
    /// Real user.
    pub uid: u32,
    /// Real group.
    pub gid: u32,
    /// Effective user.
    pub euid: u32,
    /// Effective group.
    pub egid: u32,
    /// Saved user.
    pub suid: u32,
    /// Saved group.
    pub sgid: u32,
    /// Filesystem user.
    pub fsuid: u32,
    /// Filesystem group.
    pub fsgid: u32,
    /// User namespace.
    pub user_ns: u32,
    /// Secure bits; 0 where only a task told of the credentials.
    pub securebits: u32,
}

impl From<&Task<'_>> for Creds {
    /// Those of a task whose record holds them all, see [`Task::brief`].
    fn from(task: &Task<'_>) -> Self {
        Creds {
            cap_permitted: task.cap_permitted,
            cap_effective: task.cap_effective,
            cap_inheritable: task.cap_inheritable,
            cap_bounding: task.cap_bounding,
            cap_ambient: task.cap_ambient,
            uid: task.uid,
            gid: task.gid,
            euid: task.euid,
            egid: task.egid,
            suid: task.suid,
            sgid: task.sgid,
            fsuid: task.fsuid,
            fsgid: task.fsgid,
            user_ns: task.user_ns,
            securebits: 0,
        }
    }
}

/// A process changed its users, groups or capabilities. The task has the new ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Credentials<'a> {
    /// Who did it.
    pub task: Task<'a>,
    /// How it was seen.
    pub origin: Origin,
    /// The old ones, if the kernel side knew them; else the process table does.
    pub old: Option<Creds>,
    /// Positive errno, 0 if it worked.
    pub errno: u32,
    /// Ids as the caller gave them, in its own user namespace: real, effective and saved, or the only one. All bits
    /// set: to be left as it is, or not of this call. Of setgroups() the first is the number of groups.
    pub asked: [u32; 4],
}
