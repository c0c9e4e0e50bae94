//! What is let through: watch lists, exclusions, merge windows, the limit of the bulk ring. Every case does real
//! opens and looks at what came out and at what was counted.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::wait::WaitStatus;
use sentinel_edge::decode::decode;
use sentinel_edge::event::{Body, Kind};
use sentinel_edge::kernel::counters::Counters;
use sentinel_edge::kernel::loader::Kernel;
use sentinel_edge::kernel::merge::{Merger, Untold};
use sentinel_edge::kernel::reader::Reader;
use sentinel_edge::kernel::records::Records;
use sentinel_edge::kernel::{Config, Filter, support};
use sentinel_edge::metrics::Metrics;
use sentinel_edge::metrics::label::{Program, Reason, Stage};
use sentinel_edge::util::clock;

use crate::acts::act;
use crate::rig::{KERNEL_REASONS, hooks, planned, reap, shell, skipped};

const OPENS: [Kind; 2] = [Kind::FileOpen, Kind::FileRead];

/// The kernel side with a filter, and what came out of it.
pub struct Filtered {
    pub kernel: Kernel,
    config: Config,
    metrics: Arc<Metrics>,
    reader: Reader,
    counters: Counters,
    merger: Option<Merger>,
    opens: Vec<Open>,
    tally: BTreeMap<Kind, u64>,
}

/// An open that came out.
#[derive(Debug, Clone)]
struct Open {
    kind: Kind,
    pid: u32,
    path: PathBuf,
    watched: bool,
    /// Others that it stands for; then it is none of its own.
    merged: u64,
}

pub fn config() -> Config {
    Config {
        ring_buffer_bytes: 4 << 20,
        bulk_ring_bytes: 16 << 20,
        bulk_rate: 0,
        backpressure: false,
        hooks: hooks(),
        merge_window: None,
        filter: Filter { skip_pseudo: true, ..Filter::default() },
        args_max_bytes: 4096,
        env_max_bytes: 0,
        kinds: vec![Kind::Exec, Kind::Fork, Kind::Exit, Kind::FileOpen, Kind::FileRead],
        poll_timeout: Duration::from_millis(100),
        busy_window: Duration::from_millis(1),
        batch: 256,
        auto_recovery: true,
    }
}

impl Filtered {
    pub fn with(config: Config) -> Self {
        let _ = env_logger::try_init();
        let plan = planned(&config, false, false);
        let mut kernel = Kernel::load(&config, &plan, std::process::id()).expect("loading");
        let metrics = Arc::new(Metrics::default());
        let reader = kernel.reader(Arc::clone(&metrics)).expect("a reader");
        let counters = kernel.counters().expect("counters");
        let merger = kernel.merger(&config, Arc::clone(&metrics)).expect("the merge windows");
        kernel.attach().expect("attaching");
        let (opens, tally) = (Vec::new(), BTreeMap::new());
        Filtered { kernel, config, metrics, reader, counters, merger, opens, tally }
    }

    pub fn watching(watch: &[&str], skip: &[&str]) -> Self {
        let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        let filter = Filter { watch_paths: texts(watch), skip_paths: texts(skip), ..config().filter };
        Filtered::with(Config { filter, ..config() })
    }

    /// Takes what is there now.
    fn drain(&mut self) {
        let mut records = Records::default();
        loop {
            self.reader.drain(4096, &mut records).expect("draining");
            if let Some(merger) = &mut self.merger {
                merger.observe(&records);
                merger.turn(clock::boot_ns(), &mut records).expect("the merge windows");
            }
            if records.is_empty() {
                return;
            }
            self.take(&records);
        }
    }

    fn take(&mut self, records: &Records) {
        for record in records.iter() {
            let event = decode(record).expect("a record that decodes");
            let merged = event.origin().map_or(0, |origin| u64::from(origin.merged));
            *self.tally.entry(event.kind()).or_default() += u64::from(merged == 0);
            if let Body::File(file) = &event.body {
                use std::os::unix::ffi::OsStrExt as _;
                self.opens.push(Open {
                    kind: file.kind,
                    pid: file.task.pid,
                    path: std::ffi::OsStr::from_bytes(file.path).into(),
                    watched: file.origin.watched,
                    merged,
                });
            }
        }
    }

