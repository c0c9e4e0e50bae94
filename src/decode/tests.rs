//! Roundtrips, truncation at every length, hostile bytes; and what a record costs.

#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    reason = "a test may panic"
)]

mod arbitrary;

use std::hint::black_box;
use std::mem::offset_of;
use std::time::Instant;

use proptest::prelude::*;

use super::synth::{encode, samples};
use super::*;
use crate::kernel::abi::fixed_len;
use crate::kernel::abi::types::{
    se_cgroup, se_exec, se_exec_failed, se_fork, se_image, se_privilege, se_snapshot, se_task,
};

/// A record of this kind, as the samples have it first.
fn record(kind: Kind) -> Vec<u8> {
    encode(&samples().iter().find(|s| s.event.kind() == kind).unwrap().event)
}

fn put_u32(record: &mut [u8], at: usize, value: u32) {
    record[at..at + 4].copy_from_slice(&value.to_ne_bytes());
}

/// Makes the header's length that of the record, so that a cut or a growth gets past the first check.
fn settle_length(record: &mut [u8]) {
    let length = u32::try_from(record.len()).unwrap();
    put_u32(record, offset_of!(se_header, len), length);
}

/// Where each kind keeps its (offset, length) pairs.
fn pieces() -> Vec<(Kind, &'static str, usize)> {
    let image = |kind, at: usize| {
        [
            (kind, "image.exe", at + offset_of!(se_image, exe)),
            (kind, "image.cwd", at + offset_of!(se_image, cwd)),
        ]
    };
    let mut all = vec![
        (Kind::Exec, "filename", offset_of!(se_exec, filename)),
        (Kind::Exec, "interp", offset_of!(se_exec, interp)),
        (Kind::Exec, "args_head", offset_of!(se_exec, args_head)),
        (Kind::Exec, "args_tail", offset_of!(se_exec, args_tail)),
        (Kind::Exec, "env", offset_of!(se_exec, env)),
        (Kind::ExecFailed, "filename", offset_of!(se_exec_failed, filename)),
        (Kind::ExecFailed, "args", offset_of!(se_exec_failed, args)),
        (Kind::ExecFailed, "cwd", offset_of!(se_exec_failed, cwd)),
        (Kind::Cgroup, "path", offset_of!(se_cgroup, path)),
        (Kind::Module, "name", offset_of!(se_privilege, name)),
        (Kind::Module, "path", offset_of!(se_privilege, path)),
    ];
    all.extend(image(Kind::Exec, offset_of!(se_exec, image)));
    all.extend(image(Kind::Snapshot, offset_of!(se_snapshot, image)));
    all
}

#[test]
fn samples_come_back_as_they_were() {
    for sample in samples() {
        let record = encode(&sample.event);
        assert_eq!(decode(&record), Ok(sample.event.clone()), "{}", sample.name);
        let header = header(&record).unwrap();
        assert_eq!((header.time_ns, header.cpu), (sample.event.time_ns, sample.event.cpu));
        assert_eq!((header.kind, header.len as usize), (sample.event.kind(), record.len()));
    }
}

#[test]
fn samples_set_every_kind_and_every_flag() {
    let samples = samples();
    for kind in Kind::ALL {
        assert!(samples.iter().any(|s| s.event.kind() == *kind), "no sample of {kind}");
    }
    let all = format!("{samples:?}");
    for flag in [
        "kernel_thread",
        "compat",
        "seccomp",
        "no_new_privs",
        "agent",
        "memfd",
        "overlay",
        "overlay_upper",
        "executable_cut",
        "cwd_cut",
        "executable_detached",
        "cwd_detached",
        "cwd_deleted",
        "args_cut",
        "args_fault",
        "env_cut",
        "env_fault",
        "filename_cut",
        "filename_fault",
        "script",
        "secure",
        "by_fd",
        "via_io_uring",
        "grade_user",
        "trimmed",
        "own_object",
        "anonymous",
        "written",
        "write_exec",
        "flip",
        "leaves",
        "from_memory",
        "unload",
        "unsure",
    ] {
        assert!(all.contains(&format!("{flag}: true")), "no sample with {flag}");
    }
}

#[test]
fn a_record_cut_anywhere_is_an_error_that_says_so() {
    for sample in samples() {
        let (whole, kind) = (encode(&sample.event), sample.event.kind());
        for length in 0..whole.len() {
            let stated = u32::try_from(whole.len()).unwrap();
            let expected = match length {
                0..16 => Error::NoHeader { found: length },
                _ => Error::Length { kind, stated, found: length },
            };
            assert_eq!(decode(&whole[..length]), Err(expected));

            // The same with a header that agrees with the cut: the fixed part or a piece is missing then.
            let mut cut = whole[..length].to_vec();
            if length < 16 {
                continue;
            }
            settle_length(&mut cut);
            let needed = fixed_len(kind);
            match decode(&cut) {
                Err(Error::Short { kind: k, needed: n, found }) => {
                    assert!((k, n, found) == (kind, needed, length) && length < needed);
                }
                Err(Error::Outside { kind: k, end, .. }) => {
                    assert!((k, end) == (kind, length) && length >= needed)
                }
                other => panic!("{} cut to {length}: {other:?}", sample.name),
            }
        }
    }
}

