//! Answers of GitHub's API that are kept: bodies by what they say, and for each asker the record that
//! GitHub has told that very asker what is in it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use super::Unavailable;
use crate::clock::Time;

mod memory;
#[cfg(test)]
mod tests;

pub use memory::HeldResponses;

/// What is asked for: a URL in one representation.
pub type ResponseKey = [u8; 32];

/// SHA-256 of a body.
pub type BodyHash = [u8; 32];

/// Whose rights GitHub applies. What one may see says nothing about another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
    /// GitHub's `ETag`, byte for byte; empty where there was none.
    pub etag: Box<str>,
    /// The fingerprint of the token that was used.
    pub token: [u8; 16],
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

/// Where answers are kept. A failure is no fault of a request: the engine asks GitHub then.
#[async_trait]
pub trait ResponseStore: Send + Sync + 'static {
    /// What an asker was shown, with its body.
    async fn shown(
        &self,
        who: Principal,
        key: &ResponseKey,
    ) -> Result<Option<(Arc<Validation>, Body)>, Unavailable>;

    /// The body that was last shown to anybody, if its `ETag` can be computed for others.
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

    /// Forgets all that an asker was shown.
    async fn forget_all(&self, who: Principal) -> Result<(), Unavailable>;

    /// Bytes that are held in this process.
    fn bytes(&self) -> u64;
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
