//! A visitor's seat at an instance: the instance's own token, held beside the session.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use crate::clock::Time;
use crate::route::Route;

/// What an instance gave for a visitor.
pub(super) struct Seat {
    /// `Bearer` and the token.
    pub(super) authorization: HeaderValue,
    /// What the instance says of its user, as JSON.
    pub(super) user: Box<str>,
    taken: Time,
    expires: Time,
}

/// Where a visitor's seat at one route is kept, and whose turn it is to ask for it.
pub(super) struct Place {
    /// Holding it keeps its address from being used again: another configuration may lead elsewhere.
    route: Arc<Route>,
    seat: ArcSwapOption<Seat>,
    /// When the instance last gave none. Whoever asks holds it.
    pub(super) refused: Mutex<Option<Time>>,
}

/// A seat that a request was sent with.
pub(in crate::gateway) struct Taken {
    place: Arc<Place>,
    seat: Arc<Seat>,
}

/// The seats of one session. Reading takes no lock.
#[derive(Default)]
pub(in crate::gateway) struct Seats(ArcSwapOption<Vec<Arc<Place>>>);

/// What a token is good for when it does not say.
const UNSAID: Duration = Duration::from_secs(3600);

/// Instances at which one session has seats; the oldest is given up.
const MOST: usize = 8;

// === impl Seat ===

impl Seat {
    /// A seat for a token, which must be printable ASCII; until the token ends, or what it rests on.
    pub(super) fn new(
        token: &str,
        user: Box<str>,
        now: Time,
        lasts: Option<Duration>,
    ) -> Option<Self> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
        authorization.set_sensitive(true);
        let expires = expiry(token).unwrap_or(now + UNSAID);
        let expires = lasts.map_or(expires, |lasts| expires.min(now + lasts));
        Some(Self { authorization, user, taken: now, expires })
    }

    pub(super) fn is_good(&self, now: Time) -> bool {
        now >= self.taken && now < self.expires
    }

    /// In the last fifth of its life another one is asked for, while this one still works.
    pub(super) fn wants_renewal(&self, now: Time) -> bool {
        self.expires.since(now) < self.expires.since(self.taken) / 5
    }

    pub(super) fn is_older_than(&self, age: Duration, now: Time) -> bool {
        now.since(self.taken) > age
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.authorization.len() + self.user.len()
    }
}

/// When a token ends by its own word. The instance verifies it; this only plans the next one.
fn expiry(token: &str) -> Option<Time> {
    #[derive(Deserialize)]
    struct Claims {
        exp: i64,
    }
    claims::<Claims>(token).map(|claims| Time::from_unix(claims.exp))
}

/// Whether a token is an account's by its own word, which only the instance's key can give it.
pub(super) fn is_of(token: &str, account: u64) -> bool {
    #[derive(Deserialize)]
    struct Claims {
        github_id: u64,
    }
    claims::<Claims>(token).is_some_and(|claims| claims.github_id == account)
}

/// What a JWT says (RFC 7519 §3), unverified.
fn claims<C: DeserializeOwned>(token: &str) -> Option<C> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&claims).ok()
}

// === impl Place ===

impl Place {
    /// The seat, if it is good.
    pub(super) fn seat(&self, now: Time) -> Option<Arc<Seat>> {
        self.seat.load_full().filter(|seat| seat.is_good(now))
    }

    pub(super) fn take(&self, seat: Arc<Seat>) {
        self.seat.store(Some(seat));
    }
}

// === impl Taken ===

impl Taken {
    pub(super) fn new(place: Arc<Place>, seat: Arc<Seat>) -> Self {
        Self { place, seat }
    }

    /// Gives the seat up, which the instance does not honour any more, unless there is another by now.
    pub(super) fn give_up(&self) {
        self.place.seat.compare_and_swap(&self.seat, None);
    }
}

// === impl Seats ===

impl Seats {
    /// Where the seat at a route is kept.
    pub(super) fn at(&self, route: &Arc<Route>) -> Arc<Place> {
        if let Some(place) = self.find(route) {
            return place;
        }
        let new = Arc::new(Place {
            route: route.clone(),
            seat: ArcSwapOption::empty(),
            refused: Mutex::default(),
        });
        self.0.rcu(|known| {
            let known = known.iter().flat_map(|known| known.iter());
            let others =
                known.filter(|known| !Arc::ptr_eq(&known.route, route)).take(MOST - 1).cloned();
            Some(Arc::new(std::iter::once(new.clone()).chain(others).collect::<Vec<_>>()))
        });
        // Another request may have been faster, and then have been overwritten: whichever is there
        // now is the one.
        self.find(route).unwrap_or(new)
    }

    fn find(&self, route: &Arc<Route>) -> Option<Arc<Place>> {
        let known = self.0.load();
        known.as_ref()?.iter().find(|place| Arc::ptr_eq(&place.route, route)).cloned()
    }

    pub(in crate::gateway) fn bytes(&self) -> usize {
        let known = self.0.load();
        let places = known.iter().flat_map(|known| known.iter());
        places
            .map(|place| {
                let seat = place.seat.load();
                size_of::<Place>() + seat.as_ref().map_or(0, |s| s.bytes())
            })
            .sum()
    }

    /// Lets go of seats whose token has ended.
    pub(in crate::gateway) fn tidy(&self, now: Time) {
        for place in self.0.load().iter().flat_map(|known| known.iter()) {
            if place.seat(now).is_none() {
                place.seat.store(None);
            }
        }
    }
}

impl fmt::Debug for Seats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seats([redacted])")
    }
}