#[test]
fn a_record_longer_than_it_says_is_an_error() {
    let mut long = record(Kind::Fork);
    let stated = u32::try_from(long.len()).unwrap();
    long.push(0);
    assert_eq!(decode(&long), Err(Error::Length { kind: Kind::Fork, stated, found: long.len() }));
    // Bytes behind the last piece that nothing points to are no harm, if the header knows of them.
    settle_length(&mut long);
    assert!(decode(&long).is_ok());
}

#[test]
fn unknown_kinds_are_errors() {
    for number in [0, Kind::ALL.iter().map(|&kind| kind as u16).max().unwrap() + 1, u16::MAX] {
        let mut record = record(Kind::Exec);
        let at = offset_of!(se_header, kind);
        record[at..at + 2].copy_from_slice(&number.to_ne_bytes());
        assert_eq!(decode(&record), Err(Error::UnknownKind { number }));
    }
}

#[test]
fn pieces_outside_of_the_tail_are_errors_that_name_them() {
    for (kind, field, at) in pieces() {
        let valid = record(kind);
        let (start, end) = (fixed_len(kind), valid.len());
        let (first, last) = (u32::try_from(start).unwrap(), u32::try_from(end).unwrap());
        let with = |offset, length| {
            let mut record = valid.clone();
            put_u32(&mut record, at, offset);
            put_u32(&mut record, at + 4, length);
            record
        };
        for (offset, length) in [
            (0, 1),         // no offset, but a length: the header would be read as text
            (1, 0),         // within the fixed part, even if empty
            (first - 1, 1), // the fixed part's last byte
            (last, 1),      // one byte too far
            (first, last - first + 1),
            (last + 1, 0), // empty, and still outside
            (u32::MAX, 1), // sums that would wrap in 32 bits
            (u32::MAX, u32::MAX),
            (first, u32::MAX),
            (0, u32::MAX),
        ] {
            let expected = Error::Outside { kind, field, offset, length, start, end };
            assert_eq!(decode(&with(offset, length)), Err(expected));
        }
        for (offset, length) in [(0, 0), (first, 0), (last, 0), (first, last - first), (last - 1, 1)] {
            assert!(decode(&with(offset, length)).is_ok(), "{kind} {field} {offset}+{length}");
        }
    }
}

#[test]
fn an_interpreter_may_be_empty_and_present() {
    let mut event = samples().swap_remove(1).event;
    let Body::Exec(exec) = &mut event.body else { panic!("the second sample is a script") };
    exec.interpreter = Some(b"");
    assert_eq!(decode(&encode(&event)), Ok(event));
}

#[test]
fn values_that_cannot_be_are_errors() {
    for error in [0, 1, -4096, i32::MIN, i32::MAX] {
        let mut record = record(Kind::ExecFailed);
        put_u32(&mut record, offset_of!(se_exec_failed, error), error.cast_unsigned());
        let expected = Error::Value { kind: Kind::ExecFailed, field: "error", value: error.into() };
        assert_eq!(decode(&record), Err(expected));
    }
    for op in [0, 4, u32::MAX] {
        let mut record = record(Kind::Cgroup);
        put_u32(&mut record, offset_of!(se_cgroup, op), op);
        let expected = Error::Value { kind: Kind::Cgroup, field: "op", value: op.into() };
        assert_eq!(decode(&record), Err(expected));
    }
}

#[test]
fn numbers_that_stand_for_nothing_become_none() {
    let mut record = record(Kind::Fork);
    let at = |offset: usize| offset_of!(se_fork, task) + offset;
    put_u32(&mut record, at(offset_of!(se_task, loginuid)), u32::MAX);
    put_u32(&mut record, at(offset_of!(se_task, sessionid)), 0);
    put_u32(&mut record, at(offset_of!(se_task, tty_major)), 0);
    put_u32(&mut record, at(offset_of!(se_task, tty_minor)), 0);
    let event = decode(&record).unwrap();
    let task = event.task().unwrap();
    assert_eq!((task.loginuid, task.sessionid, task.tty), (None, Some(0), None));
}

