//! TLS for browsers: certificates from files, chosen by SNI, replaced on reload.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::client::verify_server_name;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::config::{CertificateFiles, Config, Listener, ListenerKind, ListenerPlace};

/// Why a certificate cannot be used. `Display` is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read as PEM.
    #[error("{0} cannot be read as PEM: {1}")]
    Pem(PathBuf, String),
    /// The key is of an unknown kind or does not fit.
    #[error("the key {0} does not fit the certificate {1}: {2}")]
    Key(PathBuf, PathBuf, String),
}

/// The certificates of one listener. The first answers clients that name no host, or another.
/// Replaced whole on reload.
#[derive(Debug)]
pub(super) struct Certificates(ArcSwap<Vec<Arc<CertifiedKey>>>);

/// The certificates of listeners that have some, by their configured places.
pub(super) type ByPlace = Vec<(ListenerPlace, Option<Arc<Certificates>>)>;

/// What a listener with these certificates speaks: TLS 1.2 and 1.3, HTTP/1.1, and HTTP/2 if wanted.
pub(super) fn server_config(certificates: Arc<Certificates>, http2: bool) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder().with_no_client_auth();
    let mut config = builder.with_cert_resolver(certificates);
    let offered = if http2 { &["h2", "http/1.1"][..] } else { &["http/1.1"] };
    config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

// === impl Certificates ===

impl Certificates {
    /// The certificates of every listener, by its place.
    pub(super) fn of_all(config: &Config) -> Result<ByPlace, CertificateError> {
        let of = |listener: &Listener| {
            let certificates = Self::of(listener).transpose()?;
            Ok((listener.place.clone(), certificates.map(Arc::new)))
        };
        config.listen.iter().map(of).collect()
    }

    /// The certificates that a listener names; `None` when it speaks no TLS.
    fn of(listener: &Listener) -> Option<Result<Self, CertificateError>> {
        match &listener.kind {
            ListenerKind::Tls { certificates, .. } => {
                let loaded = certificates.iter().map(load).collect::<Result<Vec<_>, _>>();
                Some(loaded.map(|certificates| Self(ArcSwap::from_pointee(certificates))))
            }
            ListenerKind::Plain | ListenerKind::RedirectToHttps => None,
        }
    }

    /// Takes over what another has, for the handshakes that come.
    pub(super) fn replace_by(&self, new: &Self) {
        self.0.store(new.0.load_full());
    }

    fn find(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let name = ServerName::try_from(name).ok()?;
        self.0.load().iter().find(|certified| is_good_for(certified, &name)).cloned()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.find(name));
        named.or_else(|| self.0.load().first().cloned())
    }
}

/// Whether a client that asks for this name would take the certificate.
fn is_good_for(certified: &CertifiedKey, name: &ServerName<'_>) -> bool {
    certified
        .cert
        .first()
        .and_then(|leaf| ParsedCertificate::try_from(leaf).ok())
        .is_some_and(|leaf| verify_server_name(&leaf, name).is_ok())
}

fn load(files: &CertificateFiles) -> Result<Arc<CertifiedKey>, CertificateError> {
    let CertificateFiles { certificate, key } = files;
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|e| pem_error(certificate, &e))?;
    let der = PrivateKeyDer::from_pem_file(key).map_err(|e| pem_error(key, &e))?;
    let key_error =
        |e: &dyn ToString| CertificateError::Key(key.clone(), certificate.clone(), e.to_string());
    let signer = any_supported_type(&der).map_err(|e| key_error(&e))?;
    let certified = CertifiedKey::new(chain, signer);
    certified.keys_match().map_err(|e| key_error(&e))?;
    Ok(Arc::new(certified))
}

fn pem_error(path: &Path, error: &dyn ToString) -> CertificateError {
    CertificateError::Pem(path.to_owned(), error.to_string())
}
