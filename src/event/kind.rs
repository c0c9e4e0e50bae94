//! Kinds of events: the one table that names, classes, switches, metrics and documents are derived from.

use std::fmt;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident = $number:literal, $name:literal, internal: $internal:literal;)+) => {
        /// A kind of event. The numbers are those of `enum se_kind` in `bpf/abi.h`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Kind {
            $($(#[doc = $doc])+ $variant = $number,)+
        }

        impl Kind {
            /// Every kind, in the order of the numbers.
            pub const ALL: &'static [Kind] = &[$(Kind::$variant,)+];

            /// The kind with this number.
            pub const fn from_number(number: u16) -> Option<Kind> {
                match number {
                    $($number => Some(Kind::$variant),)+
                    _ => None,
                }
            }

            /// The name: value of the label `class`, of `event.action` and of the configuration switch.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Kind::$variant => $name,)+
                }
            }

            /// The name as a JSON key, with comma, quotes and colon.
            pub(super) const fn json_key(self) -> &'static str {
                match self {
                    $(Kind::$variant => concat!(",\"", $name, "\":"),)+
                }
            }

            /// What it is, in one sentence.
            pub const fn help(self) -> &'static str {
                match self {
                    $(Kind::$variant => concat!($($doc),+).trim_ascii(),)+
                }
            }

            /// True if events of this kind never leave the agent.
            pub const fn is_internal(self) -> bool {
                match self {
                    $(Kind::$variant => $internal,)+
                }
            }
        }
    };
}

kinds! {
    /// A process runs a new program.
    Exec = 1, "exec", internal: false;
    /// An execve or execveat that the kernel refused.
    ExecFailed = 2, "exec_failed", internal: false;
    /// A new process.
    Fork = 3, "fork", internal: false;
    /// A process is gone.
    Exit = 4, "exit", internal: false;
    /// A control group came, went or got another name.
    Cgroup = 5, "cgroup", internal: true;
    /// A process that already ran when the agent started.
    Snapshot = 6, "snapshot", internal: true;
    /// A file was opened for writing, created or truncated.
    FileOpen = 7, "file_open", internal: false;
    /// A watched file was opened for reading.
    FileRead = 8, "file_read", internal: false;
    /// A file that was open for writing was closed.
    FileClose = 9, "file_close", internal: false;
    /// A file or directory got another name.
    FileRename = 10, "file_rename", internal: false;
    /// A name of a file, or a directory, was removed.
    FileDelete = 11, "file_delete", internal: false;
    /// A hard or symbolic link was made.
    FileLink = 12, "file_link", internal: false;
    /// A directory, device, pipe or socket was made.
    FileMkdir = 13, "file_mkdir", internal: false;
    /// The permissions of a file were set.
    FileMode = 14, "file_mode", internal: false;
    /// The owner or group of a file was set.
    FileOwner = 15, "file_owner", internal: false;
    /// An extended attribute of a file was set or removed.
    FileXattr = 16, "file_xattr", internal: false;
    /// A file was cut or extended to a length.
    FileTruncate = 17, "file_truncate", internal: false;
    /// The times of a file were set.
    FileTimes = 18, "file_times", internal: false;
    /// A file system was mounted, moved or unmounted, or the root directory changed.
    Mount = 19, "mount", internal: false;
    /// A connection was asked for, or a first datagram sent to a peer.
    NetConnect = 20, "net_connect", internal: false;
    /// A connection was accepted.
    NetAccept = 21, "net_accept", internal: false;
    /// A socket was bound to an address.
    NetBind = 22, "net_bind", internal: false;
    /// A socket began to listen.
    NetListen = 23, "net_listen", internal: false;
    /// A connection or a flow of datagrams ended.
    NetFlow = 24, "net_flow", internal: false;
    /// A raw or packet socket was made.
    NetSocket = 25, "net_socket", internal: false;
    /// A DNS question or answer.
    NetDns = 26, "net_dns", internal: false;
    /// A process changed its users, groups or capabilities.
    Credentials = 27, "credentials", internal: false;
    /// A process attached to another, or changed its memory or registers.
    Ptrace = 28, "ptrace", internal: false;
    /// A process read or wrote the memory of another, or took a descriptor of it.
    ProcessMemory = 29, "process_memory", internal: false;
    /// A kernel module was loaded or unloaded.
    Module = 30, "module", internal: false;
    /// Another kernel was loaded to be run.
    Kexec = 31, "kexec", internal: false;
    /// A BPF program was loaded or attached, or a map or program of the agent was reached for.
    Bpf = 32, "bpf", internal: false;
    /// A performance event was opened.
    PerfEvent = 33, "perf_event", internal: false;
    /// A process asked to handle page faults itself.
    Userfaultfd = 34, "userfaultfd", internal: false;
    /// A file without a name was made in memory.
    Memfd = 35, "memfd", internal: false;
    /// Memory that is anonymous or was written to became executable.
    MemoryExec = 36, "memory_exec", internal: false;
    /// A process left its namespaces for new or other ones.
    Namespace = 37, "namespace", internal: false;
    /// An io_uring was made.
    IoUring = 38, "io_uring", internal: false;
    /// A signal was sent to another process.
    Signal = 39, "signal", internal: false;
    /// A process renamed itself or changed whether it can be inspected.
    Prctl = 40, "prctl", internal: false;
    /// A key was added, read or changed in the kernel's keyrings.
    Keyring = 41, "keyring", internal: false;
    /// The name of the host or of its domain was set.
    HostName = 42, "host_name", internal: false;
    /// The clock was set or its rate changed.
    Clock = 43, "clock", internal: false;
    /// Swap space was switched on or off.
    Swap = 44, "swap", internal: false;
    /// A restart, halt or power-off was asked for, or Ctrl-Alt-Del switched.
    Reboot = 45, "reboot", internal: false;
}

impl Kind {
    /// How many kinds there are.
    pub const COUNT: usize = Kind::ALL.len();

    /// Position in [`Kind::ALL`], for tables by kind.
    pub const fn index(self) -> usize {
        self as usize - 1
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|k| k.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_is_the_position_in_all() {
        for (position, kind) in Kind::ALL.iter().enumerate() {
            assert_eq!(kind.index(), position);
            assert_eq!(Kind::from_name(kind.name()), Some(*kind));
            assert_eq!(Kind::from_number(*kind as u16), Some(*kind));
        }
        assert_eq!(Kind::from_number(0), None);
    }
}
