//! Every key once: its section, name, values, default, explanation, and when a change takes effect.
//!
//! Parsing, defaults, `check-config --show`, the shipped file and `docs/configuration.md` derive from here. To add
//! a key: one entry here, and its use in `resolve.rs`; then `WRITE_GOLDEN=1 cargo test --test
//! config` writes the two files anew.

use super::key::{Alias, Author, Both, Effect, Key, Section, field, keys};
use super::settings::Settings;
use super::shape::{Items, new};
use crate::event::Kind;

const KIB: u64 = 1 << 10;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// Where events are written by default.
const LOG_FILE: &str = "\"/var/log/sentineledge/sentinel.log\"";

/// Environment variables that an exec event shows by default. Chosen because setting them makes another program
/// load or run somebody's code, hides what a shell did, or tells who came from where. Not chosen: PATH (in every
/// process, long, and the executable's path is resolved anyway) and proxy variables (their values carry
/// passwords).
const ENV_ALLOW: &str = r#"[
    "LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH", "LD_DEBUG_OUTPUT", "GLIBC_TUNABLES", "GCONV_PATH",
    "BASH_ENV", "ENV", "PROMPT_COMMAND", "PS4", "IFS", "SHELLOPTS", "BASH_FUNC_*",
    "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PERL5LIB", "PERL5OPT", "PERL5DB", "RUBYLIB", "RUBYOPT",
    "NODE_OPTIONS", "NODE_PATH", "JAVA_TOOL_OPTIONS", "LUA_INIT", "PHPRC", "PHP_INI_SCAN_DIR",
    "GIT_SSH_COMMAND", "GIT_EXTERNAL_DIFF", "LESSOPEN", "SUDO_EDITOR",
    "HISTFILE", "HISTSIZE", "HISTFILESIZE",
    "SSH_CONNECTION", "SUDO_USER"
]"#;

/// Paths whose reads are reported by default: what is worth stealing, and is read seldom on a busy server or only by
/// those few programs that it belongs to. In lines: passwords of this host and who may become root; its keys; keys
/// and tokens of people; of clouds; passwords that clients keep in files; of Kubernetes and containers; what browsers
/// keep; what was typed into shells and database clients; memory and environment of other processes, and what is typed
/// on keyboards. Not chosen:
/// /etc/passwd and certificates, which everybody reads, .env and .npmrc, which every start of a service or a build
/// reads, and whole home directories.
const WATCH_PATHS: &str = r#"[
    "/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/security/opasswd",
    "/etc/sudoers", "/etc/sudoers.d/", "/var/lib/sss/secrets/", "/var/lib/samba/private/",
    "/etc/krb5.keytab", "/etc/ssh/ssh_host_rsa_key", "/etc/ssh/ssh_host_ecdsa_key",
    "/etc/ssh/ssh_host_ed25519_key", "/etc/ssl/private/", "/etc/pki/tls/private/", "/etc/letsencrypt/archive/",
    "/etc/wireguard/", "/etc/NetworkManager/system-connections/",
    "*/.ssh/", "*/.gnupg/", "*/keyrings/", "*/kwalletd/",
    "*/.aws/", "*/.azure/", "*/credentials.db", "*/access_tokens.db", "*/application_default_credentials.json",
    "*/.boto", "*/.s3cfg", "*/rclone.conf", "*/credentials.tfrc.json", "*/.vault-token",
    "*/.netrc", "*/.git-credentials", "*/.pgpass", "*/.my.cnf", "*/.pypirc",
    "*/.kube/", "*/.docker/", "/etc/kubernetes/admin.conf", "/etc/kubernetes/pki/", "/var/lib/kubelet/pki/",
    "/etc/rancher/k3s/k3s.yaml", "/run/secrets/", "/var/run/secrets/",
    "*/Login Data", "*/Cookies", "*/Web Data", "*/logins.json", "*/key4.db", "*/cookies.sqlite",
    "*/.bash_history", "*/.zsh_history", "*/.mysql_history", "*/.psql_history",
    "/proc/*/mem", "/proc/*/environ", "/proc/kcore", "/dev/mem", "/dev/kmem", "/dev/port", "/dev/input/"
]"#;

/// The sections, in the order of the documents.
pub const SECTIONS: &[Section] = &[
    core::SECTION,
    ebpf::SECTION,
    process::SECTION,
    EVENTS,
    file::SECTION,
    network::SECTION,
    filter::SECTION,
    logging::SECTION,
    monitoring::SECTION,
    security::SECTION,
    tail::SECTION,
];

