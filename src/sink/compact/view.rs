//! The part of an ECS line that a compact line shows.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

type Text<'a> = Cow<'a, str>;

#[derive(Debug, Deserialize)]
pub(super) struct View<'a> {
    #[serde(rename = "@timestamp", borrow, default)]
    pub(super) timestamp: Text<'a>,
    #[serde(borrow)]
    pub(super) message: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) event: EventPart<'a>,
    #[serde(borrow, default)]
    pub(super) process: ProcessPart<'a>,
    #[serde(borrow)]
    pub(super) file: Option<FilePart<'a>>,
    #[serde(borrow)]
    pub(super) source: Option<EndpointPart<'a>>,
    #[serde(borrow)]
    pub(super) destination: Option<EndpointPart<'a>>,
    #[serde(borrow)]
    pub(super) network: Option<NetworkPart<'a>>,
    #[serde(borrow)]
    pub(super) dns: Option<DnsPart<'a>>,
    #[serde(borrow)]
    pub(super) error: Option<ErrorPart<'a>>,
    #[serde(borrow)]
    pub(super) user: Option<UserPart<'a>>,
    #[serde(borrow)]
    pub(super) container: Option<ContainerPart<'a>>,
    #[serde(borrow)]
    pub(super) agent: Option<AgentPart<'a>>,
    #[serde(borrow, default)]
    pub(super) sentineledge: Own<'a>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct EventPart<'a> {
    #[serde(borrow, default)]
    pub(super) kind: Text<'a>,
    #[serde(borrow, default)]
    pub(super) action: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ProcessPart<'a> {
    pub(super) pid: Option<u32>,
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) executable: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) args: Vec<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) env_vars: Vec<Text<'a>>,
    #[serde(borrow)]
    pub(super) user: Option<UserPart<'a>>,
    #[serde(borrow)]
    pub(super) parent: Option<AncestorPart<'a>>,
    pub(super) exit_code: Option<i64>,
    #[serde(borrow)]
    pub(super) start: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) end: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct FilePart<'a> {
    #[serde(borrow)]
    pub(super) path: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) mode: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct EndpointPart<'a> {
    #[serde(borrow)]
    pub(super) ip: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) address: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) domain: Option<Text<'a>>,
    pub(super) port: Option<u32>,
}

#[derive(Debug, Deserialize)]
pub(super) struct NetworkPart<'a> {
    #[serde(borrow)]
    pub(super) transport: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct DnsPart<'a> {
    #[serde(borrow)]
    pub(super) question: Option<QuestionPart<'a>>,
    #[serde(borrow, default)]
    pub(super) resolved_ip: Vec<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct QuestionPart<'a> {
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
    #[serde(borrow, rename = "type")]
    pub(super) record_type: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ErrorPart<'a> {
    #[serde(borrow)]
    pub(super) code: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) message: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct UserPart<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
}

impl UserPart<'_> {
    /// The name, or the number.
    pub(super) fn shown(&self) -> &str {
        self.name.as_deref().or(self.id.as_deref()).unwrap_or("?")
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct ContainerPart<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) runtime: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AgentPart<'a> {
    #[serde(borrow)]
    pub(super) version: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AncestorPart<'a> {
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) executable: Option<Text<'a>>,
}

impl AncestorPart<'_> {
    pub(super) fn shown(&self) -> &str {
        known_by(self.executable.as_deref(), self.name.as_deref())
    }
}

impl ProcessPart<'_> {
    pub(super) fn shown(&self) -> &str {
        known_by(self.executable.as_deref(), self.name.as_deref())
    }
}

/// What a process is known by: its program rather than its name, which it may change at will. Of some neither is
/// known, as their program is out of reach.
fn known_by<'a>(executable: Option<&'a str>, name: Option<&'a str>) -> &'a str {
    let program = executable.and_then(|path| path.rsplit('/').next());
    [program, name].into_iter().flatten().find(|name| !name.is_empty()).unwrap_or("?")
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Own<'a> {
    #[serde(borrow, default)]
    pub(super) ancestors: Vec<AncestorPart<'a>>,
    #[serde(borrow)]
    pub(super) login: Option<LoginPart<'a>>,
    #[serde(borrow)]
    pub(super) exit: Option<ExitPart<'a>>,
    /// Marks of the executable, such as `memfd`.
    #[serde(borrow, default)]
    pub(super) executable: BTreeMap<&'a str, serde_json::Value>,
    #[serde(borrow)]
    pub(super) script: Option<ScriptPart<'a>>,
    #[serde(borrow)]
    pub(super) loss: Option<LossPart<'a>>,
    pub(super) tail: Option<TailPart>,
    #[serde(borrow)]
    pub(super) file: Option<OwnFilePart<'a>>,
    #[serde(borrow)]
    pub(super) target: Option<ProcessPart<'a>>,
    pub(super) merged: Option<MergedPart>,
    #[serde(borrow)]
    pub(super) finding: Option<FindingPart<'a>>,
    #[serde(default)]
    pub(super) via_io_uring: bool,
    #[serde(default)]
    pub(super) argument_swap: bool,
    /// Among others the object of the class.
    #[serde(flatten, borrow)]
    pub(super) rest: BTreeMap<Text<'a>, serde_json::Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct OwnFilePart<'a> {
    #[serde(borrow)]
    pub(super) operation: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) source_path: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct FindingPart<'a> {
    #[serde(borrow, default)]
    pub(super) level: Text<'a>,
    #[serde(default)]
    pub(super) count: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct MergedPart {
    pub(super) count: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct LoginPart<'a> {
    #[serde(borrow)]
    pub(super) user: Option<UserPart<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ExitPart<'a> {
    pub(super) signal: Option<u32>,
    #[serde(borrow)]
    pub(super) signal_name: Option<Text<'a>>,
    #[serde(default)]
    pub(super) core_dumped: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct ScriptPart<'a> {
    #[serde(borrow)]
    pub(super) path: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct LossPart<'a> {
    #[serde(default)]
    pub(super) events: u64,
    #[serde(borrow, default)]
    pub(super) classes: BTreeMap<Text<'a>, u64>,
    #[serde(borrow)]
    pub(super) sink: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) reason: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct TailPart {
    #[serde(default)]
    pub(super) cut: bool,
    pub(super) missed: Option<u64>,
    pub(super) error: Option<String>,
}
