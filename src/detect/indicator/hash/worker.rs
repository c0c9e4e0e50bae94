//! The thread that hashes, and its queues.

use std::convert::Infallible;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded, select};
use sha2::Digest;

use super::{Answer, Identity, Refusal, Request, Settings, Sha256};
use crate::util::thread::{Thread, spawn};

/// Bytes read at once.
const PIECE_BYTES: usize = 64 << 10;

/// How long [`Hasher::stop`] waits for the thread, which ends after the piece that it reads, thus within milliseconds
/// unless the file system hangs or the processors are taken.
const PATIENCE: Duration = Duration::from_secs(1);

/// The longest time without a beat of the beacon, but for a read.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// `O_NONBLOCK` of Linux, on all but a few architectures that this agent does not run on: a pipe does not block then.
const O_NONBLOCK: i32 = 0o4000;

/// The queue of requests is full, or the thread is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot take another file to hash: as many are waiting as may")]
pub struct Full;

/// A running thread that hashes. It ends when this is dropped; [`Hasher::stop`] waits for that.
#[derive(Debug)]
pub struct Hasher {
    requests: Sender<Request>,
    answers: Receiver<Answer>,
    refused: AtomicU64,
    /// Nothing is ever sent; the thread ends once it is gone.
    alive: Sender<Infallible>,
    thread: Thread,
}

impl Hasher {
    /// Starts the thread `se-hash`.
    ///
    /// # Errors
    ///
    /// If the system gives no thread.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let queue = settings.queue.max(1);
        let (requests, to_hash) = bounded(queue);
        let (done, answers) = bounded(queue);
        let (alive, stopped) = bounded(0);
        let thread = spawn("se-hash", move |beacon| {
            let mut worker = Worker { settings, stopped, next: Instant::now() };
            loop {
                beacon.beat();
                // The beacon must not fall silent while there is nothing to do.
                let request = select! {
                    recv(to_hash) -> request => request.ok(),
                    recv(worker.stopped) -> _ => None,
                    default(LONGEST_WAIT) => continue,
                };
                let Some(Request { path, identity, token }) = request else { return };
                let outcome = match worker.open(&path, &identity) {
                    Ok(file) => worker.hash(file, &identity, || beacon.beat()),
                    Err(refusal) => Err(End::Refused(refusal)),
                };
                let outcome = match outcome {
                    Ok(digest) => Ok(digest),
                    Err(End::Refused(refusal)) => Err(refusal),
                    Err(End::Stopped) => return,
                };
                let mut answer = Answer { token, identity, outcome };
                while let Err(unsent) = done.send_timeout(answer, Duration::from_millis(20)) {
                    beacon.beat();
                    if unsent.is_disconnected() || worker.is_stopped() {
                        return;
                    }
                    answer = unsent.into_inner();
                }
            }
        })?;
        Ok(Hasher { requests, answers, refused: AtomicU64::new(0), alive, thread })
    }

    /// Puts a file into the queue; never blocks.
    ///
    /// # Errors
    ///
    /// If the queue is full, which is counted.
    pub fn request(&self, request: Request) -> Result<(), Full> {
        self.requests.try_send(request).map_err(|_| {
            self.refused.fetch_add(1, Relaxed);
            Full
        })
    }

    /// Where answers come, in the order of the requests. The thread waits if they are not taken.
    pub fn answers(&self) -> &Receiver<Answer> {
        &self.answers
    }

    /// Requests that were refused as the queue was full.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// The thread, for its beacon.
    pub fn thread(&self) -> &Thread {
        &self.thread
    }

    /// Ends the thread, also in the middle of a file; what waits is dropped. False if it panicked, or if it hangs in a
    /// read for longer than a second and was left behind.
    pub fn stop(self) -> bool {
        let Hasher { requests, answers, alive, thread, .. } = self;
        drop((requests, answers, alive));
        let until = Instant::now() + PATIENCE;
        while !thread.is_finished() {
            if Instant::now() >= until {
                return false;
            }
            thread::sleep(Duration::from_millis(1));
        }
        thread.join()
    }
}

/// Why a file has no digest.
enum End {
    Refused(Refusal),
    Stopped,
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        End::Refused(refusal)
    }
}

struct Worker {
    settings: Settings,
    stopped: Receiver<Infallible>,
    /// When the next piece may be read.
    next: Instant,
}

impl Worker {
    fn is_stopped(&self) -> bool {
        matches!(self.stopped.try_recv(), Err(TryRecvError::Disconnected))
    }

    fn open(&self, path: &std::path::Path, identity: &Identity) -> Result<File, Refusal> {
        let too_large = |size_bytes| {
            let most_bytes = self.settings.most_bytes;
            if size_bytes > most_bytes { Err(Refusal::TooLarge { size_bytes, most_bytes }) } else { Ok(()) }
        };
        too_large(identity.size_bytes)?;
        let file =
            OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path).map_err(Refusal::Unopened)?;
        let metadata = file.metadata().map_err(Refusal::Unopened)?;
        if !metadata.is_file() {
            return Err(Refusal::NotRegular);
        }
        if !Identity::of(&metadata).matches(identity) {
            return Err(Refusal::Changed);
        }
        Ok(file)
    }

    /// Reads the file to its end, which is where its size says.
    fn hash(&mut self, mut file: File, identity: &Identity, beat: impl Fn()) -> Result<Sha256, End> {
        let before = Identity::of(&file.metadata().map_err(Refusal::Unread)?);
        let mut hash = sha2::Sha256::new();
        let mut piece = vec![0; PIECE_BYTES];
        let mut total_bytes = 0;
        loop {
            self.pause(&beat)?;
            let began = Instant::now();
            let length = match file.read(&mut piece) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Refusal::Unread(error).into()),
            };
            hash.update(piece.get(..length).unwrap_or_default());
            total_bytes += length as u64;
            // A file that grows while it is read must not be followed for ever.
            if total_bytes > identity.size_bytes {
                return Err(Refusal::Changed.into());
            }
            self.account(length as u64, began);
        }
        let after = Identity::of(&file.metadata().map_err(Refusal::Unread)?);
        if after != before || total_bytes != identity.size_bytes {
            return Err(Refusal::Changed.into());
        }
        Ok(hash.finalize().into())
    }

    /// Lets others run until the next piece is due; ends at once on a stop.
    fn pause(&self, beat: impl Fn()) -> Result<(), End> {
        thread::yield_now();
        loop {
            beat();
            let wait = self.next.saturating_duration_since(Instant::now());
            match self.stopped.recv_timeout(wait.min(LONGEST_WAIT)) {
                Err(RecvTimeoutError::Timeout) if wait > LONGEST_WAIT => {}
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                _ => return Err(End::Stopped),
            }
        }
    }

    /// The rate holds over all files; time that was not used is not made up for.
    fn account(&mut self, bytes: u64, began: Instant) {
        let per_second = u128::from(self.settings.bytes_per_second);
        if let Some(ns) = (u128::from(bytes) * 1_000_000_000).checked_div(per_second) {
            let cost = Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX));
            let start = self.next.max(began);
            self.next = start.checked_add(cost).unwrap_or(start);
        }
    }
}
