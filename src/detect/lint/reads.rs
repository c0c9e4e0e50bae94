//! Rules about reads that no watch list lets the kernel side see.
//!
//! A read is reported only where `[file] watch_paths` says so. What a rule asks of `TargetFilename` is held against each of
//! these paths: if none can be meant by any of its tests, the rule waits for what does not come. Tests that say little, such
//! as patterns with a wildcard within or regular expressions, are taken to fit. A name without a directory may be below any
//! watched directory; one with a directory is taken to be meant by that. What is watched by name wherever it is, is taken to
//! be in homes.

use crate::detect::sigma::fields::Field;
use crate::detect::sigma::logsource::Category;
use crate::detect::sigma::pattern::Matcher;
use crate::detect::sigma::rule::Rule;
use crate::detect::sigma::test::{Check, Expr, Test};

/// What a test asks of a path.
enum Asked<'a> {
    Whole(&'a str),
    Start(&'a str),
    End(&'a str),
    Within(&'a str),
    /// It may be any.
    Any,
}

/// The paths that a rule asks for, one of them, if it is about reads and none of them is watched.
pub fn unwatched(rule: &Rule, watch_paths: &[String]) -> Option<String> {
    if rule.category != Category::FileAccess {
        return None;
    }
    let mut tests = Vec::new();
    wanted(&rule.expr, &mut tests);
    let mut first = None;
    for test in tests {
        let asked = asked(test);
        if watch_paths.iter().any(|watched| asked.may_mean(watched)) {
            return None;
        }
        let (Asked::Whole(text) | Asked::Start(text) | Asked::End(text) | Asked::Within(text)) = asked else {
            return None;
        };
        first.get_or_insert_with(|| text.to_owned());
    }
    first
}

/// Tests of the path that must pass, or one of which must.
fn wanted<'a>(expr: &'a Expr, tests: &mut Vec<&'a Test>) {
    match expr {
        Expr::Test(test) if test.field == Some(Field::TARGET_FILENAME) => tests.push(test),
        Expr::Test(_) | Expr::Not(_) => {}
        Expr::And(members) | Expr::Or(members) => members.iter().for_each(|member| wanted(member, tests)),
    }
}

fn asked(test: &Test) -> Asked<'_> {
    let text = |bytes| std::str::from_utf8(bytes).ok();
    let asked = match &test.check {
        Check::Text(Matcher::Equals(bytes), _) => text(bytes).map(Asked::Whole),
        Check::Text(Matcher::Prefix(bytes), _) => text(bytes).map(Asked::Start),
        Check::Text(Matcher::Suffix(bytes), _) => text(bytes).map(Asked::End),
        Check::Text(Matcher::Contains(finder), _) => text(finder.needle()).map(Asked::Within),
        _ => None,
    };
    asked.unwrap_or(Asked::Any)
}

impl Asked<'_> {
    /// A file that is watched by this path may be one that is asked for.
    fn may_mean(&self, watched: &str) -> bool {
        let watched = watched.to_lowercase();
        if let Some(name) = watched.strip_prefix("/proc/*/") {
            let by_name = || self.may_mean(&format!("*/{name}"));
            return match self {
                Asked::Whole(text) => text.starts_with("/proc/") && by_name(),
                Asked::Start(text) => "/proc/".starts_with(text) || text.starts_with("/proc/"),
                _ => by_name(),
            };
        }
        match (watched.strip_prefix('*'), watched.strip_suffix('/')) {
            // Whatever is below a directory of this name, which has a slash on either side here.
            (Some(directory), Some(_)) => match self {
                Asked::Whole(text) => text.contains(directory),
                Asked::End(text) | Asked::Within(text) => {
                    text.contains(directory)
                        || directory_of(text).is_none_or(|asked| directory.ends_with(asked))
                }
                Asked::Start(text) => is_home(text),
                Asked::Any => true,
            },
            // A file of this name, after its slash.
            (Some(name), None) => match self {
                Asked::Whole(text) => text.ends_with(name),
                Asked::End(text) => text.ends_with(name) || name.ends_with(text),
                Asked::Within(text) => text.contains(name) || name.contains(text),
                Asked::Start(text) => is_home(text),
                Asked::Any => true,
            },
            // Whatever is below this directory.
            (None, Some(_)) => match self {
                Asked::Whole(text) => text.starts_with(&watched),
                Asked::Start(text) => text.starts_with(&watched) || watched.starts_with(text),
                Asked::End(text) => directory_of(text).is_none_or(|asked| watched.ends_with(asked)),
                Asked::Within(text) => {
                    let is_part = watched.contains(text) || text.contains(&watched);
                    is_part || directory_of(text).is_none_or(|asked| watched.ends_with(asked))
                }
                Asked::Any => true,
            },
            // This file.
            (None, None) => match self {
                Asked::Whole(text) => **text == watched,
                Asked::Start(text) => watched.starts_with(text),
                Asked::End(text) => watched.ends_with(text),
                Asked::Within(text) => watched.contains(text),
                Asked::Any => true,
            },
        }
    }
}

/// Something below it is in somebody's home.
fn is_home(start: &str) -> bool {
    ["/home/", "/root/", "/var/lib/"].iter().any(|home| home.starts_with(start) || start.starts_with(home))
}

/// The directories that a part of a path names, slashes included; none if it is but a name.
fn directory_of(text: &str) -> Option<&str> {
    let end = text.rfind('/')? + 1;
    text.get(..end).filter(|directory| directory.len() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_may_be_meant() {
        use Asked::{Any, End, Start, Whole, Within};
        let cases = [
            ("/etc/shadow", Whole("/etc/shadow"), true),
            ("/etc/shadow", Whole("/etc/shadow-"), false),
            ("/etc/shadow", End("/shadow"), true),
            ("/etc/shadow", Within("passwd"), false),
            ("/etc/sudoers.d/", Whole("/etc/sudoers.d/a"), true),
            ("/etc/sudoers.d/", Start("/etc/"), true),
            ("/etc/sudoers.d/", Start("/home/"), false),
            ("/etc/sudoers.d/", End(".conf"), true),
            ("/etc/sudoers.d/", End("/gcloud/x.db"), false),
            ("/etc/sudoers.d/", End("/sudoers.d/x"), true),
            ("*/.netrc", Whole("/root/.netrc"), true),
            ("*/.netrc", End("/.netrc"), true),
            ("*/.netrc", Within("netrc"), true),
            ("*/.netrc", End("/.pgpass"), false),
            ("*/.aws/", Within("/.aws/credentials"), true),
            ("*/.aws/", End("/.azure/token"), false),
            ("*/.SSH/", Start("/root/"), true),
            ("*/.netrc", Start("/dev/input/"), false),
            ("/proc/*/mem", Whole("/proc/1/mem"), true),
            ("/proc/*/mem", Whole("/proc/1/maps"), false),
            ("/proc/*/mem", End("/maps"), false),
            ("/proc/*/mem", Start("/proc/"), true),
            ("/proc/*/mem", Any, true),
        ];
        for (watched, asked, expected) in cases {
            let text = match &asked {
                Whole(text) | Start(text) | End(text) | Within(text) => text,
                Any => "any",
            };
            assert_eq!(asked.may_mean(watched), expected, "{text} by {watched}");
        }
    }
}
