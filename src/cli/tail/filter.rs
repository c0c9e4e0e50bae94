//! Which lines `tail` shows: every filter that is given must match; of several values of one, any.

use std::borrow::Cow;

use serde::Deserialize;

/// The filters that are looked at on this side; classes are the agent's part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Process ids.
    pub pids: Vec<u32>,
    /// Users by name or id.
    pub users: Vec<String>,
    /// Executables: a path, or a name without directory; `*` at the end matches the rest.
    pub executables: Vec<String>,
    /// Beginnings of container ids.
    pub containers: Vec<String>,
}

/// What of a line the filters look at.
#[derive(Debug, Default, Deserialize)]
struct Seen<'a> {
    #[serde(borrow, default)]
    process: Process<'a>,
    #[serde(borrow, default)]
    user: User<'a>,
    #[serde(borrow, default)]
    container: Container<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct Process<'a> {
    pid: Option<u32>,
    #[serde(borrow)]
    executable: Option<Cow<'a, str>>,
}

#[derive(Debug, Default, Deserialize)]
struct User<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
}

#[derive(Debug, Default, Deserialize)]
struct Container<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
}

impl Filter {
    /// The line passes. One that cannot be read passes if nothing is filtered.
    pub fn passes(&self, line: &[u8]) -> bool {
        let Filter { pids, users, executables, containers } = self;
        if pids.is_empty() && users.is_empty() && executables.is_empty() && containers.is_empty() {
            return true;
        }
        let Ok(seen) = serde_json::from_slice::<Seen<'_>>(line) else { return false };
        let Seen { process, user, container } = &seen;
        any(pids, |pid| process.pid == Some(*pid))
            && any(users, |wanted| is(&user.id, wanted) || is(&user.name, wanted))
            && any(executables, |pattern| process.executable.as_ref().is_some_and(|e| fits(pattern, e)))
            && any(containers, |start| container.id.as_ref().is_some_and(|id| id.starts_with(start.as_str())))
    }
}

fn any<T>(wanted: &[T], matches: impl FnMut(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(matches)
}

fn is(found: &Option<Cow<'_, str>>, wanted: &str) -> bool {
    found.as_deref() == Some(wanted)
}

fn fits(pattern: &str, executable: &str) -> bool {
    let subject =
        if pattern.contains('/') { executable } else { executable.rsplit('/').next().unwrap_or_default() };
    match pattern.strip_suffix('*') {
        Some(start) => subject.starts_with(start),
        None => subject == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &[u8] =
        br#"{"event":{"action":"exec"},"process":{"pid":42,"executable":"/usr/bin/pyth\u006fn3.11",
        "user":{"id":"0"}},"user":{"id":"1000","name":"ada"},"container":{"id":"abcdef0123"}}"#;

    fn filter(pids: &[u32], users: &[&str], executables: &[&str], containers: &[&str]) -> Filter {
        let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        Filter {
            pids: pids.to_vec(),
            users: own(users),
            executables: own(executables),
            containers: own(containers),
        }
    }

    #[test]
    fn every_filter_must_match_and_any_value_of_one() {
        assert!(filter(&[], &[], &[], &[]).passes(LINE));
        assert!(filter(&[1, 42], &["ada"], &["python*"], &["abc"]).passes(LINE));
        assert!(!filter(&[1], &["ada"], &[], &[]).passes(LINE));
        assert!(!filter(&[42], &["root"], &[], &[]).passes(LINE));
    }

    #[test]
    fn values_match_in_their_forms() {
        for users in ["1000", "ada"] {
            assert!(filter(&[], &[users], &[], &[]).passes(LINE), "{users}");
        }
        for executable in ["/usr/bin/python3.11", "python3.11", "/usr/*", "*"] {
            assert!(filter(&[], &[], &[executable], &[]).passes(LINE), "{executable}");
        }
        for executable in ["python", "bin/python3.11", "/usr"] {
            assert!(!filter(&[], &[], &[executable], &[]).passes(LINE), "{executable}");
        }
        assert!(!filter(&[], &[], &[], &["bcd"]).passes(LINE));
    }

    #[test]
    fn a_line_without_the_field_does_not_pass() {
        assert!(!filter(&[], &[], &[], &["abc"]).passes(b"{\"process\":{\"pid\":1}}"));
        assert!(!filter(&[1], &[], &[], &[]).passes(b"not JSON"));
        assert!(filter(&[], &[], &[], &[]).passes(b"not JSON"));
    }
}
