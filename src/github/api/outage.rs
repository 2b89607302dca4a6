//! When GitHub has failed again and again it is left alone for moments: whoever can be answered from
//! what is held does not wait for one more failure.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Time;

/// How GitHub has answered lately.
#[derive(Default)]
pub(super) struct Outage(Mutex<Option<Failures>>);

/// Failures in a row.
#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    first: Time,
    last_try: Time,
}

/// So many in a row are no accident,
const MOST: u32 = 5;

/// if they come within this time.
const SPAN: Duration = Duration::from_secs(10);

/// How long nobody tries again.
const PAUSE: Duration = Duration::from_secs(2);

// === impl Outage ===

impl Outage {
    /// Whether GitHub is left alone now. Whoever is told otherwise after a pause tries for all.
    pub(super) fn is_on(&self, now: Time) -> bool {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(failures) = failures.as_mut().filter(|failures| failures.count >= MOST) else {
            return false;
        };
        let is_pause = now.since(failures.last_try) < PAUSE && now >= failures.last_try;
        if !is_pause {
            failures.last_try = now;
        }
        is_pause
    }

    /// Notes whether GitHub has answered.
    pub(super) fn note(&self, is_answered: bool, now: Time) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *failures = (!is_answered).then(|| match *failures {
            Some(row) if row.count >= MOST || now.since(row.first) <= SPAN => {
                Failures { count: row.count.saturating_add(1), last_try: now, ..row }
            }
            _ => Failures { count: 1, first: now, last_try: now },
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Time {
        Time::from_unix(1_000 + second)
    }

    fn failing(seconds: &[i64]) -> Outage {
        let outage = Outage::default();
        for second in seconds {
            outage.note(false, at(*second));
        }
        outage
    }

    #[test]
    fn five_failures_in_a_row_within_ten_seconds_are_an_outage() {
        assert!(!Outage::default().is_on(at(0)));
        assert!(!failing(&[0, 1, 2, 3]).is_on(at(3)));
        assert!(failing(&[0, 1, 2, 3, 4]).is_on(at(4)));
        assert!(failing(&[0, 0, 0, 0, 10]).is_on(at(10)));
        assert!(!failing(&[0, 0, 0, 0, 11]).is_on(at(11)), "too long ago");
        let outage = failing(&[0, 1, 2]);
        outage.note(true, at(2));
        outage.note(false, at(3));
        outage.note(false, at(4));
        assert!(!outage.is_on(at(4)), "not in a row");
    }

    #[test]
    fn every_two_seconds_somebody_tries() {
        let outage = failing(&[0, 0, 0, 0, 0]);
        assert!(outage.is_on(at(1)));
        assert!(!outage.is_on(at(2)));
        assert!(outage.is_on(at(2)), "one is enough");
        assert!(outage.is_on(at(3)));
        outage.note(false, at(4));
        assert!(outage.is_on(at(5)), "it was in vain");
        assert!(!outage.is_on(at(60)));
        outage.note(true, at(60));
        assert!(!outage.is_on(at(60)));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_prolong_it() {
        assert!(!failing(&[100; 5]).is_on(at(0)));
    }
}
