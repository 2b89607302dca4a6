//! Where state is kept: a small trait, its backends, and the managers that give it meaning.

use async_trait::async_trait;

use crate::clock::Time;

mod handovers;
mod memory;
mod sessions;
#[cfg(test)]
mod conformance;

pub use handovers::{Handover, Handovers};
pub use memory::Memory;
pub use sessions::{Live, Sessions, SweepReport};

/// A table: rows of different kinds never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// One sign-in, by its key.
    Session,
    /// A host's cookie, by the HMAC of its id: which session it opens.
    Ticket,
    /// Login attempts that were finished, so that each works once.
    SpentAttempt,
    /// One-time codes that carry a sign-in to another host.
    Handover,
}

/// The store gave no answer. It is neither "there" nor "not there": nobody is signed out for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session store gave no answer: {0}")]
pub struct Unavailable(pub String);

/// A store of rows that end. Three answers: `Ok(Some)`, `Ok(None)`, and [`Unavailable`].
///
/// A row whose end has come is not there any more, whether or not it has been removed yet.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The row, if it is there.
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable>;

    /// Writes a row, whatever was there. Durable when it returns, as far as the backend goes.
    async fn put(
        &self,
        table: Table,
        key: &[u8],
        value: Vec<u8>,
        end: Time,
    ) -> Result<(), Unavailable>;

    /// Writes a row if none is there, and says whether it did. Of many at once, one does.
    async fn insert(
        &self,
        table: Table,
        key: &[u8],
        value: Vec<u8>,
        end: Time,
    ) -> Result<bool, Unavailable>;

    /// Removes a row and returns it. Of many at once, one gets it.
    async fn take(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable>;

    /// Removes whatever has ended, to make room.
    async fn sweep(&self) -> Result<(), Unavailable>;
}

// === impl Table ===

impl Table {
    /// Its name: in associated data, and wherever a backend writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Ticket => "ticket",
            Self::SpentAttempt => "spent-attempt",
            Self::Handover => "handover",
        }
    }
}
