//! A store that fails is left alone for a while: no request waits for what will not come.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::Unavailable;

/// Whether the store is asked.
#[derive(Default)]
pub(super) struct Breaker(Mutex<Option<Trouble>>);

struct Trouble {
    until: Instant,
    told: Instant,
}

/// How long a store that failed is not asked.
const PAUSE: Duration = Duration::from_secs(5);

/// How often the log says so, as long as it fails.
const TOLD_EVERY: Duration = Duration::from_secs(60);

// === impl Breaker ===

impl Breaker {
    /// How much longer the store is not asked; `None` when it is.
    pub(super) fn left(&self) -> Option<Duration> {
        let trouble = self.trouble();
        let left = trouble.as_ref()?.until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// The store has failed.
    pub(super) fn failed(&self, cause: &Unavailable) {
        let (mut trouble, now) = (self.trouble(), Instant::now());
        let told = trouble.as_ref().map(|trouble| trouble.told);
        let told = told.filter(|told| now.duration_since(*told) < TOLD_EVERY);
        if told.is_none() {
            tracing::warn!("answers of GitHub are not kept for now: {}", cause.0);
        }
        *trouble = Some(Trouble { until: now + PAUSE, told: told.unwrap_or(now) });
    }

    /// Whether the store has failed, and has not answered since.
    pub(super) fn is_in_trouble(&self) -> bool {
        self.trouble().is_some()
    }

    /// The store has answered. Where it did not before, `anew` is done before anybody hears of it.
    pub(super) fn worked(&self, anew: impl FnOnce()) {
        let mut trouble = self.trouble();
        // What was asked before it failed may well be answered after.
        if trouble.as_ref().is_some_and(|trouble| trouble.until <= Instant::now()) {
            anew();
            *trouble = None;
            tracing::info!("answers of GitHub are kept again");
        }
    }

    fn trouble(&self) -> MutexGuard<'_, Option<Trouble>> {
        // Two moments hold whatever happened to whoever held them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_store_that_failed_is_left_alone() {
        let breaker = Breaker::default();
        assert_eq!(breaker.left(), None);
        assert!(!breaker.is_in_trouble());
        breaker.failed(&Unavailable("it is down".into()));
        let left = breaker.left().expect("it is left alone");
        assert!(left <= PAUSE, "{left:?}");
        breaker.worked(|| panic!("it has not answered yet"));
        assert!(breaker.left().is_some(), "an answer to an older question");
        tokio::time::sleep(PAUSE).await;
        assert_eq!(breaker.left(), None, "it is tried again");
        assert!(breaker.is_in_trouble());
        let mut is_anew = false;
        breaker.worked(|| is_anew = true);
        assert!(is_anew && !breaker.is_in_trouble());
        breaker.worked(|| panic!("that was not the first answer"));
    }
}
