//! Reads the gateway's identity token and checks it as an app should.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::Value;

use super::jwks;

/// How far the clocks of gateway and app may differ.
const LEEWAY: i64 = 30;

/// A token taken apart; nothing in it is true before [`Passport::verify`].
#[derive(Clone, Debug)]
pub(super) struct Passport {
    signed: String,
    signature: Vec<u8>,
    pub(super) header: Value,
    pub(super) claims: Value,
}

// === impl Passport ===

impl Passport {
    /// Finds the token: in the gateway's own header, else as a bearer token.
    pub(super) fn read(headers: &[(String, String)]) -> Option<Self> {
        let named = |name| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        let own = named("x-gatekeep-jwt").map(String::as_str);
        let bearer = || named("authorization")?.strip_prefix("Bearer ");
        Self::parse(own.or_else(bearer)?)
    }

    fn parse(token: &str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let object = |part: &str| serde_json::from_slice(&decode(part)?).ok();
        Some(Self {
            signed: signed.to_owned(),
            signature: decode(signature)?,
            header: object(header)?,
            claims: object(claims)?,
        })
    }

    /// Checks the signature against the published keys, then the times. Blocks.
    pub(super) fn verify(&self, jwks_url: Option<&str>) -> Result<(), String> {
        let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
        self.verify_with(i64::try_from(now).unwrap_or(i64::MAX), |kid| {
            let url = jwks_url.ok_or("this app was not told where the keys are")?;
            jwks::find_key(url, kid)
        })
    }

    /// One claim, if it is a text.
    pub(super) fn claim(&self, name: &str) -> Option<&str> {
        self.claims[name].as_str()
    }

    fn verify_with(
        &self,
        now: i64,
        key: impl FnOnce(Option<&str>) -> Result<Vec<u8>, String>,
    ) -> Result<(), String> {
        if self.header["alg"] != "ES256" {
            return Err(format!("it is signed with {}, not ES256", self.header["alg"]));
        }
        let key = key(self.header["kid"].as_str())?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)
            .verify(self.signed.as_bytes(), &self.signature)
            .map_err(|_| "the signature is not by the published key".to_owned())?;
        match self.claims["exp"].as_i64() {
            None => return Err("it does not say when it expires".to_owned()),
            Some(exp) if exp <= now - LEEWAY => return Err("it has expired".to_owned()),
            Some(_) => {}
        }
        match self.claims["nbf"].as_i64() {
            Some(nbf) if nbf > now + LEEWAY => Err("it is not valid yet".to_owned()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
    };

    use ring::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
    };
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn key() -> EcdsaKeyPair {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap()
    }

    fn token(key: &EcdsaKeyPair, alg: &str, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({ "alg": alg, "kid": "k1", "typ": "gk-id+jwt" });
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn verdict(token: &str, key: &EcdsaKeyPair) -> Result<(), String> {
        let point = key.public_key().as_ref().to_vec();
        Passport::parse(token).unwrap().verify_with(NOW, |kid| {
            assert_eq!(kid, Some("k1"));
            Ok(point)
        })
    }

    #[test]
    fn a_token_is_checked_as_an_app_should() {
        let (ours, theirs) = (key(), key());
        let fine = json!({ "exp": NOW + 60, "nbf": NOW });
        let refused = |why: &str| Err(why.to_owned());
        assert_eq!(verdict(&token(&ours, "ES256", &fine), &ours), Ok(()));
        for (token, why) in [
            (token(&theirs, "ES256", &fine), "the signature is not by the published key"),
            (token(&ours, "none", &fine), "it is signed with \"none\", not ES256"),
            (token(&ours, "ES256", &json!({ "exp": NOW - 60 })), "it has expired"),
            (token(&ours, "ES256", &json!({})), "it does not say when it expires"),
            (
                token(&ours, "ES256", &json!({ "exp": NOW + 900, "nbf": NOW + 600 })),
                "it is not valid yet",
            ),
        ] {
            assert_eq!(verdict(&token, &ours), refused(why));
        }
    }

    #[test]
    fn the_keys_are_fetched_over_http() {
        let ours = key();
        let point = ours.public_key().as_ref();
        let coordinate = |bytes| URL_SAFE_NO_PAD.encode(bytes);
        let (x, y) = (coordinate(&point[1..33]), coordinate(&point[33..]));
        let set = json!({ "keys": [
            { "kty": "RSA", "kid": "k1" },
            { "kty": "EC", "crv": "P-256", "kid": "k1", "x": x, "y": y },
        ] });
        let url = publish(set.to_string());
        let claims = json!({ "exp": i64::MAX });
        let passport = Passport::parse(&token(&ours, "ES256", &claims)).unwrap();
        assert_eq!(passport.verify(Some(&url)), Ok(()));
        assert_eq!(
            passport.verify(None),
            Err("this app was not told where the keys are".to_owned())
        );
    }

    /// Answers one request with this body.
    fn publish(body: String) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/jwks", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        });
        url
    }
}
