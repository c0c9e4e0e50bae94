//! Labels: closed sets of values, so that the number of series is known when the agent is compiled.

use crate::event::Kind;

/// A label with a fixed set of values.
pub trait Label: Copy + 'static {
    /// The label's name.
    const KEY: &'static str;
    /// Its values, in the order of [`Label::index`].
    const NAMES: &'static [&'static str];
    /// Position of this value in [`Label::NAMES`].
    fn index(self) -> usize;
}

macro_rules! labels {
    ($($(#[doc = $doc:literal])+ $name:ident($key:literal) { $($(#[doc = $vdoc:literal])+ $variant:ident = $text:literal,)+ })+) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[doc = $vdoc])+ $variant,)+ }

        impl $name {
            /// Every value.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The value's text.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }

            /// What it stands for, for documents.
            pub const fn help(self) -> &'static str {
                match self { $($name::$variant => concat!($($vdoc),+).trim_ascii(),)+ }
            }
        }

        impl Label for $name {
            const KEY: &'static str = $key;
            const NAMES: &'static [&'static str] = &[$($text,)+];
            fn index(self) -> usize { self as usize }
        }
    )+};
}

impl Label for Kind {
    const KEY: &'static str = "class";
    const NAMES: &'static [&'static str] = &{
        let mut names = [""; Kind::COUNT];
        let mut i = 0;
        while i < Kind::COUNT {
            names[i] = Kind::ALL[i].name();
            i += 1;
        }
        names
    };
    fn index(self) -> usize {
        Kind::index(self)
    }
}

