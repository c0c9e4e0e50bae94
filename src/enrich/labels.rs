//! What runtimes call their containers: name, image, and of Kubernetes pod and namespace.
//!
//! A control group tells no more than an id. The rest is asked of the runtime on this host, and not of the cluster, by the
//! state that it keeps on disk for each container while it runs:
//!
//! - containerd (also below Kubernetes, k3s and Docker) and CRI-O keep the OCI bundle, whose `config.json` has the
//!   annotations of the CRI (`pkg/annotations` of containerd, `pkg/annotations` of CRI-O);
//! - Docker keeps `config.v2.json` with name, image and labels (`container/container.go` of moby);
//! - Podman keeps one list of its containers (`containers.go` of containers/storage), with what it knows of each as JSON
//!   within JSON.
//!
//! The file is there before the container's first process is, as the OCI runtime starts it by that file. It is read by a
//! thread of its own (`se-labels`), asked when a control group shows up, so that no event waits for a disk; lines that are
//! written before the answer lack it.
//!
//! Whoever may write these files is root on the host. What a container says of itself is not asked.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use serde_json::Value;

use crate::event::{Container, Labels};
use crate::util::beacon::Beacon;
use crate::util::thread::{Thread, spawn};

/// Containers that wait for their file to be read; those beyond are asked for again by their next event.
const QUEUE: usize = 1_024;

/// A file that is larger is not read.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// A name that is longer is not taken over.
const NAME_BYTES_MAX: usize = 1_024;

/// How often the thread shows that it lives.
const TURN: Duration = Duration::from_secs(1);

/// Where runtimes keep the bundle of a container, `ID` for its id.
const BUNDLES: [&str; 6] = [
    "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json",
    "run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json",
    "run/containers/storage/overlay-containers/ID/userdata/config.json",
    "var/lib/containers/storage/overlay-containers/ID/userdata/config.json",
    "run/containerd/io.containerd.runtime.v2.task/default/ID/config.json",
    "run/containerd/io.containerd.runtime.v2.task/moby/ID/config.json",
];

/// Where Docker keeps what it knows of a container.
const DOCKER: &str = "var/lib/docker/containers/ID/config.v2.json";

/// Where Podman's lists are, by the driver of its storage; containers that end with the machine have a list of their own.
const LISTS: [&str; 4] = [
    "var/lib/containers/storage/overlay-containers/containers.json",
    "var/lib/containers/storage/overlay-containers/volatile-containers.json",
    "run/containers/storage/overlay-containers/volatile-containers.json",
    "var/lib/containers/storage/vfs-containers/containers.json",
];

/// Annotations of a bundle, and labels of Docker, that tell a name; the first one that is there.
struct Keys {
    name: &'static [&'static str],
    image: &'static [&'static str],
    pod: &'static [&'static str],
    namespace: &'static [&'static str],
}

const KEYS: Keys = Keys {
    name: &["io.kubernetes.cri.container-name", "io.kubernetes.container.name", "nerdctl/name"],
    image: &["io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName", "io.kubernetes.cri-o.Image"],
    pod: &["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"],
    namespace: &["io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"],
};

/// Asks for the labels of containers.
#[derive(Debug, Clone)]
pub struct Asker(Option<Sender<Arc<Container>>>);

impl Asker {
    /// Never asks.
    pub fn disabled() -> Asker {
        Asker(None)
    }

    /// Asks; false if there is no room for the question now.
    pub fn ask(&self, container: &Arc<Container>) -> bool {
        // Ids of other runtimes are names, which say all there is.
        let is_id = container.id.len() == 64 && container.id.bytes().all(|b| b.is_ascii_hexdigit());
        match &self.0 {
            Some(sender) if is_id && container.labels.get().is_none() => {
                sender.try_send(Arc::clone(container)).is_ok()
            }
            _ => true,
        }
    }
}

