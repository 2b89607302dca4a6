//! One suite for every backend: what the managers rely on. It panics at what does not hold.

#![expect(clippy::unwrap_used, reason = "a store that gives no answer has failed")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Store, Table};
use crate::clock::Clock;

/// Lets time pass for a store: by hand, or by waiting where the store has a clock of its own.
pub type Advance<'a> = &'a (dyn Fn(Duration) + Send + Sync);

/// Runs the suite against an empty store whose time is `clock`'s.
pub async fn run(store: Arc<dyn Store>, clock: &dyn Clock, advance: Advance<'_>) {
    what_was_put_is_got(&*store, clock).await;
    tables_are_apart(&*store, clock).await;
    only_what_was_read_is_replaced(&*store, clock).await;
    what_may_be_lost_is_overwritten(&*store, clock, advance).await;
    a_row_ends_on_time(&*store, clock, advance).await;
    one_of_many_inserts(store.clone(), clock).await;
    one_of_many_replaces(store.clone(), clock).await;
    one_of_many_takes(store.clone(), clock).await;
    a_scan_sees_every_row_of_its_table(&*store, clock).await;
    keys_and_values_are_any_bytes(&*store, clock).await;
    news_reach_every_listener_in_order(store).await;
}

async fn what_was_put_is_got(store: &dyn Store, clock: &dyn Clock) {
    let end = clock.now() + Duration::from_secs(60);
    assert_eq!(store.get(Table::Session, b"a").await, Ok(None));
    assert_eq!(store.insert(Table::Session, b"a", b"one".to_vec(), end).await, Ok(true));
    assert_eq!(store.get(Table::Session, b"a").await, Ok(Some(b"one".to_vec())));
    assert_eq!(store.insert(Table::Session, b"a", b"two".to_vec(), end).await, Ok(false));
    assert_eq!(store.get(Table::Session, b"a").await, Ok(Some(b"one".to_vec())));
    assert_eq!(store.take(Table::Session, b"a").await, Ok(Some(b"one".to_vec())));
    assert_eq!(store.get(Table::Session, b"a").await, Ok(None));
    assert_eq!(store.take(Table::Session, b"a").await, Ok(None));
}

async fn tables_are_apart(store: &dyn Store, clock: &dyn Clock) {
    let end = clock.now() + Duration::from_secs(60);
    store.insert(Table::Session, b"k", b"session".to_vec(), end).await.unwrap();
    for table in Table::ALL.iter().filter(|table| **table != Table::Session) {
        assert_eq!(store.get(*table, b"k").await, Ok(None), "{table:?}");
        assert_eq!(store.take(*table, b"k").await, Ok(None), "{table:?}");
    }
    assert_eq!(store.take(Table::Session, b"k").await, Ok(Some(b"session".to_vec())));
}

async fn only_what_was_read_is_replaced(store: &dyn Store, clock: &dyn Clock) {
    let end = clock.now() + Duration::from_secs(60);
    let replace = |old: &'static [u8], new: &'static [u8], end| {
        store.replace(Table::Account, b"r", old, new.to_vec(), end)
    };
    assert_eq!(replace(b"", b"one", end).await, Ok(false), "nothing is there");
    assert_eq!(store.get(Table::Account, b"r").await, Ok(None));
    store.insert(Table::Account, b"r", b"one".to_vec(), end).await.unwrap();
    assert_eq!(replace(b"other", b"two", end).await, Ok(false));
    assert_eq!(replace(b"one", b"two", end).await, Ok(true));
    assert_eq!(replace(b"one", b"three", end).await, Ok(false));
    assert_eq!(store.get(Table::Account, b"r").await, Ok(Some(b"two".to_vec())));
    assert_eq!(replace(b"two", b"", clock.now()).await, Ok(true), "an end that has come removes");
    assert_eq!(store.get(Table::Account, b"r").await, Ok(None));
    assert_eq!(store.insert(Table::Account, b"r", vec![], end).await, Ok(true));
    assert_eq!(store.take(Table::Account, b"r").await, Ok(Some(vec![])));
}

async fn what_may_be_lost_is_overwritten(
    store: &dyn Store,
    clock: &dyn Clock,
    advance: Advance<'_>,
) {
    let (soon, later) =
        (clock.now() + Duration::from_secs(2), clock.now() + Duration::from_secs(60));
    let put = |value: &'static [u8], end| store.put(Table::Answer, b"p", value.to_vec(), end);
    assert_eq!(put(b"one", soon).await, Ok(()));
    assert_eq!(store.get(Table::Answer, b"p").await, Ok(Some(b"one".to_vec())));
    assert_eq!(put(b"two", later).await, Ok(()));
    advance(Duration::from_secs(2));
    assert_eq!(store.get(Table::Answer, b"p").await, Ok(Some(b"two".to_vec())), "its end is later");
    assert_eq!(put(b"three", clock.now() + Duration::from_secs(2)).await, Ok(()));
    advance(Duration::from_secs(2));
    assert_eq!(store.get(Table::Answer, b"p").await, Ok(None), "its end is sooner");
    assert_eq!(put(b"four", later).await, Ok(()));
    assert_eq!(put(b"five", clock.now()).await, Ok(()));
    assert_eq!(store.get(Table::Answer, b"p").await, Ok(None), "it has ended already");
}

