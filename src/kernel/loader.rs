//! Loads the programs that a [`Plan`] chose and attaches them, one by one.
//!
//! Steps: open the skeleton; switch off what the plan leaves out; set knobs and sizes of maps; load, where the
//! verifier speaks; attach. Loading is all or nothing for the kernel, so a program that it refuses is taken out of the plan
//! and the rest is loaded anew; attaching is done program by program. Either way one that fails is reported as missing
//! without taking the others along, unless the process table cannot do without it.
//!
//! What was made is noted in a map of its own, so that others who reach for it can be told.
//!
//! Limits: every size is fixed at load; changing one needs a restart.

mod object;
mod own_objects;
mod refused;

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

use libbpf_rs::skel::{OpenSkel, Skel, SkelBuilder};
use libbpf_rs::{Link, MapCore as _, MapFlags, MapHandle};
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};

use super::abi::types::se_limit;
use super::config::Config;
use super::counters::{Counted, Counters};
use super::merge::Merger;
use super::plan::{Attach, Plan, Planned};
use super::reader::{self, Reader};
use super::records::Records;
use super::snapshot;
use super::switches::Switches;
use super::watch::{self, Knobs, Watch};
use crate::metrics::Metrics;

#[expect(clippy::undocumented_unsafe_blocks, clippy::unwrap_used, reason = "written by libbpf-cargo")]
mod skeleton {
    use super::object;
    include!(concat!(env!("OUT_DIR"), "/sentinel.skel.rs"));
}

use refused::Refused;
use skeleton::{OpenSentinelSkel, SentinelSkel, SentinelSkelBuilder};

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
    /// A program that nothing can be done without.
    #[error(
        "the kernel refuses the program {symbol}: {reason}; see `sentinel-edge doctor` for what this kernel has"
    )]
    Refused {
        /// Its name in the object.
        symbol: String,
        /// What the verifier or the kernel said.
        reason: String,
    },
    /// Maps or types, and not a single program.
    #[error("loading the BPF object: {0}; `sentinel-edge doctor` says what this kernel has")]
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
    /// What is watched and what is left out.
    #[error(transparent)]
    Watch(#[from] watch::Error),
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
    /// Where the control group hooks go.
    cgroup2: Option<String>,
    switches: Arc<Switches>,
    watch: Watch,
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel").field("sensors", &self.sensors).finish_non_exhaustive()
    }
}

/// Calls in work at a time that trampolines keep something of, between beginning and end. Tasks can sleep in between, and
/// the oldest is forgotten when there are more.
const PENDING_PER_CPU: u32 = 512;

/// Programs that a kernel may refuse, one after the other, before the attempt is given up. Each costs a whole load.
const MOST_REFUSALS: usize = 16;

/// Arguments that the sizes in the object are made for.
const ARGS_DEFAULT: u32 = se_limit::SE_ARGS_DEFAULT.0;

impl Kernel {
    /// Loads what the plan chose, without what the kernel refuses. `agent_pid` marks the agent's own activity.
    pub fn load(config: &Config, plan: &Plan, agent_pid: u32) -> Result<Kernel, Error> {
        refused::route_log();
        let mut plan = Cow::Borrowed(plan);
        for _ in 0..MOST_REFUSALS {
            match Kernel::load_exactly(config, &plan, agent_pid) {
                Err(Error::Refused { symbol, reason }) => {
                    let Some(less) = plan.without(&symbol, &reason) else {
                        return Err(Error::Refused { symbol, reason });
                    };
                    log::warn!("the kernel refuses the program {symbol}: {reason}; going on without it");
                    plan = Cow::Owned(less);
                }
                result => return result,
            }
        }
        Kernel::load_exactly(config, &plan, agent_pid)
    }

