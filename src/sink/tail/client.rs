//! One client of the live view: its request, its filter, its buffer, its end.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::event::Kind;

/// How long a client may take for its request.
const ASK_WITHIN: Duration = Duration::from_secs(5);
/// How long one that is cut off may take to read what is buffered.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);
/// Longest request.
const REQUEST_BYTES: usize = 4096;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    #[serde(default)]
    classes: Vec<String>,
}

/// The word for findings, beside the names of classes.
pub const FINDING: &str = "finding";

/// What a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    /// Events, by [`Kind::index`].
    kinds: [bool; Kind::COUNT],
    findings: bool,
}

impl Wanted {
    /// An event of this class, or a finding where there is none.
    fn has(&self, kind: Option<Kind>) -> bool {
        kind.map_or(self.findings, |kind| self.kinds[kind.index()])
    }
}

#[derive(Debug)]
enum Phase {
    /// Its request is not complete.
    Asking {
        received: Vec<u8>,
        until: Instant,
    },
    /// It gets these.
    Following {
        wanted: Wanted,
    },
    /// It was too slow: gets what is buffered and then the number of what it missed.
    Cut {
        wanted: Wanted,
        missed: u64,
        until: Instant,
    },
    /// It gets what is buffered and no more.
    Leaving {
        until: Instant,
    },
    /// It has got everything and was told so. A socket that is closed with unread words in it takes back what
    /// the other side has not read yet, so the end is left to the client.
    Told {
        until: Instant,
    },
    Gone,
}

/// A connected client.
#[derive(Debug)]
pub(super) struct Client {
    stream: UnixStream,
    phase: Phase,
    out: Vec<u8>,
    /// Bytes of `out` that are sent.
    sent: usize,
    /// It has closed its side for writing, as `echo {} | nc -U` does; it may still read.
    silent: bool,
}

