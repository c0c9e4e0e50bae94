//! The thread that looks after rotated files, so that writing never waits for it: makes them durable, compresses
//! them, and clears away what an interrupted compression left.
//!
//! A file is compressed into `NAME.gz.tmp`, made durable, given the time of the original and renamed; only then
//! does the original go. Whenever the machine stops, one whole copy is there, and the next start goes on. The
//! thread uses a quarter of a core at most, so that a rotation is no burst of load.
//!
//! Deleting what is too much or too old is not done here but at the rotation itself, or a long compression would
//! let the disk fill up.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::rotate;
use crate::util::limit::Limit;
use crate::util::thread::{self, Thread};

/// Rotations that may wait; far more than ever do.
const WAITING: usize = 64;
/// Bytes between two looks at the clock.
const BLOCK: usize = 256 * 1024;
/// Rest after each block, in multiples of the time that it took.
const REST: u32 = 3;

/// Something to look after.
#[derive(Debug)]
pub(super) struct Job {
    /// A file that was just rotated, to be made durable.
    pub(super) rotated: Option<File>,
    /// The log whose rotated files to look at.
    pub(super) log: PathBuf,
    /// Compress them.
    pub(super) compress: bool,
}

/// The thread, and the way to give it work.
#[derive(Debug)]
pub(super) struct Keeper {
    jobs: Option<Sender<Job>>,
    stop: Arc<AtomicBool>,
    thread: Option<Thread>,
}

impl Keeper {
    /// Starts the thread.
    pub(super) fn start() -> io::Result<Keeper> {
        let (sender, receiver) = bounded(WAITING);
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = thread::spawn("se-log-keeper", move |_| run(&receiver, &told))?;
        Ok(Keeper { jobs: Some(sender), stop, thread: Some(thread) })
    }

    /// Never waits: with too many jobs this one is dropped, and the next one finds its files.
    pub(super) fn look_after(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.try_send(job);
        }
    }
}

impl Drop for Keeper {
    /// A compression under way is broken off; the next start does it again.
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            thread.join();
        }
    }
}

fn run(jobs: &Receiver<Job>, stop: &AtomicBool) {
    let said = Limit::new(Duration::from_secs(300));
    let complain = |what: &str, path: &Path, error: &io::Error| {
        if said.pass().is_some() {
            log::warn!("cannot {what} {}: {error}", path.display());
        }
    };
    for job in jobs {
        if let Some(file) = job.rotated {
            // The directory too: without it the new names may not outlive a power loss.
            let directory = File::open(rotate::split(&job.log).0);
            if let Err(error) = file.sync_data().and_then(|()| directory?.sync_all()) {
                complain("make durable the file rotated from", &job.log, &error);
            }
        }
        if let Err(error) = clear_leftovers(&job.log) {
            complain("clear away leftovers of", &job.log, &error);
        }
        if !job.compress {
            continue;
        }
        let files = rotate::list(&job.log).unwrap_or_default();
        for file in files.into_iter().filter(|file| !file.compressed) {
            if stop.load(Relaxed) {
                return;
            }
            match compress(&file.path, stop) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    complain("compress", &file.path, &error);
                }
                _ => {}
            }
        }
    }
}

/// Only this thread makes such files, so those that are there when a job begins are from an earlier run.
fn clear_leftovers(log: &Path) -> io::Result<()> {
    rotate::leftovers(log)?.iter().try_for_each(fs::remove_file)
}

/// Replaces the file by its compressed form. False if it was told to stop.
fn compress(plain: &Path, stop: &AtomicBool) -> io::Result<bool> {
    let with = |suffix: &str| {
        let mut name = plain.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let (packed, temporary) = (with(".gz"), with(".gz.tmp"));
    if packed.exists() {
        // Stopped between the rename and the removal: the compressed one is whole.
        fs::remove_file(plain)?;
        return Ok(true);
    }
    let mut source = File::open(plain)?;
    let target = OpenOptions::new().write(true).create_new(true).mode(0o640).open(&temporary)?;
    let result = pack(&mut source, target, stop).and_then(|finished| {
        // It may have been deleted meanwhile, as too old or too many; then it must not come back.
        if finished && plain.exists() {
            fs::rename(&temporary, &packed)?;
            fs::remove_file(plain)?;
        }
        Ok(finished)
    });
    if temporary.exists() {
        fs::remove_file(&temporary)?;
    }
    result
}

fn pack(source: &mut File, target: File, stop: &AtomicBool) -> io::Result<bool> {
    let written_at = source.metadata()?.modified()?;
    let mut packer = GzEncoder::new(target, Compression::default());
    let mut block = vec![0; BLOCK];
    loop {
        if stop.load(Relaxed) {
            return Ok(false);
        }
        let began = Instant::now();
        let n = source.read(&mut block)?;
        if n == 0 {
            break;
        }
        packer.write_all(&block[..n])?;
        std::thread::sleep(began.elapsed() * REST);
    }
    let target = packer.finish()?;
    target.set_times(FileTimes::new().set_modified(written_at))?;
    target.sync_all()?;
    Ok(true)
}
