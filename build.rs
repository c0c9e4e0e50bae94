//! Compiles `bpf/` and generates the Rust skeletons into `OUT_DIR`.
//!
//! Compiled are: `abi.skel.rs`, whose `types` module is the record ABI (its object is never loaded),
//! `probe.skel.rs`, by which is found out what can be had, and `sentinel.skel.rs`, the skeleton of all subjects; beside
//! them `pack.gz`, the built-in rules. Each subject is a translation unit of its own, compiled alone and joined by
//! libbpf's linker.
//!
//! The joined object is the largest part of the binary and is read once. So its source lines, which only a verifier's
//! log shows, are left out of release builds, and it is embedded as gzip: `sentinel.bpf.o.gz`, which
//! `src/kernel/loader/object.rs` unpacks while libbpf opens it.
//!
//! `CLANG` chooses the compiler. The target architecture picks `vmlinux/<arch>/vmlinux.h`.

use std::env;
use std::fmt::Debug;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use libbpf_cargo::SkeletonBuilder;

/// The subjects: `bpf/<name>.bpf.c`.
const SUBJECTS: &[&str] = &[
    "syscall",
    "process",
    "file",
    "attribute",
    "mount",
    "network",
    "privilege",
    "evasion",
    "ring",
    "io_uring",
    "network_calls",
    "network_packets",
    "trampoline_file",
    "trampoline_attr",
    "trampoline_mount",
    "trampoline_cred",
];

/// The architectures whose registers `vmlinux/` and `bpf/lib` know, and whose system calls `src/kernel/plan/calls.rs`.
const ARCHITECTURES: &[&str] = &["x86_64", "aarch64"];

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let arch = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets CARGO_CFG_TARGET_ARCH");
    assert!(
        ARCHITECTURES.contains(&arch.as_str()),
        "there is no building for {arch}: neither its system calls nor its registers are known, only those of {}",
        ARCHITECTURES.join(" and ")
    );

    for tracked in ["bpf", "vmlinux"] {
        println!("cargo:rerun-if-changed={tracked}");
    }
    println!("cargo:rerun-if-env-changed=CLANG");
    println!("cargo:rerun-if-env-changed=SOURCE_COMMIT");
    println!("cargo:rerun-if-changed=.git/HEAD");
    println!("cargo:rustc-env=SENTINEL_COMMIT={}", commit());

    pack_rules(&root.join("src/detect/pack"), &out.join("pack.gz"))
        .unwrap_or_else(|e| fail("the built-in rules", &e));

    let headers = out.join("include");
    write_headers(&headers.join("bpf")).unwrap_or_else(|e| fail("libbpf's headers", &e));
    let args = [
        format!("-I{}", headers.display()),
        format!("-I{}", root.join("vmlinux").join(&arch).display()),
        format!("-I{}", root.join("bpf").display()),
        "-Wall".into(),
        "-Werror".into(),
        "-mcpu=v3".into(),
        // The place of a build must not be in it.
        format!("-ffile-prefix-map={}=.", root.display()),
        format!("-ffile-prefix-map={}=.", headers.display()),
    ];
    let builder = |source: &str| {
        let mut builder = SkeletonBuilder::new();
        builder.source(root.join("bpf").join(format!("{source}.bpf.c"))).clang_args(&args);
        // The generated code is not for reading, and a machine without rustfmt must build too.
        builder.rustfmt("no-rustfmt");
        if let Some(clang) = env::var_os("CLANG") {
            builder.clang(clang);
        }
        builder
    };

    for alone in ["abi", "probe"] {
        let skeleton = out.join(format!("{alone}.skel.rs"));
        builder(alone).build_and_generate(skeleton).unwrap_or_else(|e| fail(alone, &e));
    }

    let linked = out.join("sentinel.bpf.o");
    let mut linker = libbpf_rs::Linker::new(&linked).unwrap_or_else(|e| fail("the linked object", &e));
    for subject in SUBJECTS {
        let object = out.join(format!("{subject}.bpf.o"));
        builder(subject).obj(&object).build().unwrap_or_else(|e| fail(subject, &e));
        linker.add_file(&object).unwrap_or_else(|e| fail(subject, &e));
    }
    linker.link().unwrap_or_else(|e| fail("the linked object", &e));
    let skeleton = out.join("sentinel.skel.rs");
    let mut builder = SkeletonBuilder::new();
    builder.rustfmt("no-rustfmt").obj(&linked).reference_obj(true);
    builder.generate(&skeleton).unwrap_or_else(|e| fail("the skeleton", &e));
    open_unpacked(&skeleton);
    let mut object = fs::read(&linked).unwrap_or_else(|e| fail("the linked object", &e));
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        drop_line_info(&mut object).expect("the linked object is a 64-bit ELF file of this machine's order");
    }
    pack(&object, &out.join("sentinel.bpf.o.gz")).unwrap_or_else(|e| fail("the packed object", &e));
}

/// Writes libbpf's headers. libbpf-cargo would do so itself, into a directory whose name is by chance and comes to stand
/// in the objects, so that no two builds would give the same bytes.
fn write_headers(directory: &Path) -> std::io::Result<()> {
    fs::create_dir_all(directory)?;
    let headers = libbpf_rs::libbpf_sys::API_HEADERS.iter();
    headers.into_iter().try_for_each(|(name, text)| fs::write(directory.join(name), text))
}