    /// Detaches and takes all that is left; then the counters are final.
    pub fn finish(&mut self) -> Option<Untold> {
        self.kernel.detach();
        self.drain();
        let mut records = Records::default();
        let untold = self.merger.as_mut().and_then(|merger| {
            merger.finish(&mut records).expect("the merge windows");
            merger.unplaced().take()
        });
        self.take(&records);
        self.counters.refresh(&self.metrics).expect("counters");
        untold
    }

    /// Plays a role to its end. Its pid.
    pub fn act(&mut self, role: impl FnOnce()) -> u32 {
        let pid = act(role);
        let status = reap(pid);
        assert!(matches!(status, WaitStatus::Exited(_, 0)), "{status:?}");
        self.drain();
        pid
    }

    /// What a process opened, by path.
    pub fn opened(&self, pid: u32, kind: Kind) -> Vec<&Path> {
        let mut paths: Vec<&Path> =
            self.opens.iter().filter(|o| o.pid == pid && o.kind == kind).map(|o| o.path.as_path()).collect();
        paths.sort_unstable();
        paths
    }

    fn dropped(&self, kind: Kind, reason: Reason) -> u64 {
        self.metrics.events_dropped.at((kind, reason)).get()
    }

    /// After [`Filtered::finish`]: attempted is submitted and what was left out, and all that was submitted came out.
    pub fn assert_closes(&self) {
        for kind in &self.config.kinds {
            let stage = |stage| self.metrics.events.at((*kind, stage)).get();
            let lost: u64 = KERNEL_REASONS.iter().map(|reason| self.dropped(*kind, *reason)).sum();
            assert_eq!(stage(Stage::Attempted), stage(Stage::Submitted) + lost, "{kind}");
            assert_eq!(stage(Stage::Submitted), self.tally.get(kind).copied().unwrap_or(0), "{kind}");
            let told = self.metrics.events_merged.at(*kind).get();
            assert_eq!(told, self.dropped(*kind, Reason::Deduplicated), "{kind}: every merged event is told");
        }
    }
}

