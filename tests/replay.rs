//! `sentinel-edge replay` from outside: a capture through the built binary, without privileges.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed as it should")]

mod ecs;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use sentinel_edge::cli::Exit;
use sentinel_edge::decode::synth;
use sentinel_edge::event::{Body, BootId, Host, Task};
use sentinel_edge::kernel::abi::ABI_VERSION;
use sentinel_edge::kernel::capture::{Existing, Header, Writer};
use serde_json::Value;
use tempfile::TempDir;

/// Behind the magic number and the version of the format.
const ABI_AT: usize = 12;

/// A directory with a capture, and a configuration that leaves the host's own out of the test.
struct Fixture {
    directory: TempDir,
}

impl Fixture {
    /// A capture of the samples, `rounds` times over, each round a second later.
    fn new(rounds: u64) -> Self {
        let fixture = Fixture { directory: tempfile::tempdir().unwrap() };
        fixture.configure("config.toml", "");
        let host = Host {
            name: "recorded".into(),
            hostname: "recorded".into(),
            architecture: "x86_64".into(),
            kernel: "6.1.0-31-amd64".into(),
            boot_id: BootId::parse("0f0e0d0c-0b0a-0908-0706-050403020100").unwrap(),
            ..Host::default()
        };
        let mut writer = Writer::create(&fixture.capture(), &Header::of(&host), Existing::Refuse).unwrap();
        for round in 0..rounds {
            for mut sample in synth::samples() {
                sample.event.time_ns += round * 1_000_000_000;
                writer.write(&synth::encode(&sample.event)).unwrap();
            }
        }
        writer.finish().unwrap();
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn capture(&self) -> PathBuf {
        self.path("capture")
    }

    fn configure(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sentinel-edge"));
        command.arg("replay").arg(self.capture()).args(arguments).stdin(Stdio::null());
        if !arguments.contains(&"--config") {
            command.arg("--config").arg(self.path("config.toml"));
        }
        for (name, _) in std::env::vars_os() {
            if name == "RUST_LOG" || name.to_string_lossy().starts_with("SENTINEL_") {
                command.env_remove(name);
            }
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs it, expects success and gives what it wrote to standard output.
    #[track_caller]
    fn replay(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_exit(&output, Exit::Ok);
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Records of one round.
fn records() -> usize {
    synth::samples().len()
}

/// Events of one round; the other records are for the process table alone.
fn events() -> usize {
    synth::samples().iter().filter(|sample| !sample.event.kind().is_internal()).count()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn assert_exit(output: &Output, exit: Exit) {
    assert_eq!(output.status.code(), Some(exit.code().into()), "{}", stderr(output));
}

/// Every line parses, conforms to ECS, and the sequence goes 1, 2, 3 ...
#[track_caller]
fn assert_lines(text: &str, count: usize) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with('\n'));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), count);
    for (line, number) in lines.iter().zip(1..) {
        assert_eq!(line["event"]["sequence"], number, "{line}");
        assert_eq!(ecs::check(line), [""; 0], "{line}");
    }
    lines
}

#[test]
fn every_event_of_a_capture_becomes_a_line() {
    let fixture = Fixture::new(3);
    let file = fixture.path("out.log");
    let output = fixture.run(&["--output", file.to_str().unwrap()]);
    assert_exit(&output, Exit::Ok);
    assert_eq!(output.stdout, b"");
    let said = stderr(&output);
    let start = format!("{} records, {} events, ", 3 * records(), 3 * events());
    assert!(said.starts_with(&start) && said.lines().count() == 1, "{said}");

    let text = fs::read_to_string(&file).unwrap();
    let lines = assert_lines(&text, 3 * events());
    let mut expected: Vec<_> = synth::samples().iter().map(|s| s.event.kind()).collect();
    expected.retain(|kind| !kind.is_internal());
    for (line, kind) in lines.iter().zip(expected) {
        assert_eq!(line["event"]["action"], kind.name());
        assert_eq!(line["host"]["name"], "recorded");
        assert!(
            line["event"].get("created").is_none(),
            "a replay reads at no time that means anything: {line}"
        );
    }

    let mut relative = fixture.command(&["--output", "relative.log"]);
    assert_exit(&relative.current_dir(fixture.directory.path()).output().unwrap(), Exit::Ok);
    assert_eq!(fs::read_to_string(fixture.path("relative.log")).unwrap(), text);
    assert_eq!(fixture.replay(&["--output", "-"]), text, "standard output has the same");
    assert_eq!(fixture.replay(&[]), text, "standard output is the default");
}

#[test]
fn a_replay_is_the_same_every_time_and_with_any_number_of_threads() {
    let fixture = Fixture::new(200);
    let expected = fixture.replay(&[]);
    assert_lines(&expected, 200 * events());
    assert!(fixture.replay(&[]) == expected, "a second run differs");
    for (workers, batch, lines) in [(1, 1, 1), (4, 7, 3), (8, 1000, 64), (3, 65_536, 65_536)] {
        let text = format!(
            "[core]\nworker_threads = {workers}\n[ebpf]\nevent_batch_size = {batch}\nbatch_size = {lines}\n"
        );
        fixture.configure("other.toml", &text);
        let other = fixture.replay(&["--config", fixture.path("other.toml").to_str().unwrap()]);
        assert!(other == expected, "{text} changes the lines");
    }
}

#[test]
fn people_get_one_line_an_event() {
    let fixture = Fixture::new(1);
    let text = fixture.replay(&["--format", "compact"]);
    assert_eq!(text.lines().count(), events());
    let failed = text.lines().filter(|line| line.contains(" FAIL ") && line.contains("ENOENT")).count();
    assert_eq!(failed, 1, "{text}");
    assert!(!text.contains('\x1b'), "no colours into a pipe: {text:?}");
    let refused = fixture.run(&["--format", "compact", "--output", fixture.path("x").to_str().unwrap()]);
    assert_exit(&refused, Exit::Usage);
    assert!(stderr(&refused).contains("standard output"), "{}", stderr(&refused));
    assert!(!fixture.path("x").exists());
}

#[test]
fn names_come_from_the_recorded_host_and_never_from_this_one() {
    let fixture = Fixture::new(1);
    let root = fixture.path("root");
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::write(root.join("etc/passwd"), "toor:x:0:0::/:/bin/sh\nrecorded:x:1000:1000::/:/bin/sh\n").unwrap();
    fs::write(root.join("etc/group"), "gang:x:1000:\n").unwrap();
    let named = assert_lines(&fixture.replay(&["--root", root.to_str().unwrap()]), events());
    assert_eq!(named[0]["user"]["name"], "recorded", "{}", named[0]);
    assert_eq!(named[0]["group"]["name"], "gang", "{}", named[0]);
    assert!(named.iter().any(|line| line["process"]["user"]["name"] == "toor"));

    for line in assert_lines(&fixture.replay(&[]), events()) {
        assert!(
            line.pointer("/user/name").is_none() && line.pointer("/process/user/name").is_none(),
            "{line}"
        );
    }
}

/// The kernel shows processes in the order of their pids, and pids wrap: a parent may come after its child.
#[test]
fn the_snapshot_at_the_head_gives_ancestors_in_whatever_order_it_is() {
    let fixture = Fixture::new(0);
    let samples = synth::samples();
    let sample = |name| samples.iter().find(|sample| sample.name == name).unwrap().event.clone();
    let link = |task: &mut Task<'_>, pid: u32, ppid: u32| {
        (task.pid, task.tid, task.ppid) = (pid, pid, ppid);
        (task.start_ns, task.parent_start_ns) =
            (u64::from(1_000 - pid) * 1_000_000_000, u64::from(1_000 - ppid) * 1_000_000_000);
    };
    let mut writer =
        Writer::create(&fixture.capture(), &Header::of(&Host::default()), Existing::Replace).unwrap();
    // Lower pids are younger here; 990 has no parent.
    for (pid, ppid) in [(100, 500), (500, 800), (800, 990), (990, 0)] {
        let mut event = sample("snapshot");
        let Body::Snapshot(snapshot) = &mut event.body else { panic!("a snapshot") };
        link(&mut snapshot.task, pid, ppid);
        writer.write(&synth::encode(&event)).unwrap();
    }
    let mut event = sample("exec");
    event.time_ns = 2_000_000_000_000;
    let Body::Exec(exec) = &mut event.body else { panic!("an exec") };
    link(&mut exec.task, 100, 500);
    writer.write(&synth::encode(&event)).unwrap();
    writer.finish().unwrap();
    let lines = assert_lines(&fixture.replay(&[]), 1);
    let ancestors = lines[0]["sentineledge"]["ancestors"].as_array().unwrap();
    let pids: Vec<_> = ancestors.iter().map(|ancestor| ancestor["pid"].as_u64().unwrap()).collect();
    assert_eq!(pids, [500, 800, 990]);
    assert!(ancestors.iter().all(|ancestor| ancestor["name"].is_string()), "{ancestors:?}");
}

#[test]
fn a_capture_that_breaks_off_gives_what_is_there_and_an_error() {
    let fixture = Fixture::new(1);
    let whole = fixture.replay(&[]);
    let bytes = fs::read(fixture.capture()).unwrap();
    // Into the last frame, which is a snapshot, so that all events come before it.
    File::options().write(true).open(fixture.capture()).unwrap().set_len(bytes.len() as u64 - 10).unwrap();
    let output = fixture.run(&[]);
    assert_exit(&output, Exit::Runtime);
    assert_eq!(String::from_utf8_lossy(&output.stdout), whole);
    let said = stderr(&output);
    let last = format!("sentinel-edge: {} ends within frame {}: ", fixture.capture().display(), records());
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(said.lines().nth(1).unwrap().starts_with(&last), "{said}");

    // Damage in the middle: a frame that cannot be that long.
    let first = bytes.iter().position(|b| *b == b'}').unwrap() + 1;
    let first = first + bytes[first..].iter().position(|b| *b != b'}').unwrap();
    let length = u32::from_le_bytes(bytes[first..first + 4].try_into().unwrap()) as usize;
    let mut damaged = bytes.clone();
    damaged[first + 4 + length..][..4].fill(0xff);
    fs::write(fixture.capture(), damaged).unwrap();
    let output = fixture.run(&[]);
    assert_exit(&output, Exit::Runtime);
    assert_lines(&String::from_utf8_lossy(&output.stdout), 1);
    assert!(stderr(&output).contains("frame 2 of 4294967295 bytes"), "{}", stderr(&output));
}

#[test]
fn what_is_no_capture_is_refused_before_anything_is_written() {
    let fixture = Fixture::new(1);
    let good = fs::read(fixture.capture()).unwrap();
    let out = fixture.path("out.log");
    let refuse = |bytes: &[u8], expected: &str| {
        fs::write(fixture.capture(), bytes).unwrap();
        let output = fixture.run(&["--output", out.to_str().unwrap()]);
        assert_exit(&output, Exit::Runtime);
        let message = format!("sentinel-edge: {} {expected}\n", fixture.capture().display());
        assert_eq!(stderr(&output), message);
        assert!(!out.exists(), "{expected}");
    };
    refuse(b"{\"event\":1}\n", "is not a capture file");
    refuse(b"", "is not a capture file");
    refuse(&good[..30], "ends within its header");
    let mut other = good.clone();
    other[ABI_AT..ABI_AT + 4].copy_from_slice(&(ABI_VERSION + 1).to_le_bytes());
    let message = format!("has records of ABI {}, this version reads ABI {ABI_VERSION}", ABI_VERSION + 1);
    refuse(&other, &message);
    other[8..12].copy_from_slice(&99_u32.to_le_bytes());
    refuse(&other, "has capture format 99, this version reads 1");

    fs::remove_file(fixture.capture()).unwrap();
    let output = fixture.run(&[]);
    assert_exit(&output, Exit::Runtime);
    let expected = format!(
        "sentinel-edge: cannot open {}: No such file or directory (os error 2)\n",
        fixture.capture().display()
    );
    assert_eq!(stderr(&output), expected);
}

#[test]
fn an_output_that_cannot_be_written_is_an_error_that_names_it() {
    let fixture = Fixture::new(1);
    fs::write(fixture.path("file"), "").unwrap();
    for (path, reason) in [
        (fixture.path("file/out.log"), "File exists"),
        (fixture.directory.path().to_owned(), "not a regular file"),
        (PathBuf::from("/dev/full"), "not a regular file"),
        (PathBuf::from("/proc/nothing"), "No such file or directory"),
    ] {
        let output = fixture.run(&["--output", path.to_str().unwrap()]);
        assert_exit(&output, Exit::Runtime);
        let said = stderr(&output);
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.starts_with("sentinel-edge: ") && said.contains(reason), "{said}");
        assert!(said.contains(path.parent().unwrap_or_else(|| Path::new("/")).to_str().unwrap()), "{said}");
    }
}

