//! Paths of files as records hold them.
//!
//! Most come from the kernel's dentries and are what they say. Some the kernel side could only join from a directory and
//! a string in user memory: these are shown without `//`, `.` and `..`, so that rules match them, though a symbolic link
//! before a `..` may lead elsewhere.

use std::borrow::Cow;

/// A path of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path<'a> {
    /// As the record has it.
    pub raw: &'a [u8],
    /// It is a directory from the kernel and the rest from user memory.
    pub is_joined: bool,
    /// Its head is missing.
    pub is_cut: bool,
}

impl<'a> Path<'a> {
    /// The path as it is shown.
    pub fn text(&self) -> Cow<'a, [u8]> {
        if self.is_joined { normal(self.raw) } else { Cow::Borrowed(self.raw) }
    }
}

/// The path without empty components, `.` and `..`.
fn normal(path: &[u8]) -> Cow<'_, [u8]> {
    let is_odd = |component: &[u8]| matches!(component, b"" | b"." | b"..");
    let inner = path.strip_prefix(b"/").unwrap_or(path);
    if !inner.split(|&b| b == b'/').any(is_odd) {
        return Cow::Borrowed(path);
    }
    let mut kept: Vec<&[u8]> = Vec::new();
    for component in inner.split(|&b| b == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                kept.pop();
            }
            name => kept.push(name),
        }
    }
    let mut text = Vec::with_capacity(path.len());
    for component in &kept {
        text.push(b'/');
        text.extend_from_slice(component);
    }
    if text.is_empty() {
        text.push(b'/');
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_paths_lose_what_means_nothing() {
        let cases: [(&[u8], &[u8]); 7] = [
            (b"/etc/passwd", b"/etc/passwd"),
            (b"//etc/./passwd", b"/etc/passwd"),
            (b"/tmp/../etc//shadow", b"/etc/shadow"),
            (b"/../../x", b"/x"),
            (b"/", b"/"),
            (b"/..", b"/"),
            (b"/home/a/", b"/home/a"),
        ];
        for (given, expected) in cases {
            assert_eq!(*normal(given), *expected, "{}", String::from_utf8_lossy(given));
        }
    }
}