/// A directory of the test, its path without links.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new() -> Self {
        Place(tempfile::tempdir().expect("a directory"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        fs::canonicalize(self.0.path()).expect("the directory").join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Makes a file with all directories on the way.
    pub fn file(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("directories");
        fs::write(&path, "x").expect("a file");
        path
    }
}

pub fn read(path: &Path) {
    File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

pub fn write(path: &Path) {
    OpenOptions::new().append(true).open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

#[test]
#[ignore = "needs root and BPF"]
fn reads_are_reported_where_they_are_watched() {
    let place = Place::new();
    let watched = [
        "dir/a",
        "dir/sub/deep/b",
        "exact",
        "x/se-watched-name",
        "x/se-watched-dir/sub/c",
        "dir/skipped/again/d",
    ];
    let not = ["other", "sub/exact", "dir/skipped/e", "mem", "dirt", "x/se-watched-name.old"];
    watched.iter().chain(&not).for_each(|name| drop(place.file(name)));
    fs::hard_link(place.path("exact"), place.path("hard-link")).expect("a link");
    let watch = [
        &place.text("dir/"),
        &place.text("exact"),
        "*/se-watched-name",
        "*/se-watched-dir/",
        "/proc/*/mem",
        &place.text("dir/skipped/again/"),
    ];
    let mut kernel = Filtered::watching(&watch, &[&place.text("dir/skipped/")]);
    let pid = kernel.act(|| {
        watched.iter().chain(&not).for_each(|name| read(&place.path(name)));
        read(&place.path("hard-link"));
        read(Path::new("/proc/self/mem"));
        // Writing is reported everywhere but where it is skipped.
        write(&place.path("other"));
        write(&place.path("dir/skipped/e"));
        write(Path::new("/dev/null"));
    });
    let mut expected: Vec<PathBuf> = watched.iter().map(|name| place.path(name)).collect();
    expected.extend([place.path("hard-link"), format!("/proc/{pid}/mem").into()]);
    expected.sort_unstable();
    assert_eq!(kernel.opened(pid, Kind::FileRead), expected);
    assert_eq!(kernel.opened(pid, Kind::FileOpen), [place.path("other")]);
    assert!(kernel.opens.iter().all(|open| open.pid != pid || open.watched == (open.kind == Kind::FileRead)));
    kernel.finish();
    kernel.assert_closes();
}

#[test]
#[ignore = "needs root and BPF"]
fn a_path_through_a_link_is_watched_where_it_leads() {
    let place = Place::new();
    let file = place.file("real/secret");
    std::os::unix::fs::symlink("real", place.path("link")).expect("a link");
    let mut kernel = Filtered::watching(&[&place.text("link/")], &[]);
    let pid = kernel.act(|| read(&place.path("link/secret")));
    assert_eq!(kernel.opened(pid, Kind::FileRead), [file]);
}

#[test]
#[ignore = "needs root and BPF"]
fn what_the_agent_does_to_its_own_files_is_left_out_and_what_others_do_is_not() {
    let place = Place::new();
    let log = place.file("own/sentinel.log");
    let filter = Filter { own_directories: vec![place.path("own")], ..config().filter };
    let mut kernel = Filtered::with(Config { filter, ..config() });
    write(&log);
    write(&place.file("else"));
    let pid = kernel.act(|| write(&log));
    assert_eq!(kernel.opened(pid, Kind::FileOpen), [log.as_path()]);
    let own = kernel.opened(std::process::id(), Kind::FileOpen);
    assert!(!own.contains(&log.as_path()), "{own:?}");
    assert!(own.contains(&place.path("else").as_path()), "the agent's other files are reported: {own:?}");
}

#[test]
#[ignore = "needs root and BPF"]
fn lists_change_while_the_programs_run() {
    let place = Place::new();
    let files = ["a/x", "b/x"].map(|name| place.file(name));
    let (a, b) = (place.text("a/"), place.text("b/x"));
    let mut kernel = Filtered::watching(&[&a], &[]);
    for (watch, skip, expected) in [
        (vec![a.clone()], vec![], vec![&files[0]]),
        (vec![b.clone()], vec![], vec![&files[1]]),
        (vec![a.clone(), "*/x".into()], vec![], vec![&files[0], &files[1]]),
        (vec!["*/x".into()], vec![a.clone()], vec![&files[1]]),
        (vec![], vec![], vec![]),
    ] {
        let filter = Filter { watch_paths: watch, skip_paths: skip, ..config().filter };
        let config = Config { filter, ..config() };
        assert_eq!(kernel.kernel.watch().apply(&config).expect("new lists"), [""; 0]);
        let pid = kernel.act(|| files.iter().for_each(|file| read(file)));
        assert_eq!(kernel.opened(pid, Kind::FileRead), expected, "{:?}", config.filter);
    }
    // A file that came, or was replaced, is known by inode after the next look.
    let filter = Filter { watch_paths: vec![place.text("later")], ..config().filter };
    kernel.kernel.watch().apply(&Config { filter, ..config() }).expect("new lists");
    place.file("later");
    kernel.kernel.watch().refresh().expect("another look");
    fs::hard_link(place.path("later"), place.path("other-name")).expect("a link");
    let pid = kernel.act(|| read(&place.path("other-name")));
    // Looking at inodes is fixed at load, and at load no file was watched by its full path.
    assert_eq!(kernel.opened(pid, Kind::FileRead), [""; 0].map(Path::new));
}

#[test]
#[ignore = "needs root and BPF"]
fn an_executable_is_left_out() {
    let place = Place::new();
    let file = place.file("file");
    let shell_path = fs::canonicalize("/bin/sh").expect("a shell").display().to_string();
    let filter = Filter { skip_executables: vec![shell_path], ..config().filter };
    let mut kernel = Filtered::with(Config { filter, ..config() });
    let ours = kernel.act(|| write(&file));
    let mut child = shell(&format!("echo x >> {}", file.display())).spawn().expect("a shell");
    let theirs = child.id();
    assert!(child.wait().expect("the shell").success());
    kernel.finish();
    kernel.assert_closes();
    assert_eq!(kernel.opened(ours, Kind::FileOpen), [file.as_path()]);
    assert_eq!(kernel.opened(theirs, Kind::FileOpen), [""; 0].map(Path::new));
    assert!(kernel.dropped(Kind::FileOpen, Reason::Filtered) >= 1);
}

#[test]
#[ignore = "needs root and BPF"]
fn a_user_is_left_out_by_name_and_number() {
    let place = Place::new();
    let file = place.file("file");
    fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755)).expect("a mode");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).expect("a mode");
    let filter = Filter { skip_users: vec![12_345], skip_user_names: vec!["root".into()], ..config().filter };
    let mut kernel = Filtered::with(Config { filter, ..config() });
    let as_user = |uid: u32| {
        let file = file.clone();
        move || {
            nix::unistd::setuid(uid.into()).expect("another user");
            write(&file);
        }
    };
    let root = kernel.act(|| write(&file));
    let skipped = kernel.act(as_user(12_345));
    let reported = kernel.act(as_user(12_346));
    kernel.finish();
    kernel.assert_closes();
    for pid in [root, skipped] {
        assert_eq!(kernel.opened(pid, Kind::FileOpen), [""; 0].map(Path::new));
    }
    assert_eq!(kernel.opened(reported, Kind::FileOpen), [file.as_path()]);
}

