//! Sensors of privileges and evasion.
//!
//! A class may have two: its tracepoint tells what worked, and the return of its call what was refused, or what the
//! tracepoint does not cover.

use super::{Entry, Level, Rung, Sensor, Use, calls, deep, tracepoint, trampoline};
use crate::event::Kind;
use crate::kernel::plan::calls::{Call, Results};
use crate::metrics::label::Program;

/// At the return of its calls, and nowhere else.
macro_rules! called {
    ($kind:ident: $program:ident, [$($call:ident),+], $results:ident, $grade:literal, $bounded:expr) => {
        Sensor {
            kinds: &[Kind::$kind],
            usage: Use::Wanted,
            rungs: &[Rung {
                level: Level::Syscall,
                entries: &[calls(Program::$program, &[$(Call::$call),+], Results::$results, $grade, $bounded)],
            }],
        }
    };
}

const fn direct(kinds: &'static [Kind], rungs: &'static [Rung]) -> Sensor {
    Sensor { kinds, usage: Use::Wanted, rungs }
}

const MODULES: &[Entry] = &[
    deep(tracepoint(Program::ModuleLoad, "module_load", "tp_btf/module_load"), "se_mod_load_bnd"),
    tracepoint(Program::ModuleFree, "module_free", "tp_btf/module_free"),
];

/// What changes credentials.
pub(super) const CREDENTIALS: &[Call] = &[
    Call::Setuid,
    Call::Setgid,
    Call::Setreuid,
    Call::Setregid,
    Call::Setresuid,
    Call::Setresgid,
    Call::Setfsuid,
    Call::Setfsgid,
    Call::Setgroups,
    Call::Capset,
    Call::Setuid32,
    Call::Setgid32,
    Call::Setreuid32,
    Call::Setregid32,
    Call::Setresuid32,
    Call::Setresgid32,
    Call::Setfsuid32,
    Call::Setfsgid32,
    Call::Setgroups32,
];

pub(super) const SENSORS: &[Sensor] = &[
    direct(
        &[Kind::Credentials],
        &[
            trampoline::CREDENTIALS_AND_REFUSALS,
            trampoline::CREDENTIALS,
            Rung {
                level: Level::Syscall,
                entries: &[calls(Program::CallCreds, CREDENTIALS, Results::All, "kernel", None)],
            },
        ],
    ),
    called!(Ptrace: CallPtrace, [Ptrace], All, "kernel", None),
    called!(ProcessMemory: CallMemory, [ProcessVmReadv, ProcessVmWritev, PidfdGetfd], All, "kernel",
        Some("se_sc_vm_bnd")),
    direct(&[Kind::Module], &[Rung { level: Level::Direct, entries: MODULES }]),
    called!(Module: CallModule, [InitModule, FinitModule, DeleteModule], Bad, "user", Some("se_sc_mod_bnd")),
    called!(Kexec: CallKexec, [KexecLoad, KexecFileLoad], All, "kernel", Some("se_sc_kexec_bnd")),
    called!(Bpf: CallBpf, [Bpf], All, "user", None),
    called!(PerfEvent: CallPerf, [PerfEventOpen], All, "kernel", None),
    called!(Userfaultfd: CallUserfaultfd, [Userfaultfd], All, "kernel", None),
    called!(Memfd: CallMemfd, [MemfdCreate, MemfdSecret], Good, "kernel", None),
    called!(MemoryExec: CallMmap, [Mmap, Mmap2], All, "kernel", Some("se_sc_mmap_bnd")),
    called!(MemoryExec: CallMprotect, [Mprotect, PkeyMprotect], All, "kernel", Some("se_sc_mprot_bnd")),
    called!(Namespace: CallNamespace, [Unshare, Setns], All, "kernel", None),
    direct(
        &[Kind::IoUring],
        &[Rung {
            level: Level::Direct,
            entries: &[tracepoint(Program::RingCreate, "io_uring_create", "tp_btf/io_uring_create")],
        }],
    ),
    called!(IoUring: CallRing, [IoUringSetup], Bad, "user", None),
    direct(
        &[Kind::Signal],
        &[Rung {
            level: Level::Direct,
            entries: &[tracepoint(Program::Signal, "signal_generate", "tp_btf/signal_generate")],
        }],
    ),
    direct(
        &[Kind::Prctl],
        &[Rung {
            level: Level::Direct,
            entries: &[tracepoint(Program::Rename, "task_rename", "tp_btf/task_rename")],
        }],
    ),
    called!(Prctl: CallPrctl, [Prctl], All, "kernel", None),
    called!(Keyring: CallKeyring, [AddKey, RequestKey, Keyctl], All, "user", None),
    called!(HostName: CallHostName, [Sethostname, Setdomainname], All, "kernel", None),
    called!(Clock: CallClock, [
        Settimeofday, ClockSettime, ClockSettime64, Adjtimex, ClockAdjtime, ClockAdjtime64, Stime
    ], All, "user", None),
    called!(Swap: CallSwap, [Swapon, Swapoff], All, "user", None),
    called!(Reboot: CallReboot, [Reboot], All, "kernel", None),
];
