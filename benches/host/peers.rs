//! What the agent is compared with, each with the same job: bpftrace, which prints a line at a tracepoint, and auditd,
//! which has a rule. The jobs themselves are in [`crate::job`].
//!
//! A trap with auditd: once audit was enabled, every task made later keeps a slower system call path, until a rule
//! `never,task` is there. So auditd is measured last, and the rule is set when it stops.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::agent::{interrupt, wait_quiet};
use crate::job::Job;
use crate::tally::Tally;
use crate::{Result, host};

/// Who is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// bpftrace.
    Bpftrace,
    /// The audit daemon.
    Auditd,
}

/// A running peer.
pub struct Peer {
    kind: Kind,
    child: Child,
    output: PathBuf,
    /// The kernel thread that works for auditd.
    helper: Option<u32>,
}

/// How long a peer may take to be there.
const START_MAX: Duration = Duration::from_secs(30);

/// exec keeps the process id, so that its CPU time can be read.
const BPFTRACE_START: &str = "[ -e /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing; \
    [ -e /sys/kernel/debug/tracing ] || mount -t debugfs debugfs /sys/kernel/debug; exec bpftrace -e \"$1\"";

/// Debian's own settings, with one log file that is large enough for a run.
const AUDITD_CONF: &str = "local_events = yes\nwrite_logs = yes\nlog_group = root\nlog_format = RAW\n\
    flush = INCREMENTAL_ASYNC\nfreq = 50\nmax_log_file = 4000\nmax_log_file_action = IGNORE\n\
    num_logs = 2\nspace_left = 75\nspace_left_action = IGNORE\nadmin_space_left = 50\n\
    admin_space_left_action = IGNORE\ndisk_full_action = IGNORE\ndisk_error_action = IGNORE\n";

impl Kind {
    /// The name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Bpftrace => "bpftrace",
            Kind::Auditd => "auditd",
        }
    }

    /// Its version, or why it cannot be measured here.
    pub fn available(self) -> std::result::Result<String, String> {
        let (program, flag) = match self {
            Kind::Bpftrace => ("bpftrace", "--version"),
            Kind::Auditd => ("auditctl", "-v"),
        };
        let output = tool(program).arg(flag).output().map_err(|e| format!("{program} cannot be run: {e}"))?;
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if self == Kind::Auditd {
            let status =
                tool("auditctl").arg("-s").output().map_err(|e| format!("auditctl cannot be run: {e}"))?;
            let status = String::from_utf8_lossy(&status.stdout).into_owned();
            // The running one belongs to somebody; its rules and log are not ours to touch.
            match status.lines().find_map(|l| l.strip_prefix("pid ")) {
                Some("0") => {}
                Some(pid) => return Err(format!("auditd already runs on this host (pid {pid})")),
                None => return Err("the kernel has no audit".to_owned()),
            }
        }
        Ok(version)
    }
}

/// A system tool, also where only root's PATH looks.
fn tool(name: &str) -> Command {
    let path =
        ["/usr/sbin", "/sbin", "/usr/bin"].iter().map(|d| Path::new(d).join(name)).find(|p| p.exists());
    Command::new(path.unwrap_or_else(|| PathBuf::from(name)))
}

fn auditctl(arguments: &[&str]) -> Result<()> {
    let output = tool("auditctl").args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("auditctl {}: {said}", arguments.join(" ")).into())
}

impl Peer {
    /// Starts it with a job, with its files in `directory`, and waits until it watches.
    pub fn start(kind: Kind, directory: &Path, job: &Job) -> Result<Self> {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
        match kind {
            Kind::Bpftrace => {
                let output = directory.join("bpftrace.out");
                // A mount namespace of its own, since many hosts have neither file system mounted.
                let child = Command::new("unshare")
                    .args(["-m", "sh", "-c", BPFTRACE_START, "sh", &job.script()])
                    .stdin(Stdio::null())
                    .stdout(File::create(&output)?)
                    .stderr(File::create(directory.join("bpftrace.err"))?)
                    .spawn()?;
                let mut peer = Peer { kind, child, output, helper: None };
                peer.wait_for(|p| fs::read_to_string(&p.output).is_ok_and(|t| t.contains("ready")))?;
                // Its BEGIN comes before the other probes are attached.
                thread::sleep(Duration::from_secs(1));
                Ok(peer)
            }
            Kind::Auditd => {
                let output = directory.join("audit.log");
                let settings = format!("log_file = {}\n{AUDITD_CONF}", output.display());
                fs::write(directory.join("auditd.conf"), settings)?;
                fs::create_dir_all(directory.join("plugins.d"))?;
                let child = tool("auditd")
                    .args(["-n", "-s", "enable", "-c"])
                    .arg(directory)
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(File::create(directory.join("auditd.err"))?)
                    .spawn()?;
                let mut peer = Peer { kind, child, output, helper: host::kernel_thread("kauditd") };
                peer.wait_for(|p| fs::metadata(&p.output).is_ok_and(|m| m.len() > 0))?;
                // As in Debian's audit.rules; then the job's own.
                auditctl(&["-D"])?;
                auditctl(&["-b", "8192"])?;
                auditctl(&["--backlog_wait_time", "60000"])?;
                for rule in job.rules() {
                    auditctl(&rule.iter().map(String::as_str).collect::<Vec<_>>())?;
                }
                Ok(peer)
            }
        }
    }

    fn wait_for(&mut self, is_there: impl Fn(&Peer) -> bool) -> Result<()> {
        let start = Instant::now();
        while !is_there(self) {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("{} ended: {status}", self.kind.name()).into());
            }
            if start.elapsed() > START_MAX {
                return Err(format!("{} is not there after {START_MAX:?}", self.kind.name()).into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// CPU time of the peer and of the kernel thread that works for it.
    pub fn cpu(&self) -> Duration {
        host::cpu(self.child.id()) + self.helper.map_or(Duration::ZERO, host::cpu)
    }

    /// Resident memory in MB.
    pub fn resident_mb(&self) -> f64 {
        host::resident_mb(self.child.id())
    }

    /// Waits until its file stops growing.
    pub fn settle(&self) {
        wait_quiet(&self.output);
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        fs::metadata(&self.output).map_or(0, |m| m.len())
    }

    /// What it reported after the first `skip` bytes, `pid` being the process that did the work. Complete once it was
    /// stopped: bpftrace buffers.
    pub fn tally(&self, skip: u64, job: &Job, pid: u32) -> Result<Tally> {
        let mut file = File::open(&self.output)?;
        file.seek(SeekFrom::Start(skip))?;
        let mut tally = Tally::default();
        for line in BufReader::new(file).split(b'\n') {
            let line = line?;
            tally.lines += 1;
            tally.bytes += u64::try_from(line.len())? + 1;
            let class = job.class(self.kind, &String::from_utf8_lossy(&line), pid);
            if let Some(class) = class {
                *tally.classes.entry(class.to_owned()).or_default() += 1;
            }
        }
        Ok(tally)
    }

    /// Ends it and undoes what it set in the kernel.
    pub fn stop(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        if self.kind == Kind::Auditd {
            auditctl(&["-D"])?;
            auditctl(&["-a", "never,task"])?;
            auditctl(&["-e", "0"])?;
        }
        interrupt(&self.child, if self.kind == Kind::Bpftrace { Signal::SIGINT } else { Signal::SIGTERM })?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Only after an error on the way; a stopped one is gone already.
        let _ = self.stop();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
