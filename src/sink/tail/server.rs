//! The thread that serves all clients of the live view.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Shared;
use super::client::Client;
use crate::event::Kind;
use crate::metrics::{Outcome, SinkName};
use crate::sink::batch::Batch;
use crate::sink::config::TailConfig;
use crate::sink::loss::Counts;
use crate::sink::output::Error;
use crate::util::beacon::Beacon;

/// Longest sleep: deadlines of clients are looked at this often.
const TICK_MS: u16 = 500;
/// Rest after a failed accept, as when descriptors have run out; the listener would wake us at once again.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

/// Clients on their way out; more are closed without a word.
const MOST_LEAVING: usize = 16;

/// A socket that listens, and goes when this does.
#[derive(Debug)]
pub(super) struct Listener {
    socket: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Not if another agent has put its own there.
        if fs::symlink_metadata(&self.path).is_ok_and(|meta| meta.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens on `path`, in the place of whatever dead socket is there.
pub(super) fn listen(path: &Path) -> Result<Listener, Error> {
    let failed = |source| Error::Listen { path: path.to_owned(), source };
    let directory = path.parent().unwrap_or_else(|| Path::new("/"));
    DirBuilder::new()
        .recursive(true)
        .mode(0o750)
        .create(directory)
        .map_err(|source| Error::Directory { path: directory.to_owned(), source })?;
    if UnixStream::connect(path).is_ok() {
        return Err(failed(io::Error::new(io::ErrorKind::AddrInUse, "another agent listens there")));
    }
    if fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() || meta.is_dir()) {
        return Err(failed(io::Error::new(io::ErrorKind::AlreadyExists, "it is not a socket")));
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let _ = fs::remove_file(&temporary);
    let socket = UnixListener::bind(&temporary).map_err(failed)?;
    let ready = || {
        fs::set_permissions(&temporary, Permissions::from_mode(0o600))?;
        socket.set_nonblocking(true)?;
        let inode = fs::symlink_metadata(&temporary)?.ino();
        fs::rename(&temporary, path)?;
        Ok(inode)
    };
    let inode = ready().map_err(failed)?;
    Ok(Listener { socket, path: path.to_owned(), inode })
}

/// The thread's own.
#[derive(Debug)]
pub(super) struct Server {
    config: TailConfig,
    listener: Listener,
    shared: Arc<Shared>,
    clients: Vec<Client>,
    accept_at: Option<Instant>,
}

impl Server {
    pub(super) fn new(config: TailConfig, listener: Listener, shared: Arc<Shared>) -> Self {
        Server { config, listener, shared, clients: Vec::new(), accept_at: None }
    }

    pub(super) fn run(mut self, beacon: &Beacon) {
        let (mut batches, mut findings) = (Vec::new(), Vec::new());
        loop {
            beacon.beat();
            let stop = self.shared.stop.load(Relaxed);
            if !stop {
                self.wait();
            }
            self.move_on();
            let missed = self.shared.collect(&mut batches, &mut findings);
            for batch in &batches {
                self.deal(batch);
            }
            for line in findings.drain(..) {
                self.give(None, &line);
            }
            if missed > 0 {
                self.clients.iter_mut().for_each(|client| client.tell_missed(missed));
            }
            self.clients.iter_mut().for_each(Client::serve);
            self.clients.retain(|client| !client.is_gone());
            self.publish();
            if stop {
                // A look at what the last deal released.
                self.shared.collect(&mut batches, &mut findings);
                return;
            }
        }
    }

    /// Waits for batches, clients and their words.
    fn wait(&mut self) {
        if self.accept_at.is_some_and(|at| Instant::now() >= at) {
            self.accept_at = None;
        }
        let nothing = PollFlags::empty();
        let listening = if self.accept_at.is_none() { PollFlags::POLLIN } else { nothing };
        let mut fds = vec![
            PollFd::new(self.shared.bell.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.listener.socket.as_fd(), listening),
        ];
        for client in &self.clients {
            let say = if client.wants_to_say() { PollFlags::POLLIN } else { nothing };
            let hear = if client.wants_to_hear() { PollFlags::POLLOUT } else { nothing };
            fds.push(PollFd::new(client.fd(), say | hear));
        }
        if poll(&mut fds, PollTimeout::from(TICK_MS)).is_err() {
            // Interrupted, or out of kernel memory; the next turn sees what is to be done.
            return;
        }
        let events: Vec<PollFlags> = fds.iter().map(|fd| fd.revents().unwrap_or(nothing)).collect();
        drop(fds);
        if events[0].contains(PollFlags::POLLIN) {
            let _ = self.shared.bell.read();
        }
        for (client, events) in self.clients.iter_mut().zip(&events[2..]) {
            if events.contains(PollFlags::POLLIN) {
                client.hear();
            }
            if events.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) {
                client.hang_up();
            }
        }
        if events[1].contains(PollFlags::POLLIN) {
            self.accept();
        }
        // Before the batches are collected: who has asked gets what is offered from now on.
        self.publish();
    }

    fn accept(&mut self) {
        loop {
            match self.listener.socket.accept().and_then(|(stream, _)| Client::new(stream)) {
                Ok(mut client) => {
                    let served = self.clients.iter().filter(|client| client.counts()).count();
                    if served >= self.config.max_clients {
                        client.refuse(&format!("there are {served} clients already"));
                        client.serve();
                    }
                    client.hear();
                    if self.clients.len() < served + MOST_LEAVING {
                        self.clients.push(client);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    log::warn!("cannot accept a client of the live view: {error}");
                    self.accept_at = Some(Instant::now() + ACCEPT_AGAIN);
                    return;
                }
            }
        }
    }

    fn give(&mut self, kind: Option<Kind>, line: &[u8]) {
        for client in &mut self.clients {
            if client.give(kind, line, self.config.client_buffer_bytes) {
                self.shared.metrics.tail_cut.inc();
            }
        }
    }

    fn deal(&mut self, batch: &Batch) {
        for (line, bytes) in batch.iter() {
            self.give(Some(line.kind), bytes);
        }
        // A batch at once may be more than a buffer takes though the client reads fast enough.
        self.clients.iter_mut().for_each(Client::serve);
        self.shared.count(&Counts::of(&batch.lines), Outcome::Delivered);
        let bytes = batch.bytes.len() as u64;
        self.shared.metrics.sink_bytes.at(SinkName::Tail).add(bytes);
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge of a handful")]
    fn publish(&self) {
        let following = self.clients.iter().filter(|client| client.is_following()).count();
        self.shared.clients.store(following, Relaxed);
        self.shared.metrics.tail_clients.set(following as f64);
    }

    fn move_on(&mut self) {
        let moved = self.shared.way().moved.take();
        if let Some((config, listener)) = moved {
            self.config = config;
            if let Some(listener) = listener {
                self.listener = listener;
            }
        }
    }
}
