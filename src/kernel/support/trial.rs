//! Whether trampolines work, found out by attaching one.
//!
//! No file tells: a kernel may lack them (arm64 before 6.4), be built or booted without what they stand on, or keep them
//! from everybody by a policy of its own, and it says so when a program is loaded or, on some, when it is attached. So an
//! object with programs that do nothing, `bpf/probe.bpf.c`, is loaded and attached for a moment: some milliseconds.
//!
//! Programs on hooks of the security modules are no measure of themselves: where `bpf` is not among the modules they load
//! and attach without an error and are never called.

use std::mem::MaybeUninit;

use libbpf_rs::Link;
use libbpf_rs::skel::{OpenSkel, SkelBuilder};

use super::Fact;

#[expect(clippy::undocumented_unsafe_blocks, clippy::unwrap_used, reason = "written by libbpf-cargo")]
mod skeleton {
    include!(concat!(env!("OUT_DIR"), "/probe.skel.rs"));
}

use skeleton::ProbeSkelBuilder;

/// Whether a trampoline can be loaded and attached.
pub(super) fn trampolines() -> Fact<()> {
    attempt(Trial::Function).map_err(|e| format!("the kernel refuses trampolines on its functions: {e}"))
}

/// Whether a program on a hook of the security modules can be had, and is called.
pub(super) fn lsm(modules: &Fact<Vec<String>>) -> Fact<()> {
    match modules {
        Ok(modules) if modules.iter().any(|module| module == "bpf") => attempt(Trial::SecurityModule)
            .map_err(|e| format!("the kernel refuses programs on hooks of the security modules: {e}")),
        Ok(_) => Err("bpf is not among the security modules, lsm= of the kernel's command line".to_owned()),
        Err(reason) => Err(format!("which security modules are active is unknown: {reason}")),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trial {
    Function,
    SecurityModule,
}

/// Silently: a refusal is an answer here, and not worth a warning in the log.
fn attempt(trial: Trial) -> Result<(), libbpf_rs::Error> {
    let log = libbpf_rs::set_print(None);
    let result = attach(trial);
    libbpf_rs::set_print(log);
    result.map(drop)
}

fn attach(trial: Trial) -> Result<Link, libbpf_rs::Error> {
    let mut storage = MaybeUninit::uninit();
    let mut open = ProbeSkelBuilder::default().open(&mut storage)?;
    open.progs.se_probe.set_autoload(trial == Trial::Function);
    open.progs.se_probe_lsm.set_autoload(trial == Trial::SecurityModule);
    let skeleton = open.load()?;
    match trial {
        Trial::Function => skeleton.progs.se_probe.attach(),
        Trial::SecurityModule => skeleton.progs.se_probe_lsm.attach(),
    }
}
