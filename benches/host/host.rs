//! What the kernel knows of processes and of this host, from /proc.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

/// CPU time of all threads of a process and of the children that it waited for.
///
/// Threads from schedstat, in nanoseconds; reaped children from stat, in ticks. Threads that ended are missing, so
/// this is for processes that keep theirs.
pub fn cpu(pid: u32) -> Duration {
    let mut total = reaped_children_cpu(pid);
    for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let schedstat = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let nanoseconds = schedstat.split(' ').next().and_then(|n| n.parse().ok());
        total += Duration::from_nanos(nanoseconds.unwrap_or(0));
    }
    total
}

fn reaped_children_cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name may hold blanks and parentheses; fields are counted from the last one. cutime and cstime are 16 and 17.
    let fields: Vec<u64> =
        stat.rsplit(')').next().unwrap_or_default().split(' ').map(|f| f.parse().unwrap_or(0)).collect();
    let ticks = fields.get(14).unwrap_or(&0) + fields.get(15).unwrap_or(&0);
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    Duration::from_secs_f64(ticks as f64 / per_second as f64)
}

/// A line `key: value kB` of a file in /proc, in bytes.
fn kilobytes(path: &Path, key: &str) -> Option<f64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse::<f64>().ok().map(|n| n * 1024.0)
}

/// Resident memory in MB.
pub fn resident_mb(pid: u32) -> f64 {
    kilobytes(Path::new(&format!("/proc/{pid}/status")), "VmRSS").unwrap_or(f64::NAN) / 1e6
}

/// Proportional set size in MB: pages mapped twice, as a ring buffer's are, count once.
pub fn proportional_mb(pid: u32) -> f64 {
    kilobytes(Path::new(&format!("/proc/{pid}/smaps_rollup")), "Pss").unwrap_or(f64::NAN) / 1e6
}

/// Process id of a kernel thread.
pub fn kernel_thread(name: &str) -> Option<u32> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let pids = processes.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    pids.into_iter().find(|pid| {
        let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        // Kernel threads have no executable, so nobody can pretend to be one.
        comm.trim_end() == name && fs::read_link(format!("/proc/{pid}/exe")).is_err()
    })
}

/// Number of processes.
pub fn processes() -> usize {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter(|e| e.file_name().to_str().is_some_and(|n| n.parse::<u32>().is_ok())).count()
}

/// Number of CPUs that this process may use.
pub fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// CPU, memory, kernel: what figures depend on.
pub fn description() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo
        .lines()
        .find_map(|l| l.strip_prefix("model name")?.split(": ").nth(1))
        .unwrap_or("unknown CPU");
    let memory = kilobytes(Path::new("/proc/meminfo"), "MemTotal").unwrap_or(f64::NAN) / 1e9;
    let release = read("/proc/sys/kernel/osrelease");
    format!("{} CPUs ({model}), {memory:.0} GB of memory, Linux {}", cpus(), release.trim_end())
}
