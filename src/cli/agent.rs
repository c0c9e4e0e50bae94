//! Where the command line meets the agent: everything that the commands need of other modules than `config`.

use std::collections::HashMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use super::doctor::{self, Line};
use super::exit::Exit;
use super::log::Log;
use super::{record, replay, rules};
use crate::config::{Errors, Resolved};
use crate::control::probes::Probes;
use crate::control::record::Record;
use crate::control::replay::{Backtest, Replay};
use crate::control::run::Start;
use crate::control::{self, Error, lock};
use crate::detect::load::Rules;
use crate::detect::sigma::set::Gravity;
use crate::event::Kind;
use crate::kernel::capture::Existing;
use crate::kernel::{self, abi, classes, support};
use crate::metrics::Metrics;
use crate::procfs::Procfs;
use crate::sink;
use crate::sink::config::{FileConfig, StdoutFormat};
pub use crate::sink::tail::FINDING;

/// Version of the contract between the kernel side and the agent.
pub const KERNEL_ABI_VERSION: u32 = abi::ABI_VERSION;

/// Turns lines of ECS JSON into lines for people: reads one, appends to the buffer.
pub type Render = Box<dyn FnMut(&[u8], &mut Vec<u8>)>;

/// Reads the configuration again, from the same sources.
pub type Reload = Box<dyn Fn() -> Result<Resolved, Errors> + Send>;

/// Runs the agent until it is told to stop.
pub fn run(resolved: Resolved, reload: Reload, log: &Log) -> Exit {
    let log = log.clone();
    // Who watches it wants to know at the end what it did; a journal does not.
    let summary = resolved.sink.stdout.is_some() || io::stderr().is_terminal();
    let start =
        Start { config: resolved, reload, set_log_level: Box::new(move |filter| log.set(filter)), summary };
    ended(control::run::run(start))
}

/// Writes the kernel's records into a file.
pub fn record(arguments: &record::Arguments, resolved: Resolved) -> Exit {
    let record = Record {
        file: arguments.file.clone(),
        existing: existing(arguments.force),
        duration: arguments.duration,
        kernel: resolved.kernel,
        proc: Procfs::new(&resolved.control.proc_root),
        node_name: resolved.control.host_name,
    };
    ended(control::record::run(&record).map(|done| {
        let (records, bytes) = (done.totals.frames, done.totals.bytes);
        tell(format_args!("{}: {records} records, {bytes} bytes, {} lost", record.file.display(), done.lost));
        if done.skipped > 0 {
            tell(format_args!("up to {} more of unknown classes were lost: skipped", done.skipped));
        }
    }))
}

/// Runs a recorded file through the pipeline.
pub fn replay(arguments: &replay::Arguments, resolved: Resolved) -> Exit {
    let to_stdout = arguments.output == Path::new("-");
    let format = match arguments.format {
        replay::Format::Json => StdoutFormat::Json,
        replay::Format::Compact if io::stdout().is_terminal() => StdoutFormat::Coloured,
        replay::Format::Compact => StdoutFormat::Plain,
    };
    if !to_stdout && format != StdoutFormat::Json {
        super::complain(format_args!("sentinel-edge: --format compact goes to standard output only"));
        return Exit::Usage;
    }
    let file = FileConfig {
        path: arguments.output.clone(),
        max_bytes: None,
        daily: false,
        max_files: 0,
        max_age_days: None,
        compress: false,
        // A replay can be made again.
        durable: false,
    };
    let detection = match arguments.judges().then(|| rules::load(&arguments.rules, &resolved)) {
        None => None,
        Some(Err(exit)) => return exit,
        Some(Ok(rules)) => {
            let wrong = rules.set.problems.iter().filter(|problem| problem.gravity == Gravity::Error);
            wrong.for_each(|problem| super::complain(format_args!("{problem}")));
            // What programs of the recorded host usually do is not known here.
            let rules = Arc::new(Rules { anomalies: false, ..rules });
            Some(Backtest { rules, config: resolved.detect, only_findings: arguments.findings })
        }
    };
    let replay = Replay {
        file: arguments.file.clone(),
        existing: existing(arguments.force),
        sinks: sink::Config {
            file: (!to_stdout).then_some(file),
            stdout: to_stdout.then_some(format),
            tail: None,
            worker: resolved.sink.worker,
        },
        enrich: resolved.enrich,
        batch: resolved.kernel.batch,
        workers: resolved.control.workers,
        root: arguments.root.clone(),
        detection,
    };
    ended(control::replay::run(&replay, &Arc::new(Metrics::default())).and_then(|done| {
        let seconds = done.took.as_secs_f64();
        let findings = match &replay.detection {
            Some(_) => format!(", {} findings", done.findings),
            None => String::new(),
        };
        tell(format_args!("{} records, {} events{findings}, {seconds:.3} s", done.records, done.lines));
        done.broken.map_or(Ok(()), |error| Err(error.into()))
    }))
}

