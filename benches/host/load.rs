//! The workloads of single system calls and of a build, and what each must be seen as.
//!
//! Programs are compiled and files are made once, before anything is measured. Every workload is a process that is
//! started, waited for and paid for with its children, so the kernel's account of ended children is its CPU time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::workload::{children_cpu, compile};

/// A workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// 200 watched files opened and closed in turn by one process.
    Opens,
    /// Watched files opened and closed by ten processes, by each once, so that no two opens can be merged.
    Distinct,
    /// A system call that interests nobody.
    Getppid,
    /// Compilations of small files, tar, gzip, find.
    Build,
    /// 200 files that nobody watches, opened and closed in turn.
    Unwatched,
    /// Connections over loopback: connect, accept, close.
    Tcp,
}

/// Processes that [`Load::Distinct`] opens each file in.
const PROCESSES: u64 = 10;
/// Files of the loads that open them again and again.
const FILES: u64 = 200;
/// Processes of the storm at which all loads have their full size.
const FULL: u64 = 20_000;

impl Load {
    /// All of them, in the order of measuring.
    pub const ALL: [Load; 6] =
        [Load::Opens, Load::Distinct, Load::Getppid, Load::Build, Load::Unwatched, Load::Tcp];

    /// The agent is told to report reads of its files.
    pub fn is_watched(self) -> bool {
        matches!(self, Load::Opens | Load::Distinct)
    }

    /// The name in the report and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Load::Opens => "opens",
            Load::Distinct => "distinct",
            Load::Getppid => "getppid",
            Load::Build => "build",
            Load::Unwatched => "unwatched",
            Load::Tcp => "tcp",
        }
    }

    /// What is done how often in one execution at full size.
    fn full(self) -> u64 {
        match self {
            Load::Opens | Load::Distinct | Load::Unwatched => 200_000,
            Load::Getppid => 4_000_000,
            Load::Build => 200,
            Load::Tcp => 20_000,
        }
    }

    /// Executions a run, so that a run is long enough to tell a percent. Those whose events are counted have one.
    fn executions(self) -> u64 {
        match self {
            Load::Getppid => 2,
            Load::Unwatched => 5,
            Load::Opens | Load::Distinct | Load::Build | Load::Tcp => 1,
        }
    }

    /// Events that one operation is, for the loads of which every operation must be seen.
    pub fn events(self) -> Option<u64> {
        match self {
            Load::Opens | Load::Distinct => Some(1),
            Load::Tcp => Some(2),
            Load::Getppid | Load::Build | Load::Unwatched => None,
        }
    }

    /// What it does, in a sentence; `operations` as in [`Run`].
    pub fn sentence(self, operations: u64) -> String {
        let each = operations / self.executions();
        let often = match self.executions() {
            1 => String::new(),
            n => format!(", {n} times a run"),
        };
        match self {
            Load::Opens => {
                format!(
                    "one process opens {FILES} watched files in turn to read and closes them, {each} times"
                )
            }
            Load::Distinct => format!(
                "{PROCESSES} processes, one after the other, open each of {} watched files once, {each} opens, of which \
                 no two can be merged",
                each / PROCESSES
            ),
            Load::Getppid => format!("{each} system calls that do nothing{often}"),
            Load::Build => format!("{each} small C files compiled one by one, then tar, gzip and find"),
            Load::Unwatched => format!(
                "{FILES} files that nobody watches are opened to read and closed, {each} times{often}"
            ),
            Load::Tcp => format!(
                "one process connects to itself over loopback, accepts and closes both ends, {each} times"
            ),
        }
    }
}

/// The workloads, ready to run.
pub struct Loads {
    directory: PathBuf,
    count: u64,
}

/// What a run cost.
#[derive(Debug, Clone)]
pub struct Run {
    /// Opens, calls, files compiled, connections.
    pub operations: u64,
    /// From the start to the end of all executions.
    pub wall: Duration,
    /// User and system time of the processes and their children.
    pub cpu: Duration,
    /// The last execution's process id.
    pub pid: u32,
}

