//! The private key of a GitHub App: RSA, in the PEM that GitHub hands out.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ring::error::KeyRejected;
use ring::signature::{KeyPair, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Serialize;

use crate::secret::Secret;

/// A key that signs with RS256 (RFC 7518 §3.3). Wiped from memory when dropped.
#[derive(Clone)]
pub struct RsaKey {
    key: EncodingKey,
    fingerprint: Box<str>,
}

/// Why a text is no such key. `Display` is a sentence that shows nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RsaKeyFault {
    /// It holds no private key.
    #[error("this secret is no private key in PEM")]
    NotPem,
    /// A passphrase is needed to read it.
    #[error("this secret is a private key behind a passphrase")]
    Encrypted,
    /// A private key of another kind.
    #[error("this secret is a private key, but none of RSA")]
    NotRsa,
    /// Whoever has the public half and money finds the private one.
    #[error("this secret is an RSA key of fewer than 2048 bits, which can be broken")]
    TooShort,
    /// More than is signed with here.
    #[error("this secret is an RSA key of more than 4096 bits, and signing with it would be slow")]
    TooLong,
    /// Looks like one.
    #[error("this secret is an RSA key that is damaged")]
    Damaged,
}

/// The `SubjectPublicKeyInfo` of RSA up to the key itself (RFC 3279 §2.3.1): the algorithm.
const RSA_ENCRYPTION: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

// === impl RsaKey ===

impl RsaKey {
    /// Reads a key in PKCS#1 (`BEGIN RSA PRIVATE KEY`) or PKCS#8 (`BEGIN PRIVATE KEY`). A text in
    /// which `\n` is written for each line's end, as environment variables often have it, is read
    /// too.
    pub fn from_pem(text: &Secret<String>) -> Result<Self, RsaKeyFault> {
        let unfolded = Secret::new(text.expose().replace("\\n", "\n"));
        let pem = unfolded.expose();
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
            let encrypted = pem.contains("ENCRYPTED");
            if encrypted { RsaKeyFault::Encrypted } else { RsaKeyFault::NotPem }
        })?;
        if matches!(der, PrivateKeyDer::Sec1(_)) {
            return Err(RsaKeyFault::NotRsa);
        }
        let pair = key_pair(der.secret_der()).map_err(|error| fault(&error))?;
        Ok(Self {
            key: EncodingKey::from_rsa_der(der.secret_der()),
            fingerprint: fingerprint(pair.public_key().as_ref()).into(),
        })
    }

    /// The public half's name, as GitHub shows it on the app's page: `SHA256:…`.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Signs claims.
    pub fn sign<C: Serialize>(&self, claims: &C) -> Secret<String> {
        Secret::new(
            jsonwebtoken::encode(&Header::new(Algorithm::RS256), claims, &self.key)
                .expect("the provider is installed, the key was read and the claims are JSON"),
        )
    }
}

impl PartialEq for RsaKey {
    /// The name is the public half's digest.
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for RsaKey {}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaKey({})", self.fingerprint)
    }
}

/// The key of either form of DER. An error is the one of the form that it seems to have.
pub(super) fn key_pair(der: &[u8]) -> Result<RsaKeyPair, KeyRejected> {
    let rsa = RsaKeyPair::from_der(der);
    match RsaKeyPair::from_pkcs8(der) {
        Ok(pair) => Ok(pair),
        Err(error) => rsa.map_err(|own| if is_encoding(&own) { error } else { own }),
    }
}

fn is_encoding(error: &KeyRejected) -> bool {
    error.to_string() == "InvalidEncoding"
}

/// ring tells by a word what is wrong.
fn fault(error: &KeyRejected) -> RsaKeyFault {
    match error.to_string().as_str() {
        "TooSmall" => RsaKeyFault::TooShort,
        "TooLarge" => RsaKeyFault::TooLong,
        "WrongAlgorithm" => RsaKeyFault::NotRsa,
        _ => RsaKeyFault::Damaged,
    }
}

/// Digest of the `SubjectPublicKeyInfo` around the public key (RFC 8017 §A.1.1).
fn fingerprint(public: &[u8]) -> String {
    let bits = element(0x03, &[&[0], public].concat());
    let info = element(0x30, &[&RSA_ENCRYPTION, bits.as_slice()].concat());
    let digest = ring::digest::digest(&ring::digest::SHA256, &info);
    format!("SHA256:{}", STANDARD.encode(digest))
}

/// An element of DER. Keys of 2048 bits and more take two bytes for their length.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a key of 4096 bits has about 520 bytes");
    [&[tag, 0x82], length.to_be_bytes().as_slice(), content].concat()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use serde_json::json;

    use super::*;

    const PKCS1: &str = include_str!("../simulator/app.pem");
    const PKCS8: &str = include_str!("../simulator/app_next.pem");
    const SHORT: &str = include_str!("../../tests/it/keys/rsa-1024.pem");
    const ENCRYPTED: &str = include_str!("../../tests/it/keys/encrypted.pem");

    fn read(text: &str) -> Result<RsaKey, RsaKeyFault> {
        RsaKey::from_pem(&Secret::new(text.to_owned()))
    }

    #[test]
    fn both_forms_sign_what_their_public_half_verifies() {
        super::super::install_jwt_provider();
        for (pem, other) in [(PKCS1, PKCS8), (PKCS8, PKCS1)] {
            let token = read(pem).unwrap().sign(&json!({ "iss": "me" }));
            let (signed, signature) = token.expose().rsplit_once('.').unwrap();
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            let verify = |pem: &str| {
                let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
                let public = key_pair(der.secret_der()).unwrap().public_key().as_ref().to_vec();
                UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public)
                    .verify(signed.as_bytes(), &signature)
            };
            assert!(verify(pem).is_ok());
            assert!(verify(other).is_err());
            let header = signed.split('.').next().unwrap();
            let header = String::from_utf8(URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
            assert_eq!(header, r#"{"typ":"JWT","alg":"RS256"}"#);
        }
    }

    /// `openssl rsa -in app.pem -pubout -outform DER | openssl sha256 -binary | openssl base64`
    #[test]
    fn the_fingerprint_is_the_one_that_github_shows() {
        let key = read(PKCS1).unwrap();
        assert_eq!(key.fingerprint(), "SHA256:rpu21pLUF7mCKKcm6AD0W1SgFtv454AHSc7NqwLFRy4=");
        assert_eq!(format!("{key:?}"), format!("RsaKey({})", key.fingerprint()));
        assert_ne!(key, read(PKCS8).unwrap());
    }

    #[test]
    fn a_key_on_one_line_is_read() {
        let folded = PKCS8.trim().replace('\n', "\\n");
        assert_eq!(read(&folded).unwrap(), read(PKCS8).unwrap());
    }

    #[test]
    fn what_is_no_such_key_is_said() {
        let ec = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        // The first bytes say what it is; the last are those of a component.
        let end = PKCS1.rfind("\n-----END").unwrap();
        let damaged = format!("{}AAAA{}", &PKCS1[..end - 4], &PKCS1[end..]);
        for (text, fault) in [
            ("hunter2".to_owned(), RsaKeyFault::NotPem),
            (ec.cert.pem(), RsaKeyFault::NotPem),
            (ec.signing_key.serialize_pem(), RsaKeyFault::NotRsa),
            (SHORT.to_owned(), RsaKeyFault::TooShort),
            (ENCRYPTED.to_owned(), RsaKeyFault::Encrypted),
            (damaged, RsaKeyFault::Damaged),
        ] {
            assert_eq!(read(&text).unwrap_err(), fault, "{fault:?}");
        }
    }
}
