//! What trails tell: in order, bounded, and of no other tree.

use std::sync::Arc;
use std::time::Instant;

use super::memory::TOLD_MAX;
use super::*;
use crate::detect::load::Rules;
use crate::detect::sigma::rule::Level;
use crate::detect::sigma::search::Placeholders;
use crate::detect::sigma::set::{Set, Source};
use crate::event::ecs::Context;
use crate::event::{Body, EntityId, Event, ExecFailed, Image, Kind, Process, Task};

const RULE: &str = "title: t\nid: one\nlogsource: {category: process_creation}\ndetection:\n  a: {Image: /bin/x}\n  condition: a\n";

const MEMORY: usize = 2 << 20;

fn rules() -> Arc<Rules> {
    let source = Source { name: Arc::from("test.yml"), text: RULE.to_owned(), built_in: false };
    Arc::new(Rules::of(Set::new(&[source], &Placeholders::new()), &[], 1))
}

fn id(pid: u32) -> EntityId {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&pid.to_le_bytes());
    EntityId(id)
}

/// A process that runs these arguments, made by that one.
fn process(pid: u32, args: &str, creator: Option<&Arc<Process>>) -> Arc<Process> {
    let program = args.split(' ').next().unwrap();
    let image = Image {
        executable: format!("/usr/bin/{program}").into_bytes().into(),
        args: format!("{}\0", args.replace(' ', "\0")).into_bytes().into(),
        ..Image::default()
    };
    Arc::new(Process {
        pid,
        start_ns: 1,
        entity_id: id(pid),
        image: Arc::new(image),
        creator: creator.map(Arc::clone),
        depth: 0,
    })
}

/// Batches with numbers for their events, and what became of the hits.
struct Bench {
    trail: Trail,
    rules: Arc<Rules>,
    steps: Steps,
    hits: Vec<Hit>,
    sequence: u64,
    index: u64,
}

impl Bench {
    fn new(bytes: usize) -> Bench {
        Bench {
            trail: Trail::new(bytes),
            rules: rules(),
            steps: Steps::default(),
            hits: Vec::new(),
            sequence: 0,
            index: 0,
        }
    }

    fn context(&mut self, process: &Arc<Process>, leader: Option<&Arc<Process>>) -> Context {
        self.sequence += 1;
        Context {
            sequence: self.sequence,
            process: Some(Arc::clone(process)),
            session_leader: leader.map(|leader| leader.entity_id),
            ..Context::default()
        }
    }

    fn note(&mut self, body: Body<'_>, process: &Arc<Process>, leader: Option<&Arc<Process>>) {
        let context = self.context(process, leader);
        self.steps.note(&Event { time_ns: self.sequence, cpu: 0, body }, &context, 1_000);
    }

    fn exec(&mut self, process: &Arc<Process>, leader: Option<&Arc<Process>>) {
        self.note(exec(), process, leader);
    }

    fn file(&mut self, path: &str, process: &Arc<Process>, leader: Option<&Arc<Process>>) {
        self.note(failed(path.as_bytes()), process, leader);
    }

    /// A hit in the next event.
    fn hit(&mut self, process: &Arc<Process>, leader: Option<&Arc<Process>>) {
        let about = Arc::clone(&self.rules.set.rules()[0].about);
        assert_eq!(about.level, Level::Medium);
        self.hits.push(Hit {
            rules: Arc::clone(&self.rules),
            about,
            category: "process_creation",
            is_silent: false,
            time_ns: 0,
            wall_offset_ns: 0,
            sequence: self.sequence + 1,
            line: b"{}".as_slice().into(),
            matched: Vec::new(),
            process: Some(Arc::clone(process)),
            program: None,
            feeds: Vec::new(),
            container: None,
            session_leader: leader.map(|leader| leader.entity_id),
            preceding: Arc::default(),
        });
    }

    /// Hands over the batch.
    fn end(&mut self) -> Vec<Hit> {
        self.index += 1;
        self.trail.take(self.index - 1, &mut self.steps, std::mem::take(&mut self.hits))
    }
}

fn exec() -> Body<'static> {
    Body::Exec(Box::default())
}

/// Stands for everything that is no program that was run.
fn failed(path: &[u8]) -> Body<'_> {
    Body::ExecFailed(Box::new(ExecFailed {
        task: Task::default(),
        errno: 2,
        filename: path,
        filename_fault: false,
        filename_cut: false,
        args: b"",
        args_count: 0,
        args_cut: false,
        cwd: b"/",
        cwd_cut: false,
    }))
}

fn texts(hit: &Hit) -> Vec<String> {
    hit.preceding.iter().map(|step| String::from_utf8_lossy(&step.text).into_owned()).collect()
}

