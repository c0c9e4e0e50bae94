//! Kinds of events: the one table that names, classes, switches, metrics and documents are derived from.

use std::fmt;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident = $number:literal, $name:literal, internal: $internal:literal;)+) => {
        /// A kind of event. The numbers are those of `enum se_kind` in `bpf/abi.h`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Kind {
            $($(#[doc = $doc])+ $variant = $number,)+
        }

        impl Kind {
            /// Every kind, in the order of the numbers.
            pub const ALL: &'static [Kind] = &[$(Kind::$variant,)+];

            /// The kind with this number.
            pub const fn from_number(number: u16) -> Option<Kind> {
                match number {
                    $($number => Some(Kind::$variant),)+
                    _ => None,
                }
            }

            /// The name: value of the label `class`, of `event.action` and of the configuration switch.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Kind::$variant => $name,)+
                }
            }

            /// The name as a JSON key, with comma, quotes and colon.
            pub(super) const fn json_key(self) -> &'static str {
                match self {
                    $(Kind::$variant => concat!(",\"", $name, "\":"),)+
                }
            }

            /// What it is, in one sentence.
            pub const fn help(self) -> &'static str {
                match self {
                    $(Kind::$variant => concat!($($doc),+).trim_ascii(),)+
                }
            }

            /// True if events of this kind never leave the agent.
            pub const fn is_internal(self) -> bool {
                match self {
                    $(Kind::$variant => $internal,)+
                }
            }
        }
    };
}

kinds! {
    /// A process runs a new program.
    Exec = 1, "exec", internal: false;
    /// An execve or execveat that the kernel refused.
    ExecFailed = 2, "exec_failed", internal: false;
    /// A new process.
    Fork = 3, "fork", internal: false;
    /// A process is gone.
    Exit = 4, "exit", internal: false;
    /// A control group came, went or got another name.
    Cgroup = 5, "cgroup", internal: true;
    /// A process that already ran when the agent started.
    Snapshot = 6, "snapshot", internal: true;
}

impl Kind {
    /// How many kinds there are.
    pub const COUNT: usize = Kind::ALL.len();

    /// Position in [`Kind::ALL`], for tables by kind.
    pub const fn index(self) -> usize {
        self as usize - 1
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|k| k.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_is_the_position_in_all() {
        for (position, kind) in Kind::ALL.iter().enumerate() {
            assert_eq!(kind.index(), position);
            assert_eq!(Kind::from_name(kind.name()), Some(*kind));
            assert_eq!(Kind::from_number(*kind as u16), Some(*kind));
        }
        assert_eq!(Kind::from_number(0), None);
    }
}