    fn load_exactly(config: &Config, plan: &Plan, agent_pid: u32) -> Result<Kernel, Error> {
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
        prepare(&mut open, config, plan, agent_pid)?;
        refused::forget();
        let skeleton = open.load().map_err(refusal)?;
        fill_handlers(&skeleton, plan)?;
        let sensors = plan.programs.clone();
        let snapshot = iterator.ok_or_else(|| plan.snapshot.missing.clone().unwrap_or_default());
        let switch = MapHandle::try_from(&skeleton.maps.se_switch)
            .map_err(|cause| Error::Prepare { what: "the switches", cause })?;
        let switches = Arc::new(Switches::new(switch));
        let mut watch = watch(&skeleton, config, plan, &switches)?;
        // Before anything is attached, so that nothing slips through at the start.
        watch.apply(config)?.iter().for_each(|remark| log::warn!("{remark}"));
        Ok(Kernel {
            skeleton,
            links: Vec::new(),
            snapshot,
            iterator: None,
            sensors,
            cgroup2: plan.cgroup2.clone(),
            switches,
            watch,
        })
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
            // Called by the program on the return of system calls.
            if matches!(sensor.attach, Attach::Calls(..)) {
                continue;
            }
            match self.attach_one(sensor.symbol) {
                Ok(link) => self.links.push((sensor.symbol, link)),
                Err(cause) if sensor.is_vital() => {
                    return Err(Error::Attach { program: sensor.symbol, hook: sensor.hook, cause });
                }
                Err(cause) => {
                    if let Some(sensor) = self.sensors.get_mut(at) {
                        sensor.missing = Some(format!("attaching failed: {cause}"));
                        sensor.has_failed = true;
                    }
                }
            }
        }
        own_objects::note(&self.skeleton, self.links.iter().map(|(_, link)| link));
        object::give_back();
        Ok(())
    }

    fn attach_one(&self, name: &str) -> Result<Link, libbpf_rs::Error> {
        let found = self.skeleton.object().progs_mut().find(|program| program.name() == name);
        let missing = || libbpf_rs::Error::from_raw_os_error(nix::libc::ENOENT);
        let program = found.ok_or_else(missing)?;
        let planned = self.sensors.iter().find(|planned| planned.symbol == name);
        if !planned.is_some_and(|planned| planned.attach == Attach::Cgroup) {
            return program.attach();
        }
        // The root of the hierarchy: every socket is below it, also those of tasks that only version 1 has placed.
        let root = File::open(self.cgroup2.as_deref().unwrap_or_default())?;
        program.attach_cgroup(root.as_raw_fd())
    }

    /// Every program of the plan and how it fares.
    pub fn sensors(&self) -> &[Planned] {
        &self.sensors
    }

    /// The reader of the rings. There must be one only.
    pub fn reader(&self, metrics: Arc<Metrics>) -> Result<Reader, Error> {
        let failed = |cause| Error::Prepare { what: "the reader of the rings", cause };
        let critical = MapHandle::try_from(&self.skeleton.maps.se_ring).map_err(failed)?;
        let bulk = MapHandle::try_from(&self.skeleton.maps.se_bulk).map_err(failed)?;
        Ok(Reader::new(critical, bulk, metrics)?)
    }

    /// What is watched and what is left out, to be changed while the programs run.
    pub fn watch(&mut self) -> &mut Watch {
        &mut self.watch
    }

    /// What tells of merged events; `None` if none are. There must be one only.
    pub fn merger(&self, config: &Config, metrics: Arc<Metrics>) -> Result<Option<Merger>, Error> {
        let Some(window) = config.merge_window else { return Ok(None) };
        let failed = |cause| Error::Prepare { what: "the windows of merged events", cause };
        let even = MapHandle::try_from(&self.skeleton.maps.se_merge_even).map_err(failed)?;
        let odd = MapHandle::try_from(&self.skeleton.maps.se_merge_odd).map_err(failed)?;
        Ok(Some(Merger::new([even, odd], Arc::clone(&self.switches), window, metrics)))
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
                let sole_kind = match sensor.kinds {
                    [kind] => Some(*kind),
                    _ => None,
                };
                let descriptor = duplicate(&program, "a program")?;
                programs.push(Counted { program: sensor.program, sole_kind, descriptor });
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
        own_objects::note(&self.skeleton, [&link]);
        if let Some(slot) = self.links.iter_mut().find(|(symbol, _)| *symbol == name) {
            slot.1 = link;
        }
        Ok(())
    }
}

