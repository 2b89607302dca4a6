//! The store that lives in this process: for tests, the demo, and those who do not mind that a
//! restart signs everybody out.

use std::sync::Arc;

use async_trait::async_trait;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use super::local_news::LocalNews;
use super::{Heard, Page, Store, Table, Unavailable, is_swept};
use crate::clock::{Clock, Time};

/// Rows in memory.
pub struct Memory {
    rows: DashMap<(Table, Box<[u8]>), Row>,
    news: LocalNews,
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
        Self { rows: DashMap::new(), news: LocalNews::new(), clock }
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

    async fn replace(
        &self,
        table: Table,
        key: &[u8],
        old: &[u8],
        new: Vec<u8>,
        end: Time,
    ) -> Result<bool, Unavailable> {
        let Entry::Occupied(mut place) = self.rows.entry((table, key.into())) else {
            return Ok(false);
        };
        if self.has_ended(place.get()) || place.get().value != old {
            return Ok(false);
        }
        place.insert(Row { value: new, end });
        Ok(true)
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

    async fn take(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        let taken = self.rows.remove(&(table, key.into()));
        Ok(taken.filter(|(_, row)| !self.has_ended(row)).map(|(_, row)| row.value))
    }

    /// One page holds all: it is in memory anyway.
    async fn scan(&self, table: Table, _from: Option<&[u8]>) -> Result<Page, Unavailable> {
        let of_table = self.rows.iter().filter(|row| row.key().0 == table);
        let there = of_table.filter(|row| !self.has_ended(row));
        let rows = there.map(|row| (row.key().1.to_vec(), row.value.clone())).collect();
        Ok(Page { rows, next: None })
    }

    async fn sweep(&self) -> Result<(), Unavailable> {
        let now = self.clock.now();
        self.rows.retain(|_, row| !is_swept(row.end, now));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Manual;
    use crate::store::{SWEPT_AFTER, conformance};

    #[tokio::test]
    async fn memory_conforms() {
        let clock = Arc::new(Manual::at(Time::from_unix(1_000)));
        let advance = |span| clock.advance(span);
        conformance::run(Arc::new(Memory::new(clock.clone())), &*clock, &advance).await;
    }

    #[tokio::test]
    async fn a_sweep_makes_room() {
        let clock = Arc::new(Manual::at(Time::from_unix(1_000)));
        let memory = Memory::new(clock.clone());
        memory.insert(Table::Session, b"a", vec![1], Time::from_unix(1_010)).await.unwrap();
        memory.insert(Table::Session, b"b", vec![2], Time::from_unix(1_020)).await.unwrap();
        clock.advance(SWEPT_AFTER + std::time::Duration::from_secs(10));
        memory.sweep().await.unwrap();
        assert_eq!(memory.rows.len(), 1);
    }
}
