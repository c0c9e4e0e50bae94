//! Brings the configured [`Filter`] into the maps that the kernel side asks: what is watched, what is left out.
//!
//! 1. [`lists::Lists::of`] turns patterns into keys and verdicts. It is pure but for the host's answers that it is
//!    given ([`Host`]): where a path leads, which inode a file has.
//! 2. [`Watch::apply`] compares them with what the maps hold and writes the difference, new entries first, so that
//!    nothing that stays watched is unwatched for a moment. Then it raises the generation, which voids the verdicts
//!    on directories that the programs keep.
//! 3. [`Watch::refresh`] does so again with the same filter: executables are replaced by upgrades, `/etc/shadow` by
//!    every change of a password, control groups come and go. It is to be called once a minute.
//!
//! What a path in the configuration means on this host: the kernel side compares the path without symbolic links,
//! from the root of the acting task's mount namespace. So a directory is entered under the path that it has after
//! all links too, as `/var/run/secrets/` is `/run/secrets/` on most hosts.
//!
//! Limits. Files and executables are also known by inode and device, where the device is the superblock's. On btrfs
//! and on overlayfs stat(2) tells another one, so there a hard link to a watched file is not noticed and
//! `skip_executables` has no effect; watching by path works everywhere. Which exclusions are looked at is fixed at
//! load ([`Knobs`]): the first entry of a list that was empty takes effect at the next start.

pub mod lists;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use libbpf_rs::{ErrorKind, MapCore, MapFlags, MapHandle};

use super::Config;
use super::abi::types::se_skip;
use super::config::Filter;
use super::config::pattern::Pattern;
use super::switches::Switches;
use crate::event::Kind;
use lists::{Host, Lists};

/// The maps could not be written.
#[derive(Debug, thiserror::Error)]
#[error("writing {what} for the kernel side: {cause}")]
pub struct Error {
    what: &'static str,
    cause: libbpf_rs::Error,
}

/// What is fixed at load: which lists the programs look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Knobs {
    /// Names of files and directories. On whenever files are reported, so that a reload may bring the first one.
    pub names: bool,
    /// Inodes of watched files.
    pub inodes: bool,
    /// Bits of `enum se_skip`.
    pub skips: u32,
}

impl Knobs {
    /// What this configuration needs.
    pub fn of(config: &Config) -> Self {
        let filter = &config.filter;
        let is_file = |kind: &Kind| {
            let number = *kind as u16;
            number >= Kind::FileOpen as u16 && number <= Kind::Mount as u16
        };
        let skips = [
            (filter.skip_executables.is_empty(), se_skip::SE_SKIP_EXECUTABLE),
            (filter.skip_cgroups.is_empty(), se_skip::SE_SKIP_CGROUP),
            (filter.skip_users.is_empty() && filter.skip_user_names.is_empty(), se_skip::SE_SKIP_USER),
            (filter.skip_ports.is_empty(), se_skip::SE_SKIP_PORT),
        ];
        Knobs {
            names: config.kinds.iter().any(is_file),
            inodes: has_files(filter),
            skips: skips.iter().filter(|(is_empty, _)| !is_empty).fold(0, |all, (_, bit)| all | bit.0),
        }
    }

    /// Lists of the configuration that the programs do not look at, by key.
    fn unmet(self, config: &Config) -> Vec<&'static str> {
        let wanted = Knobs::of(config);
        [
            (se_skip::SE_SKIP_EXECUTABLE, "[filter] skip_executables"),
            (se_skip::SE_SKIP_CGROUP, "[filter] skip_cgroups"),
            (se_skip::SE_SKIP_USER, "[filter] skip_users"),
            (se_skip::SE_SKIP_PORT, "[filter] skip_ports"),
        ]
        .iter()
        .filter(|(bit, _)| wanted.skips & !self.skips & bit.0 != 0)
        .map(|(_, key)| *key)
        .collect()
    }
}

/// Whether a file is watched by its full path, whose inode then tells its hard links.
fn has_files(filter: &Filter) -> bool {
    filter.watch_paths.iter().any(|text| matches!(Pattern::parse(text), Ok(Pattern::File { .. })))
}

/// The maps, in the order in which new entries are written: a directory's entry may name an entry of the names.
const MAPS: [&str; 7] = ["names", "inodes", "paths", "executables", "control groups", "users", "ports"];

/// A map and what it holds.
struct Held {
    map: MapHandle,
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// See the module. Holds descriptors of its own.
pub struct Watch {
    maps: [Held; MAPS.len()],
    switches: Arc<Switches>,
    knobs: Knobs,
    host: Host,
    filter: Filter,
    numbers: lists::Numbers,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("filter", &self.filter).finish_non_exhaustive()
    }
}

