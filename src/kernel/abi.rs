//! The record ABI in Rust: generated from `bpf/abi.h` by way of `bpf/abi.bpf.c`, and checked against it.
//!
//! This is the only file that includes the generated code. The types come from the BTF that clang wrote for the
//! very header the BPF programs include, so there is no mirror that a person could let drift. What the
//! generator could still get wrong is asserted at compile time: each size against clang's own `sizeof`, which
//! crosses over in `enum se_size`. As the header is compiled with `-Wpadded` as an error, no struct has a hole;
//! equal order and equal sizes then mean equal offsets. `tests/data/abi_layout.txt` keeps every offset and every
//! constant for review, and a test compares it with the BTF.
//!
//! Numbers of kinds are compared with [`event::Kind`](Kind) here, in both directions.

#[expect(
    clippy::undocumented_unsafe_blocks,
    clippy::unwrap_used,
    clippy::never_loop,
    clippy::match_single_binding,
    reason = "written by libbpf-cargo; of it only plain data is used here"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/abi.skel.rs"));
}

use plain::Plain;

pub use generated::types;

use crate::event::Kind;

/// Version of the record ABI: what `--version` prints and capture files carry.
pub const ABI_VERSION: u32 = types::se_abi::SE_ABI_VERSION.0;

/// A struct of `abi.h` that can be copied out of, and into, the bytes of a record.
///
/// Only this module implements it, together with the assertion of the size.
pub trait Layout: Plain + Copy + Default {
    /// Size in bytes, as clang and rustc both see it.
    const SIZE: usize = size_of::<Self>();

    /// Copies the struct out of the beginning of `bytes`, whatever their alignment. `None` if they are too few.
    #[inline]
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut copy = Self::default();
        copy.copy_from_bytes(bytes).ok()?;
        Some(copy)
    }

    /// The bytes of the struct, in the byte order of the host.
    fn bytes(&self) -> &[u8] {
        // SAFETY: `plain::as_bytes` asks for a type without padding. Implementors are generated from structs
        // that clang accepted under -Wpadded, and the size assertion beside each `impl` rules out that Rust
        // added any.
        unsafe { plain::as_bytes(self) }
    }
}

/// The fixed part of a kind of record.
pub trait Record: Layout {
    /// The kind that this struct belongs to.
    const KIND: Kind;
}

macro_rules! layout {
    ($($name:ident = $size:ident),+ $(,)?) => {$(
        // SAFETY: `Plain` asks that every pattern of bits is a valid value. The generated struct is repr(C) and
        // consists of integers, arrays of integers and structs for which the same holds: `abi.h` allows nothing
        // else, and anything else would come out of the generator as a type without `Copy` or `Default`, or as
        // an enum newtype around u32, for which it holds too.
        unsafe impl Plain for types::$name {}
        impl Layout for types::$name {}
        const _: () = assert!(
            size_of::<types::$name>() == types::se_size::$size.0 as usize,
            concat!("clang and rustc disagree on the size of ", stringify!($name)),
        );
    )+};
}

/// One line a kind: the variant, its number in `enum se_kind`, its struct, clang's size of it.
macro_rules! records {
    ($($kind:ident = $number:ident: $record:ident, $size:ident;)+) => {
        layout! { $($record = $size),+ }

        $(impl Record for types::$record {
            const KIND: Kind = Kind::$kind;
        })+

        /// Length of the fixed part of a record of this kind.
        pub const fn fixed_len(kind: Kind) -> usize {
            match kind {
                $(Kind::$kind => size_of::<types::$record>(),)+
            }
        }

        const _: () = {
            $(assert!(
                Kind::$kind as u32 == types::se_kind::$number.0,
                concat!("event::Kind and enum se_kind disagree on ", stringify!($number)),
            );)+
            assert!(
                types::se_kind::SE_KIND_MAX.0 as usize == Kind::COUNT + 1,
                "enum se_kind has a kind that event::Kind lacks",
            );
        };
    };
}

layout! {
    se_header = SE_SIZE_HEADER,
    se_task = SE_SIZE_TASK,
    se_image = SE_SIZE_IMAGE,
}

records! {
    Exec = SE_KIND_EXEC: se_exec, SE_SIZE_EXEC;
    ExecFailed = SE_KIND_EXEC_FAILED: se_exec_failed, SE_SIZE_EXEC_FAILED;
    Fork = SE_KIND_FORK: se_fork, SE_SIZE_FORK;
    Exit = SE_KIND_EXIT: se_exit, SE_SIZE_EXIT;
    Cgroup = SE_KIND_CGROUP: se_cgroup, SE_SIZE_CGROUP;
    Snapshot = SE_KIND_SNAPSHOT: se_snapshot, SE_SIZE_SNAPSHOT;
}

#[cfg(test)]
mod tests;
