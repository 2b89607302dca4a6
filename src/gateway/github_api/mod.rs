//! A route to GitHub's API: asked in the visitor's name, with a token that stays here.

use std::sync::Arc;
use std::time::Duration;

use http::header::RANGE;
use http::{HeaderName, Method};

use super::action::Action;
use super::{Gateway, Request, Visitor, csrf, error};
use crate::freshness::ApiPath;
use crate::github::api::Arrival;
use crate::passage::permitted::Refusal;
use crate::passage::placement::{Addresses, Call, Kind, place};
use crate::passage::rewrite::Bases;
use crate::reason::Reason;
use crate::route::{Api, Route};

mod answer;
mod asker;
mod complaints;
mod inward;
mod reading;
mod refreshing;
mod sending;
mod sharing;

pub use reading::Reading;
pub use sending::{Outgoing, Sending};

pub(super) use complaints::Complaints;

use answer::Dress;
use asker::{Asker, Token};

/// How long a request waits for its turn where the client does not say.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest that a client may ask for.
const LONGEST_PATIENCE: Duration = Duration::from_secs(30);

/// Tokens that are tried for one request: a new one may not be known everywhere yet.
const MOST_REFUSALS: usize = 4;

const MAX_WAIT: HeaderName = HeaderName::from_static("x-gatekeep-max-wait");

// === impl Gateway ===

impl Gateway {
    /// Asks GitHub's API for a visitor, or prepares to where a body is still to come.
    pub(super) async fn ask_github(
        &self,
        request: &Request<'_>,
        route: &Arc<Route>,
        api: &Api,
        visitor: Visitor,
    ) -> Action {
        match self.try_to_ask(request, route, api, &visitor).await {
            Ok(action) => action,
            Err(reason) => {
                let answer = error::fault(request, reason);
                Action::respond(answer).for_route(route).for_visitor(visitor)
            }
        }
    }

    async fn try_to_ask(
        &self,
        request: &Request<'_>,
        route: &Arc<Route>,
        api: &Api,
        visitor: &Visitor,
    ) -> Result<Action, Reason> {
        let path = request.target.path();
        let call = place(route.path.as_str(), api.enterprise_paths, path).ok_or(Reason::NoRoute)?;
        let upstream = &request.snapshot.addresses;
        let bases = Bases::new(upstream, &shown(request, route, &call));
        let dress = Dress::new(request, api, bases, call.kind == Kind::Graphql);
        // A browser sends the cookie by itself; a key only whoever has it.
        let is_by_cookie = !visitor.is_api_key();
        if is_by_cookie && !request.method.is_safe() && !csrf::may_write(request) {
            return Err(Reason::CrossSiteForm);
        }
        let asker = self.asker(request, api, visitor).await?;
        let below = below(&call, request.target.query());
        let is_read = matches!(*request.method, Method::GET | Method::HEAD);
        if call.kind == Kind::Graphql {
            permitted(request, api.rules.judge_graphql(request.method))?;
            let url = upstream.url(&call);
            return self.prepare(request, route, (dress, asker, visitor), None, url).await;
        }
        let path = ApiPath::parse(&below).map_err(|_| Reason::AmbiguousTarget)?;
        permitted(request, api.rules.judge(request.method, path.path()))?;
        if call.kind == Kind::Api && is_read && !request.headers.contains_key(RANGE) {
            let by = (route, api);
            return self.prepare_to_read(request, by, (dress, asker, visitor), path).await;
        }
        let url = format!("{}{below}", upstream.url(&Call { rest: "", ..call }));
        self.prepare(request, route, (dress, asker, visitor), Some(path), url).await
    }
}

/// Where the client finds what it followed here: its links must lead there again.
fn shown(request: &Request<'_>, route: &Route, call: &Call<'_>) -> Addresses {
    let origin = request.here().to_string();
    if call.facade {
        Addresses::facade(&origin)
    } else {
        Addresses::public(&origin, route.path.as_str())
    }
}

/// Whether the route passes a call on.
fn permitted(request: &Request<'_>, judged: Result<(), Refusal<'_>>) -> Result<(), Reason> {
    judged.map_err(|refusal| {
        tracing::debug!(request.id = request.id, "not passed on to GitHub: {refusal}");
        Reason::ApiPathDenied
    })
}

/// Path and query below the service.
fn below(call: &Call<'_>, query: Option<&str>) -> String {
    let path = if call.rest.is_empty() { "/" } else { call.rest };
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

fn patience(request: &Request<'_>) -> Duration {
    let asked = request.header(MAX_WAIT.as_str()).and_then(|text| text.trim().parse().ok());
    asked.map_or(PATIENCE, Duration::from_secs).min(LONGEST_PATIENCE)
}

fn is_found(arrival: &Arrival) -> bool {
    matches!(arrival, Arrival::Whole(reply) if reply.status == http::StatusCode::OK)
}

fn is_refused(arrival: &Arrival) -> bool {
    matches!(arrival, Arrival::Whole(reply) if reply.status == http::StatusCode::UNAUTHORIZED)
}
