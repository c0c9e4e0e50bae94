//! Attacks that the public collection Atomic Red Team describes, run for real under the running agent: most must give a
//! finding that names the technique. Needs root, BPF, and the list at `tests/data/atomics/atomics.json`; `make
//! test` runs it as root. It takes three to five minutes, since some attacks wait for something.
//!
//! Each attack runs in a throw-away root with namespaces of its own (`tests/atomics/`). Two programs with a mark in their
//! arguments run before and after it, so what the agent found in between belongs to it. Programs that this host
//! lacks are unpacked into `target/atomics/layer`, if packages can be had.
//!
//! With `ATOMICS=T1053.003,T1082-3` only attacks whose id begins so are run, and nothing is asked of their share.

mod agent;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use agent::{Agent, Options, Wait};
use serde_json::Value;

/// Of a hundred attacks that this host can run, so many must be seen.
const SHARE_MIN: usize = 85;

/// Of a hundred attacks, so many may want a program that this host lacks and cannot fetch.
const LACKING_MAX: usize = 20;

/// The severity of level medium.
const MEDIUM: u64 = 47;

/// What a command may not have in it, since it would reach out of its root: swap, the kernel's own log and devices
/// are no namespace's own.
const DANGEROUS: [&str; 8] =
    ["swapoff", "dmesg -c", "dmesg -C", "sysrq", "kexec", "/dev/vd", "/dev/sd", ":(){"];

/// An attack of the list.
struct Attack {
    id: String,
    technique: String,
    name: String,
    requires: Vec<String>,
    executor: String,
    scripts: [(&'static str, String); 3],
    timeout_s: u64,
}

/// What became of it.
#[derive(Default)]
struct Outcome {
    /// Findings of level medium or above that name the technique.
    seen: BTreeSet<String>,
    /// The other findings, with their level.
    others: BTreeSet<String>,
    /// Why it was not run, or not in full.
    remark: String,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn attacks() -> Vec<Attack> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/atomics/atomics.json");
    let list = fs::read(&path).unwrap_or_else(|e| panic!("the list of attacks, {}: {e}", path.display()));
    let list: Value = serde_json::from_slice(&list).expect("the list is JSON");
    let attack = |value: &Value| Attack {
        id: text(&value["id"]),
        technique: text(&value["technique"]),
        name: text(&value["name"]),
        requires: value["requires"].as_array().into_iter().flatten().map(text).collect(),
        executor: text(&value["executor"]),
        scripts: ["setup", "command", "cleanup"].map(|name| (name, text(&value[name]))),
        timeout_s: value["timeout_s"].as_u64().expect("a timeout"),
    };
    let mut attacks: Vec<Attack> = list["atomics"].as_array().expect("attacks").iter().map(attack).collect();
    if let Ok(only) = std::env::var("ATOMICS") {
        attacks.retain(|attack| only.split(',').any(|start| attack.id.starts_with(start)));
    }
    attacks
}

/// In an order that keeps those of the same technique apart: findings of the same kind fold within a minute, and only
/// the first and the last of them are told with their time.
fn apart(count: usize) -> impl Iterator<Item = usize> {
    const STRIDE: usize = 8;
    (0..STRIDE).flat_map(move |start| (start..count).step_by(STRIDE))
}

/// Programs that this host lacks, for a layer over its root.
fn layer() -> PathBuf {
    let layer = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/atomics/layer");
    if !layer.exists() {
        let made = Command::new("sh").arg("tests/atomics/layer.sh").arg(&layer).status().expect("sh");
        if !made.success() {
            println!("programs that this host lacks could not be fetched; attacks with them will fail");
        }
    }
    layer
}

/// What runs attacks, without the test and cargo among its ancestors.
struct Runner {
    fifo: File,
    directory: tempfile::TempDir,
    layer: PathBuf,
}

impl Runner {
    /// Has to be called before the agent starts: from then on the agent knows who started whom.
    fn start() -> Runner {
        let layer = layer();
        let directory = tempfile::tempdir().expect("a directory");
        let fifo = directory.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
        let script = "setsid sh tests/atomics/runner.sh \"$1\" &";
        let status = Command::new("sh")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["-c", script, "sh"])
            .arg(&fifo)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(status.expect("sh").success());
        // It ends when this is closed.
        let fifo = OpenOptions::new().write(true).open(&fifo).expect("the fifo");
        Runner { fifo, directory, layer }
    }

    /// Runs it; what it said, and the mark of its events.
    fn run(&mut self, attack: &Attack) -> (String, String) {
        let directory = self.directory.path().join(&attack.id);
        let mark = format!("{}-{}", std::process::id(), attack.id);
        fs::create_dir(&directory).expect("a directory for the attack");
        let write = |name: &str, text: &str| fs::write(directory.join(name), text).expect("a script");
        attack.scripts.iter().for_each(|(name, text)| write(name, text));
        write("executor", &attack.executor);
        write("timeout", &attack.timeout_s.to_string());
        write("mark", &mark);
        symlink(&self.layer, directory.join("layer")).expect("a link");
        writeln!(self.fifo, "{}", directory.display()).expect("the runner listens");
        let deadline = Instant::now() + Duration::from_secs(attack.timeout_s + 180);
        while !directory.join("done").exists() {
            assert!(Instant::now() < deadline, "{} does not end", attack.id);
            std::thread::sleep(Duration::from_millis(20));
        }
        (fs::read_to_string(directory.join("said")).unwrap_or_default(), mark)
    }
}

/// How far the log was looked through: on a busy host it is long.
struct Followed {
    at: u64,
    /// The last bytes, which may be half a mark.
    kept: Vec<u8>,
}

impl Followed {
    /// Waits until the log has this mark.
    fn until(&mut self, agent: &Agent, mark: &str) {
        let (found, mark) = (std::cell::RefCell::new(self), format!("\"{mark}\""));
        agent.until(&mark, || found.borrow_mut().has(&agent.log(), mark.as_bytes()));
    }

