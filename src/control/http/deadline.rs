//! A socket with one moment at which everything on it ends.
//!
//! A timeout per read lets a client dribble for ever, a byte at a time; here each read and write gets what is
//! left until the deadline.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Sockets whose calls the kernel ends after a time.
pub(super) trait Timeouts {
    /// For the next reads.
    fn limit_reads(&self, timeout: Duration) -> io::Result<()>;
    /// For the next writes.
    fn limit_writes(&self, timeout: Duration) -> io::Result<()>;
}

macro_rules! timeouts {
    ($($socket:ty),+) => {$(
        impl Timeouts for $socket {
            fn limit_reads(&self, timeout: Duration) -> io::Result<()> {
                self.set_read_timeout(Some(timeout))
            }
            fn limit_writes(&self, timeout: Duration) -> io::Result<()> {
                self.set_write_timeout(Some(timeout))
            }
        }
    )+};
}

timeouts!(TcpStream, &mut TcpStream, UnixStream);

/// A socket whose reads and writes fail with `TimedOut` from `until` on.
#[derive(Debug)]
pub(super) struct Timed<S> {
    /// The socket.
    pub socket: S,
    /// The moment.
    pub until: Instant,
}

impl<S> Timed<S> {
    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

/// The kernel reports a timeout of a blocking socket as "would block".
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::WouldBlock { ErrorKind::TimedOut.into() } else { error }
}

impl<S: Read + Timeouts> Read for Timed<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.limit_reads(self.left()?)?;
        self.socket.read(buf).map_err(timed_out)
    }
}

impl<S: Write + Timeouts> Write for Timed<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.socket.limit_writes(self.left()?)?;
        self.socket.write(buf).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dribbling_does_not_move_the_end() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let start = Instant::now();
        let mut timed = Timed { socket: ours, until: start + Duration::from_millis(150) };
        let dribble = std::thread::Builder::new()
            .spawn(move || {
                while theirs.write_all(b"x").is_ok() {
                    std::thread::sleep(Duration::from_millis(20))
                }
            })
            .unwrap();
        let error = loop {
            if let Err(error) = timed.read(&mut [0; 16]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(start.elapsed() >= Duration::from_millis(150) && start.elapsed() < Duration::from_secs(2));
        drop(timed);
        dribble.join().unwrap();
    }

    #[test]
    fn a_write_to_who_does_not_read_ends() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut timed = Timed { socket: ours, until: Instant::now() + Duration::from_millis(100) };
        assert_eq!(timed.write_all(&vec![0; 16 << 20]).unwrap_err().kind(), ErrorKind::TimedOut);
    }
}
