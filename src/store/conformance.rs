//! One suite for every backend: what the managers rely on.

use std::sync::Arc;
use std::time::Duration;

use super::{Store, Table};
use crate::clock::{Clock, Manual};

/// Runs the suite against an empty store whose time is `clock`'s.
pub(crate) async fn run(store: Arc<dyn Store>, clock: &Manual) {
    what_was_put_is_got(&*store, clock).await;
    tables_are_apart(&*store, clock).await;
    a_row_ends_on_time(&*store, clock).await;
    one_of_many_inserts(store.clone(), clock).await;
    one_of_many_takes(store, clock).await;
}

async fn what_was_put_is_got(store: &dyn Store, clock: &Manual) {
    let end = clock.now() + Duration::from_secs(60);
    assert_eq!(store.get(Table::Session, b"a").await, Ok(None));
    store.put(Table::Session, b"a", b"one".to_vec(), end).await.unwrap();
    assert_eq!(store.get(Table::Session, b"a").await, Ok(Some(b"one".to_vec())));
    store.put(Table::Session, b"a", b"two".to_vec(), end).await.unwrap();
    assert_eq!(store.get(Table::Session, b"a").await, Ok(Some(b"two".to_vec())));
    assert_eq!(store.take(Table::Session, b"a").await, Ok(Some(b"two".to_vec())));
    assert_eq!(store.get(Table::Session, b"a").await, Ok(None));
    assert_eq!(store.take(Table::Session, b"a").await, Ok(None));
}

async fn tables_are_apart(store: &dyn Store, clock: &Manual) {
    let end = clock.now() + Duration::from_secs(60);
    store.put(Table::Session, b"k", b"session".to_vec(), end).await.unwrap();
    assert_eq!(store.get(Table::Ticket, b"k").await, Ok(None));
    assert_eq!(store.take(Table::Handover, b"k").await, Ok(None));
    assert_eq!(store.take(Table::Session, b"k").await, Ok(Some(b"session".to_vec())));
}

async fn a_row_ends_on_time(store: &dyn Store, clock: &Manual) {
    let end = clock.now() + Duration::from_secs(10);
    for key in [&b"got"[..], b"taken", b"inserted"] {
        store.put(Table::Ticket, key, b"x".to_vec(), end).await.unwrap();
    }
    clock.advance(Duration::from_secs(9));
    assert_eq!(store.get(Table::Ticket, b"got").await, Ok(Some(b"x".to_vec())));
    clock.advance(Duration::from_secs(1));
    assert_eq!(store.get(Table::Ticket, b"got").await, Ok(None));
    assert_eq!(store.take(Table::Ticket, b"taken").await, Ok(None));
    let later = clock.now() + Duration::from_secs(10);
    assert_eq!(store.insert(Table::Ticket, b"inserted", vec![], later).await, Ok(true));
    store.sweep().await.unwrap();
    assert_eq!(store.get(Table::Ticket, b"inserted").await, Ok(Some(vec![])));
}

async fn one_of_many_inserts(store: Arc<dyn Store>, clock: &Manual) {
    let end = clock.now() + Duration::from_secs(60);
    let tasks: Vec<_> = (0..100u8)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                store.insert(Table::SpentAttempt, b"once", vec![n], end).await.unwrap()
            })
        })
        .collect();
    let mut inserted = 0;
    for task in tasks {
        inserted += usize::from(task.await.unwrap());
    }
    assert_eq!(inserted, 1);
}

async fn one_of_many_takes(store: Arc<dyn Store>, clock: &Manual) {
    let end = clock.now() + Duration::from_secs(60);
    store.put(Table::Handover, b"once", b"x".to_vec(), end).await.unwrap();
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.take(Table::Handover, b"once").await.unwrap() })
        })
        .collect();
    let mut taken = 0;
    for task in tasks {
        taken += usize::from(task.await.unwrap().is_some());
    }
    assert_eq!(taken, 1);
}
