//! A million entries of each kind: what they take, and what a look-up costs.

use std::fmt::Write;
use std::fs;
use std::hint::black_box;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use super::Directory;
use crate::detect::indicator::{Limits, Set};

const MILLION: u64 = 1_000_000;

/// A line of what the kernel says of this process, bytes.
fn status(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Time that this thread was on a processor, nanoseconds: other load does not count.
fn on_cpu_ns() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

fn mix(n: u64) -> u64 {
    let n = (n.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

fn low(n: u64) -> u32 {
    u32::try_from(n & 0xffff_ffff).unwrap()
}

fn v4(n: u64) -> Ipv4Addr {
    Ipv4Addr::from_bits(low(mix(n)))
}

fn v6(n: u64) -> Ipv6Addr {
    Ipv6Addr::from_bits(0x2a00_u128 << 112 | u128::from(mix(n)) << 32 | u128::from(low(mix(n + MILLION))))
}

fn domain(n: u64) -> String {
    format!("host{:x}.example{}.com", mix(n) >> 32, n % 1000)
}

fn digest(n: u64) -> [u8; 32] {
    let mut digest = [0; 32];
    for (part, bytes) in (0..).zip(digest.chunks_exact_mut(8)) {
        bytes.copy_from_slice(&mix(n * 4 + part).to_le_bytes());
    }
    digest
}

fn path(n: u64) -> String {
    format!("/usr/lib/x86_64-linux-gnu/{:x}/lib{n}.so", mix(n) >> 32)
}

/// Loads a file and says what that took; the process must not hold on to much else.
fn measure(name: &str, line: impl Fn(u64) -> String) -> Set {
    let directory = Directory::new();
    let file: PathBuf = directory.0.join(name);
    {
        let mut text = String::new();
        for n in 0..MILLION {
            writeln!(text, "{};note {}", line(n), n % 1000).unwrap();
        }
        fs::write(&file, text).unwrap();
    }
    let before = status("VmRSS:");
    // The high-water mark begins anew where this is allowed.
    let _ = fs::write("/proc/self/clear_refs", "5");
    let started = on_cpu_ns();
    let (set, problems) = Set::load(&[file], &Limits::default());
    let took_ms = (on_cpu_ns() - started) / 1_000_000;
    let (after, peak) = (status("VmRSS:"), status("VmHWM:"));
    let mb = |bytes: u64| bytes / 1_000_000;
    println!(
        "{name}: {} entries in {took_ms} ms; {} MB by count, resident + {} MB, at the peak + {} MB",
        set.len(),
        set.heap_bytes() / 1_000_000,
        mb(after.saturating_sub(before)),
        mb(peak.saturating_sub(before)),
    );
    assert!(problems.is_empty() && set.len() as u64 > MILLION - 1000);
    assert!(set.heap_bytes() < 100_000_000);
    assert!(peak.saturating_sub(before) < 200_000_000);
    set
}

/// Average time of look-ups of things that are made before.
fn time<T>(name: &str, things: &[T], is_found: impl Fn(&T) -> bool, expected: usize) {
    let started = on_cpu_ns();
    let found = things.iter().filter(|thing| black_box(is_found(thing))).count();
    let each = (on_cpu_ns() - started) / things.len() as u64;
    println!("{name}: {each} ns each, {found} of {} found", things.len());
    assert!(found >= expected && found <= expected + things.len() / 100, "{found}");
    // A hit also writes the entry's text. The processor's caches are shared with whatever else runs here, so there is
    // room above the 300 ns that are the aim for a miss.
    let most = if expected > 0 { 3000 } else { 900 };
    assert!(cfg!(debug_assertions) || each < most, "{each} ns");
}

/// Every fifth there at most, so that it is the misses that are measured, as in practice.
fn asked<T>(make: impl Fn(u64) -> T) -> (Vec<T>, Vec<T>) {
    let count = MILLION / 5;
    let there = (0..count).map(|n| make(mix(n) % MILLION)).collect();
    (there, (0..count).map(|n| make(n + 10 * MILLION)).collect())
}

#[test]
fn a_million_of_each_kind() {
    let set = measure("ipv4", |n| v4(n).to_string());
    let (there, missing) = asked(v4);
    time("ipv4, hit", &there, |a| set.ip((*a).into()).is_some(), there.len());
    time("ipv4, miss", &missing, |a| set.ip((*a).into()).is_some(), 0);
    drop(set);

    let set = measure("ipv6", |n| v6(n).to_string());
    let (there, missing) = asked(v6);
    time("ipv6, hit", &there, |a| set.ip((*a).into()).is_some(), there.len());
    time("ipv6, miss", &missing, |a| set.ip((*a).into()).is_some(), 0);
    drop(set);

    let set = measure("domain", domain);
    let (there, missing) = asked(domain);
    time("domain, hit", &there, |d| set.domain(d.as_bytes()).is_some(), there.len());
    time("domain, miss", &missing, |d| set.domain(d.as_bytes()).is_some(), 0);
    drop(set);

    let set = measure("sha256", |n| crate::detect::indicator::hash::hex(&digest(n)));
    let (there, missing) = asked(digest);
    time("sha256, hit", &there, |d| set.sha256(d).is_some(), there.len());
    time("sha256, miss", &missing, |d| set.sha256(d).is_some(), 0);
    drop(set);

    let set = measure("path", |n| if n % 10 == 0 { format!("/opt/{n}/*") } else { path(n) });
    let (_, missing) = asked(path);
    let there: Vec<String> = (0..MILLION / 10).map(|n| path(n * 10 + 1)).collect();
    time("path, hit", &there, |p| set.path(p.as_bytes()).is_some(), there.len());
    time("path, miss", &missing, |p| set.path(p.as_bytes()).is_some(), 0);
    let below: Vec<String> = (0..MILLION / 10).map(|n| format!("/opt/{}/x/y/z", n * 10)).collect();
    time("path, beginning", &below, |p| set.path(p.as_bytes()).is_some(), below.len());
}
