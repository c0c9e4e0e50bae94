//! The command line: what the arguments mean, and the commands that show rather than do.
//!
//! One file per command. Help, man pages and shell completions come from the definitions here. Results go to
//! standard output; what went wrong goes to standard error, and [`Exit`] says which kind of thing it was. What the
//! commands need of the agent itself stands in [`agent`].

pub mod agent;
pub mod check_config;
pub mod doctor;
pub mod exit;
pub mod generate;
pub mod health;
pub mod log;
pub mod record;
pub mod replay;
pub mod rules;
pub mod run;
pub mod tail;
pub mod version;

use std::fmt;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand};

pub use exit::Exit;

use crate::config::{self, Errors, Flags, Host, Resolved, Sources};

/// Watches what processes do on this host, and writes it as ECS JSON lines
///
/// Without a command it runs the agent in the foreground. No configuration file needs to exist first. A flag goes
/// before an environment variable, a variable before the file.
#[derive(Debug, Parser)]
#[command(
    name = "sentinel-edge",
    version = version::VERSION,
    long_version = version::long(),
    after_long_help = Exit::help(),
    max_term_width = 110
)]
pub struct Cli {
    /// Flags that every command has.
    #[command(flatten)]
    pub global: Global,
    /// Flags of `run`, for when no command is given.
    #[command(flatten)]
    pub run: run::Arguments,
    /// Check the configuration and exit; the same as the command check-config
    #[arg(long)]
    pub check_config: bool,
    /// The command; `None` is `run`.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Flags that every command has.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// Configuration file [default: /etc/sentineledge/config.toml, which need not exist]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Level of the agent's own log: off, error, warn, info, debug, trace
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the agent in the foreground; this is the default
    Run(run::Arguments),
    /// Say whether the configuration is right, and with --show what is in effect
    CheckConfig(check_config::Arguments),
    /// Say whether this host can run the agent, and what each sensor would use
    Doctor(doctor::Arguments),
    /// Ask the running agent how it is; the exit code tells
    Health(health::Arguments),
    /// Follow the events of the running agent
    Tail(tail::Arguments),
    /// Write the kernel's records into a file, for replay
    Record(record::Arguments),
    /// Run a recorded file through the pipeline, without root
    Replay(replay::Arguments),
    /// Look at detection rules: check, list, test, bench, explain
    Rules(rules::Arguments),
    /// Print a completion script for a shell
    Completions(generate::CompletionArguments),
    /// Write the man pages into a directory
    Man(generate::ManArguments),
}

/// The first argument of the marked program that proves that events flow. It does nothing, at once; help and
/// completions do not know it.
pub const CANARY: &str = "canary";

/// Reads the arguments, does what they say and returns the exit code. Wrong arguments, `--help` and `--version` end
/// the process.
pub fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|first| first == CANARY) {
        return Exit::Ok.into();
    }
    Cli::parse().execute().into()
}

impl Cli {
    fn execute(self) -> Exit {
        let Cli { global, run, check_config, command } = self;
        if let Some(command) = &command
            && !matches!(command, Command::Run(_))
            && run != run::Arguments::default()
        {
            conflict("--stdout belongs to the command run");
        }
        if command.is_some() && check_config {
            conflict("--check-config stands alone; the command check-config does the same");
        }
        match command {
            None if check_config => check_config::execute(&global, &check_config::Arguments::default()),
            None => global.run_agent(run.stdout),
            Some(Command::Run(own)) => global.run_agent(own.stdout.or(run.stdout)),
            Some(Command::CheckConfig(arguments)) => check_config::execute(&global, &arguments),
            Some(Command::Doctor(arguments)) => doctor::execute(&global, &arguments),
            Some(Command::Health(arguments)) => {
                global.with_readable_config(|resolved| health::execute(&arguments, &resolved))
            }
            Some(Command::Tail(arguments)) => global.with_readable_config(|r| tail::execute(&arguments, &r)),
            Some(Command::Record(arguments)) => global.with_config(None, |resolved| {
                log::Log::start(&resolved.control.log_level);
                agent::record(&arguments, resolved)
            }),
            Some(Command::Replay(arguments)) => global.with_readable_config(|resolved| {
                log::Log::start(&resolved.control.log_level);
                agent::replay(&arguments, resolved)
            }),
            Some(Command::Rules(arguments)) => {
                global.with_readable_config(|r| rules::execute(&arguments, &r))
            }
            Some(Command::Completions(arguments)) => generate::completions(&arguments),
            Some(Command::Man(arguments)) => generate::man(&arguments),
        }
    }
}

fn conflict(message: &str) -> ! {
    Cli::command().error(ErrorKind::ArgumentConflict, message).exit()
}

impl Global {
    /// Reads the configuration from all sources.
    pub fn load(&self, stdout: Option<String>) -> Result<Resolved, Errors> {
        self.read(stdout, false)
    }

    fn read(&self, stdout: Option<String>, lenient: bool) -> Result<Resolved, Errors> {
        config::load(&Sources {
            path: self.config.clone(),
            flags: Flags { log_level: self.log_level.clone(), stdout },
            env: &|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()),
            host: Host::detect(),
            lenient,
        })
    }

    fn run_agent(self, stdout: Option<String>) -> Exit {
        self.with_config(stdout.clone(), |resolved| {
            let log = log::Log::start(&resolved.control.log_level);
            for warning in &resolved.warnings {
                ::log::warn!("{warning}");
            }
            let sources = self.clone();
            agent::run(resolved, Box::new(move || sources.load(stdout.clone())), &log)
        })
    }

    /// The same for a command that needs no root: a default file that only root may read does not stop it.
    fn with_readable_config(&self, then: impl FnOnce(Resolved) -> Exit) -> Exit {
        match self.read(None, true) {
            Ok(resolved) => {
                for warning in &resolved.warnings {
                    complain(format_args!("warning: {warning}"));
                }
                then(resolved)
            }
            Err(errors) => refuse(&errors),
        }
    }

    /// Reads the configuration, and goes on if it is right; else says what is wrong.
    fn with_config(&self, stdout: Option<String>, then: impl FnOnce(Resolved) -> Exit) -> Exit {
        match self.load(stdout) {
            Ok(resolved) => then(resolved),
            Err(errors) => refuse(&errors),
        }
    }
}

/// Says what is wrong with the configuration.
fn refuse(errors: &Errors) -> Exit {
    let count = errors.iter().count();
    complain(format_args!("{errors}"));
    complain(format_args!("sentinel-edge: {count} {} in the configuration", plural(count, "error")));
    if errors.is_permission() { Exit::Privilege } else { Exit::Configuration }
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { noun.to_owned() } else { format!("{noun}s") }
}

/// A line to standard error. Nobody can be told if that is gone.
fn complain(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Text to standard output. A reader that has gone is no failure: it saw what it wanted.
fn print(text: &str) -> Exit {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Exit::Ok,
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
        Err(e) => {
            complain(format_args!("sentinel-edge: cannot write to standard output: {e}"));
            Exit::Runtime
        }
    }
}
