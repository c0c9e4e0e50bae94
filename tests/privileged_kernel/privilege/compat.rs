//! 32-bit callers: other numbers, other registers, other structs.

#![cfg(target_arch = "x86_64")]

use std::arch::asm;

use nix::libc;
use sentinel_edge::event::privilege::op;
use sentinel_edge::event::{Body, Kind};

use super::{Case, must};

/// A system call by the way in of 32-bit programs.
fn call_32(number: u32, arguments: [u32; 5]) -> i32 {
    let [a, b, c, d, e] = arguments.map(u64::from);
    let mut result = u64::from(number);
    // SAFETY: as `super::call`. The kernel keeps all registers but rax on this way; rbx cannot be named, so it is
    // exchanged before and after. r8 to r11 are lost on some kernels.
    unsafe {
        asm!(
            "xchg rbx, {a}", "int 0x80", "xchg rbx, {a}",
            a = inout(reg) a => _,
            inout("rax") result, in("rcx") b, in("rdx") c, in("rsi") d, in("rdi") e,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    #[expect(clippy::cast_possible_truncation, reason = "32 bits are what comes back")]
    {
        result as i32
    }
}

/// Memory that 32 bits can address, with these bytes at its beginning.
fn low(bytes: &[u8]) -> u32 {
    const PRIVATE_ANONYMOUS_32: usize = 2 | 32 | 64;
    let at = must(libc::SYS_mmap, [0, 4096, 3, PRIVATE_ANONYMOUS_32, usize::MAX, 0]);
    let to: *mut u8 = std::ptr::with_exposed_provenance_mut(at);
    // SAFETY: a page that was just mapped, longer than any of the callers' bytes.
    unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    u32::try_from(at).expect("an address of 32 bits")
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

#[test]
#[ignore = "needs root and BPF"]
fn old_calls_with_16_bit_ids_are_understood() {
    let Some(mut case) = Case::of(Kind::Credentials) else { return };
    let pid = case.play(|| {
        assert_eq!(call_32(170 /* setresgid16 */, [0xffff, 1234, 0xffff, 0, 0]), 0);
        assert_eq!(call_32(208 /* setresuid32 */, [70_000, 70_001, 70_002, 0, 0]), 0);
        assert_eq!(call_32(213 /* setuid32 */, [0; 5]), -1);
    });
    let events: Vec<_> = case
        .rig
        .events()
        .filter_map(|event| match event.body {
            Body::Credentials(event) if event.task.pid == pid => {
                Some((event.errno, event.asked, event.task.suid))
            }
            _ => None,
        })
        .collect();
    const NONE: u32 = u32::MAX;
    if super::credentials::tells_changes_alone(&case) {
        let (changes, refusals) = events.split_at(2);
        assert_eq!(changes, [(0, [NONE; 4], 0), (0, [NONE; 4], 70_002)]);
        assert_eq!(refusals.len(), usize::from(super::credentials::tells_refusals(&case)));
    } else {
        assert_eq!(
            events,
            [
                (0, [NONE, 1234, NONE, NONE], 0),
                (0, [70_000, 70_001, 70_002, NONE], 70_002),
                (1, [0, NONE, NONE, NONE], 70_002),
            ]
        );
    }
    case.pass();
}

#[test]
#[ignore = "needs root and BPF"]
fn memory_mapped_with_a_struct_of_arguments_is_told() {
    let Some(mut case) = Case::of(Kind::MemoryExec) else { return };
    let pid = case.play(|| {
        let arguments = low(&words(&[0, 4096, 7, 0x22, u32::MAX, 0]));
        assert!(call_32(90 /* the oldest mmap */, [arguments, 0, 0, 0, 0]).cast_unsigned() < 0xffff_f000);
        let data = low(&[0]);
        assert_eq!(call_32(125 /* mprotect */, [data, 4096, 5, 0, 0]), 0);
    });
    let events = case.did(pid);
    let told: Vec<_> =
        events.iter().map(|e| (e.op, e.arguments[1], e.arguments[2], e.arguments[3])).collect();
    assert_eq!(told, [(op::EXEC_MMAP, 4096, 7, 0x22), (op::EXEC_MPROTECT, 4096, 5, 0)]);
    assert!(events[0].write_exec && events[1].flip, "{events:#?}");
    case.pass();
}

#[test]
#[ignore = "needs root and BPF"]
fn narrow_times_and_paths_are_read_as_such() {
    if let Some(mut case) = Case::of(Kind::Clock) {
        let pid = case.play(|| {
            super::lower();
            let time = low(&words(&[1_500_000_000, 42]));
            assert_eq!(call_32(264 /* clock_settime */, [0, time, 0, 0, 0]), -1);
            assert_eq!(call_32(25 /* stime */, [time, 0, 0, 0, 0]), -1);
            // modes, offset, frequency.
            let timex = low(&words(&[2, 0, (-65_536_i32).cast_unsigned()]));
            assert_eq!(call_32(124 /* adjtimex */, [timex, 0, 0, 0, 0]), -1);
        });
        let events = case.did(pid);
        let told: Vec<_> = events.iter().map(|e| (e.op, e.arguments[1], e.arguments[2])).collect();
        assert_eq!(told[..2], [(op::CLOCK_SET, 1_500_000_000, 42), (op::CLOCK_SET, 1_500_000_000, 0)]);
        assert_eq!((events[2].arguments[3], events[2].arguments[5].cast_signed()), (2, -65_536));
        case.pass();
    }
    if let Some(mut case) = Case::of(Kind::Swap) {
        let pid = case.play(|| {
            assert!(call_32(87 /* swapon */, [low(b"/no/such/swap\0"), 0, 0, 0, 0]) < 0);
        });
        assert_eq!(case.did(pid)[0].path, b"/no/such/swap");
        case.pass();
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn numbers_in_32_bit_registers_are_told() {
    if let Some(mut case) = Case::of(Kind::Memfd) {
        let pid = case.play(|| {
            assert!(call_32(356 /* memfd_create */, [low(b"narrow\0"), 1, 0, 0, 0]) >= 0);
        });
        assert_eq!(case.did(pid)[0].name, b"narrow");
        case.pass();
    }
    if let Some(mut case) = Case::of(Kind::Ptrace) {
        let pid = case.play(|| {
            let child = u32::try_from(super::sleeper()).expect("a pid");
            assert_eq!(call_32(26 /* ptrace */, [0x4206, child, 0, 0, 0]), 0);
            super::kill(child as usize);
        });
        let child = case.children(pid)[0];
        assert_eq!(case.did(pid)[0].target.unwrap().pid, child);
        case.pass();
    }
}
