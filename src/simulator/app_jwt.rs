//! Reads the token by which the app says who it is, and refuses it in GitHub's words.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::Value;

/// The longest life that GitHub allows, from its own present.
const LONGEST: i64 = 600;

pub(super) const UNDECODABLE: &str = "A JSON web token could not be decoded";
pub(super) const UNKNOWN: &str = "Integration not found";
const EXP_TOO_FAR: &str = "'Expiration time' claim ('exp') is too far in the future";
const EXP_PAST: &str = "'Expiration time' claim ('exp') must be a numeric value representing the \
                        future time at which the assertion expires";
const IAT_AHEAD: &str = "'Issued at' claim ('iat') must be an Integer representing the time that \
                         the assertion was issued";

/// Whether a bearer's word has the form of such a token, and not of any other.
pub(super) fn is_jwt(word: &str) -> bool {
    !word.starts_with("gh") && word.split('.').count() == 3
}

/// Checks signature, issuer and times, as GitHub does by its own clock.
pub(super) fn check(
    word: &str,
    keys: &[Vec<u8>],
    issuers: &[String],
    now: i64,
) -> Result<(), &'static str> {
    let claims = signed(word, keys).ok_or(UNDECODABLE)?;
    let issuer = match &claims["iss"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if !issuers.contains(&issuer) {
        return Err(UNKNOWN);
    }
    match claims["exp"].as_i64() {
        Some(exp) if exp > now + LONGEST => return Err(EXP_TOO_FAR),
        Some(exp) if exp > now => {}
        _ => return Err(EXP_PAST),
    }
    match claims["iat"].as_i64() {
        Some(iat) if iat <= now => Ok(()),
        _ => Err(IAT_AHEAD),
    }
}

/// The claims, if one of these keys has signed them with RS256.
fn signed(word: &str, keys: &[Vec<u8>]) -> Option<Value> {
    let (signed, signature) = word.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let header: Value = serde_json::from_slice(&decode(header)?).ok()?;
    let signature = decode(signature)?;
    let by = |key: &Vec<u8>| {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
            .verify(signed.as_bytes(), &signature)
            .is_ok()
    };
    let good = header["alg"] == "RS256" && keys.iter().any(by);
    good.then(|| serde_json::from_slice(&decode(claims)?).ok()).flatten()
}

/// The public half of a private key in PEM, of either form.
pub(super) fn public_half(pem: &str) -> Vec<u8> {
    let lines = pem.lines().skip_while(|line| !line.starts_with("-----BEGIN")).skip(1);
    let base64: String = lines.take_while(|line| !line.starts_with("-----END")).collect();
    let der = STANDARD.decode(base64).expect("the simulator's keys are PEM");
    let pair = RsaKeyPair::from_der(&der).or_else(|_| RsaKeyPair::from_pkcs8(&der));
    pair.expect("the simulator's keys are RSA").public_key().as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use ring::{rand::SystemRandom, signature::RSA_PKCS1_SHA256};
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;
    const PEM: &str = include_str!("app.pem");
    const OTHER: &str = include_str!("app_next.pem");

    /// Signs with the first key, which is PKCS#1.
    fn token(alg: &str, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({ "alg": alg })), part(claims));
        let base64: String = PEM.lines().skip(2).take_while(|it| !it.starts_with('-')).collect();
        let pair = RsaKeyPair::from_der(&STANDARD.decode(base64).unwrap()).unwrap();
        let mut signature = vec![0; pair.public().modulus_len()];
        let random = SystemRandom::new();
        pair.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    #[test]
    fn a_token_is_taken_or_refused_as_github_does() {
        let keys = [public_half(OTHER), public_half(PEM)];
        let issuers = ["7".to_owned(), "Iv1.seven".to_owned()];
        let claims = |iat, exp| json!({ "iat": iat, "exp": exp, "iss": "Iv1.seven" });
        let judge = |word: &str, keys: &[Vec<u8>]| check(word, keys, &issuers, NOW);
        let fine = token("RS256", &claims(NOW, NOW + 600));
        assert_eq!(judge(&fine, &keys), Ok(()));
        assert!(is_jwt(&fine) && !is_jwt("ghs_7_a.b.c") && !is_jwt("gho_x"));
        let number = json!({ "iat": NOW - 60, "exp": NOW + 1, "iss": 7 });
        assert_eq!(judge(&token("RS256", &number), &keys), Ok(()));
        assert_eq!(judge(&fine, &keys[..1]), Err(UNDECODABLE));
        for (word, why) in [
            (token("RS256", &claims(NOW, NOW + 601)), EXP_TOO_FAR),
            (token("RS256", &claims(NOW - 600, NOW)), EXP_PAST),
            (token("RS256", &claims(NOW + 1, NOW + 500)), IAT_AHEAD),
            (token("RS256", &json!({ "iat": NOW, "exp": NOW + 1, "iss": "8" })), UNKNOWN),
            (token("RS512", &claims(NOW, NOW + 600)), UNDECODABLE),
            (fine[..fine.len() - 4].to_owned(), UNDECODABLE),
            ("a.b.c".to_owned(), UNDECODABLE),
        ] {
            assert_eq!(judge(&word, &keys), Err(why));
        }
    }
}
