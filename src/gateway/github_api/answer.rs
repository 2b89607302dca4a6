//! GitHub's answers as a client of the gateway gets them: links that lead here, the gateway's own
//! validator, what the cache did, and what is left of the limit.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT, AGE, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LINK, LOCATION, RETRY_AFTER,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use serde_json::json;

use super::Asker;
use crate::budget::{Limited, OF_THE_LIMIT, Resource};
use crate::gateway::action::{Action, Answer, Streamed};
use crate::gateway::{Gateway, Request, Visitor};
use crate::github::api::{Arrival, Flow, Mode, Reply, Room, Taker};
use crate::github::budgets::RefusedKind;
use crate::passage::cache_status::{CacheStatus, Source};
use crate::passage::cors::Sharing;
use crate::passage::rewrite::{self, Bases, Media};
use crate::passage::tag::{Shown, is_known};
use crate::reason::Reason;
use crate::route::{Api, LimitStatus, Route};

/// What it takes to make an answer fit its client. Outlives the request's header, for a body may come
/// after it.
pub(super) struct Dress {
    bases: Bases,
    method: Method,
    accept: String,
    known: HeaderMap,
    request_id: String,
    is_graphql: bool,
    /// Whether what was sent may have changed something.
    has_changed: bool,
    sharing: Sharing,
    limit_status: LimitStatus,
    has_cache_headers: bool,
}

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const CACHE_MODE: HeaderName = HeaderName::from_static("x-cache-mode");
const FROM_CACHE: HeaderName = HeaderName::from_static("x-from-cache");
const ASKED_AS: HeaderName = HeaderName::from_static("x-gatekeep-asked-as");
const STALE: HeaderName = HeaderName::from_static("x-gatekeep-stale");

/// Seconds until there may be room again.
const CROWDED_FOR: u64 = 5;

// === impl Gateway ===

impl Gateway {
    /// Counts what became of a request, for those whose budget it is.
    pub(super) fn count(&self, asker: &Asker, arrival: &Arrival) {
        self.github_api.tally().note(&asker.budget, arrival.mode(), self.clock.now());
    }
}

// === impl Dress ===

impl Dress {
    pub(super) fn new(request: &Request<'_>, api: &Api, bases: Bases, is_graphql: bool) -> Self {
        let known = request.headers.get_all(IF_NONE_MATCH);
        let accept = request.header("accept").unwrap_or_default().to_owned();
        Self {
            bases,
            method: request.method.clone(),
            accept,
            known: known.iter().map(|value| (IF_NONE_MATCH, value.clone())).collect(),
            request_id: request.id.to_owned(),
            is_graphql,
            has_changed: false,
            sharing: api.origins.sharing(request.headers),
            limit_status: api.limit_status,
            has_cache_headers: api.cache_headers,
        }
    }

    /// The answer as an action of the gateway.
    pub(super) fn action(
        &self,
        gateway: &Gateway,
        route: &Arc<Route>,
        arrival: Arrival,
        asker: &Asker,
        visitor: Visitor,
    ) -> Action {
        gateway.count(asker, &arrival);
        let action = match arrival {
            Arrival::Whole(reply) => {
                let answer = self
                    .whole(gateway, &reply, asker, &visitor)
                    .unwrap_or_else(|| self.crowded(gateway, &reply, asker));
                Action::respond(answer).for_route(route).for_visitor(visitor)
            }
            Arrival::Flowing(flow) => {
                let head = self.head(gateway, &flow, asker);
                Action::Stream(Box::new(Streamed { head, flow, visitor, route: route.clone() }))
            }
        };
        naming(asker, action)
    }

    /// What was sent may have changed something: whoever is told otherwise sends it once more.
    pub(super) fn tells_of_a_change(&mut self) {
        self.has_changed = true;
    }

    /// What the client reads, as it said it.
    pub(super) fn wishes(&self) -> HeaderMap {
        let accept = HeaderValue::from_str(&self.accept);
        accept.map(|accept| (ACCEPT, accept)).into_iter().collect()
    }

    /// Which pages may read the answer.
    pub(super) fn sharing(&self) -> &Sharing {
        &self.sharing
    }

    /// The request's name in the log.
    pub(super) fn request_id(&self) -> &str {
        &self.request_id
    }

    /// The answer, with the reason why the visitor got as far as that where it is GitHub's; `None` where
    /// there is no room for it.
    fn whole(
        &self,
        gateway: &Gateway,
        reply: &Reply,
        asker: &Asker,
        visitor: &Visitor,
    ) -> Option<Answer> {
        if reply.is_crowded {
            return None;
        }
        if reply.is_of_the_gateway() && (reply.refused.is_none() || reply.stale.is_some()) {
            return Some(self.without_github(gateway, reply, asker));
        }
        let response = self.of_github(gateway, reply, asker, visitor)?;
        Some(Answer { response, reason: visitor.reason() })
    }

