//! After a rotation of the master: whatever is sealed under an older one is sealed under the newest,
//! page by page, while everything goes on. What is done stays done, so it can be broken off and
//! begun again at any time.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashSet;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use super::accounts::AccountRecord;
use super::credentials::CredentialRow;
use super::named::{Named, Settled};
use super::rows::Rows;
use super::sessions::SessionRow;
use super::tickets::TicketRow;
use super::{Page, Store, Table, Unavailable};
use crate::clock::Time;
use crate::keys::{Keys, random};
use crate::secret::Secret;

/// Seals rows anew.
#[derive(Clone)]
pub struct Rekey {
    store: Arc<dyn Store>,
    keys: Keys,
    /// The longest life of a session.
    lifetime: Duration,
    now: Time,
    /// Accounts that were looked after. One on its way has two rows, and is looked after once.
    settled: Arc<DashSet<u64>>,
}

/// Where the work stands: a table, and the page of it that is next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    table: Table,
    from: Option<Vec<u8>>,
}

/// What a page came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rekeyed {
    /// Rows sealed anew, and moved where an older master named them.
    pub resealed: u64,
    /// Rows that do not open, which were left alone.
    pub skipped: u64,
    /// Where it goes on, if it does.
    pub next: Option<Place>,
}

/// Why a page was not done. `Display` is for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RekeyError {
    /// The store gave no answer.
    #[error("{0}; what is done stays done: run it again in two minutes")]
    Unavailable(#[from] Unavailable),
    /// Somebody else is at it.
    #[error(
        "the rows are being sealed anew at this moment; when that is over, or two minutes after it \
         was broken off, run it again"
    )]
    Busy,
}

/// The tables in their order. Sessions come before the tickets that ask them for their end.
const TABLES: [Table; 4] = [Table::Session, Table::Account, Table::Credential, Table::Ticket];

/// The name of the lease under which one at a time does a page.
const LEASE: &[u8] = b"rekey";

/// How long a page may take. The lease ends no earlier.
const PAGE_TIME: Duration = Duration::from_secs(110);
const LEASE_TIME: Duration = Duration::from_secs(120);

/// Rows at once: a store that groups its writes makes them durable together.
const AT_ONCE: usize = 64;

// === impl Rekey ===

impl Rekey {
    /// For the rows of a store. `lifetime` is the longest that a session may live.
    pub fn new(store: Arc<dyn Store>, keys: Keys, lifetime: Duration, now: Time) -> Self {
        Self { store, keys, lifetime, now, settled: Arc::default() }
    }

    /// Does one page. One at a time over all nodes does.
    pub async fn page(&self, place: &Place) -> Result<Rekeyed, RekeyError> {
        let holder: [u8; 16] = random();
        let end = self.now + LEASE_TIME;
        if !self.store.insert(Table::Lease, LEASE, holder.to_vec(), end).await? {
            return Err(RekeyError::Busy);
        }
        let done = tokio::time::timeout(PAGE_TIME, self.page_alone(place)).await;
        let too_slow = |_| Err(Unavailable(format!("a page was not done within {PAGE_TIME:?}")));
        let done = done.unwrap_or_else(too_slow)?;
        // Given back only when all is known to be done: a write without an answer may come late. If
        // it is not given back, it ends.
        let given_back = self.store.replace(Table::Lease, LEASE, &holder, Vec::new(), self.now);
        drop(given_back.await);
        Ok(done)
    }

    async fn page_alone(&self, place: &Place) -> Result<Rekeyed, Unavailable> {
        let Page { rows, next } = self.store.scan(place.table, place.from.as_deref()).await?;
        let mut done = Rekeyed { next: place.after(next), ..Rekeyed::default() };
        let (mut rows, mut under_way) = (rows.into_iter(), JoinSet::new());
        loop {
            while under_way.len() < AT_ONCE
                && let Some((key, sealed)) = rows.next()
            {
                let (rekey, table) = (self.clone(), place.table);
                under_way.spawn(async move { rekey.row(table, &key, sealed).await });
            }
            let Some(settled) = under_way.join_next().await else { return Ok(done) };
            for settled in settled.expect("sealing does not panic")? {
                done.resealed += u64::from(settled == Settled::Now);
                done.skipped += u64::from(settled == Settled::Unreadable);
            }
        }
    }

    async fn row(
        &self,
        table: Table,
        key: &[u8],
        sealed: Vec<u8>,
    ) -> Result<Vec<Settled>, Unavailable> {
        if table == Table::Account {
            return self.account(key, sealed).await;
        }
        Ok(vec![self.reseal(table, key, sealed).await?])
    }

