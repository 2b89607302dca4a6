//! Equal questions of one asker that are under way at once are one question to GitHub.

use std::sync::{Arc, Weak};
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::reply::Landed;
use crate::store::{Principal, ResponseKey};

/// Questions under way. Two askers never share one.
#[derive(Default)]
pub(super) struct Flights(DashMap<(Principal, ResponseKey), Flight>);

/// One question under way.
struct Flight {
    /// The last change that was known when it was asked.
    change: u64,
    landing: Weak<Landing>,
}

/// Where it is told how a question goes. Held by each who waits for the answer, and by nobody else.
pub(super) struct Landing(watch::Receiver<Stage>);

/// How far a question is.
enum Stage {
    /// Its turn comes at once, as far as is known.
    Begun,
    /// It waits for its turn.
    Queued,
    /// GitHub is asked.
    Asked,
    /// That is what came of it.
    Landed(Landed),
}

/// How waiting for another's answer ended.
pub(super) enum Waited {
    /// With what came of it.
    For(Landed),
    /// Whoever led has gone without a word.
    ForNobody,
    /// Its turn has not come for as long as this one may wait.
    TooLong,
    /// GitHub has been asked, and nothing came of it.
    InVain,
}

/// What a question finds.
pub(super) enum Place {
    /// Nobody asks the same: this one asks, and tells the others.
    Lead(Lead, Arc<Landing>),
    /// Somebody does, and its answer will be told.
    Join(Arc<Landing>),
}

/// Who asks. Dropped without an answer, the others ask for themselves.
pub(super) struct Lead {
    flights: Arc<Flights>,
    key: (Principal, ResponseKey),
    change: u64,
    landing: Weak<Landing>,
    tell: watch::Sender<Stage>,
}

/// How long one waits for another's answer: longer than GitHub takes at most.
const PATIENCE: Duration = Duration::from_secs(30);

// === impl Flights ===

impl Flights {
    /// Joins the flight for a question, unless it began before something changed that it asks for:
    /// who writes and then reads gets what was written.
    pub(super) fn enter(
        self: &Arc<Self>,
        key: (Principal, ResponseKey),
        latest: u64,
        is_outdated: impl Fn(u64) -> bool,
    ) -> Place {
        let (tell, landing) = watch::channel(Stage::Begun);
        let own = Arc::new(Landing(landing));
        let landing = Arc::downgrade(&own);
        let flight = Flight { change: latest, landing: landing.clone() };
        match self.0.entry(key) {
            Entry::Occupied(mut under_way) => {
                // Where all have left nobody can join any more.
                let others = under_way.get().landing.upgrade();
                if let Some(others) = others.filter(|_| !is_outdated(under_way.get().change)) {
                    return Place::Join(others);
                }
                under_way.insert(flight);
            }
            Entry::Vacant(free) => {
                free.insert(flight);
            }
        }
        Place::Lead(Lead { flights: self.clone(), key, change: latest, landing, tell }, own)
    }
}

// === impl Lead ===

impl Lead {
    /// The last change that was known when it began.
    pub(super) fn change(&self) -> u64 {
        self.change
    }

    /// Its turn is still to come.
    pub(super) fn wait_in_line(&self) {
        self.tell.send_replace(Stage::Queued);
    }

    /// Its turn has come.
    pub(super) fn take_off(&self) {
        self.tell.send_replace(Stage::Asked);
    }

    /// Tells those who wait.
    pub(super) fn land(self, landed: Landed) {
        // Who comes from now on asks anew.
        self.leave();
        self.tell.send_replace(Stage::Landed(landed));
    }

    /// Waits until nobody waits for the answer any more.
    pub(super) async fn is_deserted(&self) {
        self.tell.closed().await;
    }

    fn leave(&self) {
        let is_ours = |_: &_, flight: &Flight| Weak::ptr_eq(&flight.landing, &self.landing);
        self.flights.0.remove_if(&self.key, is_ours);
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.leave();
    }
}

// === impl Landing ===

impl Landing {
    /// Waits for another's answer, and for its turn not longer than until then.
    pub(super) async fn wait(&self, turn_by: Instant) -> Waited {
        let mut stage = self.0.clone();
        loop {
            let is_queued = match &*stage.borrow_and_update() {
                Stage::Landed(landed) => return Waited::For(landed.clone()),
                Stage::Queued => true,
                Stage::Begun | Stage::Asked => false,
            };
            let next = if is_queued {
                timeout_at(turn_by, stage.changed()).await
            } else {
                timeout(PATIENCE, stage.changed()).await
            };
            match next {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Waited::ForNobody,
                Err(_) if is_queued => return Waited::TooLong,
                Err(_) => return Waited::InVain,
            }
        }
    }
}
