//! The checker of [`ecs`] itself: it must pass the lines that the agent writes and name what is wrong with others.

mod ecs;

use serde_json::{Value, json};

/// A line with every field that a process event may carry.
fn exec() -> Value {
    let process = |pid: u32| {
        json!({"pid": pid, "entity_id": "0123456789abcdef0123456789abcdef", "name": "bash",
            "executable": "/usr/bin/bash", "args": ["bash", "-c", "x"], "args_count": 3,
            "command_line": "bash -c x", "start": "2026-11-22T04:15:07.123456789Z"})
    };
    let mut line = json!({
        "@timestamp": "2026-11-22T04:15:07.123456789Z", "ecs": {"version": "8.11.0"},
        "event": {"kind": "event", "category": ["process"], "type": ["start"], "action": "exec",
            "outcome": "success", "module": "sentineledge", "dataset": "sentineledge.process", "sequence": 42,
            "created": "2026-11-22T04:15:07.2Z"},
        "process": process(7),
        "user": {"id": "0", "name": "root"}, "group": {"id": "0", "name": "root"},
        "file": {"path": "/usr/bin/bash", "type": "file", "inode": "123", "device": "8:1", "mode": "0755",
            "uid": "0", "gid": "0", "owner": "root", "group": "root", "mtime": "2026-01-02T03:04:05Z",
            "ctime": "2026-01-02T03:04:05.5Z", "size": 1234},
        "error": {"code": "ENOENT", "message": "No such file or directory"},
        "container": {"id": "abc", "runtime": "docker"},
        "orchestrator": {"type": "kubernetes", "resource": {"type": "pod", "id": "uid"}},
        "host": {"name": "h", "hostname": "h", "id": "m", "architecture": "x86_64", "boot": {"id": "b"},
            "os": {"type": "linux", "kernel": "6.1.0", "name": "Debian GNU/Linux", "version": "12"}},
        "agent": {"type": "sentineledge", "version": "0.1.0"},
        "sentineledge": {"class": "exec", "grade": "kernel", "truncated": ["process.args"],
            "exit": {"signal": 9, "core_dumped": false}},
    });
    let more = json!({
        "working_directory": "/", "vpid": 1, "interactive": true, "parent": process(1),
        "thread": {"id": 7, "name": "bash",
            "capabilities": {"permitted": ["CAP_BPF", "CAP_SYS_ADMIN"], "effective": ["41"]}},
        "user": {"id": "0", "name": "root"}, "real_user": {"id": "0", "name": "root"},
        "saved_user": {"id": "0", "name": "root"}, "real_group": {"id": "0", "name": "root"},
        "saved_group": {"id": "0", "name": "root"},
        "session_leader": {"pid": 1, "entity_id": "0123456789abcdef0123456789abcdef"}, "group_leader": {"pid": 7},
        "tty": {"char_device": {"major": 136, "minor": 0}}, "env_vars": ["LD_PRELOAD=/x"],
        "exit_code": 0, "end": "2026-11-22T04:15:08Z",
    });
    let Value::Object(more) = more else { unreachable!("written as an object above") };
    line["process"].as_object_mut().expect("written as an object above").extend(more);
    line
}

/// The complaints about a good line in which one place was changed.
fn complaints(pointer: &str, value: Value) -> Vec<String> {
    let mut line = exec();
    let (parent, key) = pointer.rsplit_once('/').expect("pointers begin with a slash");
    line.pointer_mut(parent).expect("the parent is in the sample")[key] = value;
    ecs::check(&line)
}

#[test]
fn a_full_process_event_conforms() {
    assert_eq!(ecs::check(&exec()), [""; 0]);
}

#[test]
fn a_record_of_the_agent_conforms() {
    let line = json!({"@timestamp": "2026-11-22T04:15:07Z", "ecs": {"version": "8.11.0"},
        "event": {"kind": "state", "category": ["host"], "type": ["info"], "action": "events_lost"},
        "sentineledge": {"lost": {"exec": 3}}});
    assert_eq!(ecs::check(&line), [""; 0]);
}

#[test]
fn every_fault_is_named_with_its_path() {
    let cases = [
        ("/process/group", json!({"id": "0"}), "process.group: not a field of the schema"),
        ("/process/colour", json!("red"), "process.colour: not a field of the schema"),
        ("/colour", json!("red"), "colour: not a field of the schema"),
        ("/process/pid", json!("7"), "process.pid: \"7\" is not of type long"),
        ("/process/pid", json!(7.5), "process.pid: 7.5 is not of type long"),
        ("/event/sequence", json!(u64::MAX), "event.sequence: 18446744073709551615 is not of type long"),
        ("/process/user/id", json!(0), "process.user.id: 0 is not of type keyword"),
        ("/process/interactive", json!("yes"), "process.interactive: \"yes\" is not of type boolean"),
        ("/process/args", json!("bash"), "process.args: a single value, where the schema has an array"),
        ("/process/name", json!(["bash"]), "process.name: an array, where the schema has a single value"),
        ("/process/args", json!(["bash", 1]), "process.args: 1 is not of type keyword"),
        (
            "/process/start",
            json!("2026-13-01T00:00:00Z"),
            "process.start: \"2026-13-01T00:00:00Z\" is not of type date",
        ),
        ("/process/start", json!("1763785000"), "process.start: \"1763785000\" is not of type date"),
        ("/process/parent", json!(1), "process.parent: an object in the schema"),
        ("/process/tty", json!("pts/0"), "process.tty: not an object, where the schema has type object"),
        ("/process/name", Value::Null, "process.name: null; leave the field out"),
        ("/sentineledge/exit/signal", Value::Null, "sentineledge.exit.signal: null; leave the field out"),
        ("/event/outcome", json!("ok"), "event.outcome: \"ok\" is not one of failure, success, unknown"),
        ("/event/type", json!(["denied"]), "event.type: \"denied\" is not expected for category process"),
        (
            "/host/os/type",
            json!("plan9"),
            "host.os.type: \"plan9\" is not one of linux, macos, unix, windows, ios, android",
        ),
        (
            "/process/thread/capabilities/effective",
            json!(["cap_bpf"]),
            r#"process.thread.capabilities.effective: "cap_bpf" does not match ^(CAP_[A-Z_]+|\d+)$"#,
        ),
        (
            "/host/mac",
            json!(["00:11"]),
            r#"host.mac: "00:11" does not match ^[A-F0-9]{2}(-[A-F0-9]{2}){5,}$"#,
        ),
        ("/host/ip", json!(["10.0.0.999"]), "host.ip: \"10.0.0.999\" is not of type ip"),
        ("/ecs/version", json!("1.0.0"), "ecs.version: 1.0.0, but the list is of 8.11.0"),
    ];
    for (pointer, value, complaint) in cases {
        assert_eq!(complaints(pointer, value), [complaint], "{pointer}");
    }
}

#[test]
fn an_unknown_category_is_named_and_takes_no_type() {
    let found = complaints("/event/category", json!(["processes"]));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("event.category: \"processes\" is not one of"), "{found:?}");
    assert_eq!(found[1], "event.type: \"start\" is not expected for category processes");
}

#[test]
fn required_fields_are_missed() {
    assert_eq!(
        ecs::check(&json!({})),
        ["@timestamp: required by the schema, missing", "ecs.version: required by the schema, missing"]
    );
    assert_eq!(ecs::check(&json!([])), ["line: not a JSON object"]);
}

#[test]
fn free_structures_take_any_member() {
    assert_eq!(complaints("/labels", json!({"team": "blue"})), [""; 0]);
}
