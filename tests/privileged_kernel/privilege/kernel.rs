//! What gets into the kernel: modules, other kernels, BPF, performance events, io_uring.

use std::fs::File;

use nix::libc;
use sentinel_edge::event::privilege::op;
use sentinel_edge::event::{Hook, Kind};

use super::{Case, address, call, descriptor, must, number, room, text};

#[test]
#[ignore = "needs root and BPF"]
fn modules_that_are_refused_are_told_with_their_file() {
    let Some(mut case) = Case::of(Kind::Module) else { return };
    if !case.has(Hook::SysExit) {
        // A real module would be needed for the rest.
        return;
    }
    let place = tempfile::NamedTempFile::new().unwrap();
    let pid = case.play(|| {
        let file = File::open(place.path()).expect("a file");
        assert!(call(libc::SYS_init_module, [text(c"garbage"), 7, text(c"")]) < 0);
        assert!(call(libc::SYS_finit_module, [descriptor(&file), text(c""), 0]) < 0);
        assert!(call(libc::SYS_delete_module, [text(c"se_no_such_module"), 0]) < 0);
    });
    let events = case.did(pid);
    let told: Vec<_> = events.iter().map(|e| (e.op, e.name, e.from_memory, e.unload)).collect();
    assert_eq!(
        told,
        [
            (op::MODULE_LOAD, &b""[..], true, false),
            (op::MODULE_LOAD, b"", false, false),
            (op::MODULE_UNLOAD, b"se_no_such_module", false, true),
        ]
    );
    assert!(events.iter().all(|e| e.errno != 0), "{events:#?}");
    assert!(events[1].path.ends_with(place.path().file_name().unwrap().as_encoded_bytes()));
    case.pass();
}

/// Only where the run names a module that may be loaded, as guests do: a host's own are left alone.
#[test]
#[ignore = "needs root and BPF"]
fn a_module_that_is_loaded_is_told_with_name_file_and_signature() {
    let Some(mut case) = Case::of(Kind::Module) else { return };
    let Some(path) = std::env::var_os("SENTINEL_TEST_MODULE").filter(|_| case.has(Hook::ModuleLoad)) else {
        println!("MATRIX class=module hook=tp_btf/module_load result=missing: no module to load, or no hook");
        return;
    };
    let pid = case.play(|| {
        let image = std::fs::read(&path).expect("the module");
        let file = File::open(&path).expect("the module");
        must(libc::SYS_finit_module, [descriptor(&file), text(c""), 0]);
        must(libc::SYS_delete_module, [text(c"dummy"), 0]);
        must(libc::SYS_init_module, [image.as_ptr().expose_provenance(), image.len(), text(c"")]);
        must(libc::SYS_delete_module, [text(c"dummy"), 0]);
    });
    let events = case.did(pid);
    let told: Vec<_> =
        events.iter().map(|e| (e.op, e.name, e.path, e.from_memory, e.signed, e.origin.hook)).collect();
    let (name, file) = (&b"dummy"[..], path.as_encoded_bytes());
    let (load, free) = (Hook::ModuleLoad, Hook::ModuleFree);
    assert_eq!(
        told,
        [
            (op::MODULE_LOAD, name, file, false, Some(true), load),
            (op::MODULE_UNLOAD, name, b"", false, Some(true), free),
            (op::MODULE_LOAD, name, b"", true, Some(true), load),
            (op::MODULE_UNLOAD, name, b"", false, Some(true), free),
        ]
    );
    case.pass();
}

#[test]
#[ignore = "needs root and BPF"]
fn kernels_to_be_run_are_told_with_their_file() {
    let Some(mut case) = Case::of(Kind::Kexec) else { return };
    let place = tempfile::NamedTempFile::new().unwrap();
    let pid = case.play(|| {
        let file = File::open(place.path()).expect("a file");
        assert!(call(libc::SYS_kexec_load, [0, 99, 0, 0x3e_0000]) < 0);
        let image = [descriptor(&file), number(-1), 1, text(c""), 4 /* NO_INITRAMFS */];
        assert!(call(libc::SYS_kexec_file_load, image) < 0);
    });
    let events = case.did(pid);
    let told: Vec<_> =
        events.iter().map(|e| (e.op, e.errno != 0, e.arguments[0], e.arguments[1], e.from_memory)).collect();
    assert_eq!(told, [(op::KEXEC_LOAD, true, 0x3e_0000, 99, true), (op::KEXEC_FILE_LOAD, true, 4, 0, false)]);
    assert!(events[1].path.ends_with(place.path().file_name().unwrap().as_encoded_bytes()));
    case.pass();
}

/// Attributes of bpf(), as words of 64 bits.
type Attributes = [u64; 16];

fn bpf(command: usize, attributes: &mut Attributes) -> isize {
    call(libc::SYS_bpf, [command, room(attributes), size_of::<Attributes>()])
}

/// Loads a program of this type that returns 0; `name` is what it is called.
fn load(kind: u32, name: &[u8; 8], instructions: &[u64]) -> isize {
    let mut attributes: Attributes = [0; 16];
    attributes[0] = u64::from(kind) | (instructions.len() as u64) << 32;
    attributes[1] = instructions.as_ptr().expose_provenance() as u64;
    attributes[2] = text(c"GPL") as u64;
    attributes[6] = u64::from_ne_bytes(*name);
    bpf(5, &mut attributes)
}

/// `r0 = 0; exit`
const NOTHING: [u64; 2] = [0xb7, 0x95];

