//! Facts about the host that files tell: boot id, machine id, operating system.

use std::path::Path;

use super::{Procfs, lines, read};

/// Most bytes read of such a file.
const FILE_MAX: usize = 64 * 1024;

/// Name and version of the operating system, out of os-release(5).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OsRelease {
    /// `NAME`.
    pub name: Option<String>,
    /// `VERSION_ID`, else `VERSION`.
    pub version: Option<String>,
}

impl OsRelease {
    /// Parses the file: shell assignments, values perhaps quoted. Of a key given twice the last one counts.
    pub fn parse(text: &[u8]) -> OsRelease {
        let value = |key: &[u8]| {
            let assigned = |line: &[u8]| Some(unquote(line.strip_prefix(key)?.strip_prefix(b"=")?));
            lines(text).filter_map(|line| assigned(line.trim_ascii())).last().filter(|v| !v.is_empty())
        };
        OsRelease { name: value(b"NAME"), version: value(b"VERSION_ID").or_else(|| value(b"VERSION")) }
    }

    /// Reads `etc/os-release` below `root`, else `usr/lib/os-release`.
    pub fn read(root: &Path) -> OsRelease {
        let file =
            ["etc/os-release", "usr/lib/os-release"].iter().find_map(|p| read(&root.join(p), FILE_MAX).ok());
        file.map_or_else(OsRelease::default, |text| OsRelease::parse(&text))
    }
}

/// A shell word without its quotes and backslashes.
fn unquote(word: &[u8]) -> String {
    let inner = match word {
        [q @ (b'"' | b'\''), inner @ .., end] if q == end => inner,
        _ => word,
    };
    let single = word.first() == Some(&b'\'');
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        let escaped = if byte == b'\\' && !single { bytes.next() } else { None };
        out.push(*escaped.unwrap_or(&byte));
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// `/etc/machine-id`, or D-Bus's copy of it: 32 hexadecimal digits.
pub fn machine_id(root: &Path) -> Option<String> {
    let files = ["etc/machine-id", "var/lib/dbus/machine-id"];
    let mut texts = files.iter().filter_map(|path| read(&root.join(path), 128).ok());
    let id = texts.find_map(|text| String::from_utf8(text.trim_ascii().to_ascii_lowercase()).ok())?;
    // Before the first boot it says "uninitialized".
    (id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())).then_some(id)
}

impl Procfs {
    /// The 16 bytes of this boot's id.
    pub fn boot_id(&self) -> Option<[u8; 16]> {
        uuid(&self.read("sys/kernel/random/boot_id", 64).ok()?)
    }
}

/// The 16 bytes that a UUID's digits spell.
fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    let digits: Vec<u8> = text.trim_ascii().iter().copied().filter(|&b| b != b'-').collect();
    let digits = std::str::from_utf8(&digits).ok().filter(|d| d.len() == 32)?;
    let valid = digits.bytes().all(|b| b.is_ascii_hexdigit());
    valid.then(|| u128::from_str_radix(digits, 16).ok()).flatten().map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn os_releases() {
        let parse = |text: &str| {
            let os = OsRelease::parse(text.as_bytes());
            (os.name.unwrap_or_default(), os.version.unwrap_or_default())
        };
        assert_eq!(
            parse("NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"13\"\n"),
            ("Debian GNU/Linux".into(), "13".into())
        );
        assert_eq!(parse("NAME=Arch\nPRETTY_NAME='x'\nBUILD_ID=rolling"), ("Arch".into(), String::new()));
        assert_eq!(parse("NAME='a\\b'\nVERSION=\"1 \\\"x\\\"\"\n"), ("a\\b".into(), "1 \"x\"".into()));
        assert_eq!(parse("NAME=\"\nNAME=\n"), (String::new(), String::new()));
    }

    #[test]
    fn ids() {
        let bytes = uuid(b"00010203-0405-0607-0809-0a0b0c0d0e0f\n").unwrap();
        assert_eq!(bytes, std::array::from_fn(|i| u8::try_from(i).unwrap()));
        assert_eq!(uuid(b"00010203-0405-0607-0809-0a0b0c0d0e0"), None);
        assert_eq!(uuid(b"+0010203040506070809 0a0b0c0d0e0f"), None);
        assert!(Procfs::default().boot_id().is_some());
    }

    #[test]
    fn machine_ids() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        let put = |text: &str| std::fs::write(dir.path().join("etc/machine-id"), text).unwrap();
        assert_eq!(machine_id(dir.path()), None);
        put("uninitialized\n");
        assert_eq!(machine_id(dir.path()), None);
        put("0123456789ABCDEF0123456789abcdef\n");
        assert_eq!(machine_id(dir.path()).unwrap(), "0123456789abcdef0123456789abcdef");
    }

    proptest! {
        #[test]
        fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (OsRelease::parse(&bytes), uuid(&bytes));
        }
    }
}
