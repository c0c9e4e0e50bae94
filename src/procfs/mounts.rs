//! `/proc/PID/mountinfo`, see proc_pid_mountinfo(5).

use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::{Procfs, fields, lines, number};

/// Most bytes read: some ten thousand mounts.
const FILE_MAX: usize = 4 * 1024 * 1024;

/// A mounted filesystem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Which directory of the filesystem is mounted.
    pub root: Vec<u8>,
    /// Where.
    pub mount_point: PathBuf,
    /// Type, such as `cgroup2`.
    pub fs_type: Vec<u8>,
    /// Options of the filesystem, separated by commas; of a cgroup mount, the controllers are among them.
    pub super_options: Vec<u8>,
}

impl Mount {
    /// Parses a line.
    pub fn parse(line: &[u8]) -> Option<Mount> {
        let mut fields = fields(line);
        let _id: u32 = number(fields.next()?)?;
        let _parent: u32 = number(fields.next()?)?;
        let _device = fields.next()?;
        let root = unescape(fields.next()?);
        let mount_point = std::ffi::OsString::from_vec(unescape(fields.next()?)).into();
        let _options = fields.next()?;
        // Any number of tags, then a lone hyphen.
        fields.find(|&field| field == b"-")?;
        let fs_type = unescape(fields.next()?);
        let _source = fields.next()?;
        let super_options = unescape(fields.next().unwrap_or_default());
        Some(Mount { root, mount_point, fs_type, super_options })
    }
}

/// Undoes the kernel's `\040` for characters that would break a line into other fields.
fn unescape(field: &[u8]) -> Vec<u8> {
    let octal = |digits: &[u8]| {
        digits.iter().try_fold(0u8, |n, d| match d {
            b'0'..=b'7' => n.checked_mul(8)?.checked_add(d - b'0'),
            _ => None,
        })
    };
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        match tail.get(..3).filter(|_| byte == b'\\').and_then(octal) {
            Some(escaped) => {
                out.push(escaped);
                rest = &tail[3..];
            }
            None => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    out
}

impl Procfs {
    /// Mounts that the agent sees; lines that make no sense are left out.
    pub fn mounts(&self) -> Vec<Mount> {
        let text = self.read("self/mountinfo", FILE_MAX).unwrap_or_default();
        lines(&text).filter_map(Mount::parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    #[test]
    fn a_line_with_everything() {
        let line =
            b"36 35 98:0 /mnt1 /mnt\\040two rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue";
        let mount = Mount::parse(line).unwrap();
        assert_eq!(mount.root, b"/mnt1");
        assert_eq!(mount.mount_point, Path::new("/mnt two"));
        assert_eq!(mount.fs_type, b"ext3");
        assert_eq!(mount.super_options, b"rw,errors=continue");
    }

    #[test]
    fn no_tags_and_no_hyphen() {
        let mount =
            Mount::parse(b"41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw").unwrap();
        assert_eq!(mount.fs_type, b"cgroup2");
        assert_eq!(Mount::parse(b"41 31 0:38 / /x rw,relatime cgroup2 cgroup2 rw"), None);
        assert_eq!(Mount::parse(b"x 31 0:38 / /x rw - a b c"), None);
    }

    #[test]
    fn escapes() {
        assert_eq!(unescape(b"a\\134b\\011\\012"), b"a\\b\t\n");
        assert_eq!(unescape(b"\\9\\04\\"), b"\\9\\04\\");
        assert_eq!(unescape(b"\\777"), b"\\777");
    }

    #[test]
    fn the_real_one() {
        let mounts = Procfs::default().mounts();
        assert!(mounts.iter().any(|m| m.fs_type == b"proc" && m.mount_point == Path::new("/proc")));
    }

    proptest! {
        #[test]
        fn any_line_does_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Mount::parse(&bytes);
            prop_assert!(unescape(&bytes).len() <= bytes.len());
        }
    }
}
