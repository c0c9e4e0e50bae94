//! From values to what each module is given: all defaults that depend on the host, and all checks of values
//! against each other, in one place. Asks the host nothing; see [`check`](super::check) for that.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::error::{Error, Errors, Place, Problem};
use super::settings::{Setting, Settings};
use super::source::{HOST_PROC, Host};
use super::table::{core, ebpf, file, filter, logging, monitoring, network, process, security, tail};
use super::value::Value;
use crate::detect::config::Level;
use crate::event::Kind;
use crate::{control, detect, enrich, kernel, sink};

/// Bytes that may wait for one `tail` client before it is cut off: about a quarter of a second at 10,000 events
/// per second.
const TAIL_BUFFER_BYTES: usize = 4 << 20;

/// All sections in their types.
pub(super) struct Typed {
    core: core::Values,
    ebpf: ebpf::Values,
    process: process::Values,
    file: file::Values,
    network: network::Values,
    filter: filter::Values,
    logging: logging::Values,
    monitoring: monitoring::Values,
    security: security::Values,
    tail: tail::Values,
}

/// Checks values against each other; `settings` says where a wrong one stands.
pub(super) struct Resolver<'a> {
    pub settings: &'a Settings,
    pub host: Host,
    pub errors: &'a mut Errors,
}

impl Typed {
    pub(super) fn read(settings: &Settings) -> Self {
        Typed {
            core: core::Values::read(settings),
            ebpf: ebpf::Values::read(settings),
            process: process::Values::read(settings),
            file: file::Values::read(settings),
            network: network::Values::read(settings),
            filter: filter::Values::read(settings),
            logging: logging::Values::read(settings),
            monitoring: monitoring::Values::read(settings),
            security: security::Values::read(settings),
            tail: tail::Values::read(settings),
        }
    }
}

