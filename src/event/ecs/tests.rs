//! Lines as they come out, read back with a JSON parser that is not ours.

use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};

use super::own::{self, Gap};
use super::{Context, Frame, Names, file, line};
use crate::event::process::{Container, EntityId, Image, Process, Runtime};
use crate::event::task::{Program, Task};
use crate::event::{Body, BootId, Event, Exec, ExecFailed, Exit, Fork, Host, Kind};

struct Passwd;

impl Names for Passwd {
    fn user(&self, uid: u32) -> Option<Arc<str>> {
        (uid == 0).then(|| "root".into())
    }
    fn group(&self, gid: u32) -> Option<Arc<str>> {
        (gid == 0).then(|| "root".into())
    }
}

fn host() -> Host {
    Host {
        name: "node-1".into(),
        hostname: "host-1".into(),
        architecture: "x86_64".into(),
        kernel: "6.18.0".into(),
        boot_id: BootId::parse("0f0e0d0c-0b0a-0908-0706-050403020100").unwrap(),
        ..Host::default()
    }
}

fn process(pid: u32, executable: &str, args: &[u8], creator: Option<Arc<Process>>) -> Arc<Process> {
    let image = Image {
        executable: executable.as_bytes().into(),
        args: args.into(),
        args_len: args.len() as u64,
        ..Image::default()
    };
    let depth = creator.as_ref().map_or(0, |c| c.depth + 1);
    let entity_id = EntityId([u8::try_from(pid).unwrap_or(0); 16]);
    Arc::new(Process { pid, start_ns: 1, entity_id, image: Arc::new(image), creator, depth })
}

fn context() -> Context {
    let init = process(1, "/usr/lib/systemd/systemd", b"/sbin/init\0", None);
    let shell = process(70, "/usr/bin/bash", b"-bash\0", Some(init));
    let subject = process(71, "/usr/bin/id", b"id\0-u\0", Some(Arc::clone(&shell)));
    Context { sequence: 42, process: Some(subject), parent: Some(shell), ..Context::default() }
}

fn task() -> Task<'static> {
    Task {
        pid: 71,
        tid: 71,
        ppid: 70,
        sid: 70,
        pgid: 71,
        ns_pid: 71,
        ns_tid: 71,
        uid: 1000,
        start_ns: 5_000_000_000,
        cap_effective: 1 << 21,
        cap_permitted: 1 << 21,
        comm: b"id",
        tty: Some((136, 3)),
        loginuid: Some(1000),
        cgroup_id: 77,
        ..Task::default()
    }
}

fn exec() -> Exec<'static> {
    Exec {
        task: task(),
        program: Program {
            executable: b"/usr/bin/id",
            cwd: b"/root",
            inode: 4711,
            device: (254, 1),
            mode: 0o104_755,
            nlink: 1,
            mtime_ns: 1_000_000_000,
            ..Program::default()
        },
        filename: b"/usr/bin/id",
        args_head: b"id\0-u\0\0",
        args_len: 7,
        argc: 3,
        env: b"PATH=/bin\0LD_PRELOAD=/tmp/x.so\0LD_AUDIT=y\0HOME=/root\0",
        env_len: 50,
        envc: 4,
        secure: true,
        ..Exec::default()
    }
}

fn render(body: Body<'_>, context: &Context) -> (Value, bool) {
    let frame = Frame {
        wall_offset_ns: 1_000_000_000_000,
        ..Frame::new(&host(), Arc::from(["LD_*".to_owned()]), 16)
    };
    let mut out = b"before\n".to_vec();
    let event = Event { time_ns: 7_000_000_001, cpu: 1, body };
    let cut = line(&event, context, &frame, &Passwd, &mut out);
    let text = String::from_utf8(out).unwrap();
    let text = text.strip_prefix("before\n").unwrap();
    assert_eq!(text.matches('\n').count(), 1, "one line: {text}");
    (serde_json::from_str(text).unwrap(), cut)
}

