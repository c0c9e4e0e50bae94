//! Numbers of cgroup hierarchies, and where each is mounted.
//!
//! `/proc/self/cgroup` lists every hierarchy as `number:controllers:path`, number 0 being the default one
//! (version 2). `/proc/cgroups` would not do: it leaves out the hierarchies that have a name and no controller,
//! such as systemd's. Which mount is which hierarchy the mount's options tell, as they name its controllers.

use std::path::PathBuf;

use super::{Procfs, lines, number};

/// A mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Its number, 0 for the default one.
    pub number: u32,
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// Path of the mounted group from the hierarchy's root; `/` unless only a part is mounted.
    pub root: Vec<u8>,
}

/// A line of `/proc/PID/cgroup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership<'a> {
    /// The hierarchy's number.
    pub number: u32,
    /// Controllers separated by commas, or `name=...`; empty for the default hierarchy.
    pub controllers: &'a [u8],
    /// Path of the process's group.
    pub path: &'a [u8],
}

impl<'a> Membership<'a> {
    /// Parses a line. The path comes last and may hold colons.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let mut parts = line.splitn(3, |&b| b == b':');
        let number = number(parts.next()?)?;
        Some(Membership { number, controllers: parts.next()?, path: parts.next()? })
    }
}

impl Procfs {
    /// Mounted hierarchies, each once: the default one first, then systemd's, then the others.
    pub fn hierarchies(&self) -> Vec<Hierarchy> {
        let text = self.read("self/cgroup", 64 * 1024).unwrap_or_default();
        let members: Vec<Membership<'_>> = lines(&text).filter_map(Membership::parse).collect();
        let mut found: Vec<(bool, Hierarchy)> = Vec::new();
        for mount in self.mounts() {
            let options: Vec<&[u8]> = mount.super_options.split(|&b| b == b',').collect();
            let is_here = |m: &&Membership<'_>| match mount.fs_type.as_slice() {
                b"cgroup2" => m.number == 0,
                b"cgroup" => {
                    m.number != 0 && m.controllers.split(|&b| b == b',').all(|c| options.contains(&c))
                }
                _ => false,
            };
            let Some(member) = members.iter().find(is_here) else { continue };
            if found.iter().any(|(_, h)| h.number == member.number) {
                continue;
            }
            let hierarchy =
                Hierarchy { number: member.number, mount_point: mount.mount_point, root: mount.root };
            found.push((member.controllers != b"name=systemd", hierarchy));
        }
        found.sort_by_key(|(is_other, h)| (h.number != 0, *is_other, h.number));
        found.into_iter().map(|(_, hierarchy)| hierarchy).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    #[test]
    fn mounts_and_numbers_meet() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("self")).unwrap();
        let cgroup = "5:cpu,cpuacct:/\n9:name=systemd:/a:b\n4:memory:/x\n1:net_cls:/\n0::/init.scope\n";
        fs::write(dir.path().join("self/cgroup"), cgroup).unwrap();
        let mountinfo = "\
            31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
            35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            36 31 0:33 /docker/x /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
            40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
            42 31 0:38 / /again rw - cgroup2 cgroup2 rw\n";
        fs::write(dir.path().join("self/mountinfo"), mountinfo).unwrap();
        let found = Procfs::new(dir.path()).hierarchies();
        let numbers: Vec<u32> = found.iter().map(|h| h.number).collect();
        assert_eq!(numbers, [0, 9, 4, 5]);
        assert_eq!(found[0].mount_point, Path::new("/sys/fs/cgroup/unified"));
        assert_eq!(found[3].root, b"/docker/x");
    }

    #[test]
    fn memberships() {
        let member = Membership::parse(b"9:name=systemd:/a:b").unwrap();
        assert_eq!((member.number, member.controllers, member.path), (9, &b"name=systemd"[..], &b"/a:b"[..]));
        assert_eq!(Membership::parse(b"0::/").unwrap().path, b"/");
        assert_eq!(Membership::parse(b"0:"), None);
        assert_eq!(Membership::parse(b"-1::/"), None);
    }
}
