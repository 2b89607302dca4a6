//! What is known of one limit, from replies that come late, jitter and contradict each other.

use std::time::Duration;

use super::{Kind, Resource, Standing};
use crate::clock::Time;

/// What is left of one resource for one budget.
#[derive(Clone, Debug)]
pub struct Budget {
    resource: Resource,
    windows: Vec<Window>,
    /// Until when even requests that are free at their best are not sent.
    no_trials_before: Option<Time>,
}

/// Whether a request may go, as far as the primary limit is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It may.
    Open,
    /// What is left may be spent by the requests under way: one of them has to end first.
    Taken,
    /// Nothing is left, but this one is free at its best: one a second.
    Sparse,
    /// Not before this moment.
    Closed(Time),
}

/// One count of GitHub's. Replies of one window differ in `reset` by a second or so.
#[derive(Clone, Debug)]
struct Window {
    /// The first `reset` that was seen: what others are compared with, so that it cannot creep.
    anchor: Time,
    standing: Standing,
}

/// How far two replies of one window are apart in `reset`, at most.
const JITTER: Duration = Duration::from_secs(5);

/// A second after `reset` the window is over for sure: both are whole seconds.
const SECOND: Duration = Duration::from_secs(1);

/// No window of GitHub is longer; a `reset` beyond is a broken clock's.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The same of a window that another node tells of, with what clocks differ by.
const LONGEST_HEARD: Duration = Duration::from_secs(3600 + 300);

/// A refusal without a usable `reset` lasts this long, as GitHub's documentation asks for.
const UNKNOWN: Duration = Duration::from_secs(60);

/// Two are seen at once now and then; more than a few are noise.
const MOST_WINDOWS: usize = 4;

// === impl Budget ===

impl Budget {
    /// Nothing is known of it yet, so nothing is refused.
    pub fn new(resource: Resource) -> Self {
        Self { resource, windows: Vec::new(), no_trials_before: None }
    }

    /// Notes what a reply says. A reply of a window that is over changes nothing.
    pub fn note(&mut self, said: Standing, now: Time) {
        self.windows.retain(|window| window.is_live(now));
        if !is_ahead(said.reset, now) {
            return;
        }
        match self.windows.iter_mut().find(|window| window.is_of(&said)) {
            Some(window) => window.merge(&said),
            None => self.windows.push(Window { anchor: said.reset, standing: said }),
        }
        self.windows.sort_by_key(|window| window.standing.reset);
        let surplus = self.windows.len().saturating_sub(MOST_WINDOWS);
        self.windows.drain(..surplus);
    }

    /// Takes over what another node was told: that little or nothing is left until a moment within the
    /// next hour, for no window of GitHub's is longer.
    pub fn adopt(&mut self, said: Standing, now: Time) {
        if said.reset <= now + LONGEST_HEARD {
            self.note(said, now);
        }
    }

    /// Notes that GitHub refused a request for its primary limit.
    pub fn exhaust(&mut self, reset: Option<Time>, now: Time) {
        let reset = reset.filter(|reset| is_ahead(*reset, now)).unwrap_or(now + UNKNOWN);
        let limit = self.at(reset).map_or(0, |window| window.standing.limit);
        self.note(
            Standing { resource: self.resource, limit, remaining: 0, used: limit, reset },
            now,
        );
    }

    /// Notes that GitHub refused even a request with an exact `ETag`: no more of them before the
    /// window is over.
    pub fn refuse_trials(&mut self, now: Time) {
        self.no_trials_before = Some(self.standing(now).map_or(now + UNKNOWN, |s| opening(&s)));
    }

    /// What is left: of several windows the one with the least.
    pub fn standing(&self, now: Time) -> Option<Standing> {
        let live = self.windows.iter().filter(|window| window.is_live(now)).map(|w| w.standing);
        live.min_by_key(|standing| (standing.remaining, std::cmp::Reverse(standing.reset)))
    }

