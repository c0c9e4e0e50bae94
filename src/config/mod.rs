//! The configuration: from what people write to what each module is given.
//!
//! ```text
//! file text -> raw (names) -> settings (one value a key: flag > environment > file > default)
//!                                -> resolve (values against each other) -> kernel::Config, sink::Config, ...
//! ```
//!
//! [`table`] has every key once. [`load`] reads the sources and gives [`Resolved`], whose sections go to their
//! modules one by one; nobody else receives the whole. All mistakes are found in one go, and each says file,
//! line, key, what was expected and what was found ([`error`]). What depends on the host (directories, ports,
//! permissions) is asked separately, by [`check`].

pub mod check;
pub mod document;
pub mod error;
pub mod key;
pub mod list;
pub mod literal;
pub mod profile;
pub mod raw;
mod resolve;
pub mod settings;
pub mod shape;
pub mod source;
mod syntax;
pub mod table;
pub mod value;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

pub use error::{Error, Errors, Place, Problem};
pub use key::Key;
pub use settings::{Change, Setting, Settings};
pub use source::{DEFAULT_PATH, Flags, Host, Sources};

use crate::{control, detect, enrich, kernel, sink};

/// A file larger than this is none of ours.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// The configuration, ready for use.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// For the kernel side.
    pub kernel: kernel::Config,
    /// For enrichment.
    pub enrich: enrich::Config,
    /// For the sinks.
    pub sink: sink::Config,
    /// For the run as a whole.
    pub control: control::Config,
    /// For detection.
    pub detect: detect::Config,
    /// The file that was read, if one was.
    pub source: Option<PathBuf>,
    /// What is worth telling and no reason to stop.
    pub warnings: Vec<String>,
    /// Every value with its origin.
    pub settings: Settings,
}

impl Resolved {
    /// SHA-256 of the values in effect, in hexadecimal.
    pub fn hash(&self) -> String {
        self.settings.hash()
    }

    /// The keys whose values differ from those of `other`, and whether each needs a restart.
    pub fn changes(&self, other: &Resolved) -> Vec<Change> {
        self.settings.changes(&other.settings)
    }
}

/// Reads the sources. The file is the one that `--config` names, else the one that SENTINEL_CONFIG_PATH names,
/// else [`DEFAULT_PATH`]; only the last may be missing.
pub fn load(sources: &Sources<'_>) -> Result<Resolved, Errors> {
    let named = sources.path.clone().or_else(|| sources.variable(source::PATH_VARIABLE).map(PathBuf::from));
    let must_exist = named.is_some();
    let path = named.unwrap_or_else(|| DEFAULT_PATH.into());
    let mut errors = Errors::default();
    let mut warnings = Vec::new();
    let text = match read_file(&path) {
        Ok((text, metadata)) => {
            check::file_permissions(&path, &metadata, &mut errors, &mut warnings);
            Some(text)
        }
        Err(Problem::Unreadable(e)) if e.kind() == io::ErrorKind::NotFound && !must_exist => None,
        Err(Problem::Unreadable(e))
            if e.kind() == io::ErrorKind::PermissionDenied && !must_exist && sources.lenient =>
        {
            warnings.push(format!("{}: no permission to read it, so the defaults hold", path.display()));
            None
        }
        Err(problem) => {
            return Err(Error::new(Place::File { path, line: 0 }, None, problem).into());
        }
    };
    let source = text.is_some().then(|| path.clone());
    resolve_text(sources, &path, text.as_deref().unwrap_or_default(), errors).map(|resolved| Resolved {
        source,
        warnings,
        ..resolved
    })
}

/// Reads a text as if it stood in the file `name`, with no other source and on a plain host. Never panics, whatever
/// the text.
pub fn parse_str(name: &str, text: &str) -> Result<Resolved, Errors> {
    let sources =
        Sources { path: None, flags: Flags::default(), env: &|_| None, host: Host::plain(), lenient: false };
    resolve_text(&sources, Path::new(name), text, Errors::default())
}

fn resolve_text(
    sources: &Sources<'_>,
    path: &Path,
    text: &str,
    mut errors: Errors,
) -> Result<Resolved, Errors> {
    let entries = raw::parse(path, text, &mut errors);
    let settings = Settings::layer(sources, path, &entries, &mut errors);
    let typed = resolve::Typed::read(&settings);
    let mut resolver = resolve::Resolver { settings: &settings, host: sources.host, errors: &mut errors };
    let resolved = Resolved {
        kernel: resolver.kernel(&typed),
        enrich: resolver.enrich(&typed),
        sink: resolver.sink(&typed),
        control: resolver.control(&typed, sources.variable(source::NODE_VARIABLE)),
        detect: resolver.detect(&typed),
        source: None,
        warnings: Vec::new(),
        settings: settings.clone(),
    };
    errors.or(resolved)
}

fn read_file(path: &Path) -> Result<(String, std::fs::Metadata), Problem> {
    let file = File::open(path).map_err(Problem::Unreadable)?;
    let metadata = file.metadata().map_err(Problem::Unreadable)?;
    let mut bytes = Vec::new();
    file.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes).map_err(Problem::Unreadable)?;
    if bytes.len() as u64 > FILE_MAX_BYTES {
        return Err(Problem::NoText(format!("it is larger than {} KiB", FILE_MAX_BYTES >> 10)));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok((text, metadata)),
        Err(error) => {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + memchr::memchr_iter(b'\n', valid).count();
            Err(Problem::NoText(format!("line {line} is not UTF-8 text")))
        }
    }
}
