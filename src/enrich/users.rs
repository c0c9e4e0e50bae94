//! Names of users and groups, without ever waiting for a name service.
//!
//! A look-up on the path of an event reads a map and returns, known or not. Every thread that looks up holds an
//! immutable copy of the map and takes a new one when a counter says that there is one, so a hit takes no lock and
//! shares no cache line that anybody writes. What is not known is asked of the thread `se-names`, so the next event
//! has it:
//!
//! ```text
//! Names::user(1000) --hit--> Some(name)
//!                   --miss-> None, id into a bounded queue --> se-names: the file again, then `getent passwd 1000`
//! ```
//!
//! The release binary is linked statically and cannot load the modules of the name service switch, hence getent
//! for accounts in LDAP, sssd or systemd-homed. It runs by its fixed path with an empty environment, a deadline
//! and a bounded answer. An id without a name is remembered for [`ABSENT_KEEP_NS`], a name that getent told for
//! [`FOREIGN_KEEP_NS`]. The files are read again when they change.
//!
//! An id shown without a name is right but terse; a name from the wrong moment would be wrong. A user who is
//! renamed is shown with the old name for some seconds, or [`FOREIGN_KEEP_NS`] when in a directory.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::getent;
use super::hash::IdMap;
use crate::event::ecs;
use crate::metrics::{ErrorType, Metrics};
use crate::procfs::{accounts, read};
use crate::util::beacon::Beacon;
use crate::util::clock;
use crate::util::thread::{Thread, spawn};

/// How long an id is taken to have no name.
pub const ABSENT_KEEP_NS: u64 = 300_000_000_000;
/// How long a name from the name service is believed.
pub const FOREIGN_KEEP_NS: u64 = 1_800_000_000_000;
/// Pause between looks at the files' times.
const FILES_EVERY: Duration = Duration::from_secs(3);
/// How soon the thread notices that it has to end.
const TURN: Duration = Duration::from_millis(250);
/// Most names of each kind.
const NAMES_MAX: usize = 65_536;
/// Most bytes of a file.
const FILE_MAX: usize = 32 * 1024 * 1024;
/// Most questions in the queue; what does not fit is asked again by the next event.
const QUEUE: usize = 256;

/// Users or groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Database {
    Users,
    Groups,
}

impl Database {
    const ALL: [Database; 2] = [Database::Users, Database::Groups];

    fn file(self) -> &'static str {
        match self {
            Database::Users => "etc/passwd",
            Database::Groups => "etc/group",
        }
    }
}

/// What is known of an id.
#[derive(Debug, Clone)]
struct Answer {
    /// `None`: it has no name.
    name: Option<Arc<str>>,
    /// When to ask again; `u64::MAX` for what a file tells.
    until_ns: u64,
}

/// Everything that is known, never changed once it is shared.
#[derive(Debug, Clone, Default)]
struct Book {
    users: IdMap<u32, Answer>,
    groups: IdMap<u32, Answer>,
}

impl Book {
    fn of(&self, database: Database) -> &IdMap<u32, Answer> {
        match database {
            Database::Users => &self.users,
            Database::Groups => &self.groups,
        }
    }

    fn of_mut(&mut self, database: Database) -> &mut IdMap<u32, Answer> {
        match database {
            Database::Users => &mut self.users,
            Database::Groups => &mut self.groups,
        }
    }
}

#[derive(Debug)]
struct Shared {
    book: Mutex<Arc<Book>>,
    /// Raised after every change of `book`.
    edition: AtomicU64,
    questions: Sender<(Database, u32)>,
    stop: AtomicBool,
    metrics: Arc<Metrics>,
}