/// Whether the kernel still knows the link and the program behind it.
fn is_attached(link: &Link) -> bool {
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
    let info = unsafe { info.assume_init() };
    // A link that was taken off its control group keeps its program and has no group any more.
    // SAFETY: of the union the member that the type says is filled in.
    let is_off = info.type_ == libbpf_rs::libbpf_sys::BPF_LINK_TYPE_CGROUP
        && unsafe { info.__bindgen_anon_1.cgroup.cgroup_id } == 0;
    code == 0 && info.prog_id != 0 && !is_off
}

fn duplicate(program: &impl AsFd, what: &'static str) -> Result<OwnedFd, Error> {
    program.as_fd().try_clone_to_owned().map_err(|cause| Error::Share { what, cause })
}

/// Sets everything that is fixed at load.
fn prepare(
    open: &mut OpenSentinelSkel<'_>,
    config: &Config,
    plan: &Plan,
    agent_pid: u32,
) -> Result<(), Error> {
    let set = |what| move |cause| Error::Prepare { what, cause };
    let cpus =
        u32::try_from(libbpf_rs::num_possible_cpus().map_err(set("the number of CPUs"))?).unwrap_or(u32::MAX);
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
    let maps = &mut open.maps;
    // The object comes with sizes for default arguments and no environment; see bpf/lib/knobs.bpf.h.
    let more = config.args_max_bytes + config.env_max_bytes;
    let exec_buf_bytes = maps.se_exec_bufs.value_size() + more - ARGS_DEFAULT;
    maps.se_ring.set_max_entries(config.ring_buffer_bytes).map_err(set("the ring's size"))?;
    maps.se_bulk.set_max_entries(config.bulk_ring_bytes).map_err(set("the bulk ring's size"))?;
    // The object has the numbers of buffers that a CPU needs, see enum se_lane.
    let lanes = maps
        .rodata_data
        .as_deref()
        .map_or(1, |knobs| if plan.has_trampolines() { knobs.se_lanes_trampoline } else { knobs.se_lanes });
    maps.se_bufs.set_max_entries(cpus * lanes).map_err(set("the buffers' number"))?;
    if plan.has_trampolines() {
        maps.se_pending.set_max_entries(cpus * PENDING_PER_CPU).map_err(set("the pending calls' number"))?;
    }
    maps.se_exec_bufs.set_value_size(exec_buf_bytes).map_err(set("the exec buffers' size"))?;
    maps.se_exec_bufs.set_max_entries(cpus).map_err(set("the exec buffers' number"))?;
    maps.se_failed_bufs.set_max_entries(cpus).map_err(set("the failed exec buffers' number"))?;
    maps.se_cgroup_bufs.set_max_entries(cpus).map_err(set("the control group buffers' number"))?;
    if let Some(knobs) = maps.rodata_data.as_deref_mut() {
        knobs.se_agent_tgid = agent_pid;
        knobs.se_preemptible = u8::from(plan.preemptible);
        knobs.se_page_bytes = page.and_then(|n| u32::try_from(n).ok()).unwrap_or(4096);
        let routes = plan.routes();
        knobs.se_calls_any = routes.any;
        knobs.se_calls = routes.wide;
        knobs.se_calls_32 = routes.narrow;
        knobs.se_net_parts = plan.net_parts();
        knobs.se_lanes = lanes;
        let arguments = |function: &str| plan.arguments.get(function).copied().unwrap_or(0);
        knobs.se_args_vfs_unlink = arguments("vfs_unlink");
        knobs.se_args_vfs_mkdir = arguments("vfs_mkdir");
        knobs.se_args_vfs_mknod = arguments("vfs_mknod");
        knobs.se_args_vfs_symlink = arguments("vfs_symlink");
        knobs.se_args_vfs_link = arguments("vfs_link");
        knobs.se_args_vfs_setxattr = arguments("vfs_setxattr");
        knobs.se_args_vfs_removexattr = arguments("vfs_removexattr");
        knobs.se_args_do_truncate = arguments("do_truncate");
        knobs.se_unix = u8::from(config.filter.unix_sockets);
        knobs.se_kinds = config.kinds.iter().fold(0, |all, kind| all | 1 << *kind as u16);
        let called = plan.called(config);
        knobs.se_called_kinds = called.iter().fold(0, |all, kind| all | 1 << *kind as u16);
        knobs.se_merge_window_ns =
            config.merge_window.map_or(0, |window| u64::try_from(window.as_nanos()).unwrap_or(u64::MAX));
        let looked_at = Knobs::of(config);
        knobs.se_has_names = u8::from(looked_at.names);
        knobs.se_has_directory_names = u8::from(looked_at.names);
        knobs.se_has_inodes = u8::from(looked_at.inodes);
        knobs.se_skips = looked_at.skips;
        knobs.se_bulk_rate = config.bulk_rate;
        knobs.se_bulk_bytes = u64::from(config.bulk_ring_bytes);
        knobs.se_backpressure = u8::from(config.backpressure);
        knobs.se_skip_pseudo = u8::from(config.filter.skip_pseudo);
        knobs.se_args_max = config.args_max_bytes;
        knobs.se_env_max = config.env_max_bytes;
        knobs.se_exec_room = knobs.se_exec_room + more - ARGS_DEFAULT;
    }
    Ok(())
}