/// Answers; to be started as a thread. Ends when no [`Asker`] is left.
#[derive(Debug)]
pub struct Answerer {
    questions: Receiver<Arc<Container>>,
    root: PathBuf,
}

/// Both halves. `root` is the host's root directory.
pub fn channel(root: PathBuf) -> (Asker, Answerer) {
    let (sender, questions) = bounded(QUEUE);
    (Asker(Some(sender)), Answerer { questions, root })
}

impl Answerer {
    /// Starts the thread `se-labels`.
    pub fn start(self) -> io::Result<Thread> {
        spawn("se-labels", move |beacon| self.run(beacon))
    }

    fn run(&self, beacon: &Beacon) {
        loop {
            beacon.beat();
            match self.questions.recv_timeout(TURN) {
                Ok(container) => {
                    if let Some(labels) = read(&self.root, &container.id) {
                        // Somebody else may have asked about the same group.
                        let _ = container.labels.set(Box::new(labels));
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    }
}

/// The labels of a container, if a runtime has a file about it.
pub fn read(root: &Path, id: &str) -> Option<Labels> {
    let file = |place: &str| json(&root.join(place.replace("ID", id)));
    let says_something = |labels: &Labels| *labels != Labels::default();
    // Bundles of Docker and Podman have none of these annotations.
    let of_bundle = BUNDLES.iter().find_map(|place| file(place)).map(|bundle| of_bundle(&bundle));
    let of_docker = || file(DOCKER).map(|docker| of_docker(&docker));
    let of_lists = || LISTS.iter().find_map(|place| of_list(&file(place)?, id));
    of_bundle
        .filter(says_something)
        .or_else(|| of_docker().filter(says_something))
        .or_else(|| of_lists().filter(says_something))
}

fn json(path: &Path) -> Option<Value> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    let read = file.take(FILE_BYTES_MAX).read_to_end(&mut bytes);
    match read
        .map_err(|e| e.to_string())
        .and_then(|_| serde_json::from_slice(&bytes).map_err(|e| e.to_string()))
    {
        Ok(value) => Some(value),
        Err(error) => {
            log::debug!("{}: the runtime's file on a container cannot be read: {error}", path.display());
            None
        }
    }
}

/// The labels that an OCI bundle tells.
fn of_bundle(bundle: &Value) -> Labels {
    of_keys(bundle.get("annotations").unwrap_or(&Value::Null))
}

/// The labels that Docker's `config.v2.json` tells.
fn of_docker(docker: &Value) -> Labels {
    let config = docker.get("Config").unwrap_or(&Value::Null);
    let labels = of_keys(config.get("Labels").unwrap_or(&Value::Null));
    // Docker puts a slash before names.
    let own_name = text(docker.get("Name")).map(|name| name.strip_prefix('/').unwrap_or(&name).into());
    Labels {
        name: labels.name.or(own_name),
        image: labels.image.or_else(|| text(config.get("Image"))),
        ..labels
    }
}

/// The labels that a list of Podman tells of one of its containers.
fn of_list(list: &Value, id: &str) -> Option<Labels> {
    let entry = list.as_array()?.iter().find(|entry| entry.get("id").is_some_and(|of| of == id))?;
    let known: Value = serde_json::from_str(entry.get("metadata")?.as_str()?).ok()?;
    Some(Labels { name: text(known.get("name")), image: text(known.get("image-name")), ..Labels::default() })
}

fn of_keys(map: &Value) -> Labels {
    let first = |keys: &[&str]| keys.iter().find_map(|key| text(map.get(key)));
    Labels {
        name: first(KEYS.name),
        image: first(KEYS.image),
        pod: first(KEYS.pod),
        namespace: first(KEYS.namespace),
    }
}

fn text(value: Option<&Value>) -> Option<Box<str>> {
    let text = value?.as_str()?;
    (!text.is_empty() && text.len() <= NAME_BYTES_MAX).then(|| text.into())
}

#[cfg(test)]
mod tests;
