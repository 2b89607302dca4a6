//! One budget and everybody who waits for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::books::{Answer, Asking, Books, Untold, Verdict};
use super::grapevine::Grapevine;
use super::queue::{Outcome, Queue, Waiting};
use super::refusal::Refused;
use super::{BudgetKey, Heard, Known};
use crate::budget::{Budget, Kind, Limited, Resource, Standing};
use crate::clock::{Clock, Time};
use crate::store::Limit;

/// One budget. Its lock is held for a few steps, and never while waiting.
pub(super) struct Purse {
    state: Mutex<State>,
    /// What GitHub has said is left, for those who only look: they wait for nobody.
    shown: ArcSwap<BTreeMap<Resource, Budget>>,
    /// Something ended or was heard, so somebody may go.
    changed: Notify,
    key: BudgetKey,
    clocks: Clocks,
    grapevine: Arc<Grapevine>,
}

/// A place in the queue, and then among the requests under way. Dropping it frees it.
pub(super) struct Place {
    purse: Arc<Purse>,
    id: u64,
    asking: Asking,
}

/// The wall clock, for what GitHub says, and one that never jumps, for waiting.
#[derive(Clone)]
pub(super) struct Clocks {
    wall: Arc<dyn Clock>,
    begun: Instant,
}

/// One moment on both.
#[derive(Clone, Copy)]
pub(super) struct Now {
    pub(super) time: Time,
    pub(super) since: Duration,
}

#[derive(Default)]
struct State {
    books: Books,
    queue: Queue,
    last_id: u64,
    /// Whether a task looks after the queue.
    is_tended: bool,
}

/// Requests that wait for one budget.
const MOST_WAITING: usize = 100;

/// Those of one caller among them.
const MOST_OF_ONE: usize = 20;

/// A queue that only waits for an end is looked at this often all the same.
const LOOK_EVERY: Duration = Duration::from_secs(60);

// === impl Purse ===

impl Purse {
    pub(super) fn new(key: BudgetKey, clocks: Clocks, grapevine: Arc<Grapevine>) -> Self {
        let (state, shown) = (Mutex::default(), ArcSwap::default());
        Self { state, shown, changed: Notify::new(), key, clocks, grapevine }
    }

    /// Takes a place, which may be served at once.
    pub(super) fn join(
        self: &Arc<Self>,
        asking: Asking,
        max_wait: Duration,
    ) -> Result<(Place, oneshot::Receiver<Outcome>), Refused> {
        let (tell, told) = oneshot::channel();
        let now = self.clocks.now();
        let mut state = self.state();
        state.last_id += 1;
        let id = state.last_id;
        state.queue.push(Waiting { id, asking, tell });
        state.serve(now);
        if let Some(refused) = state.turned_away(id, max_wait, now) {
            state.queue.remove(id);
            return Err(refused);
        }
        self.tend(&mut state);
        Ok((Place { purse: self.clone(), id, asking }, told))
    }

    /// The refusal for who has waited long enough elsewhere.
    pub(super) fn too_late(&self, asking: &Asking) -> Refused {
        let state = self.state();
        let ahead = state.queue.ahead_of_newcomer(asking);
        state.books.give_up(asking, ahead, self.clocks.now())
    }

    pub(super) fn standings(&self) -> Vec<(Resource, Standing)> {
        let (shown, now) = (self.shown.load(), self.clocks.now());
        let left = |(resource, budget): (&Resource, &Budget)| {
            Some((*resource, budget.standing(now.time)?))
        };
        shown.iter().filter_map(left).collect()
    }

    /// What is left of one limit.
    pub(super) fn standing(&self, resource: Resource) -> Option<Standing> {
        self.shown.load().get(&resource)?.standing(self.clocks.now().time)
    }

    pub(super) fn closed(&self, resource: Resource) -> Option<Refused> {
        self.state().books.closed(Kind::Ordinary, resource, self.clocks.now())
    }

    pub(super) fn paused(&self) -> Option<Time> {
        self.state().books.paused(self.clocks.now())
    }

    pub(super) fn overview(&self, key: BudgetKey) -> Known {
        let (state, now) = (self.state(), self.clocks.now());
        Known {
            key,
            standings: self.standings().into_iter().map(|(_, left)| left).collect(),
            paused: state.books.paused(now),
            under_way: state.books.under_way(),
            waiting: state.queue.len(),
        }
    }

    pub(super) fn note(&self, heard: Heard) {
        let now = self.clocks.now();
        let untold = {
            let mut state = self.state();
            state.books.note(heard, now);
            self.show(&state.books);
            state.books.untold(now)
        };
        // Who told of it has told everybody.
        if !matches!(heard, Heard::Struck(_) | Heard::Spent(_)) {
            self.tell(untold);
        }
        self.changed.notify_one();
    }

    /// Shows what is left from now on; the books are held meanwhile, so the last word stays the last.
    fn show(&self, books: &Books) {
        self.shown.store(Arc::new(books.budgets().clone()));
    }

    /// Has other nodes told of limits.
    fn tell(&self, untold: Untold) {
        let Untold { strike, spent } = untold;
        if strike.is_none() && spent.is_empty() {
            return;
        }
        let struck = strike.map(|strike| Limit::Struck(self.key.clone(), strike));
        let spent = spent.into_iter().map(|standing| Limit::Spent(self.key.clone(), standing));
        self.grapevine.put(struck.into_iter().chain(spent));
    }