    /// GitHub's answer, or a refusal in its words.
    fn of_github(
        &self,
        gateway: &Gateway,
        reply: &Reply,
        asker: &Asker,
        visitor: &Visitor,
    ) -> Option<Response<Bytes>> {
        if let (Some(refused), None) = (&reply.refused, reply.stale) {
            let (status, mut headers, body) =
                refused.answer(self.limit_status, self.is_graphql, &self.request_id);
            self.account_for_older(&mut headers, reply.mode);
            return Some(response(status, headers, body.into()));
        }
        let mut headers = (*reply.headers).clone();
        self.turn_links(&mut headers);
        if reply.stale.is_some() || reply.age.as_secs() > 0 {
            headers.insert(AGE, reply.age.as_secs().into());
        }
        if let Some(stale) = reply.stale {
            headers.insert(STALE, HeaderValue::from_static(stale.word()));
        }
        if let Some(refused) = &reply.refused {
            headers.insert(RETRY_AFTER, refused.retry_after.as_secs().max(1).into());
        }
        pause(gateway, &mut headers, reply, asker);
        account(gateway, &mut headers, &reply.account, reply.resource, asker);
        self.account_for_older(&mut headers, reply.mode);
        if reply.status == StatusCode::OK && self.reads() {
            let tag = self.tag(reply, &headers);
            let has_it = is_known(&self.known, &tag);
            headers.insert(ETAG, tag);
            if has_it {
                return Some(response(StatusCode::NOT_MODIFIED, headers, Bytes::new()));
            }
        }
        let account = &visitor.session().account;
        let taker = Taker { account: account.id, unread: &account.unread };
        let body = self.body(gateway.github_api.room(), taker, reply, &headers)?;
        Some(response(reply.status, headers, body))
    }

    /// The head of an answer that flows. Its body is a file, and files are not rewritten.
    fn head(&self, gateway: &Gateway, flow: &Flow, asker: &Asker) -> Response<()> {
        let mut headers = flow.headers.clone();
        self.turn_links(&mut headers);
        account(gateway, &mut headers, &flow.account, flow.resource, asker);
        self.account_for_older(&mut headers, Mode::Bypass);
        let mut head = Response::new(());
        *head.status_mut() = flow.status;
        *head.headers_mut() = headers;
        head
    }

    fn reads(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }

    /// What the cache did, for clients that know nothing of `Cache-Status`: as Prow's ghproxy says it,
    /// and as httpcache says it, which go-github heeds.
    fn account_for_older(&self, headers: &mut HeaderMap, mode: Mode) {
        if !self.has_cache_headers {
            return;
        }
        headers.insert(CACHE_MODE, HeaderValue::from_static(self.word_of_ghproxy(mode)));
        if mode.is_free() {
            headers.insert(FROM_CACHE, HeaderValue::from_static("1"));
        }
    }