async fn a_row_ends_on_time(store: &dyn Store, clock: &dyn Clock, advance: Advance<'_>) {
    let end = clock.now() + Duration::from_secs(3);
    for key in [&b"got"[..], b"taken", b"inserted", b"replaced", b"scanned"] {
        store.insert(Table::Ticket, key, b"x".to_vec(), end).await.unwrap();
    }
    let later = clock.now() + Duration::from_secs(60);
    store.insert(Table::Ticket, b"prolonged", b"x".to_vec(), end).await.unwrap();
    assert_eq!(
        store.replace(Table::Ticket, b"prolonged", b"x", b"y".to_vec(), later).await,
        Ok(true)
    );
    assert_eq!(store.get(Table::Ticket, b"got").await, Ok(Some(b"x".to_vec())));
    advance(Duration::from_secs(3));
    assert_eq!(store.get(Table::Ticket, b"got").await, Ok(None));
    assert_eq!(store.take(Table::Ticket, b"taken").await, Ok(None));
    assert_eq!(
        store.replace(Table::Ticket, b"replaced", b"x", b"y".to_vec(), later).await,
        Ok(false)
    );
    let there = whole_table(store, Table::Ticket).await;
    assert_eq!(there, BTreeMap::from([(b"prolonged".to_vec(), b"y".to_vec())]));
    assert_eq!(store.insert(Table::Ticket, b"inserted", vec![], later).await, Ok(true));
    store.sweep().await.unwrap();
    assert_eq!(store.get(Table::Ticket, b"inserted").await, Ok(Some(vec![])));
    assert_eq!(store.take(Table::Ticket, b"inserted").await, Ok(Some(vec![])));
    assert_eq!(store.take(Table::Ticket, b"prolonged").await, Ok(Some(b"y".to_vec())));
}

async fn one_of_many_inserts(store: Arc<dyn Store>, clock: &dyn Clock) {
    let end = clock.now() + Duration::from_secs(60);
    let inserted = of_a_hundred(|n| {
        let store = store.clone();
        async move { store.insert(Table::SpentAttempt, b"once", vec![n], end).await.unwrap() }
    });
    assert_eq!(inserted.await, 1);
}

async fn one_of_many_replaces(store: Arc<dyn Store>, clock: &dyn Clock) {
    let end = clock.now() + Duration::from_secs(60);
    store.insert(Table::Lease, b"once", b"free".to_vec(), end).await.unwrap();
    let replaced = of_a_hundred(|n| {
        let store = store.clone();
        async move { store.replace(Table::Lease, b"once", b"free", vec![n], end).await.unwrap() }
    });
    assert_eq!(replaced.await, 1);
}

async fn one_of_many_takes(store: Arc<dyn Store>, clock: &dyn Clock) {
    let end = clock.now() + Duration::from_secs(60);
    store.insert(Table::Handover, b"once", b"x".to_vec(), end).await.unwrap();
    let taken = of_a_hundred(|_| {
        let store = store.clone();
        async move { store.take(Table::Handover, b"once").await.unwrap().is_some() }
    });
    assert_eq!(taken.await, 1);
}

/// How many of a hundred tasks at once say yes.
async fn of_a_hundred<F>(task: impl Fn(u8) -> F) -> usize
where
    F: Future<Output = bool> + Send + 'static,
{
    let tasks: Vec<_> = (0..100).map(|n| tokio::spawn(task(n))).collect();
    let mut yes = 0;
    for task in tasks {
        yes += usize::from(task.await.unwrap());
    }
    yes
}

async fn a_scan_sees_every_row_of_its_table(store: &dyn Store, clock: &dyn Clock) {
    let end = clock.now() + Duration::from_secs(60);
    for n in 0..2500_u32 {
        let key = n.to_be_bytes();
        store.insert(Table::Credential, &key, key.to_vec(), end).await.unwrap();
    }
    store.insert(Table::Session, b"other", vec![], end).await.unwrap();
    let seen = whole_table(store, Table::Credential).await;
    assert_eq!(seen.len(), 2500);
    assert!(seen.iter().all(|(key, value)| key == value));
}

/// Every row that a scan sees; it may see one twice.
async fn whole_table(store: &dyn Store, table: Table) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let (mut seen, mut from) = (BTreeMap::new(), None);
    loop {
        let page = store.scan(table, from.as_deref()).await.unwrap();
        seen.extend(page.rows);
        from = page.next;
        if from.is_none() {
            return seen;
        }
    }
}

async fn keys_and_values_are_any_bytes(store: &dyn Store, clock: &dyn Clock) {
    let end = clock.now() + Duration::from_secs(60);
    let value: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    for key in [&b"\0"[..], b"\xff\xfe", b"a:b*?[]\r\n", &[7; 200]] {
        assert_eq!(store.insert(Table::Delivery, key, value.clone(), end).await, Ok(true));
        assert_eq!(store.get(Table::Delivery, key).await, Ok(Some(value.clone())));
        assert_eq!(store.replace(Table::Delivery, key, &value, vec![0], end).await, Ok(true));
        assert_eq!(store.take(Table::Delivery, key).await, Ok(Some(vec![0])));
    }
}

async fn news_reach_every_listener_in_order(store: Arc<dyn Store>) {
    store.announce(b"before").await.unwrap();
    let begun = store.listen(None).await.unwrap();
    assert!(begun.news.is_empty(), "whoever begins now hears what comes, not what was");
    let waiting = {
        let (store, mark) = (store.clone(), begun.mark.clone());
        tokio::spawn(async move { store.listen(Some(&mark)).await.unwrap() })
    };
    for n in 0..50_u8 {
        store.announce(&[n]).await.unwrap();
    }
    assert!(!waiting.await.unwrap().news.is_empty(), "a listener that waits is woken");
    for _ in 0..2 {
        let (mut heard, mut mark) = (Vec::new(), begun.mark.clone());
        while heard.len() < 50 {
            let more = store.listen(Some(&mark)).await.unwrap();
            assert_eq!(more.epoch, begun.epoch);
            heard.extend(more.news);
            mark = more.mark;
        }
        assert_eq!(heard, (0..50_u8).map(|n| vec![n]).collect::<Vec<_>>());
    }
}
