//! All lists together, and look-ups in them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use super::digests::Digests;
use super::error::{Problem, Reason};
use super::file;
use super::mark::Mark;
use super::names::{Domains, Paths};
use super::parse::Entry;
use super::texts::Texts;
use super::{v4, v6};

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An address or a network.
    Ip,
    /// A domain.
    Domain,
    /// A digest of a file.
    Sha256,
    /// A path.
    Path,
}

/// How much is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Size of one file, bytes.
    pub file_bytes: u64,
    /// Entries in all files together, those that stand there twice included.
    pub entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { file_bytes: 512 << 20, entries: 5_000_000 }
    }
}

/// An entry that matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match<'s> {
    /// What it is.
    pub kind: Kind,
    /// The entry in its usual form; bytes that are no UTF-8 replaced.
    pub entry: String,
    /// The name of the file that it stands in, without directories.
    pub list: &'s str,
    /// Its note; bytes that are no UTF-8 make it empty.
    pub note: Option<&'s str>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Set {
    lists: Vec<Box<str>>,
    notes: Texts,
    v4: v4::Networks,
    v6: v6::Networks,
    domains: Domains,
    digests: Digests,
    paths: Paths,
}

impl Set {
    /// Reads these files. What is wrong with them is said beside; all else is loaded.
    pub fn load(files: &[PathBuf], limits: &Limits) -> (Set, Vec<Problem>) {
        let mut set = Set::default();
        let mut problems = Vec::new();
        let mut room = limits.entries;
        for path in files {
            let Ok(list) = u16::try_from(set.lists.len()) else {
                problems.push(Problem { path: path.clone(), line: 0, reason: Reason::TooManyLists });
                continue;
            };
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
            set.lists.push(name.into());
            let mut left_out = 0;
            file::read(path, limits.file_bytes, &mut problems, |entry, note| {
                if room > 0 && set.add(entry, note, list) {
                    room -= 1;
                } else {
                    left_out += 1;
                }
            });
            if left_out > 0 {
                let reason = Reason::TooManyEntries { left_out, most: limits.entries };
                problems.push(Problem { path: path.clone(), line: 0, reason });
            }
        }
        set.seal();
        (set, problems)
    }

    /// False if there is no room.
    fn add(&mut self, entry: Entry<'_>, note: &[u8], list: u16) -> bool {
        let note = match note {
            b"" => None,
            note => match self.notes.intern(note) {
                Some((number, _)) => Some(number),
                None => return false,
            },
        };
        let mark = Mark::new(list, note);
        match entry {
            Entry::V4 { address, bits } => self.v4.add(address, bits, mark),
            Entry::V6 { address, bits } => self.v6.add(address, bits, mark),
            Entry::Domain { name, below_only } => self.domains.add(name.as_bytes(), below_only, mark).is_ok(),
            Entry::Digest(digest) => self.digests.add(&digest, mark),
            Entry::Path { path, is_beginning } => self.paths.add(path, is_beginning, mark).is_ok(),
        }
    }

    fn seal(&mut self) {
        self.v4.seal();
        self.v6.shrink();
        self.notes.shrink();
        self.domains.shrink();
        self.digests.shrink();
        self.paths.shrink();
    }

    fn found(&self, kind: Kind, mark: Mark, entry: String) -> Match<'_> {
        let list = self.lists.get(usize::from(mark.list)).map_or("", |list| list);
        let note = mark.note().and_then(|number| str::from_utf8(self.notes.get(number)).ok());
        Match { kind, entry, list, note }
    }

    /// The longest network that the address is in.
    pub fn ip(&self, address: IpAddr) -> Option<Match<'_>> {
        let shown = |address: IpAddr, bits: u8, most: u8| {
            if bits == most { address.to_string() } else { format!("{address}/{bits}") }
        };
        let (mark, entry) = match address.to_canonical() {
            IpAddr::V4(v4) => {
                let network = self.v4.get(v4.to_bits())?;
                (network.mark, shown(Ipv4Addr::from_bits(network.first).into(), network.bits, 32))
            }
            IpAddr::V6(v6) => {
                let network = self.v6.get(v6.to_bits())?;
                (network.mark, shown(Ipv6Addr::from_bits(network.first).into(), network.bits, 128))
            }
        };
        Some(self.found(Kind::Ip, mark, entry))
    }

    /// The entry of this domain, else of the nearest one that it is below of. Upper case and a dot at the end do not
    /// matter.
    pub fn domain(&self, name: &[u8]) -> Option<Match<'_>> {
        let (mark, entry) = self.domains.get(name)?;
        Some(self.found(Kind::Domain, mark, entry))
    }

    /// The entry of this digest.
    pub fn sha256(&self, digest: &[u8; 32]) -> Option<Match<'_>> {
        let mark = self.digests.get(digest)?;
        Some(self.found(Kind::Sha256, mark, super::hash::hex(digest)))
    }

    /// The entry of this path, else the longest one that it begins with.
    pub fn path(&self, path: &[u8]) -> Option<Match<'_>> {
        let (mark, entry) = self.paths.get(path)?;
        Some(self.found(Kind::Path, mark, entry))
    }

    /// There are digests in the lists.
    pub fn has_digests(&self) -> bool {
        self.digests.len() > 0
    }

    /// How many different entries there are.
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len() + self.domains.len() + self.digests.len() + self.paths.len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What it takes, bytes, without the names of the lists and itself.
    pub fn heap_bytes(&self) -> usize {
        self.notes.heap_bytes()
            + self.v4.heap_bytes()
            + self.v6.heap_bytes()
            + self.domains.heap_bytes()
            + self.digests.heap_bytes()
            + self.paths.heap_bytes()
    }
}
