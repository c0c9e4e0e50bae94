//! Control groups that come, go and get other names.

use super::tail::Tail;
use super::{Error, fixed};
use crate::event::{Cgroup, CgroupChange, Kind};
use crate::kernel::abi::types::{se_cgroup, se_cgroup_op as op};

pub(super) fn cgroup(record: &[u8]) -> Result<Cgroup<'_>, Error> {
    let raw: se_cgroup = fixed(Kind::Cgroup, record)?;
    let change = match op(raw.op) {
        op::SE_CGROUP_MKDIR => CgroupChange::Created,
        op::SE_CGROUP_RELEASE => CgroupChange::Released,
        op::SE_CGROUP_RENAME => CgroupChange::Renamed,
        op(other) => return Err(Error::Value { kind: Kind::Cgroup, field: "op", value: other.into() }),
    };
    Ok(Cgroup {
        id: raw.id,
        hierarchy: raw.hierarchy,
        change,
        path: Tail::behind::<se_cgroup>(Kind::Cgroup, record).piece("path", raw.path)?,
    })
}
