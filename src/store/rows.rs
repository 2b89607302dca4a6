//! Rows of one table with their meaning: JSON, sealed for the row it stands in.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Store, Table, Unavailable};
use crate::clock::Time;
use crate::defence::{Defence, stands};
use crate::keys::{Keys, Opened};
use crate::secret::Secret;

/// The rows of a table, as somebody with these keys reads and writes them.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) keys: &'a Keys,
    pub(super) table: Table,
}

/// A row as it was read: what it says, and its bytes, so that it can be replaced if nobody else did.
#[derive(Clone)]
pub(super) struct Row<T> {
    /// `None` when it does not open: sealed by a master that is gone, or not by us.
    pub(super) value: Option<T>,
    /// Whether it is on its way to this name, and counts only if it is under no other.
    pub(super) is_moving: bool,
    pub(super) sealed: Vec<u8>,
}

/// What a row that is on its way is sealed for besides its place.
const MOVING: &[u8] = b"moving";

// === impl Rows ===

impl Rows<'_> {
    /// The row as it stands.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        key: &[u8],
    ) -> Result<Option<Row<T>>, Unavailable> {
        let sealed = self.store.get(self.table, key).await?;
        Ok(sealed.map(|sealed| self.row(key, sealed)))
    }

    /// What the row says, if it is there and opens.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        key: &[u8],
    ) -> Result<Option<T>, Unavailable> {
        Ok(self.read(key).await?.and_then(|row| row.value))
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

    /// A row as it was found.
    pub(super) fn row<T: DeserializeOwned>(&self, key: &[u8], sealed: Vec<u8>) -> Row<T> {
        if let Some(value) = self.open(key, &sealed) {
            return Row { value: Some(value), is_moving: false, sealed };
        }
        let value = read(self.keys.open_record(&self.on_the_way(key), &sealed));
        Row { is_moving: value.is_some(), value, sealed }
    }

    /// Whether a row is sealed under the newest master.
    pub(super) fn is_newest(&self, key: &[u8], sealed: &[u8]) -> bool {
        self.keys.record_is_newest(&self.place(key), sealed)
    }

    /// What a sealed row says.
    fn open<T: DeserializeOwned>(&self, key: &[u8], sealed: &[u8]) -> Option<T> {
        read(self.keys.open_record(&self.place(key), sealed))
    }

    pub(super) fn seal<T: Serialize>(&self, key: &[u8], value: &T) -> Vec<u8> {
        self.keys.seal_record(&self.place(key), written(value).expose())
    }

    /// Seals a row that is on its way to this name.
    pub(super) fn seal_moving<T: Serialize>(&self, key: &[u8], value: &T) -> Vec<u8> {
        self.keys.seal_record(&self.on_the_way(key), written(value).expose())
    }

    fn place<'k>(&self, key: &'k [u8]) -> [&'k [u8]; 2] {
        let key = if stands(Defence::RowBinding) { key } else { b"anywhere" };
        [self.table.name().as_bytes(), key]
    }

    fn on_the_way<'k>(&self, key: &'k [u8]) -> [&'k [u8]; 3] {
        [self.table.name().as_bytes(), key, MOVING]
    }
}

fn read<T: DeserializeOwned>(plain: Opened) -> Option<T> {
    serde_json::from_slice(Secret::new(plain?).expose()).ok()
}

fn written<T: Serialize>(value: &T) -> Secret<Vec<u8>> {
    Secret::new(serde_json::to_vec(value).expect("rows are plain JSON"))
}
