//! Rows of one table with their meaning: JSON, sealed for the row it stands in.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Store, Table, Unavailable};
use crate::clock::Time;
use crate::keys::Keys;
use crate::secret::Secret;

/// The rows of a table, as somebody with these keys reads and writes them.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) keys: &'a Keys,
    pub(super) table: Table,
}

/// A row as it was read: what it says, and its bytes, so that it can be replaced if nobody else did.
pub(super) struct Row<T> {
    /// `None` when it does not open: sealed by a master that is gone, or not by us.
    pub(super) value: Option<T>,
    sealed: Vec<u8>,
}

// === impl Rows ===

impl Rows<'_> {
    /// The row as it stands.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        key: &[u8],
    ) -> Result<Option<Row<T>>, Unavailable> {
        let sealed = self.store.get(self.table, key).await?;
        Ok(sealed.map(|sealed| Row { value: self.open(key, &sealed), sealed }))
    }

    /// What the row says, if it is there and opens.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        key: &[u8],
    ) -> Result<Option<T>, Unavailable> {
        Ok(self.read(key).await?.and_then(|row| row.value))
    }

    /// Takes the row out.
    pub(super) async fn take<T: DeserializeOwned>(
        &self,
        key: &[u8],
    ) -> Result<Option<T>, Unavailable> {
        let sealed = self.store.take(self.table, key).await?;
        Ok(sealed.and_then(|sealed| self.open(key, &sealed)))
    }

    /// Writes a new row; `false` when one is there.
    pub(super) async fn insert<T: Serialize>(
        &self,
        key: &[u8],
        value: &T,
        end: Time,
    ) -> Result<bool, Unavailable> {
        self.store.insert(self.table, key, self.seal(key, value), end).await
    }

    /// Writes a row in the place of what was read, or of nothing; `false` when somebody was faster.
    pub(super) async fn write<T: Serialize>(
        &self,
        key: &[u8],
        old: Option<&Row<T>>,
        value: &T,
        end: Time,
    ) -> Result<bool, Unavailable> {
        let Some(old) = old else { return self.insert(key, value, end).await };
        self.store.replace(self.table, key, &old.sealed, self.seal(key, value), end).await
    }

    /// Removes what was read; `false` when it has changed since.
    pub(super) async fn remove<T>(
        &self,
        key: &[u8],
        old: &Row<T>,
        now: Time,
    ) -> Result<bool, Unavailable> {
        self.store.replace(self.table, key, &old.sealed, Vec::new(), now).await
    }

    /// What a sealed row says.
    pub(super) fn open<T: DeserializeOwned>(&self, key: &[u8], sealed: &[u8]) -> Option<T> {
        let plain = self.keys.open_record(&[self.table.name().as_bytes(), key], sealed)?;
        serde_json::from_slice(Secret::new(plain).expose()).ok()
    }

    fn seal<T: Serialize>(&self, key: &[u8], value: &T) -> Vec<u8> {
        let plain = Secret::new(serde_json::to_vec(value).expect("rows are plain JSON"));
        self.keys.seal_record(&[self.table.name().as_bytes(), key], plain.expose())
    }
}
