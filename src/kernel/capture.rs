//! Capture files: raw records on disk, for `record` and `replay`, tests, benches and bug reports.
//!
//! A capture holds what the rings delivered, before any of it was decoded, together with the facts about the
//! host that decoding and writing need. So a replay runs the same pipeline as the agent, elsewhere, later and
//! without root.
//!
//! ```text
//! 8 bytes   magic: 0x89 "SECAP" CR LF   not text, and mangled by whatever converts line ends
//! u32       version of this format
//! u32       version of the record ABI (SE_ABI_VERSION)
//! u32       length of the header
//! ...       the header, a JSON object; unknown members are ignored, so that it can grow
//! then, to the end of the file, frames:
//! u32       length of the record, 1 byte to 1 MiB
//! ...       the record
//! ```
//!
//! Integers are little endian. The records themselves are in the byte order of the host that wrote them, which is
//! little endian on both supported architectures.
//!
//! A writer that is killed leaves a valid file but for its last frame; the reader hands out every whole frame and
//! then says how much of the last one is there. Neither side decodes records. Captures hold command lines, so
//! they are created for their owner alone, and never over an existing file unless asked.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::abi::ABI_VERSION;

mod header;
#[cfg(test)]
mod tests;

pub use header::Header;

/// Version of the file format.
pub const FORMAT_VERSION: u32 = 1;

/// The longest record that a frame may hold; the longest that the kernel side makes is about 200 KiB.
pub const FRAME_MAX_BYTES: usize = 1 << 20;

const MAGIC: [u8; 8] = *b"\x89SECAP\r\n";
const HEADER_MAX_BYTES: usize = 64 << 10;
const BUFFER_BYTES: usize = 256 << 10;

/// What went wrong with a capture file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file exists and was not to be replaced.
    #[error("{} exists already", path.display())]
    Exists {
        /// The capture file.
        path: PathBuf,
    },
    /// Opening, reading or writing failed.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The capture file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// It does not begin as captures do.
    #[error("{} is not a capture file", path.display())]
    NotACapture {
        /// The file.
        path: PathBuf,
    },
    /// It ends before its first frame.
    #[error("{} ends within its header", path.display())]
    HeaderCut {
        /// The capture file.
        path: PathBuf,
    },
    /// Written by a version to come.
    #[error("{} has capture format {found}, this version reads {FORMAT_VERSION}", path.display())]
    Format {
        /// The capture file.
        path: PathBuf,
        /// Its format version.
        found: u32,
    },
    /// Its records are laid out in another way.
    #[error("{} has records of ABI {found}, this version reads ABI {ABI_VERSION}", path.display())]
    Abi {
        /// The capture file.
        path: PathBuf,
        /// Its ABI version.
        found: u32,
    },
    /// The header is not what it should be.
    #[error("{} has an unreadable header: {reason}", path.display())]
    Header {
        /// The capture file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file ends in the middle of a frame. All frames before it were delivered.
    #[error("{} ends within frame {frame}: {found} of its {needed} bytes are there", path.display())]
    FrameCut {
        /// The capture file.
        path: PathBuf,
        /// Number of the frame, from 1.
        frame: u64,
        /// Bytes there are, the four of the length included.
        found: usize,
        /// Bytes there should be; 4 if not even the length is whole.
        needed: usize,
    },
    /// No frame has such a length: the file is damaged here, or the record is not one.
    #[error("{}: frame {frame} of {length} bytes, but frames have 1 to {FRAME_MAX_BYTES}", path.display())]
    FrameLength {
        /// The capture file.
        path: PathBuf,
        /// Number of the frame, from 1.
        frame: u64,
        /// Its length.
        length: usize,
    },
}

/// What to do about a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Leave it and fail.
    Refuse,
    /// Remove it. Only a regular file or a link is removed.
    Replace,
}

/// What a finished capture holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Records.
    pub frames: u64,
    /// Size of the file.
    pub bytes: u64,
}

/// Writes a capture file.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: BufWriter<File>,
    totals: Totals,
}

impl Writer {
    /// Creates the file, readable by its owner only, and writes the header.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`], or whatever creating and writing gives.
    pub fn create(path: &Path, header: &Header, existing: Existing) -> Result<Self, Error> {
        if existing == Existing::Replace {
            remove(path)?;
        }
        let file = File::options().write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => Error::Exists { path: path.to_owned() },
            _ => failed("create", path, source),
        })?;
        let file = BufWriter::with_capacity(BUFFER_BYTES, file);
        let mut writer = Writer { path: path.to_owned(), file, totals: Totals { frames: 0, bytes: 0 } };
        writer.put(&MAGIC)?;
        writer.put(&FORMAT_VERSION.to_le_bytes())?;
        writer.put(&ABI_VERSION.to_le_bytes())?;
        let header = header.to_json();
        let length = u32::try_from(header.len()).ok().filter(|_| header.len() <= HEADER_MAX_BYTES);
        let length = length.ok_or_else(|| Error::Header {
            path: path.to_owned(),
            reason: format!("{} bytes are more than {HEADER_MAX_BYTES}", header.len()),
        })?;
        writer.put(&length.to_le_bytes())?;
        writer.put(&header)?;
        Ok(writer)
    }

    /// Appends a record.
    ///
    /// # Errors
    ///
    /// The record is empty or too long (nothing was written then), or the file cannot be written.
    pub fn write(&mut self, record: &[u8]) -> Result<(), Error> {
        let length = u32::try_from(record.len()).ok().filter(|_| is_frame(record.len()));
        let Some(length) = length else {
            let (path, frame) = (self.path.clone(), self.totals.frames + 1);
            return Err(Error::FrameLength { path, frame, length: record.len() });
        };
        self.put(&length.to_le_bytes())?;
        self.put(record)?;
        self.totals.frames += 1;
        Ok(())
    }

    /// What was written so far, buffered bytes included.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Hands what is buffered to the kernel and waits until it is on disk.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn finish(mut self) -> Result<Totals, Error> {
        let result = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        result.map_err(|source| failed("write", &self.path, source))?;
        Ok(self.totals)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|source| failed("write", &self.path, source))?;
        self.totals.bytes += bytes.len() as u64;
        Ok(())
    }
}

