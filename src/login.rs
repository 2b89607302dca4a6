//! A login attempt: everything one sign-in must remember between leaving for GitHub and coming back.
//!
//! It lives sealed in a cookie of its own, so that tabs do not disturb each other and the server
//! keeps nothing for people who never come back; the store remembers only which attempts were
//! finished, so that each works once.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::clock::Time;
use crate::return_to::ReturnTo;
use crate::secret::Secret;

/// How long a visitor may take at GitHub.
pub const LIFE: Duration = Duration::from_secs(600);

/// Attempts that a browser may have under way at once.
pub const AT_ONCE: usize = 5;

/// How long a hand-over to another host may take.
pub const HANDOVER_LIFE: Duration = Duration::from_secs(60);

/// One sign-in under way.
#[derive(Serialize, Deserialize)]
pub struct LoginAttempt {
    /// 256 random bits in base64url: goes to GitHub and must come back (RFC 9700 §4.7).
    pub state: String,
    /// PKCE's verifier (RFC 7636): proves to GitHub, or to our own callback host, that whoever
    /// finishes is who began.
    verifier: String,
    /// The page that was asked for.
    pub return_to: ReturnTo,
    /// When it began.
    pub started: Time,
    /// Set when another of our hosts asked for this sign-in.
    pub errand: Option<Errand>,
}

/// For which host an attempt is made, when it is not this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errand {
    /// The `state` of the attempt in that host's cookie.
    pub state: String,
    /// The S256 challenge of its verifier.
    pub challenge: String,
}

// === impl LoginAttempt ===

impl LoginAttempt {
    /// Begins an attempt with 64 bytes of the system's random source.
    pub fn new(random: &[u8; 64], return_to: ReturnTo, errand: Option<Errand>, now: Time) -> Self {
        let (state, verifier) = random.split_at(32);
        Self {
            state: URL_SAFE_NO_PAD.encode(state),
            verifier: URL_SAFE_NO_PAD.encode(verifier),
            return_to,
            started: now,
            errand,
        }
    }

    /// PKCE's verifier.
    pub fn verifier(&self) -> Secret<String> {
        Secret::new(self.verifier.clone())
    }

    /// The S256 challenge of the verifier.
    pub fn challenge(&self) -> String {
        challenge_of(&self.verifier)
    }

    /// Whether this attempt's verifier belongs to a challenge, in constant time.
    pub fn answers(&self, challenge: &str) -> bool {
        self.challenge().as_bytes().ct_eq(challenge.as_bytes()).into()
    }

    /// Whether the attempt is still good.
    pub fn is_fresh(&self, now: Time) -> bool {
        // An attempt from the future comes from a clock that jumped back.
        self.started <= now + Duration::from_secs(60) && now.since(self.started) < LIFE
    }

    /// The attempt's name where it is noted as finished: a store's dump shows no state.
    pub fn digest(&self) -> [u8; 32] {
        sha256(&self.state)
    }

    /// The end of the cookie's name for a state: eight characters of its hash.
    pub fn cookie_suffix(state: &str) -> String {
        challenge_of(state)[..8].to_owned()
    }
}

impl std::fmt::Debug for LoginAttempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginAttempt").field("started", &self.started).finish_non_exhaustive()
    }
}

impl Drop for LoginAttempt {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.verifier);
    }
}

/// Whether a text can be a state or challenge: 43 characters of base64url.
pub fn is_token(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// base64url(SHA-256(ASCII(text))), without padding (RFC 7636 §4.2).
fn challenge_of(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(sha256(text))
}

fn sha256(text: &str) -> [u8; 32] {
    let digest = digest(&SHA256, text.as_bytes());
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(now: i64) -> LoginAttempt {
        let origin = "https://app.example".parse().unwrap();
        let return_to = ReturnTo::on(origin, "/x");
        LoginAttempt::new(&[7; 64], return_to, None, Time::from_unix(now))
    }

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        assert_eq!(
            challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn an_attempt_lasts_ten_minutes() {
        for (now, fresh) in [(1000, true), (1599, true), (1600, false), (900, false), (950, true)] {
            assert_eq!(attempt(1000).is_fresh(Time::from_unix(now)), fresh, "{now}");
        }
    }

    #[test]
    fn an_attempt_answers_its_own_challenge_alone() {
        let attempt = attempt(0);
        assert!(attempt.answers(&attempt.challenge()));
        assert!(!attempt.answers(""));
        assert!(!attempt.answers(&challenge_of("other")));
        assert!(is_token(&attempt.state) && is_token(&attempt.challenge()));
    }

    #[test]
    fn debug_shows_no_secret() {
        let text = format!("{:?}", attempt(0));
        assert!(!text.contains(&attempt(0).state) && !text.contains(&attempt(0).verifier));
    }
}