/// Fields keep their names from `abi.h` to the event. The encoder and the decoder could agree on a mix-up, so
/// this one reads the numbers off the bytes.
#[test]
fn every_number_comes_from_the_field_of_its_name() {
    let mut record: Vec<u8> = (0..fixed_len(Kind::Snapshot)).map(|at| (at * 151 + at / 256) as u8).collect();
    record[..size_of::<se_header>()].copy_from_slice(&self::record(Kind::Snapshot)[..size_of::<se_header>()]);
    settle_length(&mut record);
    let (task_at, image_at) = (offset_of!(se_snapshot, task), offset_of!(se_snapshot, image));
    for piece in [offset_of!(se_image, exe), offset_of!(se_image, cwd)] {
        record[image_at + piece..][..8].fill(0);
    }
    put_u32(&mut record, image_at + offset_of!(se_image, flags), 0);

    let event = decode(&record).unwrap();
    let Body::Snapshot(snapshot) = event.body else { panic!("a snapshot") };
    let (task, program) = (snapshot.task, snapshot.program.unwrap());
    macro_rules! compare {
        ($event:ident, $raw:ty, $at:expr; $($field:ident)+) => {$(
            let bytes = $event.$field.to_ne_bytes();
            let at = $at + offset_of!($raw, $field);
            assert_eq!(bytes, record[at..at + bytes.len()], stringify!($field));
        )+};
    }
    compare! { task, se_task, task_at;
        start_ns parent_start_ns leader_start_ns cgroup_id
        cap_permitted cap_effective cap_inheritable cap_bounding cap_ambient
        pid tid ppid sid pgid ns_pid ns_tid uid gid euid egid suid sgid fsuid fsgid
        mnt_ns pid_ns net_ns user_ns uts_ns ipc_ns cgroup_ns hierarchy
    }
    compare! { program, se_image, image_at;
        inode mtime_ns ctime_ns size_bytes fs_magic mode owner_uid owner_gid nlink
    }
    let raw = se_snapshot::read(&record).unwrap();
    assert_eq!((task.loginuid, task.sessionid), (Some(raw.task.loginuid), Some(raw.task.sessionid)));
    assert_eq!(task.tty, Some((raw.task.tty_major, raw.task.tty_minor)));
    assert_eq!(program.device, (raw.image.dev_major, raw.image.dev_minor));
}

#[test]
fn names_end_at_the_first_nul() {
    let mut record = record(Kind::Fork);
    let at = offset_of!(se_fork, task) + offset_of!(se_task, comm);
    record[at..at + 16].copy_from_slice(b"new\0of something");
    assert_eq!(decode(&record).unwrap().task().unwrap().comm, b"new");
    record[at..at + 16].copy_from_slice(b"sixteen-bytes-ok");
    assert_eq!(decode(&record).unwrap().task().unwrap().comm, b"sixteen-bytes-ok");
    record[at] = 0;
    assert_eq!(decode(&record).unwrap().task().unwrap().comm, b"");
}

#[test]
fn unknown_flags_are_ignored() {
    let plain = record(Kind::Fork);
    let mut flagged = plain.clone();
    put_u32(&mut flagged, offset_of!(se_fork, task) + offset_of!(se_task, flags), 1 << 31);
    assert_eq!(decode(&flagged), decode(&plain));
}

#[test]
fn errors_say_what_is_wrong_with_what() {
    let outside =
        Error::Outside { kind: Kind::Exec, field: "env", offset: 7, length: 9, start: 392, end: 567 };
    assert_eq!(outside.to_string(), "exec record: env of 9 bytes at 7 is not within its tail, 392 to 567");
    let length = Error::Length { kind: Kind::Fork, stated: 248, found: 100 };
    assert_eq!(length.to_string(), "fork record: its header says 248 bytes, there are 100");
}

proptest! {
    #[test]
    fn any_event_survives_the_roundtrip(stock in arbitrary::stock(), shift in 0..8usize) {
        let event = stock.event();
        // Records in a capture begin at any address.
        let mut bytes = vec![0; shift];
        bytes.extend(encode(&event));
        prop_assert_eq!(decode(&bytes[shift..]), Ok(event));
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1000)) {
        let _ = decode(&bytes);
    }

    /// Random fixed parts behind a header that passes: the checks further in get their turn.
    #[test]
    fn random_bodies_never_panic(
        kind in proptest::sample::select(Kind::ALL),
        mut bytes in proptest::collection::vec(any::<u8>(), 16..1000),
    ) {
        let at = offset_of!(se_header, kind);
        bytes[at..at + 2].copy_from_slice(&(kind as u16).to_ne_bytes());
        settle_length(&mut bytes);
        if let Err(error) = decode(&bytes) {
            let early = matches!(error, Error::NoHeader { .. } | Error::UnknownKind { .. } | Error::Length { .. });
            prop_assert!(!early, "{}", error);
        }
    }

    /// Whatever bits turn over in a valid record, the event lies within it.
    #[test]
    fn damaged_records_never_panic(stock in arbitrary::stock(), at in any::<prop::sample::Index>(), bit in 0..8u32) {
        let mut bytes = encode(&stock.event());
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(event) = decode(&bytes) {
            prop_assert_eq!(event.kind(), header(&bytes).unwrap().kind);
        }
    }
}

/// `cargo test --release decode_cost -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, not a check"]
fn decode_cost() {
    // Unoptimised it only shows that it runs.
    const TURNS: u32 = if cfg!(debug_assertions) { 2_000 } else { 2_000_000 };
    for sample in samples() {
        let record = encode(&sample.event);
        let best = (0..5).map(|_| {
            let started = Instant::now();
            for _ in 0..TURNS {
                black_box(decode(black_box(&record))).unwrap();
            }
            started.elapsed() / TURNS
        });
        println!("{:>24} {:>5} bytes {:?}", sample.name, record.len(), best.min().unwrap());
    }
}