    /// An account and its credential, whose row does not say whose it is.
    async fn account(&self, name: &[u8], sealed: Vec<u8>) -> Result<Vec<Settled>, Unavailable> {
        let accounts = self.rows(Table::Account);
        let Some(record) = accounts.row::<AccountRecord>(name, sealed).value else {
            return Ok(vec![Settled::Unreadable]);
        };
        let id = record.profile.identity.id;
        if !self.settled.insert(id) {
            return Ok(Vec::new());
        }
        let names: Vec<_> = self.keys.account_digests(id).collect();
        let account = accounts.settle::<AccountRecord>(&names).await?;
        let credential = self.rows(Table::Credential).settle::<CredentialRow>(&names).await?;
        // One that does not open is counted in its own table.
        Ok([account, credential].into_iter().filter(|done| *done == Settled::Now).collect())
    }

    /// Seals a row anew where it stands.
    async fn reseal(
        &self,
        table: Table,
        key: &[u8],
        mut sealed: Vec<u8>,
    ) -> Result<Settled, Unavailable> {
        let place = [table.name().as_bytes(), key];
        loop {
            if self.rows(table).is_newest(key, &sealed) {
                return Ok(Settled::Already);
            }
            let Some(plain) = self.keys.open_record(&place, &sealed).map(Secret::new) else {
                return Ok(self.unopened(table, key, sealed));
            };
            let Some(end) = self.end(table, plain.expose()).await? else {
                return Ok(Settled::Unreadable);
            };
            let new = self.keys.seal_record(&place, plain.expose());
            if self.store.replace(table, key, &sealed, new, end).await? {
                return Ok(Settled::Now);
            }
            let Some(changed) = self.store.get(table, key).await? else {
                return Ok(Settled::Already);
            };
            sealed = changed;
        }
    }

    /// A credential on its way to its name belongs to an account that another page looks after.
    fn unopened(&self, table: Table, key: &[u8], sealed: Vec<u8>) -> Settled {
        let is_moving = table == Table::Credential
            && self.rows(table).row::<CredentialRow>(key, sealed).is_moving;
        if is_moving { Settled::Already } else { Settled::Unreadable }
    }

    /// When a row ends, as it says itself; `None` where it makes no sense.
    async fn end(&self, table: Table, plain: &[u8]) -> Result<Option<Time>, Unavailable> {
        Ok(match table {
            Table::Session => read::<SessionRow>(plain).map(|row| row.session.expires),
            Table::Credential => read::<CredentialRow>(plain).map(|row| row.end()),
            Table::Ticket => match read::<TicketRow>(plain) {
                Some(row) => Some(self.end_of_ticket(&row).await?),
                None => None,
            },
            _ => None,
        })
    }

    /// A ticket ends with its session. Without one it is of no use any more, or its session is being
    /// written at this moment; that is over after the longest life of a session at the latest.
    async fn end_of_ticket(&self, ticket: &TicketRow) -> Result<Time, Unavailable> {
        let sessions = self.rows(Table::Session);
        let session = sessions.get::<SessionRow>(ticket.session.as_bytes()).await?;
        Ok(session.map_or(self.now + self.lifetime, |row| row.session.expires))
    }

    fn rows(&self, table: Table) -> Rows<'_> {
        Rows { store: &*self.store, keys: &self.keys, table }
    }
}

// === impl Place ===

impl Place {
    /// A page of a table; `None` for a table whose rows nobody seals anew.
    pub fn new(table: &str, from: Option<Vec<u8>>) -> Option<Self> {
        let table = TABLES.into_iter().find(|known| known.name() == table)?;
        Some(Self { table, from })
    }

    /// The table's name.
    pub fn table(&self) -> &'static str {
        self.table.name()
    }

    /// The page; `None` for the first.
    pub fn from(&self) -> Option<&[u8]> {
        self.from.as_deref()
    }

    /// The next page of this table, or the next table.
    fn after(&self, next: Option<Vec<u8>>) -> Option<Self> {
        if next.is_some() {
            return Some(Self { table: self.table, from: next });
        }
        let place = TABLES.iter().position(|table| *table == self.table)?;
        TABLES.get(place + 1).map(|table| Self { table: *table, from: None })
    }
}

impl Default for Place {
    /// The beginning.
    fn default() -> Self {
        Self { table: TABLES[0], from: None }
    }
}

fn read<T: DeserializeOwned>(plain: &[u8]) -> Option<T> {
    serde_json::from_slice(plain).ok()
}

#[cfg(test)]
mod tests;
