//! TLS and the bearer token.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use rcgen::{CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use sentinel_edge::control::config::TlsConfig;
use sentinel_edge::control::http::Error;
use tempfile::TempDir;

use crate::support::{Agent, DEADLINE, Reply, ask, dial, exchange, get, get_with};

const TOKEN: &str = "correct-horse-battery-staple-0123456789";

/// An authority and where its files are.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: PathBuf,
}

/// PEM files of one party.
struct Identity {
    certificate: PathBuf,
    key: PathBuf,
}

impl Authority {
    fn new(dir: &TempDir, name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = dir.path().join(name);
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("ca.pem"), issuer.pem()).unwrap();
        Authority { issuer, dir }
    }

    fn ca(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let identity = Identity {
            certificate: self.dir.join(format!("{name}.pem")),
            key: self.dir.join(format!("{name}.key")),
        };
        fs::write(&identity.certificate, certificate.pem()).unwrap();
        write_private(&identity.key, &key.serialize_pem());
        identity
    }
}

fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn tls(server: &Identity, client_ca: Option<PathBuf>) -> TlsConfig {
    TlsConfig { certificate: server.certificate.clone(), key: server.key.clone(), client_ca }
}

/// A client that trusts `ca` and may show a certificate.
fn client(
    ca: &Path,
    identity: Option<&Identity>,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = CertificateDer::pem_file_iter(&identity.certificate).unwrap();
            let key = PrivateKeyDer::from_pem_file(&identity.key).unwrap();
            builder.with_client_auth_cert(chain.collect::<Result<_, _>>().unwrap(), key).unwrap()
        }
    })
}

const ALL: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

fn secure_ask(config: &Arc<ClientConfig>, address: SocketAddr, bytes: &[u8]) -> Reply {
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
    exchange(StreamOwned::new(connection, dial(address)), bytes)
}

#[test]
fn tls_1_2_and_1_3_are_spoken() {
    let files = tempfile::tempdir().unwrap();
    let authority = Authority::new(&files, "one");
    let server = authority.issue("server", |_| ());
    let agent = Agent::with(|config, _| config.tls = Some(tls(&server, None)));
    for version in ALL {
        let client = client(&authority.ca(), None, &[version]);
        for address in agent.http.addresses() {
            let reply = secure_ask(&client, address, &get("/metrics"));
            assert_eq!(reply.status(), 200, "{version:?}");
            assert!(reply.body().ends_with('\n'));
        }
    }
    // Nobody's certificate, and another authority's.
    let stranger = Authority::new(&files, "two");
    let suspicious = client(&stranger.ca(), None, ALL);
    assert_eq!(secure_ask(&suspicious, agent.address(), &get("/health")).status(), 0);
}

#[test]
fn older_tls_and_no_tls_are_refused() {
    let files = tempfile::tempdir().unwrap();
    let authority = Authority::new(&files, "one");
    let server = authority.issue("server", |_| ());
    let agent = Agent::with(|config, _| config.tls = Some(tls(&server, None)));

    // A ClientHello of TLS 1.1 with ECDHE-RSA-AES256-SHA, no session, RSA-PSS-SHA256 signatures.
    let mut hello = b"\x16\x03\x01\x00\x37\x01\x00\x00\x33\x03\x02".to_vec();
    hello.extend([7; 32]);
    hello.extend(b"\x00\x00\x02\xc0\x14\x01\x00\x00\x08\x00\x0d\x00\x04\x00\x02\x08\x04");
    let mut stream = dial(agent.address());
    std::io::Write::write_all(&mut stream, &hello).unwrap();
    let mut answer = Vec::new();
    let _ = std::io::Read::read_to_end(&mut stream, &mut answer);
    assert_eq!((answer[0], &answer[5..]), (0x15, &[2, 70][..]), "a fatal alert: protocol version");

    let mut stream = dial(agent.address());
    std::io::Write::write_all(&mut stream, &get("/health")).unwrap();
    let mut answer = Vec::new();
    let _ = std::io::Read::read_to_end(&mut stream, &mut answer);
    assert!(!answer.starts_with(b"HTTP"));

    // Silence instead of a handshake.
    let begun = Instant::now();
    assert_eq!(ask(agent.address(), b"").text, "");
    assert!(begun.elapsed() >= DEADLINE && begun.elapsed() < 2 * DEADLINE);
    agent.counted(0, 3);
}

