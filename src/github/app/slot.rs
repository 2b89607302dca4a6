//! The place of one token: what is held, and who is under way for the next.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;

use super::token::Need;
use super::{AppError, InstallationId, InstallationToken, ScopeHash};
use crate::clock::Time;
use crate::github::Pauses;

/// Which token: whoever asks for less gets another one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// The app at its GitHub.
    pub(super) home: u64,
    pub(super) installation: InstallationId,
    pub(super) scope: ScopeHash,
}

/// The same in bytes: its name in the store.
pub(super) struct PlaceBytes([u8; 8], [u8; 8], ScopeHash);

#[derive(Default)]
pub(super) struct Slot {
    token: ArcSwapOption<InstallationToken>,
    /// Whoever holds it asks GitHub; all others wait and find it done.
    pub(super) flight: Arc<Mutex<Flight>>,
}

/// How it went lately.
#[derive(Default)]
pub(super) struct Flight {
    pauses: Pauses,
    last: Option<AppError>,
}

// === impl Place ===

impl Place {
    pub(super) fn bytes(&self) -> PlaceBytes {
        let Self { home, installation: InstallationId(id), scope } = self;
        PlaceBytes(home.to_be_bytes(), id.to_be_bytes(), *scope)
    }
}

impl PlaceBytes {
    pub(super) fn parts(&self) -> [&[u8]; 3] {
        [&self.0, &self.1, &self.2]
    }
}

// === impl Slot ===

impl Slot {
    /// The token that is held, and what there is to do about it.
    pub(super) fn held(&self, now: Time) -> (Need, Option<Arc<InstallationToken>>) {
        let token = self.token.load_full();
        (token.as_ref().map_or(Need::Now, |token| token.need(now)), token)
    }

    /// Holds a token from now on.
    pub(super) fn hold(&self, token: Arc<InstallationToken>) {
        self.token.store(Some(token));
    }

    /// Holds a token no more; another one that is held by now is left alone.
    pub(super) fn let_go(&self, token: &Arc<InstallationToken>) {
        self.token.compare_and_swap(&Some(token.clone()), None);
    }

    /// Whether nothing is lost by forgetting it.
    pub(super) fn is_idle(&self, now: Time) -> bool {
        let ended = self.token.load().as_ref().is_none_or(|token| !token.lives(now));
        ended && self.flight.try_lock().is_ok_and(|flight| flight.pauses.are_over(now))
    }
}

// === impl Flight ===

impl Flight {
    /// Why not to ask now, if it failed a moment ago.
    pub(super) fn rest(&self, now: Time) -> Option<AppError> {
        self.last.clone().filter(|_| self.pauses.hold(now))
    }

    /// Notes that it went well.
    pub(super) fn succeed(&mut self) {
        *self = Self::default();
    }

    /// Notes that it failed.
    pub(super) fn fail(&mut self, error: &AppError, now: Time) {
        self.pauses.fail(now);
        self.last = Some(error.clone());
    }
}
