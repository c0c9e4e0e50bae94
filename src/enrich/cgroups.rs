//! Control groups by id: their paths, and the containers that the paths tell of.
//!
//! A record has the id of the task's group as it was at the event; this table has its path. It is filled by
//! walking the mounted hierarchies at start (the inode number of a group's directory is its id) and kept by the
//! kernel's own word about groups that come, go and are renamed. A group that is gone stays known for
//! [`RELEASED_KEEP_NS`], since records of its last processes may still be read.
//!
//! An id that is not known is counted, answered with nothing at once, and starts a walk, at most one a second
//! and continued in small steps by [`Cgroups::tick`], so that thousands of groups do not hold up the ring. Ids
//! that a whole walk did not find are not looked for again for [`ABSENT_KEEP_NS`].
//!
//! At most [`GROUPS_MAX`] groups are known: those that are gone leave first, then those that no event asked for
//! lately, so that a flood of empty groups does not drive out those that matter.

use std::collections::VecDeque;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::PathBuf;
use std::sync::Arc;

use super::container;
use super::hash::IdMap;
use super::labels::Asker;
use crate::event::{Cgroup, CgroupChange, Container};
use crate::metrics::Metrics;
use crate::procfs::Procfs;

/// Most groups known.
pub const GROUPS_MAX: usize = 32_768;
/// How long a group that is gone stays known.
pub const RELEASED_KEEP_NS: u64 = 60_000_000_000;
/// How long an id that was not found is not looked for.
pub const ABSENT_KEEP_NS: u64 = 60_000_000_000;
/// Least time between two walks.
const WALK_PAUSE_NS: u64 = 1_000_000_000;
/// Directories read at start, and in one step later: some 15 µs each.
const WALK_FIRST: usize = 8_192;
const WALK_STEP: usize = 128;
/// Most ids remembered as absent.
const ABSENT_MAX: usize = 4_096;
/// Groups given a second chance before one is evicted all the same.
const CHANCES: usize = 64;

/// The kernel numbers the directories of a hierarchy from its root on.
const ROOT_INODE: u64 = 1;

/// Hierarchy and id.
type Key = (u32, u64);

/// What is known of a control group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Path from the hierarchy's root.
    pub path: Arc<str>,
    /// The container it belongs to.
    pub container: Option<Arc<Container>>,
}

impl Group {
    fn new(path: &[u8]) -> Self {
        let path: Arc<str> = String::from_utf8_lossy(path).into();
        Group { container: container::of_path(&path).map(Arc::new), path }
    }
}

#[derive(Debug)]
struct Known {
    group: Group,
    /// Asked for since it last came up for eviction.
    used: bool,
    /// The runtime was asked what it calls the container, or there is none.
    asked: bool,
    released_ns: Option<u64>,
}

/// A directory still to be read.
#[derive(Debug)]
struct Pending {
    hierarchy: u32,
    directory: PathBuf,
    path: Vec<u8>,
}

/// See the module.
#[derive(Debug)]
pub struct Cgroups {
    known: IdMap<Key, Known>,
    /// Every known id once or more often, oldest first; ids that are not known any more are skipped.
    order: VecDeque<Key>,
    released: VecDeque<(u64, Key)>,
    absent: IdMap<Key, u64>,
    wanted: bool,
    walk: Vec<Pending>,
    next_walk_ns: u64,
    proc: Option<Procfs>,
    labels: Asker,
    metrics: Arc<Metrics>,
}

impl Cgroups {
    /// An empty table. `proc` tells where hierarchies are mounted; without it only events fill the table. `labels` is
    /// asked about each container once.
    pub fn new(proc: Option<Procfs>, labels: Asker, metrics: Arc<Metrics>) -> Self {
        Cgroups {
            known: IdMap::default(),
            order: VecDeque::new(),
            released: VecDeque::new(),
            absent: IdMap::default(),
            wanted: false,
            walk: Vec::new(),
            next_walk_ns: 0,
            proc,
            labels,
            metrics,
        }
    }

    /// Walks the mounted hierarchies. What is left of very many groups is read by the next ticks.
    pub fn seed(&mut self) {
        self.begin_walk();
        self.step(WALK_FIRST);
    }

