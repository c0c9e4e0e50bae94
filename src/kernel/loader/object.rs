//! The kernel programs' object: unpacked for as long as libbpf reads it.
//!
//! The build embeds it as gzip, a tenth of its size (see build.rs), and makes the generated skeleton call [`open`] here.
//! libbpf copies what it keeps: its `bpf_object_open` ends with `bpf_object__elf_finish`, after which nothing points into
//! the file (libbpf 1.7, src/libbpf.c). So the unpacked bytes are given back at once, instead of staying mapped.

use std::ffi::{c_int, c_void};
use std::io::Read;
use std::ptr::{self, NonNull};

use flate2::read::GzDecoder;
use libbpf_rs::libbpf_sys;

static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sentinel.bpf.o.gz"));

/// Gives the memory that loading took back to the system.
///
/// Opening, relocating and the types of the running kernel take some 20 MB for a moment; the C library keeps what was
/// freed, in case that it is asked for again, and here it never is. Other C libraries give it back by themselves.
pub(super) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes no pointer, is safe beside other threads (malloc_trim(3)), and moves no allocation.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}

/// Opens the object that `skeleton` describes. Zero, or a negative errno, as libbpf's function of the same name.
pub(super) fn open(
    skeleton: NonNull<libbpf_sys::bpf_object_skeleton>,
    options: *const libbpf_sys::bpf_object_open_opts,
) -> c_int {
    let mut object = Vec::new();
    if let Err(error) = GzDecoder::new(PACKED).read_to_end(&mut object) {
        log::error!("the kernel programs in this binary cannot be unpacked: {error}");
        return -nix::libc::EBADMSG;
    }
    // SAFETY: the generated code, which is the only caller, passes the skeleton that its configuration owns, and options
    // that are null or the builder's own; no other reference to either exists during the call. The object outlives the
    // call, and the skeleton's pointer to it does not outlive the object.
    unsafe {
        let raw = skeleton.as_ptr();
        (*raw).data = object.as_mut_ptr().cast::<c_void>();
        (*raw).data_sz = object.len() as _;
        let result = libbpf_sys::bpf_object__open_skeleton(raw, options);
        (*raw).data = ptr::null_mut();
        (*raw).data_sz = 0;
        result
    }
}