#[test]
#[ignore = "needs root and BPF"]
fn bpf_programs_are_told_by_what_the_kernel_made_of_them() {
    let Some(mut case) = Case::of(Kind::Bpf) else { return };
    let pid = case.play(|| {
        let program = load(17 /* raw tracepoint */, b"se_test\0", &NOTHING);
        assert!(program >= 0, "{program}");
        assert!(load(1, b"se_bad\0\0", &[0x95]) < 0);
        let mut attributes: Attributes = [0; 16];
        attributes[0] = text(c"sys_enter") as u64;
        attributes[1] = program.cast_unsigned() as u64;
        let link = bpf(17, &mut attributes);
        assert!(link >= 0, "{link}");
        // A map of its own is nobody's business.
        let map = bpf(0, &mut [2 | 4 << 32, 4 | 1 << 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert!(map >= 0, "{map}");
        bpf(
            1,
            &mut [
                map.cast_unsigned() as u64,
                address(&0_u32) as u64,
                address(&0_u64) as u64,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
            ],
        );
    });
    let events = case.did(pid);
    let told: Vec<_> =
        events.iter().map(|e| (e.op, e.errno != 0, e.arguments[1], e.arguments[2], e.name)).collect();
    assert_eq!(told[0], (5, false, 2, 17, &b"se_test"[..]));
    assert_eq!(told[1], (5, true, 2, 1, &b"se_bad"[..]));
    assert_eq!(told[2], (17, false, 3, 1, &b"se_test"[..]));
    assert_eq!((events[2].path, told.len()), (&b"sys_enter"[..], 3));
    // The program behind the link is the one that was loaded.
    assert_eq!(
        (events[2].arguments[5], events[2].arguments[4]),
        (events[0].arguments[0], events[0].arguments[4])
    );
    assert_ne!((events[0].arguments[0], events[0].arguments[4]), (0, 0));
    assert!(events[1].origin.grade_user && !events[0].origin.grade_user);
    case.pass();
}

#[test]
#[ignore = "needs root and BPF"]
fn whoever_reaches_for_an_object_of_the_agent_is_told() {
    let Some(mut case) = Case::of(Kind::Bpf) else { return };
    let pid = case.play(|| {
        let mut attributes: Attributes = [0; 16];
        // Every map there is, by its id, and an attempt to empty it of its first key.
        while bpf(12 /* MAP_GET_NEXT_ID */, &mut attributes) == 0 {
            attributes[0] >>= 32;
            let map = bpf(14 /* MAP_GET_FD_BY_ID */, &mut attributes);
            if map >= 0 {
                let key = [0_u64; 64];
                let mut element = [
                    map.cast_unsigned() as u64,
                    address(&key) as u64,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                ];
                bpf(3 /* MAP_DELETE_ELEM */, &mut element);
                call(libc::SYS_close, [map.cast_unsigned()]);
            }
        }
    });
    let events = case.did(pid);
    assert!(
        events.iter().all(|e| e.own_object && e.arguments[1] == 1 && matches!(e.op, 3 | 14)),
        "{events:#?}"
    );
    for command in [3, 14] {
        let names: Vec<_> = events.iter().filter(|e| e.op == command).map(|e| e.name).collect();
        assert!(
            names.contains(&&b"se_ring"[..]) && names.contains(&&b"se_own_ids"[..]),
            "{command}: {names:?}"
        );
    }
    // What this process, which stands for the agent, does to its own maps is not told.
    case.rig.refresh();
    assert!(case.did(std::process::id()).iter().all(|e| !matches!(e.op, 1..=4 | 24)));
    case.pass();
}

#[test]
#[ignore = "needs root and BPF"]
fn performance_events_are_told() {
    let Some(mut case) = Case::of(Kind::PerfEvent) else { return };
    let pid = case.play(|| {
        // struct perf_event_attr: type and size, config.
        let mut attributes = [0_u64; 16];
        (attributes[0], attributes[1]) = (1 | 64 << 32, 9 /* a dummy */);
        must(libc::SYS_perf_event_open, [address(&attributes), 0, number(-1), number(-1), 8]);
        attributes[0] = 0xfff0 | 64 << 32;
        assert!(call(libc::SYS_perf_event_open, [address(&attributes), number(-1), 0, number(-1), 0]) < 0);
    });
    let events = case.did(pid);
    let told: Vec<_> = events
        .iter()
        .map(|e| {
            (e.op, e.errno != 0, e.arguments[0], e.arguments[1].cast_signed(), e.arguments[2].cast_signed())
        })
        .collect();
    assert_eq!(told, [(1, false, 9, 0, -1), (0xfff0, true, 9, -1, 0)]);
    case.pass();
}

#[test]
#[ignore = "needs root and BPF"]
fn rings_are_told_and_those_that_are_refused() {
    let Some(mut case) = Case::of(Kind::IoUring) else { return };
    let pid = case.play(|| {
        let mut parameters = [0_u32; 30];
        parameters[2] = 8; // IORING_SETUP_CQSIZE
        parameters[1] = 64;
        // Some hosts forbid it to everybody.
        call(libc::SYS_io_uring_setup, [4, room(&mut parameters)]);
        parameters[2] = 1 << 30;
        assert!(call(libc::SYS_io_uring_setup, [4, room(&mut parameters)]) < 0);
    });
    let events = case.did(pid);
    let made = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").is_ok_and(|t| t.trim() == "2");
    if case.has(Hook::IoUringCreate) && !made {
        assert_eq!((events[0].errno, &events[0].arguments[..3]), (0, &[4, 64, 8][..]));
        assert_eq!(events[0].origin.hook, Hook::IoUringCreate);
    }
    if case.has(Hook::SysExit) {
        let refused = events.last().unwrap();
        assert_ne!(refused.errno, 0);
        assert_eq!((refused.arguments[0], refused.arguments[2]), (4, 1 << 30));
    }
    case.pass();
}
