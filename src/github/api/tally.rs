//! What became of everybody's requests: how many there were, and how many cost nothing of GitHub's
//! limits. Kept in memory, for people to look at.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;

use super::reply::Mode;
use crate::clock::Time;
use crate::github::budgets::BudgetKey;

/// The requests of everybody, by the budget that they would be charged to. Whoever asks least is
/// forgotten when there are too many.
pub struct Tally(Cache<BudgetKey, Arc<Counts>>);

/// What the requests on one budget came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tallied {
    /// Since when they are counted.
    pub since: Time,
    /// All of them.
    pub requests: u64,
    /// Those that cost nothing of GitHub's limits.
    pub free: u64,
}

struct Counts {
    since: Time,
    requests: AtomicU64,
    free: AtomicU64,
}

/// Budgets that are counted at once, each in some hundred bytes.
const MOST: usize = 20_000;

// === impl Tally ===

impl Tally {
    pub(super) fn new() -> Self {
        Self(Cache::new(MOST))
    }

    /// Notes what became of a request.
    pub fn note(&self, whose: &BudgetKey, mode: Mode, now: Time) {
        let new = || Ok::<_, std::convert::Infallible>(Arc::new(Counts::since(now)));
        let Ok(counts) = self.0.get_or_insert_with(whose, new);
        counts.requests.fetch_add(1, Ordering::Relaxed);
        if mode.is_free() {
            counts.free.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What is counted, if anything is.
    pub fn of(&self, whose: &BudgetKey) -> Option<Tallied> {
        let counts = self.0.get(whose)?;
        // In this order there are never more free ones than there are.
        let free = counts.free.load(Ordering::Relaxed);
        let requests = counts.requests.load(Ordering::Relaxed).max(free);
        Some(Tallied { since: counts.since, requests, free })
    }
}

// === impl Counts ===

impl Counts {
    fn since(since: Time) -> Self {
        Self { since, requests: AtomicU64::new(0), free: AtomicU64::new(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_counted_alone_and_from_the_first_request() {
        let tally = Tally::new();
        let (octocat, hubot) = (BudgetKey::User(1), BudgetKey::User(2));
        let modes = [
            (Mode::Miss, 0),
            (Mode::Revalidated, 1),
            (Mode::Changed, 1),
            (Mode::Hit, 2),
            (Mode::Collapsed, 3),
            (Mode::Stale, 4),
            (Mode::Refused, 4),
            (Mode::Bypass, 4),
        ];
        assert_eq!(tally.of(&octocat), None);
        for (at, (mode, free)) in (1..).zip(modes) {
            tally.note(&octocat, mode, Time::from_unix(at));
            let requests = u64::try_from(at).unwrap();
            let expected = Tallied { since: Time::from_unix(1), requests, free };
            assert_eq!(tally.of(&octocat), Some(expected), "{mode:?}");
        }
        assert_eq!(tally.of(&hubot), None);
        assert_eq!(tally.of(&BudgetKey::Installation(1)), None);
    }

    #[test]
    fn a_crowd_takes_no_more_than_its_share_of_memory() {
        let tally = Tally::new();
        for id in 0..3 * u64::try_from(MOST).unwrap() {
            tally.note(&BudgetKey::User(id), Mode::Hit, Time::from_unix(0));
        }
        assert!(tally.0.len() <= MOST && tally.0.len() > MOST / 2);
    }
}
