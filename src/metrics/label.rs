//! Labels: closed sets of values, so that the number of series is known when the agent is compiled.

use crate::event::Kind;

/// A label with a fixed set of values.
pub trait Label: Copy + 'static {
    /// The label's name.
    const KEY: &'static str;
    /// Its values, in the order of [`Label::index`].
    const NAMES: &'static [&'static str];
    /// Position of this value in [`Label::NAMES`].
    fn index(self) -> usize;
}

macro_rules! labels {
    ($($(#[doc = $doc:literal])+ $name:ident($key:literal) { $($(#[doc = $vdoc:literal])+ $variant:ident = $text:literal,)+ })+) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[doc = $vdoc])+ $variant,)+ }

        impl $name {
            /// Every value.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The value's text.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }

            /// What it stands for, for documents.
            pub const fn help(self) -> &'static str {
                match self { $($name::$variant => concat!($($vdoc),+).trim_ascii(),)+ }
            }
        }

        impl Label for $name {
            const KEY: &'static str = $key;
            const NAMES: &'static [&'static str] = &[$($text,)+];
            fn index(self) -> usize { self as usize }
        }
    )+};
}

impl Label for Kind {
    const KEY: &'static str = "class";
    const NAMES: &'static [&'static str] = &{
        let mut names = [""; Kind::COUNT];
        let mut i = 0;
        while i < Kind::COUNT {
            names[i] = Kind::ALL[i].name();
            i += 1;
        }
        names
    };
    fn index(self) -> usize {
        Kind::index(self)
    }
}

labels! {
    /// How far an event came. For every class: attempted = submitted + kernel drops; submitted = read + what is
    /// still in the ring; read = decoded + malformed; decoded = emitted + suppressed + what is in work.
    Stage("stage") {
        /// The kernel side began a record.
        Attempted = "attempted",
        /// The record was handed to the ring.
        Submitted = "submitted",
        /// The record was taken out of the ring.
        Read = "read",
        /// The record became an event.
        Decoded = "decoded",
        /// The event was written as a line and handed to the sinks.
        Emitted = "emitted",
        /// The event was not meant to be written: an internal class, or one that the configuration switched off.
        Suppressed = "suppressed",
    }
    /// Why an event was lost.
    Reason("reason") {
        /// The ring was full.
        RingFull = "ring_full",
        /// Filtered in the kernel on purpose.
        Filtered = "filtered",
        /// Merged in the kernel with an equal one.
        Deduplicated = "deduplicated",
        /// Counted in the kernel into a summary.
        Summarised = "summarised",
        /// The record's bytes made no sense.
        Malformed = "malformed",
        /// A worker failed on it.
        Failed = "failed",
        /// The sink's queue was full.
        QueueFull = "queue_full",
        /// The sink could not write, and its buffer was full.
        Unwritable = "unwritable",
        /// Shutdown took longer than it may.
        Shutdown = "shutdown",
    }
    /// What became of an event in a sink. For every sink and class:
    /// offered = delivered + lost + what is queued.
    Outcome("outcome") {
        /// Handed to the sink.
        Offered = "offered",
        /// Written.
        Delivered = "delivered",
        /// Lost; `sentinel_events_dropped_total` has the reason.
        Lost = "lost",
    }
    /// Where events go.
    SinkName("sink") {
        /// The log file.
        File = "file",
        /// Standard output.
        Stdout = "stdout",
        /// Clients of `sentinel-edge tail`.
        Tail = "tail",
    }
    /// Ring buffers between the kernel and the agent.
    Ring("ring") {
        /// Security-critical classes.
        Critical = "critical",
    }
    /// Programs in the kernel, by name.
    Program("program") {
        /// Successful exec.
        Exec = "se_exec",
        /// Failed exec.
        ExecFailed = "se_exec_failed",
        /// Fork.
        Fork = "se_fork",
        /// Exit.
        Exit = "se_exit",
        /// Control groups that come.
        CgroupMkdir = "se_cgroup_mkdir",
        /// Control groups that go.
        CgroupRelease = "se_cgroup_rel",
        /// Control groups that are renamed.
        CgroupRename = "se_cgroup_ren",
    }
    /// Threads of the agent.
    ThreadName("thread") {
        /// Reads the rings, owns the process table.
        Ring = "se-ring",
        /// Turns events into lines.
        Worker = "se-worker",
        /// Writes the log file.
        SinkFile = "se-sink-file",
        /// Writes standard output.
        SinkStdout = "se-sink-stdout",
        /// Serves `tail`.
        SinkTail = "se-sink-tail",
        /// Looks up user and group names.
        Names = "se-names",
        /// Proves that events flow.
        Canary = "se-canary",
        /// Answers HTTP.
        Http = "se-http",
        /// Accepts HTTP connections.
        Gate = "se-gate",
    }
    /// Errors by what failed.
    ErrorType("type") {
        /// A record that made no sense.
        Decode = "decode",
        /// Reading from the kernel.
        Ring = "ring",
        /// Attaching or reading a program.
        Bpf = "bpf",
        /// Writing to a destination.
        Sink = "sink",
        /// Reloading the configuration.
        Config = "config",
        /// HTTP listeners and connections.
        Http = "http",
        /// Looking up a name.
        Names = "names",
        /// Reading /proc or the control groups.
        Procfs = "procfs",
        /// The canary did not come back.
        Canary = "canary",
        /// A thread ended by a panic.
        Panic = "panic",
    }
}
