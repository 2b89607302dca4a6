//! A route to GitHub's API: asked in the visitor's name, with a token that stays here.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, RANGE};
use http::{HeaderMap, HeaderName, Method};

use super::action::Action;
use super::{Gateway, Request, Visitor, csrf, error};
use crate::budget::Resource;
use crate::freshness::{ApiPath, Asked, Directives, Key, handling, tags};
use crate::github::api::{Arrival, Question};
use crate::passage::placement::{Addresses, Call, Kind, place};
use crate::passage::request as outgoing;
use crate::passage::rewrite::Bases;
use crate::reason::Reason;
use crate::route::{Api, Route};

mod answer;
mod asker;
mod sending;

pub use sending::{Outgoing, Sending};

use answer::Dress;
use asker::{Asker, Token};

/// How long a request waits for its turn where the client does not say.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest that a client may ask for.
const LONGEST_PATIENCE: Duration = Duration::from_secs(30);

/// Tokens that are tried for one request: a new one may not be known everywhere yet.
const MOST_REFUSALS: usize = 4;

const MAX_WAIT: HeaderName = HeaderName::from_static("x-gatekeep-max-wait");
const TIME_ZONE: HeaderName = HeaderName::from_static("time-zone");

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
        match self.try_to_ask(request, route, api, visitor).await {
            Ok(action) => action,
            Err(reason) => Action::respond(error::fault(request, reason)).for_route(route),
        }
    }

    async fn try_to_ask(
        &self,
        request: &Request<'_>,
        route: &Arc<Route>,
        api: &Api,
        visitor: Visitor,
    ) -> Result<Action, Reason> {
        let path = request.target.path();
        let call = place(route.path.as_str(), api.enterprise_paths, path).ok_or(Reason::NoRoute)?;
        let upstream = &request.snapshot.addresses;
        let bases = Bases::new(upstream, &shown(request, route, &call));
        let dress = Dress::new(request, bases, call.kind == Kind::Graphql);
        // A browser sends the cookie by itself; a key only whoever has it.
        let is_by_cookie = !visitor.is_api_key();
        if is_by_cookie && !request.method.is_safe() && !csrf::may_write(request) {
            return Err(Reason::CrossSiteForm);
        }
        let asker = self.asker(request, api, &visitor).await?;
        let below = below(&call, request.target.query());
        let is_read = matches!(*request.method, Method::GET | Method::HEAD);
        if call.kind == Kind::Graphql {
            permit(request, api, "/graphql")?;
            let url = upstream.url(&call);
            return self.prepare(request, route, (dress, asker, visitor), None, url).await;
        }
        let path = ApiPath::parse(&below).map_err(|_| Reason::AmbiguousTarget)?;
        permit(request, api, path.path())?;
        if call.kind == Kind::Api && is_read && !request.headers.contains_key(RANGE) {
            let arrival = self.read(request, api, &asker, path).await?;
            return Ok(dress.action(self, route, arrival, &asker, visitor));
        }
        let url = format!("{}{below}", upstream.url(&Call { rest: "", ..call }));
        self.prepare(request, route, (dress, asker, visitor), Some(path), url).await
    }

    /// Reads: from what is held, or from GitHub.
    async fn read(
        &self,
        request: &Request<'_>,
        api: &Api,
        asker: &Asker,
        path: ApiPath,
    ) -> Result<Arrival, Reason> {
        let fields =
            outgoing::fields(request.headers, outgoing::Kind::Read, &request.snapshot.agent);
        let question = Arc::new(question(request, api, asker, path, &fields));
        if let Some(reply) = self.github_api.held(&question).await {
            return Ok(Arrival::Whole(reply));
        }
        let mut token = self.token(request.snapshot, request.id, asker).await?;
        for _ in 0..MOST_REFUSALS {
            let means = token.means(&request.snapshot.addresses.api, &fields)?;
            let arrival = self.github_api.read(&question, &means).await;
            if !is_refused(&arrival) {
                return Ok(arrival);
            }
            // It may be the token's fault and not the question's.
            token = self.after_refusal(request.snapshot, request.id, asker, token).await?;
        }
        Err(Reason::GitHubInconsistent)
    }
}

fn question(
    request: &Request<'_>,
    api: &Api,
    asker: &Asker,
    path: ApiPath,
    fields: &HeaderMap,
) -> Question {
    let text = |name: &HeaderName| fields.get(name).and_then(|value| value.to_str().ok());
    let accept = text(&ACCEPT).unwrap_or_default();
    let representation = Asked {
        upstream: &request.snapshot.addresses.api,
        path: &path,
        accept,
        version: text(&outgoing::API_VERSION).unwrap_or_default(),
        time_zone: text(&TIME_ZONE),
    };
    Question {
        who: asker.who,
        budget: asker.budget.clone(),
        caller: asker.caller,
        key: *Key::of(&representation).as_bytes(),
        handling: handling(&path, accept),
        tags: tags::tags_of(&path, asker.who.user()),
        wishes: Directives::read(request.headers),
        share: api.share,
        resource: Resource::predicted(&Method::GET, path.path()),
        max_wait: patience(request),
        path,
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

/// Whether the route passes a path on.
fn permit(request: &Request<'_>, api: &Api, path: &str) -> Result<(), Reason> {
    api.rules.judge(request.method, path).map_err(|refusal| {
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

fn is_refused(arrival: &Arrival) -> bool {
    matches!(arrival, Arrival::Whole(reply) if reply.status == http::StatusCode::UNAUTHORIZED)
}
