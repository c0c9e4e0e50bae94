//! Where in the kernel an event was taken, and how much its fields can be trusted.

macro_rules! hooks {
    ($($(#[$meta:meta])+ $variant:ident = $number:literal, $name:literal;)+) => {
        /// The hook that made a record. The numbers are those of `enum se_hook` in `bpf/abi.h`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        #[repr(u32)]
        pub enum Hook {
            $($(#[$meta])+ $variant = $number,)+
        }

        impl Hook {
            /// Every hook, in the order of the numbers.
            pub const ALL: &'static [Hook] = &[$(Hook::$variant,)+];

            /// The hook with this number.
            pub const fn from_number(number: u32) -> Option<Hook> {
                match number {
                    $($number => Some(Hook::$variant),)+
                    _ => None,
                }
            }

            /// The name in events.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Hook::$variant => $name,)+
                }
            }
        }
    };
}

hooks! {
    /// Not said.
    #[default]
    None = 0, "";
    /// The return of a system call.
    SysExit = 1, "tp_btf/sys_exit";
    /// An operation of an io_uring is done.
    IoUringComplete = 2, "tp_btf/io_uring_complete";
    /// A hook of the security modules.
    Lsm = 3, "lsm";
    /// The beginning of a kernel function.
    Fentry = 4, "fentry";
    /// The end of a kernel function.
    Fexit = 5, "fexit";
    /// connect() of an IPv4 or IPv6 socket in the control group.
    CgroupConnect = 6, "cgroup/connect";
    /// A datagram with an address of its own.
    CgroupSendmsg = 7, "cgroup/sendmsg";
    /// bind() before it is done.
    CgroupBind = 8, "cgroup/bind";
    /// bind() when the port is known.
    CgroupPostBind = 9, "cgroup/post_bind";
    /// A new socket.
    CgroupSockCreate = 10, "cgroup/sock_create";
    /// A socket is gone.
    CgroupSockRelease = 11, "cgroup/sock_release";
    /// A packet of a socket in the control group.
    CgroupSkb = 12, "cgroup_skb";
    /// A TCP socket changes its state.
    InetSockSetState = 13, "tp_btf/inet_sock_set_state";
    /// A module was loaded.
    ModuleLoad = 14, "tp_btf/module_load";
    /// A module is about to be freed.
    ModuleFree = 15, "tp_btf/module_free";
    /// A task got another short name.
    TaskRename = 16, "tp_btf/task_rename";
    /// A signal was made.
    SignalGenerate = 17, "tp_btf/signal_generate";
    /// An io_uring was made.
    IoUringCreate = 18, "tp_btf/io_uring_create";
    /// A process exits.
    ProcessExit = 19, "tp_btf/sched_process_exit";
}

/// What is said of an event beside what happened: how it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Origin {
    /// Where it was taken.
    pub hook: Hook,
    /// The number of the system call in `enum se_call`; 0: the hook is none, or it is not known.
    pub call: u32,
    /// The operation came through an io_uring.
    pub via_io_uring: bool,
    /// A path or address was read from user memory.
    pub grade_user: bool,
    /// User memory and the kernel's object differed.
    pub argument_swap: bool,
    /// It matched a watch list.
    pub watched: bool,
    /// A string was cut to the record's room.
    pub trimmed: bool,
    /// Events that this line only counts, told in full by one before it; 0 for an event of its own.
    pub merged: u32,
}