impl Shared {
    fn book(&self) -> Arc<Book> {
        // Nothing that panics runs under the lock.
        Arc::clone(&self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a changed copy in the place of the book. Only the resolver does, so no change gets lost.
    fn publish(&self, book: Book) {
        let cached = book.users.len() + book.groups.len();
        *self.book.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(book);
        self.edition.fetch_add(1, Release);
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        self.metrics.names_cached.set(cached as f64);
    }
}

/// Looks names up. Cheap to clone and to send, but not to be shared: every thread has a clone of its own.
#[derive(Debug, Clone)]
pub struct Names(Option<Reader>);

#[derive(Debug, Clone)]
struct Reader {
    shared: Arc<Shared>,
    /// The book, and which edition it is at least.
    copy: RefCell<(u64, Arc<Book>)>,
}

/// Answers what [`Names`] asks; to be started as a thread by whoever keeps the threads.
#[derive(Debug)]
pub struct Resolver {
    shared: Arc<Shared>,
    questions: Receiver<(Database, u32)>,
    root: PathBuf,
    getent: Option<PathBuf>,
    /// Device, inode and time of change of each file when it was last read.
    stamps: [Option<Stamp>; 2],
}

type Stamp = (u64, u64, i64, i64);

impl Names {
    /// Never knows a name.
    pub fn disabled() -> Self {
        Names(None)
    }

    /// Reads the files below `root` (`/` as a rule) and returns the look-up with its other half. `getent` is
    /// the program to ask for what the files do not have; see [`getent::find`].
    pub fn new(root: &Path, getent: Option<PathBuf>, metrics: Arc<Metrics>) -> (Names, Resolver) {
        let (sender, questions) = bounded(QUEUE);
        let shared = Arc::new(Shared {
            book: Mutex::default(),
            edition: AtomicU64::new(0),
            questions: sender,
            stop: AtomicBool::new(false),
            metrics,
        });
        let reader = Reader { shared: Arc::clone(&shared), copy: RefCell::default() };
        let mut resolver = Resolver { shared, questions, root: root.to_owned(), getent, stamps: [None; 2] };
        resolver.refresh();
        (Names(Some(reader)), resolver)
    }

    /// Name of a user; `None` if there is none or it is not known yet.
    pub fn user(&self, uid: u32) -> Option<Arc<str>> {
        self.look_up(Database::Users, uid)
    }

    /// Name of a group; `None` if there is none or it is not known yet.
    pub fn group(&self, gid: u32) -> Option<Arc<str>> {
        self.look_up(Database::Groups, gid)
    }

    /// Tells the thread to end; it does so within a second, or when a running getent has met its deadline.
    pub fn stop(&self) {
        if let Some(reader) = &self.0 {
            reader.shared.stop.store(true, Relaxed);
        }
    }

    fn look_up(&self, database: Database, id: u32) -> Option<Arc<str>> {
        let Reader { shared, copy } = self.0.as_ref()?;
        let mut copy = copy.borrow_mut();
        let edition = shared.edition.load(Acquire);
        if copy.0 != edition {
            *copy = (edition, shared.book());
        }
        let known = copy.1.of(database).get(&id);
        // What a file tells is the common case and needs no clock.
        let is_fresh = |answer: &Answer| answer.until_ns == u64::MAX || clock::boot_ns() < answer.until_ns;
        if !known.is_some_and(is_fresh) {
            if known.is_none() {
                shared.metrics.names_missing.inc();
            }
            // A full queue means that the thread is busy with others; the next event asks again.
            let _ = shared.questions.try_send((database, id));
        }
        known?.name.clone()
    }
}

impl Resolver {
    /// Starts the thread `se-names`.
    pub fn start(mut self) -> io::Result<Thread> {
        spawn("se-names", move |beacon| self.run(beacon))
    }

    fn run(&mut self, beacon: &Beacon) {
        let mut files_due_ns = 0;
        while !self.shared.stop.load(Relaxed) {
            beacon.beat();
            match self.questions.recv_timeout(TURN) {
                Ok((database, id)) => self.answer(database, id),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now_ns = clock::boot_ns();
            if now_ns >= files_due_ns {
                self.refresh();
                files_due_ns =
                    now_ns.saturating_add(u64::try_from(FILES_EVERY.as_nanos()).unwrap_or(u64::MAX));
            }
        }
    }

    /// Finds the name of one id.
    fn answer(&mut self, database: Database, id: u32) {
        let now_ns = clock::boot_ns();
        let is_fresh =
            |shared: &Shared| shared.book().of(database).get(&id).is_some_and(|a| now_ns < a.until_ns);
        if is_fresh(&self.shared) {
            return;
        }
        // The account may have been made a moment ago.
        self.refresh();
        if is_fresh(&self.shared) {
            return;
        }
        let asked = self.getent.as_deref().map(|program| getent::ask(program, database, id));
        let name = match asked {
            None => None,
            Some(Ok(name)) => name,
            Some(Err(error)) => {
                log::debug!("{error}");
                self.shared.metrics.errors.at(ErrorType::Names).inc();
                None
            }
        };
        let keep_ns = if name.is_some() { FOREIGN_KEEP_NS } else { ABSENT_KEEP_NS };
        let mut book = (*self.shared.book()).clone();
        let answers = book.of_mut(database);
        if answers.len() >= NAMES_MAX {
            // Only names of files live for ever; there are as many as the file has lines.
            answers.retain(|_, answer| answer.until_ns > now_ns);
        }
        if answers.len() < 2 * NAMES_MAX {
            answers.insert(id, Answer { name, until_ns: now_ns + keep_ns });
            self.shared.publish(book);
        }
    }

    /// Reads the files that have changed.
    fn refresh(&mut self) {
        for (database, stamp) in Database::ALL.into_iter().zip(&mut self.stamps) {
            let path = self.root.join(database.file());
            let metadata = fs::metadata(&path).ok();
            let found = metadata.map(|m| (m.dev(), m.ino(), m.mtime(), m.mtime_nsec()));
            if found.is_none() || found == *stamp {
                continue;
            }
            let text = match read(&path, FILE_MAX) {
                Ok(text) => text,
                Err(error) => {
                    log::debug!("cannot read {}: {error}", path.display());
                    self.shared.metrics.errors.at(ErrorType::Names).inc();
                    continue;
                }
            };
            *stamp = found;
            let mut fresh = IdMap::default();
            for (id, name) in accounts::parse(&text).take(NAMES_MAX) {
                let name = || Some(String::from_utf8_lossy(name).into());
                // The C library takes the first line of an id as well.
                fresh.entry(id).or_insert_with(|| Answer { name: name(), until_ns: u64::MAX });
            }
            let mut book = (*self.shared.book()).clone();
            // Names of the name service outlive the change; what had no name may have one now.
            let told = |answer: &Answer| answer.until_ns != u64::MAX && answer.name.is_some();
            for (&id, answer) in book.of(database).iter().filter(|(_, answer)| told(answer)) {
                fresh.entry(id).or_insert_with(|| answer.clone());
            }
            *book.of_mut(database) = fresh;
            self.shared.publish(book);
        }
    }
}

impl ecs::Names for Names {
    fn user(&self, uid: u32) -> Option<Arc<str>> {
        Names::user(self, uid)
    }

    fn group(&self, gid: u32) -> Option<Arc<str>> {
        Names::group(self, gid)
    }
}

#[cfg(test)]
mod tests;
