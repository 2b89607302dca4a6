//! Equal questions of one asker that are under way at once are one question to GitHub.

use std::sync::{Arc, Weak};
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::sync::watch;

use super::reply::Landed;
use crate::store::{Principal, ResponseKey};

/// Questions under way. Two askers never share one.
#[derive(Default)]
pub(super) struct Flights(DashMap<(Principal, ResponseKey), Flight>);

/// One question under way.
struct Flight {
    /// The last change that was known when it was asked.
    change: u64,
    terms: Terms,
    landed: Weak<Landing>,
}

/// Where the answer will be told. Held by each who waits for it, and by nobody else.
pub(super) type Landing = watch::Receiver<Option<Landed>>;

/// What decides beside GitHub how a question ends: who wants something else asks alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    /// How long it may wait for its turn.
    pub(super) max_wait: Duration,
    /// How old the answer may be where GitHub gives none.
    pub(super) stale_if_error: Option<Duration>,
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
    landed: Weak<Landing>,
    tell: watch::Sender<Option<Landed>>,
}

// === impl Flights ===

impl Flights {
    /// Joins the flight for a question, unless it began before something changed that it asks for:
    /// who writes and then reads gets what was written.
    pub(super) fn enter(
        self: &Arc<Self>,
        key: (Principal, ResponseKey),
        terms: Terms,
        latest: u64,
        is_outdated: impl Fn(u64) -> bool,
    ) -> Place {
        let (tell, landing) = watch::channel(None);
        let landing = Arc::new(landing);
        let landed = Arc::downgrade(&landing);
        let flight = Flight { change: latest, terms, landed: landed.clone() };
        match self.0.entry(key) {
            Entry::Occupied(mut under_way) => {
                let joined = under_way.get().landed.upgrade();
                let is_equal =
                    under_way.get().terms == terms && !is_outdated(under_way.get().change);
                if let Some(joined) = joined.filter(|_| is_equal) {
                    return Place::Join(joined);
                }
                under_way.insert(flight);
            }
            Entry::Vacant(free) => {
                free.insert(flight);
            }
        }
        Place::Lead(Lead { flights: self.clone(), key, change: latest, landed, tell }, landing)
    }
}

// === impl Lead ===

impl Lead {
    /// The last change that was known when it began.
    pub(super) fn change(&self) -> u64 {
        self.change
    }

    /// Tells those who wait.
    pub(super) fn land(self, landed: Landed) {
        // Who comes from now on asks anew.
        self.leave();
        self.tell.send_replace(Some(landed));
    }

    /// Waits until nobody waits for the answer any more; nobody can join it then.
    pub(super) async fn is_deserted(&self) {
        self.tell.closed().await;
    }

    fn leave(&self) {
        let is_ours = |_: &_, flight: &Flight| Weak::ptr_eq(&flight.landed, &self.landed);
        self.flights.0.remove_if(&self.key, is_ours);
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.leave();
    }
}
