//! The instance's own tokens: HS256 with `JWT_SECRET`.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::{Value, json};

use super::users::TrackeepUser;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) user_id: u64,
    email: String,
    username: String,
    github_id: i64,
    access_token: Option<String>,
    issued: i64,
    until: i64,
}

// === impl Claims ===

impl Claims {
    pub(super) fn new(user: &TrackeepUser, now: i64, until: i64) -> Self {
        Self {
            user_id: user.id,
            email: user.email.clone(),
            username: user.username.clone(),
            github_id: user.github_id,
            access_token: None,
            issued: now,
            until,
        }
    }

    pub(super) fn with_github(mut self, token: Option<&str>) -> Self {
        self.access_token = token.map(str::to_owned);
        self
    }

    pub(super) fn sign(&self, secret: &str) -> String {
        let mut claims = json!({
            "user_id": self.user_id, "email": self.email, "username": self.username,
            "iss": "trackeep", "exp": self.until, "iat": self.issued,
        });
        if self.github_id != 0 {
            claims["github_id"] = json!(self.github_id);
        }
        if let Some(token) = &self.access_token {
            claims["access_token"] = json!(token);
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed =
            format!("{}.{}", part(&json!({ "alg": "HS256", "typ": "JWT" })), part(&claims));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let signature = hmac::sign(&key, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// The `user_id` of a token whose signature and times are right. Nobody looks at `iss` and `aud`, and
/// any HMAC will do.
pub(super) fn verify(token: &str, secret: &str, now: i64) -> Option<u64> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let object = |part: &str| serde_json::from_slice::<Value>(&decoded(part)?).ok();
    let algorithm = match object(header)?["alg"].as_str()? {
        "HS256" => hmac::HMAC_SHA256,
        "HS384" => hmac::HMAC_SHA384,
        "HS512" => hmac::HMAC_SHA512,
        _ => return None,
    };
    let key = hmac::Key::new(algorithm, secret.as_bytes());
    hmac::verify(&key, signed.as_bytes(), &decoded(signature)?).ok()?;
    let claims = object(claims)?;
    let timely = claims["exp"].as_i64().is_none_or(|exp| now < exp)
        && claims["nbf"].as_i64().is_none_or(|nbf| nbf <= now);
    claims["user_id"].as_u64().filter(|_| timely)
}

/// A text that any token says, whoever signed it.
pub(super) fn said(token: &str, name: &str) -> Option<String> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    Some(claims.get(name)?.as_str()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        let user = TrackeepUser { id: 7, github_id: 583_231, ..TrackeepUser::default() };
        Claims::new(&user, 1_000, 2_000)
    }

    #[test]
    fn a_token_is_good_until_it_expires_and_with_its_secret_alone() {
        let token = claims().sign("s");
        assert_eq!(verify(&token, "s", 1_999), Some(7));
        assert_eq!(verify(&token, "s", 2_000), None);
        assert_eq!(verify(&token, "t", 1_500), None);
        assert_eq!(verify(&token.replace('.', ".."), "s", 1_500), None);
    }

    #[test]
    fn a_token_without_a_signature_is_none() {
        let token = claims().sign("s");
        let unsigned = json!({ "alg": "none" }).to_string();
        let claims = token.split('.').nth(1).unwrap();
        let forged = format!("{}.{claims}.", URL_SAFE_NO_PAD.encode(unsigned));
        assert_eq!(verify(&forged, "s", 1_500), None);
    }
}
