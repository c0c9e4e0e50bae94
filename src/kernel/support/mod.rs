//! What this host and this process offer to the kernel side: facts, and no decisions.
//!
//! [`probe`] reads them all in one go; [`plan`](super::plan) judges them, and `doctor` shows them. Reading never
//! fails: what cannot be told is a [`Fact`] with the reason. Nothing is loaded, attached or changed, and nothing
//! needs a privilege, so that anyone can ask what is missing.
//!
//! One thing cannot be read anywhere: whether trampolines work. [`Facts::try_trampolines`] finds out by attaching one
//! that does nothing, for whoever is about to plan with them.
//!
//! - [`btf`]: the kernel's description of its own types, where tracepoints and helpers are listed
//! - [`process`]: capabilities, namespaces and limits of this process, and whether it may call bpf() at all
//! - [`host`]: release, lockdown, security modules, mounts and switches
//! - [`trial`]: the trampoline that does nothing
//!
//! All but the call of bpf() and the machine's name comes from files, below roots that tests can move.

pub mod btf;
pub mod host;
pub mod process;
mod trial;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

pub use btf::{Btf, BtfError};
pub use host::{Lockdown, Release};
pub use process::{Capabilities, Capability, Memlock};

/// Something that was read, or why it could not be.
pub type Fact<T> = Result<T, String>;

/// Most bytes read of a file in /proc or /sys; mountinfo of a host with thousands of containers is the longest.
const FILE_MAX_BYTES: u64 = 4 << 20;

/// Where the filesystems of the kernel are mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// Usually `/proc`.
    pub proc: PathBuf,
    /// Usually `/sys`.
    pub sys: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Roots { proc: "/proc".into(), sys: "/sys".into() }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The running kernel.
    pub release: Release,
    /// The machine, such as `x86_64`.
    pub machine: String,
    /// The kernel's description of its own types.
    pub btf: Result<Btf, BtfError>,
    /// Effective user id of this process.
    pub euid: Fact<u32>,
    /// Effective capabilities of this process.
    pub capabilities: Fact<Capabilities>,
    /// Whether this process is in the user namespace of the host. In another one its capabilities mean nothing to
    /// bpf().
    pub host_user_namespace: Fact<bool>,
    /// Whether this process is in the pid namespace of the host. In another one it sees a part of the processes.
    pub host_pid_namespace: Fact<bool>,
    /// Whether bpf() lets this process in, before any command is looked at: filters of system calls and security
    /// modules may not.
    pub bpf_call: Fact<()>,
    /// Whether a seccomp filter is installed on this process.
    pub seccomp_filter: Fact<bool>,
    /// Limit on locked memory. Kernels before 5.11 charge maps to it.
    pub memlock: Fact<Memlock>,
    /// What the kernel keeps even from root.
    pub lockdown: Lockdown,
    /// Whether trampolines on kernel functions can be loaded and attached, once it was tried.
    pub trampolines: Fact<()>,
    /// Whether programs on hooks of the security modules can be loaded and are called, once it was tried.
    pub bpf_lsm: Fact<()>,
    /// Active security modules, in order.
    pub security_modules: Fact<Vec<String>>,
    /// Where the cgroup v2 hierarchy is mounted, as mountinfo spells it.
    pub cgroup2: Fact<String>,
    /// Where tracefs is mounted. Nothing here needs it; people who look into a problem do.
    pub tracefs: Fact<String>,
    /// `kernel.unprivileged_bpf_disabled`: 0 is open to everyone.
    pub unprivileged_bpf_disabled: Fact<u32>,
    /// `net.core.bpf_jit_enable`: 0 means that programs are interpreted. Only visible in the host's network namespace.
    pub jit: Fact<u32>,
}

/// Reads the facts about this host and this process.
///
/// Takes some 10 ms of CPU, nearly all of it for BTF.
pub fn probe(roots: &Roots) -> Facts {
    let status = process::Status::read(roots);
    let mounts = read(&roots.proc.join("self/mountinfo"));
    let mount = |fs_type: &str| host::mount_point(mounts.as_ref().map_err(Clone::clone)?, fs_type);
    Facts {
        release: host::release(roots),
        machine: host::machine(),
        btf: Btf::read(&roots.sys.join("kernel/btf/vmlinux")),
        euid: status.euid(),
        capabilities: status.capabilities(),
        host_user_namespace: process::in_host_namespace(roots, "user"),
        host_pid_namespace: process::in_host_namespace(roots, "pid"),
        bpf_call: process::bpf_call(),
        seccomp_filter: status.seccomp_filter(),
        memlock: process::memlock(roots),
        lockdown: host::lockdown(roots),
        trampolines: Err(NOT_TRIED.to_owned()),
        bpf_lsm: Err(NOT_TRIED.to_owned()),
        security_modules: host::security_modules(roots),
        cgroup2: mount("cgroup2"),
        tracefs: mount("tracefs"),
        unprivileged_bpf_disabled: host::switch(roots, "kernel/unprivileged_bpf_disabled"),
        jit: host::switch(roots, "net/core/bpf_jit_enable"),
    }
}