impl Client {
    pub(super) fn new(stream: UnixStream) -> io::Result<Client> {
        stream.set_nonblocking(true)?;
        let phase = Phase::Asking { received: Vec::new(), until: Instant::now() + ASK_WITHIN };
        Ok(Client { stream, phase, out: Vec::new(), sent: 0, silent: false })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    pub(super) fn wants_to_say(&self) -> bool {
        !self.silent
    }

    pub(super) fn wants_to_hear(&self) -> bool {
        self.sent < self.out.len()
    }

    pub(super) fn is_following(&self) -> bool {
        matches!(self.phase, Phase::Following { .. })
    }

    /// It takes a place: it is served, or will be.
    pub(super) fn counts(&self) -> bool {
        !matches!(self.phase, Phase::Leaving { .. } | Phase::Told { .. } | Phase::Gone)
    }

    pub(super) fn is_gone(&self) -> bool {
        matches!(self.phase, Phase::Gone)
    }

    pub(super) fn hang_up(&mut self) {
        self.phase = Phase::Gone;
    }

    /// Reads what the client says; only its first line matters.
    pub(super) fn hear(&mut self) {
        let mut block = [0; REQUEST_BYTES];
        loop {
            match self.stream.read(&mut block) {
                Ok(0) => {
                    self.silent = true;
                    if matches!(self.phase, Phase::Asking { .. } | Phase::Told { .. }) {
                        self.phase = Phase::Gone;
                    }
                    return;
                }
                Ok(n) => self.understand(&block[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.hang_up(),
            }
        }
    }

    fn understand(&mut self, said: &[u8]) {
        let Phase::Asking { received, .. } = &mut self.phase else { return };
        received.extend_from_slice(said);
        match memchr::memchr(b'\n', received) {
            Some(end) => match wanted(&received[..end]) {
                Ok(wanted) => self.phase = Phase::Following { wanted },
                Err(why) => self.refuse(&why),
            },
            None if received.len() > REQUEST_BYTES => self.refuse("the request is too long"),
            None => {}
        }
    }

    /// Says why, and ends.
    pub(super) fn refuse(&mut self, why: &str) {
        self.say(&serde_json::json!({ "error": why }));
        self.phase = Phase::Leaving { until: Instant::now() + LEAVE_WITHIN };
    }

    /// The server could not keep up.
    pub(super) fn tell_missed(&mut self, missed: u64) {
        match &mut self.phase {
            Phase::Following { .. } => self.say(&serde_json::json!({ "missed": missed })),
            Phase::Cut { missed: all, .. } => *all += missed,
            _ => {}
        }
    }

    fn say(&mut self, what: &serde_json::Value) {
        let line = serde_json::json!({ "sentineledge": { "tail": what } });
        self.out.extend_from_slice(line.to_string().as_bytes());
        self.out.push(b'\n');
    }

    /// Gives it the line if it asked for its class, or for findings where there is none. True if that was too much for its
    /// buffer, so that it is cut.
    pub(super) fn give(&mut self, kind: Option<Kind>, line: &[u8], limit: usize) -> bool {
        match &mut self.phase {
            Phase::Following { wanted } if wanted.has(kind) => {
                let waiting = self.out.len() - self.sent;
                if waiting > 0 && waiting + line.len() > limit {
                    let until = Instant::now() + LEAVE_WITHIN;
                    self.phase = Phase::Cut { wanted: *wanted, missed: 1, until };
                    return true;
                }
                self.out.extend_from_slice(line);
            }
            Phase::Cut { wanted, missed, .. } if wanted.has(kind) => *missed += 1,
            _ => {}
        }
        false
    }

    /// Sends what its socket takes, and goes on to what comes after it.
    pub(super) fn serve(&mut self) {
        self.send();
        let sent_all = !self.wants_to_hear();
        let now = Instant::now();
        match self.phase {
            Phase::Cut { missed, until, .. } if sent_all => {
                self.say(&serde_json::json!({ "cut": true, "missed": missed }));
                self.phase = Phase::Leaving { until };
                self.send();
            }
            Phase::Leaving { until } if sent_all => {
                let told = self.stream.shutdown(Shutdown::Write);
                self.phase = if self.silent || told.is_err() { Phase::Gone } else { Phase::Told { until } };
            }
            Phase::Asking { until, .. } if now >= until => self.refuse("no request came"),
            Phase::Cut { until, .. } | Phase::Leaving { until } | Phase::Told { until } if now >= until => {
                self.phase = Phase::Gone;
            }
            _ => {}
        }
    }

    fn send(&mut self) {
        while self.sent < self.out.len() {
            match self.stream.write(&self.out[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.hang_up(),
            }
        }
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        } else if self.sent > self.out.len() / 2 {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
    }
}

/// What a request asks for.
fn wanted(request: &[u8]) -> Result<Wanted, String> {
    let request: Request = serde_json::from_slice(request).map_err(|error| error.to_string())?;
    let is_all = request.classes.is_empty();
    let mut wanted = Wanted { kinds: [is_all; Kind::COUNT], findings: is_all };
    for class in &request.classes {
        match Kind::from_name(class) {
            Some(kind) if !kind.is_internal() => wanted.kinds[kind.index()] = true,
            _ if class == FINDING => wanted.findings = true,
            _ => {
                let known: Vec<_> = Kind::ALL.iter().filter(|k| !k.is_internal()).map(|k| k.name()).collect();
                return Err(format!("no class {class:?}; there are {FINDING}, {}", known.join(", ")));
            }
        }
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_known_classes_or_none() {
        assert_eq!(wanted(b"{}"), Ok(Wanted { kinds: [true; Kind::COUNT], findings: true }));
        let some = wanted(br#"{"classes":["exec","exit"]}"#).unwrap();
        let named: Vec<_> = Kind::ALL.iter().filter(|k| some.has(Some(**k))).collect();
        assert_eq!((named, some.findings), (vec![&Kind::Exec, &Kind::Exit], false));
        let findings = wanted(br#"{"classes":["finding"]}"#).unwrap();
        assert_eq!(findings, Wanted { kinds: [false; Kind::COUNT], findings: true });
        assert!(wanted(br#"{"classes":["exce"]}"#).unwrap_err().contains("exec, exec_failed, fork, exit"));
        assert!(wanted(br#"{"classes":["snapshot"]}"#).is_err(), "an internal class never comes");
        assert!(wanted(br#"{"class":["exec"]}"#).is_err());
        assert!(wanted(b"exec").is_err());
    }
}
