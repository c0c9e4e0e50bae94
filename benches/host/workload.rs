//! The storm: a tiny static program spawned again and again, by one spawner per CPU.
//!
//! Both programs are compiled when the benchmark runs. Every process carries a mark with a number, so that each
//! can be looked for in what an observer wrote.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

use crate::{Result, host};

/// The compiled programs.
pub struct Programs {
    /// Exits at once.
    pub tiny: PathBuf,
    spawner: PathBuf,
}

/// What a storm cost.
#[derive(Debug, Clone)]
pub struct Storm {
    /// Processes that were spawned.
    pub count: u64,
    /// From the first spawner's start to the last one's end.
    pub wall: Duration,
    /// User and system time of the spawners and all that they spawned.
    pub cpu: Duration,
    /// The spawners' process ids.
    pub spawners: Vec<u32>,
}

impl Programs {
    /// Compiles both into `directory`.
    pub fn compile(directory: &Path) -> Result<Self> {
        let source = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/host").join(name);
        let programs = Programs { tiny: directory.join("tiny"), spawner: directory.join("spawner") };
        compile(&["-O2", "-static", "-nostdlib", "-ffreestanding"], &source("tiny.c"), &programs.tiny)?;
        compile(&["-O2", "-Wall"], &source("spawner.c"), &programs.spawner)?;
        Ok(programs)
    }

    /// Starts a spawner of `count` processes, `rate` a second (0: no pause).
    pub fn spawn(&self, count: u64, mark: &str, rate: u64) -> Result<Child> {
        let mut command = Command::new(&self.spawner);
        command.arg(&self.tiny).args([count.to_string(), mark.to_owned(), rate.to_string()]);
        Ok(command.spawn()?)
    }

    /// Runs a storm of `count` processes in all, over all CPUs, and waits for its end. Processes of spawner `k` are
    /// marked `<mark>-<k>-<number>`. Nothing else may be waited for meanwhile: the CPU time is that of all children.
    pub fn storm(&self, count: u64, mark: &str, rate: u64) -> Result<Storm> {
        let lanes = u64::try_from(host::cpus())?;
        let before = children_cpu()?;
        let start = Instant::now();
        let mut children = Vec::new();
        for lane in 0..lanes {
            children.push(self.spawn(count / lanes, &format!("{mark}-{lane}"), rate.div_ceil(lanes))?);
        }
        let spawners = children.iter().map(Child::id).collect();
        for mut child in children {
            let status = child.wait()?;
            if !status.success() {
                return Err(format!("a spawner failed: {status}").into());
            }
        }
        let wall = start.elapsed();
        let cpu = children_cpu()?.saturating_sub(before);
        Ok(Storm { count: count / lanes * lanes, wall, cpu, spawners })
    }
}

/// Compiles a C program.
pub fn compile(flags: &[&str], source: &Path, output: &Path) -> Result<()> {
    let status = Command::new("cc").args(flags).arg("-o").arg(output).arg(source).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("cannot compile {}: {status}", source.display()).into())
    }
}

/// CPU time of all children that were waited for, and theirs.
pub fn children_cpu() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let microseconds = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(u64::try_from(microseconds)?))
}
