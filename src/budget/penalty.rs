//! Staying away after a secondary limit: for as long as GitHub says, or longer each time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Time;

/// Whether GitHub's secondary limit keeps a budget from asking.
#[derive(Clone, Copy, Debug, Default)]
pub struct Penalty {
    strike: Option<Strike>,
}

/// The last refusal: what another node needs to know to stay away as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strike {
    /// Nothing is sent before this moment.
    pub until: Time,
    /// How many refusals without a time came before it in a row.
    pub count: u32,
}

/// The first pause when GitHub names none; doubled each time.
const FIRST: Duration = Duration::from_secs(60);

/// The longest of these pauses.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// So long without a refusal, and one is forgotten.
const QUIET: Duration = Duration::from_secs(10 * 60);

/// GitHub never names a longer one: a clock has jumped, or something else answered.
const LONGEST_NAMED: Duration = Duration::from_secs(24 * 3600);

/// A moment is a whole second, so one more is waited than was asked for.
const SECOND: Duration = Duration::from_secs(1);

// === impl Penalty ===

impl Penalty {
    /// Notes a refusal, with the pause that GitHub asks for. Those that come while it is closed were
    /// sent before and say nothing new, unless they ask for longer.
    pub fn strike(&mut self, pause: Option<Duration>, now: Time) {
        let is_first = self.closed(now).is_none();
        let count = self.count(now);
        match pause {
            Some(pause) => self.close(now + pause.min(LONGEST_NAMED) + SECOND, count, now),
            None if is_first => self.close(now + grown(count) + SECOND, count + 1, now),
            None => {}
        }
    }

    /// Takes over what another node was told: it lengthens a pause, to a quarter of an hour at most, and
    /// shortens none. Where GitHub wants more, it says so to whoever asks then.
    pub fn adopt(&mut self, other: Strike, now: Time) {
        if now < other.until && other.until <= now + LONGEST_NAMED + SECOND {
            let until = other.until.min(now + LONGEST + SECOND);
            self.close(until, self.count(now).max(other.count), now);
        }
    }

    /// How long nothing may be sent, if anything is to be waited for.
    pub fn closed(&self, now: Time) -> Option<Duration> {
        let until = self.strike?.until;
        (now < until && until <= now + LONGEST_NAMED + SECOND).then(|| until.since(now))
    }

    /// The last refusal, for other nodes.
    pub fn last(&self) -> Option<Strike> {
        self.strike
    }

    /// Whether the next refusal would be the first one again.
    pub fn is_over(&self, now: Time) -> bool {
        self.closed(now).is_none() && self.count(now) == 0
    }

    /// The longer pause stays, unless it is one of a clock that has jumped back since.
    fn close(&mut self, until: Time, count: u32, now: Time) {
        let held = self.strike.filter(|_| self.closed(now).is_some());
        let until = held.map_or(until, |last| last.until.max(until));
        self.strike = Some(Strike { until, count });
    }

    /// How many refusals still count.
    fn count(&self, now: Time) -> u32 {
        self.strike.map_or(0, |last| {
            let quiet = now.since(last.until).as_secs() / QUIET.as_secs();
            last.count.saturating_sub(u32::try_from(quiet).unwrap_or(u32::MAX))
        })
    }
}

fn grown(count: u32) -> Duration {
    FIRST.saturating_mul(1 << count.min(8)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_unix(1_000);
    const fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn the_pause_that_github_names_is_kept() {
        let mut penalty = Penalty::default();
        assert_eq!(penalty.closed(NOW), None);
        penalty.strike(Some(seconds(7)), NOW);
        assert_eq!(penalty.closed(NOW), Some(seconds(8)), "a second more for the rounding");
        assert_eq!(penalty.closed(NOW + seconds(7)), Some(seconds(1)));
        assert_eq!(penalty.closed(NOW + seconds(8)), None);
        assert!(penalty.is_over(NOW + seconds(8)), "that was no guess, so none grows");
    }

    #[test]
    fn without_one_it_grows_to_a_limit() {
        let (mut penalty, mut now) = (Penalty::default(), NOW);
        for pause in [60, 120, 240, 480, 900, 900] {
            penalty.strike(None, now);
            assert_eq!(penalty.closed(now), Some(seconds(pause + 1)));
            now = now + seconds(pause + 1);
            assert_eq!(penalty.closed(now), None);
        }
        // Six in a row; each ten quiet minutes take one away.
        penalty.strike(None, now + QUIET * 5 - SECOND);
        assert_eq!(penalty.closed(now + QUIET * 5 - SECOND), Some(seconds(4 * 60 + 1)));
        assert!(!penalty.is_over(now + QUIET * 5));
        assert!(penalty.is_over(now + QUIET * 10));
    }

    #[test]
    fn refusals_of_one_burst_count_once() {
        let mut penalty = Penalty::default();
        for _ in 0..10 {
            penalty.strike(None, NOW);
        }
        assert_eq!(penalty.closed(NOW), Some(seconds(61)));
        penalty.strike(Some(seconds(5)), NOW);
        assert_eq!(penalty.closed(NOW), Some(seconds(61)), "the longer one stays");
        penalty.strike(Some(seconds(90)), NOW);
        assert_eq!(penalty.closed(NOW), Some(seconds(91)));
    }

    #[test]
    fn a_strike_of_another_node_counts_here() {
        let (mut here, mut there) = (Penalty::default(), Penalty::default());
        there.strike(None, NOW);
        here.adopt(there.last().unwrap(), NOW + seconds(2));
        assert_eq!(here.closed(NOW + seconds(2)), Some(seconds(59)));
        here.strike(None, NOW + seconds(61));
        assert_eq!(here.closed(NOW + seconds(61)), Some(seconds(121)), "the second in a row");
        here.adopt(Strike { until: NOW + LONGEST_NAMED * 2, count: 0 }, NOW);
        assert_eq!(here.closed(NOW + seconds(300)), None, "a broken clock there");
    }

    #[test]
    fn a_strike_of_another_node_only_lengthens_and_not_beyond_a_quarter_of_an_hour() {
        let strike = |n| Strike { until: NOW + seconds(n), count: 0 };
        let mut penalty = Penalty::default();
        penalty.adopt(strike(3600), NOW);
        assert_eq!(penalty.closed(NOW), Some(seconds(901)));
        penalty.adopt(strike(10), NOW);
        assert_eq!(penalty.closed(NOW), Some(seconds(901)), "the longer one stays");
        let mut penalty = Penalty::default();
        penalty.strike(Some(seconds(3600)), NOW);
        penalty.adopt(strike(7200), NOW);
        assert_eq!(penalty.closed(NOW), Some(seconds(3601)), "what GitHub said here stays");
        let mut penalty = Penalty::default();
        penalty.strike(None, NOW);
        penalty.adopt(Strike { until: NOW - seconds(5000), count: 0 }, NOW + seconds(90));
        assert!(!penalty.is_over(NOW + seconds(90)), "what is over says nothing");
    }

    #[test]
    fn a_clock_that_jumped_back_closes_nothing_for_long() {
        let mut penalty = Penalty::default();
        penalty.strike(None, NOW + LONGEST_NAMED * 2);
        assert_eq!(penalty.closed(NOW), None);
        penalty.strike(Some(LONGEST_NAMED * 9), NOW);
        assert_eq!(penalty.closed(NOW), Some(LONGEST_NAMED + SECOND), "and no pause is for ever");
    }
}
