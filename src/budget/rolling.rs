//! A sum over the last minute or hour.

use std::collections::VecDeque;
use std::time::Duration;

/// Amounts of a span of time that moves on, kept by a sixtieth of it. What is read is never too
/// small: an amount counts until the whole of its sixtieth is over.
#[derive(Clone, Debug)]
pub(super) struct Rolling {
    step: Duration,
    amounts: VecDeque<(u64, u64)>,
}

/// Steps of a span.
const STEPS: u64 = 60;

// === impl Rolling ===

impl Rolling {
    pub(super) fn minute() -> Self {
        Self { step: Duration::from_secs(1), amounts: VecDeque::new() }
    }

    pub(super) fn hour() -> Self {
        Self { step: Duration::from_secs(60), amounts: VecDeque::new() }
    }

    pub(super) fn add(&mut self, amount: u64, now: Duration) {
        self.forget(now);
        let step = self.step_of(now);
        match self.amounts.back_mut() {
            Some((last, sum)) if *last == step => *sum += amount,
            _ => self.amounts.push_back((step, amount)),
        }
    }

    /// How long until `amount` more fits below `limit`.
    pub(super) fn wait(&self, amount: u64, limit: u64, now: Duration) -> Duration {
        let live = || self.amounts.iter().filter(|(step, _)| self.end_of(*step) > now);
        let mut sum = live().map(|(_, amount)| amount).sum::<u64>();
        let mut wait = Duration::ZERO;
        for (step, past) in live() {
            if sum + amount <= limit {
                break;
            }
            sum -= past;
            wait = self.end_of(*step).saturating_sub(now);
        }
        wait
    }

    pub(super) fn is_empty(&self, now: Duration) -> bool {
        self.amounts.back().is_none_or(|(step, _)| self.end_of(*step) <= now)
    }

    fn forget(&mut self, now: Duration) {
        while self.amounts.front().is_some_and(|(step, _)| self.end_of(*step) <= now) {
            self.amounts.pop_front();
        }
    }

    fn step_of(&self, now: Duration) -> u64 {
        now.as_secs() / self.step.as_secs()
    }

    /// When an amount counts no more.
    fn end_of(&self, step: u64) -> Duration {
        Duration::from_secs(self.step.as_secs() * (step + 1 + STEPS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_span_holds_is_never_more_than_the_limit() {
        for (mut rolling, span) in [
            (Rolling::minute(), Duration::from_secs(60)),
            (Rolling::hour(), Duration::from_secs(3600)),
        ] {
            let (mut now, mut begun) = (Duration::from_millis(300), Vec::new());
            for n in 0..500_u64 {
                let amount = 1 + n % 5;
                now += rolling.wait(amount, 40, now);
                assert_eq!(rolling.wait(amount, 40, now), Duration::ZERO);
                rolling.add(amount, now);
                begun.push((now, amount));
                let within = begun.iter().filter(|(then, _)| *then + span > now);
                assert!(within.map(|(_, amount)| amount).sum::<u64>() <= 40);
                now += Duration::from_millis(40 * n);
            }
            assert!(rolling.amounts.len() <= 61);
            assert!(!rolling.is_empty(begun[499].0));
            assert!(rolling.is_empty(begun[499].0 + span * 2));
        }
    }

    #[test]
    fn one_waits_until_enough_is_over_and_no_longer() {
        let mut rolling = Rolling::minute();
        rolling.add(30, Duration::from_secs(0));
        rolling.add(10, Duration::from_secs(20));
        let now = Duration::from_millis(30_500);
        assert_eq!(rolling.wait(1, 41, now), Duration::ZERO);
        assert_eq!(rolling.wait(1, 40, now), Duration::from_millis(30_500));
        assert_eq!(rolling.wait(31, 40, now), Duration::from_millis(50_500));
    }
}
