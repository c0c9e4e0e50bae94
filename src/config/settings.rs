//! One value for every key: from a flag, else the environment, else the file, else the profile, else the default.
//!
//! Every source is checked, also one that another goes before, so that a mistake shows when it is made and not
//! when the other source is taken away.

use sha2::{Digest, Sha256};

use super::error::{Error, Errors, Place, Problem};
use super::key::{Both, Effect, Key};
use super::literal::Literal;
use super::profile;
use super::raw::Entry;
use super::source::{Part, Sources, VARIABLES};
use super::table;
use super::value::{FromValue, Value};
use std::fmt::Write as _;
use std::path::Path;

/// A key with its value and where the value comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The key; never a second name.
    pub key: &'static Key,
    /// The value in effect.
    pub value: Value,
    /// Where it stands.
    pub place: Place,
    /// The second name under which the file gives it.
    pub named: Option<&'static Key>,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        (self.section, self.name) == (other.section, other.name)
    }
}

/// One value for every key that is no second name, in the order of the table.
#[derive(Debug, Clone)]
pub struct Settings(Vec<Setting>);

/// A key whose value differs between two configurations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// The key.
    pub key: &'static Key,
    /// It takes effect at the next start only.
    pub needs_restart: bool,
}

impl Settings {
    /// Puts the sources on top of each other. `entries` are those of the file at `path`.
    pub(super) fn layer(sources: &Sources<'_>, path: &Path, entries: &[Entry], errors: &mut Errors) -> Self {
        let mut settings = Settings(table::all().filter(|key| key.alias.is_none()).map(default_of).collect());
        settings.take_file(path, entries, errors);
        // The later of two for one key goes first, so that the earlier overwrites it.
        for variable in VARIABLES.iter().rev() {
            if let (Some(text), Some(setting)) =
                (sources.variable(variable.name), settings.find_mut(variable.section, variable.key))
            {
                let place = Place::Variable(variable.name);
                match variable.part {
                    Part::Whole => setting.take_text(place, &text, errors),
                    Part::Port => setting.take_port(place, &text, errors),
                }
            }
        }
        for (flag, section, key, text) in sources.flags.set() {
            if let Some(setting) = settings.find_mut(section, key) {
                setting.take_text(Place::Flag(flag), text, errors);
            }
        }
        settings.take_profile(sources);
        settings
    }

    /// Gives what nobody set the values of the profile.
    fn take_profile(&mut self, sources: &Sources<'_>) {
        let Some(size) = profile::named(&self.typed::<String>("core", "profile"), &sources.host) else {
            return;
        };
        let column = profile::SIZES.iter().position(|name| *name == size).unwrap_or_default();
        for (section, name, values) in profile::VALUES {
            let Some(setting) = self.find_mut(section, name) else { continue };
            if setting.place != Place::Default {
                continue;
            }
            let value = values.get(column).and_then(|text| parsed(setting.key, text));
            setting.value = value.expect("a test reads every value of every profile");
            setting.place = Place::Profile(size);
        }
    }

    fn take_file(&mut self, path: &Path, entries: &[Entry], errors: &mut Errors) {
        // Second names first, so that the key itself overwrites them.
        let (second, first): (Vec<&Entry>, Vec<&Entry>) = entries.iter().partition(|e| e.key.alias.is_some());
        for entry in second.iter().chain(&first) {
            let (section, name) = entry.key.target();
            let Some(setting) = self.find_mut(section, name) else { continue };
            let place = Place::File { path: path.to_owned(), line: entry.line };
            let Some(value) = read(entry.key, &place, &entry.literal, errors) else { continue };
            let other = setting.named.filter(|named| named.alias.is_some_and(|a| a.both == Both::Agree));
            if let (Some(other), Place::File { line, .. }) = (other, &setting.place)
                && setting.value != value
            {
                errors.push(Error::new(
                    place,
                    Some(entry.key.to_string()),
                    Problem::Impossible(format!(
                        "is {value}, but {other} on line {line} says {}; they are two names of one thing, keep one",
                        setting.value
                    )),
                ));
                continue;
            }
            setting.named = Some(entry.key).filter(|key| key.alias.is_some());
            (setting.value, setting.place) = (value, place);
        }
    }

