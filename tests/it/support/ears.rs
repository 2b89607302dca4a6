//! A store whose listener hears when the test says so.

use std::sync::Mutex;

use async_trait::async_trait;
use gatekeep::clock::Time;
use gatekeep::store::{Heard, Memory, Page, Store, Table, Unavailable};
use tokio::sync::watch;

/// A store with one listener, which is deaf from time to time.
pub(crate) struct Ears {
    inner: Memory,
    deaf: watch::Sender<bool>,
    /// What the listener has heeded: all before this mark.
    heeded: Mutex<Option<Vec<u8>>>,
}

// === impl Ears ===

impl Ears {
    pub(crate) fn new(inner: Memory) -> Self {
        Self { inner, deaf: watch::Sender::new(false), heeded: Mutex::default() }
    }

    /// Keeps what is announced from now on from the listener, or no more.
    pub(crate) fn set_deaf(&self, deaf: bool) {
        self.deaf.send_replace(deaf);
    }

    /// Whether the listener has heeded all that was announced.
    pub(crate) fn has_heard_all(&self) -> bool {
        *self.heeded.lock().expect("nobody panics") == Some(self.announced())
    }

    /// The mark behind all that was announced.
    pub(crate) fn announced(&self) -> Vec<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(self.inner.listen(None)).expect("an answer").mark
    }
}

#[async_trait]
impl Store for Ears {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        self.inner.get(table, key).await
    }

    async fn insert(
        &self,
        table: Table,
        key: &[u8],
        value: Vec<u8>,
        end: Time,
    ) -> Result<bool, Unavailable> {
        self.inner.insert(table, key, value, end).await
    }

    async fn take(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
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
        self.inner.replace(table, key, old, new, end).await
    }

    async fn scan(&self, table: Table, from: Option<&[u8]>) -> Result<Page, Unavailable> {
        self.inner.scan(table, from).await
    }

    async fn announce(&self, news: &[u8]) -> Result<(), Unavailable> {
        self.inner.announce(news).await
    }

    async fn listen(&self, since: Option<&[u8]>) -> Result<Heard, Unavailable> {
        *self.heeded.lock().expect("nobody panics") = since.map(<[u8]>::to_vec);
        let heard = self.inner.listen(since).await;
        // The sender is a field of this very store.
        drop(self.deaf.subscribe().wait_for(|deaf| !deaf).await);
        heard
    }

    async fn sweep(&self) -> Result<(), Unavailable> {
        self.inner.sweep().await
    }
}
