//! Standard output: JSON lines, or compact lines for people.
//!
//! A terminal or pipe cannot be cut back, so after an error the rest of a torn line is written first, and the
//! line counts as delivered only then. When the reader is gone for good (EPIPE, or EIO of a terminal that hung
//! up) the sink ends, and with it an agent that has no other.

use std::fs::File;
use std::io::{self, IoSlice, IsTerminal};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::compact::Renderer;
use super::config::{Config, StdoutFormat};
use super::file::write_all;
use super::output::{Error, Output, Part, Progress, Target, whole_lines_within};
use crate::metrics::SinkName;

/// How often the terminal is asked for its width.
const WIDTH_CHECK: Duration = Duration::from_secs(1);

/// A stream as a destination.
#[derive(Debug)]
pub struct StreamOutput {
    file: File,
    format: StdoutFormat,
    /// `None` for JSON.
    renderer: Option<Renderer>,
    width_at: Instant,
    text: Vec<u8>,
    /// What is still to be written of the first line that is not delivered.
    rest: Vec<u8>,
}

impl StreamOutput {
    /// Standard output, without the buffer that Rust puts in front of it.
    pub fn stdout(format: StdoutFormat) -> Result<Self, Error> {
        let file = io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .map_err(|source| Error::Write { target: Target::Stdout, source })?;
        Ok(StreamOutput::new(File::from(file), format))
    }

    /// Any open file.
    pub fn new(file: File, format: StdoutFormat) -> Self {
        let renderer = renderer(format, &file);
        StreamOutput { file, format, renderer, width_at: Instant::now(), text: Vec::new(), rest: Vec::new() }
    }

    fn write_rest(&mut self) -> Result<(), Error> {
        let (written, result) = send(&self.file, &mut [IoSlice::new(&self.rest)]);
        self.rest.drain(..written);
        result
    }

    /// As they are.
    fn write_json(&mut self, parts: &[Part<'_>], skip: usize) -> Progress {
        let mut slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part.bytes)).collect();
        let mut slices = &mut slices[..];
        IoSlice::advance_slices(&mut slices, skip);
        let total: usize = parts.iter().map(|part| part.bytes.len()).sum();
        let (written, result) = send(&self.file, slices);
        let written = skip + written;
        let whole = if written == total { total } else { whole_lines_within(parts, written) };
        if written > whole {
            let torn = parts.iter().flat_map(Part::iter).scan(0, |start, (_, line)| {
                let at = *start;
                *start += line.len();
                Some((at, line))
            });
            let line = torn.into_iter().find(|(at, _)| *at == whole).map_or(&[][..], |(_, line)| line);
            self.rest = line[written - whole..].to_vec();
        }
        Progress { bytes: whole, error: result.err() }
    }

    /// Rendered for people.
    fn write_compact(&mut self, parts: &[Part<'_>], skip: usize) -> Progress {
        let Some(renderer) = &mut self.renderer else { return Progress { bytes: 0, error: None } };
        if self.width_at.elapsed() >= WIDTH_CHECK {
            self.width_at = Instant::now();
            renderer.set_width(width(&self.file));
        }
        self.text.clear();
        // End in the source and in the text, of every line.
        let mut ends = Vec::new();
        let mut source = 0;
        for (_, line) in parts.iter().flat_map(Part::iter) {
            source += line.len();
            if source > skip {
                renderer.line(line, &mut self.text);
            }
            ends.push((source, self.text.len()));
        }
        let (written, result) = send(&self.file, &mut [IoSlice::new(&self.text)]);
        let done = ends.partition_point(|(_, end)| *end <= written);
        let (whole, end) = done.checked_sub(1).map_or((0, 0), |last| ends[last]);
        if written > end {
            let torn_end = ends.get(done).map_or(written, |(_, end)| *end);
            self.rest = self.text[written..torn_end].to_vec();
        }
        Progress { bytes: whole, error: result.err() }
    }
}

impl Output for StreamOutput {
    fn write(&mut self, parts: &[Part<'_>]) -> Progress {
        let mut skip = 0;
        if !self.rest.is_empty() {
            if let Err(error) = self.write_rest() {
                return error.into();
            }
            skip = parts.first().map_or(0, Part::first_line);
        }
        let progress = if self.renderer.is_some() {
            self.write_compact(parts, skip)
        } else {
            self.write_json(parts, skip)
        };
        Progress { bytes: progress.bytes.max(skip), ..progress }
    }

    fn check(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn reconfigure(&mut self, config: &Config) -> Result<(), Error> {
        let Some(format) = config.stdout else {
            return Err(Error::NeedsRestart { sink: SinkName::Stdout.name() });
        };
        if format != self.format {
            self.format = format;
            self.renderer = renderer(format, &self.file);
        }
        Ok(())
    }
}

fn renderer(format: StdoutFormat, file: &File) -> Option<Renderer> {
    match format {
        StdoutFormat::Json => None,
        StdoutFormat::Coloured => Some(Renderer::new(true, width(file))),
        StdoutFormat::Plain => Some(Renderer::new(false, width(file))),
    }
}

/// Columns of the terminal, if it is one.
/// Columns of the terminal, if it is one.
pub fn width(file: &(impl AsFd + IsTerminal)) -> Option<u16> {
    if !file.is_terminal() {
        return None;
    }
    terminal_size::terminal_size_of(file).map(|(width, _)| width.0)
}

/// Writes all; waits where the descriptor is non-blocking, which its other owners may have made it.
fn send(file: &File, mut slices: &mut [IoSlice<'_>]) -> (usize, Result<(), Error>) {
    let mut sent = 0;
    loop {
        let (written, result) = write_all(file, &mut slices);
        sent += written;
        match result {
            Ok(()) => return (sent, Ok(())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let mut waiting = [PollFd::new(file.as_fd(), PollFlags::POLLOUT)];
                if let Err(errno) = poll(&mut waiting, PollTimeout::NONE)
                    && errno != Errno::EINTR
                {
                    return (sent, Err(Error::Write { target: Target::Stdout, source: errno.into() }));
                }
            }
            Err(error) => {
                let gone = error.kind() == io::ErrorKind::BrokenPipe
                    || (error.raw_os_error() == Some(nix::libc::EIO) && file.is_terminal());
                let error =
                    if gone { Error::Ended } else { Error::Write { target: Target::Stdout, source: error } };
                return (sent, Err(error));
            }
        }
    }
}
