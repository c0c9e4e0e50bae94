//! Opening TCP listeners, with errors that say what to do.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;

use super::{Error, holder};
use crate::control::config::{HttpConfig, Listener};

/// Refuses addresses that other hosts can reach, unless both TLS and a token protect them or the configuration
/// says that it knows.
pub(super) fn check_exposure(config: &HttpConfig) -> Result<(), Error> {
    let protected = config.tls.is_some() && config.token_file.is_some();
    if protected || config.allow_insecure {
        return Ok(());
    }
    match config.listeners.iter().find(|listener| !listener.address.ip().to_canonical().is_loopback()) {
        Some(&Listener { key, address }) => Err(Error::Insecure { key, address }),
        None => Ok(()),
    }
}

/// Opens a listener whose `accept` does not block.
pub(super) fn open(listener: &Listener) -> Result<TcpListener, Error> {
    let &Listener { key, address } = listener;
    let opened = TcpListener::bind(address).and_then(|socket| {
        socket.set_nonblocking(true)?;
        Ok(socket)
    });
    opened.map_err(|source| match source.kind() {
        ErrorKind::AddrInUse => {
            Error::InUse { key, address, holder: holder::of(Path::new("/proc"), address.port()) }
        }
        ErrorKind::PermissionDenied => Error::NotPermitted { key, address },
        _ => Error::Listen { key, address, source },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn config(address: &str) -> HttpConfig {
        HttpConfig {
            listeners: vec![Listener { address: address.parse().unwrap(), key: "monitoring.test" }],
            socket: "/nowhere".into(),
            tls: None,
            token_file: None,
            max_connections: 32,
            max_connections_per_address: 8,
            deadline: Duration::from_secs(5),
            allow_insecure: false,
        }
    }

    #[test]
    fn beyond_loopback_only_with_tls_and_token() {
        let tls =
            crate::control::config::TlsConfig { certificate: "c".into(), key: "k".into(), client_ca: None };
        for address in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(check_exposure(&config(address)).is_ok(), "{address}");
        }
        for address in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[2001:db8::1]:1"] {
            let mut config = config(address);
            assert!(matches!(check_exposure(&config), Err(Error::Insecure { key: "monitoring.test", .. })));
            config.tls = Some(tls.clone());
            assert!(check_exposure(&config).is_err(), "TLS alone");
            config.token_file = Some("t".into());
            assert!(check_exposure(&config).is_ok(), "both");
            config.tls = None;
            assert!(check_exposure(&config).is_err(), "token alone");
            config.allow_insecure = true;
            assert!(check_exposure(&config).is_ok(), "knowingly");
        }
    }

    #[test]
    fn a_port_in_use_names_key_address_and_holder() {
        let first = open(&config("127.0.0.1:0").listeners[0]).unwrap();
        let address = first.local_addr().unwrap();
        let error = open(&config(&address.to_string()).listeners[0]).unwrap_err().to_string();
        for part in
            ["monitoring.test", &address.to_string(), "in use", &format!("pid {}", std::process::id())]
        {
            assert!(error.contains(part), "{part} is not in: {error}");
        }
    }
}
