//! Keys of the configuration that a measurement sets, beside paths and ports; all others have their defaults.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use sentinel_edge::event::Kind;

use crate::names::{CLASSES, HOOKS, Key, QUIET, STORM, WATCH};

/// Keys with their values as TOML, by section.
#[derive(Debug, Clone, Default)]
pub struct Settings(BTreeMap<&'static str, Vec<(&'static str, String)>>);

impl Settings {
    /// Sets a key to a value in TOML.
    pub fn with(mut self, (section, key): Key, value: impl Into<String>) -> Self {
        self.0.entry(section).or_default().push((key, value.into()));
        self
    }

    /// Everything recorded, on these hooks if any are named, with reads below `watched` among it.
    pub fn storm(hooks: Option<&str>, watched: Option<&Path>) -> Self {
        let mut settings = Settings::default();
        for (key, value) in STORM {
            settings = settings.with(*key, *value);
        }
        if let Some(hooks) = hooks {
            settings = settings.with(HOOKS, format!("\"{hooks}\""));
        }
        if let Some(path) = watched {
            settings = settings.with(WATCH, format!("[\"{}/\"]", path.display()));
        }
        settings
    }

    /// Only classes that need no program on every system call.
    pub fn quiet(hooks: Option<&str>) -> Self {
        let off = Kind::ALL.iter().filter(|k| !k.is_internal() && !QUIET.contains(&k.name()));
        off.fold(Settings::storm(hooks, None), |settings, kind| {
            settings.with((CLASSES, kind.name()), "false")
        })
    }

    /// The keys of this section and those of `base`, one a line, and the section's header before them.
    pub fn section(&self, section: &str, base: &str) -> String {
        let mut text = format!("[{section}]\n{base}");
        for (key, value) in self.0.get(section).into_iter().flatten() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{key} = {value}");
        }
        text
    }

    /// Names of the sections that have a key here.
    pub fn sections(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    /// All of it as TOML; empty without keys.
    pub fn toml(&self) -> String {
        let sections: Vec<String> = self.sections().map(|s| self.section(s, "")).collect();
        sections.join("\n")
    }
}
