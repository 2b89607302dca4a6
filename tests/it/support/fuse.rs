//! A store that stops answering when the test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use gatekeep::clock::Time;
use gatekeep::store::{Heard, Memory, Page, Store, Table, Unavailable};

/// A store that answers so many times more, and then no more.
pub(crate) struct Fuse {
    inner: Memory,
    left: Arc<AtomicI64>,
}

// === impl Fuse ===

impl Fuse {
    /// A store whose answers left are counted by `left`: zero means none, and many mean no end.
    pub(crate) fn new(inner: Memory, left: Arc<AtomicI64>) -> Self {
        Self { inner, left }
    }

    fn burn(&self) -> Result<(), Unavailable> {
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            1.. => Ok(()),
            _ => Err(Unavailable("the fuse is blown".into())),
        }
    }
}

#[async_trait]
impl Store for Fuse {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        self.burn()?;
        self.inner.get(table, key).await
    }

    async fn insert(
        &self,
        table: Table,
        key: &[u8],
        value: Vec<u8>,
        end: Time,
    ) -> Result<bool, Unavailable> {
        self.burn()?;
        self.inner.insert(table, key, value, end).await
    }

    async fn take(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        self.burn()?;
        self.inner.take(table, key).await
    }

    async fn replace(
        &self,
        table: Table,
        key: &[u8],
        old: &[u8],
        new: Vec<u8>,
        end: Time,
    ) -> Result<bool, Unavailable> {
        self.burn()?;
        self.inner.replace(table, key, old, new, end).await
    }

    async fn scan(&self, table: Table, from: Option<&[u8]>) -> Result<Page, Unavailable> {
        self.burn()?;
        self.inner.scan(table, from).await
    }

    async fn announce(&self, news: &[u8]) -> Result<(), Unavailable> {
        self.burn()?;
        self.inner.announce(news).await
    }

    async fn listen(&self, since: Option<&[u8]>) -> Result<Heard, Unavailable> {
        // Who listens in the background must not use answers up.
        self.inner.listen(since).await
    }

    async fn sweep(&self) -> Result<(), Unavailable> {
        // Its time is no test's choice.
        self.inner.sweep().await
    }
}
