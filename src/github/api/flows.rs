//! What flows, answers and uploads, each for as long as its client takes: it holds no place of the
//! budgets, which others need for moments, but one of a few of its own.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// The places of what flows one way.
pub(super) struct Flows {
    all: Arc<Semaphore>,
    most_of_account: usize,
    by_account: DashMap<u64, Arc<Semaphore>>,
}

/// One place, for as long as it is held.
pub(super) struct FlowPlace {
    _own: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

/// Answers that flow at once.
pub(super) const MOST: u32 = 30;

/// The same of one account, whatever sessions and keys it has.
const MOST_OF_ACCOUNT: usize = 4;

/// Uploads that flow at once. Each is one of the requests under way within all budgets, too.
const MOST_UPLOADS: u32 = 25;

/// The same of one account: `gh release upload` sends five files at once.
const MOST_UPLOADS_OF_ACCOUNT: usize = 5;

// === impl Flows ===

impl Flows {
    /// Of answers.
    pub(super) fn of_answers() -> Self {
        Self::new(MOST, MOST_OF_ACCOUNT)
    }

    /// Of uploads.
    pub(super) fn of_uploads() -> Self {
        Self::new(MOST_UPLOADS, MOST_UPLOADS_OF_ACCOUNT)
    }

    fn new(most: u32, most_of_account: usize) -> Self {
        let all = Arc::new(Semaphore::new(most as usize));
        Self { all, most_of_account, by_account: DashMap::new() }
    }

    /// Waits for a place so long; `None` where there is none.
    pub(super) async fn enter(&self, account: u64, max_wait: Duration) -> Option<FlowPlace> {
        let deadline = Instant::now() + max_wait;
        let own = timeout_at(deadline, self.of(account).acquire_owned()).await.ok()?.ok()?;
        let of_all = timeout_at(deadline, self.all.clone().acquire_owned()).await.ok()?.ok()?;
        Some(FlowPlace { _own: own, _of_all: of_all })
    }

    /// Forgets accounts for which nothing flows.
    pub(super) fn sweep(&self) {
        // Whoever holds one found it under the same lock, so nobody is about to use it.
        self.by_account.retain(|_, places| Arc::strong_count(places) > 1);
    }

    fn of(&self, account: u64) -> Arc<Semaphore> {
        let new = || Arc::new(Semaphore::new(self.most_of_account));
        self.by_account.entry(account).or_insert_with(new).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Duration = Duration::ZERO;

    async fn places(flows: &Flows, account: u64, count: usize) -> Vec<FlowPlace> {
        let mut places = Vec::new();
        for _ in 0..count {
            places.extend(flows.enter(account, AT_ONCE).await);
        }
        places
    }

    #[tokio::test]
    async fn an_account_has_four_and_all_have_thirty() {
        let flows = Flows::of_answers();
        let mut mine = places(&flows, 1, 9).await;
        assert_eq!(mine.len(), 4);
        let mut others = Vec::new();
        for account in 2..10 {
            others.extend(places(&flows, account, 4).await);
        }
        assert_eq!(mine.len() + others.len(), 30);
        mine.pop();
        assert_eq!(places(&flows, 99, 9).await.len(), 1, "what one lets go, another gets");
    }

    #[tokio::test]
    async fn uploads_have_places_of_their_own() {
        let uploads = Flows::of_uploads();
        let mut held = places(&uploads, 1, 9).await;
        assert_eq!(held.len(), 5);
        for account in 2..9 {
            held.extend(places(&uploads, account, 9).await);
        }
        assert_eq!(held.len(), 25);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_gets_what_is_let_go() {
        let flows = Flows::of_answers();
        let mut mine = places(&flows, 1, 4).await;
        let second = Duration::from_secs(1);
        let (entered, ()) = tokio::join!(flows.enter(1, 5 * second), async {
            tokio::time::sleep(4 * second).await;
            mine.pop();
        });
        assert!(entered.is_some());
        assert!(flows.enter(1, 5 * second).await.is_none());
    }

    #[tokio::test]
    async fn nothing_is_remembered_of_who_has_no_place() {
        let flows = Flows::of_answers();
        let mine = places(&flows, 1, 1).await;
        drop(places(&flows, 2, 4).await);
        flows.sweep();
        assert_eq!((flows.by_account.len(), mine.len()), (1, 1));
        assert_eq!(places(&flows, 1, 9).await.len(), 3);
    }
}
