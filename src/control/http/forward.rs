//! From the gate to tiny_http: a new request over the private Unix socket, and a bounded answer back.
//!
//! Nothing is copied through: the request is written anew from what was understood, so neither `Authorization`
//! nor a hop-by-hop header nor a second request can come along. Whether the client was authorised is told in a
//! header that carries a secret of this start; a client can neither know nor forge it, and a process that
//! connects to the Unix socket directly counts as a client without a token.
//!
//! When nobody answers on the socket, tiny_http is dead: the exchange asks for a new one and waits for it until
//! the connection's deadline.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::deadline::Timed;
use super::request::Head;
use super::server::Revival;

/// The header that tells tiny_http's side what the gate knows.
pub(super) const ACCESS_HEADER: &str = "x-sentineledge-access";
/// Longest answer in bytes. /metrics has some tens of kilobytes; the sets of labels are closed.
const MAX_ANSWER: u64 = 4 << 20;
/// Between attempts to reach a tiny_http that is being built anew.
const RETRY: Duration = Duration::from_millis(20);

/// How often a request is passed on before it fails.
const ATTEMPTS: u32 = 10;

/// Random text of one start.
#[derive(Clone)]
pub(super) struct Secret(Arc<str>);

impl Secret {
    /// 256 random bits.
    pub fn random() -> io::Result<Secret> {
        let mut bytes = [0; 32];
        let random = super::tls::provider().secure_random.fill(&mut bytes);
        random.map_err(|_| io::Error::other("no random numbers"))?;
        let text: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        Ok(Secret(text.into()))
    }

    /// `text` is the secret; takes the same time for all texts of the right length.
    pub fn is(&self, text: &str) -> bool {
        subtle::ConstantTimeEq::ct_eq(self.0.as_bytes(), text.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// An answer, ready to be written to the client.
#[derive(Debug)]
pub(super) struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Status line, headers and body.
    pub bytes: Vec<u8>,
}

/// The way to tiny_http.
#[derive(Debug, Clone)]
pub(super) struct Upstream {
    /// The private socket.
    pub socket: PathBuf,
    /// This start's secret.
    pub secret: Secret,
    /// Whom to tell that tiny_http is dead.
    pub revival: Revival,
}

impl Upstream {
    /// Passes a request on and returns the answer. `authorised` opens everything.
    pub fn exchange(&self, head: &Head, body: &[u8], authorised: bool, until: Instant) -> io::Result<Answer> {
        let mut message = self.compose(head, body.len(), authorised).into_bytes();
        message.extend_from_slice(body);
        for _ in 1..ATTEMPTS {
            match self.attempt(&message, until) {
                // It died, or a thread of it, with this request in hand. No request changes anything, so it can
                // be made again.
                Err(error) if is_abandoned(&error) => std::thread::sleep(RETRY),
                result => return result,
            }
        }
        self.attempt(&message, until)
    }

    fn attempt(&self, message: &[u8], until: Instant) -> io::Result<Answer> {
        let mut stream = Timed { socket: self.connect(until)?, until };
        stream.write_all(message)?;
        let mut answer = Vec::with_capacity(4096);
        stream.take(MAX_ANSWER + 1).read_to_end(&mut answer)?;
        if answer.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if answer.len() as u64 > MAX_ANSWER {
            return Err(io::Error::new(ErrorKind::FileTooLarge, "the answer is too long"));
        }
        finish(answer).ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "the answer is not HTTP"))
    }

    fn connect(&self, until: Instant) -> io::Result<UnixStream> {
        loop {
            let generation = self.revival.generation();
            let error = match UnixStream::connect(&self.socket) {
                Ok(stream) => return Ok(stream),
                Err(error) => error,
            };
            let dead = matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound);
            if !(dead || is_exhausted(&error)) || Instant::now() + RETRY >= until {
                return Err(error);
            }
            if dead {
                self.revival.ask(generation);
            }
            std::thread::sleep(RETRY);
        }
    }

    /// The head of the request for tiny_http.
    fn compose(&self, head: &Head, body_length: usize, authorised: bool) -> String {
        let Head { method, path, minor_version, passed_on, .. } = head;
        let mut text =
            format!("{method} {path} HTTP/1.{minor_version}\r\nHost: localhost\r\nConnection: close\r\n");
        if body_length > 0 {
            text += &format!("Content-Length: {body_length}\r\n");
        }
        for (name, value) in passed_on {
            text += &format!("{name}: {value}\r\n");
        }
        if authorised {
            text += &format!("{ACCESS_HEADER}: {}\r\n", self.secret.0);
        }
        text + "\r\n"
    }
}

/// The process, or the host, is out of descriptors.
pub(super) fn is_exhausted(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EMFILE | Errno::ENFILE))
}

fn is_abandoned(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// Adds `Connection: close` behind the status line; tiny_http lets nobody set it.
fn finish(answer: Vec<u8>) -> Option<Answer> {
    let line_end = memchr::memmem::find(&answer, b"\r\n")? + 2;
    let status =
        std::str::from_utf8(&answer[..line_end]).ok()?.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    let (line, rest) = answer.split_at(line_end);
    Some(Answer { status, bytes: [line, b"Connection: close\r\n", rest].concat() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::http::request;

    fn upstream() -> Upstream {
        Upstream {
            socket: "/nowhere".into(),
            secret: Secret::random().unwrap(),
            revival: Revival::detached(),
        }
    }

    #[test]
    fn only_what_was_understood_is_passed_on() {
        let client = "GET /metrics?x=1 HTTP/1.1\r\nHost: evil\r\nAuthorization: Bearer secret\r\n\
                      Connection: x-hop\r\nX-Hop: 1\r\nX-SentinelEdge-Access: full\r\nCookie: c\r\nAccept: a/b\r\n\r\n";
        let head = request::parse(client.as_bytes()).unwrap();
        let upstream = upstream();
        let text = upstream.compose(&head, 0, false);
        assert_eq!(
            text,
            "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\naccept: a/b\r\n\r\n"
        );
        let text = upstream.compose(&head, 7, true);
        assert!(text.contains("\r\nContent-Length: 7\r\n"));
        assert!(text.contains(&format!("\r\n{ACCESS_HEADER}: {}\r\n", upstream.secret.0)));
    }

    #[test]
    fn secrets_differ_and_stay_out_of_logs() {
        let (a, b) = (Secret::random().unwrap(), Secret::random().unwrap());
        assert_eq!(a.0.len(), 64);
        assert!(a.is(&a.0) && !a.is(&b.0) && !a.is("") && !a.is(&a.0[1..]));
        assert!(!format!("{a:?}").contains(&*a.0));
    }

    #[test]
    fn answers_say_that_the_connection_closes() {
        let answer = finish(b"HTTP/1.1 503 Service Unavailable\r\nA: b\r\n\r\nbody".to_vec()).unwrap();
        assert_eq!(answer.status, 503);
        let expected = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nA: b\r\n\r\nbody";
        assert_eq!(answer.bytes, expected);
        for garbage in [&b""[..], b"HTTP/1.1 200 OK", b"HTTP/1.1\r\n", b"HTTP/2 200 x\r\n", b"\xff\xff\r\n"] {
            assert!(finish(garbage.to_vec()).is_none());
        }
    }
}
