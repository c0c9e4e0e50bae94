//! tiny_http on the private Unix socket, and its resurrection.
//!
//! A supervisor thread, `se-http`, owns the server and two threads that take requests from it. tiny_http can die
//! in two ways: an accept error comes out of `recv()` once and is followed by silence, and a panic of its accept
//! thread, for lack of descriptors or threads, by silence from the start. The first ends a taking thread, the
//! second is noticed by the gate, whom nobody lets connect any more; both wake the supervisor, which drops what
//! is left, binds the socket anew and begins again, waiting longer from failure to failure. tiny_http's own
//! threads inherit the supervisor's name.

use std::any::Any;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Cursor, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use nix::fcntl::OFlag;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use nix::sys::stat::{Mode, fchmod};
use tiny_http::{Header, Request, Response};

use super::forward::{ACCESS_HEADER, Secret, Upstream};
use super::{Answers, Error, route};
use crate::metrics::{ErrorType, Metrics};
use crate::util::beacon::Beacon;
use crate::util::limit::Limit;
use crate::util::thread::{Thread, spawn};

/// Threads that take requests.
const HANDLERS: usize = 2;
/// Shortest and longest wait between two attempts to build the server anew.
const MIN_PAUSE: Duration = Duration::from_millis(10);
const MAX_PAUSE: Duration = Duration::from_millis(250);
/// How often the supervisor beats.
const BEAT: Duration = Duration::from_secs(2);
/// How long stopping waits for threads that might be stuck in an answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks for a new server.
#[derive(Debug, Clone)]
pub(super) struct Revival {
    generation: Arc<AtomicU64>,
    dead: Sender<u64>,
}

impl Revival {
    /// Counts the servers built so far.
    pub fn generation(&self) -> u64 {
        self.generation.load(SeqCst)
    }

    /// Says that this server is dead. Saying so twice, or of one long replaced, does nothing.
    pub fn ask(&self, generation: u64) {
        // A full channel means that the supervisor has been told.
        let _ = self.dead.try_send(generation);
    }

    /// Leads nowhere.
    #[cfg(test)]
    pub fn detached() -> Revival {
        Revival { generation: Arc::default(), dead: bounded(1).0 }
    }
}

/// The running server.
pub(super) struct Server {
    socket: PathBuf,
    secret: Secret,
    revival: Revival,
    stopping: Arc<AtomicBool>,
    supervisor: Option<Thread>,
    beacon: Arc<Beacon>,
}

impl Server {
    /// Binds the socket and starts the supervisor.
    pub fn start(socket: &Path, answers: Arc<dyn Answers>, metrics: Arc<Metrics>) -> Result<Server, Error> {
        let listener = bind_private(socket)?;
        let resources = |what| move |source| Error::Resources { what, source };
        let secret = Secret::random().map_err(resources("get random numbers"))?;
        let stopping = Arc::new(AtomicBool::new(false));
        let (dead, told) = bounded(64);
        let revival = Revival { generation: Arc::new(AtomicU64::new(0)), dead };
        let mut supervisor = Supervisor {
            socket: socket.to_owned(),
            listener: Some(listener),
            handler: Handler { answers, metrics, secret: secret.clone() },
            stopping: Arc::clone(&stopping),
            revival: revival.clone(),
            told,
        };
        let thread = spawn("se-http", move |beacon| supervisor.run(beacon))
            .map_err(resources("start the thread se-http"))?;
        let beacon = Arc::clone(&thread.beacon);
        Ok(Server { socket: socket.to_owned(), secret, revival, stopping, supervisor: Some(thread), beacon })
    }

    /// The way to this server.
    pub fn upstream(&self) -> Upstream {
        Upstream { socket: self.socket.clone(), secret: self.secret.clone(), revival: self.revival.clone() }
    }

    /// The supervisor's liveness.
    pub fn beacon(&self) -> Arc<Beacon> {
        Arc::clone(&self.beacon)
    }

    /// Ends the server, unless a thread is stuck in an answer: then that one is left behind.
    pub fn stop(&mut self) {
        self.stopping.store(true, SeqCst);
        self.revival.ask(u64::MAX);
        if let Some(supervisor) = self.supervisor.take() {
            join_within(supervisor, PATIENCE);
        }
    }
}

fn join_within(thread: Thread, patience: Duration) -> bool {
    let until = Instant::now() + patience;
    while !thread.is_finished() {
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    thread.join()
}

/// Makes the directory and the socket, for nobody else to connect to. The mode is set before the name exists, so
/// there is no moment at which others could connect.
fn bind_private(path: &Path) -> Result<UnixListener, Error> {
    let failed = |source: io::Error| Error::Socket { path: path.to_owned(), source };
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o750).create(directory).map_err(failed)?;
    }
    let attempt = || -> io::Result<UnixListener> {
        let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        fchmod(&fd, Mode::S_IRUSR | Mode::S_IWUSR)?;
        bind(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
        listen(&fd, Backlog::new(128)?)?;
        Ok(UnixListener::from(fd))
    };
    match attempt() {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            remove_stale(path)?;
            attempt().map_err(failed)
        }
        result => result.map_err(failed),
    }
}

/// Removes a socket that an agent left behind when it was killed.
fn remove_stale(path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Socket { path: path.to_owned(), source };
    if !fs::symlink_metadata(path).map_err(failed)?.file_type().is_socket() {
        return Err(failed(io::Error::new(
            ErrorKind::AlreadyExists,
            "a file that is not a socket is in the way",
        )));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(Error::SocketInUse { path: path.to_owned() }),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(failed),
        Err(error) => Err(failed(error)),
    }
}

