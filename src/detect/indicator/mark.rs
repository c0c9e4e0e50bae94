//! What is known of an entry beside its text, in eight bytes: its list and its note.

/// An entry without a note.
const NO_NOTE: u32 = u32::MAX;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    note: u32,
    pub(super) list: u16,
    /// What the kind of entry needs: a domain whose own name does not count, for example.
    pub(super) flag: bool,
}

impl Mark {
    pub(super) fn new(list: u16, note: Option<u32>) -> Self {
        Mark { note: note.unwrap_or(NO_NOTE), list, flag: false }
    }

    pub(super) fn with_flag(self, flag: bool) -> Self {
        Mark { flag, ..self }
    }

    pub(super) fn note(self) -> Option<u32> {
        (self.note != NO_NOTE).then_some(self.note)
    }
}
