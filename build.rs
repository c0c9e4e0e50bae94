//! Compiles `bpf/` and generates the Rust skeletons into `OUT_DIR`.
//!
//! Three results: `abi.skel.rs`, whose `types` module is the record ABI (its object is never loaded),
//! `probe.skel.rs`, by which is found out what can be had, and `sentinel.skel.rs`, the skeleton of all subjects. Each subject is a translation unit of its own,
//! compiled alone and joined by libbpf's linker.
//!
//! `CLANG` chooses the compiler. The target architecture picks `vmlinux/<arch>/vmlinux.h`.

use std::env;
use std::fmt::Debug;
use std::path::PathBuf;
use std::process::Command;

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

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let arch = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets CARGO_CFG_TARGET_ARCH");

    for tracked in ["bpf", "vmlinux"] {
        println!("cargo:rerun-if-changed={tracked}");
    }
    println!("cargo:rerun-if-env-changed=CLANG");
    println!("cargo:rerun-if-env-changed=SOURCE_COMMIT");
    println!("cargo:rerun-if-changed=.git/HEAD");
    println!("cargo:rustc-env=SENTINEL_COMMIT={}", commit());

    let args = [
        format!("-I{}", root.join("vmlinux").join(&arch).display()),
        format!("-I{}", root.join("bpf").display()),
        "-Wall".into(),
        "-Werror".into(),
        "-mcpu=v3".into(),
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
    let mut skeleton = SkeletonBuilder::new();
    skeleton.rustfmt("no-rustfmt").obj(&linked).reference_obj(true);
    skeleton.generate(out.join("sentinel.skel.rs")).unwrap_or_else(|e| fail("the skeleton", &e));
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