/// A reference to the socket's file, not to the socket: a duplicate of the listener would go on queueing
/// connections when tiny_http, and with it its own, is dead.
fn handle(path: &Path) -> Option<File> {
    let flags = (OFlag::O_PATH | OFlag::O_CLOEXEC).bits();
    OpenOptions::new().read(true).custom_flags(flags).open(path).ok()
}

struct Supervisor {
    socket: PathBuf,
    listener: Option<UnixListener>,
    handler: Handler,
    stopping: Arc<AtomicBool>,
    revival: Revival,
    told: Receiver<u64>,
}

impl Supervisor {
    fn run(&mut self, beacon: &Beacon) {
        let said = Limit::new(Duration::from_secs(10));
        let mut pause = MIN_PAUSE;
        while !self.stopping.load(SeqCst) {
            beacon.beat();
            let begun = Instant::now();
            // tiny_http panics where the system has no thread for it.
            let result = catch_unwind(AssertUnwindSafe(|| self.serve(beacon)));
            if self.stopping.load(SeqCst) {
                break;
            }
            self.handler.metrics.errors.at(ErrorType::Http).inc();
            let reason = result.unwrap_or_else(|panic| Err(io::Error::other(panic_text(&*panic))));
            let reason = reason.map_or_else(|e| e.to_string(), |()| "it stopped answering".to_owned());
            if let Some(held_back) = said.pass() {
                log::warn!(
                    "the HTTP server is built anew: {reason} ({held_back} times more since the last line)"
                );
            }
            pause = if begun.elapsed() > 4 * MAX_PAUSE { MIN_PAUSE } else { (pause * 2).min(MAX_PAUSE) };
            std::thread::sleep(pause);
        }
        // tiny_http removes the file of a socket that it was given.
        if self.listener.take().is_some() {
            let _ = fs::remove_file(&self.socket);
        }
    }

    /// One server's life. Returns when it shall end or has died.
    fn serve(&mut self, beacon: &Beacon) -> io::Result<()> {
        let listener = match self.listener.take() {
            Some(listener) => listener,
            None => bind_private(&self.socket).map_err(|error| io::Error::other(with_source(&error)))?,
        };
        let file = handle(&self.socket);
        let server = tiny_http::Server::from_listener(listener, None)
            .map_err(|error| io::Error::other(error.to_string()))?;
        let server = Arc::new(server);
        let generation = self.revival.generation.fetch_add(1, SeqCst) + 1;
        let mut handlers = Vec::new();
        let mut started = Ok(());
        for i in 0..HANDLERS {
            let (handler, server, revival) =
                (self.handler.clone(), Arc::clone(&server), self.revival.clone());
            match spawn(&format!("se-http-{i}"), move |_| {
                let _told = TellOnEnd { revival, generation };
                handler.run(&server);
            }) {
                Ok(thread) => handlers.push(thread),
                Err(error) => started = Err(error),
            }
        }
        if started.is_ok() {
            self.wait(generation, beacon);
        }
        handlers.iter().for_each(|_| server.unblock());
        for handler in handlers {
            join_within(handler, PATIENCE);
        }
        // Dropping the server wakes its accept thread by connecting to the socket's path. Where somebody removed
        // the file, the thread would stay for ever; through the handle it can still be reached.
        let reachable = self.socket.exists();
        drop(server);
        if let (false, Some(file)) = (reachable, file) {
            let _ = UnixStream::connect(format!("/proc/self/fd/{}", file.as_raw_fd()));
        }
        started
    }

    /// Until the server of this generation is reported dead, or everything ends.
    fn wait(&self, generation: u64, beacon: &Beacon) {
        while !self.stopping.load(SeqCst) {
            beacon.beat();
            match self.told.recv_timeout(BEAT) {
                Ok(dead) if dead != generation => (),
                Err(RecvTimeoutError::Timeout) => (),
                Ok(_) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// Reports a server dead when a thread that takes its requests ends, whatever the reason.
struct TellOnEnd {
    revival: Revival,
    generation: u64,
}

impl Drop for TellOnEnd {
    fn drop(&mut self) {
        self.revival.ask(self.generation);
    }
}

/// Takes requests and answers them.
#[derive(Clone)]
struct Handler {
    answers: Arc<dyn Answers>,
    metrics: Arc<Metrics>,
    secret: Secret,
}

impl Handler {
    /// Until the server is unblocked or dead; both come as an error.
    fn run(&self, server: &tiny_http::Server) {
        while let Ok(request) = server.recv() {
            // A request that is dropped by a panic is answered with 500.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.answer(request))) {
                self.metrics.errors.at(ErrorType::Panic).inc();
                log::error!("an HTTP answer panicked: {}", panic_text(&*panic));
            }
        }
    }

    fn answer(&self, request: Request) {
        let access = request.headers().iter().find(|header| header.field.equiv(ACCESS_HEADER));
        let authorised = access.is_some_and(|header| self.secret.is(header.value.as_str()));
        let reply = route::reply(request.method().as_str(), request.url(), authorised, &*self.answers);
        let length = reply.body.len();
        let fixed = [
            ("Content-Type", reply.content_type),
            ("Cache-Control", "no-store"),
            ("Server", "sentineledge"),
            ("X-Content-Type-Options", "nosniff"),
        ];
        let headers = fixed.into_iter().chain(reply.header);
        // The texts are constants of ours, in ASCII; `from_bytes` refuses only other bytes.
        let headers = headers.filter_map(|(name, value)| Header::from_bytes(name, value).ok()).collect();
        let response =
            Response::new(reply.status.into(), headers, Cursor::new(reply.body), Some(length), None)
                // Chunks would only have to be taken apart for clients of HTTP/1.0.
                .with_chunked_threshold(usize::MAX);
        if let Err(error) = request.respond(response) {
            log::debug!("an HTTP answer was not taken: {error}");
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic")
}

fn with_source(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
