//! The disk fails: what was said to be done is there, and the store works again by itself.

use super::disk::{Disk, Event, Fault};
use super::ledger::{Ledger, Shared};
use super::power_loss::{Chance, cut};
use super::*;

/// What came of a disk that failed.
struct Aftermath {
    disk: Disk,
    said: Ledger,
    faults: u64,
    /// Whether anything was answered with an error.
    refused: bool,
}

/// A store whose disk begins to fail after so many writes and syncs, and is mended later.
async fn trouble(disk: Disk, fault: Fault, after: u64) -> Aftermath {
    let store = Embedded::on(Box::new(disk.clone()), a_clock()).unwrap();
    let shared = Shared::of(&disk);
    assert!(all((0..6).map(|n| shared.live(&store, n))).await.into_iter().all(|done| done));
    disk.fail(fault, after);
    let mut refused = false;
    for round in 1..4_u32 {
        let lives = (round * 6..round * 6 + 6).map(|n| shared.live(&store, n));
        refused |= all(lives).await.contains(&false);
    }
    let faults = disk.heal();
    works_again(&store, &shared).await;
    if fault != Fault::Lie {
        assert_eq!(shared.ledger().broken_by(&store).await, Vec::<Vec<u8>>::new());
    }
    drop(store);
    Aftermath { disk, said: shared.ledger(), faults, refused }
}

/// The disk is well; the store finds out after its pause, which is short here.
async fn works_again(store: &Embedded, shared: &Shared) {
    for n in 1_000..2_000 {
        if shared.live(store, n).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it does not work again");
}

/// The rows that are not as was said: in what the disk shows, and in what power cut would leave.
async fn broken(aftermath: &Aftermath) -> usize {
    let mut broken = 0;
    for bytes in [aftermath.disk.shown(), aftermath.disk.durable()] {
        match Embedded::on(Box::new(Disk::holding(bytes)), a_clock()) {
            Ok(store) => broken += aftermath.said.broken_by(&store).await.len(),
            Err(_) => broken += 1,
        }
    }
    broken
}

/// Lets the disk fail at every place, `step` apart, until it is not reached any more.
async fn at_every_place(fault: Fault, step: usize) {
    let mut failed = 0;
    for after in (0..).step_by(step) {
        let aftermath = trouble(Disk::new(), fault, after).await;
        if aftermath.faults == 0 {
            break;
        }
        failed += 1;
        assert_eq!(broken(&aftermath).await, 0, "{fault:?} after {after}");
        // The last places are those of closing, when all was answered.
        assert!(aftermath.refused || after > 10, "{fault:?} after {after} went unnoticed");
    }
    assert!(failed > 3, "{fault:?} happened {failed} times");
}

#[tokio::test]
async fn one_failure_anywhere_loses_nothing_that_was_said() {
    at_every_place(Fault::Once, 2).await;
}

#[tokio::test]
async fn a_disk_that_fails_for_long_loses_nothing_that_was_said() {
    at_every_place(Fault::FromNow, 6).await;
}

#[tokio::test]
async fn a_full_disk_loses_nothing_that_was_said() {
    at_every_place(Fault::Full, 6).await;
}

#[tokio::test]
#[ignore = "minutes: every kind of failure at every place"]
async fn every_failure_at_every_place() {
    for fault in [Fault::Once, Fault::FromNow, Fault::Full] {
        at_every_place(fault, 1).await;
    }
}

/// How many of the places where a sync fails leave something that a cut later on destroys.
async fn places_that_lose(make: fn() -> Disk) -> usize {
    let (mut chance, mut losing) = (Chance(4), 0);
    for after in (0..60).step_by(3) {
        let trace = trouble(make(), Fault::Once, after).await.disk.trace();
        let failed = trace.iter().position(|event| matches!(event, Event::FailedSync));
        let Some(failed) = failed else { continue };
        losing += usize::from(!cut(&trace, failed.., 12, &mut chance).await.are_none());
    }
    losing
}

#[tokio::test]
async fn power_may_fail_after_a_sync_has_failed() {
    assert_eq!(places_that_lose(Disk::new).await, 0);
}

#[tokio::test]
async fn the_model_sees_what_a_failed_sync_does_to_one_phase() {
    assert!(places_that_lose(Disk::one_phase).await > 0);
}

#[tokio::test]
async fn the_model_sees_what_a_lying_sync_loses() {
    let mut lost = 0;
    for after in [0, 5, 10] {
        lost += broken(&trouble(Disk::new(), Fault::Lie, after).await).await;
    }
    assert!(lost > 0);
}

#[tokio::test]
async fn a_full_disk_stops_writes_alone() {
    let disk = Disk::new();
    let store = Embedded::on(Box::new(disk.clone()), a_clock()).unwrap();
    fill(&store, Table::Session, 0..100, later()).await;
    disk.fail(Fault::Full, 0);
    for key in 0..100_u32 {
        let written = store.insert(Table::Ticket, &key.to_be_bytes(), vec![], later()).await;
        assert!(written.is_err());
        let read = store.get(Table::Session, &key.to_be_bytes()).await;
        assert_eq!(read, Ok(Some(vec![7; 300])), "{key}");
    }
}