    fn has(&mut self, log: &Path, mark: &[u8]) -> bool {
        let mut file = File::open(log).expect("the log");
        file.seek(SeekFrom::Start(self.at)).expect("the log");
        self.at += file.read_to_end(&mut self.kept).expect("the log") as u64;
        let has = memchr::memmem::find(&self.kept, mark).is_some();
        self.kept.drain(..self.kept.len().saturating_sub(mark.len()));
        has
    }
}

/// The findings and the marks of a log: of its other lines, a busy host has too many to look into.
fn told(log: &Path) -> Vec<Value> {
    let text = fs::read(log).expect("the log");
    let marks = [r#""kind":"alert""#.to_owned(), format!("-{}-T", std::process::id())];
    let finders = marks.each_ref().map(memchr::memmem::Finder::new);
    text.split(|&byte| byte == b'\n')
        .filter(|line| finders.iter().any(|finder| finder.find(line).is_some()))
        .map(|line| serde_json::from_slice(line).expect("a line of the log is JSON"))
        .collect()
}

/// When the events of an attack were, by its marks.
fn window(log: &[Value], mark: &str) -> (String, String) {
    let at = |end: &str| {
        let argument = format!("{end}-{mark}");
        let fits = |line: &&Value| {
            line["event"]["kind"] != "alert" && line["process"]["args"][1] == argument.as_str()
        };
        log.iter().find(fits).map(|line| text(&line["@timestamp"]))
    };
    (at("begin").expect("the first mark"), at("end").expect("the last mark"))
}

/// Whether the finding tells of something in that time. Times are written alike, so they compare as texts.
fn is_within(finding: &Value, (begin, end): &(String, String)) -> bool {
    let times = ["first", "last"].map(|key| text(&finding["sentineledge"]["finding"][key]));
    times.iter().any(|time| time >= begin && time <= end)
}

/// Whether one of the attack's processes, or their ancestors, did it: other things happen on this host, too. One that
/// stands for several shows only the first of them.
fn is_ours(finding: &Value) -> bool {
    finding["sentineledge"]["finding"]["count"].as_u64() > Some(1)
        || finding.to_string().contains("/opt/attack/")
}

fn outcome(attack: &Attack, log: &[Value], window: &(String, String)) -> Outcome {
    let mut outcome = Outcome::default();
    let findings = log.iter().filter(|line| line["event"]["kind"] == "alert");
    for finding in findings.filter(|finding| is_within(finding, window) && is_ours(finding)) {
        let tag = format!("attack.{}", attack.technique.to_lowercase());
        let names_it = finding["tags"].as_array().is_some_and(|tags| tags.iter().any(|t| *t == tag.as_str()));
        let severity = finding["event"]["severity"].as_u64().unwrap_or_default();
        let name = text(&finding["rule"]["name"]);
        if names_it && severity >= MEDIUM {
            outcome.seen.insert(name);
        } else {
            let level = text(&finding["sentineledge"]["finding"]["level"]);
            outcome.others.insert(if level.is_empty() { name } else { format!("{name} ({level})") });
        }
    }
    outcome
}

/// What the attack lacked, by what the shell said of it.
fn lacking(attack: &Attack, said: &str) -> String {
    let missing: Vec<&str> = said.lines().filter(|line| line.ends_with("not found")).collect();
    if missing.is_empty() {
        return String::new();
    }
    format!("of {:?} something is not installed: {}", attack.requires, missing.join("; "))
}

/// Waits longer than other tests do: the machine may be busy, and minutes of attacks hang on it.
fn agent_is_ready(agent: &Agent) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !matches!(agent.try_get("/ready"), Ok((200, _))) {
        assert!(Instant::now() < deadline, "the agent is not up:\n{}", agent.stderr());
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn list(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[test]
#[ignore = "needs root and BPF"]
fn most_attacks_are_found_and_named() {
    let attacks = attacks();
    let mut runner = Runner::start();
    let config = "[security]\nenable_threat_detection = true\n".to_owned();
    let mut agent = Agent::start(Options { config, wait: Wait::Nothing, ..Options::default() });
    agent_is_ready(&agent);
    let mut followed = Followed { at: 0, kept: Vec::new() };
    let mut ran: Vec<(&Attack, String, String)> = Vec::new();
    let mut table = String::new();
    let (mut seen, mut lacking_one) = (0, 0);
    for attack in apart(attacks.len()).map(|at| &attacks[at]) {
        let dangerous = DANGEROUS.iter().find(|word| attack.scripts.iter().any(|(_, s)| s.contains(**word)));
        if let Some(word) = dangerous {
            let _ = writeln!(table, "not run  {:12} {}: it has {word:?} in it", attack.id, attack.name);
            continue;
        }
        let (said, mark) = runner.run(attack);
        assert!(said.contains("the command ended with"), "{}: {said}", attack.id);
        followed.until(&agent, &format!("end-{mark}"));
        ran.push((attack, said, mark));
    }
    // The repeats are told at the end.
    assert!(agent.stop().success(), "{}", agent.stderr());
    let log = told(&agent.log());
    for (attack, said, mark) in &ran {
        let mut outcome = outcome(attack, &log, &window(&log, mark));
        outcome.remark = lacking(attack, said);
        let verdict = if outcome.seen.is_empty() { "MISSED" } else { "ok" };
        seen += usize::from(!outcome.seen.is_empty());
        lacking_one += usize::from(outcome.seen.is_empty() && !outcome.remark.is_empty());
        let _ = writeln!(table, "{verdict:8} {:12} {}: {}", attack.id, attack.name, list(&outcome.seen));
        if outcome.seen.is_empty() {
            let _ = writeln!(table, "         instead: {}. {}", list(&outcome.others), outcome.remark);
        }
    }
    let could = attacks.len() - lacking_one;
    println!(
        "{table}{seen} of {} attacks were found and named, {lacking_one} could not run here",
        attacks.len()
    );
    if let Some(path) = std::env::var_os("ATOMICS_LOG") {
        fs::copy(agent.log(), path).expect("a copy of the log");
    }
    if std::env::var_os("ATOMICS").is_none() {
        assert!(lacking_one * 100 <= attacks.len() * LACKING_MAX, "{lacking_one} could not run:\n{table}");
        assert!(seen * 100 >= could * SHARE_MIN, "{seen} of {could}:\n{table}");
    }
}
