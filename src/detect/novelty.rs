//! Things that a program does for the first time: a new child program, a new port to listen on, a new network to
//! connect to.
//!
//! What is usual is learned for each program in each place, which is the host or the image of a container: for [`LEARNING_NS`] after a
//! program was first seen in a place everything that it does is taken as usual. What comes later and was never seen is a
//! finding once, and usual from then on. Deeper models may take this module's place: it is asked with [`Novelty::is_new`]
//! and knows nothing of events.
//!
//! Only hashes are kept, [`KEYS_MAX`] of them: when half of that is reached, the older half is forgotten but for what
//! was seen since. They outlive a restart in a file, which is written anew when something changed. A host whose programs
//! do ever new things is told of that often; such findings are of level low.
//!
//! Limits: where no runtime tells a container's image, its id is the place, and a new container learns anew.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::sigma::index::hash;

/// How long a program's doings are taken as usual: a day, so that daily work is learned.
pub const LEARNING_NS: u64 = 86_400_000_000_000;

/// Hashes that are kept at most, of doings and of programs each.
pub const KEYS_MAX: usize = 200_000;

/// Begins the file; the last byte is the version of the format.
const MAGIC: &[u8; 8] = b"senovel\x01";

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Deed {
    /// Another program is run.
    Child = 1,
    /// A port is listened on.
    Listen = 2,
    /// A network is connected to.
    Connect = 3,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Novelty {
    usual: Mutex<Usual>,
}

#[derive(Debug, Default)]
struct Usual {
    young: HashSet<u64>,
    old: HashSet<u64>,
    /// Wall time at which a program was first seen in a place.
    programs: HashMap<u64, u64>,
    has_changed: bool,
}

impl Novelty {
    /// The program has never done this in this place before, and its usual doings are learned. `wall_ns` is when it did.
    pub fn is_new(&self, place: &[u8], program: &[u8], deed: Deed, what: &[u8], wall_ns: u64) -> bool {
        let of_program = key(&[place, program]);
        let of_deed = key(&[place, program, &[deed as u8], what]);
        let mut usual = self.usual();
        if usual.programs.len() >= KEYS_MAX && !usual.programs.contains_key(&of_program) {
            // The older half, by when they were first seen; those learn anew.
            let mut times: Vec<u64> = usual.programs.values().copied().collect();
            let middle = times.len() / 2;
            let (_, median, _) = times.select_nth_unstable(middle);
            let median = *median;
            usual.programs.retain(|_, first| *first > median);
        }
        let first = *usual.programs.entry(of_program).or_insert(wall_ns);
        if !usual.note(of_deed) {
            return false;
        }
        usual.has_changed = true;
        wall_ns.saturating_sub(first) > LEARNING_NS
    }

    fn usual(&self) -> MutexGuard<'_, Usual> {
        self.usual.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was learned before; nothing if there is no such file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is none of ours.
    pub fn read(path: &Path) -> io::Result<Novelty> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Novelty::default()),
            other => other?,
        };
        let wrong =
            || io::Error::new(io::ErrorKind::InvalidData, "it is no file of usual doings, or a broken one");
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(wrong)?;
        let (numbers, tail) = rest.as_chunks::<8>();
        let mut numbers = numbers.iter().map(|bytes| u64::from_le_bytes(*bytes));
        let (deeds, programs) = (numbers.next().ok_or_else(wrong)?, numbers.next().ok_or_else(wrong)?);
        let most = KEYS_MAX as u64;
        if !tail.is_empty() || deeds > most || programs > most || numbers.len() as u64 != deeds + 2 * programs
        {
            return Err(wrong());
        }
        let mut usual = Usual::default();
        for _ in 0..deeds {
            usual.old.extend(numbers.next());
        }
        while let (Some(program), Some(first)) = (numbers.next(), numbers.next()) {
            usual.programs.insert(program, first);
        }
        Ok(Novelty { usual: Mutex::new(usual) })
    }

    /// Writes what was learned, if something changed since, aside and then into place.
    ///
    /// # Errors
    ///
    /// If it cannot be written; it is tried again the next time.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let bytes = {
            let mut usual = self.usual();
            if !std::mem::take(&mut usual.has_changed) {
                return Ok(());
            }
            usual.bytes()
        };
        let result = replace(path, &bytes);
        if result.is_err() {
            self.usual().has_changed = true;
        }
        result
    }
}

impl Usual {
    /// Notes a deed; false if it is usual.
    fn note(&mut self, deed: u64) -> bool {
        if self.young.contains(&deed) {
            return false;
        }
        let is_new = !self.old.remove(&deed);
        if self.young.len() >= KEYS_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(deed);
        is_new
    }

    fn bytes(&self) -> Vec<u8> {
        let deeds: HashSet<u64> = self.young.union(&self.old).copied().collect();
        let mut bytes = MAGIC.to_vec();
        let mut put = |number: u64| bytes.extend_from_slice(&number.to_le_bytes());
        put(deeds.len() as u64);
        put(self.programs.len() as u64);
        deeds.into_iter().for_each(&mut put);
        for (program, first) in &self.programs {
            put(*program);
            put(*first);
        }
        bytes
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside: PathBuf = path.with_extension("new");
    let mut file = fs::File::create(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(aside, path)
}

/// A hash of parts, each with its length.
fn key(parts: &[&[u8]]) -> u64 {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
    for part in parts {
        bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    hash(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = LEARNING_NS;

    fn ask(novelty: &Novelty, what: &str, at: u64) -> bool {
        novelty.is_new(b"host", b"/usr/sbin/nginx", Deed::Child, what.as_bytes(), at)
    }

    #[test]
    fn only_what_comes_after_the_learning_is_new_and_only_once() {
        let novelty = Novelty::default();
        assert!(!ask(&novelty, "/bin/a", 0));
        assert!(!ask(&novelty, "/bin/b", DAY));
        assert!(ask(&novelty, "/bin/sh", DAY + 1));
        assert!(!ask(&novelty, "/bin/sh", DAY + 2));
        assert!(!ask(&novelty, "/bin/a", 9 * DAY));
        assert!(
            !novelty.is_new(b"container", b"/usr/sbin/nginx", Deed::Child, b"/bin/sh", 9 * DAY),
            "another place"
        );
        assert!(
            novelty.is_new(b"host", b"/usr/sbin/nginx", Deed::Listen, b"/bin/sh", 9 * DAY),
            "another deed"
        );
    }

    #[test]
    fn what_was_learned_outlives_a_restart_and_a_broken_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("usual");
        let novelty = Novelty::read(&path).unwrap();
        assert!(!ask(&novelty, "/bin/a", 0));
        novelty.write(&path).unwrap();
        let again = Novelty::read(&path).unwrap();
        assert!(!ask(&again, "/bin/a", 3 * DAY));
        assert!(ask(&again, "/bin/b", 3 * DAY));
        let mut bytes = fs::read(&path).unwrap();
        bytes.pop();
        fs::write(&path, &bytes).unwrap();
        assert!(Novelty::read(&path).is_err());
        fs::write(&path, b"something else").unwrap();
        assert!(Novelty::read(&path).is_err());
    }

    #[test]
    fn memory_is_bounded_and_what_is_done_again_stays_usual() {
        let novelty = Novelty::default();
        ask(&novelty, "often", 0);
        for n in 0..3 * KEYS_MAX {
            ask(&novelty, &n.to_string(), 1);
            if n % 10_000 == 0 {
                assert!(!ask(&novelty, "often", 2 * DAY), "{n}");
            }
        }
        let usual = novelty.usual();
        assert!(usual.young.len() + usual.old.len() <= KEYS_MAX);
    }
}
