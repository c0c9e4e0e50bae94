//! From patterns to the keys and values of the maps; `bpf/lib/filter.bpf.h` has the other half.
//!
//! ```text
//! /root/.ssh/    paths:  "/root/.ssh/"      -> READ          every directory below fits it, the longest entry counts
//! /etc/shadow    paths:  "/etc/\0"          -> names of 1    fits /etc/ alone, as the key is zero behind the path
//!                names:  (1, "shadow")      -> READ
//!                inodes: of /etc/shadow     -> READ          its hard links
//! */.aws/        names:  (any, ".aws")      -> READ, of a directory
//! */.netrc       names:  (any, ".netrc")    -> READ, of a file
//! /proc/*/mem    names:  (any, "mem")       -> READ, of a file on procfs
//! ```
//!
//! **Which one counts.** Of two directories the longer path: `/var/lib/kubelet/pki/` watched in a `/var/` that is
//! skipped. Between what is said of the directory, of the name and of the inode, skipping wins. A name that is both
//! watched and skipped is skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::libc;
use nix::sys::stat::fstat;
use nix::unistd::User;

use crate::kernel::abi::Layout as _;
use crate::kernel::abi::types::{se_file_id, se_verdict, se_watch, se_watch_name, se_watch_path};
use crate::kernel::config::Filter;
use crate::kernel::config::pattern::{DIRECTORY_MAX, Pattern};

const READ: u32 = se_watch::SE_WATCH_READ.0;
const SKIP: u32 = se_watch::SE_WATCH_SKIP.0;
const OWN: u32 = se_watch::SE_WATCH_OWN.0;
const FILE: u32 = se_watch::SE_WATCH_FILE.0;
const DIRECTORY: u32 = se_watch::SE_WATCH_DIRECTORY.0;
const PROCFS: u32 = se_watch::SE_WATCH_PROCFS.0;
const HAS_NAMES: u32 = se_watch::SE_WATCH_HAS_NAMES.0;

/// Bits of a device number's minor part inside the kernel.
const MINOR_BITS: u32 = 20;

/// Levels of control groups looked at below a skipped one.
const GROUPS_DEPTH: usize = 16;

/// A file by inode number and device, the latter as in `super_block.s_dev`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId {
    inode: u64,
    dev: u32,
}

impl FileId {
    /// From what stat(2) says, whose device numbers are packed in another way.
    fn new(inode: u64, st_dev: u64) -> Self {
        FileId { inode, dev: libc::major(st_dev) << MINOR_BITS | libc::minor(st_dev) }
    }
}

/// Answers a question about what is named.
type Answers<Named, Answer> = Box<dyn Fn(&Named) -> Answer + Send>;

/// What the host answers; a test answers in its place.
pub struct Host {
    /// The path of a directory without symbolic links.
    canonical: Answers<Path, Option<PathBuf>>,
    /// The file that a path leads to.
    identity: Answers<Path, Option<FileId>>,
    /// Ids of a control group and of those below it; none if there is no such group.
    groups: Answers<Path, Vec<u64>>,
    /// The id of a user's name.
    user: Answers<str, Option<u32>>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

impl Host {
    /// This one, with the default hierarchy of control groups mounted at `cgroup2`.
    pub fn this(cgroup2: Option<PathBuf>) -> Self {
        // Where the default hierarchy has no groups of its own, systemd's tells services apart.
        let systemd = Some(PathBuf::from("/sys/fs/cgroup/systemd"));
        let roots: Vec<PathBuf> = cgroup2.into_iter().chain(systemd).collect();
        Host {
            canonical: Box::new(|path| fs::canonicalize(path).ok()),
            identity: Box::new(identity),
            groups: Box::new(move |path| {
                let below = |root: &PathBuf| root.join(path.strip_prefix("/").unwrap_or(path));
                roots.iter().map(below).find(|path| path.is_dir()).map_or_else(Vec::new, |path| groups(&path))
            }),
            user: Box::new(|name| User::from_name(name).ok().flatten().map(|user| user.uid.as_raw())),
        }
    }
}

/// Opened only as a path, which neither blocks nor needs a right to read.
fn identity(path: &Path) -> Option<FileId> {
    let root = File::open("/").ok()?;
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_IN_ROOT);
    let found = openat2(root.as_fd(), path, how).ok()?;
    let stat = fstat(&found).ok()?;
    Some(FileId::new(stat.st_ino, stat.st_dev))
}