#[test]
fn a_hit_gets_what_came_before_it_in_order_and_not_itself() {
    let mut bench = Bench::new(MEMORY);
    let shell = process(10, "bash", None);
    let (get, run) = (process(11, "curl -O http://x/y", Some(&shell)), process(12, "y -d", Some(&shell)));
    bench.exec(&shell, Some(&shell));
    bench.exec(&get, Some(&shell));
    bench.file("/tmp/y", &get, Some(&shell));
    bench.hit(&run, Some(&shell));
    bench.hit(&run, Some(&shell));
    bench.exec(&run, Some(&shell));
    bench.file("/tmp/later", &run, Some(&shell));
    let hits = bench.end();
    assert_eq!(texts(&hits[0]), ["bash", "curl -O http://x/y", "/tmp/y"]);
    assert!(Arc::ptr_eq(&hits[0].preceding, &hits[1].preceding), "hits of one event share it");
    let step = &hits[0].preceding[1];
    assert_eq!((step.sequence, step.wall_ns, step.kind, step.pid), (2, 1_002, Kind::Exec, 11));
    assert_eq!((&*step.name, step.entity_id, step.count), (&b"curl"[..], id(11), 1));
}

#[test]
fn forks_ends_and_the_agent_itself_are_no_steps() {
    let mut bench = Bench::new(MEMORY);
    let shell = process(10, "bash", None);
    let exit = crate::event::Exit {
        task: Task::default(),
        cpu_ns: 0,
        utime_ns: 0,
        stime_ns: 0,
        max_rss_bytes: 0,
        status: 0,
    };
    bench.note(Body::Exit(Box::new(exit)), &shell, Some(&shell));
    let mut own = failed(b"/own");
    if let Body::ExecFailed(own) = &mut own {
        own.task.agent = true;
    }
    bench.note(own, &shell, Some(&shell));
    bench.hit(&shell, Some(&shell));
    assert_eq!(texts(&bench.end()[0]), [""; 0]);
}

#[test]
fn other_trees_are_not_mixed_in() {
    let mut bench = Bench::new(MEMORY);
    let init = process(1, "init", None);
    let (one, other) = (process(10, "sshd one", Some(&init)), process(20, "sshd other", Some(&init)));
    for _ in 0..20 {
        bench.exec(&other, Some(&other));
        bench.file("/other", &process(21, "vi", Some(&other)), Some(&other));
    }
    bench.exec(&one, Some(&one));
    bench.hit(&process(11, "id", Some(&one)), Some(&one));
    assert_eq!(texts(&bench.end()[0]), ["sshd one"]);
    // Two without a session are two trees, too.
    let (left, right) = (process(30, "left", Some(&init)), process(31, "right", Some(&init)));
    bench.exec(&left, None);
    bench.exec(&right, None);
    bench.hit(&right, None);
    assert_eq!(texts(&bench.end()[0]), ["right"]);
}

#[test]
fn leaving_the_session_does_not_hide_what_ancestors_did() {
    let mut bench = Bench::new(MEMORY);
    let shell = process(10, "bash", None);
    let stranger = process(15, "top", Some(&process(14, "screen", None)));
    bench.exec(&process(11, "wget evil", Some(&shell)), Some(&shell));
    bench.exec(&stranger, Some(&shell));
    // A daemon: a child of a child with a session of its own.
    let daemon = process(13, "evil", Some(&process(12, "bash", Some(&shell))));
    bench.file("/etc/x", &daemon, Some(&daemon));
    bench.hit(&daemon, Some(&daemon));
    assert_eq!(texts(&bench.end()[0]), ["wget evil", "/etc/x"], "a child of an ancestor, and no stranger");
}

#[test]
fn a_flood_of_one_sort_leaves_room_for_the_other() {
    let mut bench = Bench::new(MEMORY);
    let shell = process(10, "bash", None);
    for n in 0..6 {
        bench.exec(&process(20 + n, &format!("step{n}"), Some(&shell)), Some(&shell));
    }
    let find = process(30, "find", Some(&shell));
    (0..1000).for_each(|n| bench.file(&format!("/home/f{n}"), &find, Some(&shell)));
    bench.hit(&find, Some(&shell));
    let hits = bench.end();
    let expected =
        ["step2", "step3", "step4", "step5", "/home/f996", "/home/f997", "/home/f998", "/home/f999"];
    assert_eq!(texts(&hits[0]), expected);
    // The same over and over takes one place.
    (0..50).for_each(|_| bench.file("/same", &find, Some(&shell)));
    bench.hit(&find, Some(&shell));
    let hits = bench.end();
    let last = hits[0].preceding.last().unwrap();
    assert_eq!((&*last.text, last.count, last.sequence), (&b"/same"[..], 50, bench.sequence));
    assert_eq!(hits[0].preceding.len(), TOLD_MAX);
}