/// The agent would go on for ever and try again; a replay says so and ends.
#[test]
fn a_full_disk_ends_a_replay() {
    let fixture = Fixture::new(1);
    let mut command = fixture.command(&[]);
    let began = Instant::now();
    let output = command.stdout(File::options().write(true).open("/dev/full").unwrap()).output().unwrap();
    assert_exit(&output, Exit::Runtime);
    let said = stderr(&output);
    assert!(said.contains("the replay is not whole: ") && said.contains("No space left on device"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(20), "it did not wait for better times");
}

#[test]
fn an_output_file_is_only_overwritten_if_asked() {
    let fixture = Fixture::new(1);
    let out = fixture.path("out.log");
    let path = out.to_str().unwrap();
    fixture.replay(&["--output", path]);
    let first = fs::read(&out).unwrap();
    let output = fixture.run(&["--output", path]);
    assert_exit(&output, Exit::Runtime);
    assert!(stderr(&output).contains("out.log exists already"), "{}", stderr(&output));
    assert!(stderr(&output).contains("--force"), "{}", stderr(&output));
    assert_eq!(fs::read(&out).unwrap(), first);
    fixture.replay(&["--output", path, "--force"]);
    assert_eq!(fs::read(&out).unwrap(), first);
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_in_peace() {
    // More than a pipe holds.
    let fixture = Fixture::new(500);
    let mut child = fixture.command(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_lines(&first, 1);
    let output = child.wait_with_output().unwrap();
    assert_exit(&output, Exit::Ok);
    assert!(stderr(&output).lines().count() <= 1, "{}", stderr(&output));
}

/// The queue for a sink has a limit and the live agent's patience an end; a replay waits for its reader.
#[test]
fn a_reader_that_pauses_loses_nothing() {
    let fixture = Fixture::new(500);
    fixture.configure("config.toml", "[logging]\nbuffer_size = \"64KiB\"\n");
    let mut child = fixture.command(&[]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    reader.read_line(&mut text).unwrap();
    // Longer than the agent waits for a sink; here the time itself is what is tested.
    std::thread::sleep(Duration::from_millis(2500));
    reader.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    assert_lines(&text, 500 * events());
}

/// A rule is tried on what was recorded: with its findings alone, or among the events.
#[test]
fn rules_are_tried_on_a_capture() {
    let fixture = Fixture::new(3);
    let rules = fixture.path("rules.yml");
    let rule = |selection: &str| {
        format!(
            "title: A program\nid: 7d1f43ad-7a6f-4d43-a7a5-3c0e6e3a2f10\nlogsource: {{category: process_creation, product: linux}}\ndetection: {{a: {{{selection}}}, condition: a}}\nlevel: high\n"
        )
    };
    let named = ["--rules", rules.to_str().unwrap()];
    fs::write(&rules, rule("Image|startswith: /")).unwrap();
    let output = fixture.run(&[named.as_slice(), &["--findings"]].concat());
    assert_exit(&output, Exit::Ok);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let findings: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!findings.is_empty());
    for finding in &findings {
        assert_eq!(
            (&finding["event"]["kind"], &finding["rule"]["name"]),
            (&"alert".into(), &"A program".into())
        );
        assert_eq!(ecs::check(finding), [""; 0], "{finding}");
    }
    let told = format!("{} records, {} events, {} findings, ", 3 * records(), 3 * events(), findings.len());
    assert!(stderr(&output).contains(&told), "{}", stderr(&output));

    let all = fixture.replay(&named);
    let is_alert = |line: &&str| line.contains(r#""kind":"alert""#);
    assert_eq!(all.lines().filter(is_alert).count(), findings.len());
    assert_eq!(all.lines().count(), 3 * events() + findings.len());

    fs::write(&rules, rule("Image: /nowhere")).unwrap();
    assert_eq!(fixture.replay(&[named.as_slice(), &["--findings"]].concat()), "");

    fs::write(&rules, rule("Image|begins: /")).unwrap();
    let said = stderr(&fixture.run(&named));
    assert!(said.contains("rules.yml:") && said.contains("begins"), "{said}");
}

/// What a finding tells beside the event, held against a golden file: `WRITE_GOLDEN=1 cargo test --test replay` writes it
/// anew. Times are left out, as they depend on when this host was started.
#[test]
fn a_finding_tells_what_its_process_tree_did_before() {
    let fixture = Fixture::new(1);
    let rules = fixture.path("rules.yml");
    let rule = "title: A file gone\nid: 7d1f43ad-7a6f-4d43-a7a5-3c0e6e3a2f11\nlogsource: {category: file_delete, product: linux}\ndetection: {a: {TargetFilename|startswith: /}, condition: a}\nlevel: high\n";
    fs::write(&rules, rule).unwrap();
    let arguments = ["--findings", "--rules", rules.to_str().unwrap()];
    let text = fixture.replay(&arguments);
    let mut finding: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(ecs::check(&finding), [""; 0], "{finding}");
    let mut details = finding["sentineledge"]["finding"].take();
    let number = details["event_sequence"].as_u64().unwrap();
    let before: Vec<u64> = details["preceding"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["event"]["sequence"].as_u64().unwrap())
        .collect();
    assert!(before.is_sorted() && before.iter().all(|sequence| *sequence < number), "{before:?} {number}");
    for event in details["preceding"].as_array_mut().unwrap() {
        assert!(event["@timestamp"].as_str().is_some_and(|time| time.ends_with('Z')));
        event.as_object_mut().unwrap().remove("@timestamp");
    }
    for key in ["first", "last", "source"] {
        details.as_object_mut().unwrap().remove(key);
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/finding.json");
    let told = format!("{details:#}\n");
    if std::env::var_os("WRITE_GOLDEN").is_some() {
        fs::write(&golden, &told).unwrap();
    }
    assert_eq!(told, fs::read_to_string(&golden).unwrap());

    fixture.configure("without.toml", "[security]\npreceding_events_size = 0\n");
    let without = fixture.path("without.toml");
    let text = fixture.replay(&[&arguments[..], &["--config", without.to_str().unwrap()]].concat());
    let finding: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(finding["sentineledge"]["finding"]["preceding"], Value::Null);
}
