//! Lists: what their items are, and the first one that is none.

use super::literal::{Literal, quoted};
use super::value::Value;
use crate::kernel::config::pattern::Pattern;
use crate::util::nearest;

/// Most items of a list; the maps that they go into have room for as many in every spelling.
pub const MOST: usize = 1000;

/// Longest name of a user that is looked up, as useradd(8) allows it.
const USER_MAX: usize = 32;

/// What a list is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Items {
    /// Names of environment variables, each with `*` at its end if it is to match a prefix.
    Variables,
    /// Paths to watch or to skip.
    Patterns,
    /// Absolute paths of executables.
    Executables,
    /// Control groups, by their paths in the hierarchy.
    Groups,
    /// Users, by name or number.
    Users,
    /// Ports, as numbers.
    Ports,
    /// Detection rules, by id or name.
    Rules,
}

impl Items {
    /// What is expected, to follow "expected".
    pub fn expected(self) -> String {
        let examples = match self {
            Items::Variables => "names such as [\"LD_PRELOAD\", \"GIT_*\"]",
            Items::Patterns => {
                "paths such as [\"/etc/shadow\", \"/root/.ssh/\", \"*/.netrc\", \"*/.aws/\", \"/proc/*/mem\"]"
            }
            Items::Executables => "absolute paths such as [\"/usr/bin/rsync\"]",
            Items::Groups => "control groups such as [\"/system.slice/backup.service\"]",
            Items::Users => "users such as [\"backup\", 1000]",
            Items::Rules => "ids or names of rules such as [\"5e4b6ad4-1f0f-4d4c-9c5a-6d8f7a1f2b3c\"]",
            Items::Ports => "ports from 1 to 65535 such as [53, 443]",
        };
        format!("a list of {examples}")
    }

    /// The value, or what is wrong with the first item that is none.
    pub fn read(self, items: &[Literal]) -> Result<Value, String> {
        if items.len() > MOST {
            return Err(format!("at most {MOST} fit"));
        }
        if self == Items::Ports {
            return items.iter().map(port).collect::<Result<_, _>>().map(Value::Ports);
        }
        items.iter().map(|item| self.item(item)).collect::<Result<_, _>>().map(Value::Names)
    }

    fn item(self, item: &Literal) -> Result<String, String> {
        let text = match (self, item) {
            (Items::Users, Literal::Whole(n)) if (0..i128::from(u32::MAX)).contains(n) => {
                return Ok(n.to_string());
            }
            (_, Literal::Text(text)) => text,
            _ => return Err(format!("{item} is not text")),
        };
        let refused = match self {
            Items::Variables => (!is_variable(text)).then(|| "is no name".to_owned()),
            Items::Patterns => Pattern::parse(text).err(),
            Items::Executables => executable(text),
            Items::Groups => group(text),
            Items::Users => user(text),
            Items::Ports => None,
            Items::Rules => text.trim().is_empty().then(|| "is empty".to_owned()),
        };
        refused.map_or_else(|| Ok(text.clone()), |reason| Err(format!("{} {reason}", quoted(text))))
    }
}

fn is_variable(name: &str) -> bool {
    let stem = name.strip_suffix('*').unwrap_or(name);
    !stem.is_empty() && !stem.contains(|c: char| c == '*' || c == '=' || c.is_whitespace() || c.is_control())
}

fn port(item: &Literal) -> Result<u16, String> {
    match item {
        Literal::Whole(n) => {
            u16::try_from(*n).ok().filter(|n| *n != 0).ok_or_else(|| format!("{n} is no port"))
        }
        Literal::Text(text) if text.parse::<u16>().is_ok() => Err(format!("write {text} without quotes")),
        _ => Err(format!("{item} is no port")),
    }
}

fn executable(path: &str) -> Option<String> {
    if path.contains(['\0', '*']) {
        return Some("is no path of a file; each executable is named in full".to_owned());
    }
    if !path.starts_with('/') {
        return Some("is not absolute; `command -v` says where a program is".to_owned());
    }
    path.ends_with('/').then(|| "is a directory; each executable is named in full".to_owned())
}

