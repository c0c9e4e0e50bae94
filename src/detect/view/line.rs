//! What an event's line of ECS tells, by field.
//!
//! Used for everything that the typed view does not know, and for events that are only there as lines: those of a log,
//! of `rules explain` and of back-tests. The table of fields says which ECS fields each stands for; what needs more than
//! a copy is here: names of operations without the prefix of their kind, and flags that ECS spreads over several fields.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value;

use crate::detect::sigma::fields::{Field, Names, TABLE};
use crate::detect::sigma::logsource::Category;
use crate::detect::sigma::set::Wanted;

/// A line, parsed.
#[derive(Debug)]
pub struct Line<'a> {
    value: &'a Value,
    category: Category,
}

/// Values by field, in one list.
#[derive(Debug, Default)]
pub struct Found<'a> {
    values: Vec<Cow<'a, str>>,
    /// Each field, and where its values are.
    pub slots: Vec<(Field, Range<usize>)>,
}

impl Found<'_> {
    /// Every value.
    pub fn slices(&self) -> Vec<&[u8]> {
        self.values.iter().map(|value| value.as_bytes()).collect()
    }
}

/// Prefixes of names of operations, which the category says already.
const PREFIXES: [&str; 6] = ["PTRACE_", "BPF_", "PR_", "KEYCTL_", "LINUX_REBOOT_CMD_", "IORING_"];

impl<'a> Line<'a> {
    /// The line as an event of a category.
    pub fn new(value: &'a Value, category: Category) -> Self {
        Line { value, category }
    }

    /// The values of all fields that are wanted, but for those that the caller has itself.
    pub fn values(&self, wanted: &Wanted, names: &Names, has: impl Fn(Field) -> bool) -> Found<'a> {
        let mut found = Found::default();
        for field in wanted.fields().filter(|field| !has(*field)) {
            let start = found.values.len();
            self.add(field, names, &mut found.values);
            if found.values.len() > start {
                found.slots.push((field, start..found.values.len()));
            }
        }
        found
    }

    fn add(&self, field: Field, names: &Names, values: &mut Vec<Cow<'a, str>>) {
        match field {
            Field::EVENT_TYPE => values.extend(self.event_type()),
            Field::EXE_FLAGS => self.exe_flags(values),
            Field::INITIATED => {
                let accepted = self.first("event.action").is_some_and(|action| action == "net_accept");
                values.push(if accepted { "false" } else { "true" }.into());
            }
            Field::IMAGE if self.category == Category::ProcessCreationFailed => {
                lookup(self.value, "file.path", values);
            }
            Field::ANCESTOR_IMAGES => {
                let start = values.len();
                self.paths(field, values);
                // Names are all that a line has of ancestors; rules look for `/name`.
                for value in values.iter_mut().skip(start) {
                    *value = format!("/{value}").into();
                }
            }
            Field::COMMAND_LINE => {
                let start = values.len();
                self.paths(field, values);
                if values.len() == start {
                    let mut args = Vec::new();
                    lookup(self.value, "process.args", &mut args);
                    if !args.is_empty() {
                        values.push(args.join(" ").into());
                    }
                }
            }
            field => match TABLE.get(field.index()) {
                Some(_) => self.paths(field, values),
                None => lookup(self.value, names.name(field), values),
            },
        }
    }

    /// The values of each ECS field that it stands for.
    fn paths(&self, field: Field, values: &mut Vec<Cow<'a, str>>) {
        let Some((_, paths, _)) = TABLE.get(field.index()) else { return };
        let start = values.len();
        for path in paths.split('|') {
            let mut more = Vec::new();
            lookup(self.value, path, &mut more);
            more.into_iter().for_each(|value| {
                if !values.iter().skip(start).any(|known| *known == value) {
                    values.push(value);
                }
            });
        }
    }

    fn first(&self, path: &str) -> Option<Cow<'a, str>> {
        let mut values = Vec::new();
        lookup(self.value, path, &mut values);
        values.into_iter().next()
    }

    /// The first name of an operation that there is, in small letters.
    fn event_type(&self) -> Option<Cow<'a, str>> {
        let paths = TABLE.get(Field::EVENT_TYPE.index()).map_or("", |(_, paths, _)| paths);
        let name = paths.split('|').find_map(|path| self.first(path))?;
        let is = |path: &str, value: &str| self.first(path).is_some_and(|found| found == value);
        let plain = match (self.category, &*name) {
            (Category::FileEvent, "open") if self.has_flag("O_TRUNC") => "truncate",
            (Category::FileEvent, "open") => "open_write",
            (Category::ProcessAccess, "read") => "memory_read",
            (Category::ProcessAccess, "write") => "memory_write",
            (Category::ProcessAccess, "take_descriptor") => "getfd",
            (Category::RawSocket, _) if is("sentineledge.network.family", "packet") => "packet",
            (Category::RawSocket, _) => "raw",
            (Category::DnsQuery, "dns_query") => "query",
            (Category::DnsQuery, "dns_answer") => "answer",
            (Category::Prctl, "PR_SET_NAME") => "set_name",
            _ => {
                let stripped = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(&name);
                return Some(stripped.to_ascii_lowercase().into());
            }
        };
        Some(plain.into())
    }

    fn has_flag(&self, flag: &str) -> bool {
        let mut flags = Vec::new();
        lookup(self.value, "sentineledge.file.flags", &mut flags);
        flags.iter().any(|found| found == flag)
    }

    fn exe_flags(&self, values: &mut Vec<Cow<'a, str>>) {
        let is = |path: &str, value: &str| self.first(path).is_some_and(|found| found == value);
        let flags = [
            (is("sentineledge.executable.memfd", "true"), "memfd"),
            (
                is("sentineledge.executable.links", "0") && !is("sentineledge.executable.memfd", "true"),
                "deleted",
            ),
            (is("sentineledge.executable.overlay_upper", "true"), "upper_layer"),
            (is("sentineledge.executable.secure", "true"), "setuid"),
            (self.first("sentineledge.script.path").is_some(), "script"),
        ];
        values.extend(flags.into_iter().filter(|(set, _)| *set).map(|(_, name)| Cow::from(name)));
    }
}

/// Adds the values at a path of keys, which goes into every member of lists on its way. Null is no value.
pub fn lookup<'a>(value: &'a Value, path: &str, values: &mut Vec<Cow<'a, str>>) {
    match value {
        Value::Array(members) => members.iter().for_each(|member| lookup(member, path, values)),
        Value::Object(entries) if !path.is_empty() => {
            // A key may have dots itself, as in events that somebody else flattened.
            if let Some(whole) = entries.get(path) {
                lookup(whole, "", values);
            } else if let Some((key, rest)) = path.split_once('.')
                && let Some(inner) = entries.get(key)
            {
                lookup(inner, rest, values);
            }
        }
        Value::String(text) if path.is_empty() => values.push(text.as_str().into()),
        Value::Number(number) if path.is_empty() => values.push(number.to_string().into()),
        Value::Bool(set) if path.is_empty() => values.push(if *set { "true" } else { "false" }.into()),
        _ => {}
    }
}