#[test]
#[ignore = "needs root and BPF"]
fn a_control_group_is_left_out_with_those_below() {
    let Ok(root) = support::probe(&support::Roots::default()).cgroup2 else {
        println!("MATRIX class=skip_cgroups hook=none result=missing: no default hierarchy is mounted");
        return;
    };
    let place = Place::new();
    let file = place.file("file");
    let top = PathBuf::from(&root).join(format!("se-test-{}", std::process::id()));
    let below = top.join("below");
    fs::create_dir_all(&below).expect("control groups");
    let name = format!("/{}", top.file_name().expect("a name").to_string_lossy());
    let filter = Filter { skip_cgroups: vec![name], ..config().filter };
    let mut kernel = Filtered::with(Config { filter, ..config() });
    let inside = |group: &Path| {
        let (group, file) = (group.join("cgroup.procs"), file.clone());
        move || {
            fs::write(&group, "0").expect("moving into the control group");
            write(&file);
        }
    };
    let pids = [kernel.act(inside(&top)), kernel.act(inside(&below))];
    let outside = kernel.act(|| write(&file));
    fs::remove_dir(&below).and_then(|()| fs::remove_dir(&top)).expect("the groups are empty");
    kernel.finish();
    kernel.assert_closes();
    for pid in pids {
        let opened = kernel.opened(pid, Kind::FileOpen);
        assert!(!opened.contains(&file.as_path()), "{opened:?}");
    }
    assert_eq!(kernel.opened(outside, Kind::FileOpen), [file.as_path()]);
}

