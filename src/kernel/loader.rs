//! Loads the programs that a [`Plan`] chose and attaches them, one by one.
//!
//! Steps: open the skeleton; switch off what the plan leaves out; set knobs and sizes of maps; load, where the
//! verifier speaks; attach. Loading is all or nothing for the kernel, so the plan must be right; attaching is done
//! program by program, and one that fails is reported as missing without taking the others along, unless the process
//! table cannot do without it.
//!
//! Limits: every size is fixed at load; changing one needs a restart.

use std::fmt;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Once};

use libbpf_rs::skel::{OpenSkel, Skel, SkelBuilder};
use libbpf_rs::{Link, MapHandle, PrintLevel};
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};

use super::abi::types::se_limit;
use super::config::Config;
use super::counters::Counters;
use super::plan::{Plan, Planned};
use super::reader::{self, Reader};
use super::records::Records;
use super::snapshot;
use crate::metrics::{Metrics, Program};

#[expect(clippy::undocumented_unsafe_blocks, clippy::unwrap_used, reason = "written by libbpf-cargo")]
mod skeleton {
    include!(concat!(env!("OUT_DIR"), "/sentinel.skel.rs"));
}

use skeleton::{OpenSentinelSkel, SentinelSkel, SentinelSkelBuilder};

/// A verifier log may have megabytes; its end says what was wrong.
const LOG_TAIL_BYTES: usize = 4096;