/// Reads a capture from a file, or from anything else that gives bytes.
#[derive(Debug)]
pub struct Reader<R = BufReader<File>> {
    path: PathBuf,
    source: R,
    header: Header,
    frame: Vec<u8>,
    frames: u64,
    ended: bool,
}

impl Reader {
    /// Opens a capture file and reads its header.
    ///
    /// # Errors
    ///
    /// It cannot be read, is not a capture, or is one that this version cannot read.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|source| failed("open", path, source))?;
        Reader::new(path, BufReader::with_capacity(BUFFER_BYTES, file))
    }
}

impl<R: Read> Reader<R> {
    /// Reads the header from `source`, which should be buffered. Errors call it `path`.
    ///
    /// # Errors
    ///
    /// It cannot be read, is not a capture, or is one that this version cannot read.
    pub fn new(path: &Path, mut source: R) -> Result<Self, Error> {
        let owned = || path.to_owned();
        let mut magic = [0; MAGIC.len()];
        let read = fill(&mut source, &mut magic).map_err(|e| failed("read", path, e))?;
        if read < magic.len() || magic != MAGIC {
            return Err(Error::NotACapture { path: owned() });
        }
        let mut whole = |bytes: &mut [u8]| match fill(&mut source, bytes) {
            Ok(read) if read == bytes.len() => Ok(()),
            Ok(_) => Err(Error::HeaderCut { path: owned() }),
            Err(source) => Err(failed("read", path, source)),
        };
        let mut number = || {
            let mut bytes = [0; 4];
            whole(&mut bytes).map(|()| u32::from_le_bytes(bytes))
        };
        let found = number()?;
        if found != FORMAT_VERSION {
            return Err(Error::Format { path: owned(), found });
        }
        let found = number()?;
        if found != ABI_VERSION {
            return Err(Error::Abi { path: owned(), found });
        }
        let length = number()? as usize;
        let unreadable = |reason| Error::Header { path: owned(), reason };
        if length > HEADER_MAX_BYTES {
            return Err(unreadable(format!("{length} bytes are more than {HEADER_MAX_BYTES}")));
        }
        let mut json = vec![0; length];
        whole(&mut json)?;
        let header = Header::from_json(&json).map_err(unreadable)?;
        Ok(Reader { path: owned(), source, header, frame: Vec::new(), frames: 0, ended: false })
    }

    /// The host that the records come from.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Records handed out so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// The next record, `None` at the end. The slice lives in a buffer that is used again for the next one.
    ///
    /// After an error there is nothing more to read, and every further call gives `None`.
    ///
    /// # Errors
    ///
    /// The file cannot be read, ends within a frame, or has a frame of impossible length.
    #[expect(clippy::should_implement_trait, reason = "an Iterator cannot lend from its own buffer")]
    pub fn next(&mut self) -> Option<Result<&[u8], Error>> {
        if self.ended {
            return None;
        }
        match self.advance() {
            Ok(true) => Some(Ok(&self.frame)),
            Ok(false) => {
                self.ended = true;
                None
            }
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
        }
    }

    /// Reads the next frame into the buffer; false at the end of the file.
    fn advance(&mut self) -> Result<bool, Error> {
        let frame = self.frames + 1;
        let mut prefix = [0; 4];
        let read = fill(&mut self.source, &mut prefix).map_err(|e| failed("read", &self.path, e))?;
        match read {
            0 => return Ok(false),
            4 => {}
            found => return Err(Error::FrameCut { path: self.path.clone(), frame, found, needed: 4 }),
        }
        let length = u32::from_le_bytes(prefix) as usize;
        if !is_frame(length) {
            return Err(Error::FrameLength { path: self.path.clone(), frame, length });
        }
        self.frame.resize(length, 0);
        let found = fill(&mut self.source, &mut self.frame).map_err(|e| failed("read", &self.path, e))?;
        if found < length {
            let (found, needed) = (found + prefix.len(), length + prefix.len());
            return Err(Error::FrameCut { path: self.path.clone(), frame, found, needed });
        }
        self.frames = frame;
        Ok(true)
    }
}

fn is_frame(length: usize) -> bool {
    (1..=FRAME_MAX_BYTES).contains(&length)
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Io { doing, path: path.to_owned(), source }
}

/// Removes what a capture may replace. A device or a pipe stays, so that a slip cannot take `/dev/null` away.
fn remove(path: &Path) -> Result<(), Error> {
    let kind = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at", path, error)),
    };
    if !kind.is_file() && !kind.is_symlink() {
        return Err(Error::Exists { path: path.to_owned() });
    }
    fs::remove_file(path).map_err(|source| failed("replace", path, source))
}

/// Reads until `bytes` are full or the source ends; how many were read.
fn fill(source: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match source.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