    /// Whether a request may go while `under_way` others, not answered yet, may be charged.
    pub fn gate(&self, kind: Kind, under_way: u32, now: Time) -> Gate {
        let Some(standing) = self.standing(now) else { return Gate::Open };
        let left = match kind {
            Kind::Ordinary | Kind::Mutation => {
                standing.remaining.saturating_sub(reserve(&standing))
            }
            Kind::Revalidation | Kind::Reserved => standing.remaining,
        };
        match kind {
            Kind::Revalidation if left > 0 => Gate::Open,
            Kind::Revalidation if self.no_trials_before.is_none_or(|time| time <= now) => {
                Gate::Sparse
            }
            _ if left > under_way => Gate::Open,
            _ if left > 0 => Gate::Taken,
            _ => Gate::Closed(opening(&standing)),
        }
    }

    /// Whether nothing is known that still counts.
    pub fn is_over(&self, now: Time) -> bool {
        self.standing(now).is_none() && self.no_trials_before.is_none_or(|time| time <= now)
    }

    fn at(&self, reset: Time) -> Option<&Window> {
        self.windows.iter().find(|window| is_near(window.anchor, reset))
    }
}

// === impl Window ===

impl Window {
    fn is_live(&self, now: Time) -> bool {
        is_ahead(self.standing.reset, now)
    }

    fn is_of(&self, said: &Standing) -> bool {
        self.standing.limit == said.limit && is_near(self.anchor, said.reset)
    }

    /// Replies overtake each other: within a window `used` rises and `remaining` falls.
    fn merge(&mut self, said: &Standing) {
        let held = &mut self.standing;
        held.remaining = held.remaining.min(said.remaining);
        held.used = held.used.max(said.used);
        held.reset = held.reset.max(said.reset);
    }
}

/// What is kept for the gateway's own requests: without them nobody signs in. They all are `core`.
fn reserve(standing: &Standing) -> u32 {
    match standing.resource {
        Resource::Core => (standing.limit / 50).max(25).min(standing.limit / 2),
        _ => 0,
    }
}

/// When the next window has begun.
fn opening(standing: &Standing) -> Time {
    standing.reset + SECOND
}

/// Whether a window that ends then can be running.
fn is_ahead(reset: Time, now: Time) -> bool {
    reset >= now && reset <= now + LONGEST
}

