//! What the kernel's BTF says: which tracepoints, helpers, iterators and functions it has.
//!
//! BTF lists every type of the running kernel, so that it answers without a trial load and without privileges what
//! a program could use. A tracepoint shows as `typedef btf_trace_<name>`, a helper as `BPF_FUNC_<name>` in
//! `enum bpf_func_id`, an iterator as the function `bpf_iter_<name>`. Tracepoints of modules are not in it.
//!
//! Of the functions proper those in [`TARGETS`] are looked for, with the number of their arguments: by it the versions of
//! a function are told apart, which gained arguments over the years.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use libbpf_rs::btf::types::{Enum, Func, FuncProto};
use libbpf_rs::btf::{self, BtfKind, BtfType};

/// Where the running kernel shows it.
const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Functions that trampolines may go on, sorted. Everything else that the kernel has is not kept.
pub const TARGETS: &[&str] = &[
    "__fput",
    "chmod_common",
    "chown_common",
    "commit_creds",
    "d_delete",
    "do_dentry_open",
    "do_truncate",
    "path_mount",
    "path_umount",
    "security_move_mount",
    "security_path_chroot",
    "security_path_link",
    "security_path_mkdir",
    "security_path_mknod",
    "security_path_rename",
    "security_path_rmdir",
    "security_path_symlink",
    "security_path_unlink",
    "security_sb_pivotroot",
    "vfs_link",
    "vfs_mkdir",
    "vfs_mknod",
    "vfs_removexattr",
    "vfs_rename",
    "vfs_setxattr",
    "vfs_symlink",
    "vfs_truncate",
    "vfs_unlink",
    "vfs_utimes",
];

/// What was found in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Btf {
    /// Names of the tracepoints.
    pub tracepoints: BTreeSet<String>,
    /// How many arguments each tracepoint hands over: what it is called stays, what it shows changes.
    pub arguments: BTreeMap<String, usize>,
    /// Names of the helpers, such as `loop` for `bpf_loop()`.
    pub helpers: BTreeSet<String>,
    /// Names of the iterators, such as `task`.
    pub iterators: BTreeSet<String>,
    /// Those of [`TARGETS`] that it has, each with the number of its arguments.
    pub functions: BTreeMap<String, u32>,
}

/// Why nothing is known from it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BtfError {
    /// The kernel was built without it.
    #[error("there is no /sys/kernel/btf/vmlinux")]
    Absent,
    /// The file exists, and this process may not read it.
    #[error("cannot open /sys/kernel/btf/vmlinux: {0}")]
    Refused(String),
    /// The file exists and is of no use.
    #[error("cannot parse /sys/kernel/btf/vmlinux: {0}")]
    Malformed(String),
}

impl Btf {
    /// Reads a file of BTF, usually `/sys/kernel/btf/vmlinux`.
    pub fn read(path: &Path) -> Result<Btf, BtfError> {
        // libbpf's errors would not tell a missing file from one that is kept from us.
        File::open(path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => BtfError::Absent,
            _ => BtfError::Refused(e.to_string()),
        })?;
        // The running kernel's can be mapped instead of copied: five megabytes that the agent never has to hold.
        let types =
            if path == Path::new(VMLINUX) { btf::Btf::from_vmlinux() } else { btf::Btf::from_path(path) };
        let types = types.map_err(|e| BtfError::Malformed(format!("{e:#}")))?;
        let mut found = Btf::default();
        for ty in types.type_by_kind::<BtfType<'_>>() {
            found.note(ty);
        }
        Ok(found)
    }

    fn note(&mut self, ty: BtfType<'_>) {
        let name_after = |ty: BtfType<'_>, prefix: &str| {
            let name = ty.name()?.as_bytes().strip_prefix(prefix.as_bytes())?;
            Some(String::from_utf8_lossy(name).into_owned())
        };
        match ty.kind() {
            BtfKind::Typedef => {
                let Some(name) = name_after(ty, "btf_trace_") else { return };
                // A pointer to a function, whose first parameter is not the tracepoint's.
                let function = ty.next_type().and_then(|pointer| pointer.next_type());
                if let Some(Ok(function)) = function.map(FuncProto::try_from) {
                    self.arguments.insert(name.clone(), function.len().saturating_sub(1));
                }
                self.tracepoints.insert(name);
            }
            BtfKind::Func => {
                self.iterators.extend(name_after(ty, "bpf_iter_"));
                self.functions.extend(target(ty));
            }
            BtfKind::Enum if ty.name().is_some_and(|name| name == "bpf_func_id") => {
                let Ok(helpers) = Enum::try_from(ty) else { return };
                let names = helpers.iter().filter_map(|value| value.name?.to_str());
                self.helpers.extend(names.filter_map(|n| n.strip_prefix("BPF_FUNC_")).map(str::to_owned));
            }
            _ => {}
        }
    }
}

