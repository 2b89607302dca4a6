//! What comes of a question: an answer held whole, or one that flows through.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode};

use super::debts::Debt;
use super::exchange::{Broken, Large, next_part};
use super::flows::FlowPlace;
use crate::budget::Resource;
use crate::clock::Time;
use crate::freshness::Cause;
use crate::github::budgets::{Refused, Stream};
use crate::passage::cache_status::{CacheStatus, Forwarded, Source, Why};
use crate::passage::response;
use crate::store::{Body, Validation};

/// An answer to a client, still with GitHub's own links.
#[derive(Clone)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The fields that pass to clients.
    pub headers: Arc<HeaderMap>,
    /// The whole body, with its hash.
    pub body: Body,
    /// What the cache did.
    pub account: CacheStatus,
    /// The same in a word for the metric.
    pub mode: Mode,
    /// How long ago GitHub said so; zero where it just did.
    pub age: Duration,
    /// Why it is older than it should be, if it is.
    pub stale: Option<Cause>,
    /// Why GitHub was not asked, if it was not.
    pub refused: Option<Refused>,
    /// Whether there was no room here.
    pub is_crowded: bool,
    /// The limit that the question counts against.
    pub resource: Resource,
}

/// An answer that is too large to hold.
pub struct Flow {
    /// The status.
    pub status: StatusCode,
    /// The fields that pass to clients.
    pub headers: HeaderMap,
    /// Bytes of the body, where GitHub says how many there will be.
    pub length: Option<u64>,
    /// What has come of the body.
    pub start: Bytes,
    /// What the cache did.
    pub account: CacheStatus,
    /// The limit that the question counts against.
    pub resource: Resource,
    rest: reqwest::Response,
    _passing: (Passing, Stream),
}

/// By what an answer may flow. Held, not read.
#[expect(dead_code, reason = "it counts for as long as it is held")]
pub(super) enum Passing {
    /// A place of the few that there are.
    Place(FlowPlace),
    /// The write that it answers has happened.
    Owed(Debt),
}

/// What a question brings.
pub enum Arrival {
    /// A whole answer.
    Whole(Reply),
    /// One that flows.
    Flowing(Box<Flow>),
}

/// What asking GitHub came to.
pub(super) enum Outcome {
    /// Something that can be told to all who wait for it.
    Found(Finding),
    /// Something for the one alone who asked: an answer that is too large to hold.
    Alone(Box<Arrival>),
}

/// What there is to tell: each who hears it makes of it what its own conditions allow.
#[derive(Clone)]
pub(super) enum Finding {
    /// GitHub's answer.
    Answer(Reply),
    /// GitHub's answer, which is its trouble: what is held may stand in for it.
    Trouble(Reply, Cause),
    /// There is no answer.
    Broken(Broken),
    /// GitHub was not asked, for it has failed again and again, and what is held will do.
    LeftAlone,
    /// It was not asked, for the budget does not allow it.
    Refused(Refused),
}

/// What those are told who wait for another's answer.
#[derive(Clone)]
pub(super) enum Landed {
    /// The same.
    Found(Finding),
    /// It is too large to share: each asks alone.
    TooLarge,
}

/// What became of a question, for the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Answered from what is held; GitHub was not asked.
    Hit,
    /// GitHub said that nothing has changed, which costs nothing.
    Revalidated,
    /// Something had changed.
    Changed,
    /// Nothing was held.
    Miss,
    /// Another question, the same, was under way.
    Collapsed,
    /// Older than it should be, for GitHub cannot be asked.
    Stale,
    /// Refused here, for GitHub would have refused it.
    Refused,
    /// Never answered from what is held.
    Bypass,
}

// === impl Arrival ===

impl Arrival {
    /// What became of the question.
    pub fn mode(&self) -> Mode {
        match self {
            Self::Whole(reply) => reply.mode,
            Self::Flowing(_) => Mode::Bypass,
        }
    }
}

// === impl Reply ===

impl Reply {
    /// An answer of an own status, with no body of GitHub's.
    pub(super) fn bare(status: StatusCode, resource: Resource, source: Source) -> Self {
        Self {
            status,
            headers: Arc::default(),
            body: Body::new(Bytes::new()),
            account: CacheStatus { source, ttl: None, detail: None },
            mode: Mode::Bypass,
            age: Duration::ZERO,
            stale: None,
            refused: None,
            is_crowded: false,
            resource,
        }
    }

