//! What keeps the agent from running on this host, and what to do about it.

use crate::kernel::support::Capability;
use crate::metrics::label::Program;

/// An obstacle. Displayed, it is one line: what is missing, a semicolon, the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}; {}", self.missing(), self.remedy())]
pub enum Error {
    /// The kernel is older than [`OLDEST_KERNEL`](super::OLDEST_KERNEL).
    KernelTooOld {
        /// The running one, as `uname -r` prints it.
        release: String,
    },
    /// The kernel does not describe its types, or not in a way that can be read.
    NoBtf {
        /// What was found instead.
        reason: String,
    },
    /// The kernel lacks a tracepoint without which the process table would be wrong.
    MissingTracepoint {
        /// The program that goes there.
        program: Program,
        /// The tracepoint.
        tracepoint: &'static str,
    },
    /// Lockdown keeps kernel memory even from root.
    Lockdown,
    /// The kernel describes its types, and keeps the description from this process.
    BtfRefused {
        /// The kernel's answer.
        reason: String,
    },
    /// The process is in a user namespace of its own.
    UserNamespace,
    /// The process may not load or attach programs.
    MissingCapabilities {
        /// What it lacks.
        missing: Vec<Capability>,
        /// Whether it is root nevertheless, as in a container.
        is_root: bool,
    },
    /// A kernel that charges maps to the limit on locked memory, and a process that cannot raise it.
    Memlock {
        /// The limit.
        limit_bytes: u64,
    },
    /// The process has the capabilities, and still is not let in.
    BpfRefused {
        /// The kernel's answer.
        reason: String,
        /// Whether a filter of system calls is installed, which then is the first suspect.
        has_filter: bool,
    },
}

impl Error {
    /// What is missing.
    pub fn missing(&self) -> String {
        match self {
            Error::KernelTooOld { release } => format!("Linux {release} is too old, 5.8 or newer is needed"),
            Error::NoBtf { reason } => format!("the kernel does not describe its types (BTF): {reason}"),
            Error::MissingTracepoint { program, tracepoint } => {
                format!("the kernel has no tracepoint {tracepoint}, which {} needs", program.name())
            }
            Error::Lockdown => "lockdown is in confidentiality mode, where eBPF may not read kernel memory".into(),
            Error::BtfRefused { reason } => reason.clone(),
            Error::UserNamespace => {
                "this process is in a user namespace of its own, where no capability reaches the kernel's eBPF".into()
            }
            Error::MissingCapabilities { missing, is_root } => {
                let root = if *is_root { ", though this is root" } else { "" };
                let verb = if missing.len() == 1 { "is" } else { "are" };
                format!("{} {verb} missing{root}", list(missing))
            }
            Error::Memlock { limit_bytes } => format!(
                "kernels before 5.11 count maps as locked memory, limited to {limit_bytes} bytes here, and without \
                 CAP_SYS_RESOURCE the limit cannot be raised"
            ),
            Error::BpfRefused { reason, has_filter } => {
                let who = if *has_filter { "a filter of system calls (seccomp)" } else { "a security module" };
                format!("bpf() is refused in spite of all capabilities, it seems by {who}: {reason}")
            }
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Error::KernelTooOld { .. } => "install a newer kernel".into(),
            Error::NoBtf { .. } => {
                "use the distribution's kernel, or build one with CONFIG_DEBUG_INFO_BTF=y; in a container, mount the \
                 host's /sys"
                    .into()
            }
            Error::MissingTracepoint { .. } => {
                "use a kernel whose tracepoints are not configured away (CONFIG_TRACEPOINTS=y)".into()
            }
            Error::Lockdown => "boot with lockdown=integrity".into(),
            Error::BtfRefused { .. } => "run as root".into(),
            Error::UserNamespace => {
                "run it on the host as root, or in a container that is not rootless (no --userns)".into()
            }
            Error::MissingCapabilities { missing, is_root } => {
                let first = if *is_root { "grant" } else { "run as root, or grant" };
                let pronoun = if missing.len() == 1 { "it" } else { "them" };
                format!("{first} {pronoun}: AmbientCapabilities= in a systemd unit, --cap-add= for a container")
            }
            Error::Memlock { .. } => {
                "start it with LimitMEMLOCK=infinity in a systemd unit, --ulimit memlock=-1 for a container, or grant \
                 CAP_SYS_RESOURCE"
                    .into()
            }
            Error::BpfRefused { has_filter: true, .. } => {
                "allow bpf in the filter: the container's seccomp profile, or SystemCallFilter= of the systemd unit".into()
            }
            Error::BpfRefused { has_filter: false, .. } => {
                "look for the denial in the kernel's log and the audit log, and allow bpf in the module's policy".into()
            }
        }
    }

    /// True if a privilege or a permission is what is missing: the same kernel could run the agent.
    pub const fn is_privilege(&self) -> bool {
        match self {
            Error::KernelTooOld { .. }
            | Error::NoBtf { .. }
            | Error::MissingTracepoint { .. }
            | Error::Lockdown => false,
            Error::BtfRefused { .. }
            | Error::UserNamespace
            | Error::MissingCapabilities { .. }
            | Error::Memlock { .. }
            | Error::BpfRefused { .. } => true,
        }
    }

    /// True if the kernel, as it was built and booted, cannot run the agent for anyone.
    pub const fn is_support(&self) -> bool {
        !self.is_privilege()
    }
}

/// `CAP_BPF and CAP_PERFMON`.
fn list(capabilities: &[Capability]) -> String {
    let names: Vec<_> = capabilities.iter().map(|c| c.name()).collect();
    names.join(" and ")
}
