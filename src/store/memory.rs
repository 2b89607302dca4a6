//! The store in this process: for one machine that may forget, for tests and the demo.

use std::sync::Arc;

use async_trait::async_trait;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use super::{Store, Table, Unavailable};
use crate::clock::{Clock, Time};

/// Rows in this process; gone when it ends.
pub struct Memory {
    rows: DashMap<(Table, Box<[u8]>), Row>,
    clock: Arc<dyn Clock>,
}

struct Row {
    value: Vec<u8>,
    end: Time,
}

// === impl Memory ===

impl Memory {
    /// An empty store.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { rows: DashMap::new(), clock }
    }

    fn has_ended(&self, row: &Row) -> bool {
        row.end <= self.clock.now()
    }
}

#[async_trait]
impl Store for Memory {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        let row = self.rows.get(&(table, key.into()));
        Ok(row.filter(|row| !self.has_ended(row)).map(|row| row.value.clone()))
    }

    async fn put(
        &self,
        table: Table,
        key: &[u8],
        value: Vec<u8>,
        end: Time,
    ) -> Result<(), Unavailable> {
        self.rows.insert((table, key.into()), Row { value, end });
        Ok(())
    }

    async fn insert(
        &self,
        table: Table,
        key: &[u8],
        value: Vec<u8>,
        end: Time,
    ) -> Result<bool, Unavailable> {
        let row = Row { value, end };
        match self.rows.entry((table, key.into())) {
            Entry::Vacant(place) => {
                place.insert(row);
                Ok(true)
            }
            Entry::Occupied(mut place) if self.has_ended(place.get()) => {
                place.insert(row);
                Ok(true)
            }
            Entry::Occupied(_) => Ok(false),
        }
    }

    async fn take(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        let taken = self.rows.remove(&(table, key.into()));
        Ok(taken.filter(|(_, row)| !self.has_ended(row)).map(|(_, row)| row.value))
    }

    async fn sweep(&self) -> Result<(), Unavailable> {
        self.rows.retain(|_, row| !self.has_ended(row));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Manual;
    use crate::store::conformance;

    #[tokio::test]
    async fn memory_conforms() {
        let clock = Arc::new(Manual::at(Time::from_unix(1_000)));
        conformance::run(Arc::new(Memory::new(clock.clone())), &clock).await;
    }

    #[tokio::test]
    async fn a_sweep_makes_room() {
        let clock = Arc::new(Manual::at(Time::from_unix(1_000)));
        let memory = Memory::new(clock.clone());
        memory.put(Table::Session, b"a", vec![1], Time::from_unix(1_010)).await.unwrap();
        memory.put(Table::Session, b"b", vec![2], Time::from_unix(1_020)).await.unwrap();
        clock.advance(std::time::Duration::from_secs(10));
        memory.sweep().await.unwrap();
        assert_eq!(memory.rows.len(), 1);
    }
}