/// What stands for a trial that was not made.
const NOT_TRIED: &str = "whether trampolines work was not tried";

impl Facts {
    /// Finds out whether trampolines work, by attaching one that does nothing and taking it off again. Needs the
    /// privileges of the agent, without which the answer is the kernel's refusal.
    pub fn try_trampolines(&mut self) {
        self.trampolines = trial::trampolines();
        self.bpf_lsm = self.trampolines.clone().and_then(|()| trial::lsm(&self.security_modules));
    }
}

/// The text of a file, with the path in the reason if there is none.
fn read(path: &Path) -> Fact<String> {
    read_file(path).map_err(|e| format!("cannot read {}: {e}", path.display()))
}

fn read_file(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Instant;

    use super::*;

    #[test]
    fn nothing_at_all_is_facts_too() {
        let dir = tempfile::tempdir().unwrap();
        let facts = probe(&Roots { proc: dir.path().join("proc"), sys: dir.path().join("sys") });
        assert_eq!(facts.release.version, None);
        assert_eq!(facts.btf, Err(BtfError::Absent));
        assert_eq!(facts.lockdown, Lockdown::Off);
        assert!(facts.capabilities.unwrap_err().contains("proc/self/status"));
        assert!(facts.cgroup2.unwrap_err().contains("proc/self/mountinfo"));
        assert!(facts.trampolines.is_err() && facts.bpf_lsm.is_err());
        assert!(facts.memlock.is_err() && facts.jit.is_err() && facts.host_pid_namespace.is_err());
    }

    #[test]
    fn a_host_made_of_files() {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("proc/sys/kernel/osrelease", "5.10.0-46-cloud-amd64\n");
        put("proc/sys/net/core/bpf_jit_enable", "1\n");
        put("proc/self/status", "Name:\tx\nUid:\t1000\t0\t0\t0\nCapEff:\t000000c000000000\nSeccomp:\t2\n");
        put(
            "proc/self/limits",
            "Max locked memory         65536                unlimited            bytes\n",
        );
        put("proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw shared:1 - cgroup2 cgroup2 rw\n");
        put("sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
        put("sys/kernel/security/lsm", "lockdown,capability,bpf\n");
        fs::create_dir(dir.path().join("proc/self/ns")).unwrap();
        std::os::unix::fs::symlink("user:[4026531837]", dir.path().join("proc/self/ns/user")).unwrap();
        std::os::unix::fs::symlink("pid:[4026532000]", dir.path().join("proc/self/ns/pid")).unwrap();

        let facts = probe(&Roots { proc: dir.path().join("proc"), sys: dir.path().join("sys") });
        assert_eq!(facts.release.version, Some((5, 10)));
        assert_eq!(facts.release.text, "5.10.0-46-cloud-amd64");
        assert_eq!(facts.euid, Ok(0));
        let capabilities = facts.capabilities.unwrap();
        assert!(capabilities.has(Capability::Bpf) && capabilities.has(Capability::Perfmon));
        assert!(!capabilities.has(Capability::SysAdmin));
        assert_eq!(facts.seccomp_filter, Ok(true));
        assert_eq!(facts.memlock, Ok(Memlock { soft: Some(65536), hard: None }));
        assert_eq!(facts.lockdown, Lockdown::Integrity);
        assert_eq!(facts.security_modules.unwrap(), ["lockdown", "capability", "bpf"]);
        assert_eq!(facts.cgroup2, Ok("/sys/fs/cgroup".into()));
        assert_eq!(facts.tracefs, Err("no tracefs is mounted".into()));
        assert_eq!((facts.host_user_namespace, facts.host_pid_namespace), (Ok(true), Ok(false)));
        assert_eq!(facts.jit, Ok(1));
    }

    #[test]
    fn the_real_host() {
        let begin = Instant::now();
        let facts = probe(&Roots::default());
        println!("probed in {:?}", begin.elapsed());
        assert!(facts.release.version.is_some_and(|v| v > (2, 6)), "{:?}", facts.release);
        assert!(facts.capabilities.is_ok() && facts.memlock.is_ok() && facts.euid.is_ok());
    }
}