fn existing(force: bool) -> Existing {
    if force { Existing::Replace } else { Existing::Refuse }
}

/// A result for people, beside the events on standard output.
fn tell(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Says why it ended, if there is something to say.
fn ended(result: Result<(), Error>) -> Exit {
    let Err(error) = result else { return Exit::Ok };
    super::complain(format_args!("sentinel-edge: {}", control::error::chain(&error)));
    if matches!(error, Error::Capture(kernel::capture::Error::Exists { .. })) {
        super::complain(format_args!("Name another file, or overwrite this one with --force."));
    }
    match error {
        Error::Lock(lock::Error::Taken { .. }) => Exit::AlreadyRunning,
        Error::Plan(error) => Exit::from(&error),
        Error::Load(kernel::loader::Error::NotPermitted) => Exit::Privilege,
        Error::Load(kernel::loader::Error::Load(_) | kernel::loader::Error::Refused { .. }) => {
            Exit::KernelSupport
        }
        Error::Lock(lock::Error::Unusable { cause, .. })
            if cause.kind() == io::ErrorKind::PermissionDenied =>
        {
            Exit::Privilege
        }
        _ => Exit::Runtime,
    }
}

/// What the host supports and what each sensor would use, for `doctor`.
pub fn doctor(config: &kernel::Config) -> Vec<Line> {
    let mut facts = support::probe(&support::Roots::default());
    facts.try_trampolines();
    doctor::host::lines(&facts, config)
}

/// Why each kind of event that is not seen on this host isn't; and, if that could not be found out, why not.
pub fn blindness(config: &kernel::Config) -> (HashMap<Kind, String>, Option<String>) {
    let off = |kind: &&Kind| !kind.is_internal() && !config.kinds.contains(*kind);
    let mut blind: HashMap<Kind, String> =
        Kind::ALL.iter().filter(off).map(|kind| (*kind, format!("[events] {kind} is off"))).collect();
    match Probes::plan(config) {
        Err(error) => (blind, Some(error.to_string())),
        Ok(plan) => {
            for class in classes::classes(&plan.programs, &config.kinds) {
                if let (None, Some(why)) = (class.level, class.missing) {
                    blind.entry(class.kind).or_insert(why);
                }
            }
            (blind, None)
        }
    }
}

/// Rules that the running agent demoted, by id: for one in how many events each is evaluated. None if no agent runs, or
/// nothing may be read of it.
pub fn demoted_rules(resolved: &Resolved) -> HashMap<String, u32> {
    let path = resolved.control.runtime_dir.join(control::rules::DEMOTED);
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let rule = |line: &str| {
        let (id, stride) = line.rsplit_once(' ')?;
        Some((id.to_owned(), stride.parse().ok()?))
    };
    text.lines().filter_map(rule).collect()
}

/// Lines for people, with colours or without.
pub fn compact(colour: bool) -> Render {
    let mut renderer = sink::Renderer::new(colour, sink::stdout::width(&io::stdout()));
    Box::new(move |line, out| renderer.line(line, out))
}
