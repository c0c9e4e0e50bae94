//! Directories that the agent makes for itself.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The directory is missing and cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("making the directory {path}: {cause}")]
pub struct Error {
    path: PathBuf,
    cause: io::Error,
}

/// Makes the directory with this mode, and what is missing above it. Existing ones are left as they are.
pub fn make(path: &Path, mode: u32) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(mode).create(path);
    made.map_err(|cause| Error { path: path.to_owned(), cause })
}