impl Watch {
    /// `maps` in the order names, inodes, paths, executables, control groups, users, ports. `cgroup2` is where the
    /// default hierarchy is mounted.
    pub(super) fn new(
        maps: [MapHandle; MAPS.len()],
        switches: Arc<Switches>,
        knobs: Knobs,
        cgroup2: Option<&str>,
    ) -> Self {
        Watch {
            maps: maps.map(|map| Held { map, entries: BTreeMap::new() }),
            switches,
            knobs,
            host: Host::this(cgroup2.map(PathBuf::from)),
            filter: Filter::default(),
            numbers: lists::Numbers::default(),
        }
    }

    /// Makes this configuration's filter the one in effect. What could not be brought in and is worth telling:
    /// a file that is missing, a list that takes effect at the next start.
    ///
    /// # Errors
    ///
    /// A map could not be written; some of the changes are in effect then.
    pub fn apply(&mut self, config: &Config) -> Result<Vec<String>, Error> {
        self.filter.clone_from(&config.filter);
        let mut remarks = self.write()?;
        let later = self.knobs.unmet(config);
        remarks.extend(
            later.iter().map(|key| format!("{key} was empty at the start, so it takes effect at the next")),
        );
        Ok(remarks)
    }

    /// Looks up again what the host may have changed. Remarks as of [`Watch::apply`].
    ///
    /// # Errors
    ///
    /// As of [`Watch::apply`].
    pub fn refresh(&mut self) -> Result<Vec<String>, Error> {
        self.write()
    }

    fn write(&mut self) -> Result<Vec<String>, Error> {
        let (lists, mut remarks) = Lists::of(&self.filter, &self.host, &mut self.numbers);
        let mut wanted = lists.tables();
        for ((held, what), table) in self.maps.iter().zip(MAPS).zip(&mut wanted) {
            let most = held.map.max_entries() as usize;
            if table.len() > most {
                remarks.push(format!(
                    "{} {what} are too many, the last {} are left out",
                    table.len(),
                    table.len() - most
                ));
                while table.len() > most {
                    table.pop_last();
                }
            }
        }
        let mut changed = false;
        for ((held, what), table) in self.maps.iter_mut().zip(MAPS).zip(&wanted) {
            changed |= held.add(table).map_err(|cause| Error { what, cause })?;
        }
        for ((held, what), table) in self.maps.iter_mut().zip(MAPS).zip(&wanted) {
            changed |= held.remove_others(table).map_err(|cause| Error { what, cause })?;
        }
        if changed {
            self.switches.raise_generation().map_err(|cause| Error { what: "the generation", cause })?;
        }
        Ok(remarks)
    }
}

impl Held {
    /// Writes the entries that are new or differ. Says whether there were any.
    fn add(&mut self, wanted: &BTreeMap<Vec<u8>, Vec<u8>>) -> Result<bool, libbpf_rs::Error> {
        let mut changed = false;
        for (key, value) in wanted {
            if self.entries.get(key) == Some(value) {
                continue;
            }
            match self.map.update(key, value, MapFlags::ANY) {
                // Old and new entries together; room comes with what is removed.
                Err(error) if is_full(&error) => {
                    self.remove_others(wanted)?;
                    self.map.update(key, value, MapFlags::ANY)?;
                }
                result => result?,
            }
            self.entries.insert(key.clone(), value.clone());
            changed = true;
        }
        Ok(changed)
    }

    /// Removes what is not wanted any more. Says whether there was any.
    fn remove_others(&mut self, wanted: &BTreeMap<Vec<u8>, Vec<u8>>) -> Result<bool, libbpf_rs::Error> {
        let stale: Vec<Vec<u8>> =
            self.entries.keys().filter(|key| !wanted.contains_key(*key)).cloned().collect();
        for key in &stale {
            match self.map.delete(key) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => drop(self.entries.remove(key)),
            }
        }
        Ok(!stale.is_empty())
    }
}

/// A hash map says E2BIG, a trie ENOSPC.
fn is_full(error: &libbpf_rs::Error) -> bool {
    error.kind() == ErrorKind::TooBig || error.to_string().contains("os error 28")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::plan::samples;

    #[test]
    fn programs_look_at_no_list_that_nobody_filled() {
        let knobs = |kinds: &[Kind], filter: Filter| Knobs::of(&Config { filter, ..samples::config(kinds) });
        let none = Filter::default();
        assert_eq!(knobs(&[Kind::Exec], none.clone()), Knobs { names: false, inodes: false, skips: 0 });
        assert_eq!(knobs(&[Kind::FileRead], none), Knobs { names: true, inodes: false, skips: 0 });
        let filter = Filter {
            watch_paths: vec!["*/x".into(), "/etc/shadow".into()],
            skip_user_names: vec!["root".into()],
            skip_ports: vec![53],
            ..Filter::default()
        };
        assert_eq!(knobs(&[Kind::Mount], filter.clone()), Knobs { names: true, inodes: true, skips: 4 | 8 });
        let fixed = Knobs { names: true, inodes: false, skips: 8 };
        let config = Config { filter, ..samples::config(&[Kind::Mount]) };
        assert_eq!(fixed.unmet(&config), ["[filter] skip_users"]);
    }
}