#[test]
fn what_is_long_is_cut_and_says_so() {
    let mut bench = Bench::new(MEMORY);
    let shell = process(10, &format!("bash {}", "x".repeat(4096)), None);
    bench.exec(&shell, Some(&shell));
    bench.file(&"/p".repeat(80), &shell, Some(&shell));
    bench.file(&"/q".repeat(81), &shell, Some(&shell));
    bench.hit(&shell, Some(&shell));
    let hits = bench.end();
    let told: Vec<(usize, bool)> = hits[0].preceding.iter().map(|s| (s.text.len(), s.is_cut)).collect();
    assert_eq!(told, [(160, true), (160, false), (160, true)]);
}

#[test]
fn whatever_order_workers_finish_in_the_same_is_told() {
    let shell = process(10, "bash", None);
    let batches: Vec<(Steps, Vec<Hit>)> = {
        let mut bench = Bench::new(MEMORY);
        let batch = |n: u32| {
            bench.exec(&process(20 + n, &format!("step{n}"), Some(&shell)), Some(&shell));
            bench.hit(&shell, Some(&shell));
            (std::mem::take(&mut bench.steps), std::mem::take(&mut bench.hits))
        };
        (0..6).map(batch).collect()
    };
    let trail = Trail::new(MEMORY);
    let mut batches: Vec<Option<(Steps, Vec<Hit>)>> = batches.into_iter().map(Some).collect();
    let mut told = Vec::new();
    for index in [2, 0, 1, 5, 4, 3] {
        let (mut steps, hits) = batches[index].take().unwrap();
        told.extend(trail.take(index as u64, &mut steps, hits));
    }
    let sequences: Vec<u64> = told.iter().map(|hit| hit.sequence).collect();
    assert_eq!(sequences, [2, 3, 4, 5, 6, 7]);
    assert_eq!(texts(&told[5]), ["step0", "step1", "step2", "step3", "step4", "step5"]);
}

#[test]
fn a_batch_that_never_comes_holds_up_no_finding() {
    let mut bench = Bench::new(MEMORY);
    let shell = process(10, "bash", None);
    bench.index = 1;
    let mut out = 0;
    for _ in 0..=AHEAD_MAX {
        bench.hit(&shell, Some(&shell));
        bench.exec(&shell, Some(&shell));
        out += bench.end().len();
    }
    assert_eq!(out, AHEAD_MAX + 1);
    let late = bench.trail.take(0, &mut Steps::default(), Vec::new());
    assert!(late.is_empty());
    bench.hit(&shell, Some(&shell));
    assert_eq!(bench.end().len(), 1, "the order goes on where it was");
}

#[test]
fn without_memory_hits_pass_and_a_limit_is_kept() {
    let shell = process(10, "bash", None);
    let mut bench = Bench::new(0);
    assert!(!bench.trail.is_kept());
    bench.index = 7;
    bench.hit(&shell, Some(&shell));
    assert_eq!(bench.end().len(), 1);

    let mut bench = Bench::new(64 << 10);
    for pid in 100..2000 {
        let leader = process(pid, "job", None);
        for n in 0..20 {
            bench.file(&format!("/f{n}"), &leader, Some(&leader));
            bench.exec(&process(n, "step", Some(&leader)), Some(&leader));
        }
        // One that is active all the time stays known.
        bench.exec(&shell, Some(&shell));
        bench.end();
    }
    bench.hit(&shell, Some(&shell));
    let hits = bench.end();
    assert_eq!(texts(&hits[0]), ["bash"]);
    assert_eq!(hits[0].preceding[0].count, 1900);
    let inner = bench.trail.inner.lock().unwrap();
    let bytes = inner.memory.heap_bytes();
    assert!((32 << 10..=64 << 10).contains(&bytes), "{bytes} bytes");
}

/// What an event costs; for a look by hand: `cargo test --profile harness --lib trail::tests::cost -- --ignored
/// --nocapture`.
#[test]
#[ignore = "measures"]
fn cost() {
    let mut bench = Bench::new(MEMORY);
    let leaders: Vec<_> =
        (0..400).map(|n| process(1000 + n, "bash -c something long enough to be real", None)).collect();
    let (mut noting, mut taking) = (0, 0);
    let rounds = 20_000;
    for round in 0..rounds {
        let begun = Instant::now();
        for n in 0..100_usize {
            let leader = &leaders[(round * 7 + n / 4) % leaders.len()];
            let path = [b"/var/lib/dpkg/info/a.list".as_slice(), b"/usr/share/doc/x/copyright"][n % 2];
            if n % 5 == 0 {
                bench.exec(leader, Some(leader))
            } else {
                bench.note(failed(path), leader, Some(leader))
            }
        }
        noting += begun.elapsed().as_nanos();
        let begun = Instant::now();
        bench.end();
        taking += begun.elapsed().as_nanos();
    }
    let events = u128::try_from(rounds).unwrap() * 100;
    println!(
        "{} ns an event to note, with making the event; {} ns to keep",
        noting / events,
        taking / events
    );
}