#[test]
fn client_certificates_are_demanded_where_wanted() {
    let files = tempfile::tempdir().unwrap();
    let authority = Authority::new(&files, "one");
    let stranger = Authority::new(&files, "two");
    let server = authority.issue("server", |_| ());
    let agent = Agent::with(|config, _| config.tls = Some(tls(&server, Some(authority.ca()))));
    let status = |identity: Option<&Identity>, version| {
        let client = client(&authority.ca(), identity, &[version]);
        secure_ask(&client, agent.address(), &get("/health")).status()
    };
    let good = authority.issue("good", |_| ());
    let expired = authority.issue("expired", |params| {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
    });
    let foreign = stranger.issue("foreign", |_| ());
    let server_only =
        authority.issue("server_only", |p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    for version in ALL {
        assert_eq!(status(Some(&good), version), 200, "{version:?}");
        for (who, identity) in [
            ("none", None),
            ("expired", Some(&expired)),
            ("foreign", Some(&foreign)),
            ("for servers", Some(&server_only)),
        ] {
            assert_eq!(status(identity, version), 0, "{who} {version:?}");
        }
    }
    agent.counted(2, 8);
}

#[test]
fn certificates_are_reloaded_and_bad_ones_change_nothing() {
    let files = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::new(&files, "old"), Authority::new(&files, "new"));
    let server = old.issue("server", |_| ());
    let agent = Agent::with(|config, _| config.tls = Some(tls(&server, None)));
    let status = |authority: &Authority| {
        secure_ask(&client(&authority.ca(), None, ALL), agent.address(), &get("/health")).status()
    };
    assert_eq!((status(&old), status(&new)), (200, 0));

    let next = new.issue("server", |_| ());
    fs::copy(&next.certificate, &server.certificate).unwrap();
    assert!(matches!(agent.http.reload(&agent.config), Err(Error::Tls(_))), "certificate and key differ");
    assert_eq!((status(&old), status(&new)), (200, 0));

    fs::copy(&next.key, &server.key).unwrap();
    agent.http.reload(&agent.config).unwrap();
    assert_eq!((status(&old), status(&new)), (0, 200));

    for broken in ["", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        fs::write(&server.certificate, broken).unwrap();
        let error = agent.http.reload(&agent.config).unwrap_err();
        assert!(error.to_string().contains("server.pem"), "{error}");
    }
    fs::remove_file(&server.certificate).unwrap();
    assert!(agent.http.reload(&agent.config).is_err());
    assert_eq!(status(&new), 200);
}

#[test]
fn without_the_token_little_is_told() {
    let agent = Agent::with(|config, dir| {
        let file = dir.path().join("token");
        write_private(&file, &format!("{TOKEN}\n"));
        config.token_file = Some(file);
    });
    let with = |path: &str, header: &str| agent.raw(get_with(path, header));
    let right = format!("Authorization: Bearer {TOKEN}");

    for path in ["/health", "/ready", "/version", "/metrics"] {
        assert_eq!(with(path, &right).status(), 200, "{path}");
    }
    assert!(with("/health", &right).body().contains("se-ring"));
    agent.counted(5, 0);

    let near = [
        String::new(),
        format!("Authorization: Bearer {}", &TOKEN[1..]),
        format!("Authorization: Bearer {}", &TOKEN[..TOKEN.len() - 1]),
        format!("Authorization: Bearer {TOKEN}0"),
        format!("Authorization: Bearer {}", TOKEN.to_uppercase()),
        format!("Authorization: Basic {TOKEN}"),
        format!("Authorization: {TOKEN}"),
        format!("Proxy-Authorization: Bearer {TOKEN}"),
        "Authorization: Bearer ".to_owned(),
        "X-SentinelEdge-Access: full".to_owned(),
    ];
    let near: Vec<String> =
        near.into_iter().map(|header| if header.is_empty() { "X: y".into() } else { header }).collect();
    for header in &near {
        for path in ["/health", "/ready"] {
            let reply = with(path, header);
            assert_eq!(reply.status(), 200, "{header}");
            assert_eq!(reply.json(), serde_json::json!({"status": "up", "reasons": []}), "{header}");
        }
        for path in ["/version", "/metrics", "/version?token=x"] {
            let reply = with(path, header);
            assert_eq!(reply.status(), 401, "{header}");
            assert!(reply.header("www-authenticate").unwrap().starts_with("Bearer"));
            assert!(!reply.body().contains("sentinel_") && !reply.body().contains("0.1.0"));
        }
    }
    let near = near.len() as u64;
    agent.counted(5 + 2 * near, 3 * near);
    let twice = format!("{right}\r\nAuthorization: Bearer x");
    assert_eq!(with("/metrics", &twice).status(), 400);
}

