//! The log file: whole lines only, whatever happens.
//!
//! - **Opening.** Directory 0750 and file 0640 are created if missing. A link, device or FIFO in the file's place
//!   is refused, and so is a file that another process has locked: it would be repaired under its writer's hands.
//!   A torn last line is cut off (`repair`).
//! - **Writing.** One `writev` for everything, appending. When it is cut short by an error, the torn line is cut off
//!   at once, or before the next write if even that fails; nothing is written behind a torn line.
//! - **Rotation** before a write that would make the file too large, and at the first write of another UTC day:
//!   rename, then a new file, as `tail -F` and shippers expect. A line that alone is too large gets a file of its
//!   own. If the rename fails, writing goes on in the old file: too large a log is better than a lost one.
//! - **Moved or deleted.** Each second the path is compared with the open file. Until then lines may go to a file
//!   that has no name any more; they count as delivered, as nothing tells a deletion from one a second later.
//! - **Durability.** Rotated files are synced by the `keeper`, the current one at the end. A power
//!   loss may take the last seconds, as the kernel writes back when it likes; a sync per batch would cost more
//!   than everything else the agent does.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::libc::O_NOFOLLOW;

use super::config::{Config, FileConfig};
use super::keeper::{Job, Keeper};
use super::output::{Error, Output, Part, Place, Progress, Target, WallClock, whole_lines_within};
use super::repair;
use super::rotate::{self, DAY_NS};
use crate::metrics::{ErrorType, Metrics, SinkName};
use crate::util::limit::Limit;

/// How often the path is compared with the open file, and a failed rotation tried again.
const CHECK: Duration = Duration::from_secs(1);

/// The log file as a destination.
pub struct FileOutput {
    config: FileConfig,
    clock: WallClock,
    metrics: Arc<Metrics>,
    keeper: Keeper,
    open: Option<Open>,
    checked: Instant,
    rotate_again: Option<Instant>,
    said: Limit,
}

impl std::fmt::Debug for FileOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileOutput").field("config", &self.config).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Open {
    /// Holds the lock.
    file: Flock<File>,
    device: u64,
    inode: u64,
    /// Whole lines.
    size: u64,
    /// Bytes of a torn line behind them.
    torn: u64,
    /// Day of the last write, since the epoch.
    day: u64,
}

impl FileOutput {
    /// Opens the log. A passing trouble such as a full disk is left to the first write; everything else is an
    /// error, as it will not go away by itself.
    pub fn new(config: FileConfig, clock: WallClock, metrics: Arc<Metrics>) -> Result<Self, Error> {
        let keeper = Keeper::start().map_err(|source| Error::Thread { name: "se-log-keeper", source })?;
        let open = match open(&config.path, &metrics) {
            Ok(open) => Some(open),
            Err(error) if error.is_passing() => {
                log::error!("{error}; it is tried again");
                None
            }
            Err(error) => return Err(error),
        };
        let said = Limit::new(Duration::from_secs(60));
        let output = FileOutput {
            config,
            clock,
            metrics,
            keeper,
            open,
            checked: Instant::now(),
            rotate_again: None,
            said,
        };
        output.tidy(None);
        Ok(output)
    }

    /// The open file, the right one.
    fn ready(&mut self) -> Result<&mut Open, Error> {
        if self.checked.elapsed() >= CHECK || self.open.is_none() {
            self.compare()?;
        }
        let Some(open) = &mut self.open else {
            // compare() leaves none only with an error.
            return Err(Error::NotAFile { path: self.config.path.clone() });
        };
        if open.torn > 0 {
            cut(open).map_err(|source| Error::Repair { path: self.config.path.clone(), source })?;
        }
        Ok(open)
    }

