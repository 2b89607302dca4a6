//! The store in a file beside the process: for one node whose sign-ins outlive a restart.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use redb::ReadTransaction;

use self::medium::{Medium, OnDisk};
use self::rows::{Operation, Outcome};
use self::shelf::Shelf;
use self::writer::Writer;
use super::local_news::LocalNews;
use super::{Heard, Page, Store, Table, Unavailable};
use crate::clock::{Clock, Time};

mod aside;
mod medium;
mod open;
mod room;
mod rows;
mod shelf;
mod writer;
#[cfg(test)]
mod tests;

pub use open::OpenError;

/// Rows in a file. Reads go to the file's last commit; one thread writes, and whatever waits for
/// it shares one commit.
pub struct Embedded {
    shelf: Arc<Shelf>,
    writer: Writer,
    news: LocalNews,
    clock: Arc<dyn Clock>,
}

// === impl Embedded ===

impl Embedded {
    /// Opens the store in a directory of its own, which is made if it is missing.
    pub fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        Self::on(Box::new(OnDisk::prepare(dir)?), clock)
    }

    /// Opens a file beside the store's for rows that may be lost, and that weigh `bound` bytes at
    /// most: what was written longest ago gives way. One that is damaged is thrown away.
    pub fn open_cache(dir: &Path, bound: u64, clock: &Arc<dyn Clock>) -> Result<Self, OpenError> {
        let open = || Self::on(Box::new(OnDisk::prepare_cache(dir, bound)?), clock.clone());
        match open() {
            Err(error @ (OpenError::Damaged { .. } | OpenError::Newer { .. })) => {
                tracing::warn!(
                    "begun anew, for it holds nothing that cannot be had again: {error}"
                );
                OnDisk::discard(dir)?;
                open()
            }
            opened => opened,
        }
    }

    fn on(medium: Box<dyn Medium>, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let database = open::open(&*medium)?;
        let shelf = Arc::new(Shelf::new(database, medium));
        let writer = Writer::start(shelf.clone(), clock.clone())
            .map_err(|error| OpenError::unusable(shelf.place(), &error))?;
        Ok(Self { shelf, writer, news: LocalNews::new(), clock })
    }

    /// Reads off the async threads: a page that is not in memory waits for the disk.
    async fn read<T: Send + 'static>(
        &self,
        look: impl Fn(&ReadTransaction) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (database, mender) = (self.shelf.clone(), self.writer.mender());
        let reading = move || database.read(look, || mender.call());
        let read = tokio::task::spawn_blocking(reading).await;
        read.unwrap_or_else(|stopped| Err(self.shelf.unavailable(&stopped)))
    }

    async fn change(&self, operation: Operation) -> Result<bool, Unavailable> {
        let outcome = self.writer.write(operation).await?;
        Ok(matches!(outcome, Outcome::Changed(true)))
    }
}

#[async_trait]
impl Store for Embedded {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        let (key, now) = (key.to_vec(), self.clock.now());
        self.read(move |snapshot| rows::get(snapshot, table, &key, now)).await
    }

    async fn insert(
        &self,
        table: Table,
        key: &[u8],
        value: Vec<u8>,
        end: Time,
    ) -> Result<bool, Unavailable> {
        self.change(Operation::Insert { table, key: key.to_vec(), value, end }).await
    }

    async fn replace(
        &self,
        table: Table,
        key: &[u8],
        old: &[u8],
        new: Vec<u8>,
        end: Time,
    ) -> Result<bool, Unavailable> {
        let (key, old) = (key.to_vec(), old.to_vec());
        self.change(Operation::Replace { table, key, old, new, end }).await
    }

    async fn put(
        &self,
        table: Table,
        key: &[u8],
        value: Vec<u8>,
        end: Time,
    ) -> Result<(), Unavailable> {
        self.change(Operation::Put { table, key: key.to_vec(), value, end }).await.map(drop)
    }

    async fn take(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        match self.writer.write(Operation::Take { table, key: key.to_vec() }).await? {
            Outcome::Taken(value) => Ok(value),
            _ => Ok(None),
        }
    }

    async fn scan(&self, table: Table, from: Option<&[u8]>) -> Result<Page, Unavailable> {
        let (from, now) = (from.map(<[u8]>::to_vec), self.clock.now());
        self.read(move |snapshot| rows::page(snapshot, table, from.as_deref(), now)).await
    }

    /// In steps, so that no sign-in waits for more than one of them.
    async fn sweep(&self) -> Result<(), Unavailable> {
        while let Outcome::Swept { more: true } = self.writer.write(Operation::Sweep).await? {}
        Ok(())
    }

    async fn announce(&self, news: &[u8]) -> Result<(), Unavailable> {
        self.news.announce(news);
        Ok(())
    }

    async fn listen(&self, since: Option<&[u8]>) -> Result<Heard, Unavailable> {
        self.news.listen(since).await
    }
}
