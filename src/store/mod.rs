//! Where state is kept: a small trait, its backends, and the managers that give it meaning.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Time;

mod accounts;
mod broker_codes;
mod credentials;
mod embedded;
mod handovers;
mod happened;
mod held;
mod installation_tokens;
mod leases;
mod live;
mod local_news;
mod memory;
mod named;
mod news;
mod redis;
mod rekey;
mod responses;
mod rows;
mod sessions;
mod signing_keys;
mod tickets;
mod unread;
/// The suite that every backend passes, for backends of others.
#[doc(hidden)]
pub mod conformance;

pub use self::redis::{ConnectError, Redis, RedisMode, RedisSettings};
pub use accounts::{Account, AccountRecord, Accounts, Left, MOST_API_KEYS, Profile, Validators};
pub use broker_codes::{BrokerCode, BrokerCodes, InstallErrand, Redeemed};
pub use credentials::{Credentials, StoredCredential};
pub use embedded::{Embedded, OpenError};
pub use handovers::{Handover, Handovers};
pub use happened::{Happened, Limit};
pub use installation_tokens::{InstallationTokens, SharedToken};
pub use leases::{LEASE, Lease};
pub use live::{Live, Memo};
pub use memory::Memory;
pub use news::News;
pub use rekey::{Place as RekeyPlace, Rekey, RekeyError, Rekeyed};
#[doc(hidden)]
pub use responses::conformance as response_conformance;
pub use responses::{
    Body, BodyHash, HeldResponses, Keeping, KeptResponses, Principal, ResponseKey, ResponseStore,
    Shared, Validation,
};
pub use sessions::{
    Doomed, INSTANCE_TOKEN_GRACE, Listed, Made, OpenedByInstance, Sessions, SweepReport,
};
pub use signing_keys::{Changed, KeysError, SigningKeys};
pub use unread::{Noted, Unread};

/// A table: rows of different kinds never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// One sign-in or API key, by its name.
    Session,
    /// A host's cookie, by the HMAC of its id, or an API key: which session it opens.
    Ticket,
    /// Login attempts that were finished, by their digest, so that each works once.
    SpentAttempt,
    /// One-time codes that carry a sign-in to another host.
    Handover,
    /// Who somebody is, and which sessions are theirs, by the account's name.
    Account,
    /// An account's tokens at GitHub.
    Credential,
    /// Tokens of the GitHub App's installations, for all nodes.
    InstallationToken,
    /// Who may do something alone for a while: one node refreshes a token.
    Lease,
    /// The keys that sign identity tokens.
    SigningKeys,
    /// Webhooks that were heeded, so that each counts once.
    Delivery,
    /// What GitHub has shown somebody at a URL, and what was last shown there to anybody.
    Answer,
    /// Bodies of such answers, by what they say.
    AnswerBody,
    /// A word of each asker, without which none of their answers opens.
    Asker,
    /// One-time codes for instances of the broker's.
    BrokerCode,
}

/// The store gave no answer. It is neither "there" nor "not there": nobody is signed out for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session store gave no answer: {0}")]
pub struct Unavailable(pub String);

/// Some rows of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Keys and values.
    pub rows: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where the next page begins, if there is one.
    pub next: Option<Vec<u8>>,
}

/// What was announced, and how far one has heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The announcements, oldest first.
    pub news: Vec<Vec<u8>>,
    /// Listen from here next time.
    pub mark: Vec<u8>,
    /// The life of the store's data: another number means that all of it was lost.
    pub epoch: u64,
}

/// A store of rows that end. Three answers: `Ok(Some)`, `Ok(None)`, and [`Unavailable`].
///
/// A row whose end has come is not there any more, whether or not it has been removed yet. What
/// was written is durable when the call returns, as far as the backend goes. After an error it is
/// not known whether a write was done.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The row, if it is there.
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable>;

    /// Writes a row if none is there, and says whether it did. Of many at once, one does.
    async fn insert(
        &self,
        table: Table,
        key: &[u8],
        value: Vec<u8>,
        end: Time,
    ) -> Result<bool, Unavailable>;

    /// Writes a row if `old` is there now, and says whether it did. Of many at once, one does. An
    /// `end` that has come removes the row.
    async fn replace(
        &self,
        table: Table,
        key: &[u8],
        old: &[u8],
        new: Vec<u8>,
        end: Time,
    ) -> Result<bool, Unavailable>;

    /// Writes a row, whatever is there: for what may be lost and can be had again, and for nothing
    /// that anybody could have ended meanwhile.
    async fn put(
        &self,
        table: Table,
        key: &[u8],
        value: Vec<u8>,
        end: Time,
    ) -> Result<(), Unavailable> {
        loop {
            if self.insert(table, key, value.clone(), end).await? {
                return Ok(());
            }
            let Some(old) = self.get(table, key).await? else { continue };
            if self.replace(table, key, &old, value.clone(), end).await? {
                return Ok(());
            }
        }
    }

    /// Removes a row and returns it. Of many at once, one gets it.
    async fn take(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable>;

    /// The rows of a table, page by page: `from` is the `next` of the page before. A row that is
    /// there all the while is seen at least once.
    async fn scan(&self, table: Table, from: Option<&[u8]>) -> Result<Page, Unavailable>;

    /// Removes whatever has ended, to make room.
    async fn sweep(&self) -> Result<(), Unavailable>;

    /// Tells every node that listens.
    async fn announce(&self, news: &[u8]) -> Result<(), Unavailable>;

    /// What was announced since a mark; waits up to a second for something. Without a mark it
    /// returns at once, with the mark of now.
    async fn listen(&self, since: Option<&[u8]>) -> Result<Heard, Unavailable>;
}

/// Where a gateway keeps what it must know again.
#[derive(Clone)]
pub struct Stores {
    /// Sessions, accounts and tokens.
    pub sessions: Arc<dyn Store>,
    /// Answers of GitHub; in memory alone where nothing is said.
    pub answers: Option<Arc<dyn ResponseStore>>,
}

// === impl Stores ===

impl From<Arc<dyn Store>> for Stores {
    /// Answers of GitHub are in memory.
    fn from(sessions: Arc<dyn Store>) -> Self {
        Self { sessions, answers: None }
    }
}

// === impl Table ===

impl Table {
    /// Every table.
    pub const ALL: &[Self] = &[
        Self::Session,
        Self::Ticket,
        Self::SpentAttempt,
        Self::Handover,
        Self::Account,
        Self::Credential,
        Self::InstallationToken,
        Self::Lease,
        Self::SigningKeys,
        Self::Delivery,
        Self::Answer,
        Self::AnswerBody,
        Self::Asker,
        Self::BrokerCode,
    ];

    /// Its name: in associated data, and wherever a backend writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Ticket => "ticket",
            Self::SpentAttempt => "spent-attempt",
            Self::Handover => "handover",
            Self::Account => "account",
            Self::Credential => "credential",
            Self::InstallationToken => "installation-token",
            Self::Lease => "lease",
            Self::SigningKeys => "signing-keys",
            Self::Delivery => "delivery",
            Self::Answer => "answer",
            Self::AnswerBody => "answer-body",
            Self::Asker => "asker",
            Self::BrokerCode => "broker-code",
        }
    }
}

/// A row that has ended is removed so much later: a clock that jumps ahead and back again shall not
/// have destroyed what it made look old.
const SWEPT_AFTER: Duration = Duration::from_secs(3600);

/// Whether a row with this end can be removed.
fn is_swept(end: Time, now: Time) -> bool {
    end <= now - SWEPT_AFTER
}