/// A build as people have it: many small processes, many small files. Its one argument is where the sources are.
const BUILD: &str = "set -e; cd \"$1\"; rm -rf out; mkdir out
for f in src/*.c; do o=${f##*/}; cc -O1 -c \"$f\" -o \"out/${o%.c}.o\"; done
tar -cf out.tar src out; gzip -f out.tar; find . /usr/include -type f -name '*.h' >headers.list";

fn source(number: u64) -> String {
    format!(
        "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n\n\
         int length_{number}(int n, const char *s)\n{{\n\tchar text[64];\n\n\
         \tsnprintf(text, sizeof(text), \"%s %d\", s, n);\n\treturn (int)strlen(text) + {number};\n}}\n\n\
         int sum_{number}(int n)\n{{\n\tint total = 0;\n\n\
         \tfor (int i = 0; i < n; i++)\n\t\ttotal += i * {number};\n\treturn total;\n}}\n"
    )
}

impl Loads {
    /// Compiles the programs and makes the files, below `directory`. The loads have their full size with a `count` of
    /// 20,000 and shrink and grow with it.
    pub fn prepare(directory: &Path, count: u64) -> Result<Self> {
        let loads = Loads { directory: directory.join("loads"), count };
        for (load, files) in
            [(Load::Opens, FILES), (Load::Unwatched, FILES), (Load::Distinct, loads.distinct())]
        {
            let folder = loads.files(load);
            fs::create_dir_all(&folder)?;
            for number in 0..files {
                fs::write(folder.join(number.to_string()), "")?;
            }
        }
        let sources = loads.files(Load::Build).join("src");
        fs::create_dir_all(&sources)?;
        for number in 0..loads.size(Load::Build) {
            fs::write(sources.join(format!("{number}.c")), source(number))?;
        }
        for name in ["opens", "getppid", "tcp"] {
            let path = format!("benches/host/{name}.c");
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
            compile(&["-O2", "-Wall", "-D_GNU_SOURCE"], &path, &loads.program(name))?;
        }
        Ok(loads)
    }

    /// Operations of one execution.
    fn size(&self, load: Load) -> u64 {
        (load.full() * self.count / FULL).max(1)
    }

    /// Files of [`Load::Distinct`].
    fn distinct(&self) -> u64 {
        (self.size(Load::Distinct) / PROCESSES).max(1)
    }

    fn program(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.bin"))
    }

    /// Where the load's files are.
    pub fn files(&self, load: Load) -> PathBuf {
        self.directory.join(load.name())
    }

    fn command(&self, load: Load) -> Command {
        let opens = |files: u64, count: u64, processes: u64| {
            let mut command = Command::new(self.program("opens"));
            command.arg(self.files(load)).args([files, count, processes].map(|n| n.to_string()));
            command
        };
        let size = self.size(load);
        match load {
            Load::Opens | Load::Unwatched => opens(FILES, size, 1),
            Load::Distinct => opens(self.distinct(), self.distinct() * PROCESSES, PROCESSES),
            Load::Getppid | Load::Tcp => {
                let mut command = Command::new(self.program(load.name()));
                command.arg(size.to_string());
                command
            }
            Load::Build => {
                let mut command = Command::new("sh");
                command.args(["-c", BUILD, "sh"]).arg(self.files(load));
                command
            }
        }
    }

    /// Runs it and waits for its end. Nothing else may be waited for meanwhile: the CPU time is that of all children.
    pub fn run(&self, load: Load) -> Result<Run> {
        let before = children_cpu()?;
        let start = Instant::now();
        let mut pid = 0;
        for _ in 0..load.executions() {
            let mut child = self.command(load).stdin(Stdio::null()).spawn()?;
            pid = child.id();
            let status = child.wait()?;
            if !status.success() {
                return Err(format!("the workload {} failed: {status}", load.name()).into());
            }
        }
        let wall = start.elapsed();
        let cpu = children_cpu()?.saturating_sub(before);
        let once = if load == Load::Distinct { self.distinct() * PROCESSES } else { self.size(load) };
        Ok(Run { operations: once * load.executions(), wall, cpu, pid })
    }
}
