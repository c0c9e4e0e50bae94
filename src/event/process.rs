//! Processes as the table keeps them: immutable, shared nodes that point at their creator.
//!
//! A node is made at fork and replaced at exec; children keep pointing at the node that was current when they
//! were forked. So an ancestor chain tells what each ancestor was running when it created the next one, and
//! an ancestor that replaces its image afterwards cannot rewrite the story. Whoever holds an `Arc<Process>`
//! sees the process as it was at that event, whatever comes later.

use std::fmt;
use std::sync::{Arc, OnceLock};

/// 128 bits that name a process for good: a hash of boot id, pid and start time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityId(pub [u8; 16]);

impl EntityId {
    /// 32 lower-case hexadecimal digits.
    #[inline]
    pub fn hex(&self) -> [u8; 32] {
        let mut text = [0; 32];
        for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            *pair = HEX_PAIRS[usize::from(byte)];
        }
        text
    }
}

/// Two hexadecimal digits for every byte.
pub(super) const HEX_PAIRS: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};

impl fmt::Debug for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.hex().iter().try_for_each(|&b| fmt::Write::write_char(f, char::from(b)))
    }
}

/// A process at a moment of its life.
#[derive(Debug, Clone, PartialEq)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Start, boot clock, nanoseconds.
    pub start_ns: u64,
    /// The name for good.
    pub entity_id: EntityId,
    /// The program that it runs.
    pub image: Arc<Image>,
    /// Who created it, as it was then. `None`: not known, or cut at the depth limit.
    pub creator: Option<Arc<Process>>,
    /// Length of the chain behind `creator`.
    pub depth: u16,
}

impl Process {
    /// Creator, creator's creator and so on.
    pub fn ancestors(&self) -> impl Iterator<Item = &Process> {
        std::iter::successors(self.creator.as_deref(), |p| p.creator.as_deref())
    }
}

/// The program that a process runs, shared by all that were forked since its exec.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Image {
    /// Resolved path; the short name of a kernel thread.
    pub executable: Box<[u8]>,
    /// NUL-separated arguments, up to the table's limit.
    pub args: Box<[u8]>,
    /// Bytes of all arguments; more than `args` holds if they were cut.
    pub args_len: u64,
    /// The script that is run, if one is.
    pub script: Option<Box<[u8]>>,
    /// The path that execve was given, if it is another one: a link's name mostly.
    pub invoked: Option<Box<[u8]>>,
    /// Working directory at the exec.
    pub cwd: Box<[u8]>,
    /// The head of `executable` is missing.
    pub executable_cut: bool,
    /// A kernel thread.
    pub kernel_thread: bool,
    /// It had a controlling terminal when it was started, or first seen. `None`: not known.
    pub interactive: Option<bool>,
}

impl Image {
    /// The last component of the executable's path. Names of kernel threads, such as `kworker/0:1`, are no paths.
    pub fn name(&self) -> &[u8] {
        if self.kernel_thread { &self.executable } else { base_name(&self.executable) }
    }
}

/// The last component of a path.
pub fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|&b| b == b'/').next().unwrap_or(path)
}

/// What runs a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Runtime {
    /// Docker.
    Docker,
    /// containerd, also below Kubernetes.
    Containerd,
    /// CRI-O.
    CriO,
    /// Podman.
    Podman,
    /// LXC and LXD.
    Lxc,
    /// systemd-nspawn.
    Nspawn,
    /// A container by its control group's name; whose, it does not tell.
    Unknown,
}

impl Runtime {
    /// Value of `container.runtime`.
    pub const fn name(self) -> &'static str {
        match self {
            Runtime::Docker => "docker",
            Runtime::Containerd => "containerd",
            Runtime::CriO => "cri-o",
            Runtime::Podman => "podman",
            Runtime::Lxc => "lxc",
            Runtime::Nspawn => "systemd-nspawn",
            Runtime::Unknown => "unknown",
        }
    }
}

/// The container that a task ran in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Full id, or the name where the runtime uses names.
    pub id: Box<str>,
    /// What runs it.
    pub runtime: Runtime,
    /// Uid of the Kubernetes pod, with hyphens.
    pub pod_uid: Option<Box<str>>,
    /// What the runtime calls it, once it was asked.
    pub labels: OnceLock<Box<Labels>>,
}

/// What a runtime calls a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// Its name.
    pub name: Option<Box<str>>,
    /// The image that it was made of, as whoever started it wrote it: `registry/path:tag@digest`.
    pub image: Option<Box<str>>,
    /// Name of the Kubernetes pod.
    pub pod: Option<Box<str>>,
    /// ... and its namespace.
    pub namespace: Option<Box<str>>,
}

/// The parts of an image's reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageName<'a> {
    /// Registry and path.
    pub name: &'a str,
    /// The tag.
    pub tag: Option<&'a str>,
    /// The digest, such as `sha256:...`.
    pub digest: Option<&'a str>,
}

impl Labels {
    /// The parts of the image's reference. One that is nothing but a digest is a name.
    pub fn image_name(&self) -> Option<ImageName<'_>> {
        let image = self.image.as_deref()?;
        let (rest, digest) = match image.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (image, None),
        };
        let is_digest = rest.starts_with("sha256:");
        // A colon before a slash is that of a port.
        let tag = rest.rsplit_once(':').filter(|(_, tag)| !is_digest && !tag.contains('/'));
        let (name, tag) = tag.map_or((rest, None), |(name, tag)| (name, Some(tag)));
        Some(ImageName { name, tag, digest })
    }
}
