//! What this process has written lately: an answer that GitHub confirms every second is not written
//! every second, and a store that bounds nothing by itself is held within a bound.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};
use ring::digest::{Context, SHA256};

use super::super::memory::Offer;
use super::super::{Principal, Validation};
use super::row::Row;
use crate::clock::Time;

/// Rows that were written, as far as it is known.
pub(super) struct Written {
    rows: Cache<Row, Wrote, Weigh, DefaultHashBuilder, Evicted>,
    evicted: Evicted,
    /// What is in the store from before is not believed, for what came after it may not be there: in
    /// seconds since 1970.
    since: AtomicI64,
}

/// What was written, and when.
#[derive(Clone, Copy)]
pub(super) struct Wrote {
    /// Of a row that says something, what it says.
    pub(super) mark: Mark,
    pub(super) at: Time,
    pub(super) end: Time,
    /// Its size in the store.
    pub(super) bytes: u32,
}

/// What a row says, in short.
pub(super) type Mark = [u8; 16];

#[derive(Clone, Copy)]
struct Weigh;

/// Rows for which there is no room.
#[derive(Clone, Default)]
struct Evicted(Arc<Mutex<HashSet<Row>>>);

/// What a row weighs beside its bytes: its name, and the books of the store.
const ROW: u64 = 256;

/// So long an answer is not written again for GitHub's having confirmed it.
const AGAIN: Duration = Duration::from_secs(600);

/// The same for what anybody was shown, which lasts longer.
const SHARED_AGAIN: Duration = Duration::from_secs(6 * 3600);

// === impl Written ===

impl Written {
    /// For rows of so many bytes.
    pub(super) fn new(bytes: u64) -> Self {
        let options = OptionsBuilder::new()
            .estimated_items_capacity(usize::try_from(bytes / 2048).unwrap_or(usize::MAX).max(64))
            .weight_capacity(bytes)
            // Half of it is for what is new, whatever was used before: a row that is never asked for
            // again is worth nothing, and the newest are those that a restart would miss.
            .hot_allocation(0.5)
            .ghost_allocation(0.1)
            .build()
            .expect("both capacities are given");
        let evicted = Evicted::default();
        let rows =
            Cache::with_options(options, Weigh, DefaultHashBuilder::default(), evicted.clone());
        Self { rows, evicted, since: AtomicI64::new(i64::MIN) }
    }

    /// Whether a row that says this was written a moment ago.
    pub(super) fn is_recent(&self, row: Row, mark: &Mark, now: Time) -> bool {
        let again = if matches!(row, Row::Shown(..)) { AGAIN } else { SHARED_AGAIN };
        let wrote = self.rows.get(&row).filter(|wrote| self.is_believed(wrote.at));
        wrote.is_some_and(|wrote| {
            wrote.mark == *mark && now >= wrote.at && now.since(wrote.at) < again
        })
    }

    /// Whether a row was written and lasts so long.
    pub(super) fn lasts(&self, row: Row, until: Time) -> bool {
        self.rows.get(&row).is_some_and(|wrote| wrote.end >= until)
    }

    /// Whether a row was written, as far as it is known.
    pub(super) fn knows(&self, row: Row) -> bool {
        self.rows.get(&row).is_some()
    }

    pub(super) fn note(&self, row: Row, wrote: Wrote) {
        self.rows.insert(row, wrote);
    }

    pub(super) fn forget(&self, row: Row) {
        self.rows.remove(&row);
    }

