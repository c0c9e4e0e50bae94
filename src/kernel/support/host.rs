//! Facts about the host: release, lockdown, security modules, mounts and switches.

use std::fmt;

use super::{Fact, Roots, read};

/// The running kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// As `uname -r` prints it; empty if unknown.
    pub text: String,
    /// Major and minor number, if the text begins with them.
    pub version: Option<(u32, u32)>,
}

impl Release {
    /// Parses `5.10.0-46-cloud-amd64` and the like.
    pub fn parse(text: &str) -> Release {
        let text = text.trim();
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|digits| digits.parse().ok());
        let version = numbers.next().flatten().zip(numbers.next().flatten());
        Release { text: text.to_owned(), version }
    }

    /// True if the kernel is known to be older than `version`.
    pub fn is_before(&self, version: (u32, u32)) -> bool {
        self.version.is_some_and(|own| own < version)
    }
}

/// How much the kernel keeps even from root, see kernel_lockdown(7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lockdown {
    /// Nothing; also if the file does not exist, as in kernels without lockdown and in most containers.
    Off,
    /// Programs may not change kernel memory. The agent does not want to.
    Integrity,
    /// Programs may not read kernel memory through helpers either.
    Confidentiality,
    /// The file says something else, or cannot be read.
    Unknown(String),
}

impl fmt::Display for Lockdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lockdown::Off => f.write_str("none"),
            Lockdown::Integrity => f.write_str("integrity"),
            Lockdown::Confidentiality => f.write_str("confidentiality"),
            Lockdown::Unknown(reason) => write!(f, "unknown ({reason})"),
        }
    }
}

/// The running kernel.
pub(super) fn release(roots: &Roots) -> Release {
    Release::parse(&read(&roots.proc.join("sys/kernel/osrelease")).unwrap_or_default())
}

/// The machine as uname(2) names it; the one this program was built for if that fails.
pub(super) fn machine() -> String {
    let name = nix::sys::utsname::uname().map(|names| names.machine().to_string_lossy().into_owned());
    name.unwrap_or_else(|_| std::env::consts::ARCH.to_owned())
}

/// Reads `[none] integrity confidentiality`.
pub(super) fn lockdown(roots: &Roots) -> Lockdown {
    let path = roots.sys.join("kernel/security/lockdown");
    if !path.exists() {
        return Lockdown::Off;
    }
    let text = match read(&path) {
        Ok(text) => text,
        Err(reason) => return Lockdown::Unknown(reason),
    };
    let chosen = text.split_whitespace().find_map(|word| word.strip_prefix('[')?.strip_suffix(']'));
    match chosen {
        Some("none") => Lockdown::Off,
        Some("integrity") => Lockdown::Integrity,
        Some("confidentiality") => Lockdown::Confidentiality,
        _ => Lockdown::Unknown(format!("{} says {:?}", path.display(), text.trim())),
    }
}

/// Active security modules, in order.
pub(super) fn security_modules(roots: &Roots) -> Fact<Vec<String>> {
    let text = read(&roots.sys.join("kernel/security/lsm"))?;
    Ok(text.trim().split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// Where the first filesystem of this type is mounted, see proc_pid_mountinfo(5).
pub(super) fn mount_point(mountinfo: &str, fs_type: &str) -> Fact<String> {
    let point = mountinfo.lines().find_map(|line| {
        // A lone hyphen ends the optional fields; none of those before it can contain a blank.
        let (mount, filesystem) = line.split_once(" - ")?;
        let matches = filesystem.split_whitespace().next() == Some(fs_type);
        mount.split_whitespace().nth(4).filter(|_| matches)
    });
    point.map(str::to_owned).ok_or_else(|| format!("no {fs_type} is mounted"))
}

/// A number below `/proc/sys`.
pub(super) fn switch(roots: &Roots, name: &str) -> Fact<u32> {
    let path = roots.proc.join("sys").join(name);
    let text = read(&path)?;
    text.trim().parse().map_err(|_| format!("{} says {:?}", path.display(), text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases() {
        let version = |text: &str| Release::parse(text).version;
        assert_eq!(version("5.10.0-46-cloud-amd64\n"), Some((5, 10)));
        assert_eq!(version("6.18.44-fc-v669"), Some((6, 18)));
        assert_eq!(version("7.3-rc1"), Some((7, 3)));
        assert_eq!(version("10.0"), Some((10, 0)));
        for odd in ["", "linux", "6", "6.x", "-5.8", "99999999999.1"] {
            assert_eq!(version(odd), None, "{odd}");
        }
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        assert!(Release::parse("4.18.0-553.el8").is_before((5, 8)));
        assert!(Release::parse("5.4.0").is_before((5, 8)));
        assert!(!Release::parse("5.10.0").is_before((5, 8)));
        assert!(!Release::parse("6.1").is_before((5, 8)));
        assert!(!Release::parse("unreadable").is_before((5, 8)));
    }

    #[test]
    fn mounts() {
        let text = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 master:1 - cgroup2 cgroup2 rw
garbage
42 31 0:38 / /later rw - cgroup2 cgroup2 rw
";
        assert_eq!(mount_point(text, "cgroup2"), Ok("/sys/fs/cgroup/unified".into()));
        assert_eq!(mount_point(text, "tracefs"), Err("no tracefs is mounted".into()));
        assert!(mount_point("", "cgroup2").is_err());
    }

    #[test]
    fn lockdown_states() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots { proc: dir.path().into(), sys: dir.path().into() };
        assert_eq!(lockdown(&roots), Lockdown::Off);
        std::fs::create_dir_all(dir.path().join("kernel/security")).unwrap();
        let state = |text: &str| {
            std::fs::write(dir.path().join("kernel/security/lockdown"), text).unwrap();
            lockdown(&roots)
        };
        assert_eq!(state("[none] integrity confidentiality\n"), Lockdown::Off);
        assert_eq!(state("none integrity [confidentiality]\n"), Lockdown::Confidentiality);
        assert!(matches!(state("none [future]"), Lockdown::Unknown(reason) if reason.contains("[future]")));
    }
}
