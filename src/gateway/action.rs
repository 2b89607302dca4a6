//! What becomes of a request: an answer of our own, or a way to the app.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response};

use super::admission::{Admission, Passport};
use super::github_api::{Reading, Sending};
use super::trackeep::Taken;
use super::{LiveSession, Request, own_origin, upstream};
use crate::api_key::Presented;
use crate::clock::Time;
use crate::github::api::Flow;
use crate::origin::Origin;
use crate::passage::cors::Sharing;
use crate::reason::Reason;
use crate::route::{OwnRedirects, Route};

/// What to do with a request.
pub enum Action {
    /// Answer it here.
    Respond {
        /// The answer and why.
        answer: Answer,
        /// The route that was asked for, if one was found.
        route: Option<Arc<Route>>,
        /// Whom it is for, where that is a visitor of GitHub's API.
        visitor: Option<Box<Visitor>>,
    },
    /// Send it to the app.
    Forward(Box<Forward>),
    /// Ask GitHub's API.
    Read(Box<Reading>),
    /// Read its body, and send it to GitHub's API.
    Send(Box<Sending>),
    /// Answer it with what flows from GitHub's API.
    Stream(Box<Streamed>),
}

/// An answer of GitHub's that is too large to hold.
pub struct Streamed {
    /// Status and fields.
    pub head: Response<()>,
    /// The body.
    pub flow: Box<Flow>,
    /// For whom.
    pub visitor: Visitor,
    /// The route.
    pub route: Arc<Route>,
}

/// An answer of our own, with its reason for the log.
pub struct Answer {
    /// The response, with its length.
    pub response: Response<Bytes>,
    /// Why.
    pub reason: Reason,
}

/// Whether a request may pass.
pub enum Decision {
    /// Anyone may; with the number of the rule that holds.
    Public(Option<usize>),
    /// A program may that shows a token of the app's own, for the app to judge; with the number of
    /// the rule that holds.
    AppToken(Option<usize>),
    /// This visitor may.
    Allow(Visitor),
    /// Whoever it is must sign in first, and why.
    SignIn(Reason),
    /// It may not, and why; with the session, if there is one.
    Deny(Reason, Option<Arc<LiveSession>>),
    /// The store or GitHub gave no answer: nobody passes, nobody is signed out.
    Unavailable(Reason),
}

/// A signed-in person whom a policy admitted. Only `decide` makes one, and only from one are
/// identity headers made.
#[derive(Clone)]
pub struct Visitor {
    live: Arc<LiveSession>,
    admission: Arc<Admission>,
    passport: Arc<Passport>,
    reason: Reason,
    rule: Option<usize>,
    since: Time,
}

/// How to send a request to an app.
pub struct Forward {
    /// The route.
    pub route: Arc<Route>,
    /// Which of the route's servers answers.
    pub server: usize,
    /// For whom; nobody on public paths, and with a token of the app's own.
    pub visitor: Option<Visitor>,
    /// Why it may pass.
    pub reason: Reason,
    /// Path and query, where what is to be forwarded differs from what was sent.
    pub path_and_query: Option<String>,
    /// Header fields to set, after stripping.
    pub fields: Vec<(HeaderName, HeaderValue)>,
    /// Whether silence is no fault: WebSockets and event streams.
    pub may_stay_silent: bool,
    /// The largest body in bytes.
    pub body_limit: u64,
    /// Between two reads of the answer, where that is another time than the route's.
    pub read_timeout: Option<Duration>,
    /// The origin that the app's answer may lead to, where it is not any.
    pub stays_at: Option<Origin>,
    /// Whether the app is not told which page asks.
    pub(super) hides_page: bool,
    /// The visitor's seat at the instance behind the route, whose token is among the fields.
    pub(super) seat: Option<Taken>,
    /// Removes from the browser whom its pages know, for when the app refuses the token that it brought.
    pub(super) forgets: Option<HeaderValue>,
    /// Whether the client's `Authorization` holds an API key, which is not for the app.
    pub(super) has_api_key: bool,
}

// === impl Action ===

impl Action {
    pub(super) fn respond(answer: Answer) -> Self {
        Self::Respond { answer, route: None, visitor: None }
    }

    pub(super) fn forward(forward: Forward) -> Self {
        Self::Forward(Box::new(forward))
    }

    pub(super) fn for_route(mut self, to: &Arc<Route>) -> Self {
        if let Self::Respond { route, .. } = &mut self {
            *route = Some(to.clone());
        }
        self
    }

