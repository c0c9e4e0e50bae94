//! Whole lines, as they look.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn shown(event: &Value, width: Option<u16>) -> String {
    let mut renderer = Renderer::new(false, width);
    renderer.zone = TimeZone::utc();
    let mut out = Vec::new();
    renderer.line(format!("{event}\n").as_bytes(), &mut out);
    let text = String::from_utf8(out).unwrap();
    text.strip_suffix('\n').unwrap().to_owned()
}

fn event(action: &str) -> Value {
    json!({
        "@timestamp": "2026-11-22T04:15:07.123456789Z",
        "event": {"kind": "event", "action": action, "sequence": 1},
        "process": {
            "pid": 1234, "name": "curl", "executable": "/usr/bin/curl", "args": ["curl", "-o", "a b"],
            "user": {"id": "1000", "name": "alice"},
            "start": "2026-11-22T04:15:07.000Z", "end": "2026-11-22T04:15:08.240Z",
            "parent": {"pid": 1, "name": "bash"},
        },
        "sentineledge": {"ancestors": [
            {"pid": 9, "name": "bash", "executable": "/usr/bin/bash"}, {"pid": 8, "name": "sshd"},
            {"pid": 1, "name": "systemd", "executable": "/usr/lib/systemd/systemd"},
        ]},
    })
}

#[test]
fn every_class_has_its_line() {
    let line = |event: &Value| shown(event, None);
    assert_eq!(
        line(&event("exec")),
        "04:15:07.123 exec alice           1234  /usr/bin/curl -o 'a b'  bash‹sshd‹systemd"
    );
    assert_eq!(
        line(&event("fork")),
        "04:15:07.123 fork alice           1234  /usr/bin/curl  bash‹sshd‹systemd"
    );
    let mut exit = event("exit");
    exit["process"]["exit_code"] = json!(22);
    assert_eq!(
        line(&exit),
        "04:15:07.123 exit alice           1234  /usr/bin/curl -o 'a b'  22 1.24s  bash‹sshd‹systemd"
    );
    exit["sentineledge"]["exit"] = json!({"signal": 11, "signal_name": "SIGSEGV", "core_dumped": true});
    assert!(line(&exit).contains("  SIGSEGV core 1.24s  "));
    let mut failed = event("exec_failed");
    failed["file"] = json!({"path": "/opt/curl"});
    failed["error"] = json!({"code": "ENOENT", "message": "No such file or directory"});
    assert!(line(&failed).ends_with("1234  /opt/curl  ENOENT  curl‹bash‹sshd‹systemd"), "{}", line(&failed));
}

#[test]
fn a_finding_says_how_bad_it_is_and_how_often() {
    let mut finding = event("exec");
    finding["event"]["kind"] = json!("alert");
    finding["message"] = json!("Odd\nname: curl -o 'a b'");
    finding["sentineledge"]["finding"] = json!({"level": "high", "count": 1});
    assert_eq!(
        shown(&finding, None),
        "04:15:07.123 RULE alice           1234  high: Odd\\nname: curl -o 'a b'  bash‹sshd‹systemd"
    );
    finding["sentineledge"]["finding"]["count"] = json!(12);
    assert!(shown(&finding, None).contains("'a b'  12 times  bash"), "{}", shown(&finding, None));
    // A correlation of many processes is about none of them.
    let told = json!({
        "@timestamp": "2026-11-22T04:15:07Z", "message": "Many", "event": {"kind": "alert"},
        "sentineledge": {"finding": {"level": "low", "count": 3}},
    });
    assert!(shown(&told, None).contains("low: Many  3 times"), "{}", shown(&told, None));
}

#[test]
fn what_matters_to_an_analyst_stands_out() {
    let mut exec = event("exec");
    exec["process"]["executable"] = json!("/memfd:x");
    exec["process"]["args"] = json!(["kworker/0:1"]);
    exec["process"]["env_vars"] = json!(["LD_PRELOAD=/tmp/x.so"]);
    exec["process"]["user"] = json!({"id": "0", "name": "root"});
    exec["container"] = json!({"id": "3f2a9c1b7d8e1122334455", "runtime": "docker"});
    exec["sentineledge"]["executable"] = json!({"memfd": true, "setuid": false});
    exec["sentineledge"]["login"] = json!({"user": {"id": "1000", "name": "alice"}, "session": 1});
    assert_eq!(
        shown(&exec, None),
        "04:15:07.123 exec alice→root      1234  LD_PRELOAD=/tmp/x.so /memfd:x(kworker/0:1)  memfd  \
         bash‹sshd‹systemd  docker:3f2a9c1b7d8e"
    );
}

#[test]
fn columns_align_on_a_terminal() {
    let (exec, fork) = (shown(&event("exec"), Some(100)), shown(&event("fork"), Some(100)));
    let column = |line: &str| line.split_once("bash").map(|(before, _)| before.chars().count());
    assert_eq!(column(&exec), column(&fork));
    assert!(column(&exec).is_some());

    let mut long = event("exec");
    long["process"]["args"] = json!(["curl", "x".repeat(500)]);
    let line = shown(&long, Some(80));
    assert_eq!(line.chars().count(), 80);
    assert!(line.contains("/usr/bin/curl xx"), "{line}");
    assert!(line.contains("…  bash‹"), "{line}");
}