/// The lists of what is watched and left out, still empty.
fn watch(
    skeleton: &SentinelSkel<'_>,
    config: &Config,
    plan: &Plan,
    switches: &Arc<Switches>,
) -> Result<Watch, Error> {
    let maps = &skeleton.maps;
    let failed = |cause| Error::Prepare { what: "the lists of what is watched", cause };
    let handles = [
        MapHandle::try_from(&maps.se_watch_names),
        MapHandle::try_from(&maps.se_watch_files),
        MapHandle::try_from(&maps.se_watch_paths),
        MapHandle::try_from(&maps.se_skip_exes),
        MapHandle::try_from(&maps.se_skip_cgroups),
        MapHandle::try_from(&maps.se_skip_users),
        MapHandle::try_from(&maps.se_skip_ports),
    ];
    let [names, inodes, paths, executables, groups, users, ports] =
        handles.map(|handle| handle.map_err(failed));
    let handles = [names?, inodes?, paths?, executables?, groups?, users?, ports?];
    Ok(Watch::new(handles, Arc::clone(switches), Knobs::of(config), plan.cgroup2.as_deref()))
}

/// Tells the program on the return of system calls where to go on, then freezes the map, so that nobody can empty it.
fn fill_handlers(skeleton: &SentinelSkel<'_>, plan: &Plan) -> Result<(), Error> {
    let set = |cause| Error::Prepare { what: "the handlers of system calls", cause };
    let handlers = &skeleton.maps.se_handlers;
    for planned in plan.programs.iter().filter(|planned| planned.missing.is_none()) {
        let Attach::Calls(calls, _) = planned.attach else { continue };
        let mut programs = skeleton.object().progs();
        let program = programs.find(|program| program.name() == planned.symbol);
        let missing = || libbpf_rs::Error::from_raw_os_error(nix::libc::ENOENT);
        let descriptor = program.ok_or_else(missing).map_err(set)?.as_fd().as_raw_fd();
        for call in calls {
            let (key, value) = (u32::from(*call as u8).to_ne_bytes(), descriptor.to_ne_bytes());
            handlers.update(&key, &value, MapFlags::ANY).map_err(set)?;
        }
    }
    MapHandle::try_from(handlers).and_then(|map| map.freeze()).map_err(set)
}

/// Tells apart what an operator can mend, and what a plan can do without.
fn refusal(error: libbpf_rs::Error) -> Error {
    match (error.kind(), refused::take()) {
        (libbpf_rs::ErrorKind::OutOfMemory, _) => Error::NoMemory(error),
        (_, Some(Refused { symbol, reason })) => Error::Refused { symbol, reason },
        (libbpf_rs::ErrorKind::PermissionDenied, None) => Error::NotPermitted,
        _ => Error::Load(error),
    }
}
