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

/// One line a kind: the variant, its number in `enum se_kind`, its struct, clang's size of it. Kinds may share one.
macro_rules! records {
    ($($kind:ident = $number:ident: $record:ident;)+) => {
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
    se_actor = SE_SIZE_ACTOR,
    se_object = SE_SIZE_OBJECT,
    se_target = SE_SIZE_TARGET,
    se_creds = SE_SIZE_CREDS,
    se_exec = SE_SIZE_EXEC,
    se_exec_failed = SE_SIZE_EXEC_FAILED,
    se_fork = SE_SIZE_FORK,
    se_exit = SE_SIZE_EXIT,
    se_cgroup = SE_SIZE_CGROUP,
    se_snapshot = SE_SIZE_SNAPSHOT,
    se_file = SE_SIZE_FILE,
    se_net = SE_SIZE_NET,
    se_privilege = SE_SIZE_PRIVILEGE,
    se_credentials = SE_SIZE_CREDENTIALS,
    se_watch_path = SE_SIZE_WATCH_PATH,
    se_watch_name = SE_SIZE_WATCH_NAME,
    se_verdict = SE_SIZE_VERDICT,
    se_file_id = SE_SIZE_FILE_ID,
    se_merge_key = SE_SIZE_MERGE_KEY,
    se_merge = SE_SIZE_MERGE,
    se_switches = SE_SIZE_SWITCHES,
    se_bpf_id = SE_SIZE_BPF_ID,
}

records! {
    Exec = SE_KIND_EXEC: se_exec;
    ExecFailed = SE_KIND_EXEC_FAILED: se_exec_failed;
    Fork = SE_KIND_FORK: se_fork;
    Exit = SE_KIND_EXIT: se_exit;
    Cgroup = SE_KIND_CGROUP: se_cgroup;
    Snapshot = SE_KIND_SNAPSHOT: se_snapshot;
    FileOpen = SE_KIND_FILE_OPEN: se_file;
    FileRead = SE_KIND_FILE_READ: se_file;
    FileClose = SE_KIND_FILE_CLOSE: se_file;
    FileRename = SE_KIND_FILE_RENAME: se_file;
    FileDelete = SE_KIND_FILE_DELETE: se_file;
    FileLink = SE_KIND_FILE_LINK: se_file;
    FileMkdir = SE_KIND_FILE_MKDIR: se_file;
    FileMode = SE_KIND_FILE_MODE: se_file;
    FileOwner = SE_KIND_FILE_OWNER: se_file;
    FileXattr = SE_KIND_FILE_XATTR: se_file;
    FileTruncate = SE_KIND_FILE_TRUNCATE: se_file;
    FileTimes = SE_KIND_FILE_TIMES: se_file;
    Mount = SE_KIND_MOUNT: se_file;
    NetConnect = SE_KIND_NET_CONNECT: se_net;
    NetAccept = SE_KIND_NET_ACCEPT: se_net;
    NetBind = SE_KIND_NET_BIND: se_net;
    NetListen = SE_KIND_NET_LISTEN: se_net;
    NetFlow = SE_KIND_NET_FLOW: se_net;
    NetSocket = SE_KIND_NET_SOCKET: se_net;
    NetDns = SE_KIND_NET_DNS: se_net;
    Credentials = SE_KIND_CREDENTIALS: se_credentials;
    Ptrace = SE_KIND_PTRACE: se_privilege;
    ProcessMemory = SE_KIND_PROCESS_MEMORY: se_privilege;
    Module = SE_KIND_MODULE: se_privilege;
    Kexec = SE_KIND_KEXEC: se_privilege;
    Bpf = SE_KIND_BPF: se_privilege;
    PerfEvent = SE_KIND_PERF_EVENT: se_privilege;
    Userfaultfd = SE_KIND_USERFAULTFD: se_privilege;
    Memfd = SE_KIND_MEMFD: se_privilege;
    MemoryExec = SE_KIND_MEMORY_EXEC: se_privilege;
    Namespace = SE_KIND_NAMESPACE: se_privilege;
    IoUring = SE_KIND_IO_URING: se_privilege;
    Signal = SE_KIND_SIGNAL: se_privilege;
    Prctl = SE_KIND_PRCTL: se_privilege;
    Keyring = SE_KIND_KEYRING: se_privilege;
    HostName = SE_KIND_HOST_NAME: se_privilege;
    Clock = SE_KIND_CLOCK: se_privilege;
    Swap = SE_KIND_SWAP: se_privilege;
    Reboot = SE_KIND_REBOOT: se_privilege;
}

#[cfg(test)]
mod tests;
