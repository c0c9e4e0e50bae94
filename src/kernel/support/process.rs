//! Facts about this process: capabilities, namespaces, limits, and whether bpf() is open to it.

use std::fmt;
use std::ptr;

use nix::errno::Errno;
use nix::libc;

use super::{Fact, Roots, read};

/// Capabilities that matter to the agent, with their numbers in `linux/capability.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Capability {
    /// Reading files whatever their mode.
    DacReadSearch = 2,
    /// Control group hooks of the network.
    NetAdmin = 12,
    /// Looking into other users' processes.
    SysPtrace = 19,
    /// Nearly everything; stands in for `Bpf` and `Perfmon`.
    SysAdmin = 21,
    /// Going beyond resource limits.
    SysResource = 24,
    /// Watching the whole system: what tracing programs ask for.
    Perfmon = 38,
    /// Loading programs and making maps.
    Bpf = 39,
}

impl Capability {
    /// Its name, such as `CAP_BPF`.
    pub const fn name(self) -> &'static str {
        match self {
            Capability::DacReadSearch => "CAP_DAC_READ_SEARCH",
            Capability::NetAdmin => "CAP_NET_ADMIN",
            Capability::SysPtrace => "CAP_SYS_PTRACE",
            Capability::SysAdmin => "CAP_SYS_ADMIN",
            Capability::SysResource => "CAP_SYS_RESOURCE",
            Capability::Perfmon => "CAP_PERFMON",
            Capability::Bpf => "CAP_BPF",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of capabilities, a bit for each as in `/proc/PID/status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities(pub u64);

impl Capabilities {
    /// True if the capability is in the set.
    pub const fn has(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u8) != 0
    }
}

/// A limit on locked memory in bytes; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memlock {
    /// What holds.
    pub soft: Option<u64>,
    /// Up to where the process may raise it by itself.
    pub hard: Option<u64>,
}

/// `/proc/self/status`, read once for several facts.
pub(super) struct Status(Fact<String>);

impl Status {
    pub(super) fn read(roots: &Roots) -> Status {
        Status(read(&roots.proc.join("self/status")))
    }

    fn value(&self, key: &str) -> Fact<&str> {
        let text = self.0.as_ref().map_err(Clone::clone)?;
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        value.map(str::trim).ok_or_else(|| format!("/proc/self/status has no {key}"))
    }

    fn parsed<T>(&self, key: &str, parse: impl FnOnce(&str) -> Option<T>) -> Fact<T> {
        let value = self.value(key)?;
        parse(value).ok_or_else(|| format!("/proc/self/status has {key}: {value}"))
    }

    pub(super) fn capabilities(&self) -> Fact<Capabilities> {
        self.parsed("CapEff", |hex| u64::from_str_radix(hex, 16).ok().map(Capabilities))
    }

    /// Real, effective, saved and filesystem id stand in one line.
    pub(super) fn euid(&self) -> Fact<u32> {
        self.parsed("Uid", |ids| ids.split_whitespace().nth(1)?.parse().ok())
    }

    /// Mode 2 is a filter. The line is missing in kernels without seccomp.
    pub(super) fn seccomp_filter(&self) -> Fact<bool> {
        self.parsed("Seccomp", |mode| mode.parse::<u32>().ok().map(|mode| mode == 2))
    }
}

/// Whether this process is in the host's own namespace of this type, `user` or `pid`.
pub(super) fn in_host_namespace(roots: &Roots, name: &str) -> Fact<bool> {
    // The first namespaces have fixed numbers: PROC_USER_INIT_INO and PROC_PID_INIT_INO in linux/proc_ns.h.
    let first = match name {
        "user" => 0xEFFF_FFFD_u32,
        _ => 0xEFFF_FFFC,
    };
    let path = roots.proc.join("self/ns").join(name);
    let link = std::fs::read_link(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    Ok(link.to_string_lossy() == format!("{name}:[{first}]"))
}

/// `RLIMIT_MEMLOCK`, from /proc/self/limits.
pub(super) fn memlock(roots: &Roots) -> Fact<Memlock> {
    let text = read(&roots.proc.join("self/limits"))?;
    let limits = text.lines().find_map(|line| line.strip_prefix("Max locked memory"));
    let parsed = limits.and_then(|limits| {
        let mut fields = limits.split_whitespace().map(limit);
        Some(Memlock { soft: fields.next()??, hard: fields.next()?? })
    });
    parsed.ok_or_else(|| "/proc/self/limits has no \"Max locked memory\" that makes sense".to_owned())
}

/// A limit: `Some(None)` is unlimited, `None` makes no sense.
fn limit(text: &str) -> Option<Option<u64>> {
    if text == "unlimited" { Some(None) } else { text.parse().ok().map(Some) }
}

/// Calls bpf() with a command that does not exist. Whoever is let in is told EINVAL by the kernel proper; a filter
/// of system calls or a security module answers otherwise, and so does a kernel before 6.4 without CAP_BPF.
pub(super) fn bpf_call() -> Fact<()> {
    // From bit 16 on there are flags, the first (Linux 7) that says that two more arguments count.
    const NO_COMMAND: libc::c_int = 0x7fff;
    // SAFETY: the attributes are empty, size 0, so the kernel reads nothing through the pointer, and there is no
    // command of this number that could do anything.
    let result = unsafe { libc::syscall(libc::SYS_bpf, NO_COMMAND, ptr::null::<u8>(), 0) };
    match Errno::result(result) {
        Ok(_) | Err(Errno::EINVAL) => Ok(()),
        Err(errno) => Err(errno.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_those_of_the_kernel() {
        let named = [(2, "CAP_DAC_READ_SEARCH"), (19, "CAP_SYS_PTRACE"), (21, "CAP_SYS_ADMIN")];
        for (number, name) in named {
            let set = Capabilities(1 << number);
            let all = [
                Capability::DacReadSearch,
                Capability::SysPtrace,
                Capability::SysAdmin,
                Capability::SysResource,
                Capability::Perfmon,
                Capability::Bpf,
            ];
            let has: Vec<_> = all.into_iter().filter(|c| set.has(*c)).map(Capability::name).collect();
            assert_eq!(has, [name]);
        }
        assert!(Capabilities(0xc0_0000_0000).has(Capability::Bpf));
        assert!(Capabilities(0xc0_0000_0000).has(Capability::Perfmon));
        assert!(!Capabilities(0).has(Capability::Bpf));
    }

    #[test]
    fn odd_status_is_a_reason() {
        let status = Status(Ok("Uid:\t1000\nCapEff:\tzz\n".into()));
        assert_eq!(status.euid(), Err("/proc/self/status has Uid: 1000".into()));
        assert_eq!(status.capabilities(), Err("/proc/self/status has CapEff: zz".into()));
        assert_eq!(status.seccomp_filter(), Err("/proc/self/status has no Seccomp".into()));
    }

    #[test]
    fn limits() {
        assert_eq!(limit("unlimited"), Some(None));
        assert_eq!(limit("8388608"), Some(Some(8_388_608)));
        assert_eq!(limit("bytes"), None);
    }

    #[test]
    fn asking_bpf_ends_in_a_known_answer() {
        // As root it is let in; otherwise the kernel's age decides. Never anything but a refusal by permission.
        let answer = bpf_call();
        assert!(answer.is_ok() || answer == Err(Errno::EPERM.to_string()), "{answer:?}");
    }
}
