//! What has changed at GitHub as far as is known: by writes through the gateway, by webhooks. What was
//! asked for before a change is not fresh any more, and no question waits for an answer to it.

use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use dashmap::DashMap;
use serde_json::Value;

use crate::clock::Time;
use crate::defence::{Defence, stands};
use crate::freshness::WARY;
use crate::freshness::tags::{Names, Tag, names_in};
use crate::store::Principal;

/// Changes, each with its number: later ones have higher ones.
pub(super) struct Changes {
    count: AtomicU64,
    /// All that was asked for before this change counts as changed.
    blanket: ArcSwapOption<Change>,
    of_tags: DashMap<Tag, Change>,
    of_everything: DashMap<Principal, Change>,
    /// Who was to be forgotten.
    ends: DashMap<Principal, Change>,
    /// The two names of a repository, for pages of a list are found by the other one.
    names: Mutex<Names>,
}

#[derive(Clone, Copy)]
pub(super) struct Change {
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
            blanket: ArcSwapOption::empty(),
            of_tags: DashMap::new(),
            of_everything: DashMap::new(),
            ends: DashMap::new(),
            names: Mutex::new(Names::new(MOST_NAMES)),
        }
    }

    /// The number of the last change.
    pub(super) fn latest(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Something with these tags has changed, or may have.
    pub(super) fn note(&self, tags: Vec<Tag>, now: Time) {
        if tags.is_empty() || !stands(Defence::Invalidation) {
            return;
        }
        let change = self.next(now);
        for tag in self.with_twins(tags) {
            raise(&self.of_tags, tag, change);
        }
        if self.of_tags.len() > MOST_TAGS {
            // So many things change within the hour that none counts as fresh for a while.
            let all = self.note_all(now);
            self.of_tags.retain(|_, change| change.number > all.number);
        }
    }

    /// Anything may have changed.
    pub(super) fn note_all(&self, now: Time) -> Change {
        let change = self.next(now);
        self.blanket.rcu(|known| {
            let later = known.as_deref().copied().filter(|known| known.number > change.number);
            Some(Arc::new(later.unwrap_or(change)))
        });
        change
    }

    /// These tags, and those of the same things in their other spelling.
    pub(super) fn with_twins(&self, tags: Vec<Tag>) -> Vec<Tag> {
        self.names().with_twins(tags)
    }

    /// Learns which name goes with which number, from what GitHub answers just now.
    pub(super) fn learn(&self, said: &Value) {
        let mut names = self.names();
        for (name, id) in names_in(said) {
            names.learn(name, id);
        }
    }

    /// Learns the same from webhooks, which anybody who has seen them can send again: no known name
    /// gives way to theirs, but where something is `renamed`.
    pub(super) fn learn_names(&self, told: &[(String, u64)], renamed: &[(String, u64)]) {
        let mut names = self.names();
        for (name, id) in renamed {
            names.learn(name, *id);
        }
        for (name, id) in told {
            if stands(Defence::WebhookAge) {
                names.add(name, *id);
            } else {
                names.learn(name, *id);
            }
        }
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        // A map of names holds whatever happened to whoever held it.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Anything that this asker sees may have changed.
    pub(super) fn note_everything(&self, who: Principal, now: Time) {
        raise(&self.of_everything, who.subject(), self.next(now));
    }

    /// Nobody asks in this name any more.
    pub(super) fn note_end(&self, who: Principal, now: Time) {
        self.note_everything(who, now);
        raise(&self.ends, who.subject(), self.next(now));
    }

    /// Whether this asker was to be forgotten since that was said, or shortly before: clocks differ.
    pub(super) fn ended_by(&self, who: Principal, said: Time) -> bool {
        self.ends.get(&who.subject()).is_some_and(|end| said <= end.at + WARY)
    }

    /// Whether this asker was to be forgotten after the change of this number.
    pub(super) fn has_ended(&self, who: Principal, number: u64) -> bool {
        self.ends.get(&who.subject()).is_some_and(|change| change.number > number)
    }

    /// Whether something has changed after the change of this number.
    pub(super) fn is_outdated(&self, who: Principal, tags: &[Tag], number: u64) -> bool {
        self.of(who, tags).any(|change| change.number > number)
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
        self.of(who, tags).all(|change| change.number <= number && asked >= change.at + WARY)
    }

    /// Forgets changes that no fresh answer can be older than.
    pub(super) fn sweep(&self, longest_fresh: Duration, now: Time) {
        let is_recent = |change: &Change| now.since(change.at) <= longest_fresh + WARY;
        self.of_tags.retain(|_, change| is_recent(change));
        self.of_everything.retain(|_, change| is_recent(change));
        self.ends.retain(|_, change| is_recent(change));
    }

    fn next(&self, at: Time) -> Change {
        Change { number: self.count.fetch_add(1, Ordering::AcqRel) + 1, at }
    }

    fn of(&self, who: Principal, tags: &[Tag]) -> impl Iterator<Item = Change> {
        let blanket = self.blanket.load().as_deref().copied();
        let everything = self.of_everything.get(&who.subject()).map(|change| *change);
        let tagged = tags.iter().filter_map(|tag| self.of_tags.get(tag).map(|change| *change));
        blanket.into_iter().chain(everything).chain(tagged)
    }
}

/// Of two changes that are noted at once, the later one stays.
fn raise<K: Eq + Hash>(of: &DashMap<K, Change>, key: K, change: Change) {
    let mut known = of.entry(key).or_insert(change);
    if known.number < change.number {
        *known = change;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_unix(1_000_000);
    const OCTOCAT: Principal = Principal::User { realm: 1, id: 1 };

    fn tag(text: &str) -> Tag {
        Tag::from(text.to_owned())
    }

    #[test]
    fn of_two_changes_at_once_the_later_one_counts() {
        let map = DashMap::new();
        let change = |number| Change { number, at: START };
        for number in [2, 1, 3] {
            raise(&map, "key", change(number));
        }
        assert_eq!(map.get("key").map(|change| change.number), Some(3));
    }

    #[test]
    fn changes_of_many_threads_are_numbered_without_a_gap_or_a_loss() {
        let changes = Changes::new();
        let last = std::thread::scope(|scope| {
            let note = |_| {
                for _ in 0..1000 {
                    changes.note(vec![tag("repo:acme/wiki")], START);
                    changes.note_everything(OCTOCAT, START);
                    changes.note_all(START);
                }
            };
            let threads: Vec<_> = (0..4).map(|n| scope.spawn(move || note(n))).collect();
            for thread in threads {
                thread.join().unwrap();
            }
            changes.latest()
        });
        assert_eq!(last, 12_000);
        let of = [
            changes.of_tags.iter().map(|change| change.number).max(),
            changes.of_everything.iter().map(|change| change.number).max(),
            changes.blanket.load().as_deref().map(|change| change.number),
        ];
        assert_eq!(of.into_iter().max(), Some(Some(last)));
        // Of each kind there is one of the last twelve, for each thread ends with one of each.
        assert!(of.into_iter().all(|number| number > Some(last - 12)), "{of:?}");
    }

    #[test]
    fn too_many_changes_are_a_change_of_all_and_no_later_one_is_lost() {
        let changes = Changes::new();
        let before = changes.latest();
        changes.note((0..=MOST_TAGS).map(|n| tag(&format!("repo:#{n}"))).collect(), START);
        assert!(changes.of_tags.is_empty());
        let other = [tag("repo:acme/wiki")];
        assert!(changes.is_outdated(OCTOCAT, &other, before));
        assert!(!changes.is_outdated(OCTOCAT, &other, changes.latest()));
    }

    #[test]
    fn an_installation_is_one_whatever_its_token_may() {
        let changes = Changes::new();
        let of = |id, scope| Principal::Installation { realm: 1, id, scope };
        let is_outdated = |who, number| changes.is_outdated(who, &[], number);
        changes.note_end(of(5, 0), START);
        assert!(changes.has_ended(of(5, 77), 0) && is_outdated(of(5, 77), 0));
        let latest = changes.latest();
        assert!(!changes.has_ended(of(5, 77), latest) && !is_outdated(of(5, 77), latest));
        assert!(!changes.has_ended(of(6, 77), 0) && !is_outdated(of(6, 77), 0));
    }

    #[test]
    fn whatever_may_have_changed_for_somebody_is_no_end() {
        let changes = Changes::new();
        changes.note_everything(OCTOCAT, START);
        assert!(changes.is_outdated(OCTOCAT, &[], 0) && !changes.has_ended(OCTOCAT, 0));
        changes.note_end(OCTOCAT, START);
        assert!(changes.has_ended(OCTOCAT, 0), "control");
    }
}