#[test]
fn records_of_the_agent_and_of_tail_are_told() {
    let started = json!({"@timestamp": "2026-11-22T04:15:07Z",
        "event": {"kind": "state", "action": "agent_started"}, "agent": {"version": "0.1.0"}});
    assert_eq!(shown(&started, None), "04:15:07.000 self the agent has started, version 0.1.0");
    let lost = json!({"@timestamp": "2026-11-22T04:15:07Z",
        "event": {"kind": "state", "action": "events_lost"},
        "sentineledge": {"loss": {"events": 43, "classes": {"exec": 3, "fork": 40}, "sink": "file", "reason": "unwritable"}}});
    assert_eq!(
        shown(&lost, None),
        "04:15:07.000 LOST 43 events are missing in the file sink: 40 fork, 3 exec (unwritable)"
    );
    let cut = json!({"sentineledge": {"tail": {"cut": true, "missed": 812}}});
    assert_eq!(shown(&cut, None), "             LOST cut off for reading too slowly; 812 events missed");
    let mut out = Vec::new();
    Renderer::new(false, None).line(b"no json \x1b[2J\n", &mut out);
    assert_eq!(out, b"no json \\x1b[2J\n");
}

proptest! {
    /// Whatever the names are: one line, no control characters, no wider than the terminal.
    #[test]
    fn hostile_names_stay_in_their_line(
        name in any::<String>(), argument in any::<String>(), user in any::<String>(),
        action in "exec|exec_failed|fork|exit|x", width in 0u16..200,
    ) {
        let mut event = event(&action);
        event["process"]["executable"] = json!(format!("/bin/{name}"));
        event["process"]["args"] = json!([name, argument]);
        event["process"]["user"]["name"] = json!(user);
        event["container"] = json!({"id": argument, "runtime": user});
        event["sentineledge"]["ancestors"][0]["executable"] = json!(name);
        let line = shown(&event, Some(width));
        prop_assert!(!line.chars().any(char::is_control), "{line:?}");
        prop_assert!(line.chars().count() <= usize::from(width).max(NARROWEST) * 3);
        let mut text = Text::within(None);
        text.push(Style::Plain, &line);
        prop_assert!(text.columns() <= usize::from(width).max(NARROWEST), "{line:?}");
    }
}

#[test]
fn every_class_has_a_word_of_its_own() {
    let mut seen = std::collections::BTreeSet::new();
    for kind in crate::event::Kind::ALL.iter().filter(|kind| !kind.is_internal()) {
        let (_, word) = subject::word(kind.name());
        assert!(word != "?" && word.len() <= WHAT && seen.insert(word), "{kind}: {word}");
    }
}

#[test]
fn files_peers_and_targets_stand_behind_the_program() {
    let line = |event: &Value| shown(event, None);
    let mut rename = event("file_rename");
    rename["file"] = json!({"path": "/etc/ld.so.preload"});
    rename["sentineledge"]["file"] = json!({"operation": "rename", "source_path": "/tmp/x"});
    rename["sentineledge"]["via_io_uring"] = json!(true);
    assert_eq!(
        line(&rename),
        "04:15:07.123 ren  alice           1234  /usr/bin/curl  /tmp/x → /etc/ld.so.preload rename via io_uring  \
         bash‹sshd‹systemd"
    );
    let mut open = event("file_open");
    open["file"] = json!({"path": "/var/log/a"});
    open["sentineledge"]["merged"] = json!({"count": 41});
    assert!(line(&open).contains("  /var/log/a and 41 more  "), "{}", line(&open));
    let mut connect = event("net_connect");
    connect["source"] = json!({"ip": "10.0.0.5", "port": 40112});
    connect["destination"] = json!({"ip": "2001:db8::1", "port": 443});
    connect["network"] = json!({"transport": "tcp"});
    connect["error"] = json!({"code": "ECONNREFUSED", "message": "Connection refused"});
    assert!(
        line(&connect).contains("10.0.0.5:40112 → [2001:db8::1]:443 tcp  ECONNREFUSED"),
        "{}",
        line(&connect)
    );
    let mut question = event("net_dns");
    question["dns"] = json!({"question": {"name": "example.org", "type": "A"}, "resolved_ip": ["192.0.2.1"]});
    assert!(line(&question).contains("  example.org A 192.0.2.1"), "{}", line(&question));
    let mut ptrace = event("ptrace");
    ptrace["sentineledge"]["target"] = json!({"pid": 77, "name": "sshd"});
    ptrace["sentineledge"]["ptrace"] = json!({"request": "PTRACE_ATTACH", "address": 0});
    assert!(line(&ptrace).contains("→ sshd 77 address=0 request=PTRACE_ATTACH"), "{}", line(&ptrace));
}