    /// The group with this id; `None` if it is not known.
    pub fn get(&mut self, hierarchy: u32, id: u64, now_ns: u64) -> Option<&Group> {
        if id == 0 {
            return None;
        }
        let key = (hierarchy, id);
        // Looked up twice on a miss only; the borrow checker refuses a return out of a first `get_mut`.
        if !self.known.contains_key(&key) {
            self.metrics.cgroup_misses.inc();
            self.wanted |= self.absent.get(&key).is_none_or(|&until| until <= now_ns);
            if self.absent.len() < ABSENT_MAX {
                self.absent.entry(key).or_insert(now_ns + ABSENT_KEEP_NS);
            }
            return None;
        }
        let known = self.known.get_mut(&key)?;
        known.used = true;
        if !known.asked {
            known.asked = is_asked(&self.labels, &known.group);
        }
        Some(&known.group)
    }

    /// Takes in what the kernel says of a group.
    pub fn apply(&mut self, event: &Cgroup<'_>, now_ns: u64) {
        let key = (event.hierarchy, event.id);
        match event.change {
            CgroupChange::Created => self.insert(key, Group::new(event.path)),
            CgroupChange::Renamed => self.rename(key, event.path),
            CgroupChange::Released => {
                let released = self.known.get_mut(&key).map(|known| known.released_ns.replace(now_ns));
                if released == Some(None) {
                    self.released.push_back((now_ns, key));
                }
            }
        }
    }

    /// Forgets groups that are gone for long, and goes on with a walk.
    pub fn tick(&mut self, now_ns: u64) {
        while let Some(&(released_ns, key)) = self.released.front()
            && released_ns.saturating_add(RELEASED_KEEP_NS) <= now_ns
        {
            self.released.pop_front();
            self.forget_released(key);
        }
        if self.walk.is_empty() && self.wanted && now_ns >= self.next_walk_ns {
            self.next_walk_ns = now_ns + WALK_PAUSE_NS;
            self.wanted = false;
            self.absent.retain(|_, until| *until > now_ns);
            self.begin_walk();
        }
        self.step(WALK_STEP);
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        self.metrics.cgroup_entries.set(self.known.len() as f64);
    }

    fn insert(&mut self, key: Key, group: Group) {
        self.absent.remove(&key);
        let asked = is_asked(&self.labels, &group);
        if let Some(known) = self.known.get_mut(&key) {
            (known.group, known.asked) = (group, asked);
            return;
        }
        if self.known.len() >= GROUPS_MAX {
            self.evict();
        }
        self.known.insert(key, Known { group, used: false, asked, released_ns: None });
        self.order.push_back(key);
        // Ids of groups that left by the other queue pile up here; they are bounded by a clean-up now and then.
        if self.order.len() > 2 * GROUPS_MAX {
            self.order.retain(|key| self.known.contains_key(key));
        }
    }

    fn evict(&mut self) {
        while let Some((_, key)) = self.released.pop_front() {
            if self.forget_released(key) {
                return;
            }
        }
        let mut chances = CHANCES;
        while let Some(key) = self.order.pop_front() {
            let Some(known) = self.known.get_mut(&key) else { continue };
            if known.used && chances > 0 {
                chances -= 1;
                known.used = false;
                self.order.push_back(key);
            } else {
                self.known.remove(&key);
                return;
            }
        }
    }

    /// Forgets a group if it is gone. It may have been evicted meanwhile and found again by a walk.
    fn forget_released(&mut self, key: Key) -> bool {
        let is_gone = self.known.get(&key).is_some_and(|known| known.released_ns.is_some());
        is_gone && self.known.remove(&key).is_some()
    }

    /// Gives a group, and every group below it, its new path. Only hierarchies of version 1 allow it, and hardly
    /// anybody does it, so the search through the whole table is no matter.
    fn rename(&mut self, key: Key, path: &[u8]) {
        let renamed = Group::new(path);
        let Some(known) = self.known.get(&key) else { return self.insert(key, renamed) };
        let old = format!("{}/", known.group.path);
        for (_, below) in self.known.iter_mut().filter(|((hierarchy, _), _)| *hierarchy == key.0) {
            if let Some(rest) = below.group.path.strip_prefix(old.as_str()) {
                below.group = Group::new(format!("{}/{rest}", renamed.path).as_bytes());
            }
        }
        self.insert(key, renamed);
    }