/// Every key, in the order of the documents.
pub fn all() -> impl Iterator<Item = &'static Key> {
    SECTIONS.iter().flat_map(|section| section.keys)
}

/// The key with this section and name.
pub fn find(section: &str, name: &str) -> Option<&'static Key> {
    SECTIONS.iter().find(|s| s.name == section)?.keys.iter().find(|k| k.name == name)
}

/// One switch per kind of event that leaves the agent.
const EVENTS: Section = Section {
    name: "events",
    doc: "Which events are reported. What the agent needs for itself, such as forks for the process table, it sees \
          in any case.",
    keys: &EVENT_KEYS,
};

const EVENT_KEY_COUNT: usize = {
    let mut count = 0;
    let mut i = 0;
    while i < Kind::COUNT {
        if !Kind::ALL[i].is_internal() {
            count += 1;
        }
        i += 1;
    }
    count
};

const EVENT_KEYS: [Key; EVENT_KEY_COUNT] = {
    let blank = Key {
        section: "events",
        name: "",
        shape: new::switch(),
        default: "true",
        doc: "",
        author: Author::Ours,
        effect: Effect::Reload,
        alias: None,
    };
    let mut keys = [blank; EVENT_KEY_COUNT];
    let mut next = 0;
    let mut i = 0;
    while i < Kind::COUNT {
        let kind = Kind::ALL[i];
        if !kind.is_internal() {
            keys[next] = Key { name: kind.name(), doc: kind.help(), ..blank };
            next += 1;
        }
        i += 1;
    }
    keys
};