#[test]
fn flags_of_an_open_have_the_names_of_the_hosts_machine() {
    for (machine, flags) in [("x86_64", 0o400_001), ("aarch64", 0o100_001)] {
        let members = crate::event::json::members(|o| file::open_flags(o, flags, &file::own_flags(machine)));
        let text = String::from_utf8(members.to_vec()).unwrap();
        assert_eq!(text, r#","flags":["O_WRONLY","O_NOFOLLOW"]"#, "{machine}");
    }
}

#[test]
fn an_exec_says_who_what_and_from_where() {
    let (line, cut) = render(Body::Exec(Box::new(exec())), &context());
    assert!(!cut);
    assert_eq!(line["@timestamp"], "1970-01-01T00:16:47.000000001Z");
    assert_eq!(line["event"]["sequence"], 42);
    assert_eq!(line["event"]["category"], json!(["process"]));
    assert_eq!(line["event"]["type"], json!(["start"]));
    assert_eq!(line["event"]["action"], "exec");
    let process = &line["process"];
    assert_eq!(process["pid"], 71);
    assert_eq!(process["entity_id"], "47".repeat(16));
    assert_eq!(process["name"], "id");
    assert_eq!(process["args"], json!(["id", "-u", ""]), "an empty argument counts");
    assert_eq!(process["args_count"], 3);
    assert_eq!(process["command_line"], "id -u ");
    assert_eq!(process["env_vars"], json!(["LD_PRELOAD=/tmp/x.so", "LD_AUDIT=y"]));
    assert_eq!(process["start"], "1970-01-01T00:16:45.000000000Z");
    assert_eq!(process["interactive"], true);
    assert_eq!(process["tty"]["char_device"], json!({"major": 136, "minor": 3}));
    assert_eq!(process["parent"]["name"], "bash");
    assert_eq!(process["parent"]["args"], json!(["-bash"]));
    assert_eq!(process["thread"]["capabilities"]["effective"], json!(["CAP_SYS_ADMIN"]));
    assert_eq!(process["real_user"], json!({"id": "1000"}), "an unknown name is left out");
    assert_eq!(line["user"], json!({"id": "0", "name": "root"}));
    assert_eq!(line["file"]["mode"], "4755");
    assert_eq!(line["file"]["device"], "254:1");
    assert_eq!(line["host"]["boot"]["id"], "0f0e0d0c-0b0a-0908-0706-050403020100");
    assert_eq!(line["agent"]["type"], "sentineledge");
    let own = &line["sentineledge"];
    assert_eq!(own["executable"]["setuid"], true);
    assert_eq!(own["executable"]["secure"], true);
    assert_eq!(own["login"]["user"]["id"], "1000");
    let chain: Vec<_> =
        own["ancestors"].as_array().unwrap().iter().map(|a| a["name"].as_str().unwrap()).collect();
    assert_eq!(chain, ["bash", "systemd"]);
    assert!(own.get("truncated").is_none() && own.get("invalid_utf8").is_none());
}

#[test]
fn what_is_cut_or_no_text_is_named() {
    let mut hostile = exec();
    hostile.args_head = b"sh\0a\xffb\n\0half";
    hostile.args_tail = b"er\0last\0";
    hostile.args_len = 100_000;
    hostile.argc = 900;
    hostile.args_cut = true;
    hostile.program.executable = b"deep/\xfe";
    hostile.program.executable_cut = true;
    let (line, cut) = render(Body::Exec(Box::new(hostile)), &context());
    assert!(cut);
    assert_eq!(line["process"]["args"], json!(["sh", "a\u{fffd}b\n", "half", "er", "last"]));
    assert_eq!(line["process"]["args_count"], 900);
    let own = &line["sentineledge"];
    assert_eq!(own["memory"]["args_omitted_bytes"], 100_000 - 12 - 8);
    assert_eq!(
        own["truncated"],
        json!(["process.args", "process.command_line", "process.executable", "file.path"])
    );
    let named: Vec<_> = own["invalid_utf8"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    for field in ["process.executable", "process.args", "process.command_line", "file.path"] {
        assert!(named.contains(&field), "{field} is not in {named:?}");
    }
}

#[test]
fn a_refused_exec_is_a_failure_with_its_error() {
    let failed = ExecFailed {
        task: task(),
        errno: 2,
        filename: b"./missing",
        filename_fault: false,
        filename_cut: false,
        args: b"./missing\0-x\0",
        args_count: 2,
        args_cut: false,
        cwd: b"/tmp",
        cwd_cut: false,
    };
    let (line, _) = render(Body::ExecFailed(Box::new(failed)), &context());
    assert_eq!(line["event"]["outcome"], "failure");
    assert_eq!(line["error"], json!({"code": "ENOENT", "message": "No such file or directory"}));
    assert_eq!(line["file"]["path"], "./missing");
    assert_eq!(line["process"]["executable"], "/usr/bin/id", "the process is the caller");
    assert_eq!(line["sentineledge"]["attempted"]["args"], json!(["./missing", "-x"]));
    assert_eq!(line["sentineledge"]["grade"], "user");
}

#[test]
fn an_exit_tells_its_code_or_its_signal() {
    let exit =
        |status| Exit { task: task(), cpu_ns: 1, utime_ns: 2, stime_ns: 3, max_rss_bytes: 4096, status };
    let (line, _) = render(Body::Exit(Box::new(exit(3 << 8))), &context());
    assert_eq!(line["process"]["exit_code"], 3);
    assert_eq!(line["event"]["type"], json!(["end"]));
    assert_eq!(line["event"]["duration"], 2_000_000_001_u64);
    assert!(line["sentineledge"]["exit"].get("signal").is_none());
    let (line, _) = render(Body::Exit(Box::new(exit(11 | 0x80))), &context());
    assert!(line["process"].get("exit_code").is_none());
    assert_eq!(line["sentineledge"]["exit"]["signal_name"], "SIGSEGV");
    assert_eq!(line["sentineledge"]["exit"]["core_dumped"], true);
}

#[test]
fn a_fork_in_a_container_of_a_pod() {
    let container = Container {
        id: "abc".into(),
        runtime: Runtime::CriO,
        pod_uid: Some("u-1".into()),
        labels: OnceLock::new(),
    };
    let context = Context { container: Some(Arc::new(container)), ..Context::default() };
    let fork = Fork { task: task(), creator_pid: 70, creator_tid: 72, creator_start_ns: 1 };
    let (line, _) = render(Body::Fork(Box::new(fork)), &context);
    assert_eq!(line["container"], json!({"id": "abc", "runtime": "cri-o"}));
    assert_eq!(line["orchestrator"]["resource"], json!({"type": "pod", "id": "u-1"}));
    assert_eq!(line["process"]["name"], "id", "the short name, if the table knows nothing");
    assert_eq!(line["sentineledge"]["creator"], json!({"pid": 70, "tid": 72}));
}

#[test]
fn a_gap_counts_what_is_missing_by_class() {
    let gap = Gap {
        sink: "file",
        reason: "unwritable",
        classes: vec![(Kind::Exec, 3), (Kind::Exit, 4)],
        runs: Vec::new(),
        sequences: Some((10, 20)),
        times_ns: (0, 1_000_000_000),
    };
    let mut out = Vec::new();
    own::gap(&Frame::new(&host(), Arc::from([]), 16), 5, &gap, &mut out);
    let line: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(line["event"]["action"], "events_lost");
    assert!(line["event"].get("sequence").is_none());
    let loss = &line["sentineledge"]["loss"];
    assert_eq!((&loss["events"], &loss["classes"]), (&json!(7), &json!({"exec": 3, "exit": 4})));
    assert_eq!((&loss["first_sequence"], &loss["last_sequence"]), (&json!(10), &json!(20)));
    assert!(loss.get("programs").is_none());
}

#[test]
fn a_gap_names_the_programs_that_the_kernel_skipped() {
    let gap = Gap {
        sink: "all",
        reason: "skipped",
        classes: vec![(Kind::Exit, 2)],
        runs: vec![("se_exit", 2), ("se_sys_exit", 9)],
        sequences: None,
        times_ns: (0, 1_000_000_000),
    };
    let mut out = Vec::new();
    own::gap(&Frame::new(&host(), Arc::from([]), 16), 5, &gap, &mut out);
    let line: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(line["message"], "2 events are missing here, and up to 9 of unknown classes: skipped");
    let programs = json!([{"program": "se_exit", "runs": 2}, {"program": "se_sys_exit", "runs": 9}]);
    assert_eq!(line["sentineledge"]["loss"]["programs"], programs);
}