    /// Opens the path anew if it leads to another file than the open one.
    fn compare(&mut self) -> Result<(), Error> {
        self.checked = Instant::now();
        if let Some(open) = &mut self.open {
            if let Ok(meta) = fs::symlink_metadata(&self.config.path)
                && (meta.dev(), meta.ino()) == (open.device, open.inode)
            {
                // Somebody may have emptied it in place (`copytruncate`).
                if meta.len() < open.size {
                    open.size = meta.len();
                }
                return Ok(());
            }
            log::info!("{} is another file now; opening it anew", self.config.path.display());
        }
        self.open = None;
        self.open = Some(open(&self.config.path, &self.metrics)?);
        Ok(())
    }

    /// Rotates if `total` bytes, or the day, ask for it. How many bytes the file may take now.
    fn make_room(&mut self, parts: &[Part<'_>], total: usize) -> Result<usize, Error> {
        let day = (self.clock)() / DAY_NS;
        let (max, daily) = (self.config.max_bytes, self.config.daily);
        let fits = |size: u64| {
            let room = max.map_or(u64::MAX, |max| max.saturating_sub(size));
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            if total <= room { total } else { whole_lines_within(parts, room) }
        };
        let open = self.ready()?;
        let fitting = fits(open.size);
        let due = open.size > 0 && (fitting == 0 || (daily && open.day != day));
        if !due {
            open.day = day;
            self.rotate_again = None;
        } else if self.rotate_again.is_none_or(|at| Instant::now() >= at) {
            self.rotate()?;
        }
        let failed = self.rotate_again.is_some();
        let open = self.ready()?;
        open.day = day;
        if failed {
            return Ok(total);
        }
        let alone = parts.first().map_or(0, Part::first_line);
        Ok(fits(open.size).max(if open.size == 0 { alone } else { 0 }))
    }

    /// Gives the file its final name and begins a new one. A rename that fails is no error: the old file goes on.
    fn rotate(&mut self) -> Result<(), Error> {
        self.compare()?;
        if self.open.as_ref().is_none_or(|open| open.size == 0) {
            // It was moved away, and this is a new one.
            return Ok(());
        }
        let now_ns = (self.clock)();
        let path = &self.config.path;
        let renamed = rotate::list(path).and_then(|files| {
            let target = rotate::target(path, now_ns, files.last());
            fs::rename(path, target)
        });
        if let Err(error) = renamed {
            self.rotate_again = Some(Instant::now() + CHECK);
            self.metrics.errors.at(ErrorType::Sink).inc();
            if self.said.pass().is_some() {
                log::error!("cannot rotate {}: {error}; it goes on growing", path.display());
            }
            return Ok(());
        }
        self.rotate_again = None;
        self.metrics.sink_rotations.inc();
        let old = self.open.take();
        let opened = open(path, &self.metrics);
        if let Err(error) = rotate::prune(path, self.config.max_files, self.config.max_age_days, now_ns)
            && self.said.pass().is_some()
        {
            log::warn!("cannot delete old files of {}: {error}", path.display());
        }
        // A copy of the descriptor without the lock's guard; the lock ends with the last one.
        self.tidy(old.and_then(|old| old.file.try_clone().ok()));
        self.open = Some(opened?);
        Ok(())
    }

    fn tidy(&self, rotated: Option<File>) {
        let FileConfig { path, compress, .. } = &self.config;
        self.keeper.look_after(Job { rotated, log: path.clone(), compress: *compress });
    }

    fn error(&self, source: io::Error) -> Error {
        Error::Write { target: Target::File(self.config.path.clone()), source }
    }
}

impl Output for FileOutput {
    fn write(&mut self, parts: &[Part<'_>]) -> Progress {
        let total = parts.iter().map(|part| part.bytes.len()).sum();
        let room = match self.make_room(parts, total) {
            Ok(room) => room,
            Err(error) => return error.into(),
        };
        let open = match self.ready() {
            Ok(open) => open,
            Err(error) => return error.into(),
        };
        let mut slices = Vec::with_capacity(parts.len());
        let mut left = room;
        for part in parts {
            let n = part.bytes.len().min(left);
            slices.push(IoSlice::new(&part.bytes[..n]));
            left -= n;
        }
        let (written, result) = write_all(&open.file, &mut &mut slices[..]);
        let whole = if written == total { total } else { whole_lines_within(parts, written) };
        open.size += whole as u64;
        open.torn = (written - whole) as u64;
        if open.torn > 0 {
            // If this fails it is tried again before the next write.
            let _ = cut(open);
        }
        Progress { bytes: whole, error: result.err().map(|source| self.error(source)) }
    }

    fn check(&mut self) -> Result<(), Error> {
        self.ready().map(|_| ())
    }

    fn reopen(&mut self) -> Result<(), Error> {
        self.compare()
    }

    fn reconfigure(&mut self, config: &Config) -> Result<(), Error> {
        let Some(file) = &config.file else {
            return Err(Error::NeedsRestart { sink: SinkName::File.name() });
        };
        if file.path != self.config.path {
            self.open = Some(open(&file.path, &self.metrics)?);
        }
        self.config = file.clone();
        self.rotate_again = None;
        self.tidy(None);
        Ok(())
    }

    fn finish(&mut self) {
        if let Some(open) = self.open.as_ref().filter(|_| self.config.durable)
            && let Err(error) = open.file.sync_data()
        {
            log::warn!("cannot make {} durable: {error}", self.config.path.display());
        }
    }

    fn place(&self, back: usize, len: usize) -> Place {
        let (inode, size) = self.open.as_ref().map_or((0, 0), |open| (open.inode, open.size));
        let offset = size.saturating_sub((back + len) as u64);
        Place::File { path: self.config.path.clone(), inode, offset, len }
    }
}

fn open(path: &Path, metrics: &Metrics) -> Result<Open, Error> {
    let failed = |source| Error::Open { path: path.to_owned(), source };
    let directory = rotate::split(path).0;
    DirBuilder::new()
        .recursive(true)
        .mode(0o750)
        .create(directory)
        .map_err(|source| Error::Directory { path: directory.to_owned(), source })?;
    // Before opening, which would wait for the reader of a FIFO.
    if fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_file()) {
        return Err(Error::NotAFile { path: path.to_owned() });
    }
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(O_NOFOLLOW)
        .open(path)
        .map_err(failed)?;
    let file = lock(file, path)?;
    let cut =
        repair::cut_torn_line(&file).map_err(|source| Error::Repair { path: path.to_owned(), source })?;
    if cut > 0 {
        metrics.sink_repaired.inc();
        log::warn!("cut {cut} bytes of a torn last line off {}", path.display());
    }
    let meta = file.metadata().map_err(failed)?;
    let written_at = meta.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let day = written_at.unwrap_or_default().as_secs() / (DAY_NS / 1_000_000_000);
    Ok(Open { device: meta.dev(), inode: meta.ino(), size: meta.len(), torn: 0, day, file })
}

fn lock(file: File, path: &Path) -> Result<Flock<File>, Error> {
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(locked) => Ok(locked),
        Err((_, Errno::EWOULDBLOCK)) => Err(Error::Locked { path: path.to_owned() }),
        Err((_, errno)) => Err(Error::Open { path: path.to_owned(), source: errno.into() }),
    }
}

/// Cuts off what is behind the whole lines. Counted from the end as it is now, so that a file that was emptied in
/// place meanwhile does not grow.
fn cut(open: &mut Open) -> io::Result<()> {
    let len = open.file.metadata()?.len();
    if let Some(whole) = len.checked_sub(open.torn) {
        open.file.set_len(whole)?;
    }
    open.torn = 0;
    Ok(())
}

/// How much was written, and why not all. `slices` begins with what was not.
pub(super) fn write_all(mut file: &File, slices: &mut &mut [IoSlice<'_>]) -> (usize, io::Result<()>) {
    let mut written = 0;
    // Drops empty ones at the front, which would look like an end.
    IoSlice::advance_slices(slices, 0);
    while !slices.is_empty() {
        match file.write_vectored(slices) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(n) => {
                written += n;
                IoSlice::advance_slices(slices, n);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}