/// The id of a control group is its directory's inode number.
fn groups(top: &Path) -> Vec<u64> {
    let mut ids = Vec::new();
    let mut level = vec![top.to_owned()];
    for _ in 0..GROUPS_DEPTH {
        let mut below = Vec::new();
        for path in &level {
            ids.extend(fs::metadata(path).map(|found| found.ino()));
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            below.extend(entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()));
        }
        level = below;
    }
    ids
}

/// Numbers by which names of a directory are looked up. A directory keeps its number as long as the agent runs, so
/// that a change of the lists never gives the names of one to another.
#[derive(Debug, Default)]
pub struct Numbers(BTreeMap<String, u32>);

impl Numbers {
    fn of(&mut self, directory: &str) -> u32 {
        let next = u32::try_from(self.0.len() + 1).unwrap_or(u32::MAX);
        *self.0.entry(directory.to_owned()).or_insert(next)
    }
}

/// The lists as the maps should have them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// By path: with all below, or with a zero at the end the directory alone. Enum se_watch and the number.
    paths: BTreeMap<Vec<u8>, (u32, u32)>,
    /// By the directory's number, 0 for any, and the name.
    names: BTreeMap<(u32, String), u32>,
    files: BTreeMap<FileId, u32>,
    executables: BTreeSet<FileId>,
    groups: BTreeSet<u64>,
    users: BTreeSet<u32>,
    ports: BTreeSet<u16>,
}

/// Keys and values of a map.
type Table = BTreeMap<Vec<u8>, Vec<u8>>;

impl Lists {
    /// What the filter asks for on this host, and what of it cannot be had.
    pub fn of(filter: &Filter, host: &Host, numbers: &mut Numbers) -> (Lists, Vec<String>) {
        let mut remarks = Vec::new();
        let mut patterns = Vec::new();
        for (texts, watch) in [(&filter.watch_paths, READ), (&filter.skip_paths, SKIP)] {
            for text in texts {
                match Pattern::parse(text) {
                    Ok(pattern) => patterns.push((pattern, watch)),
                    Err(reason) => remarks.push(format!("{text:?} {reason}")),
                }
            }
        }
        let mut lists = Lists::default();
        lists.take_names(&patterns);
        lists.take_paths(&patterns, &filter.own_directories, host, numbers);
        for (pattern, _) in patterns.iter().filter(|(p, w)| *w == READ && matches!(p, Pattern::File { .. })) {
            // A file that is missing is still known by its path when it comes.
            if let Some(id) = (host.identity)(Path::new(&pattern.to_string())) {
                lists.files.insert(id, READ);
            }
        }
        for path in &filter.skip_executables {
            match (host.identity)(Path::new(path)) {
                Some(id) => drop(lists.executables.insert(id)),
                None => remarks.push(format!("[filter] skip_executables: there is no {path}")),
            }
        }
        for path in &filter.skip_cgroups {
            let ids = (host.groups)(Path::new(path));
            if ids.is_empty() {
                remarks.push(format!("[filter] skip_cgroups: there is no control group {path}"));
            }
            lists.groups.extend(ids);
        }
        lists.users.extend(&filter.skip_users);
        for name in &filter.skip_user_names {
            match (host.user)(name) {
                Some(uid) => drop(lists.users.insert(uid)),
                None => remarks.push(format!("[filter] skip_users: there is no user {name}")),
            }
        }
        lists.ports.extend(&filter.skip_ports);
        (lists, remarks)
    }

    fn take_names(&mut self, patterns: &[(Pattern, u32)]) {
        let mut anywhere = BTreeSet::new();
        for (pattern, watch) in patterns {
            let (name, role) = match pattern {
                Pattern::FileName(name) => {
                    anywhere.insert(name);
                    (name, FILE)
                }
                Pattern::DirectoryName(name) => (name, DIRECTORY),
                Pattern::ProcName(name) => (name, FILE | PROCFS),
                Pattern::File { .. } | Pattern::Directory(_) => continue,
            };
            *self.names.entry((0, name.clone())).or_default() |= role | watch;
        }
        for name in anywhere {
            if let Some(watch) = self.names.get_mut(&(0, name.clone())) {
                *watch &= !PROCFS;
            }
        }
    }