    /// There is no room: for GitHub's answer, or, where `source` is the gateway, for asking GitHub.
    pub(super) fn crowded(resource: Resource, source: Source) -> Self {
        let bare = Self::bare(StatusCode::SERVICE_UNAVAILABLE, resource, source);
        Self { is_crowded: true, mode: Mode::Refused, ..bare }
    }

    /// Whether there is nothing of GitHub's in it.
    pub fn is_of_the_gateway(&self) -> bool {
        self.headers.is_empty()
    }

    /// What GitHub has shown, without asking it.
    pub(super) fn held(shown: &Validation, body: Body, resource: Resource, now: Time) -> Self {
        let age = now.since(shown.asked);
        let left = seconds(shown.fresh) - seconds(age);
        Self {
            status: StatusCode::OK,
            headers: shown.headers.clone(),
            body,
            account: CacheStatus { source: Source::Hit, ttl: Some(left), detail: None },
            mode: Mode::Hit,
            age,
            stale: None,
            refused: None,
            is_crowded: false,
            resource,
        }
    }

    /// The same, older than it should be. `asked` is how GitHub was asked in vain, if it was.
    pub(super) fn stale(mut self, why: Cause, asked: Option<Source>) -> Self {
        self.mode = Mode::Stale;
        self.stale = Some(why);
        self.account.detail = Some(why.detail());
        if let Some(asked) = asked {
            (self.account.source, self.account.ttl) = (asked, None);
        }
        self
    }

    /// The same for somebody who waited for it.
    pub(super) fn collapsed(mut self) -> Self {
        if let Source::Forwarded(forwarded) = &mut self.account.source {
            forwarded.collapsed = true;
            self.mode = if self.stale.is_some() { self.mode } else { Mode::Collapsed };
        }
        self
    }
}

// === impl Outcome ===

impl Outcome {
    /// What those are told who wait for it.
    pub(super) fn landed(&self) -> Landed {
        match self {
            Self::Found(found) => Landed::Found(found.clone()),
            Self::Alone(_) => Landed::TooLarge,
        }
    }

    /// What the one gets who asked.
    pub(super) fn arrival(self, made_of: impl FnOnce(Finding) -> Reply) -> Arrival {
        match self {
            Self::Found(found) => Arrival::Whole(made_of(found)),
            Self::Alone(arrival) => *arrival,
        }
    }
}

// === impl Flow ===

impl Flow {
    pub(super) fn new(
        large: Large,
        source: Source,
        resource: Resource,
        passing: (Passing, Stream),
    ) -> Self {
        // Taken away where the body was unpacked.
        let length = large.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        Self {
            status: large.status,
            headers: response::fields(&large.headers),
            length: length.and_then(|length| length.parse().ok()),
            start: large.start,
            account: CacheStatus { source, ttl: None, detail: None },
            resource,
            rest: large.rest,
            _passing: passing,
        }
    }

    /// The next part of the body; `Err` where it breaks off, which the client must see.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Broken> {
        next_part(&mut self.rest).await
    }
}

// === impl Passing ===

impl From<FlowPlace> for Passing {
    fn from(place: FlowPlace) -> Self {
        Self::Place(place)
    }
}

impl From<Debt> for Passing {
    fn from(debt: Debt) -> Self {
        Self::Owed(debt)
    }
}

// === impl Mode ===

impl Mode {
    /// Whether it cost nothing of GitHub's limits, and was answered all the same.
    pub fn is_free(self) -> bool {
        matches!(self, Self::Hit | Self::Revalidated | Self::Collapsed | Self::Stale)
    }

    /// Whether the answer is what GitHub said earlier.
    pub(super) fn is_of_the_past(self) -> bool {
        matches!(self, Self::Hit | Self::Stale)
    }

    /// The metric's label.
    pub fn word(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Revalidated => "revalidated",
            Self::Changed => "changed",
            Self::Miss => "miss",
            Self::Collapsed => "collapsed",
            Self::Stale => "stale",
            Self::Refused => "refused",
            Self::Bypass => "bypass",
        }
    }
}

pub(super) fn forwarded(why: Why, status: Option<StatusCode>) -> Source {
    Source::Forwarded(Forwarded { why, status, stored: false, collapsed: false })
}

fn seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}
