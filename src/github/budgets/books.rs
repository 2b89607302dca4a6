//! The books of one budget: what is known, what is under way, and what follows for a request.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderMap, StatusCode};

use super::Heard;
use super::purse::Now;
use super::refusal::{Refused, RefusedKind};
use crate::budget::{
    Budget, Gate, Kind, Limited, Load, Pace, Penalty, Resource, Standing, Strike, Turn,
};
use crate::clock::Time;
use crate::defence::{Defence, stands};

/// What a budget needs to know of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking {
    pub(super) caller: u64,
    /// As predicted.
    pub(super) resource: Resource,
    pub(super) kind: Kind,
    pub(super) load: Load,
}

/// What is known of one budget.
#[derive(Debug, Default)]
pub(super) struct Books {
    budgets: BTreeMap<Resource, Budget>,
    penalty: Penalty,
    pace: Pace,
    under_way: Vec<UnderWay>,
    /// When a request went last although nothing was left.
    last_trial: Option<Duration>,
    /// With which status GitHub refused last.
    refused_with: Option<StatusCode>,
    /// Until when other nodes know of a pause, and of each resource of which nothing is left.
    told: (Option<Time>, BTreeMap<Resource, Time>),
}

/// What other nodes do not know yet.
#[derive(Debug, Default)]
pub(super) struct Untold {
    /// A pause that GitHub asked for.
    pub(super) strike: Option<Strike>,
    /// Of what nothing is left for visitors.
    pub(super) spent: Vec<Standing>,
}

/// What follows for a request.
pub(super) enum Verdict {
    Go,
    /// Until something ends or is heard, or for so long at most.
    Wait(Option<Duration>),
    Refuse(Refused),
}

/// What an answer of GitHub says.
pub(super) struct Answer<'a> {
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    pub(super) body_start: &'a [u8],
    pub(super) took: Duration,
}

#[derive(Debug)]
struct UnderWay {
    id: u64,
    asking: Asking,
    /// When it was sent, if it was.
    sent: Option<Duration>,
    /// How long GitHub took, once it has answered.
    took: Option<Duration>,
}

/// Requests under way of one budget; GitHub allows 100.
const MOST_UNDER_WAY: usize = 10;

/// Windows whose ends are no further apart are one.
const SAME_WINDOW: Duration = Duration::from_secs(30);

/// Between requests that go although nothing is left.
const TRIALS_APART: Duration = Duration::from_secs(1);

// === impl Books ===

impl Books {
    pub(super) fn judge(&self, asking: &Asking, now: Now) -> Verdict {
        if let Some(refused) = self.closed(asking.kind, asking.resource, now) {
            return Verdict::Refuse(refused);
        }
        if self.under_way.len() >= MOST_UNDER_WAY {
            return Verdict::Wait(None);
        }
        let trial = match self.gate(asking.kind, asking.resource, now) {
            Gate::Taken => return Verdict::Wait(None),
            Gate::Sparse => self.until_trial(now),
            Gate::Open | Gate::Closed(_) => Duration::ZERO,
        };
        match self.turn(asking, now) {
            Turn::WhenOneEnds => Verdict::Wait(None),
            Turn::After(wait) => Verdict::Wait(Some(wait.max(trial))),
            Turn::Now if trial.is_zero() => Verdict::Go,
            Turn::Now => Verdict::Wait(Some(trial)),
        }
    }

    fn turn(&self, asking: &Asking, now: Now) -> Turn {
        if stands(Defence::Pace) { self.pace.turn(&asking.load, now.since) } else { Turn::Now }
    }

    /// What stands against a request, whenever its turn would be.
    pub(super) fn closed(&self, kind: Kind, resource: Resource, now: Now) -> Option<Refused> {
        if let Some(pause) = self.penalty.closed(now.time) {
            return Some(self.refused(RefusedKind::Secondary, pause, resource, now));
        }
        match self.gate(kind, resource, now) {
            Gate::Closed(until) => {
                Some(self.refused(RefusedKind::Primary, until.since(now.time), resource, now))
            }
            _ => None,
        }
    }

    /// Refuses a request whose turn does not come in time, with `ahead` others before it.
    pub(super) fn give_up(&self, asking: &Asking, ahead: usize, now: Now) -> Refused {
        let closed = self.closed(Kind::Ordinary, asking.resource, now);
        if let Some(closed) = closed.filter(|_| asking.kind == Kind::Revalidation) {
            return closed;
        }
        let own = match self.judge(asking, now) {
            Verdict::Wait(Some(wait)) => wait,
            _ => Duration::ZERO,
        };
        let others = asking.load.spacing() * u32::try_from(ahead).unwrap_or(u32::MAX).min(20);
        self.refused(RefusedKind::Queue, own + others, asking.resource, now)
    }

    pub(super) fn begin(&mut self, id: u64, asking: Asking, now: Now) {
        if self.gate(asking.kind, asking.resource, now) == Gate::Sparse {
            self.last_trial = Some(now.since);
        }
        self.pace.begin(&asking.load, now.since);
        self.under_way.push(UnderWay { id, asking, sent: None, took: None });
    }

    /// Notes that a request is really on its way.
    pub(super) fn send(&mut self, id: u64, now: Now) {
        if let Some(under_way) = self.under_way.iter_mut().find(|one| one.id == id) {
            under_way.sent = Some(now.since);
            self.pace.delay(&under_way.asking.load, now.since);
        }
    }

