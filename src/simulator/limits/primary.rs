//! The budgets: so many requests in a window that opens with the first of them.

use std::{collections::HashMap, time::Duration};

use super::{Limits, Payer};
use crate::simulator::record::Recorded;

/// What has a budget of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::simulator) enum Resource {
    Core,
    Search,
    Graphql,
}

/// A budget as the headers tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) struct Rate {
    pub(in crate::simulator) resource: Resource,
    pub(in crate::simulator) limit: u64,
    pub(in crate::simulator) used: u64,
    /// When the window ends, in the simulator's time.
    pub(in crate::simulator) reset: Duration,
}

/// Every window there is.
#[derive(Debug, Default)]
pub(super) struct Windows {
    open: HashMap<(Payer, Resource, bool), Window>,
    turn: u64,
    charged: HashMap<Payer, u64>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    until: Duration,
    used: u64,
}

// === impl Resource ===

impl Resource {
    pub(in crate::simulator) const ALL: [Self; 3] = [Self::Core, Self::Search, Self::Graphql];

    pub(super) fn of(request: &Recorded) -> Self {
        let path = request.path();
        if path.contains("/search/") {
            Self::Search
        } else if path.ends_with("/graphql") {
            Self::Graphql
        } else {
            Self::Core
        }
    }

    /// Its name in `x-ratelimit-resource`.
    pub(in crate::simulator) fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Search => "search",
            Self::Graphql => "graphql",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource| resource.name() == name)
    }

    fn window(self) -> Duration {
        Duration::from_secs(if self == Self::Search { 60 } else { 3_600 })
    }
}

// === impl Rate ===

impl Rate {
    pub(in crate::simulator) fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

// === impl Windows ===

impl Windows {
    /// Lets the other window have its turn, where there are two.
    pub(super) fn next_turn(&mut self) {
        self.turn += 1;
    }

    /// What is left, and of which window.
    pub(super) fn rate(
        &mut self,
        limits: &Limits,
        (payer, resource): (Payer, Resource),
        now: Duration,
    ) -> Rate {
        let jitter = Duration::from_secs(u64::from(limits.jitter) * (self.turn % 2));
        let limit = limits.of(payer, resource);
        let window = *self.window(limits, (payer, resource), now);
        Rate { resource, limit, used: window.used.min(limit), reset: window.until + jitter }
    }

    /// Takes this much from the window whose turn it is.
    pub(super) fn charge(
        &mut self,
        limits: &Limits,
        (payer, resource): (Payer, Resource),
        now: Duration,
        points: u64,
    ) {
        *self.charged.entry(payer).or_default() += points;
        self.window(limits, (payer, resource), now).used += points;
    }

    /// Makes so much remain in the window whose turn it is, or in both if there are two.
    pub(super) fn leave(
        &mut self,
        limits: &Limits,
        whose: (Payer, Resource),
        now: Duration,
        remaining: u64,
    ) {
        for _ in 0..2 {
            let used = limits.of(whose.0, whose.1).saturating_sub(remaining);
            self.window(limits, whose, now).used = used;
            self.next_turn();
        }
    }

    /// How much this payer was charged altogether.
    pub(super) fn charged(&self, payer: Payer) -> u64 {
        self.charged.get(&payer).copied().unwrap_or_default()
    }

    pub(super) fn charged_to_all(&self) -> u64 {
        self.charged.values().sum()
    }

    fn window(
        &mut self,
        limits: &Limits,
        (payer, resource): (Payer, Resource),
        now: Duration,
    ) -> &mut Window {
        let second = limits.two_windows && self.turn % 2 == 1;
        // The second window ends earlier, as if it had been opened by somebody else before.
        let length = if second { resource.window() / 2 } else { resource.window() };
        let fresh = Window { until: now + length, used: 0 };
        let window = self.open.entry((payer, resource, second)).or_insert(fresh);
        if window.until <= now {
            *window = fresh;
        }
        window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOSE: (Payer, Resource) = (Payer::Nobody, Resource::Core);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_window_lasts_an_hour_from_its_first_request() {
        let (limits, mut windows) = (Limits::default(), Windows::default());
        windows.charge(&limits, WHOSE, at(10), 3);
        let rate = windows.rate(&limits, WHOSE, at(3_609));
        assert_eq!((rate.limit, rate.used, rate.remaining()), (60, 3, 57));
        assert_eq!(rate.reset, at(3_610));
        assert_eq!(windows.rate(&limits, WHOSE, at(3_610)).used, 0);
        assert_eq!(windows.charged(Payer::Nobody), 3);
    }

    #[test]
    fn two_windows_take_turns() {
        let limits = Limits { two_windows: true, ..Limits::default() };
        let mut windows = Windows::default();
        windows.charge(&limits, WHOSE, at(0), 3);
        windows.next_turn();
        windows.charge(&limits, WHOSE, at(0), 1);
        let other = windows.rate(&limits, WHOSE, at(0));
        windows.next_turn();
        let one = windows.rate(&limits, WHOSE, at(0));
        assert_eq!((one.used, one.reset), (3, at(3_600)));
        assert_eq!((other.used, other.reset), (1, at(1_800)));
        windows.leave(&limits, WHOSE, at(0), 0);
        assert_eq!(windows.rate(&limits, WHOSE, at(0)).remaining(), 0);
        windows.next_turn();
        assert_eq!(windows.rate(&limits, WHOSE, at(0)).remaining(), 0);
    }

    #[test]
    fn the_reset_trembles_when_told_to() {
        let limits = Limits { jitter: true, ..Limits::default() };
        let mut windows = Windows::default();
        let mut reset = || {
            windows.next_turn();
            windows.rate(&limits, WHOSE, at(0)).reset
        };
        assert_eq!([reset(), reset(), reset()], [at(3_601), at(3_600), at(3_601)]);
    }
}