keys! {
    /// The agent as a whole.
    core {
        /// Values for a host of this size: `small` (less than 2 GB of memory or fewer than 4 CPUs), `medium`, `large`
        /// (more than 8 GB and more than 8 CPUs), or `auto`, which looks at the host. `none`: every key has its own
        /// default. Whatever is set here or elsewhere goes before the profile.
        profile: word(&["none", "auto", "small", "medium", "large"]) = "\"none\"", Ours, Restart;
        /// Serve `/metrics`, `/health`, `/ready` and `/version` on `[monitoring] prometheus_endpoint`. Off: that
        /// port stays closed.
        metrics_enabled: switch() = "true", Guide, Reload;
        /// Serve the same four on `[monitoring] health_check_port`. Off: that port stays closed.
        health_check_enabled: switch() = "true", Guide, Reload;
        /// Threads that turn events into lines; 0 chooses by the number of CPUs: 1 up to 4 CPUs, beyond that a
        /// quarter of them, at most 4.
        worker_threads: whole(0, 256, "threads") = "0", Ours, Restart;
        /// Directory for what outlives a restart: the event sequence and the lock against a second agent.
        state_dir: path() = "\"/var/lib/sentineledge\"", Ours, Restart;
        /// Directory for Unix sockets, among them the one that `sentinel-edge tail` connects to.
        runtime_dir: path() = "\"/run/sentineledge\"", Ours, Restart;
        /// Where the host's /proc is. Empty: /host/proc if a proc file system is mounted there, as in a container
        /// that watches its host, else /proc.
        proc_root: optional_path("found out at start") = "\"\"", Ours, Restart;
    }
    aliases {
        /// Level of the agent's own log, which goes to standard error. `[logging] level` goes before it, and so do
        /// RUST_LOG and SENTINEL_LOG_LEVEL.
        log_level = logging.level, Yield: filter() = "\"info\"", Guide, Reload;
    }

    /// From the kernel to the agent: ring buffer, polling, batches.
    ebpf {
        /// Size of the ring buffer between kernel and agent; a multiple of the page size too. It must hold the
        /// events of the moments in which the agent gets no CPU, and takes twice its size of resident memory, as
        /// its pages are mapped twice.
        ring_buffer_size: power_of_two(4 * KIB, GIB, None) = "1048576", Guide, Restart;
        /// Size of the ring buffer of the bulk classes (files, network, memory). `ring_buffer_size` is that of the
        /// critical ones, which is read first.
        bulk_ring_size: power_of_two(4 * KIB, GIB, None) = "4194304", Ours, Restart;
        /// Which hooks a sensor may use beside tracepoints and control group hooks: "auto" the best that this host
        /// has; "trampoline" trampolines on kernel functions and hooks of the security modules; "syscall" the return
        /// of system calls. `sentinel-edge doctor` shows what each sensor uses.
        hooks: word(&["auto", "trampoline", "syscall"]) = "\"auto\"", Ours, Restart;
        /// Most records that the reader hands to a worker at once.
        event_batch_size: whole(1, 65_536, "records") = "100", Guide, Restart;
        /// How long the reader sleeps in the kernel when nothing comes. The kernel wakes it earlier when there is
        /// something to read.
        poll_timeout_ms: whole(1, 10_000, "milliseconds") = "100", Guide, Restart;
        /// Most events of the bulk classes (files, network, memory) a second, counted in the kernel before anything
        /// is made of an event. For a moment as many may come at once. What is over the limit is counted by class,
        /// as `rate_limited`, and told in the log of events. The other classes are never limited.
        max_events_per_sec: whole(1, 10_000_000, "events per second") = "10000", Guide, Restart;
        /// Tighten that limit while the bulk ring is nearly full: to a quarter of it when three quarters of the ring
        /// are in use, to a sixteenth at seven eighths. So the ring keeps room for some of everything that happens
        /// instead of losing all of what comes last.
        enable_backpressure: switch() = "true", Guide, Restart;
        /// Attach again what somebody detached, and compare the process table with /proc after a loss.
        auto_recovery: switch() = "true", Guide, Restart;
        /// Pause of the reader after it found records, so that the next turn finds several. This is the wait while
        /// events flow; `poll_timeout_ms` is the wait while none do.
        ring_buffer_poll_timeout_us: whole(0, 1_000_000, "microseconds") = "100", Guide, Restart;
        /// Most lines that are written to a destination with one call. `event_batch_size` counts at the other
        /// end, where records leave the kernel.
        batch_size: whole(1, 65_536, "lines") = "64", Guide, Restart;
        /// How long an incomplete batch of lines may wait for more.
        batch_timeout_us: whole(0, 10_000_000, "microseconds") = "1000", Guide, Restart;
    }
    aliases {}

    /// What is kept and told of processes.
    process {
        /// Most bytes of arguments in an exec event. Of longer ones the event carries head and tail, the whole
        /// length and a truncation flag.
        args_max_bytes: power_of_two(4 * KIB, 128 * KIB, None) = "32768", Ours, Restart;
        /// Most bytes of environment that are looked through for `env_allow`.
        env_max_bytes: power_of_two(KIB, 32 * KIB, Some("none")) = "32768", Ours, Restart;
        /// Environment variables that an exec event shows; a `*` at the end matches the rest of a name. The default
        /// has those that make other programs load or run somebody's code, hide what a shell did, or tell who came
        /// from where. Values are written as they are, so name none that holds a password.
        env_allow: names(Items::Variables) = ENV_ALLOW, Ours, Reload;
        /// Most processes in the table; when it is full, the process that exited first goes first.
        table_entries: whole(1_024, 4_194_304, "processes") = "65536", Ours, Restart;
        /// Most bytes of arguments kept in the table for each process, for its later events and its children's.
        args_keep_bytes: bytes(64, 128 * KIB, Some("none")) = "4096", Ours, Restart;
        /// Most ancestors in an event.
        ancestors: whole(0, 256, "ancestors") = "16", Ours, Reload;
        /// Look up names of users and groups. Off: numbers only.
        resolve_names: switch() = "true", Ours, Restart;
    }
    aliases {}

    /// Files: whose reads are reported, and what is left out. Writing, making, removing, renaming and changing
    /// permissions is reported everywhere else; `[events]` switches the classes.
    ///
    /// A path takes one of five forms: `/etc/shadow` is this file, `/root/.ssh/` this directory and everything below,
    /// `*/.netrc` a file of this name anywhere, `*/.aws/` everything below a directory of this name anywhere, and
    /// `/proc/*/mem` a file of this name on a proc file system. Paths are those that the acting process's mount
    /// namespace has, without symbolic links, so `/etc/shadow` is also that of every container. Of two directories
    /// the longer path counts; else skipping goes before watching.
    file {
        /// Paths whose reads are reported. The default has passwords, keys, tokens of clouds and clusters, what
        /// browsers keep, histories, and memory and environment of other processes. Whoever sets this replaces the
        /// default.
        watch_paths: names(Items::Patterns) = WATCH_PATHS, Ours, Reload;
        /// Paths of which nothing is reported, whatever is done. What the agent itself does to its log and its state
        /// is left out in any case; what others do to them is reported.
        skip_paths: names(Items::Patterns) = "[]", Ours, Reload;
        /// Leave out pseudo file systems (proc, sysfs, cgroup and the like), pipes, sockets, terminals and devices such
        /// as /dev/null, unless they are watched.
        skip_pseudo: switch() = "true", Ours, Restart;
    }
    aliases {}

    /// The network.
    network {
        /// Report connections of Unix sockets too. There are many on most hosts.
        unix_sockets: switch() = "false", Ours, Restart;
    }
    aliases {}

    /// What is left out of all classes but the process ones before it costs anything, and how repeats are told. What
    /// is left out is counted, as `filtered`. A list that was empty at the start takes effect at the next one.
    filter {
        /// Equal events of a process (same class, same file or peer) within this time are one event with a count; 0
        /// reports each. The first is reported at once, and the count of the others when the time is over.
        merge_window_ms: whole(0, 60_000, "milliseconds") = "1000", Ours, Restart;
        /// Executables whose events are left out, by full path. They are looked up again every minute, as upgrades
        /// replace them. Without effect on btrfs and overlayfs, which have no stable name for a file. Whoever can make
        /// such a program do things for him is not seen.
        skip_executables: names(Items::Executables) = "[]", Ours, Reload;
        /// Control groups whose events are left out, those below them included, by the path that `systemctl status`
        /// shows.
        skip_cgroups: names(Items::Groups) = "[]", Ours, Reload;
        /// Users whose events are left out, by name or number. It is the real user that counts, not the one
        /// whose rights a setuid program lends.
        skip_users: names(Items::Users) = "[]", Ours, Reload;
        /// Ports of either side whose network events are left out.
        skip_ports: ports() = "[]", Ours, Reload;
    }
    aliases {}

    /// Where events are written, and the agent's own log. Both spellings of the deployment guide work, also mixed;
    /// two names of one thing must agree.
    logging {
        /// Level of the agent's own log, which goes to standard error; or a list by module, as in RUST_LOG. A
        /// --log-level flag, RUST_LOG and SENTINEL_LOG_LEVEL go before it.
        level: filter() = "\"info\"", Guide, Reload;
        /// Form of the lines: ECS 8, one JSON object a line. There is no other.
        format: word(&["json"]) = "\"json\"", Guide, Restart;
        /// File that events are written to. Its directory is created if it is missing.
        output: optional_path("no file") = LOG_FILE, Guide, Reload;
        /// Rotate the file at all. Off: it only grows, and `max_size` has no effect.
        rotate: switch() = "true", Guide, Reload;
        /// When the file is rotated: "daily" at the change of day (UTC) and at `max_size`, "size" only at
        /// `max_size`, "never" not at all.
        log_rotation: word(&["daily", "size", "never"]) = "\"daily\"", Guide, Reload;
        /// Rotate when the file would grow beyond this.
        max_size: bytes(4 * KIB, TIB, Some("no limit")) = "\"100MB\"", Guide, Reload;
        /// Rotated files to keep.
        max_files: whole(1, 100_000, "files") = "30", Guide, Reload;
        /// Delete rotated files that are older than this; 0 keeps them until `max_files` is reached.
        max_age_days: whole(0, 36_500, "days") = "0", Ours, Reload;
        /// Compress rotated files with gzip.
        compress: switch() = "false", Ours, Reload;
        /// Write events to standard output too: "json" as in the file, "compact" for people, "auto" compact on a
        /// terminal and JSON into a pipe, "off" not at all.
        stdout: word(&["off", "auto", "json", "compact"]) = "\"off\"", Ours, Restart;
        /// Lines that wait, in bytes for each destination, while it cannot be written to. Beyond it lines are lost;
        /// each is counted, and a record in the file says how many of which class are missing.
        buffer_size: bytes(64 * KIB, GIB, None) = "\"16MB\"", Ours, Restart;
    }
    aliases {
        /// Another name of `output`.
        log_file = logging.output, Agree: optional_path("no file") = LOG_FILE, Guide, Reload;
        /// Another name of `max_files`.
        max_log_files = logging.max_files, Agree: whole(1, 100_000, "files") = "30", Guide, Reload;
    }

    /// HTTP: `/health`, `/ready`, `/version` and `/metrics`, on two addresses that both serve all four; and the
    /// proof that events flow.
    monitoring {
        /// How often figures that cost something to find out are refreshed: memory, CPU, the size of maps.
        metrics_interval_sec: whole(1, 86_400, "seconds") = "60", Guide, Reload;
        /// Address and port for Prometheus. An address that others can reach needs `tls_cert`, `tls_key` and
        /// `token_file`, or else `allow_insecure`; that is why the default is not 0.0.0.0.
        prometheus_endpoint: address() = "\"127.0.0.1:9090\"", Guide, Reload;
        /// Port for health checks.
        health_check_port: port() = "8080", Guide, Reload;
        /// Address for health checks. An address that others can reach has the needs of `prometheus_endpoint`.
        health_check_address: ip() = "\"127.0.0.1\"", Ours, Reload;
        /// PEM file with the certificate chain for HTTPS on both addresses. This and the next three files are read
        /// again at SIGHUP; another path needs a restart.
        tls_cert: optional_path("plain HTTP") = "\"\"", Ours, Reload;
        /// PEM file with the private key of `tls_cert`.
        tls_key: optional_path("plain HTTP") = "\"\"", Ours, Reload;
        /// PEM file with the authority whose certificate a client must show.
        client_ca: optional_path("clients need no certificate") = "\"\"", Ours, Reload;
        /// File with the bearer token (32 bytes at least) that clients must send; only its owner may be able to
        /// read it. To a client without the token `/health` and `/ready` say up or down and no more, for probes.
        token_file: optional_path("clients need no token") = "\"\"", Ours, Reload;
        /// Serve an address that others can reach without both TLS and a token.
        allow_insecure: switch() = "false", Ours, Reload;
        /// Connections at a time, both addresses together.
        max_connections: whole(1, 1_024, "connections") = "32", Ours, Reload;
        /// Connections at a time from one address.
        max_connections_per_address: whole(1, 1_024, "connections") = "8", Ours, Reload;
        /// A connection is cut after this time, whatever it is doing.
        connection_timeout_ms: whole(100, 60_000, "milliseconds") = "5000", Ours, Reload;
        /// How often the agent runs a marked program of its own and looks for the event in the written file;
        /// `/ready` follows from that. 0 switches it off.
        canary_interval_sec: whole(0, 86_400, "seconds") = "30", Ours, Restart;
        /// How long that event may take before `/ready` says no.
        canary_timeout_sec: whole(1, 300, "seconds") = "5", Ours, Restart;
    }
    aliases {}

    /// Detection: rules, lists of indicators, and what is unusual for a program. docs/rules.md tells more.
    security {
        /// Run detection rules on the events.
        enable_threat_detection: switch() = "true", Guide, Reload;
        /// Write what the rules find into the event log.
        log_security_events: switch() = "true", Guide, Reload;
        /// Let rules fire that look for the unusual rather than the known.
        alert_on_anomalies: switch() = "true", Guide, Reload;
        /// Directory of rules in the format of Sigma, read whole, with what is below it; `.yml` files hold rules, `NAME.list`
        /// files values for the placeholder %NAME%. It is looked at every few seconds. It need not exist.
        rules_dir: path() = "\"/etc/sentineledge/rules.d\"", Ours, Reload;
        /// Directory of indicator lists: addresses and networks, domains, SHA-256 of executables, paths; one a line, in
        /// files of any name. Looked at with the rules. It need not exist.
        indicators_dir: path() = "\"/etc/sentineledge/indicators.d\"", Ours, Reload;
        /// Use the rules that come with the agent. A rule of the directory with the same id takes the place of one of them.
        built_in_rules: switch() = "true", Ours, Reload;
        /// Rules that are not loaded, by id or name.
        disabled_rules: names(Items::Rules) = "[]", Ours, Reload;
        /// Rules whose findings are counted and not written, by id or name: to try a rule out.
        shadow_rules: names(Items::Rules) = "[]", Ours, Reload;
        /// Findings of milder rules are counted and not written.
        min_level: word(&["informational", "low", "medium", "high", "critical"]) = "\"low\"", Ours, Reload;
        /// Share of one core that the evaluation of a rule may use, over ten seconds. A rule that uses more is demoted: it is
        /// evaluated for one of so many events, drawn at random, until it was quiet for a while. The log, `/health`,
        /// `rules list` and metrics tell. 0 sets no limit.
        rule_cpu_percent: whole(0, 100, "percent of one core") = "2", Ours, Reload;
        /// Memory for the latest events of each process tree, so that a finding tells what came before it. 2 MB hold the
        /// last sixteen of about 500 trees.
        preceding_events_size: bytes(64 * KIB, GIB, Some("findings do not tell")) = "\"2MB\"", Ours, Restart;
    }
    aliases {}

    /// The Unix socket that `sentinel-edge tail` connects to, in `[core] runtime_dir`.
    tail {
        /// Offer it.
        enabled: switch() = "true", Ours, Restart;
        /// Clients at a time.
        max_clients: whole(1, 256, "clients") = "8", Ours, Restart;
    }
    aliases {}
}
