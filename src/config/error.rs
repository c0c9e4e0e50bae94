//! What can be wrong with a configuration: each error says where, which key, what was expected and what was found.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A flag of the command line.
    Flag(&'static str),
    /// An environment variable.
    Variable(&'static str),
    /// A line of a file, from 1; 0 for the file as a whole.
    File {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// Nowhere: the profile for hosts of this size.
    Profile(&'static str),
    /// Nowhere: the default.
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Flag(name) => write!(f, "flag {name}"),
            Place::Variable(name) => write!(f, "environment {name}"),
            Place::File { path, line: 0 } => write!(f, "{}", path.display()),
            Place::File { path, line } => write!(f, "{}:{line}", path.display()),
            Place::Profile(size) => write!(f, "profile {size}"),
            Place::Default => f.write_str("default"),
        }
    }
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The file cannot be read.
    #[error("cannot read it: {0}{hint}", hint = read_hint(.0))]
    Unreadable(#[source] io::Error),
    /// The file cannot be a configuration.
    #[error("is no configuration file: {0}")]
    NoText(String),
    /// Somebody else could change the file.
    #[error("everybody on this host can write to it, so it is not to be trusted; chmod o-w {}", .0.display())]
    Open(PathBuf),
    /// The file is not TOML.
    #[error("not valid TOML: {message}")]
    Syntax {
        /// In words.
        message: String,
    },
    /// There is no such section.
    #[error("there is no such section; {hint}")]
    UnknownSection {
        /// What may have been meant.
        hint: String,
    },
    /// There is no such key.
    #[error("there is no such key; {hint}")]
    UnknownKey {
        /// What may have been meant.
        hint: String,
    },
    /// A key outside of all sections.
    #[error("stands outside of any section; {hint}")]
    StrayKey {
        /// Where it belongs.
        hint: String,
    },
    /// A value where a section is expected.
    #[error("expected a section, its name in brackets on a line of its own, found {found}")]
    NoSection {
        /// What the file says.
        found: String,
    },
    /// A value that does not fit its key.
    #[error("expected {expected}, found {found}{}", .hint.as_ref().map(|h| format!("; {h}")).unwrap_or_default())]
    Unexpected {
        /// What fits.
        expected: String,
        /// What was written.
        found: String,
        /// What may help.
        hint: Option<String>,
    },
    /// Values that fit their keys and not each other, or not this host.
    #[error("{0}")]
    Impossible(String),
}

fn read_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "; run as root, or as a user who may read it",
        io::ErrorKind::NotFound => "; without --config and SENTINEL_CONFIG_PATH no file is needed",
        _ => "",
    }
}

/// One thing that is wrong.
#[derive(Debug)]
pub struct Error {
    /// Where it stands.
    pub place: Place,
    /// The key or section, as messages name it.
    pub key: Option<String>,
    /// What is wrong.
    pub problem: Problem,
}

impl Error {
    /// An error at a place.
    pub fn new(place: Place, key: Option<String>, problem: Problem) -> Self {
        Error { place, key, problem }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{}: {key}: {}", self.place, self.problem),
            None => write!(f, "{}: {}", self.place, self.problem),
        }
    }
}

/// Everything that is wrong, in the order of places.
#[derive(Debug, Default)]
pub struct Errors(Vec<Error>);

impl Errors {
    /// Adds one.
    pub fn push(&mut self, error: Error) {
        self.0.push(error);
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One by one.
    pub fn iter(&self) -> impl Iterator<Item = &Error> {
        self.0.iter()
    }

    /// The file could not be read for lack of permission: another user might.
    pub fn is_permission(&self) -> bool {
        self.0.iter().any(
            |e| matches!(&e.problem, Problem::Unreadable(io) if io.kind() == io::ErrorKind::PermissionDenied),
        )
    }

    /// `Ok(value)` if there are none.
    pub(super) fn or<T>(mut self, value: T) -> Result<T, Errors> {
        if self.0.is_empty() {
            return Ok(value);
        }
        self.0.sort_by(|a, b| a.place.cmp(&b.place));
        Err(self)
    }
}

impl From<Error> for Errors {
    fn from(error: Error) -> Self {
        Errors(vec![error])
    }
}

/// One error a line.
impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}