/// People copy the path from the mounted file system as often as from systemctl.
fn group(path: &str) -> Option<String> {
    let mounted =
        path.strip_prefix("/sys/fs/cgroup").map(|rest| rest.strip_prefix("/unified").unwrap_or(rest));
    if let Some(inside) = mounted {
        return Some(format!(
            "begins with where the hierarchy is mounted; \"{inside}\" is the group's path in it"
        ));
    }
    if !path.starts_with('/') {
        let near =
            if path.ends_with(".service") { format!("/system.slice/{path}") } else { format!("/{path}") };
        return Some(format!("is not absolute; \"{near}\" is, if that is the group"));
    }
    if path == "/" {
        return Some("is the root, below which everything is".to_owned());
    }
    path.contains(['\0', '*'])
        .then(|| "is no path; each group is named in full, those below it included".to_owned())
}

fn user(name: &str) -> Option<String> {
    if !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()) {
        let is_id = name.parse::<u32>().is_ok_and(|id| id != u32::MAX);
        return (!is_id).then(|| "is no user's number".to_owned());
    }
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '$' | '@' | '\\');
    if name.is_empty() || name.len() > USER_MAX || !name.chars().all(fits) || name.starts_with('-') {
        let near = nearest::name(name.trim(), ["root", "nobody"]).filter(|near| *near != name);
        return Some(match near {
            Some(near) => format!("is no user's name; did you mean \"{near}\"?"),
            None => "is no user's name".to_owned(),
        });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(items: &[&str]) -> Vec<Literal> {
        items.iter().map(|text| Literal::Text((*text).to_owned())).collect()
    }

    #[test]
    fn users_are_names_or_numbers() {
        let mut given = texts(&["backup", "0"]);
        given.push(Literal::Whole(1000));
        let read = Items::Users.read(&given);
        assert_eq!(read, Ok(Value::Names(vec!["backup".into(), "0".into(), "1000".into()])));
        for (text, reason) in [
            ("", "is no user's name"),
            ("root ", "did you mean \"root\"?"),
            ("-x", "no user's name"),
            ("99999999999", "no user's number"),
        ] {
            let refused = Items::Users.read(&texts(&[text])).unwrap_err();
            assert!(refused.contains(reason), "{refused}");
        }
        assert_eq!(Items::Users.read(&[Literal::Whole(-1)]).unwrap_err(), "-1 is not text");
    }

    #[test]
    fn ports_are_numbers() {
        let read = Items::Ports.read(&[Literal::Whole(53), Literal::Whole(65_535)]);
        assert_eq!(read, Ok(Value::Ports(vec![53, 65_535])));
        assert_eq!(Items::Ports.read(&[Literal::Whole(0)]).unwrap_err(), "0 is no port");
        assert_eq!(Items::Ports.read(&texts(&["53"])).unwrap_err(), "write 53 without quotes");
        assert_eq!(Items::Ports.read(&texts(&["dns"])).unwrap_err(), "\"dns\" is no port");
    }

    #[test]
    fn groups_and_executables_are_named_in_full() {
        for (items, text, reason) in [
            (Items::Groups, "/sys/fs/cgroup/unified/a.slice", "\"/a.slice\" is the group's path"),
            (Items::Groups, "backup.service", "\"/system.slice/backup.service\""),
            (Items::Groups, "/", "the root"),
            (Items::Groups, "/a*", "named in full"),
            (Items::Executables, "rsync", "command -v"),
            (Items::Executables, "/usr/bin/", "a directory"),
            (Items::Executables, "/usr/bin/*", "named in full"),
            (Items::Patterns, "/home/*/.ssh/", "\"*/.ssh/\" is that name anywhere"),
            (Items::Variables, "A=1", "is no name"),
        ] {
            let refused = items.read(&texts(&[text])).unwrap_err();
            assert!(refused.contains(reason), "{refused}");
        }
        assert!(Items::Groups.read(&texts(&["/system.slice/backup.service"])).is_ok());
        assert!(Items::Executables.read(&texts(&["/usr/bin/rsync"])).is_ok());
    }

    #[test]
    fn long_lists_are_refused() {
        let many: Vec<Literal> = (0..=MOST).map(|n| Literal::Text(format!("*/{n}"))).collect();
        assert_eq!(Items::Patterns.read(&many).unwrap_err(), "at most 1000 fit");
    }
}
