//! Growing pauses: what failed is not tried again at once, and each time later.

use std::time::Duration;

use crate::clock::Time;

/// How something went lately that GitHub is asked for.
#[derive(Debug, Default)]
pub struct Pauses {
    failures: u32,
    not_before: Option<Time>,
}

/// The first pause; doubled each time.
const FIRST: Duration = Duration::from_secs(5);

/// The longest pause.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(300);

// === impl Pauses ===

impl Pauses {
    /// Notes a failure that may pass.
    pub fn fail(&mut self, now: Time) {
        let pause = FIRST.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(now + pause.min(LONGEST_PAUSE));
    }

    /// Notes a failure after which asking soon makes it worse.
    pub fn fail_for_long(&mut self, now: Time) {
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(now + LONGEST_PAUSE);
    }

    /// Notes that there is nothing to wait for.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether it is not to be tried yet. A clock that jumped back lengthens no pause.
    pub fn hold(&self, now: Time) -> bool {
        self.not_before.is_some_and(|time| now < time && now + LONGEST_PAUSE >= time)
    }

    /// Whether it can be forgotten: the next failure would not come soon after the last.
    pub fn are_over(&self, now: Time) -> bool {
        self.not_before.is_none_or(|time| time + LONGEST_PAUSE <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_begin_anew_after_a_success() {
        let (mut pauses, mut now) = (Pauses::default(), Time::from_unix(0));
        for seconds in [5, 10, 20, 40, 80, 160, 300, 300, 5] {
            if seconds == 5 {
                pauses.clear();
            }
            assert!(!pauses.hold(now));
            pauses.fail(now);
            assert!(pauses.hold(now + Duration::from_secs(seconds - 1)), "{seconds}");
            assert!(!pauses.are_over(now + Duration::from_secs(seconds)), "{seconds}");
            assert!(!pauses.hold(now - Duration::from_secs(400)), "{seconds}");
            now = now + Duration::from_secs(seconds);
        }
        assert!(pauses.are_over(now + LONGEST_PAUSE));
        pauses.fail_for_long(now);
        assert!(pauses.hold(now + Duration::from_secs(299)));
    }
}
