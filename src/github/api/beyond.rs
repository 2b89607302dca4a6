//! What an installation may not see: whoever reads that in the visitor's name instead need not ask for
//! the installation first each time, which would cost it a request.

use std::time::Duration;

use quick_cache::sync::Cache;

use super::{Api, Question};
use crate::clock::Time;
use crate::store::{Principal, ResponseKey};

/// Refusals, by asker and URL.
pub(super) struct Beyond(Cache<(Principal, ResponseKey), Moment>);

/// When something was asked for, and the last change that was known then.
#[derive(Clone, Copy)]
pub struct Moment {
    at: Time,
    change: u64,
}

/// Whoever gives an installation more rights may wait so long for what they show.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Refusals that are remembered at once, each in some hundred bytes.
const MOST: usize = 20_000;

// === impl Api ===

impl Api {
    /// Now, for what is asked next.
    pub fn moment(&self) -> Moment {
        Moment { at: self.clock.now(), change: self.changes.latest() }
    }

    /// Whether GitHub has just said that the asker may not see it.
    pub fn is_beyond(&self, question: &Question) -> bool {
        let Some(refused) = self.beyond.0.get(&(question.who, question.key)) else { return false };
        let now = self.clock.now();
        now >= refused.at
            && now.since(refused.at) < REMEMBERED
            && !question.wishes.no_cache
            && !self.changes.is_outdated(question.who, &question.tags, refused.change)
    }

    /// Notes that GitHub has said so.
    pub fn note_beyond(&self, question: &Question, asked: Moment) {
        self.beyond.0.insert((question.who, question.key), asked);
    }
}

// === impl Beyond ===

impl Beyond {
    pub(super) fn new() -> Self {
        Self(Cache::new(MOST))
    }

    /// Forgets what an asker may not see.
    pub(super) fn forget_all(&self, who: Principal) {
        self.0.retain(|(owner, _), _| owner.subject() != who.subject());
    }
}
