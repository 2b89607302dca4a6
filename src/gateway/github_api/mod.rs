//! A route to GitHub's API: asked in the visitor's name, with a token that stays here.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, RANGE};
use http::{HeaderMap, HeaderName, Method};

use super::action::Action;
use super::{Gateway, Request, Visitor, csrf, error};
use crate::budget::Resource;
use crate::credential::Credential;
use crate::freshness::{ApiPath, Asked, Directives, Key, handling, tags};
use crate::github::api::{Arrival, Means, Question};
use crate::github::budgets::BudgetKey;
use crate::github::{Asking, TokenError};
use crate::passage::placement::{Addresses, Call, Kind, place};
use crate::passage::request as outgoing;
use crate::passage::rewrite::Bases;
use crate::reason::Reason;
use crate::route::{Api, Route};
use crate::store::Principal;

mod answer;
mod sending;

pub use sending::{Outgoing, Sending};

use answer::Dress;

/// What GitHub is asked in somebody's name, found out once for a request.
struct Asker {
    account: u64,
    who: Principal,
    budget: BudgetKey,
    /// Who asks, of those that share the budget.
    caller: u64,
}

/// A token in use.
#[derive(Clone)]
struct Token {
    credential: Credential,
    asking: Asking,
}

/// How long a request waits for its turn where the client does not say.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest that a client may ask for.
const LONGEST_PATIENCE: Duration = Duration::from_secs(30);

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
        if !request.method.is_safe() && !csrf::is_same_site(request) {
            return Err(Reason::CrossSiteForm);
        }
        let asker = Asker::of(request, &visitor);
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
        let mut token = self.token(request, asker.account).await?;
        let means = token.means(&request.snapshot.addresses.api, &fields)?;
        let arrival = self.github_api.read(&question, &means).await;
        if !is_refused(&arrival) {
            return Ok(arrival);
        }
        // Refused, and it may be the token's fault and not the question's.
        token = self.after_refusal(request.id, asker.account, token).await?;
        let means = token.means(&request.snapshot.addresses.api, &fields)?;
        Ok(self.github_api.read(&question, &means).await)
    }

    /// A token that can be used now.
    async fn token(&self, request: &Request<'_>, account: u64) -> Result<Token, Reason> {
        let asking = request.snapshot.asking();
        let credential = self.tokens.usable(&asking, account).await.map_err(|error| {
            tracing::debug!(request.id = request.id, "no token for GitHub: {error}");
            reason_of(&error)
        })?;
        Ok(Token { credential, asking })
    }

    /// The token to use in the place of one that GitHub refused; where it has been withdrawn, the
    /// sessions that rest on it are over.
    async fn after_refusal(
        &self,
        request_id: &str,
        account: u64,
        token: Token,
    ) -> Result<Token, Reason> {
        let Token { credential, asking } = token;
        match self.rechecks.settle_refusal(&asking, account, &credential).await {
            Ok(Some(credential)) => Ok(Token { credential, asking }),
            Ok(None) => Err(Reason::GitHubInconsistent),
            Err(trouble) => {
                tracing::info!(request.id = request_id, "GitHub refused a token: {trouble}");
                Err(trouble.reason())
            }
        }
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

fn reason_of(error: &TokenError) -> Reason {
    match error {
        TokenError::SignInAgain => Reason::FactsOutdated,
        TokenError::GitHub(error) => error.reason(),
        TokenError::Store(_) => Reason::StoreUnavailable,
    }
}

// === impl Asker ===

impl Asker {
    fn of(request: &Request<'_>, visitor: &Visitor) -> Self {
        let live = visitor.session();
        let account = live.account.id;
        let key = live.key.as_bytes();
        Self {
            account,
            who: Principal::User { realm: request.config().keys.realm(), id: account },
            budget: BudgetKey::User(account),
            caller: u64::from_le_bytes(key[..8].try_into().expect("a key has sixteen bytes")),
        }
    }
}

// === impl Token ===

impl Token {
    /// What it takes to ask with this token.
    fn means(&self, base: &str, fields: &HeaderMap) -> Result<Arc<Means>, Reason> {
        let authorization = outgoing::authorization(&self.credential.grant.access);
        let authorization = authorization.ok_or(Reason::GitHubRefused)?;
        let mut fields = fields.clone();
        fields.insert(http::header::AUTHORIZATION, authorization);
        Ok(Arc::new(Means::new(base.to_owned(), fields)))
    }
}
