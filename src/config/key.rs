//! What a key is, and the macro that turns the table into keys and typed sections.

use std::fmt;

use super::shape::Shape;

/// Where a key comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// The deployment guide.
    Guide,
    /// This project.
    Ours,
}

/// When a changed value takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// At the next SIGHUP.
    Reload,
    /// At the next start.
    Restart,
}

/// What holds when two keys that name one thing are both in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Both {
    /// They must agree.
    Agree,
    /// The other name wins.
    Yield,
}

/// That a key is a second name of another.
#[derive(Debug, Clone, Copy)]
pub struct Alias {
    /// Section of the key that it names.
    pub section: &'static str,
    /// Name of the key that it names.
    pub name: &'static str,
    /// What holds when both are given.
    pub both: Both,
}

/// One key of the configuration file.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The section that it stands in.
    pub section: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// What it takes.
    pub shape: Shape,
    /// The default, as the file would have it.
    pub default: &'static str,
    /// One paragraph.
    pub doc: &'static str,
    /// Where it comes from.
    pub author: Author,
    /// When a change takes effect.
    pub effect: Effect,
    /// Set if it is a second name of another key.
    pub alias: Option<Alias>,
}

impl Key {
    /// The key that this one names: itself, unless it is an alias.
    pub fn target(&self) -> (&'static str, &'static str) {
        self.alias.map_or((self.section, self.name), |alias| (alias.section, alias.name))
    }
}

/// As messages name it: `[ebpf] ring_buffer_size`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.section, self.name)
    }
}

/// A section of the file.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// Its name.
    pub name: &'static str,
    /// What it holds, in one sentence.
    pub doc: &'static str,
    /// Its keys, in the order of the documents.
    pub keys: &'static [Key],
}

/// The type of a field whose key has this shape.
macro_rules! field {
    (switch) => { bool };
    (whole) => { u32 };
    (port) => { u16 };
    (bytes) => { u64 };
    (power_of_two) => { u64 };
    (word) => { String };
    (filter) => { String };
    (path) => { std::path::PathBuf };
    (optional_path) => { Option<std::path::PathBuf> };
    (ip) => { std::net::IpAddr };
    (address) => { std::net::SocketAddr };
    (names) => { Vec<String> };
    (ports) => { Vec<u16> };
}

/// The table. A section is `name { keys } aliases { second names }`, a key is
/// `name: shape(arguments) = "default", origin, effect;`. The field's type follows from the shape, so the
/// conversion in `Values::read` cannot miss.
macro_rules! keys {
    ($(
        $(#[doc = $section_doc:literal])+
        $section:ident {
            $(
                $(#[doc = $doc:literal])+
                $key:ident: $shape:ident($($argument:expr),*) = $default:expr, $author:ident, $effect:ident;
            )+
        }
        aliases {
            $(
                $(#[doc = $alias_doc:literal])+
                $alias:ident = $target_section:ident.$target:ident, $both:ident:
                $alias_shape:ident($($alias_argument:expr),*) = $alias_default:expr, $alias_author:ident, $alias_effect:ident;
            )*
        }
    )+) => {
        $(
            $(#[doc = $section_doc])+
            pub mod $section {
                use super::*;

                /// The section with its keys.
                pub const SECTION: Section = Section {
                    name: stringify!($section),
                    doc: concat!($($section_doc),+).trim_ascii(),
                    keys: &[
                        $(Key {
                            section: stringify!($section),
                            name: stringify!($key),
                            shape: new::$shape($($argument),*),
                            default: $default,
                            doc: concat!($($doc),+).trim_ascii(),
                            author: Author::$author,
                            effect: Effect::$effect,
                            alias: None,
                        },)+
                        $(Key {
                            section: stringify!($section),
                            name: stringify!($alias),
                            shape: new::$alias_shape($($alias_argument),*),
                            default: $alias_default,
                            doc: concat!($($alias_doc),+).trim_ascii(),
                            author: Author::$alias_author,
                            effect: Effect::$alias_effect,
                            alias: Some(Alias {
                                section: stringify!($target_section),
                                name: stringify!($target),
                                both: Both::$both,
                            }),
                        },)*
                    ],
                };

                /// The section's values in their types.
                #[derive(Debug, Clone, PartialEq)]
                pub struct Values {
                    $($(#[doc = $doc])+ pub $key: field!($shape),)+
                }

                impl Values {
                    /// Takes them out of the settings.
                    pub fn read(settings: &Settings) -> Self {
                        Values { $($key: settings.typed(stringify!($section), stringify!($key)),)+ }
                    }
                }
            }
        )+
    };
}

pub(super) use {field, keys};
