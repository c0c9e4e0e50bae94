//! Log sources: which events a rule is about.
//!
//! A rule names a category, a product or a service. Categories of the Sigma taxonomy that Linux can feed come first;
//! what the taxonomy has no category for has the name of the kind of event. What this agent cannot feed is refused by
//! name, with the reason, so that an operator knows which rules are blind.

use crate::event::Kind;
use crate::util::nearest;

macro_rules! categories {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, [$($kind:ident),+];)+) => {
        /// What a rule is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Category { $($(#[doc = $doc])+ $variant,)+ }

        impl Category {
            /// Every category.
            pub const ALL: &'static [Category] = &[$(Category::$variant,)+];

            /// Its name in rules.
            pub const fn name(self) -> &'static str {
                match self { $(Category::$variant => $name,)+ }
            }

            /// The kinds of events that feed it.
            pub const fn kinds(self) -> &'static [Kind] {
                match self { $(Category::$variant => &[$(Kind::$kind),+],)+ }
            }

            /// What it is, in one sentence.
            pub const fn help(self) -> &'static str {
                match self { $(Category::$variant => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

categories! {
    /// A program was run.
    ProcessCreation = "process_creation", [Exec];
    /// A program was to be run, and the kernel refused.
    ProcessCreationFailed = "process_creation_failed", [ExecFailed];
    /// A process ended.
    ProcessTermination = "process_termination", [Exit];
    /// A file was created, opened for writing, cut, renamed or linked into place.
    FileEvent = "file_event", [FileOpen, FileRename, FileLink, FileMkdir, FileTruncate];
    /// A watched file was opened for reading.
    FileAccess = "file_access", [FileRead];
    /// Permissions, owner, attributes or times of a file changed.
    FileChange = "file_change", [FileMode, FileOwner, FileXattr, FileTimes];
    /// A name of a file was removed.
    FileDelete = "file_delete", [FileDelete];
    /// A file got another name.
    FileRename = "file_rename", [FileRename];
    /// A connection was asked for or accepted.
    NetworkConnection = "network_connection", [NetConnect, NetAccept];
    /// A socket was bound or listens.
    NetworkListen = "network_listen", [NetBind, NetListen];
    /// A raw or packet socket was made.
    RawSocket = "raw_socket", [NetSocket];
    /// A name was asked for or answered.
    DnsQuery = "dns_query", [NetDns];
    /// Users, groups or capabilities of a process changed.
    CredentialChange = "credential_change", [Credentials];
    /// A process reached into another.
    ProcessAccess = "process_access", [Ptrace, ProcessMemory];
    /// A kernel module was loaded or unloaded.
    DriverLoad = "driver_load", [Module];
    /// A file system was mounted, moved or unmounted, or a root directory changed.
    Mount = "mount", [Mount];
    /// A file without a name was made in memory.
    Memfd = "memfd", [Memfd];
    /// Memory became executable that was written or has no file.
    MemoryExec = "memory_exec", [MemoryExec];
    /// Namespaces were left for others.
    Namespace = "namespace", [Namespace];
    /// An io_uring was made.
    IoUring = "io_uring", [IoUring];
    /// A BPF program or map was used.
    Bpf = "bpf", [Bpf];
    /// A signal was sent to another process.
    Signal = "signal", [Signal];
    /// Another kernel was loaded.
    Kexec = "kexec", [Kexec];
    /// A performance event was opened.
    PerfEvent = "perf_event", [PerfEvent];
    /// A process asked to handle page faults itself.
    Userfaultfd = "userfaultfd", [Userfaultfd];
    /// A process renamed itself or changed whether it can be inspected.
    Prctl = "prctl", [Prctl];
    /// A key was used.
    Keyring = "keyring", [Keyring];
    /// The host's name was set.
    HostName = "host_name", [HostName];
    /// The clock was set.
    Clock = "clock", [Clock];
    /// Swap space was switched.
    Swap = "swap", [Swap];
    /// A restart or halt was asked for.
    Reboot = "reboot", [Reboot];
    /// The same events in the form of auditd's records.
    Auditd = "auditd", [Exec, FileOpen, FileRead, FileRename, FileDelete, FileLink, FileMkdir, FileMode, FileOwner, NetSocket, NetConnect, Memfd, Module, Ptrace, Clock, HostName];
}

/// Other names of categories that mean the same here.
const SYNONYMS: &[(&str, Category)] = &[("dns", Category::DnsQuery), ("create_file", Category::FileEvent)];

/// Services whose logs are texts that this agent does not read.
const TEXT_SERVICES: &[&str] = &[
    "sshd",
    "syslog",
    "sudo",
    "auth",
    "cron",
    "vsftpd",
    "clamav",
    "guacamole",
    "modsecurity",
    "journald",
    "apache",
    "nginx",
];

impl Category {
    /// The category of a rule's log source, or why the rule is not for this agent.
    pub fn of(
        product: Option<&str>,
        category: Option<&str>,
        service: Option<&str>,
    ) -> Result<Category, String> {
        if let Some(product) = product.filter(|p| !p.eq_ignore_ascii_case("linux")) {
            return Err(format!("it is about the product '{product}', and this is an agent for Linux"));
        }
        if let Some(service) = service {
            return match service {
                _ if service.eq_ignore_ascii_case("auditd") => Ok(Category::Auditd),
                _ if TEXT_SERVICES.iter().any(|known| known.eq_ignore_ascii_case(service)) => Err(format!(
                    "it reads the texts that '{service}' logs, and this agent sees what the kernel does"
                )),
                _ => {
                    Err(format!("the service '{service}' is not known{}", nearest::hint(service, ["auditd"])))
                }
            };
        }
        let Some(category) = category else {
            return match product {
                // Keywords over any log of Linux: the nearest that the kernel knows is what is run.
                Some(_) => Ok(Category::ProcessCreation),
                None => Err("its log source names neither product nor category".to_owned()),
            };
        };
        let same = |name: &str| name.eq_ignore_ascii_case(category);
        let known = Category::ALL.iter().copied().find(|known| same(known.name()));
        let synonym = || SYNONYMS.iter().find(|(name, _)| same(name)).map(|(_, known)| *known);
        known.or_else(synonym).ok_or_else(|| {
            let names = Category::ALL.iter().map(|known| known.name());
            format!("no event of Linux feeds the category '{category}'{}", nearest::hint(category, names))
        })
    }
}
