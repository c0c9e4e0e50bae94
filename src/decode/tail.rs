//! The tail of a record: pieces of bytes behind the fixed part, addressed by (offset, length).

use super::Error;
use crate::event::Kind;
use crate::kernel::abi::Layout;
use crate::kernel::abi::types::se_str;

/// The tail of a record.
pub(super) struct Tail<'a> {
    record: &'a [u8],
    kind: Kind,
    start: usize,
}

impl<'a> Tail<'a> {
    /// The tail behind the fixed part `R`.
    pub(super) fn behind<R: Layout>(kind: Kind, record: &'a [u8]) -> Self {
        Tail { record, kind, start: R::SIZE }
    }

    /// The bytes of a piece, `None` if it is absent. `field` is its name in `bpf/abi.h`.
    ///
    /// A piece may be empty and present; then its offset is not 0 and must lie within the tail all the same.
    #[inline]
    pub(super) fn optional(&self, field: &'static str, piece: se_str) -> Result<Option<&'a [u8]>, Error> {
        let se_str { off, len } = piece;
        if off == 0 && len == 0 {
            return Ok(None);
        }
        let range = || {
            let start = usize::try_from(off).ok().filter(|&start| start >= self.start)?;
            let end = start.checked_add(usize::try_from(len).ok()?)?;
            self.record.get(start..end)
        };
        range().map(Some).ok_or(Error::Outside {
            kind: self.kind,
            field,
            offset: off,
            length: len,
            start: self.start,
            end: self.record.len(),
        })
    }

    /// The bytes of a piece, empty if it is absent.
    #[inline]
    pub(super) fn piece(&self, field: &'static str, piece: se_str) -> Result<&'a [u8], Error> {
        self.optional(field, piece).map(Option::unwrap_or_default)
    }
}
