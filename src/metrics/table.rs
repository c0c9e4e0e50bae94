//! The table of all metrics.

use super::family::{Counter, Family, Gauge, Histogram, Info, Total};
use super::label::{ErrorType, Level, Outcome, Program, Reason, Ring, SinkName, Stage, ThreadName};
use super::render;
use crate::event::Kind;

/// Name, type and help text of a metric, for documents and tests.
#[derive(Debug, Clone, Copy)]
pub struct Description {
    /// The field of [`Metrics`].
    pub field: &'static str,
    /// The exposed name.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// The Rust type, which tells kind and labels.
    pub shape: &'static str,
}

macro_rules! metrics {
    ($($field:ident: $type:ty, $name:literal, $help:literal;)+) => {
        /// Every metric of the agent.
        #[derive(Debug, Default)]
        pub struct Metrics {
            $(#[doc = $help] pub $field: $type,)+
        }

        impl Metrics {
            /// The table, for documents and tests.
            pub const DESCRIPTIONS: &'static [Description] = &[
                $(Description { field: stringify!($field), name: $name, help: $help, shape: stringify!($type) },)+
            ];

            /// The answer to `GET /metrics`.
            pub fn render(&self) -> String {
                let mut out = String::with_capacity(32 * 1024);
                $(render::metric(&mut out, $name, $help, &self.$field);)+
                out
            }
        }
    };
}