    fn begin_walk(&mut self) {
        let hierarchies = self.proc.as_ref().map(Procfs::hierarchies).unwrap_or_default();
        // The last one is read first.
        for hierarchy in hierarchies.into_iter().rev() {
            let inode = fs::metadata(&hierarchy.mount_point).map(|metadata| metadata.ino()).ok();
            // In a control group namespace of its own, as a pod's, the agent is told of the whole hierarchy as /../..
            let whole = hierarchy.root == b"/" || inode == Some(ROOT_INODE);
            // A mount of another part that lies outside of the agent's own has no path to speak of.
            if hierarchy.root.starts_with(b"/..") && !whole {
                continue;
            }
            let path = if whole { Vec::new() } else { hierarchy.root };
            if let Some(inode) = inode {
                let root = if path.is_empty() { b"/" } else { path.as_slice() };
                self.insert((hierarchy.number, inode), Group::new(root));
            }
            let (hierarchy, directory) = (hierarchy.number, hierarchy.mount_point);
            self.walk.push(Pending { hierarchy, directory, path });
        }
    }

    /// Reads up to `most` directories.
    fn step(&mut self, most: usize) {
        for _ in 0..most {
            let Some(pending) = self.walk.pop() else { break };
            // A group may be gone by now.
            let Ok(entries) = fs::read_dir(&pending.directory) else { continue };
            for entry in entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())) {
                let mut path = pending.path.clone();
                path.push(b'/');
                path.extend(entry.file_name().as_bytes());
                let key = (pending.hierarchy, entry.ino());
                if !self.known.contains_key(&key) {
                    self.insert(key, Group::new(&path));
                }
                if self.walk.len() < GROUPS_MAX {
                    self.walk.push(Pending { hierarchy: pending.hierarchy, directory: entry.path(), path });
                }
            }
        }
    }
}

