//! Source files as text, and what can be read from them without a parser.
//!
//! Good enough for this repository's style, not for any Rust: a `#[cfg(test)] mod` is taken to end at the first line
//! that is a lone closing brace, which rustfmt guarantees.

use std::fs;
use std::path::Path;

/// A source file.
#[derive(Debug)]
pub struct Source {
    /// Path from the repository's root.
    pub path: String,
    /// The whole text.
    pub text: String,
}

/// Every file below `folder` with one of these extensions, in the order of their paths; none if it does not exist.
pub fn files(folder: &str, extensions: &[&str]) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    collect(root, &root.join(folder), extensions, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(root: &Path, folder: &Path, extensions: &[&str], found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            collect(root, &path, extensions, found);
        } else if path.extension().is_some_and(|e| extensions.iter().any(|x| e == *x)) {
            let name = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
            found.push(Source { path: name, text: fs::read_to_string(&path).expect("sources are UTF-8") });
        }
    }
}

impl Source {
    /// A file that is not on disk.
    pub fn new(path: &str, text: &str) -> Self {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    /// Number of lines.
    pub fn lines(&self) -> usize {
        self.text.lines().count()
    }

    /// The module path of a file below `src/`: `["sink", "worker"]` for `src/sink/worker.rs`.
    fn module_path(&self) -> Vec<&str> {
        let inner = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let mut path: Vec<&str> = inner.split('/').collect();
        if path.last() == Some(&"mod") {
            path.pop();
        }
        path
    }

    /// The first component of the module path; `main` and `lib` for the roots.
    pub fn module(&self) -> &str {
        self.module_path()[0]
    }

    /// The text without comments, contents of strings, and test modules.
    pub fn code(&self) -> String {
        if self.path.ends_with("/tests.rs") || self.path.contains("/tests/") {
            return String::new();
        }
        let mut kept = Vec::new();
        let stripped = strip(&self.text);
        let mut lines = stripped.lines();
        while let Some(line) = lines.next() {
            if line.starts_with("#[cfg(test)]") {
                let item = lines.next().unwrap_or_default();
                if item.ends_with('{') {
                    lines.by_ref().find(|l| *l == "}");
                }
                continue;
            }
            kept.push(line);
        }
        kept.join("\n")
    }

    /// True if the code has this word.
    pub fn has_word(&self, word: &str) -> bool {
        self.code().split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == word)
    }

    /// Paths from the crate's root that the code names, each with at most two components. A module that is imported
    /// as a whole counts as what is then named through it, or as itself if nothing is.
    pub fn imports(&self) -> Vec<Vec<String>> {
        let code = self.code();
        let mut resolved = Vec::new();
        for path in Self::named(&code, self.module_path().len()) {
            let through = match path.as_slice() {
                [module] if module != "*" => members(&code, module),
                _ => Vec::new(),
            };
            if through.is_empty() {
                resolved.push(path);
            } else {
                resolved.extend(through.into_iter().map(|member| vec![path[0].clone(), member]));
            }
        }
        resolved
    }

    /// Paths that follow `crate::`, or enough `super::` to leave a module of this depth.
    fn named(code: &str, depth: usize) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        for root in ["crate::", "sentinel_edge::"] {
            for (at, _) in code.match_indices(root) {
                // `$crate::` counts too; `my_crate::` does not.
                let inside_name = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
                if !inside_name {
                    expand(&code[at + root.len()..], &[], &mut found);
                }
            }
        }
        // `super::` leaves the module only when there are as many of them as the module is deep.
        for (at, _) in code.match_indices("super::") {
            if code[..at].ends_with("super::") {
                continue;
            }
            let mut rest = &code[at..];
            let mut ups = 0;
            while let Some(shorter) = rest.strip_prefix("super::") {
                rest = shorter;
                ups += 1;
            }
            if ups >= depth {
                expand(rest, &[], &mut found);
            }
        }
        found
    }
}

/// What the code names as `module::member`, where that is not the end of a longer path.
fn members(code: &str, module: &str) -> Vec<String> {
    let path = format!("{module}::");
    let mut found = Vec::new();
    for (at, _) in code.match_indices(&path) {
        if !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
            let member = code[at + path.len()..].chars().take_while(|c| c.is_alphanumeric() || *c == '_');
            found.push(member.collect());
        }
    }
    found
}

/// Reads `a::b`, `a::{b, c::d}` and the like from the start of `text`.
fn expand(text: &str, prefix: &[String], found: &mut Vec<Vec<String>>) {
    let text = text.trim_start();
    if let Some(inner) = text.strip_prefix('{') {
        for item in group(inner) {
            expand(item, prefix, found);
        }
        return;
    }
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == '*').collect();
    let mut path = prefix.to_vec();
    if !name.is_empty() && name != "self" {
        path.push(name.clone());
    }
    match text[name.len()..].strip_prefix("::") {
        Some(rest) if path.len() < 2 => expand(rest, &path, found),
        _ if !path.is_empty() => found.push(path),
        _ => {}
    }
}

/// The items of a brace group whose opening brace is gone, split at its own commas.
fn group(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut items) = (0, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(&text[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items.retain(|item| !item.trim().is_empty());
    items
}

/// Blanks comments and the contents of string and character literals; line breaks stay.
fn strip(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = raw_string(rest, &out) {
            length
        } else if c == '"' {
            quoted(rest, '"')
        } else if c == '\'' && is_character(rest) {
            quoted(rest, '\'')
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        out.extend(rest[..length].chars().filter(|c| *c == '\n'));
        rest = &rest[length..];
    }
    out
}

/// Length of `r"..."` or `r#"..."#` at the start, if one is there.
fn raw_string(text: &str, before: &str) -> Option<usize> {
    let body = text.strip_prefix('r')?;
    if before.ends_with(|c: char| (c.is_alphanumeric() && c != 'b') || c == '_') {
        return None;
    }
    let hashes = body.len() - body.trim_start_matches('#').len();
    let content = body[hashes..].strip_prefix('"')?;
    let closing = format!("\"{}", "#".repeat(hashes));
    Some(1 + hashes + 1 + content.find(&closing)? + closing.len())
}

/// Length of the literal that begins here and ends at the next `quote` without a backslash before it.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A character literal, not a lifetime.
fn is_character(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    match chars.next() {
        Some('\\') => true,
        Some(_) => chars.next() == Some('\''),
        None => false,
    }
}
