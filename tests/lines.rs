//! Golden lines: every golden record of `tests/data/records` through decode and the writer of lines, and the agent's
//! records about itself, as they come out. Each is held against the published ECS field list.
//!
//! `tests/data/lines/<name>.json` is the line, byte for byte. `WRITE_GOLDEN=1 cargo test --test lines` writes all of
//! them anew; docs/events.md is made from them, so run `make docs` after it.

mod ecs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs};

use sentinel_edge::decode::decode;
use sentinel_edge::event::ecs::own::{self, Gap};
use sentinel_edge::event::ecs::{Context, Frame, Names, line};
use sentinel_edge::event::process::{Container, EntityId, Image, Labels, Process, Runtime};
use sentinel_edge::event::{BootId, Host, Kind};
use serde_json::Value;

/// 2026-01-02 03:04:05 UTC, nanoseconds since the Unix epoch.
const BOOT_WALL_NS: i64 = 1_767_323_045_000_000_000;

/// Names that the writer would get from the host.
struct Passwd;

impl Names for Passwd {
    fn user(&self, uid: u32) -> Option<Arc<str>> {
        match uid {
            0 => Some("root".into()),
            1000 => Some("alice".into()),
            // Not every id has a name.
            _ => None,
        }
    }

    fn group(&self, gid: u32) -> Option<Arc<str>> {
        self.user(gid)
    }
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn host() -> Host {
    Host {
        name: "node-1".into(),
        hostname: "node-1".into(),
        id: Some("4f2e6c0d1b3a49588776655443322110".into()),
        architecture: "x86_64".into(),
        kernel: "6.1.0-31-amd64".into(),
        os_name: Some("Debian GNU/Linux".into()),
        os_version: Some("12".into()),
        boot_id: BootId::parse("0f0e0d0c-0b0a-0908-0706-050403020100").expect("a boot id"),
        ip: vec!["192.0.2.7".into(), "2001:db8::7".into()],
    }
}

fn frame() -> Frame {
    let mut frame = Frame::new(&host(), ["LD_PRELOAD".to_owned()].into(), 16);
    frame.wall_offset_ns = BOOT_WALL_NS;
    frame.created_ns = u64::try_from(BOOT_WALL_NS).expect("after 1970") + 86_400_000_000_000;
    frame
}

fn process(pid: u32, executable: &str, args: &[u8], creator: Option<Arc<Process>>) -> Arc<Process> {
    let image = Image {
        executable: executable.as_bytes().into(),
        args: args.into(),
        args_len: u64::try_from(args.len()).expect("short"),
        cwd: b"/root"[..].into(),
        ..Image::default()
    };
    let depth = creator.as_ref().map_or(0, |c| c.depth + 1);
    let entity_id = EntityId([u8::try_from(pid % 256).expect("below 256"); 16]);
    Arc::new(Process { pid, start_ns: 1_000_000_000, entity_id, image: Arc::new(image), creator, depth })
}

/// What the process table and the control groups know; containers only where the sample is in one.
fn context(name: &str, sequence: u64) -> Context {
    let init = process(1, "/usr/lib/systemd/systemd", b"/sbin/init\0", None);
    let shell = process(70, "/usr/bin/bash", b"-bash\0", Some(Arc::clone(&init)));
    let subject = process(71, "/usr/bin/id", b"id\0-u\0", Some(Arc::clone(&shell)));
    let in_container = name.contains("container");
    let container = Container {
        id: "6d2f5e7c8b9a6d2f5e7c8b9a6d2f5e7c8b9a6d2f5e7c8b9a6d2f5e7c8b9a6d2f".into(),
        runtime: Runtime::Containerd,
        pod_uid: Some("0c9a8b7d-6e5f-4a3b-2c1d-0e9f8a7b6c5d".into()),
        labels: Box::new(Labels {
            name: Some("web".into()),
            image: Some("registry.example.org/shop/web:1.4@sha256:6d2f5e7c".into()),
            pod: Some("web-7c5d9-x2x4q".into()),
            namespace: Some("shop".into()),
        })
        .into(),
    };
    Context {
        sequence,
        process: Some(subject),
        parent: Some(Arc::clone(&shell)),
        target: name.starts_with("ptrace").then(|| process(811, "/usr/sbin/sshd", b"", None)),
        session_leader: Some(shell.entity_id),
        container: in_container.then(|| Arc::new(container)),
        cgroup_path: Some(if in_container {
            "/kubepods/pod0c9a".into()
        } else {
            "/user.slice/user-0.slice".into()
        }),
        destination_domain: matches!(name, "net_connect" | "net_flow").then(|| "www.example.org".into()),
        ..Context::default()
    }
}

/// Lines by name.
fn lines() -> BTreeMap<String, Vec<u8>> {
    let mut lines = BTreeMap::new();
    let frame = frame();
    let mut records: Vec<PathBuf> = fs::read_dir(data("records"))
        .expect("golden records")
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "bin"))
        .collect();
    records.sort();
    for (sequence, path) in (1..).zip(records) {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let record = fs::read(&path).expect("the record is read");
        let event = decode(&record).expect("golden records decode");
        if !event.kind().is_internal() {
            let mut out = Vec::new();
            line(&event, &context(&name, sequence), &frame, &Passwd, &mut out);
            lines.insert(name, out);
        }
    }
    let now = frame.created_ns;
    let mut record = |name: &str, write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        lines.insert(name.to_owned(), out);
    };
    let sensor = own::Sensor {
        program: "se_exec",
        hook: "tp_btf/sched_process_exec",
        grade: "kernel",
        classes: &["exec"],
        missing: None,
        remark: None,
    };
    let blind = own::Sensor { program: "se_exec_failed", missing: Some("no BTF"), ..sensor };
    let seen = own::Class {
        kind: Kind::Exec,
        level: Some("direct"),
        hooks: &["tp_btf/sched_process_exec"],
        grade: "kernel",
        missing: None,
        remark: Some("short paths"),
    };
    let unseen = own::Class {
        kind: Kind::ExecFailed,
        level: None,
        hooks: &["tp_btf/sys_exit"],
        missing: Some("no BTF"),
        remark: None,
        ..seen
    };
    record("agent_started", &|out| {
        own::started(
            &frame,
            &host(),
            now,
            [sensor, blind].into_iter(),
            [seen, unseen].into_iter(),
            "stopped",
            out,
        )
    });
    record("agent_stopped", &|out| own::stopped(&frame, now, "SIGTERM", 42, out));
    let gap = Gap {
        sink: "file",
        reason: "unwritable",
        classes: vec![(Kind::Exec, 3), (Kind::Exit, 2)],
        runs: Vec::new(),
        sequences: Some((43, 47)),
        times_ns: (7_000_000_000, 9_000_000_000),
    };
    record("events_lost", &|out| own::gap(&frame, now, &gap, out));
    let skipped = Gap {
        sink: "all",
        reason: "skipped",
        classes: vec![(Kind::Exit, 2)],
        runs: vec![("se_exit", 2), ("se_sys_exit", 9)],
        sequences: None,
        ..gap
    };
    record("events_skipped", &|out| own::gap(&frame, now, &skipped, out));
    let merged = own::Merged {
        class: Kind::FileOpen,
        count: 7,
        pid: 4242,
        inode: 131_076,
        times_ns: (7_000_000_000, 7_900_000_000),
    };
    record("events_merged", &|out| own::merged(&frame, now, &[merged], &[(Kind::NetConnect, 2)], out));
    lines
}