    /// Notes GitHub's answer, also to a request that nobody waits for any more.
    pub(super) fn answered(
        &mut self,
        id: u64,
        asking: &Asking,
        answer: &Answer<'_>,
        now: Now,
    ) -> Option<Limited> {
        if let Some(under_way) = self.under_way.iter_mut().find(|one| one.id == id) {
            under_way.took = Some(answer.took);
        }
        let standing = Standing::from_headers(answer.headers, asking.resource);
        if let Some(standing) = standing {
            self.budget(standing.resource).note(standing, now.time);
        }
        let limited = Limited::read(answer.status, answer.headers, answer.body_start)?;
        // A limit whose name is not known here must close no other.
        self.refuse(limited, Resource::of_answer(answer.headers, asking.resource), standing, now);
        if asking.kind == Kind::Revalidation {
            self.budget(asking.resource).refuse_trials(now.time);
        }
        if answer.status != StatusCode::OK {
            self.refused_with = Some(answer.status);
        }
        Some(limited)
    }

    /// Closes what a limit closes.
    fn refuse(
        &mut self,
        limited: Limited,
        resource: Option<Resource>,
        standing: Option<Standing>,
        now: Now,
    ) {
        match (limited, resource) {
            (Limited::Primary { reset }, Some(resource)) => {
                self.budget(resource).exhaust(reset, now.time);
            }
            (Limited::Primary { .. }, None) => {}
            (Limited::Secondary { retry_after }, _) => {
                let spent = standing.filter(|standing| standing.remaining == 0);
                let until_reset = spent.map(|standing| standing.reset.since(now.time));
                self.penalty.strike(retry_after.or(until_reset), now.time);
            }
        }
    }

    pub(super) fn end(&mut self, id: u64, now: Now) {
        let Some(at) = self.under_way.iter().position(|one| one.id == id) else { return };
        let UnderWay { asking, sent, took, .. } = self.under_way.swap_remove(at);
        let since_sent = || sent.map(|sent| now.since.saturating_sub(sent));
        let took = took.or_else(since_sent).unwrap_or_default();
        self.pace.end(&asking.load, took, now.since);
    }

    pub(super) fn note(&mut self, heard: Heard, now: Now) {
        match heard {
            Heard::Left(standing) => self.budget(standing.resource).note(standing, now.time),
            Heard::Struck(strike) => self.penalty.adopt(strike, now.time),
            Heard::Spent(standing) => self.budget(standing.resource).adopt(standing, now.time),
            Heard::Refused(limited) => self.refuse(limited, Some(Resource::Core), None, now),
        }
    }

    /// What other nodes are to be told: each thing once.
    pub(super) fn untold(&mut self, now: Now) -> Untold {
        let (known, of_resources) = &mut self.told;
        let strike = self.penalty.last().filter(|strike| {
            self.penalty.closed(now.time).is_some() && known.is_none_or(|told| told < strike.until)
        });
        *known = strike.map(|strike| strike.until).or(*known);
        let mut spent = Vec::new();
        for (resource, budget) in &self.budgets {
            let is_closed = matches!(budget.gate(Kind::Ordinary, 0, now.time), Gate::Closed(_));
            let Some(standing) = budget.standing(now.time).filter(|_| is_closed) else { continue };
            let told = of_resources.get(resource);
            // Replies of one window differ by seconds.
            if told.is_none_or(|told| *told + SAME_WINDOW < standing.reset) {
                of_resources.insert(*resource, standing.reset);
                spent.push(standing);
            }
        }
        Untold { strike, spent }
    }

    /// What GitHub has said is left.
    pub(super) fn budgets(&self) -> &BTreeMap<Resource, Budget> {
        &self.budgets
    }

    /// The end of the pause that GitHub asked for, if there is one.
    pub(super) fn paused(&self, now: Now) -> Option<Time> {
        self.penalty.closed(now.time).map(|pause| now.time + pause)
    }

    /// Requests under way.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Drops what counts no more, and says whether nothing does.
    pub(super) fn forget(&mut self, now: Now) -> bool {
        self.budgets.retain(|_, budget| !budget.is_over(now.time));
        let is_quiet = self.pace.forget(now.since);
        is_quiet && self.budgets.is_empty() && self.penalty.is_over(now.time)
    }

    fn gate(&self, kind: Kind, resource: Resource, now: Now) -> Gate {
        let Some(budget) = self.budgets.get(&resource) else { return Gate::Open };
        budget.gate(kind, self.uncharged(resource), now.time)
    }

    /// Requests that GitHub may have charged without our knowing it yet.
    fn uncharged(&self, resource: Resource) -> u32 {
        let may_cost = |one: &&UnderWay| {
            one.asking.resource == resource
                && one.asking.kind != Kind::Revalidation
                && one.took.is_none()
        };
        u32::try_from(self.under_way.iter().filter(may_cost).count()).unwrap_or(u32::MAX)
    }

    fn until_trial(&self, now: Now) -> Duration {
        let next = self.last_trial.map(|last| last + TRIALS_APART);
        next.map_or(Duration::ZERO, |next| next.saturating_sub(now.since))
    }

    fn budget(&mut self, resource: Resource) -> &mut Budget {
        self.budgets.entry(resource).or_insert_with(|| Budget::new(resource))
    }

    fn refused(
        &self,
        kind: RefusedKind,
        retry_after: Duration,
        resource: Resource,
        now: Now,
    ) -> Refused {
        let standing = self.budgets.get(&resource).and_then(|budget| budget.standing(now.time));
        Refused { kind, retry_after, standing, resource, github_status: self.refused_with }
    }
}
