//! What a store has said of its rows, and whether it keeps its word.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::disk::{Disk, Event};
use super::*;

/// The values that each row may have: one, where the store has said so; several, where it has
/// begun something and not answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger(BTreeMap<Vec<u8>, Vec<Option<Vec<u8>>>>);

/// A ledger that a disk's trace and many tasks share.
#[derive(Clone)]
pub(super) struct Shared {
    ledger: Arc<Mutex<Ledger>>,
    disk: Disk,
}

// === impl Ledger ===

impl Ledger {
    pub(super) fn record(&mut self, event: &Event) {
        match event {
            Event::Begun { key, value } => {
                let values = self.0.entry(key.clone()).or_insert_with(|| vec![None]);
                values.push(value.clone());
            }
            Event::Done { key } => {
                let values = self.0.get_mut(key).unwrap();
                values.drain(..values.len() - 1);
            }
            _ => {}
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The keys of rows that are not as the store has said.
    pub(super) async fn broken_by(&self, store: &Embedded) -> Vec<Vec<u8>> {
        let mut broken = Vec::new();
        for (key, values) in &self.0 {
            let found = store.get(Table::Session, key).await;
            if !found.is_ok_and(|found| values.contains(&found)) {
                broken.push(key.clone());
            }
        }
        broken
    }
}

// === impl Shared ===

impl Shared {
    pub(super) fn of(disk: &Disk) -> Self {
        Self { ledger: Arc::default(), disk: disk.clone() }
    }

    pub(super) fn ledger(&self) -> Ledger {
        self.ledger.lock().unwrap().clone()
    }

    fn record(&self, event: Event) {
        self.ledger.lock().unwrap().record(&event);
        self.disk.note(event);
    }

    /// Takes a row through its life: one in three stays as it was written, one is replaced, one
    /// is taken. After an error it is left alone. Says whether all was done.
    pub(super) async fn live(&self, store: &Embedded, n: u32) -> bool {
        let key = n.to_be_bytes().repeat(8);
        let (first, second) = (vec![1; 100 + (n as usize * 37) % 400], vec![2; 250]);
        let inserted = self.step(&key, Some(&first), async {
            store.insert(Table::Session, &key, first.clone(), later()).await
        });
        if !inserted.await {
            return false;
        }
        match n % 3 {
            0 => true,
            1 => {
                let replace = store.replace(Table::Session, &key, &first, second.clone(), later());
                self.step(&key, Some(&second), replace).await
            }
            _ => {
                let take =
                    async { Ok(store.take(Table::Session, &key).await?.as_ref() == Some(&first)) };
                self.step(&key, None, take).await
            }
        }
    }

    async fn step(
        &self,
        key: &[u8],
        value: Option<&Vec<u8>>,
        change: impl Future<Output = Result<bool, Unavailable>>,
    ) -> bool {
        self.record(Event::Begun { key: key.to_vec(), value: value.cloned() });
        let changed = change.await;
        assert_ne!(changed, Ok(false), "nobody else changes this row");
        if changed.is_ok() {
            self.record(Event::Done { key: key.to_vec() });
        }
        changed.is_ok()
    }
}
