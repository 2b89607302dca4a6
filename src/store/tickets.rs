//! Tickets: a host's cookie, which opens a session there and nowhere else; or an API key, which has
//! a session to itself.

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::keys::Digest;
use crate::session::SessionKey;

/// The row of a cookie, an API key or an instance's token, by the HMAC of its bits: the session that
/// it opens.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct TicketRow {
    pub(super) session: SessionKey,
    /// When an instance's token ends; the others end with their session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ends: Option<Time>,
    /// The row of the token before this one, until this one is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<Named>,
}

/// The name of a row.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Named(#[serde(with = "as_text")] pub(super) Digest);

// === impl TicketRow, Named ===

impl TicketRow {
    /// A ticket that ends with its session.
    pub(super) fn of(session: SessionKey) -> Self {
        Self { session, ends: None, before: None }
    }
}

impl From<Digest> for Named {
    fn from(digest: Digest) -> Self {
        Self(digest)
    }
}

/// A cookie in the list of its session.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Ticket {
    pub(super) host: String,
    #[serde(with = "as_text")]
    pub(super) digest: Digest,
}

/// Cookies of one session at one host: a browser needs one, and tabs that sign in at once a few.
pub(super) const MOST_AT_A_HOST: usize = 4;

/// Takes the oldest cookie of a host that has too many.
pub(super) fn take_surplus(tickets: &mut Vec<Ticket>, host: &str) -> Option<Ticket> {
    let at_host = tickets.iter().filter(|ticket| ticket.host == host).count();
    let oldest = tickets.iter().position(|ticket| ticket.host == host);
    oldest.filter(|_| at_host > MOST_AT_A_HOST).map(|place| tickets.remove(place))
}

/// A digest as text: a third of what JSON makes of bytes.
mod as_text {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::keys::Digest;

    pub(super) fn serialize<S: Serializer>(digest: &Digest, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&URL_SAFE_NO_PAD.encode(digest))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(D::Error::custom)?;
        bytes.try_into().map_err(|_| D::Error::custom("a digest has 32 bytes"))
    }
}
