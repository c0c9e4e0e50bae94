//! TLS 1.2 and 1.3 of the gate: certificate chain, key, and on request the authority of client certificates.
//!
//! A configuration is built whole from the files or not at all, so a reload with a broken file changes nothing.
//! Sessions are resumed only within one configuration: after a reload every client shows its certificate anew.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::control::config::TlsConfig;

/// Why certificates or key are refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read, or is not PEM.
    #[error("{path}: cannot read {what}")]
    Read {
        /// What was expected in it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        source: pem::Error,
    },
    /// The file is PEM, but holds nothing of the kind.
    #[error("{path}: no {what} in it")]
    Empty {
        /// What was expected in it.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The authority's certificate is unusable.
    #[error("{path}: cannot use this authority of client certificates: {reason}")]
    Authority {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// Certificate and key are unusable, or do not belong together.
    #[error("{certificate}: cannot use this certificate with the key {key}: {source}")]
    Pair {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// The reason.
        source: rustls::Error,
    },
}

/// The only implementation of cryptography in the agent.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let failed = |source| Error::Read { what, path: path.to_owned(), source };
    let found: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
    if found.is_empty() { Err(Error::Empty { what, path: path.to_owned() }) } else { Ok(found) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_file(path).map_err(|source| match source {
        pem::Error::NoItemsFound => Error::Empty { what: "private key", path: path.to_owned() },
        source => Error::Read { what: "the private key", path: path.to_owned(), source },
    })
}

/// Reads the files and builds the configuration of all connections to come.
pub(super) fn load(config: &TlsConfig) -> Result<Arc<ServerConfig>, Error> {
    let provider = provider();
    let chain = certificates("certificate", &config.certificate)?;
    let key = private_key(&config.key)?;
    let pair =
        |source| Error::Pair { certificate: config.certificate.clone(), key: config.key.clone(), source };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(pair)?;
    let builder = match &config.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let unusable = |reason: String| Error::Authority { path: path.clone(), reason };
            let mut roots = RootCertStore::empty();
            for certificate in certificates("authority of client certificates", path)? {
                roots.add(certificate).map_err(|e| unusable(e.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|e| unusable(e.to_string()))?)
        }
    };
    // Fails too when the key is not the certificate's.
    let mut tls = builder.with_single_cert(chain, key).map_err(pair)?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(tls))
}
