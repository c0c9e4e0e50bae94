//! What enrichment adds to an event.

use std::sync::Arc;

use crate::event::{Container, Creds, EntityId, Process};

/// Whom an event is about, beyond what its record says. All of it is as it was at the event.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Subject {
    /// The acting process, with the chain of those who created it. For a fork it is the child, for an exec the
    /// process with its new program. `None` only for events without a task.
    pub process: Option<Arc<Process>>,
    /// The real parent. It differs from the creator after the creator exited, or when CLONE_PARENT was given.
    /// `None` if there is none, as for pid 1.
    pub parent: Option<Arc<Process>>,
    /// The session's leader; `None` if it is gone.
    pub session_leader: Option<EntityId>,
    /// The container, if the control group's name tells of one.
    pub container: Option<Arc<Container>>,
    /// Path of the control group from its hierarchy's root, not valid UTF-8 replaced.
    pub cgroup_path: Option<Arc<str>>,
    /// The credentials that the process was last seen with before an event that is about a change of them.
    pub old_creds: Option<Box<Creds>>,
    /// The other process that something was done to.
    pub target: Option<Arc<Process>>,
    /// The name by which the process found the other side's address.
    pub destination_domain: Option<Arc<str>>,
    /// The path that the process passed in does not lead to the file that the kernel opened.
    pub argument_swap: bool,
}
