//! The acting task and the program's file, as the kernel saw them at the moment of the event.

/// The acting task. Ids are the host's unless said otherwise; times are of the boot clock, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Task<'a> {
    /// Start of the thread group's leader: with `pid` the identity of a process.
    pub start_ns: u64,
    /// Start of the real parent.
    pub parent_start_ns: u64,
    /// Start of the session's leader, 0 if it is gone.
    pub leader_start_ns: u64,
    /// Control group, in the hierarchy `hierarchy`.
    pub cgroup_id: u64,
    /// Permitted capabilities, a bit each.
    pub cap_permitted: u64,
    /// Effective capabilities.
    pub cap_effective: u64,
    /// Inheritable capabilities.
    pub cap_inheritable: u64,
    /// Bounding set.
    pub cap_bounding: u64,
    /// Ambient capabilities.
    pub cap_ambient: u64,
    /// Process id (the kernel's thread group id).
    pub pid: u32,
    /// Thread id.
    pub tid: u32,
    /// Real parent's process id.
    pub ppid: u32,
    /// Session leader's process id.
    pub sid: u32,
    /// Process group id.
    pub pgid: u32,
    /// Process id in the task's own pid namespace.
    pub ns_pid: u32,
    /// Thread id in the task's own pid namespace.
    pub ns_tid: u32,
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
    /// Login user; `None` if unset.
    pub loginuid: Option<u32>,
    /// Audit session; `None` if unset.
    pub sessionid: Option<u32>,
    /// Mount namespace.
    pub mnt_ns: u32,
    /// Pid namespace.
    pub pid_ns: u32,
    /// Network namespace.
    pub net_ns: u32,
    /// User namespace.
    pub user_ns: u32,
    /// UTS namespace.
    pub uts_ns: u32,
    /// IPC namespace.
    pub ipc_ns: u32,
    /// Control group namespace.
    pub cgroup_ns: u32,
    /// Control group hierarchy, 0 for the default one.
    pub hierarchy: u32,
    /// Major and minor number of the controlling terminal, if there is one.
    pub tty: Option<(u32, u32)>,
    /// Name of the controlling terminal, such as `pts0`.
    pub tty_name: &'a [u8],
    /// The task's short name.
    pub comm: &'a [u8],
    /// A kernel thread.
    pub kernel_thread: bool,
    /// Runs 32-bit code.
    pub compat: bool,
    /// A seccomp filter is installed.
    pub seccomp: bool,
    /// No new privileges can be gained.
    pub no_new_privs: bool,
    /// The agent itself or a child of it.
    pub agent: bool,
    /// Of a record that holds only what the process table cannot know. Unknown are: session, group, terminal, ids in
    /// the own pid namespace, saved ids, all capability sets but the effective one, and the namespaces but those of
    /// mounts, network and users.
    pub brief: bool,
}

/// The program's file. Paths are resolved from dentries, up to the root of the task's mount namespace.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Program<'a> {
    /// Resolved path.
    pub executable: &'a [u8],
    /// Working directory.
    pub cwd: &'a [u8],
    /// Inode number.
    pub inode: u64,
    /// Device of the filesystem, major and minor.
    pub device: (u32, u32),
    /// Modification time, wall clock, nanoseconds.
    pub mtime_ns: i64,
    /// Change time, wall clock, nanoseconds.
    pub ctime_ns: i64,
    /// Size.
    pub size_bytes: u64,
    /// The filesystem's magic number.
    pub fs_magic: u64,
    /// File type and permission bits, setuid and setgid included.
    pub mode: u32,
    /// Owner.
    pub owner_uid: u32,
    /// Owning group.
    pub owner_gid: u32,
    /// Links to the inode; 0 means deleted.
    pub nlink: u32,
    /// Lives in a memfd.
    pub memfd: bool,
    /// Lives on an overlay filesystem.
    pub overlay: bool,
    /// ... in its upper layer, so it was written after the layers were made.
    pub overlay_upper: bool,
    /// The head of `executable` is missing.
    pub executable_cut: bool,
    /// The head of `cwd` is missing.
    pub cwd_cut: bool,
    /// `executable` is not reachable from the mount namespace's root.
    pub executable_detached: bool,
    /// `cwd` is not reachable from the mount namespace's root.
    pub cwd_detached: bool,
    /// The working directory is deleted.
    pub cwd_deleted: bool,
}
