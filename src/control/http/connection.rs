//! One connection, from the TLS handshake to the last byte of the answer, under one deadline.
//!
//! The whole request is read and understood before anything is passed on. A client that was refused may still be
//! sending; closing at once would reset the connection and take the answer along, so what it sends is read and
//! thrown away for a moment.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::libc::linger;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{Linger, SndBuf, TcpUserTimeout};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::deadline::Timed;
use super::forward::Upstream;
use super::gate::Terms;
use super::request::{self, Head, Refusal};
use crate::metrics::{ErrorType, Metrics};

/// How long and how much is read from a client that was refused.
const LINGER: Duration = Duration::from_millis(300);
const LINGER_BYTES: usize = 256 * 1024;
/// Bytes that the kernel may hold for a client that does not read; it takes twice as much for bookkeeping.
const SEND_BUFFER: usize = 64 * 1024;

/// What a connection needs.
#[derive(Debug)]
pub(super) struct Conversation {
    /// Those in force when it began.
    pub terms: Arc<Terms>,
    /// The way to tiny_http.
    pub upstream: Arc<Upstream>,
    /// Where it counts.
    pub metrics: Arc<Metrics>,
    /// When it is cut.
    pub until: Instant,
}

/// What is left to do with the socket.
enum Ending {
    /// Close it.
    Clean,
    /// The client may have sent more than was read.
    Unread,
    /// The client was too slow and gets nothing more.
    Cut,
}

/// Why there was no answer.
enum End {
    /// The client went away, or never said anything.
    Gone,
    /// The deadline passed.
    TooSlow,
    /// The request is not served.
    Refused(Refusal),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> End {
        if error.kind() == ErrorKind::TimedOut { End::TooSlow } else { End::Gone }
    }
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> End {
        End::Refused(refusal)
    }
}

/// Serves a connection. Never panics out of the thread.
pub(super) fn run(conversation: &Conversation, stream: TcpStream) {
    if catch_unwind(AssertUnwindSafe(|| serve(conversation, stream))).is_err() {
        conversation.metrics.errors.at(ErrorType::Panic).inc();
    }
}

fn serve(conversation: &Conversation, stream: TcpStream) {
    bound_kernel_memory(&stream, conversation.until);
    // Answers are written whole; waiting to fill a segment would only delay their end.
    let _ = stream.set_nodelay(true);
    let timed = Timed { socket: stream, until: conversation.until };
    let (mut socket, ending) = match &conversation.terms.tls {
        None => {
            let mut plain = timed;
            let ending = conversation.hold(&mut plain);
            (plain.socket, ending)
        }
        Some(tls) => match handshake(tls, timed) {
            Ok(mut secured) => {
                let ending = conversation.hold(&mut secured);
                secured.conn.send_close_notify();
                let _ = secured.flush();
                (secured.sock.socket, ending)
            }
            Err(error) => {
                log::debug!("TLS handshake: {error}");
                conversation.metrics.http_refused.inc();
                return;
            }
        },
    };
    match ending {
        Ending::Clean => (),
        Ending::Unread => drain(&mut socket, conversation.until),
        Ending::Cut => reset(&socket),
    }
}

/// Limits what the kernel keeps for a client that does not read: by default it would buffer megabytes, and go on
/// offering them for minutes after the connection is closed and counts no more.
fn bound_kernel_memory(stream: &TcpStream, until: Instant) {
    let left = until.saturating_duration_since(Instant::now());
    let left_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1);
    // Without these options everything works, only less frugally.
    let _ = setsockopt(stream, SndBuf, &SEND_BUFFER);
    let _ = setsockopt(stream, TcpUserTimeout, &left_ms);
}

/// Makes closing drop at once what is not sent yet.
fn reset(stream: &TcpStream) {
    let _ = setsockopt(stream, Linger, &linger { l_onoff: 1, l_linger: 0 });
}