    fn take_paths(
        &mut self,
        patterns: &[(Pattern, u32)],
        own: &[PathBuf],
        host: &Host,
        numbers: &mut Numbers,
    ) {
        let mut directories: BTreeMap<String, u32> = BTreeMap::new();
        for (pattern, watch) in patterns {
            if let Pattern::Directory(path) = pattern {
                for path in spellings(path, host) {
                    *directories.entry(path).or_default() |= watch;
                }
            }
        }
        for path in own {
            for path in spellings(&with_slash(path), host) {
                *directories.entry(path).or_default() |= OWN;
            }
        }
        // What is said of the longest directory that says whether it is watched, and whether any is the agent's own.
        let verdict = |path: &str| {
            let above = directories.iter().filter(|(directory, _)| path.starts_with(directory.as_str()));
            let (mut watch, mut own, mut longest) = (0, 0, 0);
            for (directory, said) in above {
                own |= said & OWN;
                if said & (READ | SKIP) != 0 && directory.len() >= longest {
                    (watch, longest) = (said & (READ | SKIP), directory.len());
                }
            }
            watch | own
        };
        for path in directories.keys() {
            self.paths.insert(path.clone().into_bytes(), (verdict(path), 0));
        }
        for (pattern, watch) in patterns {
            let Pattern::File { directory, name } = pattern else { continue };
            for path in spellings(directory, host) {
                let number = numbers.of(&path);
                *self.names.entry((number, name.clone())).or_default() |= FILE | watch;
                let mut exact = path.clone().into_bytes();
                exact.push(0);
                self.paths.insert(exact, (verdict(&path) | HAS_NAMES, number));
            }
        }
    }

    /// As the maps take them, in the order names, inodes, paths, executables, control groups, users, ports.
    pub fn tables(&self) -> [Table; 7] {
        let flag = |key: Vec<u8>| (key, vec![1]);
        let id = |id: &FileId| {
            se_file_id { inode: id.inode, dev: id.dev, ..se_file_id::default() }.bytes().to_vec()
        };
        [
            self.names
                .iter()
                .map(|((n, name), watch)| (name_key(*n, name), watch.to_ne_bytes().to_vec()))
                .collect(),
            self.files.iter().map(|(file, watch)| (id(file), watch.to_ne_bytes().to_vec())).collect(),
            self.paths.iter().map(|(path, verdict)| (path_key(path), verdict_value(*verdict))).collect(),
            self.executables.iter().map(id).map(flag).collect(),
            self.groups.iter().map(|group| group.to_ne_bytes().to_vec()).map(flag).collect(),
            self.users.iter().map(|user| user.to_ne_bytes().to_vec()).map(flag).collect(),
            self.ports.iter().map(|port| u32::from(*port).to_ne_bytes().to_vec()).map(flag).collect(),
        ]
    }
}

/// The path as configured, and the one that it has without symbolic links.
fn spellings(path: &str, host: &Host) -> Vec<String> {
    let canonical = (host.canonical)(Path::new(path)).map(|path| with_slash(&path));
    let canonical = canonical.filter(|other| *other != path && other.len() <= DIRECTORY_MAX);
    std::iter::once(path.to_owned()).chain(canonical).collect()
}

/// What is not UTF-8 cannot be configured either.
fn with_slash(path: &Path) -> String {
    let mut text = path.to_string_lossy().into_owned();
    if !text.ends_with('/') {
        text.push('/');
    }
    text
}

fn name_key(directory: u32, name: &str) -> Vec<u8> {
    let mut key = se_watch_name { directory, ..se_watch_name::default() };
    fill(&mut key.name, name.as_bytes());
    key.bytes().to_vec()
}

fn path_key(path: &[u8]) -> Vec<u8> {
    let mut key = se_watch_path::default();
    let taken = fill(&mut key.path, path);
    key.prefix_bits = u32::try_from(taken * 8).unwrap_or(0);
    key.bytes().to_vec()
}

fn verdict_value((watch, directory): (u32, u32)) -> Vec<u8> {
    se_verdict { watch, directory }.bytes().to_vec()
}

/// Copies as much as there is room for, and says how much.
fn fill(room: &mut [u8], bytes: &[u8]) -> usize {
    let taken = room.len().min(bytes.len());
    room.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    taken
}

#[cfg(test)]
mod tests;
