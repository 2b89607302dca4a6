//! Equal questions of one asker that are under way at once are one question to GitHub.

use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::sync::watch;

use super::reply::Landed;
use crate::store::{Principal, ResponseKey};

/// Questions under way. Two askers never share one.
#[derive(Default)]
pub(super) struct Flights(DashMap<(Principal, ResponseKey), Flight>);

/// One question under way.
#[derive(Clone)]
struct Flight {
    /// The last change that was known when it was asked.
    change: u64,
    landed: watch::Receiver<Option<Landed>>,
}

/// What a question finds.
pub(super) enum Place {
    /// Nobody asks the same: this one asks, and tells the others.
    Lead(Lead),
    /// Somebody does, and its answer will be told.
    Join(watch::Receiver<Option<Landed>>),
}

/// Who asks. Dropped without an answer, the others ask for themselves.
pub(super) struct Lead {
    flights: Arc<Flights>,
    key: (Principal, ResponseKey),
    change: u64,
    tell: watch::Sender<Option<Landed>>,
}

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
        let (tell, landed) = watch::channel(None);
        let flight = Flight { change: latest, landed };
        match self.0.entry(key) {
            Entry::Occupied(under_way) if !is_outdated(under_way.get().change) => {
                return Place::Join(under_way.get().landed.clone());
            }
            Entry::Occupied(mut under_way) => {
                under_way.insert(flight);
            }
            Entry::Vacant(free) => {
                free.insert(flight);
            }
        }
        Place::Lead(Lead { flights: self.clone(), key, change: latest, tell })
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

    fn leave(&self) {
        let is_ours = |_: &_, flight: &Flight| flight.landed.same_channel(&self.tell.subscribe());
        self.flights.0.remove_if(&self.key, is_ours);
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.leave();
    }
}