metrics! {
    // The six of the operations guide.
    events_processed: Family<Counter, Kind>, "sentinel_events_processed_total", "Events written as a line and handed to the sinks.";
    events_dropped: Family<Counter, (Kind, Reason)>, "sentinel_events_dropped_total", "Events that got no line of their own, by class and reason: lost, left out on purpose, or merged into another.";
    ring_utilization: Gauge, "sentinel_ring_buffer_utilization_percent", "Part of the fullest ring buffer that is in use.";
    memory_usage: Gauge, "sentinel_memory_usage_bytes", "Resident memory of the agent.";
    cpu_usage: Gauge, "sentinel_cpu_usage_percent", "CPU time of the agent since the last reading, percent of one core.";
    errors: Family<Counter, ErrorType>, "sentinel_errors_by_type_total", "Errors by what failed.";
    // The ledger.
    events: Family<Counter, (Kind, Stage)>, "sentinel_events_total", "Events by class and the stage they reached.";
    events_merged: Family<Counter, Kind>, "sentinel_events_merged_total", "Events merged in the kernel into equal ones and told as a count; equal to those dropped as deduplicated once their windows are over.";
    sink_events: Family<Counter, (SinkName, Kind, Outcome)>, "sentinel_sink_events_total", "Events by sink, class and outcome.";
    sink_bytes: Family<Counter, SinkName>, "sentinel_sink_written_bytes_total", "Bytes written by each sink.";
    sink_queued: Family<Gauge, SinkName>, "sentinel_sink_queued_events", "Events that wait in a sink's queue and buffer.";
    sink_up: Family<Gauge, SinkName>, "sentinel_sink_up", "1 while the sink writes, 0 while it cannot or is not configured.";
    sink_dropped: Family<Counter, (SinkName, Kind, Reason)>, "sentinel_sink_events_dropped_total", "Events that a sink lost, by class and reason.";
    sink_rotations: Counter, "sentinel_log_rotations_total", "Rotations of the log file.";
    sink_repaired: Counter, "sentinel_log_repaired_lines_total", "Torn last lines cut off when the log file was opened.";
    tail_clients: Gauge, "sentinel_tail_clients", "Clients of `sentinel-edge tail` now connected.";
    tail_cut: Counter, "sentinel_tail_clients_cut_total", "Clients of `sentinel-edge tail` cut off for being slow.";
    // Kernel side.
    ring_size: Family<Gauge, Ring>, "sentinel_ring_size_bytes", "Size of the ring buffer.";
    ring_used: Family<Gauge, Ring>, "sentinel_ring_used_bytes", "Bytes in the ring buffer that are not read yet.";
    ring_high_water: Family<Gauge, Ring>, "sentinel_ring_high_water_bytes", "Most bytes ever seen waiting in the ring buffer.";
    ring_wakeups: Counter, "sentinel_ring_wakeups_total", "Times the reader looked for records.";
    program_up: Family<Gauge, Program>, "sentinel_bpf_program_attached", "1 while the program is loaded and attached.";
    sensor_level: Family<Gauge, Kind>, "sentinel_sensor_level", "How a class is seen: 1 by hooks that cost nothing elsewhere, 2 on trampolines, 3 at the return of system calls, 0 not at all, which /health explains.";
    sensor_blind: Family<Gauge, Kind>, "sentinel_sensor_blind", "1 while nothing is seen of a class that the configuration wants; /health says why.";
    program_runs: Family<Counter, Program>, "sentinel_bpf_program_runs_total", "Runs of the program; counted only while the kernel's BPF statistics are on.";
    program_time: Family<Gauge, Program>, "sentinel_bpf_program_run_seconds", "Run time of the program; counted only while the kernel's BPF statistics are on.";
    program_misses: Family<Counter, Program>, "sentinel_bpf_program_misses_total", "Runs that the kernel skipped to avoid recursion; what happened then was not seen.";
    map_entries: Gauge, "sentinel_bpf_map_max_entries", "Room of all hash maps of the agent.";
    map_used: Gauge, "sentinel_bpf_map_used_entries", "Entries used in all hash maps of the agent.";
    // Decoding and enrichment.
    truncated: Family<Counter, Kind>, "sentinel_truncated_events_total", "Events with at least one field cut; the event names the fields.";
    table_entries: Gauge, "sentinel_process_table_entries", "Processes in the table, alive and lately exited.";
    table_nodes: Gauge, "sentinel_process_table_nodes", "Process nodes in memory, ancestors that left the table included.";
    table_misses: Counter, "sentinel_process_table_misses_total", "Events whose process the table did not know.";
    table_evictions: Counter, "sentinel_process_table_evictions_total", "Entries evicted because the table was full.";
    table_resyncs: Counter, "sentinel_process_table_resyncs_total", "Times the table was compared with the running processes after a loss.";
    cgroup_entries: Gauge, "sentinel_cgroup_table_entries", "Control groups known by path.";
    cgroup_misses: Counter, "sentinel_cgroup_table_misses_total", "Events whose control group had no known path.";
    names_cached: Gauge, "sentinel_names_cached", "User and group names in the cache.";
    names_missing: Counter, "sentinel_names_missing_total", "Events written before a user or group name was known.";
    // Detection.
    findings: Family<Counter, Level>, "sentinel_findings_total", "Events that a rule matched, by the rule's level; each counts, also when repeats are folded into one line.";
    findings_silent: Family<Counter, Level>, "sentinel_findings_silent_total", "Events that matched a rule whose findings are only counted: a shadow rule, one that only serves correlations, or one below the configured level.";
    finding_lines: Counter, "sentinel_finding_lines_total", "Lines of findings handed to the destinations.";
    rules_loaded: Gauge, "sentinel_rules_loaded", "Rules in force.";
    rules_refused: Gauge, "sentinel_rules_refused", "Rules that are right but nothing on this agent can feed.";
    rules_wrong: Gauge, "sentinel_rules_wrong", "Rules left out because of an error in them.";
    hashes_refused: Counter, "sentinel_hashes_refused_total", "Executables that were to be hashed and could not be: too large, changed since, or too many at a time.";
    indicators_loaded: Gauge, "sentinel_indicators_loaded", "Entries of indicator lists in force.";
    rules_generation: Gauge, "sentinel_rules_generation", "Number of the set of rules in force, counted from 1 since the start.";
    rules_demoted: Gauge, "sentinel_rules_demoted", "Rules in force that are evaluated for some events only, because they cost more than their budget.";
    rule_evaluations_skipped: Counter, "sentinel_rule_evaluations_skipped_total", "Evaluations of demoted rules that were left out; each is an event that might have matched.";
    rule_reload_failures: Counter, "sentinel_rules_reload_failures_total", "Changed rules not taken on because of an error in them; the old ones stayed.";
    // Truth about ourselves.
    canary_latency: Histogram, "sentinel_canary_latency_seconds", "From the canary's exec to its line in the written file.";
    canary_failures: Counter, "sentinel_canary_failures_total", "Canaries that did not come back in time.";
    canary_last: Gauge, "sentinel_canary_last_success_timestamp_seconds", "When a canary last came back.";
    healthy: Gauge, "sentinel_healthy", "1 if /health answers 200.";
    ready: Gauge, "sentinel_ready", "1 if /ready answers 200.";
    threads: Family<Gauge, ThreadName>, "sentinel_threads_alive", "Threads of this name that run.";
    reloads: Counter, "sentinel_config_reloads_total", "Reloads of the configuration that took effect.";
    reload_failures: Counter, "sentinel_config_reload_failures_total", "Reloads refused because of an error; the old configuration stayed.";
    config: Info, "sentinel_config_info", "SHA-256 of the effective configuration, in a label.";
    build: Info, "sentinel_build_info", "Version, commit and kernel ABI, in labels.";
    http_requests: Counter, "sentinel_http_requests_total", "HTTP requests answered.";
    http_refused: Counter, "sentinel_http_refused_total", "HTTP connections refused or cut: over a limit, too slow, malformed or without the token.";
    // The conventional ones.
    process_cpu: Total, "process_cpu_seconds_total", "User and system CPU time of the agent in seconds.";
    process_resident: Gauge, "process_resident_memory_bytes", "Resident memory size in bytes.";
    process_virtual: Gauge, "process_virtual_memory_bytes", "Virtual memory size in bytes.";
    process_start: Gauge, "process_start_time_seconds", "Start time of the process since the Unix epoch in seconds.";
    process_fds: Gauge, "process_open_fds", "Open file descriptors.";
    process_max_fds: Gauge, "process_max_fds", "Most file descriptors the process may open.";
}
