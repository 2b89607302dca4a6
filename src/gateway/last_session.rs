//! What a connection remembers of the request before: its cookie and session, so that the next one
//! with the very same cookie needs no HMAC and no look-up. A hint, never a proof: the cookie is
//! compared in constant time, and a session that was ended since is not recalled.

use std::sync::{Arc, Mutex, PoisonError};

use subtle::ConstantTimeEq;

use super::LiveSession;
use crate::keys::Keys;
use crate::secret::Secret;

/// The session of the request before on one connection. The lock is that connection's alone.
#[derive(Debug, Default)]
pub struct LastSession(Mutex<Option<Remembered>>);

#[derive(Debug)]
struct Remembered {
    keys: Keys,
    host: Box<str>,
    cookie: Secret<String>,
    live: Arc<LiveSession>,
}

// === impl LastSession ===

impl LastSession {
    /// The session that this cookie opened before at this host, under the same keys.
    pub(super) fn recall(&self, keys: &Keys, host: &str, cookie: &str) -> Option<Arc<LiveSession>> {
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        remembered
            .as_ref()
            .filter(|last| last.keys.are_the_same(keys) && &*last.host == host)
            .filter(|last| last.cookie.expose().as_bytes().ct_eq(cookie.as_bytes()).into())
            .map(|last| last.live.clone())
            .filter(|live| !live.has_ended())
    }

    /// Notes what a cookie opened.
    pub(super) fn remember(&self, keys: &Keys, host: &str, cookie: &str, live: &Arc<LiveSession>) {
        let remembered = Remembered {
            keys: keys.clone(),
            host: host.into(),
            cookie: Secret::new(cookie.to_owned()),
            live: live.clone(),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(remembered);
    }
}
