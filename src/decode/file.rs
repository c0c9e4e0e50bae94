//! Files.

use std::mem::offset_of;

use super::actor::{actor, errno, object, origin};
use super::tail::Tail;
use super::{Error, fixed};
use crate::event::{File, FileOp, Kind};
use crate::kernel::abi::types::{se_file, se_file_flag as flag};

#[inline]
pub(super) fn file(kind: Kind, record: &[u8]) -> Result<File<'_>, Error> {
    let raw: se_file = fixed(kind, record)?;
    let tail = Tail::behind::<se_file>(kind, record);
    let has = |bit: flag| raw.flags & bit.0 != 0;
    let written = match (has(flag::SE_FILE_WRITTEN), has(flag::SE_FILE_WRITTEN_UNSURE)) {
        (_, true) => None,
        (written, false) => Some(written).filter(|_| kind == Kind::FileClose),
    };
    Ok(File {
        kind,
        task: actor(record, offset_of!(se_file, actor), &raw.actor),
        origin: origin(kind, &raw.actor)?,
        object: object(&raw.object),
        before: has(flag::SE_FILE_BEFORE).then(|| object(&raw.before)),
        arguments: raw.arg,
        op: FileOp::from_number(raw.op).ok_or_else(|| Error::Value {
            kind,
            field: "op",
            value: raw.op.into(),
        })?,
        errno: errno(kind, raw.error)?,
        open_flags: raw.open_flags,
        path: tail.piece("path", raw.path)?,
        other: tail.piece("other", raw.other)?,
        name: tail.piece("name", raw.name)?,
        given: tail.piece("given", raw.given)?,
        written,
        replaced: has(flag::SE_FILE_REPLACED),
        pending: has(flag::SE_FILE_PENDING),
        other_cut: has(flag::SE_FILE_OTHER_CUT),
        other_joined: has(flag::SE_FILE_OTHER_JOINED),
        other_fault: has(flag::SE_FILE_OTHER_FAULT),
    })
}