/// Makes the generated skeleton open the object that the loader unpacks, instead of one that is embedded as it is.
fn open_unpacked(skeleton: &Path) {
    let text = fs::read_to_string(skeleton).unwrap_or_else(|e| fail("the skeleton", &e));
    let embedded = ["static DATA: ", "#[unsafe(link_section = \".bpf.objs\")]"];
    let kept = text.lines().filter(|line| !embedded.iter().any(|start| line.starts_with(start)));
    let mut patched = kept.collect::<Vec<&str>>().join("\n");
    let changes = [
        ("ObjectSkeletonConfigBuilder::new(&DATA)", "ObjectSkeletonConfigBuilder::new(&[])"),
        (
            "unsafe { libbpf_sys::bpf_object__open_skeleton(skel_ptr.as_ptr(), open_opts) }",
            "object::open(skel_ptr, open_opts)",
        ),
    ];
    for (old, new) in changes {
        assert_eq!(
            patched.matches(old).count(),
            1,
            "libbpf-cargo generates another skeleton than expected: {old}"
        );
        patched = patched.replace(old, new);
    }
    fs::write(skeleton, patched).unwrap_or_else(|e| fail("the skeleton", &e));
}

/// Takes the line information out of `.BTF.ext`, and moves up what follows it.
///
/// Layouts: ELF-64 as in elf(5); `struct btf_ext_header` in Linux's Documentation/bpf/btf.rst: magic, version, flags,
/// header length, then offset (from the header's end) and length of function, line and CO-RE information. `None` if
/// the file isn't laid out so.
fn drop_line_info(object: &mut [u8]) -> Option<()> {
    const SECTION_OFFSET: usize = 24;
    const SECTION_SIZE: usize = 32;
    let headers = usize::try_from(u64_at(object, 0x28)?).ok()?;
    let (each, count, names) = (u16_at(object, 0x3a)?, u16_at(object, 0x3c)?, u16_at(object, 0x3e)?);
    let section = |index: usize| headers + index * each;
    let place = |object: &[u8], index: usize| {
        let start = usize::try_from(u64_at(object, section(index) + SECTION_OFFSET)?).ok()?;
        let size = usize::try_from(u64_at(object, section(index) + SECTION_SIZE)?).ok()?;
        Some((start, size))
    };
    let (strings, _) = place(object, names)?;
    let index = (0..count).find(|index| {
        let name = u32_at(object, section(*index)).map(|name| strings + name);
        name.and_then(|name| object.get(name..)).is_some_and(|name| name.starts_with(b".BTF.ext\0"))
    })?;
    let (start, size) = place(object, index)?;
    let base = start + u32_at(object, start + 4)?;
    let (line, line_bytes) = (u32_at(object, start + 16)?, u32_at(object, start + 20)?);
    let (relocations, relocation_bytes) = (u32_at(object, start + 24)?, u32_at(object, start + 28)?);
    let end = start + size;
    if relocations != line + line_bytes || base + relocations + relocation_bytes != end {
        return None;
    }
    object.copy_within(base + relocations..end, base + line);
    object.get_mut(end - line_bytes..end)?.fill(0);
    object.get_mut(start + 20..start + 24)?.fill(0);
    object.get_mut(start + 24..start + 28)?.copy_from_slice(&u32::try_from(line).ok()?.to_ne_bytes());
    let shrunk = u64::try_from(size - line_bytes).ok()?;
    let at = section(index) + SECTION_SIZE;
    object.get_mut(at..at + 8)?.copy_from_slice(&shrunk.to_ne_bytes());
    Some(())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    bytes.get(at..)?.first_chunk().map(|chunk| u16::from_ne_bytes(*chunk).into())
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?)).ok()
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_ne_bytes(*chunk))
}

fn pack(object: &[u8], path: &Path) -> std::io::Result<()> {
    let mut packed = GzEncoder::new(fs::File::create(path)?, Compression::best());
    packed.write_all(object)?;
    packed.finish()?.sync_all()
}

/// Packs the built-in rules for `src/detect/pack.rs`: name and text of each file, without the cases that test it. Each
/// name and each text ends with a zero byte.
fn pack_rules(directory: &Path, packed: &Path) -> std::io::Result<()> {
    println!("cargo:rerun-if-changed={}", directory.display());
    let (mut open, mut files) = (vec![directory.to_owned()], Vec::new());
    while let Some(path) = open.pop() {
        for entry in fs::read_dir(&path)? {
            let path = entry?.path();
            match path.extension() {
                _ if path.is_dir() => open.push(path),
                Some(extension) if extension == "yml" => files.push(path),
                _ => {}
            }
        }
    }
    files.sort();
    let mut text = String::new();
    for path in files {
        let rule = fs::read_to_string(&path)?;
        assert!(!rule.contains('\0'), "{} has a zero byte", path.display());
        // They are the last key of a file.
        let rule = rule.split("\ntests:").next().unwrap_or_default();
        let name = path.strip_prefix(directory).unwrap_or(&path).display();
        text.push_str(&format!("{name}\0{rule}\0"));
    }
    pack(text.as_bytes(), packed)
}

fn fail(what: &str, error: &dyn Debug) -> ! {
    panic!("cannot build {what}: {error:?}\nclang 13 or newer is needed; CLANG names another one");
}

/// The commit that `--version` prints: given by the packager, else asked of git, else empty.
fn commit() -> String {
    if let Ok(commit) = env::var("SOURCE_COMMIT") {
        return commit;
    }
    let git = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    git.ok()
        .filter(|o| o.status.success())
        .map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned())
        .unwrap_or_default()
}
