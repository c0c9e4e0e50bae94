//! The same job for every peer: what bpftrace runs, which rules auditd has, and which of their lines tell it.

use std::path::{Path, PathBuf};

use crate::load::Load;
use crate::names::{CONNECTIONS, OPENS};
use crate::peers::Kind;

/// What a peer is to record.
pub enum Job {
    /// Execs with their arguments; those that carry this mark are looked for.
    Execs {
        /// As in [`crate::workload`].
        mark: String,
    },
    /// Opens of files below a directory.
    Opens {
        /// The directory.
        files: PathBuf,
    },
    /// Both ends of connections.
    Connections,
}

/// The tracepoint's own arguments are the only ones that bpftrace can print.
const EXECS: &str = "tracepoint:syscalls:sys_enter_execve { join(args->argv); }";

/// As opensnoop.bt does it, with the result and for one directory.
const OPEN_SCRIPT: &str = r#"
tracepoint:syscalls:sys_enter_openat /strncmp(str(args->filename), "DIRECTORY/", LENGTH) == 0/ {
    @name[tid] = args->filename;
}
tracepoint:syscalls:sys_exit_openat /@name[tid]/ {
    printf("open %d %s %d %s\n", pid, comm, args->ret, str(@name[tid]));
    delete(@name[tid]);
}"#;

/// The other end's address is known to the caller of connect alone.
const CONNECTION_SCRIPT: &str = r#"
tracepoint:syscalls:sys_enter_connect { @address[tid] = args->uservaddr; }
tracepoint:syscalls:sys_exit_connect /@address[tid]/ {
    $address = (struct sockaddr_in *)@address[tid];
    printf("connect %d %s %d %s %d\n", pid, comm, args->ret, ntop($address->sin_addr.s_addr), $address->sin_port);
    delete(@address[tid]);
}
tracepoint:syscalls:sys_exit_accept, tracepoint:syscalls:sys_exit_accept4 {
    printf("accept %d %s %d\n", pid, comm, args->ret);
}"#;

/// Keys of audit rules; every record of a rule carries its key.
const KEYS: [&str; 4] = ["se-exec", "se-open", "se-connect", "se-accept"];

impl Job {
    /// The job that a load is for, its files being in `files`.
    pub fn of(load: Load, files: &Path) -> Option<Self> {
        match load {
            Load::Opens | Load::Distinct => Some(Job::Opens { files: files.to_owned() }),
            Load::Tcp => Some(Job::Connections),
            Load::Getppid | Load::Build | Load::Unwatched => None,
        }
    }

    /// The program for bpftrace, which says "ready" first.
    pub fn script(&self) -> String {
        let probes = match self {
            Job::Execs { .. } => EXECS.to_owned(),
            Job::Opens { files } => {
                let directory = files.to_string_lossy();
                let length = (directory.len() + 1).to_string();
                OPEN_SCRIPT.replace("DIRECTORY", &directory).replace("LENGTH", &length)
            }
            Job::Connections => CONNECTION_SCRIPT.to_owned(),
        };
        format!("BEGIN {{ printf(\"ready\\n\"); }} {probes}")
    }

    /// Arguments of auditctl, a list a rule; each rule is there for both kinds of system calls.
    pub fn rules(&self) -> Vec<Vec<String>> {
        let [exec, open, connect, accept] = KEYS;
        let rule = |arch: &str, calls: &str, filter: &[String], key: &str| {
            let arch = format!("arch={arch}");
            let mut rule: Vec<String> =
                ["-a", "always,exit", "-F", &arch, "-S", calls].map(str::to_owned).into();
            rule.extend_from_slice(filter);
            rule.extend(["-k", key].map(str::to_owned));
            rule
        };
        let mut rules = Vec::new();
        // 32-bit programs accept through a call for all socket operations, or accept4.
        for (arch, accepts) in [("b64", "accept,accept4"), ("b32", "accept4")] {
            match self {
                Job::Execs { .. } => rules.push(rule(arch, "execve,execveat", &[], exec)),
                Job::Opens { files } => {
                    let filter = ["-F".to_owned(), format!("dir={}", files.display())];
                    rules.push(rule(arch, "openat,openat2", &filter, open));
                }
                Job::Connections => {
                    rules.push(rule(arch, "connect", &[], connect));
                    rules.push(rule(arch, accepts, &[], accept));
                }
            }
        }
        rules
    }

    /// The class of the event that a peer's line tells, if it is one of the job, done by `pid` where that matters.
    pub fn class(&self, peer: Kind, line: &str, pid: u32) -> Option<&'static str> {
        let [_, open, connect, accept] = KEYS;
        let is_call =
            |key: &str| line.starts_with("type=SYSCALL") && line.contains(&format!("key=\"{key}\""));
        match (self, peer) {
            (Job::Execs { mark }, _) => {
                // An exec in the audit log is several lines, one of which has the arguments. The spawner's own exec
                // has the mark too, without a number, and a rate after it.
                let needle = format!("{mark}-");
                let is_marked = line.split(['"', ' ']).any(|word| {
                    let number = word.strip_prefix(&needle).and_then(|rest| rest.split_once('-'));
                    number.is_some_and(|(_, n)| n.parse::<u64>().is_ok())
                });
                let has_arguments = peer != Kind::Auditd || line.starts_with("type=EXECVE");
                (is_marked && has_arguments).then_some("exec")
            }
            // Both filter by the directory.
            (Job::Opens { .. }, Kind::Bpftrace) => line.starts_with("open ").then_some(OPENS[0]),
            (Job::Opens { .. }, Kind::Auditd) => is_call(open).then_some(OPENS[0]),
            (Job::Connections, Kind::Bpftrace) => {
                let (call, rest) = line.split_once(' ')?;
                let by: u32 = rest.split(' ').next()?.parse().ok()?;
                let ends = [("connect", CONNECTIONS[0]), ("accept", CONNECTIONS[1])];
                ends.iter().find(|(name, _)| *name == call && by == pid).map(|(_, class)| *class)
            }
            (Job::Connections, Kind::Auditd) => {
                let ends = [(connect, CONNECTIONS[0]), (accept, CONNECTIONS[1])];
                let by = line.contains(&format!(" pid={pid} "));
                ends.iter().find(|(key, _)| by && is_call(key)).map(|(_, class)| *class)
            }
        }
    }
}
