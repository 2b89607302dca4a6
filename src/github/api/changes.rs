//! What has changed at GitHub as far as is known: by writes through the gateway, by webhooks. What was
//! asked for before a change is not fresh any more, and no question waits for an answer to it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dashmap::DashMap;
use serde_json::Value;

use crate::clock::Time;
use crate::freshness::WARY;
use crate::freshness::tags::{Names, Tag, names_in};
use crate::store::Principal;

/// Changes, each with its number: later ones have higher ones.
pub(super) struct Changes {
    count: AtomicU64,
    /// All that was asked for before this change counts as changed.
    blanket: AtomicU64,
    of_tags: DashMap<Tag, Change>,
    of_everything: DashMap<Principal, Change>,
    /// The two names of a repository, for pages of a list are found by the other one.
    names: Mutex<Names>,
}

#[derive(Clone, Copy)]
struct Change {
    number: u64,
    at: Time,
}

/// Names that are remembered with their numbers.
const MOST_NAMES: usize = 50_000;

/// Tags whose last change is remembered: an hour of a busy organisation.
const MOST_TAGS: usize = 200_000;

// === impl Changes ===

impl Changes {
    pub(super) fn new() -> Self {
        Self {
            count: AtomicU64::new(0),
            blanket: AtomicU64::new(0),
            of_tags: DashMap::new(),
            of_everything: DashMap::new(),
            names: Mutex::new(Names::new(MOST_NAMES)),
        }
    }

    /// The number of the last change.
    pub(super) fn latest(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Something with these tags has changed, or may have.
    pub(super) fn note(&self, tags: Vec<Tag>, now: Time) {
        let change = self.next(now);
        for tag in self.names().with_twins(tags) {
            self.of_tags.insert(tag, change);
        }
        if self.of_tags.len() > MOST_TAGS {
            // So many things change within the hour that none counts as fresh for a while.
            self.of_tags.clear();
            self.blanket.store(change.number, Ordering::Release);
        }
    }

    /// Learns which name goes with which number.
    pub(super) fn learn(&self, said: &Value) {
        let mut names = self.names();
        for (name, id) in names_in(said) {
            names.learn(name, id);
        }
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        // A map of names holds whatever happened to whoever held it.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Anything that this asker sees may have changed.
    pub(super) fn note_everything(&self, who: Principal, now: Time) {
        self.of_everything.insert(who, self.next(now));
    }

    /// Whether something has changed after the change of this number.
    pub(super) fn is_outdated(&self, who: Principal, tags: &[Tag], number: u64) -> bool {
        number < self.blanket.load(Ordering::Acquire)
            || self.of(who, tags).any(|change| change.number > number)
    }

    /// Whether nothing has changed since that was asked for, nor so shortly before that one of
    /// GitHub's replicas may not have known it.
    pub(super) fn left_untouched(
        &self,
        who: Principal,
        tags: &[Tag],
        asked: Time,
        number: u64,
    ) -> bool {
        number >= self.blanket.load(Ordering::Acquire)
            && self.of(who, tags).all(|change| change.number <= number && asked >= change.at + WARY)
    }

    /// Forgets changes that no fresh answer can be older than.
    pub(super) fn sweep(&self, longest_fresh: Duration, now: Time) {
        let is_recent = |change: &Change| now.since(change.at) <= longest_fresh + WARY;
        self.of_tags.retain(|_, change| is_recent(change));
        self.of_everything.retain(|_, change| is_recent(change));
    }

    fn next(&self, at: Time) -> Change {
        Change { number: self.count.fetch_add(1, Ordering::AcqRel) + 1, at }
    }

    fn of(&self, who: Principal, tags: &[Tag]) -> impl Iterator<Item = Change> {
        let everything = self.of_everything.get(&who).map(|change| *change);
        let tagged = tags.iter().filter_map(|tag| self.of_tags.get(tag).map(|change| *change));
        everything.into_iter().chain(tagged)
    }
}
