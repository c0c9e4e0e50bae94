//! Many connections: each is told, the books close, and the programs stay cheap.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use libbpf_rs::query::ProgInfoIter;
use sentinel_edge::event::{Kind, NetworkOp};
use sentinel_edge::metrics::label::{Reason, Stage};

use crate::network::{KINDS, OPTIONS, own};
use crate::rig::{Options, Rig};

const CONNECTIONS: usize = 5_000;

/// CPU time of this thread so far; other loads of the machine do not count.
fn cpu_time() -> Duration {
    let now = nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID.now().expect("a clock");
    Duration::from(now)
}

/// Connects, accepts and closes, one after the other. The CPU time it took.
fn storm(count: usize) -> Duration {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback works");
    let address = listener.local_addr().expect("loopback works");
    let begin = cpu_time();
    for _ in 0..count {
        let client = TcpStream::connect(address).expect("loopback works");
        let server = listener.accept().expect("loopback works");
        drop((client, server));
    }
    cpu_time() - begin
}

/// Programs that are loaded now, by id: the name, the nanoseconds they ran and how often.
fn run_times() -> BTreeMap<u32, (String, u64, u64)> {
    let times = |info: libbpf_rs::query::ProgramInfo| {
        (info.id, (info.name.to_string_lossy().into_owned(), info.run_time_ns, info.run_cnt))
    };
    ProgInfoIter::default().map(times).collect()
}

#[test]
#[ignore = "needs root and BPF"]
fn every_one_of_many_connections_is_told() {
    let mut rig = Rig::with(Options { ring_bytes: 32 << 20, ..OPTIONS });
    storm(CONNECTIONS);
    // The last segments of the last connections may still be on their way.
    thread::sleep(Duration::from_millis(200));
    rig.assert_closes(KINDS);
    let told =
        |kind, op| rig.network(own(), kind).into_iter().filter(move |e| e.op == op).collect::<Vec<_>>();
    let connects = told(Kind::NetConnect, NetworkOp::Connect);
    let accepts = told(Kind::NetAccept, NetworkOp::Accept);
    let flows = told(Kind::NetFlow, NetworkOp::End);
    assert!(connects.iter().all(|e| e.errno == 0 && !e.unowned));
    let accepts = accepts.len();
    assert_eq!(connects.len(), CONNECTIONS);
    let asked: BTreeSet<_> = connects.iter().map(|e| (e.cookie, e.local.port)).collect();
    assert_eq!(asked.len(), CONNECTIONS, "each is told once");
    let ended: BTreeSet<_> = flows.iter().filter(|e| !e.incoming).map(|e| (e.cookie, e.local.port)).collect();
    assert_eq!(ended, asked);
    assert_eq!(flows.iter().filter(|e| e.incoming && !e.unowned).count(), CONNECTIONS);
    let skipped = rig.skipped(Kind::NetAccept);
    assert!(
        accepts <= CONNECTIONS && accepts as u64 + skipped >= CONNECTIONS as u64,
        "{accepts}, {skipped} skipped"
    );
    for kind in KINDS {
        assert_eq!(rig.dropped(*kind, Reason::RingFull), 0, "{kind}");
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn without_room_every_loss_is_counted() {
    let mut rig = Rig::with(Options { ring_bytes: 16384, ..OPTIONS });
    storm(500);
    thread::sleep(Duration::from_millis(200));
    rig.kernel.detach();
    rig.drain();
    rig.refresh();
    let tally = rig.tally();
    for kind in [Kind::NetConnect, Kind::NetAccept, Kind::NetFlow] {
        let lost = rig.dropped(kind, Reason::RingFull);
        assert!(lost > 0, "{kind}");
        assert_eq!(rig.stage(kind, Stage::Attempted), rig.stage(kind, Stage::Submitted) + lost, "{kind}");
        assert_eq!(rig.stage(kind, Stage::Submitted), tally.get(&kind).copied().unwrap_or(0), "{kind}");
    }
}

/// Prints what a connection costs; to be read, as other loads of the machine decide what may be asserted.
#[test]
#[ignore = "needs root and BPF"]
fn what_a_connection_costs_is_printed() {
    const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";
    const ROUNDS: usize = 9;
    let others = run_times();
    let mut rig = Rig::with(Options { ring_bytes: 64 << 20, ..OPTIONS });
    let (mut with, mut without) = (Vec::new(), Vec::new());
    storm(CONNECTIONS);
    for _ in 0..ROUNDS {
        with.push(storm(CONNECTIONS));
        rig.kernel.detach();
        without.push(storm(CONNECTIONS));
        rig.drain();
        rig.kernel.attach().expect("attaching again");
    }
    let before = std::fs::read_to_string(SWITCH).expect("the switch of BPF statistics");
    std::fs::write(SWITCH, "1").expect("switching on");
    storm(CONNECTIONS);
    std::fs::write(SWITCH, before.trim()).expect("switching back");
    let per = |n: u64| n as f64 / CONNECTIONS as f64;
    let mut total = 0.0;
    let ours = run_times().into_iter().filter(|(id, (.., runs))| !others.contains_key(id) && *runs > 0);
    for (_, (name, ns, runs)) in ours {
        total += per(ns);
        println!("{name}: {:.0} ns a connection in {:.1} runs of {} ns", per(ns), per(runs), ns / runs);
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[ROUNDS / 2].as_secs_f64() / CONNECTIONS as f64 * 1e9
    };
    let (with, without) = (median(&mut with), median(&mut without));
    println!(
        "all programs: {total:.0} ns a connection as they count; {with:.0} ns with them, {without:.0} without: {:.3}",
        with / without
    );
}
