//! The paths of `[file] watch_paths` and `skip_paths`: five forms, each one that the kernel side can look up.
//!
//! | written | means |
//! |---|---|
//! | `/etc/shadow` | this file |
//! | `/root/.ssh/` | this directory and everything below |
//! | `*/.netrc` | a file of this name, wherever it is |
//! | `*/.aws/` | everything below a directory of this name, wherever it is |
//! | `/proc/*/mem` | a file of this name on a proc file system |
//!
//! Not a language of patterns: what the kernel side cannot decide with a few look-ups is refused here, with the form
//! that comes nearest. Limits are those of the maps' keys in `bpf/abi.h`.

use std::fmt;

use crate::kernel::abi::types::{se_watch_name, se_watch_path};

/// Longest name of a file or directory: the key's room without its NUL.
pub const NAME_MAX: usize = size_of_name() - 1;

/// Longest path of a directory, the slash at its end included: the key's room without a NUL, which tells the
/// directory from what is below it, and without the last byte, which the kernel side leaves free.
pub const DIRECTORY_MAX: usize = size_of_path() - 2;

const fn size_of_name() -> usize {
    size_of::<se_watch_name>() - std::mem::offset_of!(se_watch_name, name)
}

const fn size_of_path() -> usize {
    size_of::<se_watch_path>() - std::mem::offset_of!(se_watch_path, path)
}

/// A path as configured, see the module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pattern {
    /// This file.
    File {
        /// Path of its directory, with a slash at the end.
        directory: String,
        /// Its name.
        name: String,
    },
    /// This directory, its path ending in a slash, and everything below.
    Directory(String),
    /// Files of this name.
    FileName(String),
    /// Everything below directories of this name.
    DirectoryName(String),
    /// Files of this name on a proc file system.
    ProcName(String),
}

/// What every message about a path begins with, to follow "expected".
pub const EXPECTED: &str =
    "paths such as \"/etc/shadow\", \"/root/.ssh/\", \"*/.netrc\", \"*/.aws/\" or \"/proc/*/mem\"";

impl Pattern {
    /// Reads a path as configured.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and the nearest valid form where there is one; to follow the quoted path.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        if text.contains(['\0', '\n']) {
            return Err("has a control character, which no path here can have".to_owned());
        }
        if let Some(rest) = text.strip_prefix("/proc/*/") {
            return match rest.trim_end_matches('/') {
                name if name == rest => Ok(Pattern::ProcName(name_of(name)?)),
                name => Err(format!("names a directory; \"/proc/*/{name}\" is the form of files there")),
            };
        }
        if let Some(rest) = text.strip_prefix("*/") {
            return match rest.strip_suffix('/') {
                Some(name) => Ok(Pattern::DirectoryName(name_of(name)?)),
                None => Ok(Pattern::FileName(name_of(rest)?)),
            };
        }
        if !text.starts_with('/') {
            let name = text.trim_start_matches(['*', '/', '.']);
            let near = text.rsplit('/').find(|part| !part.is_empty()).unwrap_or(name);
            return Err(format!("is not absolute; \"*/{near}\" is a file of that name anywhere"));
        }
        if text.contains('*') {
            return Err(no_star(text));
        }
        if let Some(odd) = text.split('/').find(|part| matches!(*part, "." | "..")) {
            return Err(format!("has \"{odd}\" in it; the kernel compares paths without such parts"));
        }
        if text.contains("//") {
            return Err(format!("has an empty part; \"{}\" is meant, it seems", squeezed(text)));
        }
        let end = text.rfind('/').map_or(0, |at| at + 1);
        let (directory, name) = text.split_at(end);
        if directory.len() > DIRECTORY_MAX {
            return Err(format!(
                "has a directory of {} bytes, at most {DIRECTORY_MAX} can be compared; name a directory above it",
                directory.len()
            ));
        }
        if name.is_empty() {
            return Ok(Pattern::Directory(directory.to_owned()));
        }
        Ok(Pattern::File { directory: directory.to_owned(), name: name_of(name)? })
    }
}