#[test]
#[ignore = "needs root and BPF"]
fn merged_opens_are_counted_exactly_over_windows_and_threads() {
    const THREADS: usize = 4;
    const EACH: usize = 2_500;
    let place = Place::new();
    let files = [place.file("one"), place.file("two")];
    let mut kernel = Filtered::with(Config { merge_window: Some(Duration::from_millis(50)), ..config() });
    let began = Instant::now();
    thread::scope(|scope| {
        let opening: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    for n in 0..EACH {
                        write(&files[n % 2]);
                        if n % 100 == 0 {
                            thread::sleep(Duration::from_millis(10));
                        }
                    }
                })
            })
            .collect();
        while opening.iter().any(|thread| !thread.is_finished()) {
            kernel.drain();
            thread::sleep(Duration::from_millis(1));
        }
    });
    let windows = began.elapsed().as_millis() / 50;
    assert_eq!(kernel.finish(), None, "every count found its record");
    kernel.assert_closes();
    for file in &files {
        let of_file: Vec<&Open> = kernel.opens.iter().filter(|open| open.path == *file).collect();
        let alone = of_file.iter().filter(|open| open.merged == 0).count() as u64;
        let merged: u64 = of_file.iter().map(|open| open.merged).sum();
        let (known, all) = (alone + merged, (THREADS * EACH / 2) as u64);
        let skipped = skipped(&kernel.kernel, &kernel.metrics, Kind::FileOpen);
        assert!(known <= all && known + skipped >= all, "{alone} alone, {merged} merged, {skipped} skipped");
        assert!(alone > 1 && u128::from(alone) <= windows + 2, "{alone} of their own in {windows} windows");
        assert!(of_file.iter().all(|open| open.pid == std::process::id()));
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn merged_opens_whose_first_was_lost_are_told_without_it() {
    let place = Place::new();
    let many: Vec<PathBuf> = (0..100).map(|n| place.file(&n.to_string())).collect();
    let file = place.file("file");
    let mut kernel = Filtered::with(Config {
        bulk_ring_bytes: 4096,
        merge_window: Some(Duration::from_secs(60)),
        ..config()
    });
    // Nobody reads meanwhile, so the ring is full when the file's turn comes.
    many.iter().for_each(|path| write(path));
    (0..50).for_each(|_| write(&file));
    let untold = kernel.finish().expect("counts without a record");
    kernel.assert_closes();
    use std::os::unix::fs::MetadataExt as _;
    let inode = fs::metadata(&file).expect("the file").ino();
    let of_file: Vec<_> = untold.each.iter().filter(|unplaced| unplaced.inode == inode).collect();
    let [unplaced] = of_file[..] else { panic!("one count of the file: {untold:?}") };
    assert_eq!((unplaced.kind, unplaced.pid, unplaced.count), (Kind::FileOpen, std::process::id(), 49));
    assert!(unplaced.times_ns.0 < unplaced.times_ns.1);
    assert!(kernel.dropped(Kind::FileOpen, Reason::RingFull) > 0);
}

#[test]
#[ignore = "needs root and BPF"]
fn the_limit_refuses_bulk_classes_alone_and_counts_exactly() {
    const OPENED: u64 = 3_000;
    const RATE: u64 = 200;
    let place = Place::new();
    let file = place.file("file");
    let mut kernel = Filtered::with(Config { bulk_rate: RATE, ..config() });
    let began = Instant::now();
    (0..OPENED).for_each(|_| write(&file));
    kernel.act(|| {});
    let seconds = began.elapsed().as_secs() + 1;
    kernel.finish();
    kernel.assert_closes();
    let came = kernel.opens.iter().filter(|open| open.path == file).count() as u64;
    let refused = kernel.dropped(Kind::FileOpen, Reason::RateLimited);
    assert!(refused >= OPENED - RATE * (seconds + 1), "{refused} refused in {seconds} s");
    // A hundredth of a second's tokens too many for each CPU that refills at the same moment.
    assert!(came > 0 && came <= RATE * (seconds + 1) * 11 / 10, "{came} came in {seconds} s");
    for kind in [Kind::Exec, Kind::Fork, Kind::Exit] {
        assert_eq!(kernel.dropped(kind, Reason::RateLimited), 0, "{kind}");
    }
    assert!(kernel.tally[&Kind::Fork] >= 1 && kernel.tally[&Kind::Exit] >= 1);
}

#[test]
#[ignore = "needs root and BPF"]
fn backpressure_refuses_before_the_ring_is_full() {
    let place = Place::new();
    let file = place.file("file");
    let lost = |backpressure: bool| {
        let tight = Config { bulk_ring_bytes: 1 << 16, bulk_rate: 2_000, backpressure, ..config() };
        let mut kernel = Filtered::with(tight);
        (0..1_500).for_each(|_| write(&file));
        kernel.finish();
        kernel.assert_closes();
        [Reason::RingFull, Reason::RateLimited].map(|reason| kernel.dropped(Kind::FileOpen, reason))
    };
    let [full, limited] = lost(false);
    assert!(full > 1_000 && limited < 400, "without: {full} ring_full, {limited} rate_limited");
    let [full, limited] = lost(true);
    assert!(full < 300 && limited > 1_000, "with: {full} ring_full, {limited} rate_limited");
}

#[test]
#[ignore = "needs root and BPF"]
fn nothing_is_attached_for_what_nobody_wants() {
    let kinds = vec![Kind::Exec, Kind::Fork, Kind::Exit];
    let kernel = Filtered::with(Config { kinds: kinds.clone(), ..config() });
    for sensor in kernel.kernel.sensors() {
        let is_needed = sensor.kinds.iter().any(|kind| kinds.contains(kind) || kind.is_internal());
        assert!(is_needed, "{} is there for {:?}", sensor.symbol, sensor.kinds);
        assert_ne!(sensor.program, Program::SysExit, "no system call pays for anything");
    }
    let wanted = Filtered::with(config());
    assert!(OPENS.iter().all(|kind| wanted.kernel.sensors().iter().any(|s| s.kinds.contains(kind))));
}
