//! The enricher on a host that is a directory.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::sync::Arc;

use sentinel_edge::enrich::identity::entity_id;
use sentinel_edge::enrich::{Enricher, Sources, Subject};
use sentinel_edge::event::{Body, Cgroup, CgroupChange, Host, Task};
use sentinel_edge::procfs::Procfs;

use crate::records::{
    BOOT, INIT, config, event, exec_failed_of, executable, fork, program, snapshot, snapshot_of, task,
};

/// One process, one account, one group of a container; with the group's id.
fn fake_host(dir: &Path) -> (Sources, u64) {
    let id = "0123456789abcdef".repeat(4);
    let group = dir.join("cgroup/docker").join(&id);
    for path in [&group, &dir.join("proc/self"), &dir.join("proc/7"), &dir.join("etc")] {
        fs::create_dir_all(path).unwrap();
    }
    let put = |name: &str, text: &str| fs::write(dir.join(name), text).unwrap();
    put("proc/self/cgroup", "0::/\n");
    put("proc/self/mountinfo", &format!("1 1 0:1 / {} rw - cgroup2 none rw\n", dir.join("cgroup").display()));
    put("proc/7/stat", "7 (web) S 1 7 7 0 -1 64 0 0 0 0 0 0 0 0 20 0 1 0 500 0 0");
    put("proc/7/cmdline", "web\0--port\u{0}80\0");
    put("etc/passwd", "root:x:0:0::/:\n");
    symlink("/srv/web", dir.join("proc/7/exe")).unwrap();
    let sources = Sources {
        proc: Procfs::new(dir.join("proc")),
        root: dir.to_owned(),
        getent: None,
        host_root: dir.to_owned(),
    };
    (sources, fs::metadata(group).unwrap().ino())
}

fn enricher(sources: Option<&Sources>) -> Enricher {
    let host = Host { boot_id: BOOT, ..Host::default() };
    Enricher::new(&config(100, 16), &host, sources, &Arc::default()).0
}

#[test]
fn snapshots_get_arguments_container_and_names() {
    let dir = tempfile::tempdir().unwrap();
    let (sources, group) = fake_host(dir.path());
    let mut e = enricher(Some(&sources));
    let start_ns = 5_003_000_000;
    let shown = Task { cgroup_id: group, ..task((7, start_ns), INIT) };
    let subject = e.apply(&snapshot_of(6_000_000_000, shown, Some(program("/srv/web"))));
    let image = Arc::clone(&subject.process.unwrap().image);
    assert_eq!((&*image.args, image.args_len), (&b"web\0--port\x0080\0"[..], 14));
    assert_eq!(subject.container.unwrap().id.len(), 64);
    assert!(subject.cgroup_path.unwrap().starts_with("/docker/0123"));
    assert_eq!(e.names().user(0).as_deref(), Some("root"));
    // Another process has the pid by now: no arguments of a stranger.
    let subject = e.apply(&snapshot(6_000_000_000, (7, start_ns - 10_000_000), INIT, "/srv/web"));
    assert!(subject.process.unwrap().image.args.is_empty());
}

#[test]
fn control_groups_are_kept_by_events() {
    let mut e = enricher(None);
    let id = "0123456789abcdef".repeat(4);
    let path = format!("/system.slice/docker-{id}.scope");
    let cgroup = Cgroup { id: 44, hierarchy: 0, change: CgroupChange::Created, path: path.as_bytes() };
    assert_eq!(e.apply(&event(5, Body::Cgroup(cgroup))), Subject::default());
    let subject = e.apply(&exec_failed_of(6, Task { cgroup_id: 44, ..task((7, 5), INIT) }));
    assert_eq!(subject.container.unwrap().id.as_ref(), id);
    assert_eq!(subject.cgroup_path.as_deref(), Some(path.as_str()));
    // Without sources nothing of this host is mixed in.
    assert_eq!(e.names().user(0), None);
    assert_eq!(e.seed_from_procfs(7), 0);
}

#[test]
fn processes_from_proc_become_exact() {
    let dir = tempfile::tempdir().unwrap();
    let (sources, _) = fake_host(dir.path());
    let mut e = enricher(Some(&sources));
    e.begin_resync(9_000_000_000);
    assert_eq!(e.seed_from_procfs(9_000_000_000), 1);
    assert_eq!(e.seed_from_procfs(9_000_000_000), 1);
    e.end_resync(9_100_000_000);
    assert_eq!(e.table().len(), 1);
    // The record has nanoseconds within the tick that /proc showed.
    let start_ns = 5_007_654_321;
    let subject = e.apply(&fork(9_500_000_000, (8, 9_500_000_000), (7, start_ns)));
    let parent = subject.parent.unwrap();
    assert_eq!((executable(&parent), parent.entity_id), ("/srv/web".into(), entity_id(BOOT, 7, start_ns)));
    assert_eq!(subject.process.unwrap().creator.as_ref().unwrap().entity_id, entity_id(BOOT, 7, start_ns));
    assert_eq!(e.table().len(), 2);
    // A second look finds it by its exact start now, and keeps it alive.
    e.begin_resync(9_600_000_000);
    e.seed_from_procfs(9_600_000_000);
    e.end_resync(9_700_000_000);
    assert!(e.table().alive(7).is_some() && e.table().alive(8).is_none());
}

#[test]
fn this_host_can_be_seeded() {
    let host = sentinel_edge::enrich::host::read(&Procfs::default(), Path::new("/"), None);
    let sources = Sources::of_this_host(Procfs::default());
    let mut e = Enricher::new(&config(65_536, 64), &host, Some(&sources), &Arc::default()).0;
    assert!(e.seed_from_procfs(sentinel_edge::util::clock::boot_ns()) > 1);
    let me = e.table().alive(std::process::id()).unwrap();
    assert_eq!(me.image.executable.as_ref(), std::env::current_exe().unwrap().as_os_str().as_encoded_bytes());
    assert_eq!(me.creator.as_ref().unwrap().pid, std::os::unix::process::parent_id());
    assert_eq!(me.ancestors().last().unwrap().pid, 1);
}