    fn find_mut(&mut self, section: &str, name: &str) -> Option<&mut Setting> {
        self.0.iter_mut().find(|s| s.key.section == section && s.key.name == name)
    }

    /// The setting with this section and name, second names not included.
    pub fn find(&self, section: &str, name: &str) -> Option<&Setting> {
        self.0.iter().find(|s| s.key.section == section && s.key.name == name)
    }

    /// One by one, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.0.iter()
    }

    /// A value in the type of its section's field. Only the macro of the table calls it, which derives the type
    /// from the key's shape.
    pub(super) fn typed<T: FromValue>(&self, section: &str, name: &str) -> T {
        let setting = self.find(section, name).expect("every key of the table has a setting");
        T::from_value(&setting.value).expect("the field's type follows from the shape that read the value")
    }

    /// SHA-256 of the values in effect, in hexadecimal; the same for the same values, wherever they come from.
    pub fn hash(&self) -> String {
        let mut hasher = Sha256::new();
        for Setting { key, value, .. } in &self.0 {
            hasher.update(format!("{key} = {value}\n"));
        }
        hasher.finalize().iter().fold(String::new(), |mut hex, byte| {
            // Writing to a string does not fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// The keys whose values differ from those of `other`.
    pub fn changes(&self, other: &Settings) -> Vec<Change> {
        let pairs = self.0.iter().zip(&other.0);
        pairs
            .filter(|(a, b)| a.value != b.value)
            .map(|(a, _)| Change { key: a.key, needs_restart: a.key.effect == Effect::Restart })
            .collect()
    }
}

impl Setting {
    fn take_text(&mut self, place: Place, text: &str, errors: &mut Errors) {
        if let Some(value) = read(self.key, &place, &self.key.shape.literal(text), errors) {
            *self = Setting { key: self.key, value, place, named: None };
        }
    }

    fn take_port(&mut self, place: Place, text: &str, errors: &mut Errors) {
        match (text.trim().parse::<u16>(), &mut self.value) {
            (Ok(port), Value::Address(address)) if port != 0 => {
                address.set_port(port);
                self.place = place;
            }
            _ => errors.push(Error::new(
                place,
                None,
                Problem::Unexpected {
                    expected: super::shape::Shape::Port.expected(),
                    found: super::literal::quoted(text),
                    hint: None,
                },
            )),
        }
    }
}

fn default_of(key: &'static Key) -> Setting {
    let value = default_value(key).expect("a test reads every default of the table");
    Setting { key, value, place: Place::Default, named: None }
}

/// The default of a key; `None` if the table has one that does not fit.
pub fn default_value(key: &Key) -> Option<Value> {
    parsed(key, key.default)
}

/// A value in the form of TOML; `None` if it does not fit.
fn parsed(key: &Key, text: &str) -> Option<Value> {
    let literal = toml::de::DeValue::parse(text).ok().map(|v| Literal::from_toml(v.get_ref()))?;
    key.shape.read(&literal).ok()
}

fn read(key: &Key, place: &Place, literal: &Literal, errors: &mut Errors) -> Option<Value> {
    match key.shape.read(literal) {
        Ok(value) => Some(value),
        Err(misfit) => {
            // A variable's own name says which key it is about.
            let name = Some(key.to_string()).filter(|_| matches!(place, Place::File { .. }));
            let problem = Problem::Unexpected {
                expected: key.shape.expected(),
                found: literal.to_string(),
                hint: misfit.hint,
            };
            errors.push(Error::new(place.clone(), name, problem));
            None
        }
    }
}
