//! Answers of GitHub's API that are kept: bodies by what they say, and for each asker the record that
//! GitHub has told that very asker what is in it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};

use super::Unavailable;
use crate::clock::Time;
use crate::freshness::tags::Tag;
use crate::keys::Keys;

mod kept;
mod memory;
#[cfg(test)]
mod tests;
/// The suite that every implementation passes, for implementations of others.
#[doc(hidden)]
pub mod conformance;

pub use kept::{Keeping, KeptResponses};
pub use memory::HeldResponses;

/// What is asked for: a URL in one representation.
pub type ResponseKey = [u8; 32];

/// SHA-256 of a body.
pub type BodyHash = [u8; 32];

/// Whose rights GitHub applies. What one may see says nothing about another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Principal {
    /// A person, who signed in by the app of a realm.
    User {
        /// The number of the gateway's realm: one GitHub and one app there.
        realm: u64,
        /// GitHub's number of the account.
        id: u64,
    },
    /// An installation of the GitHub App.
    Installation {
        /// The number of the gateway's realm.
        realm: u64,
        /// GitHub's number of the installation.
        id: u64,
        /// Which of its rights the token has.
        scope: u64,
    },
}

/// A body, as GitHub sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// SHA-256 of the bytes.
    pub hash: BodyHash,
    /// The bytes, neither compressed nor rewritten.
    pub bytes: Bytes,
}

/// A body that others may be shown, too, once GitHub has said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// The body.
    pub body: Body,
    /// Its `Content-Type`, which GitHub does not repeat when it confirms.
    pub media_type: HeaderValue,
}

/// That GitHub has shown somebody a body: the one thing that permits showing it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validation {
    /// What was shown.
    pub body: BodyHash,
    /// The whole repository or account that it belongs to.
    pub about: Tag,
    /// GitHub's `ETag`, byte for byte; empty where there was none.
    pub etag: Box<str>,
    /// The fingerprint of the token that was used.
    pub token: [u8; 16],
    /// Whether the body may be offered to others, once GitHub has said that they see the same.
    pub offered: bool,
    /// Whether the `ETag` is the one that the published formula makes, so that it can be computed for
    /// another token.
    pub formula_holds: bool,
    /// The header fields that pass to clients.
    pub headers: Arc<HeaderMap>,
    /// When GitHub last said what its `Link` is.
    pub linked: Time,
    /// Entries on the page, where the body is a list.
    pub items: Option<usize>,
    /// When GitHub was asked.
    pub asked: Time,
    /// How many changes had been heard of by then in this process.
    pub change: u64,
    /// How long it is fresh.
    pub fresh: Duration,
    /// How long it may be shown at all, for something in it expires.
    pub longest: Duration,
}

/// How long it is remembered that somebody was shown something, since GitHub last said so. Who comes
/// again has seen to it; who does not may have left without a word.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// How long a body is offered to others, since GitHub last said to anybody that it is true.
const OFFERED: Duration = Duration::from_secs(7 * 24 * 3600);

/// Where answers are kept. A failure is no fault of a request: the engine asks GitHub then.
///
/// A programme that embeds the gateway may bring one of its own: see [`Stores`](super::Stores).
#[async_trait]
pub trait ResponseStore: Send + Sync + 'static {
    /// What an asker was shown, with its body.
    async fn shown(
        &self,
        who: Principal,
        key: &ResponseKey,
    ) -> Result<Option<(Arc<Validation>, Body)>, Unavailable>;

    /// The body that was last shown to anybody, if it may be offered to others and its `ETag` can be
    /// computed for them.
    async fn shown_to_anybody(&self, key: &ResponseKey) -> Result<Option<Shared>, Unavailable>;

    /// Notes what an asker was shown.
    async fn note(
        &self,
        who: Principal,
        key: ResponseKey,
        validation: Arc<Validation>,
        body: Body,
    ) -> Result<(), Unavailable>;

    /// Forgets what an asker was shown at a URL.
    async fn forget(&self, who: Principal, key: &ResponseKey) -> Result<(), Unavailable>;

    /// Forgets all that an asker was shown, whatever rights the token had: that of all with the same
    /// [subject](Principal::subject).
    async fn forget_all(&self, who: Principal) -> Result<(), Unavailable>;

    /// Forgets all that anybody was shown.
    async fn forget_everything(&self) -> Result<(), Unavailable>;

    /// Forgets which bodies of whole repositories and accounts were shown to anybody: they are asked
    /// for without a guess. Each asker's own stay.
    async fn unshare(&self, owners: &[Tag]) -> Result<(), Unavailable>;

    /// Forgets what an asker was shown a day ago and what others were offered for a week, and bodies
    /// that neither needs. It is called every minute or so.
    async fn sweep(&self, now: Time) -> Result<(), Unavailable>;

    /// Bytes that are held in this process.
    fn bytes(&self) -> u64;

    /// Waits until what was noted is where it outlives the process, if it does at all: it is called
    /// before a stop.
    async fn settle(&self) {}

    /// Other keys are in force from now on: whatever is sealed is sealed by these.
    fn take_keys(&self, _keys: &Keys) {}
}

// === impl Principal ===

impl Principal {
    /// The number of the account, where it is a person's.
    pub fn user(self) -> Option<u64> {
        match self {
            Self::User { id, .. } => Some(id),
            Self::Installation { .. } => None,
        }
    }

    /// The one behind it, whatever rights the token has.
    #[must_use]
    pub fn subject(self) -> Self {
        match self {
            Self::Installation { realm, id, .. } => Self::Installation { realm, id, scope: 0 },
            user @ Self::User { .. } => user,
        }
    }
}

// === impl Validation ===

impl Validation {
    /// How long ago GitHub was asked. `None` where that cannot be told, for the clock was set back.
    pub fn age(&self, now: Time) -> Option<Duration> {
        (now >= self.asked).then(|| now.since(self.asked))
    }

    /// Whether nothing in it has expired.
    pub fn may_be_shown(&self, now: Time) -> bool {
        self.longest == Duration::MAX || self.age(now).is_some_and(|age| age <= self.longest)
    }
}

// === impl Body ===

impl Body {
    /// A body with its hash.
    pub fn new(bytes: Bytes) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
        let hash = digest.as_ref().try_into().expect("SHA-256 has 32 bytes");
        Self { hash, bytes }
    }
}
