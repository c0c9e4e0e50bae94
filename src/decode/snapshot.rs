//! Processes that already ran when the agent started.

use std::mem::offset_of;

use super::tail::Tail;
use super::task::{program, task};
use super::{Error, fixed};
use crate::event::{Kind, Snapshot};
use crate::kernel::abi::types::{se_image_flag, se_snapshot};

pub(super) fn snapshot(record: &[u8]) -> Result<Snapshot<'_>, Error> {
    let raw: se_snapshot = fixed(Kind::Snapshot, record)?;
    let has_program = raw.image.flags & se_image_flag::SE_IMAGE_NONE.0 == 0;
    // Decoded in either case, so that a bad piece is found in either case.
    let program = program(&Tail::behind::<se_snapshot>(Kind::Snapshot, record), &raw.image)?;
    Ok(Snapshot {
        task: task(record, offset_of!(se_snapshot, task), &raw.task),
        program: Some(program).filter(|_| has_program),
    })
}
