//! Somebody who publishes keys and signs whatever a test wants.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

use crate::support::upstream::{answer, read_head, serve};

/// A key with the name that it is published under.
pub(super) struct Key {
    name: &'static str,
    pair: EcdsaKeyPair,
}

/// Where keys are published.
pub(super) struct Issuer {
    pub(super) url: String,
    asked: Arc<AtomicUsize>,
}

// === impl Key ===

impl Key {
    pub(super) fn new(name: &'static str) -> Self {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random);
        Self { name, pair: pair.expect("it is the key that was made") }
    }

    /// A token with these claims; `header` replaces what a good one says.
    pub(super) fn sign(&self, header: &[(&str, Value)], claims: &Value) -> String {
        let mut all = json!({ "alg": "ES256", "typ": "gatekeep-identity+jwt", "kid": self.name });
        for (name, value) in header {
            all[*name] = value.clone();
        }
        all.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
        let signed = format!("{}.{}", part(&all), part(claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = signature.expect("it can be signed");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// With `none` for an algorithm.
    pub(super) fn unsigned(&self, claims: &Value) -> String {
        format!("{}.{}.", part(&self.header("none")), part(claims))
    }

    /// With the public key as the secret of an HMAC.
    pub(super) fn confused(&self, claims: &Value) -> String {
        let signed = format!("{}.{}", part(&self.header("HS256")), part(claims));
        let secret = hmac::Key::new(hmac::HMAC_SHA256, self.pair.public_key().as_ref());
        let signature = hmac::sign(&secret, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn header(&self, algorithm: &str) -> Value {
        json!({ "alg": algorithm, "typ": "gatekeep-identity+jwt", "kid": self.name })
    }

    fn published(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let coordinate = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.name,
            "x": coordinate(&point[1..33]), "y": coordinate(&point[33..]),
        })
    }
}

// === impl Issuer ===

impl Issuer {
    pub(super) fn start(keys: &[&Key]) -> Self {
        let keys: Vec<Value> = keys.iter().map(|key| key.published()).collect();
        let body = json!({ "keys": keys }).to_string();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let address = serve(move |_, mut stream: TcpStream| {
            let head = read_head(&mut stream).unwrap_or_default();
            if head.starts_with("GET /.well-known/jwks.json ") {
                count.fetch_add(1, Ordering::SeqCst);
                answer(&mut stream, &body);
            }
        });
        Self { url: format!("http://{address}"), asked }
    }

    /// How often the keys were asked for.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// The three parts of a token.
pub(super) fn parts(token: &str) -> [&str; 3] {
    let parts: Vec<_> = token.split('.').collect();
    parts.try_into().expect("a token has three parts")
}

/// The present, which the examples go by.
pub(super) fn now() -> i64 {
    let since = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
    i64::try_from(since.as_secs()).expect("before the year 292277026596")
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}
