//! What enrichment needs to know of the configuration: section `[process]`.

/// Resolved settings of enrichment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Most processes in the table; the oldest exited one goes first.
    pub table_entries: usize,
    /// Most bytes of arguments that the table keeps of a process, for its later events and its children's.
    pub args_keep_bytes: usize,
    /// Longest ancestor chain.
    pub ancestors: u16,
    /// Look up user and group names.
    pub resolve_names: bool,
    /// Environment variables that an exec event shows, by name; `LD_*` matches a prefix.
    pub env_allow: Vec<String>,
}