    /// Forgets what was written for an asker, whatever its scope, and says what that was.
    pub(super) fn forget_all(&self, who: Principal) -> Vec<Row> {
        let who = who.subject();
        let rows = Mutex::new(Vec::new());
        self.rows.retain(|row, _| {
            let is_theirs =
                matches!(row, Row::Shown(owner, _) | Row::Word(owner) if owner.subject() == who);
            if is_theirs {
                rows.lock().unwrap_or_else(PoisonError::into_inner).push(*row);
            }
            !is_theirs
        });
        rows.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store has answered again after it did not: what is there from before is not believed.
    pub(super) fn begin_anew(&self, now: Time) {
        self.since.store(now.unix(), Ordering::SeqCst);
    }

    /// Whether it is believed what GitHub said then, as far as the store knows.
    pub(super) fn is_believed(&self, asked: Time) -> bool {
        asked.unix() > self.since.load(Ordering::SeqCst)
    }

    /// Everything was forgotten: what was written is of no use, and is to be removed.
    pub(super) fn forget_everything(&self) {
        self.rows.retain(|row, _| {
            self.evicted.rows().insert(*row);
            false
        });
    }

    /// Forgets what was written of what was shown to anybody: it is to be written anew.
    pub(super) fn forget_offers(&self) {
        self.rows.retain(|row, _| !matches!(row, Row::Shown(..) | Row::Shared(_)));
    }

    /// The rows for which there has been no room since this was asked last.
    pub(super) fn take_evicted(&self) -> HashSet<Row> {
        let mut evicted = std::mem::take(&mut *self.evicted.rows());
        // Whatever was written over is here, too.
        evicted.retain(|row| !self.knows(*row));
        evicted
    }
}

/// What is worth writing anew in what an asker was shown: not when GitHub confirmed it.
pub(super) fn mark_of(shown: &Validation) -> Mark {
    let flags = [shown.formula_holds.into(), shown.offered.into()];
    let parts = [&shown.body[..], &shown.token, &flags, shown.about.as_str().as_bytes()];
    let link = shown.headers.get(http::header::LINK).map_or(&b""[..], |link| link.as_bytes());
    mark(parts.into_iter().chain([link, shown.etag.as_bytes()]))
}

/// The same of what was shown to anybody.
pub(super) fn mark_of_offer(offer: &Offer) -> Mark {
    let about = offer.about.as_str().as_bytes();
    mark([&offer.body[..], offer.media_type.as_bytes(), about].into_iter())
}

fn mark<'p>(parts: impl Iterator<Item = &'p [u8]>) -> Mark {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&part.len().to_be_bytes());
        context.update(part);
    }
    context.finish().as_ref()[..16].try_into().expect("SHA-256 has 32 bytes")
}

// === impl Weigh ===

impl Weighter<Row, Wrote> for Weigh {
    fn weight(&self, _row: &Row, wrote: &Wrote) -> u64 {
        ROW + u64::from(wrote.bytes)
    }
}

// === impl Evicted ===

impl Evicted {
    fn rows(&self) -> MutexGuard<'_, HashSet<Row>> {
        // A list of names holds whatever happened to whoever held it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lifecycle<Row, Wrote> for Evicted {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), row: Row, _wrote: Wrote) {
        self.rows().insert(row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrote(at: i64, bytes: u32) -> Wrote {
        let at = Time::from_unix(at);
        Wrote { mark: [1; 16], at, end: at + Duration::from_secs(3600), bytes }
    }

    #[test]
    fn what_was_written_a_moment_ago_is_not_written_again() {
        let written = Written::new(1 << 20);
        let row = Row::Shown(Principal::User { realm: 1, id: 2 }, [1; 32]);
        let at = Time::from_unix(1_000);
        assert!(!written.is_recent(row, &[1; 16], at));
        written.note(row, wrote(1_000, 10));
        assert!(written.is_recent(row, &[1; 16], at + AGAIN - Duration::from_secs(1)));
        assert!(!written.is_recent(row, &[1; 16], at + AGAIN));
        assert!(!written.is_recent(row, &[2; 16], at), "it says something else");
        assert!(written.lasts(row, at + Duration::from_secs(3600)));
        assert!(!written.lasts(row, at + Duration::from_secs(3601)));
        written.forget(row);
        assert!(!written.knows(row));
    }

    #[test]
    fn what_was_written_before_the_store_failed_is_written_again() {
        let written = Written::new(1 << 20);
        let row = Row::Shown(Principal::User { realm: 1, id: 2 }, [1; 32]);
        let at = Time::from_unix(1_000);
        written.note(row, wrote(1_000, 10));
        assert!(written.is_recent(row, &[1; 16], at) && written.is_believed(at), "control");
        written.begin_anew(at);
        assert!(!written.is_recent(row, &[1; 16], at) && !written.is_believed(at));
        assert!(written.knows(row), "it may still be there");
        written.note(row, wrote(1_001, 10));
        assert!(written.is_recent(row, &[1; 16], at + Duration::from_secs(1)));
    }

    #[test]
    fn when_everything_is_forgotten_all_that_was_written_is_to_be_removed() {
        let written = Written::new(1 << 20);
        let rows: Vec<_> = (0..3).map(|n| Row::Body([n; 32])).collect();
        for row in &rows {
            written.note(*row, wrote(0, 10));
        }
        written.forget_everything();
        written.note(rows[0], wrote(0, 10));
        assert_eq!(written.take_evicted(), HashSet::from([rows[1], rows[2]]));
    }

    #[test]
    fn what_there_is_no_room_for_is_told() {
        let written = Written::new(1 << 20);
        for n in 0..2_000_u32 {
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&n.to_be_bytes());
            written.note(Row::Body(hash), wrote(0, 2_000));
            written.note(Row::Body(hash), wrote(0, 2_000));
        }
        let evicted = written.take_evicted();
        assert!(evicted.iter().all(|row| !written.knows(*row)));
        let left = 2_000 - evicted.len();
        assert!((300..=520).contains(&left), "{left}");
        assert!(written.take_evicted().is_empty());
    }
}