/// The name and the number of arguments of a function that is looked for.
fn target(ty: BtfType<'_>) -> Option<(String, u32)> {
    let name = ty.name()?.to_str()?;
    TARGETS.binary_search(&name).ok()?;
    let prototype = FuncProto::try_from(Func::try_from(ty).ok()?.next_type()?).ok()?;
    Some((name.to_owned(), u32::try_from(prototype.len()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND_INT: u32 = 1;
    const KIND_PTR: u32 = 2;
    const KIND_ENUM: u32 = 6;
    const KIND_TYPEDEF: u32 = 8;
    const KIND_FUNC: u32 = 12;
    const KIND_FUNC_PROTO: u32 = 13;

    /// Builds BTF by hand, see the kernel's Documentation/bpf/btf.rst.
    struct Builder {
        types: Vec<u32>,
        strings: Vec<u8>,
    }

    impl Builder {
        fn string(&mut self, text: &str) -> u32 {
            let offset = u32::try_from(self.strings.len()).unwrap();
            self.strings.extend_from_slice(text.as_bytes());
            self.strings.push(0);
            offset
        }

        fn ty(&mut self, kind: u32, name: &str, size_or_type: u32, rest: &[(&str, u32)]) {
            let name = if name.is_empty() { 0 } else { self.string(name) };
            let length = u32::try_from(rest.len()).unwrap();
            self.types.extend([name, kind << 24 | length, size_or_type]);
            for (name, value) in rest {
                let name = self.string(name);
                self.types.extend([name, *value]);
            }
        }

        fn bytes(self) -> Vec<u8> {
            let types: Vec<u8> = self.types.iter().flat_map(|word| word.to_le_bytes()).collect();
            let types_len = u32::try_from(types.len()).unwrap();
            let strings_len = u32::try_from(self.strings.len()).unwrap();
            let header = [0x0001_eb9f, 24, 0, types_len, types_len, strings_len];
            let header = header.iter().flat_map(|word: &u32| word.to_le_bytes());
            header.chain(types).chain(self.strings).collect()
        }
    }

    fn read(bytes: &[u8]) -> Result<Btf, BtfError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        Btf::read(file.path())
    }

    #[test]
    fn tracepoints_helpers_and_iterators_are_told_apart() {
        let mut b = Builder { types: vec![], strings: vec![0] };
        b.ty(KIND_FUNC_PROTO, "", 0, &[("", 0), ("task", 0), ("pid", 0)]);
        b.ty(KIND_PTR, "", 1, &[]);
        b.ty(KIND_TYPEDEF, "btf_trace_sched_process_exec", 2, &[]);
        b.ty(KIND_TYPEDEF, "pid_t", 2, &[]);
        b.ty(KIND_ENUM, "bpf_func_id", 4, &[("BPF_FUNC_unspec", 0), ("BPF_FUNC_loop", 181), ("odd", 9)]);
        b.ty(KIND_ENUM, "another", 4, &[("BPF_FUNC_never", 1)]);
        b.ty(KIND_FUNC, "bpf_iter_task", 1, &[]);
        b.ty(KIND_FUNC, "btf_trace_not_a_typedef", 1, &[]);
        b.ty(KIND_FUNC_PROTO, "", 0, &[("dir", 2), ("dentry", 2), ("inode", 2)]);
        b.ty(KIND_FUNC, "vfs_unlink", 9, &[]);
        b.ty(KIND_FUNC, "vfs_unknown", 9, &[]);
        let found = read(&b.bytes()).unwrap();
        let names = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
        assert_eq!(names(&found.tracepoints), ["sched_process_exec"]);
        assert_eq!(found.arguments.get("sched_process_exec"), Some(&2));
        assert_eq!(names(&found.helpers), ["loop", "unspec"]);
        assert_eq!(names(&found.iterators), ["task"]);
        assert_eq!(found.functions, BTreeMap::from([("vfs_unlink".to_owned(), 3)]));
    }

    #[test]
    fn targets_are_sorted_so_that_they_are_found() {
        assert!(TARGETS.is_sorted());
    }

    #[test]
    fn what_is_no_btf_is_an_error() {
        assert!(matches!(read(b""), Err(BtfError::Malformed(_))));
        assert!(matches!(
            read(b"no BTF at all, but long enough to hold a header"),
            Err(BtfError::Malformed(_))
        ));
        let mut cut = Builder { types: vec![], strings: vec![0] };
        cut.ty(KIND_INT, "int", 4, &[]);
        let bytes = cut.bytes();
        assert!(matches!(read(&bytes[..bytes.len() - 1]), Err(BtfError::Malformed(_))));
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Btf::read(&dir.path().join("vmlinux")), Err(BtfError::Absent));
    }
}
