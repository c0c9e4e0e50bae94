//! Steps: what is noted of an event for the findings after it.
//!
//! Forks and exits tell nothing that the exec and the chain of ancestors do not tell, the close of a file nothing that
//! its opening does not, the end of a connection nothing that its beginning does not; the agent's own doings are nobody's
//! trail. All else is a step.

use std::io::Write as _;
use std::ops::Range;
use std::sync::Arc;

use crate::event::dns::Message;
use crate::event::ecs::Context;
use crate::event::{Body, EntityId, Event, Kind, Network, Privilege, Process};

/// Bytes of a step's text that are kept.
pub const TEXT_MAX: usize = 160;

/// What is noted of one event.
#[derive(Debug)]
pub(super) struct Step {
    pub sequence: u64,
    /// Wall time, nanoseconds.
    pub wall_ns: u64,
    pub kind: Kind,
    pub process: Arc<Process>,
    /// The leader of its session, where the event says it.
    pub leader: Option<EntityId>,
    /// What it was about, in the text of the batch; of an exec the arguments say it.
    text: Range<usize>,
}

/// What is noted of the events of a batch, in their order.
#[derive(Debug, Default)]
pub struct Steps {
    steps: Vec<Step>,
    text: Vec<u8>,
}

impl Steps {
    /// Notes an event, if it is worth it.
    pub fn note(&mut self, event: &Event<'_>, context: &Context, wall_offset_ns: i64) {
        let kind = event.kind();
        if matches!(kind, Kind::Fork | Kind::Exit | Kind::FileClose | Kind::NetFlow) {
            return;
        }
        let (Some(process), Some(task)) = (&context.process, event.task()) else { return };
        if task.agent {
            return;
        }
        let start = self.text.len();
        write(event, &mut self.text);
        // One byte more than is kept shows that there was more.
        self.text.truncate(start + TEXT_MAX + 1);
        self.steps.push(Step {
            sequence: context.sequence,
            wall_ns: event.time_ns.saturating_add_signed(wall_offset_ns),
            kind,
            process: Arc::clone(process),
            leader: context.session_leader,
            text: start..self.text.len(),
        });
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.steps.clear();
        self.text.clear();
    }

    /// Each with its text.
    pub(super) fn each(&self) -> impl Iterator<Item = (&Step, &[u8])> {
        self.steps.iter().map(|step| {
            let text = match step.kind {
                Kind::Exec => &step.process.image.args,
                _ => self.text.get(step.text.clone()).unwrap_or_default(),
            };
            (step, text)
        })
    }
}

/// What the event is about.
fn write(event: &Event<'_>, text: &mut Vec<u8>) {
    // Writing to a Vec cannot fail.
    match &event.body {
        Body::ExecFailed(failed) => text.extend_from_slice(cut(failed.filename)),
        Body::File(file) => text.extend_from_slice(cut(file.path)),
        Body::Network(network) => endpoint(network, text),
        Body::Credentials(credentials) => {
            let _ = write!(text, "uid {} euid {}", credentials.task.uid, credentials.task.euid);
        }
        Body::Privilege(privilege) => used(privilege, text),
        Body::Exec(_) | Body::Fork(_) | Body::Exit(_) | Body::Cgroup(_) | Body::Snapshot(_) => {}
    }
}

fn cut(bytes: &[u8]) -> &[u8] {
    bytes.get(..=TEXT_MAX).unwrap_or(bytes)
}

/// The name that was asked for, or whom it is about: the other side, or for a server its own.
fn endpoint(network: &Network<'_>, text: &mut Vec<u8>) {
    if network.kind == Kind::NetDns {
        let question = Message::parse(network.payload).and_then(|message| message.question());
        text.extend_from_slice(question.map(|question| question.name.text()).unwrap_or_default().as_bytes());
        return;
    }
    if !network.path.is_empty() {
        text.extend_from_slice(cut(network.path));
        return;
    }
    let end = match network.kind {
        Kind::NetBind | Kind::NetListen => &network.local,
        _ => &network.remote,
    };
    if let Some(address) = end.ip(network.family) {
        let _ = write!(text, "{}", std::net::SocketAddr::new(address, u16::try_from(end.port).unwrap_or(0)));
    }
}

/// The process that it was done to, or what it was done with.
fn used(privilege: &Privilege<'_>, text: &mut Vec<u8>) {
    if let Some(target) = &privilege.target {
        let _ = write!(text, "pid {} ", target.pid);
        text.extend_from_slice(target.comm);
        return;
    }
    let what = if privilege.path.is_empty() { privilege.name } else { privilege.path };
    text.extend_from_slice(cut(what));
}
