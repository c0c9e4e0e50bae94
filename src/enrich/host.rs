//! The facts about the host that every event carries.

use std::collections::BTreeSet;
use std::path::Path;

use nix::ifaddrs::getifaddrs;
use nix::sys::utsname::uname;

use crate::event::{BootId, Host};
use crate::procfs::Procfs;
use crate::procfs::facts::{OsRelease, machine_id};

/// Most addresses told; a node of a cluster may have hundreds.
const ADDRESSES_MAX: usize = 32;

/// Reads them. `root` is the host's root directory, for the files in `/etc`; `node_name` takes the place of the
/// host's name, where an orchestrator knows it by another one. What cannot be read stays empty.
pub fn read(proc: &Procfs, root: &Path, node_name: Option<&str>) -> Host {
    let uts = uname().ok();
    let field = |get: fn(&nix::sys::utsname::UtsName) -> &std::ffi::OsStr| {
        uts.as_ref().map(|uts| get(uts).to_string_lossy().into_owned()).unwrap_or_default()
    };
    let hostname = field(|uts| uts.nodename());
    let os = OsRelease::read(root);
    Host {
        name: node_name.filter(|name| !name.is_empty()).unwrap_or(&hostname).to_owned(),
        id: machine_id(root),
        architecture: field(|uts| uts.machine()),
        kernel: field(|uts| uts.release()),
        os_name: os.name,
        os_version: os.version,
        boot_id: BootId(proc.boot_id().unwrap_or_default()),
        ip: addresses(),
        hostname,
    }
}

/// Addresses of all interfaces, but for loopback and link-local ones, which name no host.
fn addresses() -> Vec<String> {
    let interfaces = getifaddrs().into_iter().flatten();
    let found: BTreeSet<String> = interfaces
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|a| a.ip());
            let v6 = address.as_sockaddr_in6().map(|a| a.ip());
            let v4 = v4.filter(|ip| !ip.is_loopback() && !ip.is_link_local()).map(|ip| ip.to_string());
            let v6 =
                v6.filter(|ip| !ip.is_loopback() && !ip.is_unicast_link_local()).map(|ip| ip.to_string());
            v4.or(v6)
        })
        .collect();
    found.into_iter().take(ADDRESSES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host() {
        let host = read(&Procfs::default(), Path::new("/"), None);
        assert_eq!(host.name, host.hostname);
        assert!(!host.kernel.is_empty() && !host.architecture.is_empty());
        assert_ne!(host.boot_id, BootId::default());
        assert!(host.ip.iter().all(|ip| ip.parse::<std::net::IpAddr>().is_ok_and(|ip| !ip.is_loopback())));
        let named = read(&Procfs::new("/nonexistent"), Path::new("/nonexistent"), Some("node-7"));
        assert_eq!((named.name.as_str(), named.hostname), ("node-7", host.hostname));
        assert_eq!((named.id, named.os_name, named.boot_id), (None, None, BootId::default()));
        assert_eq!(read(&Procfs::default(), Path::new("/"), Some("")).name, host.name);
    }
}