#[test]
fn lines_are_as_before() {
    let write = env::var_os("WRITE_GOLDEN").is_some();
    let lines = lines();
    if write {
        let _ = fs::remove_dir_all(data("lines"));
        fs::create_dir_all(data("lines")).expect("tests/data/lines is made");
    }
    for (name, new) in &lines {
        let path = data("lines").join(format!("{name}.json"));
        if write {
            fs::write(&path, new).expect("the golden line is written");
        }
        let old = fs::read(&path).unwrap_or_default();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(text(new), text(&old), "{name}: WRITE_GOLDEN=1 if the change is meant");
    }
    let files = fs::read_dir(data("lines")).expect("golden lines").count();
    assert_eq!(files, lines.len(), "a golden line without a record");
}

#[test]
fn lines_conform_to_the_schema() {
    let mut wrong = Vec::new();
    for (name, bytes) in lines() {
        assert_eq!(bytes.iter().filter(|b| **b == b'\n').count(), 1, "{name}: one line");
        assert_eq!(bytes.last(), Some(&b'\n'), "{name}: ends with its newline");
        let line: Value = serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        wrong.extend(ecs::check(&line).into_iter().map(|what| format!("{name}: {what}")));
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn every_class_has_a_line() {
    let lines = lines();
    let actions: Vec<String> = lines
        .values()
        .filter_map(|l| {
            serde_json::from_slice::<Value>(l).ok()?.pointer("/event/action")?.as_str().map(str::to_owned)
        })
        .collect();
    for kind in Kind::ALL.iter().filter(|k| !k.is_internal()) {
        assert!(actions.iter().any(|a| a == kind.name()), "no golden line of class {kind}");
    }
}