    /// Notes whom it is for: the log names them, and what is long ends with their session.
    pub(super) fn for_visitor(mut self, to: Visitor) -> Self {
        if let Self::Respond { visitor, .. } = &mut self {
            *visitor = Some(Box::new(to));
        }
        self
    }

    /// Tells the browser whether a page of another origin may read the answer, if this is one.
    pub(super) fn shared(mut self, sharing: &Sharing) -> Self {
        match &mut self {
            Self::Respond { answer, .. } => sharing.tell(answer.response.headers_mut()),
            Self::Stream(streamed) => sharing.tell(streamed.head.headers_mut()),
            Self::Forward(_) | Self::Read(_) | Self::Send(_) => {}
        }
        self
    }
}

// === impl Decision ===

impl Decision {
    /// The decision and its reason, for metric and log.
    pub fn words(&self) -> (&'static str, Reason) {
        match self {
            Self::Public(_) => ("allow", Reason::Public),
            Self::AppToken(_) => ("allow", Reason::AppToken),
            Self::Allow(visitor) => ("allow", visitor.reason),
            Self::SignIn(reason) => ("sign-in", *reason),
            Self::Deny(reason, _) => ("deny", *reason),
            Self::Unavailable(reason) => ("unavailable", *reason),
        }
    }
}

// === impl Visitor ===

impl Visitor {
    pub(super) fn new(
        live: Arc<LiveSession>,
        admission: Arc<Admission>,
        passport: Arc<Passport>,
        (reason, rule): (Reason, Option<usize>),
        since: Time,
    ) -> Self {
        Self { live, admission, passport, reason, rule, since }
    }

    /// Whether the visitor was admitted this very second, as of nearly every request.
    pub(super) fn came_just_now(&self, now: Time) -> bool {
        self.since == now
    }

    pub(super) fn session(&self) -> &Arc<LiveSession> {
        &self.live
    }

    /// When GitHub said what the visitor was admitted by.
    pub(super) fn judged_by(&self) -> Time {
        self.admission.facts_of()
    }

    /// Whether the policy that admitted the visitor still does, by what is known now.
    pub(super) fn is_admitted(&self) -> bool {
        self.admission.still_admits(&self.live.account)
    }

    /// Whether the visitor is a program with an API key: no page of another site can make it ask, so
    /// it owes no proof of where it comes from.
    pub fn is_api_key(&self) -> bool {
        self.live.is_api_key()
    }

    /// What admitted the visitor.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The number of the rule that holds for the request.
    pub(super) fn rule(&self) -> Option<usize> {
        self.rule
    }

    /// The account's name, for the log.
    pub fn login(&self) -> &str {
        &self.passport.login
    }

    /// Whether the session is over by now: long-lived connections ask.
    pub fn has_left(&self, now: Time) -> bool {
        self.live.has_ended() || now >= self.live.expires()
    }

    pub(super) fn passport(&self) -> &Passport {
        &self.passport
    }
}

// === impl Forward ===

impl Forward {
    pub(super) fn new(
        request: &Request<'_>,
        route: &Arc<Route>,
        rule: Option<usize>,
        visitor: Option<Visitor>,
        reason: Reason,
    ) -> Self {
        let redirects = route.redirects(rule);
        let own = redirects.map(|_| own_origin(route, request));
        let rule = rule.and_then(|index| route.rules.get(index));
        // Where a visitor is wanted, a key that was shown was judged, and no cookie beside it.
        let has_api_key = match &visitor {
            Some(visitor) => visitor.is_api_key(),
            None => Presented::by(request.headers).is_some(),
        };
        Self {
            fields: upstream::fields(request, route, redirects.zip(own.as_ref()), visitor.as_ref()),
            path_and_query: upstream::path_and_query(request, route, visitor.is_some()),
            route: route.clone(),
            server: route.server_at(request.target.path()),
            visitor,
            reason,
            may_stay_silent: request.may_stay_silent(),
            body_limit: rule.and_then(|rule| rule.body_limit).unwrap_or(route.body_limit),
            read_timeout: rule.and_then(|rule| rule.read_timeout),
            seat: None,
            forgets: None,
            has_api_key,
            hides_page: own
                .as_ref()
                .is_some_and(|own| OwnRedirects::come_from_elsewhere(request, own)),
            stays_at: own.filter(|_| redirects.is_some_and(|redirects| redirects.location)),
        }
    }
}