fn handshake(
    tls: &Arc<ServerConfig>,
    timed: Timed<TcpStream>,
) -> io::Result<StreamOwned<ServerConnection, Timed<TcpStream>>> {
    let mut connection = ServerConnection::new(Arc::clone(tls)).map_err(io::Error::other)?;
    let mut timed = timed;
    while connection.is_handshaking() {
        connection.complete_io(&mut timed)?;
    }
    Ok(StreamOwned::new(connection, timed))
}

/// Reads until the client has closed, so that it sees the answer; within limits.
fn drain(socket: &mut TcpStream, until: Instant) {
    let _ = socket.shutdown(Shutdown::Write);
    let mut timed = Timed { socket, until: until.min(Instant::now() + LINGER) };
    let mut sink = [0; 4096];
    let mut left = LINGER_BYTES;
    while let Ok(n @ 1..) = timed.read(&mut sink) {
        left = left.saturating_sub(n);
        if left == 0 {
            break;
        }
    }
}

impl Conversation {
    /// Reads a request and writes its answer.
    fn hold(&self, stream: &mut (impl Read + Write)) -> Ending {
        let refusal = match self.answer(stream) {
            Ok((served, ending)) => {
                if served { &self.metrics.http_requests } else { &self.metrics.http_refused }.inc();
                return ending;
            }
            Err(End::Gone) => return Ending::Clean,
            Err(End::TooSlow) => {
                self.metrics.http_refused.inc();
                return Ending::Cut;
            }
            Err(End::Refused(refusal)) => refusal,
        };
        self.metrics.http_refused.inc();
        let _ = stream.write_all(&canned(refusal)).and_then(|()| stream.flush());
        Ending::Unread
    }

    /// Whether the request was served, which it is not for want of the token.
    fn answer(&self, stream: &mut (impl Read + Write)) -> Result<(bool, Ending), End> {
        let (head, mut rest) = read_head(stream)?;
        let pipelined = rest.len() > head.body_length;
        read_body(stream, &mut rest, head.body_length)?;
        let authorised = match &self.terms.token {
            None => true,
            Some(token) => head.bearer.as_deref().is_some_and(|bearer| token.matches(bearer)),
        };
        let answer = self.upstream.exchange(&head, &rest, authorised, self.until).map_err(|error| {
            self.metrics.errors.at(ErrorType::Http).inc();
            log::debug!("{} {}: no answer: {error}", head.method, head.path);
            Refusal { status: 503, reason: "the agent does not answer" }
        })?;
        stream.write_all(&answer.bytes)?;
        stream.flush()?;
        Ok((answer.status != 401, if pipelined { Ending::Unread } else { Ending::Clean }))
    }
}

/// The head, and what came behind it.
fn read_head(stream: &mut impl Read) -> Result<(Head, Vec<u8>), End> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 2048];
    loop {
        let n = stream.read(&mut chunk)?;
        if n == 0 && bytes.is_empty() {
            return Err(End::Gone);
        }
        if n == 0 {
            return Err(Refusal { status: 400, reason: "the request ends in its head" }.into());
        }
        let seen = bytes.len();
        bytes.extend_from_slice(&chunk[..n]);
        if let Some(end) = request::find_end(&bytes, seen)? {
            let head = request::parse(&bytes[..end])?;
            bytes.drain(..end);
            return Ok((head, bytes));
        }
    }
}

/// Completes the body; what follows it, a pipelined request, is forgotten: the answer closes the connection.
fn read_body(stream: &mut impl Read, body: &mut Vec<u8>, length: usize) -> Result<(), End> {
    let came = body.len();
    body.resize(length, 0);
    if came < length {
        stream.read_exact(&mut body[came..]).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => {
                Refusal { status: 400, reason: "the request ends in its body" }.into()
            }
            _ => End::from(error),
        })?;
    }
    Ok(())
}

fn canned(refusal: Refusal) -> Vec<u8> {
    let Refusal { status, reason } = refusal;
    let phrase = match status {
        400 => "Bad Request",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Refused",
    };
    format!(
        "HTTP/1.1 {status} {phrase}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\n\r\n{reason}\n",
        reason.len() + 1
    )
    .into_bytes()
}
