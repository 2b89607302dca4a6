//! A session: one sign-in of one visitor, or one API key of theirs, and how long it lasts.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::api_key::Terms;
use crate::clock::Time;
use crate::secret::Secret;

/// What a browser's cookie holds: 256 random bits that mean nothing by themselves. The store knows
/// their HMAC alone.
#[derive(Clone)]
pub struct SessionId(Secret<[u8; 32]>);

/// The name of a session inside the store; no secret, and of no use in a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SessionKey([u8; 16]);

/// A text that is no [`SessionKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no session's name: 22 characters as in the list of sessions")]
pub struct NoSessionKey;

/// One sign-in, or one API key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The number of the account that signed in.
    pub account: u64,
    /// When.
    pub created: Time,
    /// When it ends, whatever happens.
    pub expires: Time,
    /// The browser, as it called itself, shortened.
    pub device: String,
    /// The address it came from.
    pub from: Option<IpAddr>,
    /// What its owner said of it, when it is that of an API key and not of a browser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<Terms>,
}

/// How long sessions live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// From sign-in to the end, whatever happens.
    pub lifetime: Duration,
    /// Without a request.
    pub idle: Duration,
}

/// Whether a session is good at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Live,
    /// Its lifetime is over.
    Expired,
    /// Nobody used it for too long.
    Idle,
}

// === impl SessionId ===

impl SessionId {
    /// Takes 32 bytes of the system's random source.
    pub fn new(random: [u8; 32]) -> Self {
        Self(Secret::new(random))
    }

    /// Reads a cookie's value: 43 characters of unpadded base64url, nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 43 {
            return None;
        }
        let mut bytes = [0; 32];
        let written = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        (written == bytes.len()).then(|| Self::new(bytes))
    }

    /// The cookie's value.
    pub fn to_text(&self) -> Secret<String> {
        Secret::new(URL_SAFE_NO_PAD.encode(self.0.expose()))
    }

    /// The bytes, to be hashed.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId([redacted])")
    }
}

// === impl SessionKey ===

impl SessionKey {
    /// Takes 16 bytes of the system's random source.
    pub fn new(random: [u8; 16]) -> Self {
        Self(random)
    }

    /// The bytes, as the store's key.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for SessionKey {
    type Err = NoSessionKey;

    fn from_str(text: &str) -> Result<Self, NoSessionKey> {
        let mut bytes = [0; 16];
        let is_key = text.len() == 22 && URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) == Ok(16);
        if is_key { Ok(Self(bytes)) } else { Err(NoSessionKey) }
    }
}

impl TryFrom<String> for SessionKey {
    type Error = NoSessionKey;

    fn try_from(text: String) -> Result<Self, NoSessionKey> {
        text.parse()
    }
}

impl From<SessionKey> for String {
    fn from(key: SessionKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

// === impl Session ===

impl Session {
    /// Whether the session is good now, when it was last used at `seen`.
    pub fn standing(&self, seen: Time, now: Time, lifetimes: Lifetimes) -> Standing {
        let lifetimes = if self.api_key.is_some() { Lifetimes::UNBOUND } else { lifetimes };
        standing(self.created, self.expires, seen, now, lifetimes)
    }
}

/// Whether a session is good now.
pub fn standing(
    created: Time,
    expires: Time,
    seen: Time,
    now: Time,
    lifetimes: Lifetimes,
) -> Standing {
    // A lifetime that was shortened since holds for sessions that are under way, too.
    let end = expires.min(created + lifetimes.lifetime);
    if now >= end {
        Standing::Expired
    } else if now.since(seen) >= lifetimes.idle {
        Standing::Idle
    } else {
        Standing::Live
    }
}

// === impl Lifetimes ===

impl Lifetimes {
    /// Those of an API key: it ends when its owner said it should, used or not.
    pub const UNBOUND: Self = Self { lifetime: Duration::MAX, idle: Duration::MAX };
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self { lifetime: Duration::from_secs(7 * 86_400), idle: Duration::from_secs(86_400) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_43_characters_and_reads_back() {
        let text = SessionId::new([7; 32]).to_text();
        assert_eq!(text.expose().len(), 43);
        assert_eq!(SessionId::parse(text.expose()).unwrap().expose(), &[7; 32]);
    }

    #[test]
    fn an_id_has_one_spelling() {
        let good = SessionId::new([7; 32]).to_text().expose().clone();
        // The last character carries two spare bits: only one spelling of them is accepted.
        let spare = format!("{}d", &good[..42]);
        for bad in ["", "x", &good[1..], &format!("{good}="), &format!(" {}", &good[1..]), &spare] {
            assert!(SessionId::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn debug_shows_no_id() {
        assert_eq!(format!("{:?}", SessionId::new([7; 32])), "SessionId([redacted])");
    }

    #[test]
    fn a_session_ends_at_its_lifetime_or_when_idle() {
        let at = Time::from_unix;
        let lifetimes =
            Lifetimes { lifetime: Duration::from_secs(100), idle: Duration::from_secs(10) };
        let session = Session {
            account: 1,
            created: at(0),
            expires: at(100),
            device: String::new(),
            from: None,
            api_key: None,
        };
        for (seen, now, standing) in [
            (0, 9, Standing::Live),
            (0, 10, Standing::Idle),
            (95, 99, Standing::Live),
            (95, 100, Standing::Expired),
            (50, 40, Standing::Live),
        ] {
            assert_eq!(session.standing(at(seen), at(now), lifetimes), standing, "{seen} {now}");
        }
        let shorter = Lifetimes { lifetime: Duration::from_secs(50), ..lifetimes };
        assert_eq!(session.standing(at(59), at(60), shorter), Standing::Expired);
        let terms = Terms { name: String::new(), routes: vec![], instance: None };
        let key = Session { api_key: Some(terms), ..session };
        assert_eq!(key.standing(at(0), at(99), shorter), Standing::Live);
        assert_eq!(key.standing(at(99), at(100), shorter), Standing::Expired);
    }
}
