//! Signing keys: the ES256 key of the gateway, its public half as JWKS, and HS256 for routes that
//! share a secret.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::secret::Secret;

/// The `typ` of an identity token: it cannot stand in for any other kind (RFC 8725 §3.11).
const IDENTITY_TYPE: &str = "gatekeep-identity+jwt";

/// The `typ` of a token that a browser carries to an instance of the broker's.
const INSTANCE_TYPE: &str = "gatekeep-instance+jwt";

/// A P-256 key that signs identity tokens (RFC 7518 §3.4).
pub struct SigningKey {
    pkcs8: Secret<Vec<u8>>,
    key: EncodingKey,
    kid: String,
    x: String,
    y: String,
}

// === impl SigningKey ===

impl SigningKey {
    /// Makes a new key.
    pub fn generate() -> Self {
        let rng = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng)
            .expect("the system gives random bytes");
        Self::from_pkcs8(Secret::new(pkcs8.as_ref().to_vec()))
            .expect("the key was made a moment ago")
    }

    /// A key that was made before, from its private half (RFC 5208); `None` for anything else.
    pub fn from_pkcs8(pkcs8: Secret<Vec<u8>>) -> Option<Self> {
        let rng = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.expose(), &rng)
            .ok()?;
        Some(Self::of(pkcs8, pair.public_key().as_ref()))
    }

    /// The public point is `4 ‖ x ‖ y` (SEC 1, 2.3.3).
    fn of(pkcs8: Secret<Vec<u8>>, point: &[u8]) -> Self {
        let key = EncodingKey::from_ec_der(pkcs8.expose());
        let (x, y) = point[1..].split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        // RFC 7638: the required members in this order, without spaces.
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let digest = ring::digest::digest(&ring::digest::SHA256, canonical.as_bytes());
        Self { pkcs8, key, kid: URL_SAFE_NO_PAD.encode(digest), x, y }
    }

    /// Its name: the thumbprint of the public half (RFC 7638).
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The private half, to be sealed.
    pub(super) fn pkcs8(&self) -> &Secret<Vec<u8>> {
        &self.pkcs8
    }

    /// Signs claims.
    pub fn sign<C: Serialize>(&self, claims: &C) -> Secret<String> {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some(IDENTITY_TYPE.to_owned());
        header.kid = Some(self.kid.clone());
        Secret::new(
            jsonwebtoken::encode(&header, claims, &self.key)
                .expect("the provider is installed and the claims are plain JSON"),
        )
    }

    /// The public key as a JWK (RFC 7517): no private member.
    pub fn jwk(&self) -> serde_json::Value {
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256",
            "kid": self.kid, "x": self.x, "y": self.y,
        })
    }
}

impl PartialEq for SigningKey {
    /// The name is the public half's digest.
    fn eq(&self, other: &Self) -> bool {
        self.kid == other.kid
    }
}

impl Eq for SigningKey {}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.kid)
    }
}

/// Signs claims with a secret that the app shares.
pub fn sign_hs256<C: Serialize>(secret: &[u8], claims: &C) -> Secret<String> {
    sign_with(secret, IDENTITY_TYPE, claims)
}

/// Signs claims with the key of an instance.
pub fn sign_for_instance<C: Serialize>(key: &[u8], claims: &C) -> Secret<String> {
    sign_with(key, INSTANCE_TYPE, claims)
}

/// The claims of a token of this kind by this key; its issuer, audience and end are the caller's to
/// judge, by the gateway's own clock.
pub fn verify_for_instance<C: DeserializeOwned>(key: &[u8], token: &[u8]) -> Option<C> {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    let decoded =
        jsonwebtoken::decode::<C>(token, &DecodingKey::from_secret(key), &validation).ok()?;
    (decoded.header.typ.as_deref() == Some(INSTANCE_TYPE)).then_some(decoded.claims)
}

fn sign_with<C: Serialize>(secret: &[u8], kind: &str, claims: &C) -> Secret<String> {
    let mut header = Header::new(Algorithm::HS256);
    header.typ = Some(kind.to_owned());
    Secret::new(
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(secret))
            .expect("the provider is installed and the claims are plain JSON"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_verifies_against_the_published_key_and_no_other() {
        super::super::install_jwt_provider();
        let key = SigningKey::generate();
        let token = key.sign(&json!({"aud": "https://a.example", "exp": 4_000_000_000_u64}));
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&["https://a.example"]);
        let verify = |jwk: &serde_json::Value| {
            let point = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
            let public = [vec![4], point("x"), point("y")].concat();
            let key = DecodingKey::from_ec_der(&public);
            jsonwebtoken::decode::<serde_json::Value>(token.expose(), &key, &validation)
        };
        let good = verify(&key.jwk()).unwrap();
        assert_eq!(good.header.kid.as_deref(), key.jwk()["kid"].as_str());
        assert_eq!(good.header.typ.as_deref(), Some("gatekeep-identity+jwt"));
        assert!(verify(&SigningKey::generate().jwk()).is_err());
    }

    #[test]
    fn a_key_is_the_same_after_being_kept() {
        let key = SigningKey::generate();
        let again = SigningKey::from_pkcs8(key.pkcs8().clone()).unwrap();
        assert_eq!((again.kid(), again.jwk()), (key.kid(), key.jwk()));
        assert!(SigningKey::from_pkcs8(Secret::new(b"no key".to_vec())).is_none());
    }

    #[test]
    fn the_published_key_has_public_members_only() {
        let jwk = SigningKey::generate().jwk();
        let names: Vec<_> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
    }

    #[test]
    fn hs256_verifies_with_the_shared_secret_alone() {
        super::super::install_jwt_provider();
        let token = sign_hs256(&[1; 32], &json!({"exp": 4_000_000_000_u64}));
        let validation = Validation::new(Algorithm::HS256);
        let verify = |secret: &[u8]| {
            let key = DecodingKey::from_secret(secret);
            jsonwebtoken::decode::<serde_json::Value>(token.expose(), &key, &validation)
        };
        assert!(verify(&[1; 32]).is_ok());
        assert!(verify(&[2; 32]).is_err());
    }
}