fn is_near(one: Time, other: Time) -> bool {
    one.since(other) <= JITTER && other.since(one) <= JITTER
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_unix(1_000);

    fn said(limit: u32, remaining: u32, reset: i64) -> Standing {
        Standing {
            resource: Resource::Core,
            limit,
            remaining,
            used: limit.saturating_sub(remaining),
            reset: Time::from_unix(reset),
        }
    }

    fn after(replies: &[Standing]) -> Budget {
        let mut budget = Budget::new(Resource::Core);
        for reply in replies {
            budget.note(*reply, NOW);
        }
        budget
    }

    #[test]
    fn replies_of_one_window_overtake_each_other_and_jitter() {
        let budget = after(&[said(5000, 90, 2000), said(5000, 92, 2001), said(5000, 91, 1999)]);
        assert_eq!(budget.standing(NOW), Some(Standing { used: 4910, ..said(5000, 90, 2001) }));
        assert_eq!(budget.windows.len(), 1);
        let creeping: Vec<_> = (0..4).map(|n| said(5000, 90, 2000 + 4 * n)).collect();
        assert_eq!(after(&creeping).windows.len(), 2, "no window creeps");
    }

    #[test]
    fn of_two_live_windows_the_one_with_less_rules_until_it_is_over() {
        for two in [
            [said(5000, 40, 1500), said(5000, 900, 4000)],
            [said(15_000, 9000, 1500), said(5000, 40, 1500)],
        ] {
            for order in [[0, 1], [1, 0]] {
                let budget = after(&order.map(|n| two[n]));
                assert_eq!(budget.standing(NOW).unwrap().remaining, 40);
            }
        }
        let mut budget = after(&[said(5000, 40, 1500), said(5000, 900, 4000)]);
        let later = Time::from_unix(1501);
        assert_eq!(budget.standing(later).unwrap().remaining, 900);
        budget.note(said(5000, 3, 1500), later);
        assert_eq!(budget.standing(later).unwrap().remaining, 900, "a late reply of the old one");
        assert_eq!(budget.standing(Time::from_unix(4001)), None);
        assert!(budget.is_over(Time::from_unix(4001)) && !budget.is_over(Time::from_unix(4000)));
    }

    #[test]
    fn what_a_broken_clock_says_is_not_kept() {
        assert_eq!(after(&[said(5000, 0, 999), said(5000, 0, 10_000_000)]).standing(NOW), None);
    }

    #[test]
    fn the_reserve_is_the_gateways_own() {
        for (limit, remaining, ordinary, own) in [
            (5000, 101, true, true),
            (5000, 100, false, true),
            (5000, 1, false, true),
            (5000, 0, false, false),
            (15_000, 300, false, true),
            (1000, 26, true, true),
            (1000, 25, false, true),
            (10, 6, true, true),
            (10, 5, false, true),
        ] {
            let budget = after(&[said(limit, remaining, 2000)]);
            for (kind, opens) in [
                (Kind::Ordinary, ordinary),
                (Kind::Mutation, ordinary),
                (Kind::Reserved, own),
                (Kind::Revalidation, own),
            ] {
                let closed = match kind {
                    Kind::Revalidation => Gate::Sparse,
                    _ => Gate::Closed(Time::from_unix(2001)),
                };
                let expected = if opens { Gate::Open } else { closed };
                assert_eq!(budget.gate(kind, 0, NOW), expected, "{kind:?} {remaining} of {limit}");
            }
            assert_eq!(budget.gate(Kind::Ordinary, 0, Time::from_unix(2001)), Gate::Open);
        }
        assert_eq!(Budget::new(Resource::Core).gate(Kind::Ordinary, 9, NOW), Gate::Open);
        let search = Standing { resource: Resource::Search, ..said(30, 1, 1060) };
        assert_eq!(after(&[search]).gate(Kind::Ordinary, 0, NOW), Gate::Open);
    }

    #[test]
    fn what_another_node_tells_only_closes_and_for_an_hour_at_most() {
        let mut budget = Budget::new(Resource::Core);
        budget.adopt(said(5000, 0, 1000 + 3901), NOW);
        assert_eq!(budget.standing(NOW), None, "a broken clock there");
        budget.adopt(said(5000, 0, 1000 + 3600), NOW);
        let closed = Gate::Closed(Time::from_unix(4601));
        assert_eq!(budget.gate(Kind::Ordinary, 0, NOW), closed);
        budget.adopt(said(5000, 4000, 1000 + 3600), NOW);
        assert_eq!(budget.gate(Kind::Ordinary, 0, NOW), closed, "nothing comes back");
        assert_eq!(budget.gate(Kind::Ordinary, 0, Time::from_unix(4601)), Gate::Open);
    }

    #[test]
    fn what_is_under_way_is_not_spent_twice() {
        let budget = after(&[said(5000, 103, 2000)]);
        assert_eq!(budget.gate(Kind::Ordinary, 2, NOW), Gate::Open);
        assert_eq!(budget.gate(Kind::Ordinary, 3, NOW), Gate::Taken);
        assert_eq!(budget.gate(Kind::Reserved, 3, NOW), Gate::Open);
        assert_eq!(budget.gate(Kind::Revalidation, 200, NOW), Gate::Open, "a 304 is free");
    }

    #[test]
    fn a_refusal_closes_until_its_reset_and_a_second_more() {
        let mut budget = after(&[said(5000, 800, 2000)]);
        budget.exhaust(Some(Time::from_unix(2001)), NOW);
        let told = Standing { used: 5000, ..said(5000, 0, 2001) };
        assert_eq!(budget.standing(NOW), Some(told));
        assert_eq!(budget.gate(Kind::Ordinary, 0, NOW), Gate::Closed(Time::from_unix(2002)));
        assert_eq!(budget.gate(Kind::Revalidation, 0, NOW), Gate::Sparse);
        budget.refuse_trials(NOW);
        assert_eq!(budget.gate(Kind::Revalidation, 0, NOW), Gate::Closed(Time::from_unix(2002)));
        assert_eq!(budget.gate(Kind::Revalidation, 0, Time::from_unix(2002)), Gate::Open);
        for unusable in [None, Some(Time::from_unix(5)), Some(Time::from_unix(9_000_000))] {
            let mut budget = Budget::new(Resource::Core);
            budget.exhaust(unusable, NOW);
            let opening = Time::from_unix(1061);
            assert_eq!(budget.gate(Kind::Ordinary, 0, NOW), Gate::Closed(opening));
        }
    }
}
