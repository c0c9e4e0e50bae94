//! Which maps, programs and links are the agent's own, told to the kernel side by their ids.
//!
//! The program on bpf() looks them up to tell when somebody else reaches for one. Ids are known only once everything
//! is loaded and attached. What cannot be noted is only logged: a guard less, and no reason not to run.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};

use libbpf_rs::libbpf_sys::{
    bpf_link_get_info_by_fd, bpf_link_info, bpf_map_get_info_by_fd, bpf_map_info, bpf_prog_get_info_by_fd,
    bpf_prog_info,
};
use libbpf_rs::skel::Skel as _;
use libbpf_rs::{Link, MapCore as _, MapFlags};

use super::SentinelSkel;
use crate::kernel::abi::Layout as _;
use crate::kernel::abi::types::{se_bpf_id, se_bpf_type};

/// Notes every map and program of the object, and these links.
pub(super) fn note<'a>(skeleton: &SentinelSkel<'_>, links: impl IntoIterator<Item = &'a Link>) {
    let object = skeleton.object();
    let maps = object.maps().filter_map(|map| map_id(&map)).map(|id| (se_bpf_type::SE_BPF_MAP, id));
    let loaded = object.progs().filter(|program| program.autoload());
    let programs =
        loaded.filter_map(|program| program_id(&program)).map(|id| (se_bpf_type::SE_BPF_PROGRAM, id));
    let links = links.into_iter().filter_map(link_id).map(|id| (se_bpf_type::SE_BPF_LINK, id));
    for (kind, id) in maps.chain(programs).chain(links) {
        let key = se_bpf_id { r#type: kind.0, id };
        if let Err(error) = skeleton.maps.se_own_ids.update(key.bytes(), &[1], MapFlags::ANY) {
            log::warn!("noting an object of our own: {error}");
        }
    }
}

macro_rules! ids {
    ($($name:ident($of:ty): $call:ident, $info:ident;)+) => {$(
        fn $name(of: &$of) -> Option<u32> {
            let mut info = MaybeUninit::<$info>::zeroed();
            let mut len = u32::try_from(size_of::<$info>()).ok()?;
            // SAFETY: the descriptor is open, and `info` is writable for `len` bytes.
            let code = unsafe { $call(of.as_fd().as_raw_fd(), info.as_mut_ptr(), &raw mut len) };
            // SAFETY: plain data, zeroed above.
            (code == 0).then(|| unsafe { info.assume_init() }.id)
        }
    )+};
}

ids! {
    map_id(libbpf_rs::Map<'_>): bpf_map_get_info_by_fd, bpf_map_info;
    program_id(libbpf_rs::Program<'_>): bpf_prog_get_info_by_fd, bpf_prog_info;
    link_id(Link): bpf_link_get_info_by_fd, bpf_link_info;
}
