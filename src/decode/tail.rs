//! The tail of a record: pieces of bytes behind the fixed part, addressed by (offset, length).

use super::Error;
use crate::kernel::abi::Record;
use crate::kernel::abi::types::se_str;

/// The tail of a record whose fixed part is an `R`.
pub(super) struct Tail<'a, R> {
    record: &'a [u8],
    fixed: std::marker::PhantomData<R>,
}

impl<'a, R: Record> Tail<'a, R> {
    pub(super) fn of(record: &'a [u8]) -> Self {
        Tail { record, fixed: std::marker::PhantomData }
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
            let start = usize::try_from(off).ok().filter(|&start| start >= R::SIZE)?;
            let end = start.checked_add(usize::try_from(len).ok()?)?;
            self.record.get(start..end)
        };
        range().map(Some).ok_or(Error::Outside {
            kind: R::KIND,
            field,
            offset: off,
            length: len,
            start: R::SIZE,
            end: self.record.len(),
        })
    }

    /// The bytes of a piece, empty if it is absent.
    #[inline]
    pub(super) fn piece(&self, field: &'static str, piece: se_str) -> Result<&'a [u8], Error> {
        self.optional(field, piece).map(Option::unwrap_or_default)
    }
}
