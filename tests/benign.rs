//! Ordinary work gives no finding above `low`: a recording of packages, compilers, git, containers, ssh, backups, cron,
//! upkeep, editors and monitoring, made on a real system by `tests/benign/record.sh`, through the built binary with the
//! built-in rules. What people do at a prompt they do at a human pace there; accounts, keys and jobs were set up before.
//!
//! The recording is `tests/data/benign/work.capture.gz`. Its records are those of the work alone, with neutral names and
//! addresses; `BENIGN_CAPTURE=FILE cargo test --test benign` makes it of a new one. That is due when the
//! layout of records changes, as an old recording can then not be read any more.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed as it should")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sentinel_edge::decode::{decode, synth};
use sentinel_edge::event::{Body, BootId, Event, Host};
use sentinel_edge::kernel::capture::{Existing, Header, Reader, Writer};
use sentinel_edge::util::clock::Offset;
use serde_json::Value;
use tempfile::TempDir;

/// The severity of level low.
const LOW: u64 = 21;

/// The largest that the recording may be.
const BYTES_MAX: u64 = 1_500_000;

/// What each kind of work consists of: a program's name, and how often it is run at least.
const WORK: &[(&str, &[(&str, usize)])] = &[
    (
        "packages",
        &[
            ("apt-get", 8),
            ("dpkg", 20),
            ("dpkg-deb", 20),
            ("update-ca-certificates", 1),
            ("dpkg-reconfigure", 2),
            ("useradd", 1),
        ],
    ),
    (
        "looking",
        &[("df", 2), ("ps", 1), ("ss", 1), ("top", 1), ("free", 1), ("dpkg", 2), ("ip", 1), ("uname", 1)],
    ),
    ("compile-c", &[("make", 2), ("cc1", 5), ("as", 5), ("collect2", 2), ("strip", 1)]),
    ("compile-rust", &[("cargo", 3), ("rustc", 3)]),
    ("git", &[("git", 20), ("ssh", 1)]),
    ("containers", &[("unshare", 1), ("bwrap", 1), ("crun", 3)]),
    ("ssh", &[("sshd", 5), ("ssh", 5), ("scp", 2), ("rsync", 1), ("sftp", 1), ("sudo", 1), ("check", 1)]),
    (
        "upkeep",
        &[
            ("logrotate", 3),
            ("systemd-tmpfiles", 2),
            ("systemd-sysusers", 1),
            ("mandb", 1),
            ("man", 1),
            ("service", 2),
        ],
    ),
    ("python", &[("python3", 5), ("curl", 1), ("wget", 1)]),
    ("editors", &[("vim.tiny", 1), ("nano", 1), ("ed", 1), ("sed", 1)]),
    (
        "cron",
        &[
            ("cron", 1),
            ("check", 2),
            ("ps", 4),
            ("ss", 2),
            ("free", 2),
            ("nightly-backup", 1),
            ("tar", 3),
            ("rsync", 2),
            ("gzip", 2),
            ("sqlite3", 1),
            ("sha256sum", 2),
            ("openssl", 1),
            ("run-parts", 1),
        ],
    ),
];

fn stored() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/benign/work.capture.gz")
}

/// The recording, unpacked, and the lines that its replay gives.
fn replay() -> (TempDir, Vec<Value>) {
    let directory = tempfile::tempdir().unwrap();
    let capture = directory.path().join("capture");
    let packed = File::open(stored()).unwrap();
    assert!(packed.metadata().unwrap().len() <= BYTES_MAX);
    std::io::copy(&mut GzDecoder::new(packed), &mut File::create(&capture).unwrap()).unwrap();
    let config = directory.path().join("config.toml");
    // The rules and the levels of a fresh installation, and nothing of this host's own.
    let empty = directory.path().join("none").display().to_string();
    fs::write(&config, format!("[security]\nrules_dir = \"{empty}\"\nindicators_dir = \"{empty}\"\n"))
        .unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sentinel-edge"));
    command.arg("replay").arg(&capture).arg("--judge").arg("--config").arg(&config).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name == "RUST_LOG" || name.to_string_lossy().starts_with("SENTINEL_") {
            command.env_remove(name);
        }
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = output.stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    (directory, lines.map(|line| serde_json::from_slice(line).unwrap()).collect())
}

fn text<'a>(line: &'a Value, pointer: &str) -> &'a str {
    line.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The names that an exec goes by: the file that runs, and the first arguments, among them the script.
fn names(line: &Value) -> BTreeSet<String> {
    let paths = ["/process/executable", "/process/args/0", "/process/args/1", "/process/args/2"];
    let paths = paths.iter().map(|pointer| text(line, pointer));
    paths.filter_map(|path| path.rsplit('/').next()).map(str::to_owned).collect()
}