/// Asks what the runtime calls the group's container; false if that must be tried again.
fn is_asked(labels: &Asker, group: &Group) -> bool {
    group.container.as_ref().is_none_or(|container| labels.ask(container))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn event(change: CgroupChange, id: u64, path: &str) -> Cgroup<'_> {
        Cgroup { id, hierarchy: 0, change, path: path.as_bytes() }
    }

    fn empty() -> Cgroups {
        Cgroups::new(None, Asker::disabled(), Arc::default())
    }

    fn path(groups: &mut Cgroups, hierarchy: u32, id: u64) -> Option<String> {
        groups.get(hierarchy, id, 0).map(|group| group.path.to_string())
    }

    /// A directory with a proc filesystem and one hierarchy of each version.
    fn host() -> (tempfile::TempDir, Procfs) {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for group in ["v2/a/b", "v1/lxc/web", "proc/self"] {
            fs::create_dir_all(at(group)).unwrap();
        }
        fs::write(at("v2/a/cgroup.procs"), "").unwrap();
        fs::write(at("proc/self/cgroup"), "3:name=systemd:/\n0::/\n").unwrap();
        let line = |name: &str, kind: &str, options: &str| {
            format!("1 1 0:1 / {} rw - {kind} none {options}\n", at(name).display())
        };
        let mounts = line("v2", "cgroup2", "rw") + &line("v1", "cgroup", "rw,name=systemd");
        fs::write(at("proc/self/mountinfo"), mounts).unwrap();
        let proc = Procfs::new(at("proc"));
        (dir, proc)
    }

    fn inode(path: &Path) -> u64 {
        fs::metadata(path).unwrap().ino()
    }

    #[test]
    fn events_keep_the_table() {
        let mut groups = empty();
        let docker = format!("/docker/{ID}");
        groups.apply(&event(CgroupChange::Created, 5, &docker), 1);
        assert_eq!(groups.get(0, 5, 1).unwrap().container.as_ref().unwrap().id.as_ref(), ID);
        assert_eq!(path(&mut groups, 1, 5), None);
        assert_eq!(path(&mut groups, 0, 0), None);
        assert_eq!(groups.metrics.cgroup_misses.get(), 1);
        groups.apply(&event(CgroupChange::Released, 5, &docker), 2);
        groups.tick(RELEASED_KEEP_NS);
        assert_eq!(path(&mut groups, 0, 5).unwrap(), docker);
        groups.tick(RELEASED_KEEP_NS + 2);
        assert_eq!(path(&mut groups, 0, 5), None);
    }

    #[test]
    fn renaming_moves_what_is_below() {
        let mut groups = empty();
        for (id, path) in [(1, "/a"), (2, "/a/b"), (3, "/ab"), (4, "/a/b/c")] {
            groups.apply(&event(CgroupChange::Created, id, path), 0);
        }
        groups.apply(&event(CgroupChange::Renamed, 1, "/lxc"), 0);
        let paths: Vec<_> = (1..5).filter_map(|id| path(&mut groups, 0, id)).collect();
        assert_eq!(paths, ["/lxc", "/lxc/b", "/ab", "/lxc/b/c"]);
        assert_eq!(groups.get(0, 4, 0).unwrap().container.as_ref().unwrap().id.as_ref(), "b");
        groups.apply(&event(CgroupChange::Renamed, 9, "/new"), 0);
        assert_eq!(path(&mut groups, 0, 9).unwrap(), "/new");
    }

    #[test]
    fn seeding_reads_both_versions() {
        let (dir, proc) = host();
        let mut groups = Cgroups::new(Some(proc), Asker::disabled(), Arc::default());
        groups.seed();
        for (number, name, expected) in
            [(0, "v2", "/"), (0, "v2/a", "/a"), (0, "v2/a/b", "/a/b"), (3, "v1/lxc/web", "/lxc/web")]
        {
            assert_eq!(path(&mut groups, number, inode(&dir.path().join(name))).unwrap(), expected);
        }
        groups.tick(0);
        assert_eq!(groups.metrics.cgroup_entries.get(), 6.0);
    }

    #[test]
    fn a_miss_is_looked_for_and_what_is_absent_is_not_again() {
        let (dir, proc) = host();
        let mut groups = Cgroups::new(Some(proc), Asker::disabled(), Arc::default());
        groups.seed();
        let late = dir.path().join("v2/late");
        fs::create_dir(&late).unwrap();
        assert_eq!(path(&mut groups, 0, inode(&late)), None);
        groups.tick(1);
        assert_eq!(path(&mut groups, 0, inode(&late)).unwrap(), "/late");

        let later = dir.path().join("v2/later");
        fs::create_dir(&later).unwrap();
        assert!(groups.get(0, inode(&later), 2).is_none());
        groups.tick(3);
        assert!(groups.get(0, inode(&later), 3).is_none(), "two walks within a second");
        groups.tick(WALK_PAUSE_NS + 1);
        assert!(groups.get(0, inode(&later), 4).is_some());

        assert!(groups.get(0, 1 << 40, 5).is_none());
        groups.tick(3 * WALK_PAUSE_NS);
        assert!(groups.get(0, 1 << 40, 6).is_none());
        assert!(!groups.wanted);
        assert!(groups.get(0, 1 << 40, 6 + ABSENT_KEEP_NS).is_none());
        assert!(groups.wanted);
    }

    #[test]
    fn a_flood_of_groups_does_not_drive_out_those_in_use() {
        let mut groups = empty();
        groups.apply(&event(CgroupChange::Created, 1, "/lxc/web"), 0);
        for id in 2..3 * GROUPS_MAX as u64 {
            assert!(path(&mut groups, 0, 1).is_some());
            groups.apply(&event(CgroupChange::Created, id, "/x"), 0);
        }
        assert!(groups.known.len() <= GROUPS_MAX && groups.order.len() <= 2 * GROUPS_MAX);
        for id in 0..GROUPS_MAX as u64 {
            groups.apply(&event(CgroupChange::Released, 2 * GROUPS_MAX as u64 + id, ""), 1);
        }
        assert!(groups.released.len() <= GROUPS_MAX);
        assert!(groups.known.contains_key(&(0, 1)));
    }
}