fn name_of(name: &str) -> Result<String, String> {
    if name.is_empty() {
        return Err("has no name after its last slash".to_owned());
    }
    if name.contains('*') {
        return Err("has a * in a name; names are compared whole".to_owned());
    }
    if let Some((_, last)) = name.rsplit_once('/') {
        return Err(format!("has directories after the *; \"*/{last}\" is the form of a name anywhere"));
    }
    if matches!(name, "." | "..") {
        return Err(format!("has \"{name}\" in the place of a name"));
    }
    if name.len() > NAME_MAX {
        let len = name.len();
        return Err(format!(
            "has a name of {len} bytes, at most {NAME_MAX} can be compared; name its directory"
        ));
    }
    Ok(name.to_owned())
}

/// What to say of `/home/*/.ssh/` and `/etc/*.conf`.
fn no_star(text: &str) -> String {
    let slash = if text.ends_with('/') { "/" } else { "" };
    let last = text.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if last.is_empty() || last.contains('*') {
        let before = text.split('*').next().unwrap_or_default();
        let directory = before.rfind('/').map_or("/", |at| before.get(..=at).unwrap_or("/"));
        return format!("has a * in a name; \"{directory}\" is everything below that directory");
    }
    format!("has a * in the middle; \"*/{last}{slash}\" is that name anywhere")
}

fn squeezed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '/' || !out.ends_with('/') {
            out.push(c);
        }
    }
    out
}

/// As it was written.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::File { directory, name } => write!(f, "{directory}{name}"),
            Pattern::Directory(path) => f.write_str(path),
            Pattern::FileName(name) => write!(f, "*/{name}"),
            Pattern::DirectoryName(name) => write!(f, "*/{name}/"),
            Pattern::ProcName(name) => write!(f, "/proc/*/{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_those_of_the_keys() {
        assert_eq!((NAME_MAX, DIRECTORY_MAX), (59, 250));
    }

    #[test]
    fn five_forms_are_read_and_shown() {
        let file =
            |directory: &str, name: &str| Pattern::File { directory: directory.into(), name: name.into() };
        for (text, pattern) in [
            ("/etc/shadow", file("/etc/", "shadow")),
            ("/vmlinuz", file("/", "vmlinuz")),
            ("/proc/kcore", file("/proc/", "kcore")),
            ("/root/.ssh/", Pattern::Directory("/root/.ssh/".into())),
            ("/", Pattern::Directory("/".into())),
            ("*/.netrc", Pattern::FileName(".netrc".into())),
            ("*/Login Data", Pattern::FileName("Login Data".into())),
            ("*/.aws/", Pattern::DirectoryName(".aws".into())),
            ("/proc/*/mem", Pattern::ProcName("mem".into())),
        ] {
            assert_eq!(Pattern::parse(text).as_ref(), Ok(&pattern));
            assert_eq!(pattern.to_string(), text);
        }
        let longest = format!("*/{}", "n".repeat(NAME_MAX));
        assert!(Pattern::parse(&longest).is_ok());
        let longest = format!("/{}/", "d".repeat(DIRECTORY_MAX - 2));
        assert!(Pattern::parse(&longest).is_ok());
    }

    #[test]
    fn what_is_none_is_refused_with_what_comes_nearest() {
        for (text, reason) in [
            ("", "is not absolute"),
            ("shadow", "is not absolute; \"*/shadow\" is a file"),
            ("~/.ssh/id_rsa", "\"*/id_rsa\""),
            ("**/x", "\"*/x\""),
            ("/etc/*.conf", "\"/etc/\" is everything below"),
            ("/home/*", "\"/home/\" is everything below"),
            ("/home/*/.ssh/", "\"*/.ssh/\" is that name anywhere"),
            ("/home/*/.netrc", "\"*/.netrc\" is that name anywhere"),
            ("*/.config/gcloud/", "\"*/gcloud\" is the form"),
            ("*/", "no name"),
            ("*/*", "a * in a name"),
            ("/proc/*/", "no name"),
            ("/proc/*/task/", "\"/proc/*/task\""),
            ("/etc//shadow", "\"/etc/shadow\" is meant"),
            ("/etc/../shadow", "\"..\""),
            ("/a\nb", "control character"),
        ] {
            let refused = Pattern::parse(text).unwrap_err();
            assert!(refused.contains(reason), "{text:?}: {refused}");
        }
        let long = Pattern::parse(&format!("*/{}", "n".repeat(NAME_MAX + 1))).unwrap_err();
        assert!(long.contains("60 bytes, at most 59"), "{long}");
        let long = Pattern::parse(&format!("/{}/x", "d".repeat(DIRECTORY_MAX - 1))).unwrap_err();
        assert!(long.contains("251 bytes, at most 250"), "{long}");
    }
}