/// Why the kernel side does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object itself is unreadable, which is a fault of the build.
    #[error("opening the BPF object: {0}")]
    Open(#[source] libbpf_rs::Error),
    /// A knob or size was refused before loading.
    #[error("setting {what}: {cause}")]
    Prepare {
        /// What was being set.
        what: &'static str,
        /// Why it failed.
        cause: libbpf_rs::Error,
    },
    /// Not permitted.
    #[error(
        "the kernel refuses to load BPF programs (EPERM): CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN, are needed, \
         and neither a seccomp filter nor lockdown may forbid bpf(2); see `sentinel-edge doctor`"
    )]
    NotPermitted,
    /// Not enough memory, or not enough of it may be locked.
    #[error("the kernel has no memory for the BPF maps: {0}; ring_buffer_size may be smaller")]
    NoMemory(#[source] libbpf_rs::Error),
    /// The verifier or the kernel's version.
    #[error(
        "loading the BPF programs: {0}; the log above says which one, `sentinel-edge doctor` what this kernel has"
    )]
    Load(#[source] libbpf_rs::Error),
    /// The process table cannot do without this one.
    #[error("attaching {program} to {hook}: {cause}")]
    Attach {
        /// The program.
        program: &'static str,
        /// Where it should be.
        hook: &'static str,
        /// Why it failed.
        cause: libbpf_rs::Error,
    },
    /// The ring.
    #[error(transparent)]
    Reader(#[from] reader::Error),
    /// A descriptor could not be duplicated.
    #[error("sharing {what}: {cause}")]
    Share {
        /// What.
        what: &'static str,
        /// Why not.
        cause: std::io::Error,
    },
}

/// The loaded kernel side. Dropping it detaches everything.
pub struct Kernel {
    skeleton: SentinelSkel<'static>,
    links: Vec<(&'static str, Link)>,
    snapshot: Result<&'static str, String>,
    iterator: Option<Link>,
    /// The plan, with what turned out to be missing.
    sensors: Vec<Planned>,
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel").field("sensors", &self.sensors).finish_non_exhaustive()
    }
}

/// Arguments that the sizes in the object are made for.
const ARGS_DEFAULT: u32 = se_limit::SE_ARGS_DEFAULT.0;

/// Without these the process table would be wrong.
const VITAL: [Program; 3] = [Program::Exec, Program::Fork, Program::Exit];

impl Kernel {
    /// Loads what the plan chose. `agent_pid` marks the agent's own activity.
    pub fn load(config: &Config, plan: &Plan, agent_pid: u32) -> Result<Kernel, Error> {
        route_log();
        if plan.raise_memlock {
            // Where it fails the load says so, with the remedy.
            let _ = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
        }
        // The skeleton borrows this for as long as the agent runs; a few bytes.
        let storage = Box::leak(Box::new(MaybeUninit::uninit()));
        let mut open = SentinelSkelBuilder::default().open(storage).map_err(Error::Open)?;
        let iterator = Some(plan.snapshot.symbol).filter(|_| plan.snapshot.missing.is_none());
        let wanted = |name: &str| {
            iterator == Some(name) || plan.programs.iter().any(|p| p.missing.is_none() && p.symbol == name)
        };
        for mut program in open.open_object_mut().progs_mut() {
            let load = program.name().to_str().is_some_and(wanted);
            program.set_autoload(load);
        }
        prepare(&mut open, config, agent_pid)?;
        let skeleton = open.load().map_err(refusal)?;
        let sensors = plan.programs.clone();
        let snapshot = iterator.ok_or_else(|| plan.snapshot.missing.clone().unwrap_or_default());
        Ok(Kernel { skeleton, links: Vec::new(), snapshot, iterator: None, sensors })
    }

    /// Attaches every program of the plan. An error only if one fails that the process table needs.
    pub fn attach(&mut self) -> Result<(), Error> {
        if let Ok(symbol) = self.snapshot.clone() {
            match self.attach_one(symbol) {
                Ok(link) => self.iterator = Some(link),
                Err(error) => self.snapshot = Err(error.to_string()),
            }
        }
        for at in 0..self.sensors.len() {
            let Some(sensor) = self.sensors.get(at).filter(|s| s.missing.is_none()).cloned() else {
                continue;
            };
            match self.attach_one(sensor.symbol) {
                Ok(link) => self.links.push((sensor.symbol, link)),
                Err(cause) if VITAL.contains(&sensor.program) => {
                    return Err(Error::Attach { program: sensor.symbol, hook: sensor.hook, cause });
                }
                Err(cause) => {
                    if let Some(sensor) = self.sensors.get_mut(at) {
                        sensor.missing = Some(format!("attaching failed: {cause}"));
                    }
                }
            }
        }
        Ok(())
    }

    fn attach_one(&self, name: &str) -> Result<Link, libbpf_rs::Error> {
        let found = self.skeleton.object().progs_mut().find(|program| program.name() == name);
        let missing = || libbpf_rs::Error::from_raw_os_error(nix::libc::ENOENT);
        found.ok_or_else(missing)?.attach()
    }

    /// Every program of the plan and how it fares.
    pub fn sensors(&self) -> &[Planned] {
        &self.sensors
    }

    /// The ring's reader. There must be one only.
    pub fn reader(&self, metrics: Arc<Metrics>) -> Result<Reader, Error> {
        let map = MapHandle::try_from(&self.skeleton.maps.se_ring)
            .map_err(|cause| Error::Prepare { what: "the ring's reader", cause })?;
        Ok(Reader::new(map, metrics)?)
    }

    /// The counters.
    pub fn counters(&self) -> Result<Counters, Error> {
        let ledger = MapHandle::try_from(&self.skeleton.maps.se_counters)
            .map_err(|cause| Error::Prepare { what: "the counters' reader", cause })?;
        let exits = MapHandle::try_from(&self.skeleton.maps.se_exits)
            .map_err(|cause| Error::Prepare { what: "the maps' reader", cause })?;
        let mut programs = Vec::new();
        for program in self.skeleton.object().progs() {
            let sensor = self.sensors.iter().find(|s| s.missing.is_none() && program.name() == s.symbol);
            if let Some(sensor) = sensor {
                programs.push((sensor.program, duplicate(&program, "a program")?));
            }
        }
        Ok(Counters::new(ledger, vec![exits], programs))
    }

    /// Every process that runs now.
    pub fn snapshot(&self) -> Result<Records, snapshot::Error> {
        match (&self.snapshot, &self.iterator) {
            (Ok(_), Some(link)) => snapshot::take(link),
            (Ok(_), None) => Err(snapshot::Error::Unavailable("it is not attached".into())),
            (Err(why), _) => Err(snapshot::Error::Unavailable(why.clone())),
        }
    }

    /// Detaches the programs. Records that were submitted stay in the ring.
    pub fn detach(&mut self) {
        self.links.clear();
    }

    /// Names of attached programs whose link the kernel no longer has, as after a forced detach.
    pub fn lost(&self) -> Vec<&'static str> {
        self.links.iter().filter(|(_, link)| !is_attached(link)).map(|(name, _)| *name).collect()
    }

    /// Attaches a lost program again.
    pub fn reattach(&mut self, name: &str) -> Result<(), libbpf_rs::Error> {
        let link = self.attach_one(name)?;
        if let Some(slot) = self.links.iter_mut().find(|(symbol, _)| *symbol == name) {
            slot.1 = link;
        }
        Ok(())
    }
}

