//! Certificates and keys: read while checking, so that a wrong file is found before it is needed.

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::super::CertificateFiles;
use super::super::field::At;
use super::super::raw::Certificate;
use super::super::report::Fault;
use super::super::scalar::Text;
use super::Check;

type Chain = Vec<CertificateDer<'static>>;

// === impl Check ===

impl Check<'_> {
    /// A certificate and its key: both readable, and belonging together.
    pub(super) fn certificate(&mut self, at: &At<Certificate>) -> Option<CertificateFiles> {
        let missing = |key: &str| Fault::new(format!("`{key}` is missing in `tls`"));
        let note = "TLS needs both: `tls: { certificate: fullchain.pem, key: privkey.pem }`";
        let raw = &at.value;
        let certificate =
            self.required(&raw.certificate, &at.place, || missing("certificate").note(note));
        let key = self.required(&raw.key, &at.place, || missing("key").note(note));
        let chain = certificate.and_then(|certificate| self.chain(certificate));
        let private = key.and_then(|key| self.private_key(key));
        let (certificate, key) = (certificate?, key?);
        if let Err(error) = CertifiedKey::from_der(chain?, private?, &default_provider()) {
            self.misfit(&error, &certificate.value.0, key);
        }
        Some(CertificateFiles {
            certificate: self.path(&certificate.value.0),
            key: self.path(&key.value.0),
        })
    }

    /// The certificates of a PEM file, at least one.
    pub(super) fn chain(&mut self, at: &At<Text>) -> Option<Chain> {
        let pem = self.pem_file(at)?;
        let chain: Result<Chain, _> = CertificateDer::pem_slice_iter(&pem).collect();
        if let Some(chain) = chain.ok().filter(|chain| !chain.is_empty()) {
            return Some(chain);
        }
        let fault = Fault::new(format!("`{}` holds no certificate in PEM", at.value.0));
        self.problem(&at.place, fault.note("such a file has lines `-----BEGIN CERTIFICATE-----`"));
        None
    }

    /// The bytes of a PEM file.
    pub(super) fn pem_file(&mut self, at: &At<Text>) -> Option<Vec<u8>> {
        let written = &at.value.0;
        let read = std::fs::read(self.path(written));
        read.map_err(|error| self.unreadable(written, &error, &at.place)).ok()
    }

    fn private_key(&mut self, at: &At<Text>) -> Option<PrivateKeyDer<'static>> {
        let pem = self.pem_file(at)?;
        match PrivateKeyDer::from_pem_slice(&pem) {
            Ok(key) => {
                self.warn_if_readable_by_others(&self.path(&at.value.0), &at.value.0, &at.place);
                Some(key)
            }
            Err(error) => {
                let fault = Fault::new(format!("`{}` holds no private key in PEM", at.value.0));
                let encrypted = matches!(error, pem::Error::NoItemsFound)
                    && pem.windows(9).any(|bytes| bytes == b"ENCRYPTED");
                let note = if encrypted {
                    "the key is encrypted: decrypt it with `openssl pkey`"
                } else {
                    "such a file has a line `-----BEGIN PRIVATE KEY-----`"
                };
                self.problem(&at.place, fault.note(note));
                None
            }
        }
    }

    fn misfit(&mut self, error: &rustls::Error, certificate: &str, key: &At<Text>) {
        let fault = match error {
            rustls::Error::InconsistentKeys(_) => {
                Fault::new(format!("`{}` is not the key of `{certificate}`", key.value.0))
                    .note("both must come from one order: the certificate is made for its key")
            }
            rustls::Error::InvalidCertificate(_) => {
                Fault::new(format!("the first certificate in `{certificate}` cannot be read"))
            }
            _ => Fault::new(format!(
                "`{}` is a key of a kind that TLS does not take here",
                key.value.0
            ))
            .note("use ECDSA with P-256 or P-384, Ed25519, or RSA with 2048 bits or more"),
        };
        self.problem(&key.place, fault);
    }
}
