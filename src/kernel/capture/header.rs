//! The header of a capture file: facts about the host and the moment, as JSON.
//!
//! Only the names of [`Wire`]'s fields are the format; [`Header`] is free to change.

use serde::{Deserialize, Serialize};

use crate::event::{BootId, Host};
use crate::util::clock::Offset;

/// Facts about the host that a capture was made on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The host, as every event of a replay will name it.
    pub host: Host,
    /// Distance of its boot clock from wall time.
    pub clock: Offset,
    /// Version of the agent that made it.
    pub agent_version: String,
}

/// The header as it is written. A field that becomes optional or new needs `#[serde(default)]`.
#[derive(Serialize, Deserialize)]
struct Wire {
    kernel_release: String,
    machine: String,
    boot_id: String,
    wall_minus_boot_ns: i64,
    agent_version: String,
    host_name: String,
    hostname: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    os_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    os_version: Option<String>,
    #[serde(default)]
    host_ip: Vec<String>,
}

impl Header {
    /// The facts of this host, now.
    pub fn of(host: &Host) -> Self {
        Header {
            host: host.clone(),
            clock: Offset::measure(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        let Host { name, hostname, id, architecture, kernel, os_name, os_version, boot_id, ip } =
            self.host.clone();
        let wire = Wire {
            kernel_release: kernel,
            machine: architecture,
            boot_id: hyphened(boot_id),
            wall_minus_boot_ns: self.clock.ns(),
            agent_version: self.agent_version.clone(),
            host_name: name,
            hostname,
            host_id: id,
            os_name,
            os_version,
            host_ip: ip,
        };
        serde_json::to_vec(&wire).expect("strings and integers always have a JSON form")
    }

    /// The error says what is wrong with the JSON.
    pub(super) fn from_json(json: &[u8]) -> Result<Self, String> {
        let wire: Wire = serde_json::from_slice(json).map_err(|e| e.to_string())?;
        let boot_id =
            boot_id(&wire.boot_id).ok_or_else(|| format!("boot_id {:?} is not a UUID", wire.boot_id))?;
        Ok(Header {
            host: Host {
                name: wire.host_name,
                hostname: wire.hostname,
                id: wire.host_id,
                architecture: wire.machine,
                kernel: wire.kernel_release,
                os_name: wire.os_name,
                os_version: wire.os_version,
                boot_id,
                ip: wire.host_ip,
            },
            clock: Offset::from_ns(wire.wall_minus_boot_ns),
            agent_version: wire.agent_version,
        })
    }
}

/// As the kernel prints it: 8-4-4-4-12 hexadecimal digits.
fn hyphened(id: BootId) -> String {
    let hex = format!("{:032x}", u128::from_be_bytes(id.0));
    let (a, rest) = hex.split_at(8);
    let (b, rest) = rest.split_at(4);
    let (c, rest) = rest.split_at(4);
    let (d, e) = rest.split_at(4);
    [a, b, c, d, e].join("-")
}

fn boot_id(text: &str) -> Option<BootId> {
    let number = u128::from_str_radix(&text.replace('-', ""), 16).ok()?;
    let id = BootId(number.to_be_bytes());
    Some(id).filter(|&id| hyphened(id).eq_ignore_ascii_case(text))
}