#[test]
fn ordinary_work_is_never_above_low() {
    let (_directory, lines) = replay();
    let mut loud: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut quiet, mut runs): (usize, BTreeMap<String, BTreeMap<String, usize>>) = (0, BTreeMap::new());
    let mut part = String::new();
    for line in &lines {
        if text(line, "/event/kind") == "alert" {
            if line["event"]["severity"].as_u64() > Some(LOW) {
                let rule = format!("{} ({})", text(line, "/rule/name"), text(line, "/rule/id"));
                let matched = line["sentineledge"]["finding"]["matched"].to_string();
                loud.entry(rule).or_default().push(format!("{}\n      {matched}", text(line, "/message")));
            } else {
                quiet += 1;
            }
        } else if text(line, "/event/action") == "exec" {
            if let Some(begun) = text(line, "/process/args/1").strip_prefix("work-") {
                part = begun.to_owned();
            }
            let runs = runs.entry(part.clone()).or_default();
            names(line).into_iter().for_each(|name| *runs.entry(name).or_default() += 1);
        }
    }
    for (rule, findings) in &loud {
        println!("{rule}: {}", findings.len());
        findings.iter().take(12).for_each(|finding| println!("    {finding}"));
    }
    println!("{} lines, {quiet} findings of level low", lines.len());
    let mut lacking = Vec::new();
    for (part, programs) in WORK {
        for (program, least) in *programs {
            let count = runs.get(*part).and_then(|runs| runs.get(*program)).copied().unwrap_or(0);
            if count < *least {
                lacking.push(format!("{part}: {program} {count} times of {least}"));
            }
        }
    }
    assert_eq!(lacking, [""; 0], "the recording lacks work");
    assert_eq!(loud.keys().collect::<Vec<_>>(), Vec::<&String>::new(), "rules that ordinary work sets off");
}

/// The work alone: the first process of the recording's root, and all that descend from it.
struct Work {
    /// Pid and start.
    processes: BTreeSet<(u32, u64)>,
    /// Addresses of the recorded network, and what stands for each.
    addresses: BTreeMap<[u8; 16], [u8; 16]>,
}

impl Work {
    /// Whether the event belongs to it.
    fn has(&mut self, event: &Event<'_>) -> bool {
        match &event.body {
            Body::Fork(fork) => {
                let is_ours = self.processes.contains(&(fork.creator_pid, fork.creator_start_ns));
                if is_ours {
                    self.processes.insert((fork.task.pid, fork.task.start_ns));
                }
                is_ours
            }
            Body::Exec(exec) => {
                let id = (exec.task.pid, exec.task.start_ns);
                if exec.args_head == b"sh\0/srv/work/work.sh\0" {
                    self.processes.insert(id);
                }
                self.processes.contains(&id)
            }
            _ => event.task().is_some_and(|task| self.processes.contains(&(task.pid, task.start_ns))),
        }
    }

    /// An address of documentation for each of the recorded ones, but for those that are everybody's.
    fn neutral(&mut self, address: [u8; 16], family: u32) -> [u8; 16] {
        let endpoint = sentinel_edge::event::Endpoint { address, port: 0 };
        let ip = endpoint.ip(family).map(|ip| ip.to_canonical());
        if ip.is_none_or(|ip| ip.is_loopback() || ip.is_unspecified()) {
            return address;
        }
        let next = u8::try_from(self.addresses.len() + 1).expect("few peers");
        let is_v4 = family == sentinel_edge::event::network::AF_INET;
        *self.addresses.entry(address).or_insert_with(|| {
            let mut neutral = [0; 16];
            if is_v4 {
                neutral[..4].copy_from_slice(&[192, 0, 2, next]);
            } else {
                neutral[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
                neutral[15] = next;
            }
            neutral
        })
    }
}

/// Makes the stored recording of the one that BENIGN_CAPTURE names. Without one, the stored recording must be what is made of
/// itself: nothing is left in it that would be taken out.
#[test]
fn the_stored_recording_holds_the_work_alone() {
    let directory = tempfile::tempdir().unwrap();
    let unpacked = directory.path().join("unpacked");
    let new = std::env::var_os("BENIGN_CAPTURE").map(PathBuf::from);
    if new.is_none() {
        let mut packed = GzDecoder::new(File::open(stored()).unwrap());
        std::io::copy(&mut packed, &mut File::create(&unpacked).unwrap()).unwrap();
    }
    let mut reader = Reader::open(new.as_ref().unwrap_or(&unpacked)).unwrap();
    let host = Host {
        name: "build-1".into(),
        hostname: "build-1".into(),
        architecture: reader.header().host.architecture.clone(),
        kernel: "6.1.0-31-amd64".into(),
        boot_id: BootId::parse("0f0e0d0c-0b0a-0908-0706-050403020100").unwrap(),
        ..Host::default()
    };
    let header =
        Header { host, clock: Offset::from_ns(reader.header().clock.ns()), ..reader.header().clone() };
    let file = directory.path().join("capture");
    let mut writer = Writer::create(&file, &header, Existing::Refuse).unwrap();
    let mut work = Work { processes: BTreeSet::new(), addresses: BTreeMap::new() };
    while let Some(record) = reader.next() {
        let mut event = decode(record.unwrap()).unwrap();
        if !work.has(&event) {
            continue;
        }
        if let Body::Network(network) = &mut event.body {
            network.local.address = work.neutral(network.local.address, network.family);
            network.remote.address = work.neutral(network.remote.address, network.family);
            if let Some(given) = &mut network.given {
                given.address = work.neutral(given.address, network.family);
            }
            // Answers are full of addresses, and no rule looks at them but through the connections that follow.
            if network.op == sentinel_edge::event::NetworkOp::DnsAnswer {
                continue;
            }
        }
        writer.write(&synth::encode(&event)).unwrap();
    }
    println!("{:?}", writer.finish().unwrap());
    let mut bytes = Vec::new();
    File::open(&file).unwrap().read_to_end(&mut bytes).unwrap();
    if new.is_none() {
        assert!(bytes == fs::read(&unpacked).unwrap(), "something would be taken out");
        return;
    }
    fs::create_dir_all(stored().parent().unwrap()).unwrap();
    let mut packed = GzEncoder::new(File::create(stored()).unwrap(), Compression::best());
    packed.write_all(&bytes).unwrap();
    packed.finish().unwrap().sync_all().unwrap();
    println!("{} bytes packed", fs::metadata(stored()).unwrap().len());
}