/// Whether the kernel still knows the link and the program behind it.
fn is_attached(link: &Link) -> bool {
    use std::os::fd::AsRawFd;
    let mut info = MaybeUninit::<libbpf_rs::libbpf_sys::bpf_link_info>::zeroed();
    let mut len = u32::try_from(size_of::<libbpf_rs::libbpf_sys::bpf_link_info>()).unwrap_or(0);
    // SAFETY: the link's descriptor is open, and `info` is writable for `len` bytes.
    let code = unsafe {
        libbpf_rs::libbpf_sys::bpf_link_get_info_by_fd(
            link.as_fd().as_raw_fd(),
            info.as_mut_ptr(),
            &raw mut len,
        )
    };
    // SAFETY: plain data, zeroed above.
    code == 0 && unsafe { info.assume_init() }.prog_id != 0
}

fn duplicate(program: &impl AsFd, what: &'static str) -> Result<OwnedFd, Error> {
    program.as_fd().try_clone_to_owned().map_err(|cause| Error::Share { what, cause })
}

/// Sets everything that is fixed at load.
fn prepare(open: &mut OpenSentinelSkel<'_>, config: &Config, agent_pid: u32) -> Result<(), Error> {
    let set = |what| move |cause| Error::Prepare { what, cause };
    let cpus =
        u32::try_from(libbpf_rs::num_possible_cpus().map_err(set("the number of CPUs"))?).unwrap_or(u32::MAX);
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
    let maps = &mut open.maps;
    // The object comes with sizes for default arguments and no environment; see bpf/lib/knobs.bpf.h.
    let more = config.args_max_bytes + config.env_max_bytes;
    let exec_buf_bytes = maps.se_exec_bufs.value_size() + more - ARGS_DEFAULT;
    maps.se_ring.set_max_entries(config.ring_buffer_bytes).map_err(set("the ring's size"))?;
    maps.se_exec_bufs.set_value_size(exec_buf_bytes).map_err(set("the exec buffers' size"))?;
    maps.se_exec_bufs.set_max_entries(cpus).map_err(set("the exec buffers' number"))?;
    maps.se_failed_bufs.set_max_entries(cpus).map_err(set("the failed exec buffers' number"))?;
    maps.se_cgroup_bufs.set_max_entries(cpus).map_err(set("the control group buffers' number"))?;
    if let Some(knobs) = maps.rodata_data.as_deref_mut() {
        knobs.se_agent_tgid = agent_pid;
        knobs.se_page_bytes = page.and_then(|n| u32::try_from(n).ok()).unwrap_or(4096);
        knobs.se_args_max = config.args_max_bytes;
        knobs.se_env_max = config.env_max_bytes;
        knobs.se_exec_room = knobs.se_exec_room + more - ARGS_DEFAULT;
    }
    Ok(())
}

/// Tells apart what an operator can mend.
fn refusal(error: libbpf_rs::Error) -> Error {
    match error.kind() {
        libbpf_rs::ErrorKind::PermissionDenied => Error::NotPermitted,
        libbpf_rs::ErrorKind::OutOfMemory => Error::NoMemory(error),
        _ => Error::Load(error),
    }
}

/// Sends libbpf's own messages to our log.
fn route_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        libbpf_rs::set_print(Some((PrintLevel::Debug, |level, message| {
            let message = tail(message.trim_end());
            match level {
                PrintLevel::Debug => log::trace!("libbpf: {message}"),
                PrintLevel::Info => log::debug!("{message}"),
                PrintLevel::Warn => log::warn!("{message}"),
            }
        })));
    });
}

/// The end of a long message, from a line's beginning.
fn tail(message: &str) -> &str {
    let start = message.len().saturating_sub(LOG_TAIL_BYTES);
    let start = (start..message.len()).find(|at| message.is_char_boundary(*at)).unwrap_or(message.len());
    let end = message.get(start..).unwrap_or_default();
    if start == 0 { end } else { end.split_once('\n').map_or(end, |(_, rest)| rest) }
}