    /// Whether it can be forgotten, as far as it knows.
    pub(super) fn is_over(&self) -> bool {
        self.state().books.forget(self.clocks.now())
    }

    /// Has the queue looked after for as long as somebody waits in it.
    fn tend(self: &Arc<Self>, state: &mut State) {
        if state.queue.len() == 0 {
            return;
        }
        if std::mem::replace(&mut state.is_tended, true) {
            self.changed.notify_one();
            return;
        }
        let purse = self.clone();
        tokio::spawn(async move {
            while let Some(wait) = purse.look() {
                tokio::select! {
                    () = purse.changed.notified() => {}
                    () = tokio::time::sleep(wait) => {}
                }
            }
        });
    }

    /// Serves whom it can, and says when to look again; `None` when nobody waits.
    fn look(&self) -> Option<Duration> {
        let now = self.clocks.now();
        let mut state = self.state();
        let wait = state.serve(now);
        state.is_tended = state.queue.len() > 0;
        state.is_tended.then_some(wait)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Place ===

impl Place {
    /// Notes that the request is on its way.
    pub(super) fn send(&self) {
        self.purse.state().books.send(self.id, self.purse.clocks.now());
    }

    /// Nobody waits for its end any more.
    pub(super) fn step_aside(&self) {
        self.purse.state().books.end(self.id, self.purse.clocks.now());
        self.purse.changed.notify_one();
    }

    /// Notes GitHub's answer.
    pub(super) fn answered(&self, answer: &Answer<'_>) -> Option<Limited> {
        let (asking, now) = (&self.asking, self.purse.clocks.now());
        let (limited, untold) = {
            let mut state = self.purse.state();
            let limited = state.books.answered(self.id, asking, answer, now);
            self.purse.show(&state.books);
            (limited, state.books.untold(now))
        };
        self.purse.tell(untold);
        self.purse.changed.notify_one();
        limited
    }

    /// The refusal for who has waited long enough.
    pub(super) fn give_up(&self) -> Refused {
        let state = self.purse.state();
        let ahead = state.queue.ahead_of(self.id);
        state.books.give_up(&self.asking, ahead, self.purse.clocks.now())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.purse.state();
        state.queue.remove(self.id);
        state.books.end(self.id, self.purse.clocks.now());
        drop(state);
        self.purse.changed.notify_one();
    }
}

// === impl State ===

impl State {
    /// Serves whoever can be told something, and says how long until somebody else can.
    fn serve(&mut self, now: Now) -> Duration {
        loop {
            let mut soonest = LOOK_EVERY;
            let next = self.queue.next(|asking| match self.books.judge(asking, now) {
                Verdict::Go => Some(Ok(())),
                Verdict::Refuse(refused) => Some(Err(refused)),
                Verdict::Wait(wait) => {
                    soonest = soonest.min(wait.unwrap_or(LOOK_EVERY));
                    None
                }
            });
            let Some((waiting, outcome)) = next else { return soonest };
            if outcome.is_ok() {
                self.books.begin(waiting.id, waiting.asking, now);
            }
            // Who has just left frees the place by dropping it.
            drop(waiting.tell.send(outcome));
        }
    }

    /// The refusal for a newcomer for whom there is no room, or whose turn would come too late
    /// even without the others.
    fn turned_away(&self, id: u64, max_wait: Duration, now: Now) -> Option<Refused> {
        let asking = self.queue.find(id)?.asking;
        let has_room = self.queue.len() <= MOST_WAITING
            && self.queue.len_of(asking.caller) <= MOST_OF_ONE
            || asking.kind == Kind::Reserved;
        let is_late = match self.books.judge(&asking, now) {
            Verdict::Wait(wait) => wait.is_some_and(|wait| wait > max_wait),
            _ => false,
        };
        let ahead = self.queue.ahead_of(id);
        (!has_room || is_late).then(|| self.books.give_up(&asking, ahead, now))
    }
}

// === impl Clocks ===

impl Clocks {
    pub(super) fn new(wall: Arc<dyn Clock>) -> Self {
        Self { wall, begun: Instant::now() }
    }

    fn now(&self) -> Now {
        Now { time: self.wall.now(), since: self.begun.elapsed() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::clock::Manual;

    const NOW: Time = Time::from_unix(1_000_000);

    /// An answer from what is held looks at it for its fields, and all visitors of an installation share
    /// one budget.
    #[test]
    fn who_only_looks_waits_for_nobody() {
        let clocks = Clocks::new(Arc::new(Manual::at(NOW)));
        let purse = Arc::new(Purse::new(BudgetKey::Installation(5), clocks, Arc::default()));
        let reset = NOW + Duration::from_secs(3600);
        let left = |remaining, used| {
            let resource = Resource::Core;
            Standing { resource, limit: 5000, remaining, used, reset }
        };
        assert_eq!(purse.standing(Resource::Core), None);
        for standing in [left(4990, 10), left(4980, 20)] {
            purse.note(Heard::Left(standing));
            let busy = purse.state();
            let (tell, told) = mpsc::channel();
            let looking = purse.clone();
            let looks = std::thread::spawn(move || {
                let all = looking.standings();
                tell.send((looking.standing(Resource::Core), all)).expect("somebody waits");
            });
            let seen = told.recv_timeout(Duration::from_secs(20));
            drop(busy);
            looks.join().expect("it ends");
            let all = vec![(Resource::Core, standing)];
            assert_eq!(seen, Ok((Some(standing), all)), "while somebody writes");
            assert_eq!(purse.standing(Resource::Search), None);
        }
    }
}
