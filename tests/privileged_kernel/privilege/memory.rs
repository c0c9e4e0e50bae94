//! Memory that is executed, files in memory, and page faults that somebody else handles.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;

use nix::libc;
use sentinel_edge::event::privilege::op;
use sentinel_edge::event::{Kind, Privilege};

use super::{Case, call, descriptor, must, number, text};
use crate::rig::Options;

const READ: usize = 1;
const WRITE: usize = 2;
const EXEC: usize = 4;
const SHARED: usize = 1;
const PRIVATE: usize = 2;
const ANONYMOUS: usize = 32;
const PAGE: usize = 65536;

fn map(protection: usize, flags: usize, file: usize) -> usize {
    must(libc::SYS_mmap, [0, PAGE, protection, flags, file, 0])
}

fn protect(address: usize, protection: usize) {
    must(libc::SYS_mprotect, [address, PAGE, protection]);
}

fn touch(address: usize) {
    let byte: *mut u8 = std::ptr::with_exposed_provenance_mut(address);
    // SAFETY: the callers have just mapped this page writable.
    unsafe { byte.write_volatile(1) };
}

/// What an event says of the memory: operation, anonymous, written, writable and executable, flipped.
fn said(event: &Privilege<'_>) -> (u32, bool, bool, bool, bool) {
    (event.op, event.anonymous, event.written, event.write_exec, event.flip)
}

fn executable_memory(bounded: bool) {
    let Some(mut case) = Case::with(Kind::MemoryExec, Options { bounded, ..Options::DEFAULT }) else {
        return;
    };
    let mut place = tempfile::NamedTempFile::new().expect("a file");
    place.write_all(&[0; PAGE]).expect("room");
    let pid = case.play(|| {
        let none = number(-1);
        let file = File::options().read(true).write(true).open(place.path()).expect("a file");
        let file = descriptor(&file);
        // Data, and code as it is in a file: nobody's business.
        let data = map(READ | WRITE, PRIVATE | ANONYMOUS, none);
        protect(data, READ);
        let plain = map(READ | EXEC, PRIVATE, file);
        protect(plain, READ);

        map(READ | WRITE | EXEC, PRIVATE | ANONYMOUS, none);
        touch_and_flip(map(READ | WRITE, PRIVATE | ANONYMOUS, none));
        touch_and_flip(map(READ | WRITE, PRIVATE, file));
        map(READ | EXEC, SHARED, file);
        let memfd = must(libc::SYS_memfd_create, [text(c"code"), 0]);
        must(libc::SYS_ftruncate, [memfd, PAGE]);
        map(READ | EXEC, PRIVATE, memfd);
        // Whatever can be read can be executed.
        must(libc::SYS_personality, [0x0040_0000]);
        map(READ | WRITE, PRIVATE | ANONYMOUS, none);
    });
    let events = case.did(pid);
    let told: Vec<_> = events.iter().map(said).collect();
    if events.iter().any(|e| e.unsure) {
        // The bounded programs know the areas of old kernels only; here they go by the arguments.
        assert!(bounded && told.contains(&(op::EXEC_MMAP, true, true, true, false)));
    } else {
        assert_eq!(
            told,
            [
                (op::EXEC_MMAP, true, true, true, false),
                (op::EXEC_MPROTECT, true, true, false, true),
                (op::EXEC_MPROTECT, false, true, false, true),
                (op::EXEC_MMAP, false, true, false, false),
                (op::EXEC_MMAP, false, false, false, false),
                (op::EXEC_MMAP, true, true, true, false),
            ],
            "{events:#?}"
        );
        let inode = place.as_file().metadata().expect("its inode").ino();
        assert_eq!(
            (events[2].object.expect("a file").inode, events[3].object.expect("a file").inode),
            (inode, inode)
        );
        assert!(events[2].path.ends_with(place.path().file_name().expect("a name").as_encoded_bytes()));
        assert!(events[4].object.expect("a file").memfd);
        assert_eq!((events[0].arguments[1], events[0].arguments[2]), (PAGE as u64, 7));
    }
    case.pass();
}

fn touch_and_flip(address: usize) {
    touch(address);
    protect(address, READ | EXEC);
}

#[test]
#[ignore = "needs root and BPF"]
fn memory_of_its_own_that_a_process_executes_is_told() {
    executable_memory(false);
}

#[test]
#[ignore = "needs root and BPF"]
fn without_the_helper_the_areas_are_looked_up_otherwise() {
    executable_memory(true);
}

#[test]
#[ignore = "needs root and BPF"]
fn starting_a_program_makes_no_event() {
    let Some(mut case) = Case::of(Kind::MemoryExec) else { return };
    let (pid, _) = case.rig.run(&mut std::process::Command::new("/bin/true"));
    assert!(case.did(pid).is_empty(), "{:#?}", case.did(pid));
}

#[test]
#[ignore = "needs root and BPF"]
fn files_in_memory_are_told_by_their_name() {
    let Some(mut case) = Case::of(Kind::Memfd) else { return };
    let pid = case.play(|| {
        must(libc::SYS_memfd_create, [text(c"pay load"), 1 | 2]);
        assert!(call(libc::SYS_memfd_create, [text(c"refused"), 0x4000_0000]) < 0);
        // Many kernels have it switched off.
        call(libc::SYS_memfd_secret, [0]);
    });
    let events = case.did(pid);
    assert_eq!(
        (events[0].op, events[0].name, events[0].arguments[0]),
        (op::MEMFD_CREATE, &b"pay load"[..], 3)
    );
    assert!(events[0].object.unwrap().memfd);
    assert!(events[1..].iter().all(|e| e.op == op::MEMFD_SECRET) && events.len() <= 2);
    case.pass();
}

#[test]
#[ignore = "needs root and BPF"]
fn a_flood_of_executable_memory_is_merged_and_counted() {
    let window = Some(std::time::Duration::from_secs(60));
    let options = Options { merge_window: window, ..Options::DEFAULT };
    let Some(mut case) = Case::with(Kind::MemoryExec, options) else { return };
    let pid = case.play(|| {
        for _ in 0..500 {
            let address = map(READ | WRITE | EXEC, PRIVATE | ANONYMOUS, number(-1));
            must(libc::SYS_munmap, [address, PAGE]);
        }
    });
    assert_eq!(case.did(pid).len(), 1);
    case.pass();
}

#[test]
#[ignore = "needs root and BPF"]
fn page_faults_in_other_hands_are_told() {
    let Some(mut case) = Case::of(Kind::Userfaultfd) else { return };
    let pid = case.play(|| {
        // A kernel may lack it, and older ones do not know the flag.
        call(libc::SYS_userfaultfd, [1]);
        assert!(call(libc::SYS_userfaultfd, [0x4000_0000]) < 0);
    });
    let events = case.did(pid);
    assert_eq!((events[0].arguments[0], events[1].arguments[0]), (1, 0x4000_0000));
    assert_ne!(events[1].errno, 0);
    case.pass();
}