impl Resolver<'_> {
    /// An error at the place of the first of these keys that somebody set: a default is not to blame.
    fn impossible(&mut self, section: &str, names: &[&str], why: String) {
        let blamed = names.iter().find(|name| self.is_set(section, name)).or_else(|| names.first()).copied();
        let (place, key) = match blamed.and_then(|name| self.settings.find(section, name)) {
            Some(Setting { place, key, named, .. }) => (place.clone(), named.unwrap_or(key).to_string()),
            None => (Place::Default, format!("[{section}]")),
        };
        self.errors.push(Error::new(place, Some(key), Problem::Impossible(why)));
    }

    fn place(&self, section: &str, name: &str) -> &Place {
        self.settings.find(section, name).map_or(&Place::Default, |setting| &setting.place)
    }

    fn is_set(&self, section: &str, name: &str) -> bool {
        !matches!(self.place(section, name), Place::Default | Place::Profile(_))
    }

    pub(super) fn kernel(&mut self, typed: &Typed) -> kernel::Config {
        let Typed { ebpf, process, filter, .. } = typed;
        let page = self.host.page_bytes;
        for (key, bytes) in
            [("ring_buffer_size", ebpf.ring_buffer_size), ("bulk_ring_size", ebpf.bulk_ring_size)]
        {
            // Both are powers of two, so a size that is no multiple is smaller than a page.
            if !bytes.is_multiple_of(page) {
                let why = format!(
                    "{bytes} is no multiple of this host's page size; the nearest valid size is {page}"
                );
                self.impossible("ebpf", &[key], why);
            }
        }
        let wanted = |kind: &&Kind| {
            let setting = self.settings.find("events", kind.name());
            !kind.is_internal() && setting.is_some_and(|s| s.value == Value::Switch(true))
        };
        kernel::Config {
            ring_buffer_bytes: fit(ebpf.ring_buffer_size),
            bulk_ring_bytes: fit(ebpf.bulk_ring_size),
            bulk_rate: ebpf.max_events_per_sec.into(),
            backpressure: ebpf.enable_backpressure,
            hooks: kernel::config::Hooks::from_name(&ebpf.hooks).unwrap_or_default(),
            merge_window: Some(filter.merge_window_ms)
                .filter(|&ms| ms != 0)
                .map(|ms| Duration::from_millis(ms.into())),
            filter: filters(typed),
            args_max_bytes: fit(process.args_max_bytes),
            env_max_bytes: if process.env_allow.is_empty() { 0 } else { fit(process.env_max_bytes) },
            kinds: Kind::ALL.iter().filter(wanted).copied().collect(),
            poll_timeout: Duration::from_millis(ebpf.poll_timeout_ms.into()),
            busy_window: Duration::from_micros(ebpf.ring_buffer_poll_timeout_us.into()),
            batch: ebpf.event_batch_size as usize,
            auto_recovery: ebpf.auto_recovery,
        }
    }

    pub(super) fn enrich(&mut self, typed: &Typed) -> enrich::Config {
        let process = &typed.process;
        enrich::Config {
            table_entries: process.table_entries as usize,
            args_keep_bytes: usize::try_from(process.args_keep_bytes).unwrap_or(usize::MAX),
            ancestors: u16::try_from(process.ancestors).unwrap_or(u16::MAX),
            resolve_names: process.resolve_names,
            env_allow: process.env_allow.clone(),
        }
    }

    pub(super) fn sink(&mut self, typed: &Typed) -> sink::Config {
        let Typed { core, ebpf, logging, tail, .. } = typed;
        sink::Config {
            file: self.file(logging),
            stdout: self.stdout(&logging.stdout),
            tail: tail.enabled.then(|| sink::config::TailConfig {
                path: core.runtime_dir.join("tail.sock"),
                max_clients: tail.max_clients as usize,
                client_buffer_bytes: TAIL_BUFFER_BYTES,
            }),
            worker: sink::config::WorkerConfig {
                batch_lines: ebpf.batch_size as usize,
                batch_timeout: Duration::from_micros(ebpf.batch_timeout_us.into()),
                buffer_bytes: usize::try_from(logging.buffer_size).unwrap_or(usize::MAX),
            },
        }
    }

    fn file(&mut self, logging: &logging::Values) -> Option<sink::config::FileConfig> {
        // The two spellings of the section each have a switch for rotation. A default does not contradict.
        if self.is_set("logging", "rotate") && self.is_set("logging", "log_rotation") {
            let never = logging.log_rotation == "never";
            if logging.rotate == never {
                let why = format!(
                    "is {}, but [logging] log_rotation ({}) is \"{}\"; one of them must go",
                    logging.rotate,
                    self.place("logging", "log_rotation"),
                    logging.log_rotation
                );
                self.impossible("logging", &["rotate"], why);
            }
        }
        let rotate = logging.rotate && logging.log_rotation != "never";
        if rotate && logging.log_rotation == "size" && logging.max_size == 0 {
            let why = "is 0, no limit, but log_rotation is \"size\"; \"never\" is the word for a file that only grows";
            self.impossible("logging", &["max_size"], why.to_owned());
        }
        let path = logging.output.clone()?;
        if path.ends_with("/") || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            self.impossible(
                "logging",
                &["output"],
                format!("{} is a directory; a file is needed", path.display()),
            );
        }
        Some(sink::config::FileConfig {
            path,
            max_bytes: Some(logging.max_size).filter(|&bytes| rotate && bytes != 0),
            daily: rotate && logging.log_rotation == "daily",
            max_files: logging.max_files as usize,
            max_age_days: Some(logging.max_age_days).filter(|&days| days != 0),
            compress: logging.compress,
            durable: true,
        })
    }

    fn stdout(&self, word: &str) -> Option<sink::config::StdoutFormat> {
        use sink::config::StdoutFormat::{Coloured, Json, Plain};
        let compact = if self.host.colour { Coloured } else { Plain };
        match word {
            "json" => Some(Json),
            "compact" => Some(compact),
            "auto" if self.host.terminal => Some(compact),
            "auto" => Some(Json),
            _ => None,
        }
    }

    pub(super) fn control(&mut self, typed: &Typed, host_name: Option<String>) -> control::Config {
        let Typed { core, logging, monitoring, .. } = typed;
        let proc_root = core
            .proc_root
            .clone()
            .unwrap_or_else(|| if self.host.host_proc { HOST_PROC } else { "/proc" }.into());
        control::Config {
            log_level: logging.level.clone(),
            workers: match core.worker_threads {
                0 if self.host.cpus <= 4 => 1,
                0 => (self.host.cpus / 4).min(4),
                set => set as usize,
            },
            state_dir: core.state_dir.clone(),
            runtime_dir: core.runtime_dir.clone(),
            proc_root,
            host_name,
            metrics_interval: Duration::from_secs(monitoring.metrics_interval_sec.into()),
            canary: self.canary(monitoring),
            http: self.http(core, monitoring),
        }
    }

    fn canary(&mut self, monitoring: &monitoring::Values) -> Option<control::config::CanaryConfig> {
        let interval = Some(monitoring.canary_interval_sec).filter(|&seconds| seconds != 0)?;
        if monitoring.canary_timeout_sec > interval {
            let why = format!(
                "canary_timeout_sec ({}) is longer than canary_interval_sec ({interval}); a canary must be back before \
                 the next one goes",
                monitoring.canary_timeout_sec
            );
            self.impossible("monitoring", &["canary_timeout_sec", "canary_interval_sec"], why);
        }
        Some(control::config::CanaryConfig {
            interval: Duration::from_secs(interval.into()),
            timeout: Duration::from_secs(monitoring.canary_timeout_sec.into()),
        })
    }

    fn http(&mut self, core: &core::Values, monitoring: &monitoring::Values) -> control::config::HttpConfig {
        let metrics = (core.metrics_enabled).then_some(monitoring.prometheus_endpoint);
        let health = (core.health_check_enabled)
            .then(|| SocketAddr::new(monitoring.health_check_address, monitoring.health_check_port));
        if let (Some(metrics), Some(health)) = (metrics, health)
            && metrics.port() == health.port()
        {
            self.same_port(health.port());
        }
        let listeners = [
            metrics.map(|address| (address, "prometheus_endpoint", "[monitoring] prometheus_endpoint")),
            health.map(|address| (address, "health_check_address", "[monitoring] health_check_port")),
        ];
        let listeners = listeners.into_iter().flatten().map(|(address, name, key)| {
            self.check_reach(name, address.ip(), monitoring);
            control::config::Listener { address, key }
        });
        control::config::HttpConfig {
            listeners: listeners.collect(),
            socket: core.runtime_dir.join("http.sock"),
            tls: self.tls(monitoring),
            token_file: monitoring.token_file.clone(),
            max_connections: monitoring.max_connections as usize,
            max_connections_per_address: monitoring.max_connections_per_address as usize,
            deadline: Duration::from_millis(monitoring.connection_timeout_ms.into()),
            allow_insecure: monitoring.allow_insecure,
        }
    }

    fn same_port(&mut self, port: u16) {
        let why = format!(
            "port {port} is asked for twice, by prometheus_endpoint ({}) and health_check_port ({}); give each its own",
            self.place("monitoring", "prometheus_endpoint"),
            self.place("monitoring", "health_check_port")
        );
        self.impossible("monitoring", &["health_check_port", "prometheus_endpoint"], why);
    }

    /// Refuses to serve a network without both TLS and a token.
    fn check_reach(&mut self, name: &str, ip: IpAddr, monitoring: &monitoring::Values) {
        let safe =
            monitoring.tls_cert.is_some() && monitoring.tls_key.is_some() && monitoring.token_file.is_some();
        if ip.to_canonical().is_loopback() || safe || monitoring.allow_insecure {
            return;
        }
        let why = format!(
            "{ip} can be reached from other hosts, which needs tls_cert, tls_key and token_file; otherwise \
             listen on 127.0.0.1, or say allow_insecure = true"
        );
        self.impossible("monitoring", &[name], why);
    }

    fn tls(&mut self, monitoring: &monitoring::Values) -> Option<control::config::TlsConfig> {
        match (&monitoring.tls_cert, &monitoring.tls_key) {
            (Some(certificate), Some(key)) => Some(control::config::TlsConfig {
                certificate: certificate.clone(),
                key: key.clone(),
                client_ca: monitoring.client_ca.clone(),
            }),
            (Some(_), None) => {
                self.impossible("monitoring", &["tls_cert"], "needs tls_key with it".to_owned());
                None
            }
            (None, Some(_)) => {
                self.impossible("monitoring", &["tls_key"], "needs tls_cert with it".to_owned());
                None
            }
            (None, None) => {
                if monitoring.client_ca.is_some() {
                    self.impossible(
                        "monitoring",
                        &["client_ca"],
                        "needs tls_cert and tls_key with it".to_owned(),
                    );
                }
                None
            }
        }
    }

    pub(super) fn detect(&self, typed: &Typed) -> detect::Config {
        let security = &typed.security;
        detect::Config {
            enabled: security.enable_threat_detection,
            log_findings: security.log_security_events,
            anomalies: security.alert_on_anomalies,
            rules_dir: security.rules_dir.clone(),
            indicators_dir: security.indicators_dir.clone(),
            built_in: security.built_in_rules,
            disabled: security.disabled_rules.clone(),
            shadow: security.shadow_rules.clone(),
            // The table allows the names of levels only.
            min_level: Level::from_name(&security.min_level).unwrap_or(Level::Low),
            rule_percent: security.rule_cpu_percent,
            trail_bytes: usize::try_from(security.preceding_events_size).unwrap_or(0),
        }
    }
}

/// What is watched and what is left out.
fn filters(typed: &Typed) -> kernel::config::Filter {
    let Typed { core, file, network, filter, logging, .. } = typed;
    let log = logging.output.as_deref().and_then(std::path::Path::parent).map(std::path::Path::to_owned);
    let ids = filter.skip_users.iter().filter_map(|user| user.parse().ok());
    let names = filter.skip_users.iter().filter(|user| user.parse::<u32>().is_err());
    kernel::config::Filter {
        watch_paths: file.watch_paths.clone(),
        skip_paths: file.skip_paths.clone(),
        own_directories: log.into_iter().chain([core.state_dir.clone()]).collect(),
        skip_executables: filter.skip_executables.clone(),
        skip_cgroups: filter.skip_cgroups.clone(),
        skip_users: ids.collect(),
        skip_user_names: names.cloned().collect(),
        skip_ports: filter.skip_ports.clone(),
        skip_pseudo: file.skip_pseudo,
        unix_sockets: network.unix_sockets,
    }
}

/// Sizes whose shape ends below 4 GiB.
fn fit(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