labels! {
    /// How far an event came. For every class: attempted = submitted + kernel drops; submitted = read + what is
    /// still in the ring; read + repeated = decoded + malformed; decoded = emitted + suppressed + what is in work.
    /// Kernel drops are the reasons ring_full, filtered, deduplicated, summarised, rate_limited and skipped; those that were
    /// deduplicated are all told later, which sentinel_events_merged_total counts.
    Stage("stage") {
        /// The kernel side began a record.
        Attempted = "attempted",
        /// The record was handed to the ring.
        Submitted = "submitted",
        /// The record was taken out of the ring.
        Read = "read",
        /// The record became an event.
        Decoded = "decoded",
        /// The event was written as a line and handed to the sinks.
        Emitted = "emitted",
        /// The event was not meant to be written: an internal class, or one that the configuration switched off.
        Suppressed = "suppressed",
        /// A record was made that stands for events merged in the kernel, from the first of them.
        Repeated = "repeated",
    }
    /// Why an event was lost.
    Reason("reason") {
        /// The ring was full.
        RingFull = "ring_full",
        /// Filtered in the kernel on purpose.
        Filtered = "filtered",
        /// Merged in the kernel with an equal one.
        Deduplicated = "deduplicated",
        /// Counted in the kernel into a summary.
        Summarised = "summarised",
        /// Over the limit of the bulk classes, `[ebpf] max_events_per_sec`.
        RateLimited = "rate_limited",
        /// The kernel skipped the program, as it had interrupted itself on that CPU. Only where the program reports one
        /// class; of the others `sentinel_bpf_program_misses_total` tells.
        Skipped = "skipped",
        /// The record's bytes made no sense.
        Malformed = "malformed",
        /// A worker failed on it.
        Failed = "failed",
        /// The sink's queue was full.
        QueueFull = "queue_full",
        /// The sink could not write, and its buffer was full.
        Unwritable = "unwritable",
        /// Shutdown took longer than it may.
        Shutdown = "shutdown",
    }
    /// What became of an event in a sink. For every sink and class:
    /// offered = delivered + lost + what is queued.
    Outcome("outcome") {
        /// Handed to the sink.
        Offered = "offered",
        /// Written.
        Delivered = "delivered",
        /// Lost; `sentinel_events_dropped_total` has the reason.
        Lost = "lost",
    }
    /// Where events go.
    SinkName("sink") {
        /// The log file.
        File = "file",
        /// Standard output.
        Stdout = "stdout",
        /// Clients of `sentinel-edge tail`.
        Tail = "tail",
    }
    /// Ring buffers between the kernel and the agent.
    Ring("ring") {
        /// Security-critical classes.
        Critical = "critical",
        /// Files, network and memory.
        Bulk = "bulk",
    }
    /// Programs in the kernel, by name.
    Program("program") {
        /// Successful exec.
        Exec = "se_exec",
        /// Failed exec.
        ExecFailed = "se_exec_failed",
        /// Fork.
        Fork = "se_fork",
        /// Exit.
        Exit = "se_exit",
        /// Control groups that come.
        CgroupMkdir = "se_cgroup_mkdir",
        /// Control groups that go.
        CgroupRelease = "se_cgroup_rel",
        /// Control groups that are renamed.
        CgroupRename = "se_cgroup_ren",
        /// Returns of system calls, where it goes on to the programs that handle each.
        SysExit = "se_sys_exit",
        /// Opens, at the return of the call.
        CallOpen = "se_sc_open",
        /// Opens, at their beginning.
        OpenBegins = "se_t_open_in",
        /// Opens, when they are done.
        Opened = "se_t_open",
        /// Last closes.
        Closed = "se_t_close",
        /// Renames, at their beginning.
        RenameBegins = "se_t_rename_in",
        /// Renames, when they are done.
        Renamed = "se_t_rename",
        /// Removals of files, at their beginning.
        UnlinkBegins = "se_t_unlink_in",
        /// Removals of files, when they are done.
        Unlinked = "se_t_unlink",
        /// Removals of directories, at their beginning.
        RmdirBegins = "se_t_rmdir_in",
        /// Removals of directories, when they are done.
        Removed = "se_t_rmdir",
        /// Links, at their beginning.
        LinkBegins = "se_t_link_in",
        /// Links, when they are there.
        Linked = "se_t_link",
        /// Symbolic links, at their beginning.
        SymlinkBegins = "se_t_symln_in",
        /// Symbolic links, when they are there.
        Symlinked = "se_t_symln",
        /// Directories, at their beginning.
        MkdirBegins = "se_t_mkdir_in",
        /// Directories, when they are there.
        DirectoryMade = "se_t_mkdir",
        /// Devices and pipes, at their beginning.
        MknodBegins = "se_t_mknod_in",
        /// Devices and pipes, when they are there.
        NodeMade = "se_t_mknod",
        /// Changes of permissions, at their beginning.
        ChmodBegins = "se_t_chmod_in",
        /// Changes of permissions, when they are done.
        ModeChanged = "se_t_chmod",
        /// Changes of owners, at their beginning.
        ChownBegins = "se_t_chown_in",
        /// Changes of owners, when they are done.
        OwnerChanged = "se_t_chown",
        /// Extended attributes, when they are set.
        XattrSet = "se_t_setxat",
        /// Extended attributes, when they are gone.
        XattrRemoved = "se_t_remxat",
        /// Changes of a length by path, which alone has the mount.
        TruncatePath = "se_t_trunc_at",
        /// Changes of a length, at their beginning.
        TruncateBegins = "se_t_trunc_in",
        /// Changes of a length, when they are done.
        Truncated = "se_t_trunc",
        /// Times that are set, at their beginning.
        TimesBegin = "se_t_times_in",
        /// Times that are set, when they are.
        TimesSet = "se_t_times",
        /// Mounts.
        Mounted = "se_t_mount",
        /// Unmounts, at their beginning.
        UmountBegins = "se_t_umount_in",
        /// Unmounts, when they are done.
        Unmounted = "se_t_umount",
        /// Changes of a namespace's root.
        PivotRoot = "se_t_pivot",
        /// Changes of a process's root.
        Chroot = "se_t_chroot",
        /// Mounts that are put into the tree or moved in it.
        MoveMount = "se_t_moved",
        /// New credentials of a task.
        CredentialsCommitted = "se_t_creds",
        /// Changes of users, groups and capabilities, at the return of the call.
        CallCreds = "se_sc_creds",
        /// ptrace, at the return of the call.
        CallPtrace = "se_sc_ptrace",
        /// Memory and descriptors of other processes, at the return of the call.
        CallMemory = "se_sc_vm",
        /// Modules that are loaded.
        ModuleLoad = "se_mod_load",
        /// Modules that are unloaded.
        ModuleFree = "se_mod_free",
        /// Modules that are refused, at the return of the call.
        CallModule = "se_sc_module",
        /// Kernels to be run next, at the return of the call.
        CallKexec = "se_sc_kexec",
        /// bpf(), at the return of the call.
        CallBpf = "se_sc_bpf",
        /// Performance events, at the return of the call.
        CallPerf = "se_sc_perf",
        /// userfaultfd, at the return of the call.
        CallUserfaultfd = "se_sc_uffd",
        /// Files in memory, at the return of the call.
        CallMemfd = "se_sc_memfd",
        /// Mappings of executable memory, at the return of the call.
        CallMmap = "se_sc_mmap",
        /// Memory that is made executable, at the return of the call.
        CallMprotect = "se_sc_mprot",
        /// Changes of namespaces, at the return of the call.
        CallNamespace = "se_sc_ns",
        /// io_urings that are made.
        RingCreate = "se_ring_create",
        /// io_urings that are refused, at the return of the call.
        CallRing = "se_sc_ring",
        /// Signals that processes send.
        Signal = "se_signal",
        /// Processes that rename themselves.
        Rename = "se_rename",
        /// prctl, at the return of the call.
        CallPrctl = "se_sc_prctl",
        /// Keys, at the return of the call.
        CallKeyring = "se_sc_keys",
        /// Names of the host, at the return of the call.
        CallHostName = "se_sc_uts",
        /// Settings of the clock, at the return of the call.
        CallClock = "se_sc_clock",
        /// Swap space, at the return of the call.
        CallSwap = "se_sc_swap",
        /// Restarts, at the return of the call.
        CallReboot = "se_sc_reboot",
        /// Connections that are asked for, IPv4.
        Connect4 = "se_connect4",
        /// Connections that are asked for, IPv6.
        Connect6 = "se_connect6",
        /// Datagrams with an address of their own, IPv4.
        Sendmsg4 = "se_sendmsg4",
        /// Datagrams with an address of their own, IPv6.
        Sendmsg6 = "se_sendmsg6",
        /// Sockets that are released.
        SockRelease = "se_sock_release",
        /// States of TCP connections.
        SockState = "se_sock_state",
        /// Addresses that are bound, IPv4.
        PostBind4 = "se_post_bind4",
        /// Addresses that are bound, IPv6.
        PostBind6 = "se_post_bind6",
        /// Raw sockets.
        SockCreate = "se_sock_create",
        /// Packets that go out: DNS questions, bytes of datagrams.
        PacketOut = "se_packet_out",
        /// Packets that come in: DNS answers, bytes of datagrams.
        PacketIn = "se_packet_in",
        /// Connects, at the return of the call.
        CallConnect = "se_sc_connect",
        /// Accepted connections, at the return of the call.
        CallAccept = "se_sc_accept",
        /// Binds, at the return of the call.
        CallBind = "se_sc_bind",
        /// Listens, at the return of the call.
        CallListen = "se_sc_listen",
        /// Sockets of packets, and refused ones, at the return of the call.
        CallSocket = "se_sc_socket",
        /// Datagrams with an address of their own, at the return of the call.
        CallSend = "se_sc_send",
        /// The call that is all socket calls to 32-bit programs.
        CallSocketcall = "se_sc_sockcall",
        /// Requests handed to an io_uring.
        IoUringSubmit = "se_uring_submit",
        /// The same, under the older name of the tracepoint.
        IoUringSqe = "se_uring_sqe",
        /// Requests of an io_uring that are done.
        IoUringDone = "se_uring_done",
        /// The same, where only the result is shown.
        IoUringResult = "se_uring_result",
        /// The same, while the completion queue is full.
        IoUringOverflow = "se_uring_over",
        /// Closes of files that were open for writing.
        CallClose = "se_sc_close",
        /// Renames.
        CallRename = "se_sc_ren",
        /// Removals of names and directories.
        CallDelete = "se_sc_del",
        /// Hard links.
        CallLink = "se_sc_link",
        /// Symbolic links.
        CallSymlink = "se_sc_sym",
        /// New directories, devices, pipes and sockets.
        CallMkdir = "se_sc_mkdir",
        /// Permissions.
        CallMode = "se_sc_mode",
        /// Owners and groups.
        CallOwner = "se_sc_owner",
        /// Extended attributes.
        CallXattr = "se_sc_xattr",
        /// Lengths.
        CallTruncate = "se_sc_trunc",
        /// Times.
        CallTimes = "se_sc_times",
        /// Mounts.
        CallMount = "se_sc_mount",
        /// Unmounts.
        CallUmount = "se_sc_umnt",
        /// New root directories.
        CallRoot = "se_sc_root",
        /// Mounts that move.
        CallMove = "se_sc_move",
        /// Mounts that are nowhere yet.
        CallFsmount = "se_sc_fsmnt",
    }
    /// Threads of the agent.
    ThreadName("thread") {
        /// Reads the rings, owns the process table.
        Ring = "se-ring",
        /// Turns events into lines.
        Worker = "se-worker",
        /// Writes the log file.
        SinkFile = "se-sink-file",
        /// Writes standard output.
        SinkStdout = "se-sink-stdout",
        /// Serves `tail`.
        SinkTail = "se-sink-tail",
        /// Looks up user and group names.
        Names = "se-names",
        /// Reads what runtimes call containers.
        Labels = "se-labels",
        /// Writes what rules find.
        Findings = "se-findings",
        /// Computes digests of executables.
        Hash = "se-hash",
        /// Compiles rules.
        Rules = "se-rules",
        /// Proves that events flow.
        Canary = "se-canary",
        /// Answers HTTP.
        Http = "se-http",
        /// Accepts HTTP connections.
        Gate = "se-gate",
    }
    /// How bad a finding is.
    Level("level") {
        /// Good for context.
        Informational = "informational",
        /// Notable.
        Low = "low",
        /// Worth a look.
        Medium = "medium",
        /// Worth a look now.
        High = "high",
        /// An incident.
        Critical = "critical",
    }
    /// Errors by what failed.
    ErrorType("type") {
        /// A record that made no sense.
        Decode = "decode",
        /// Reading from the kernel.
        Ring = "ring",
        /// Attaching or reading a program.
        Bpf = "bpf",
        /// Writing to a destination.
        Sink = "sink",
        /// Reloading the configuration.
        Config = "config",
        /// HTTP listeners and connections.
        Http = "http",
        /// Looking up a name.
        Names = "names",
        /// Reading /proc or the control groups.
        Procfs = "procfs",
        /// The canary did not come back.
        Canary = "canary",
        /// A thread ended by a panic.
        Panic = "panic",
    }
}

impl Reason {
    /// Whether something is missing for it. The others are told on purpose, or in another event.
    pub const fn is_loss(self) -> bool {
        !matches!(self, Reason::Filtered | Reason::Deduplicated | Reason::Summarised)
    }
}
