//! Power fails: of what was not synced, any part may be on the disk, down to a sector of a write.

use std::ops::RangeFrom;

use super::disk::{Disk, Event};
use super::ledger::{Ledger, Shared};
use super::*;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// Chance that comes out the same each time.
pub(super) struct Chance(pub(super) u64);

/// What came of a number of cuts.
#[derive(Debug, Default)]
pub(super) struct Losses {
    cuts: usize,
    unopenable: usize,
    lost: usize,
    unsound: usize,
}

// === impl Chance ===

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound as u64).unwrap()
    }
}

// === impl Losses ===

impl Losses {
    pub(super) fn are_none(&self) -> bool {
        (self.unopenable, self.lost, self.unsound) == (0, 0, 0)
    }
}

/// A disk on which a store was made, used by many at once, swept, and closed.
async fn a_busy_life(disk: Disk) -> Vec<Event> {
    let clock = a_clock();
    let store = Embedded::on(Box::new(disk.clone()), clock.clone()).unwrap();
    let shared = Shared::of(&disk);
    for round in 0..6_u32 {
        let end = clock.now() + Duration::from_secs(1);
        fill(&store, Table::Ticket, round * 100..round * 100 + 60, end).await;
        let lives = (round * 12..round * 12 + 12).map(|n| shared.live(&store, n));
        assert!(all(lives).await.into_iter().all(|done| done));
        clock.advance(SWEPT_AFTER + Duration::from_secs(2));
        store.sweep().await.unwrap();
    }
    drop(store);
    disk.trace()
}

/// What may be on the disk: the base, and any part of what was not synced. The order in which a
/// file grew and shrank is kept, as file systems do.
fn after_a_cut(base: &[u8], unsynced: &[Event], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = base.to_vec();
    let (manner, mut lengths) = (chance.below(5), chance.below(unsynced.len() + 1));
    for (at, event) in unsynced.iter().enumerate() {
        let whole = match manner {
            0 => false,
            1 => true,
            2 => at + 1 == unsynced.len(),
            _ => chance.below(2) == 0,
        };
        match event {
            Event::SetLen(_) if lengths > 0 => {
                lengths -= 1;
                event.apply(&mut bytes);
            }
            Event::Write { offset, data } if manner == 4 => {
                for (n, sector) in data.chunks(SECTOR).enumerate() {
                    if chance.below(2) == 0 {
                        let torn = offset + n * SECTOR;
                        Event::Write { offset: torn, data: sector.into() }.apply(&mut bytes);
                    }
                }
            }
            Event::Write { .. } if whole => event.apply(&mut bytes),
            _ => {}
        }
    }
    bytes
}

/// Opens what a cut left, and holds it to what was said before.
async fn examine(bytes: Vec<u8>, said: &Ledger, losses: &mut Losses) {
    losses.cuts += 1;
    let disk = Disk::holding(bytes);
    let Ok(store) = Embedded::on(Box::new(disk.clone()), a_clock()) else {
        losses.unopenable += 1;
        return;
    };
    let broken = said.broken_by(&store).await;
    losses.lost += usize::from(!broken.is_empty());
    let works = store.insert(Table::Session, b"more", vec![1], later()).await;
    drop(store);
    let sound = works == Ok(true) && is_sound(disk);
    losses.unsound += usize::from(!sound);
}

/// Whether every page is what its parent says, and no page is in use twice.
fn is_sound(disk: Disk) -> bool {
    // What a disk that lies has left may stop the database.
    let check = std::panic::AssertUnwindSafe(|| {
        let mut database = redb::Builder::new().create_with_backend(disk)?;
        database.check_integrity()
    });
    std::panic::catch_unwind(check).is_ok_and(|checked| checked.is_ok_and(|sound| sound))
}

/// Cuts the power at every sync of the span and at `more` moments between.
pub(super) async fn cut(
    trace: &[Event],
    span: RangeFrom<usize>,
    more: usize,
    chance: &mut Chance,
) -> Losses {
    let mut moments: Vec<usize> = {
        let length = trace.len() + 1 - span.start;
        (0..more).map(|_| span.start + chance.below(length)).collect()
    };
    let syncs = trace.iter().enumerate().filter(|(_, event)| matches!(event, Event::Sync));
    let syncs = syncs.filter(|(at, _)| span.contains(at));
    moments.extend(syncs.flat_map(|(at, _)| [at, at + 1]));
    moments.sort_unstable();
    let (mut losses, mut said) = (Losses::default(), Ledger::default());
    let (mut base, mut unsynced, mut moments) = (Vec::new(), Vec::new(), moments.into_iter());
    let mut next = moments.next();
    for at in 0..=trace.len() {
        while next == Some(at) {
            let bytes = after_a_cut(&base, &unsynced, chance);
            examine(bytes, &said, &mut losses).await;
            next = moments.next();
        }
        match trace.get(at) {
            Some(Event::Sync) => {
                unsynced.drain(..).for_each(|event: Event| event.apply(&mut base));
            }
            Some(Event::FailedSync) => {
                base = after_a_cut(&base, &unsynced, chance);
                unsynced.clear();
            }
            Some(event @ (Event::Write { .. } | Event::SetLen(_))) => unsynced.push(event.clone()),
            Some(event) => said.record(event),
            None => {}
        }
    }
    assert!(said.len() > 20, "{}", said.len());
    losses
}

async fn nothing_is_lost_in(cuts: usize) {
    let trace = a_busy_life(Disk::new()).await;
    let losses = cut(&trace, 0.., cuts, &mut Chance(1)).await;
    assert!(losses.cuts >= cuts);
    assert!(losses.are_none(), "{losses:?}");
}

#[tokio::test]
async fn power_may_fail_at_any_moment() {
    nothing_is_lost_in(300).await;
}

#[tokio::test]
#[ignore = "minutes: the same with 10,000 cuts"]
async fn power_may_fail_at_ten_thousand_moments() {
    nothing_is_lost_in(10_000).await;
}

#[tokio::test]
async fn the_model_sees_what_a_store_without_syncs_loses() {
    let trace = a_busy_life(Disk::without_durability()).await;
    let losses = cut(&trace, 0.., 60, &mut Chance(2)).await;
    assert!(losses.lost > 10, "{losses:?}");
}

#[tokio::test]
async fn the_model_sees_what_a_lying_disk_loses() {
    let honest = a_busy_life(Disk::new()).await;
    let trace: Vec<_> = honest.into_iter().filter(|event| !matches!(event, Event::Sync)).collect();
    let losses = cut(&trace, 0.., 60, &mut Chance(3)).await;
    assert!(losses.lost + losses.unopenable > 10, "{losses:?}");
}