#[test]
fn the_token_is_reloaded_and_a_bad_file_changes_nothing() {
    let agent = Agent::with(|config, dir| {
        let file = dir.path().join("token");
        write_private(&file, TOKEN);
        config.token_file = Some(file);
    });
    let file = agent.config.token_file.clone().unwrap();
    let other = "another-token-of-thirty-two-bytes-or-more";
    let status =
        |token: &str| agent.raw(get_with("/metrics", &format!("Authorization: Bearer {token}"))).status();
    assert_eq!((status(TOKEN), status(other)), (200, 401));

    fs::write(&file, other).unwrap();
    assert_eq!((status(TOKEN), status(other)), (200, 401), "read at a reload only");
    agent.http.reload(&agent.config).unwrap();
    assert_eq!((status(TOKEN), status(other)), (401, 200));

    fs::write(&file, "short").unwrap();
    let error = agent.http.reload(&agent.config).unwrap_err().to_string();
    assert!(error.contains("5 bytes"), "{error}");
    fs::write(&file, TOKEN).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let error = agent.http.reload(&agent.config).unwrap_err().to_string();
    assert!(error.contains("0644"), "{error}");
    assert_eq!((status(TOKEN), status(other)), (401, 200));

    let mut open = agent.config.clone();
    open.token_file = None;
    agent.http.reload(&open).unwrap();
    assert_eq!(agent.get("/metrics").status(), 200);
}

#[test]
fn beyond_loopback_with_tls_and_token() {
    let files = tempfile::tempdir().unwrap();
    let authority = Authority::new(&files, "one");
    let server = authority.issue("server", |_| ());
    let agent = Agent::with(|config, dir| {
        let file = dir.path().join("token");
        write_private(&file, TOKEN);
        config.token_file = Some(file);
        config.tls = Some(tls(&server, None));
        config.listeners[0].address = "0.0.0.0:0".parse().unwrap();
    });
    let address = ([127, 0, 0, 1], agent.address().port()).into();
    let client = client(&authority.ca(), None, ALL);
    let status = |request: &[u8]| secure_ask(&client, address, request).status();
    assert_eq!(status(&get_with("/metrics", &format!("Authorization: Bearer {TOKEN}"))), 200);
    assert_eq!(status(&get("/metrics")), 401);
    assert_eq!(status(&get("/health")), 200);
    // Giving up the protection while running is as impossible as starting without it.
    let mut bare = agent.config.clone();
    bare.token_file = None;
    assert!(matches!(agent.http.reload(&bare), Err(Error::Insecure { .. })));
}

/// Hands ways to ask to a benchmark: plain, TLS with a full handshake each, and with resumed sessions.
pub fn measured(mut bench: impl FnMut(&str, &dyn Fn(&[u8]) -> Reply)) {
    let files = tempfile::tempdir().unwrap();
    let authority = Authority::new(&files, "one");
    let server = authority.issue("server", |_| ());
    let plain = Agent::new();
    let secured = Agent::with(|config, _| config.tls = Some(tls(&server, None)));
    bench("plain", &|bytes| ask(plain.address(), bytes));
    bench("TLS full", &|bytes| secure_ask(&client(&authority.ca(), None, ALL), secured.address(), bytes));
    let resuming = client(&authority.ca(), None, ALL);
    bench("TLS again", &|bytes| secure_ask(&resuming, secured.address(), bytes));
}