    /// What it calls free is free: `REVALIDATED`, `COALESCED` and `ERROR`.
    fn word_of_ghproxy(&self, mode: Mode) -> &'static str {
        match mode {
            Mode::Hit | Mode::Revalidated | Mode::Stale => "REVALIDATED",
            Mode::Collapsed => "COALESCED",
            Mode::Changed => "CHANGED",
            Mode::Miss => "MISS",
            Mode::Refused => "ERROR",
            Mode::Bypass if self.reads() => "NO-STORE",
            Mode::Bypass => "SKIP",
        }
    }

    fn turn_links(&self, headers: &mut HeaderMap) {
        let turned = |name: &HeaderName, turn: fn(&str, &Bases) -> String| {
            let value = headers.get(name)?.to_str().ok()?;
            HeaderValue::from_str(&turn(value, &self.bases)).ok()
        };
        let link = turned(&LINK, |link, bases| rewrite::link(link, bases).into_owned());
        let location = turned(&LOCATION, |to, bases| rewrite::location(to, bases).into_owned());
        for (name, turned) in [(LINK, link), (LOCATION, location)] {
            if let Some(turned) = turned {
                headers.insert(name, turned);
            }
        }
    }

    fn tag(&self, reply: &Reply, headers: &HeaderMap) -> HeaderValue {
        let shown = Shown {
            body: &reply.body.hash,
            base: self.bases.public(),
            media_type: text(headers, &CONTENT_TYPE),
            link: headers.get(LINK).and_then(|link| link.to_str().ok()),
            status: reply.status,
        };
        shown.tag()
    }

    /// The body with the room that it takes on its way, `None` where there is none.
    fn body(
        &self,
        room: &Room,
        taker: Taker<'_>,
        reply: &Reply,
        headers: &HeaderMap,
    ) -> Option<Bytes> {
        let media = Media { accept: &self.accept, content_type: text(headers, &CONTENT_TYPE) };
        match rewrite::body(&reply.body.bytes, media, &self.bases) {
            // It has happened: whoever is told otherwise sends it once more.
            Cow::Borrowed(_) if self.has_changed => {
                Some(room.written(taker, reply.body.bytes.clone()))
            }
            Cow::Owned(turned) if self.has_changed => Some(room.written(taker, turned.into())),
            Cow::Borrowed(_) => room.share(taker, &reply.body),
            Cow::Owned(turned) => room.own(taker, turned.into()),
        }
    }

    /// GitHub gave nothing to pass on.
    fn without_github(&self, gateway: &Gateway, reply: &Reply, asker: &Asker) -> Answer {
        let message = match reply.status {
            _ if reply.account.source == Source::Gateway => {
                "Nothing fresh is held, and the request wants nothing else: `only-if-cached`."
            }
            StatusCode::GATEWAY_TIMEOUT => "GitHub did not answer in time, and nothing is held.",
            _ => "GitHub cannot be reached just now. Ask again in a moment.",
        };
        let mut answer = self.said(reply.status, message, Reason::GitHubUnavailable);
        let headers = answer.response.headers_mut();
        account(gateway, headers, &reply.account, reply.resource, asker);
        self.account_for_older(headers, reply.mode);
        answer
    }

    /// GitHub gave more than there is room for just now, or is not asked for lack of it. Nobody is told
    /// so of what has changed something.
    fn crowded(&self, gateway: &Gateway, reply: &Reply, asker: &Asker) -> Answer {
        let message = if reply.account.source == Source::Gateway {
            "Too much is on its way, yours or everybody's: large bodies to GitHub, or large answers \
             to what was sent before. GitHub has not heard of this. Send it again when one has \
             arrived."
        } else {
            "Too many large answers are on their way, yours or everybody's. Ask again when one has \
             arrived."
        };
        let mut answer = self.said(StatusCode::SERVICE_UNAVAILABLE, message, Reason::Crowded);
        let headers = answer.response.headers_mut();
        headers.insert(RETRY_AFTER, CROWDED_FOR.into());
        account(gateway, headers, &reply.account, reply.resource, asker);
        self.account_for_older(headers, reply.mode);
        answer
    }

    /// Something of our own, as GitHub's clients read errors.
    fn said(&self, status: StatusCode, message: &str, reason: Reason) -> Answer {
        let body = json!({
            "message": message,
            "reason": reason.word(),
            "request_id": self.request_id,
        });
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Answer { response: response(status, headers, body.to_string().into()), reason }
    }
}

/// Says who was asked for, where that is not plain.
fn naming(asker: &Asker, mut action: Action) -> Action {
    let headers = match &mut action {
        Action::Respond { answer, .. } => answer.response.headers_mut(),
        Action::Stream(streamed) => streamed.head.headers_mut(),
        Action::Forward(_) | Action::Read(_) | Action::Send(_) => return action,
    };
    if asker.is_in_doubt {
        headers.insert(ASKED_AS, HeaderValue::from_static(asker.word()));
    }
    action
}

/// What the cache did, and what is left of the limit, whether or not GitHub was asked.
fn account(
    gateway: &Gateway,
    headers: &mut HeaderMap,
    status: &CacheStatus,
    resource: Resource,
    asker: &Asker,
) {
    headers.insert(CACHE_STATUS, status.value());
    if status.source == Source::Hit {
        // They are as old as the answer.
        for name in &OF_THE_LIMIT {
            headers.remove(name);
        }
    }
    let standing = gateway.github_api.budgets().standing(&asker.budget, resource);
    for (name, value) in standing.iter().flat_map(crate::budget::Standing::fields) {
        headers.insert(name, value);
    }
}

/// GitHub was asked too hastily: the client is told how long the gateway keeps away, which is a second
/// longer than GitHub says. Who came again on GitHub's own second would be refused here.
fn pause(gateway: &Gateway, headers: &mut HeaderMap, reply: &Reply, asker: &Asker) {
    let limited = Limited::read(reply.status, headers, &reply.body.bytes);
    if !matches!(limited, Some(Limited::Secondary { .. })) {
        return;
    }
    let closed = gateway.github_api.budgets().closed(&asker.budget, reply.resource);
    if let Some(closed) = closed.filter(|closed| closed.kind == RefusedKind::Secondary) {
        headers.insert(RETRY_AFTER, closed.retry_after.as_secs().max(1).into());
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn response(status: StatusCode, headers: HeaderMap, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
