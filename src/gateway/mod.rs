//! The gateway: what it does with a request, without naming the server that carries it.
//!
//! [`Gateway::handle`] answers a request with an [`Action`]; [`Gateway::decide`] is the one door
//! that every access passes.

use std::sync::Arc;

use http::HeaderValue;
use tokio::sync::Semaphore;

use crate::allowance::Allowances;
use crate::api_key::Presented;
use crate::clock::Clock;
use crate::config::{Cache, Config};
use crate::github::api::{Api, Exchange};
use crate::github::app::Installations;
use crate::github::budgets::Budgets;
use crate::github::{Asking, Client, GitHubError, Tokens};
use crate::metrics::{Metrics, RouteMetrics};
use crate::passage::{self, placement::Addresses};
use crate::reason::Reason;
use crate::route::Route;
use crate::session::Lifetimes;
use crate::store::{
    BrokerCodes, Changed, Credentials, Handovers, HeldResponses, InstallationTokens, KeysError,
    Live, Sessions, SigningKeys, Store, Stores, Unavailable,
};

mod account;
mod action;
mod admission;
mod allowed;
mod attempts;
mod authenticate;
mod broker;
mod callback;
mod csrf;
mod device;
mod door;
mod ending;
mod endpoint;
mod error;
mod forms;
mod github_api;
mod handover;
mod hearing;
mod last_session;
mod missed;
mod my_api_keys;
mod my_budget;
mod my_installations;
mod my_instances;
mod my_sessions;
mod notice;
mod operate;
mod own_redirects;
mod pages;
mod recheck;
mod request;
mod sign_in;
mod sign_out;
mod trackeep;
mod upstream;
mod webhook;
mod withdrawal;

pub use action::{Action, Answer, Decision, Forward, Streamed, Visitor};
pub use admission::Admissions;
pub use endpoint::Endpoint;
pub use error::fault_page;
pub use forms::LARGEST as LARGEST_FORM;
pub use github_api::{Outgoing, Reading, Sending};
pub use last_session::LastSession;
pub use operate::{Budgeted, OperateError, Rotation};
pub use own_redirects::leads_away;
pub use request::{Client as RequestClient, Request, RequestIds};
pub use webhook::LARGEST_WEBHOOK;

use door::{miss_reason, own_origin};
use github_api::Complaints;
use my_installations::Listings;
use recheck::Rechecks;
use trackeep::InstanceClient;

/// A session with what the gateway remembers beside it.
pub type LiveSession = Live<Admissions>;

/// Everything that outlives a configuration.
pub struct Gateway {
    clock: Arc<dyn Clock>,
    store: Arc<dyn Store>,
    sessions: Arc<Sessions<Admissions>>,
    tokens: Arc<Tokens>,
    rechecks: Arc<Rechecks>,
    github_api: Arc<Api>,
    installations: Arc<Installations>,
    complaints: Complaints,
    listings: Listings,
    handovers: Handovers,
    broker_codes: BrokerCodes,
    signing_keys: Arc<SigningKeys>,
    /// Sign-ins that ask GitHub at once.
    sign_ins: Semaphore,
    allowances: Allowances,
    metrics: Arc<Metrics>,
}

/// One configuration with what is made of it. A request takes one at its beginning and keeps it.
pub struct Snapshot {
    /// The configuration.
    pub config: Config,
    github: Client,
    /// The connections to GitHub's API.
    exchange: Exchange,
    /// Where GitHub's services are.
    addresses: Addresses,
    /// The gateway's name in its calls.
    agent: HeaderValue,
    routes: Vec<RouteMetrics>,
    own: RouteMetrics,
    /// The instances behind routes, where the gateway signs visitors in.
    instances: Vec<Option<InstanceClient>>,
}

// === impl Snapshot ===

impl Snapshot {
    fn new(config: Config, gateway: &Gateway) -> Result<Self, GitHubError> {
        let (api, metrics) = (&gateway.github_api, &gateway.metrics);
        let (budgets, verbatim) = (api.budgets().clone(), api.verbatim().clone());
        let github = Client::new(config.github.clone(), budgets, verbatim)?;
        let exchange = gateway.github_api.exchange(&config.github)?;
        let routes = config.routes.iter().map(|route| metrics.for_route(&route.name)).collect();
        let addresses = Addresses::upstream(&config.github.api);
        let (agent, own) = (passage::request::agent(None), metrics.for_route("gatekeep"));
        let instances = config.routes.iter().map(|route| InstanceClient::of(route)).collect();
        Ok(Self { config, github, exchange, addresses, agent, routes, own, instances })
    }

    /// What it takes to ask GitHub in somebody's name.
    fn asking(&self) -> Asking {
        Asking {
            github: self.github.clone(),
            keys: self.config.keys.clone(),
            callback: self.config.callback_url(),
        }
    }

    /// The instance behind a route.
    fn instance(&self, route: &Route) -> Option<&InstanceClient> {
        self.instances.get(route.index)?.as_ref()
    }

    /// The counters of a route, or of the gateway's own answers.
    pub fn route_metrics(&self, route: Option<&Route>) -> &RouteMetrics {
        route.and_then(|route| self.routes.get(route.index)).unwrap_or(&self.own)
    }
}

// === impl Gateway ===

impl Gateway {
    /// A gateway on these stores.
    pub fn new(
        stores: Stores,
        cache: &Cache,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, GitHubError> {
        crate::keys::install_jwt_provider();
        let Stores { sessions: store, answers } = stores;
        let sessions = Arc::new(Sessions::new(store.clone(), cache.size));
        // It hears nothing yet.
        sessions.set_in_touch(false);
        let credentials = Credentials::new(store.clone());
        let tokens = Arc::new(Tokens::new(credentials, clock.clone(), metrics.clone()));
        let budgets = Arc::new(Budgets::new(clock.clone(), metrics.clone()));
        let shared = InstallationTokens::new(store.clone());
        let in_memory = || Arc::new(HeldResponses::new(cache.github as u64)) as _;
        let answers = answers.unwrap_or_else(in_memory);
        let github_api = Arc::new(Api::new(answers, budgets, clock.clone(), metrics.clone()));
        let (clocks, counts) = (clock.clone(), metrics.clone());
        let rechecks =
            Rechecks::new(sessions.clone(), tokens.clone(), github_api.clone(), clocks, counts);
        Ok(Self {
            github_api,
            installations: Arc::new(Installations::new(shared, clock.clone(), metrics.clone())),
            complaints: Complaints::default(),
            listings: Listings::new(),
            sessions,
            tokens,
            rechecks: Arc::new(rechecks),
            handovers: Handovers::new(store.clone()),
            broker_codes: BrokerCodes::new(store.clone()),
            signing_keys: Arc::new(SigningKeys::new(store.clone())),
            sign_ins: Semaphore::new(SIGN_INS_AT_ONCE),
            allowances: Allowances::default(),
            store,
            clock,
            metrics,
        })
    }

    /// What the gateway makes of a configuration.
    pub fn snapshot(&self, config: Config) -> Result<Snapshot, GitHubError> {
        Snapshot::new(config, self)
    }

    /// Another configuration is in force from now on.
    pub fn take_keys(&self, config: &Config) {
        self.github_api.take_keys(&config.keys);
    }

    /// Waits until what is to outlast the process is written: call it before a stop.
    pub async fn settle(&self) {
        self.github_api.settle().await;
    }

    /// The metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The clock.
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Answers one request: with a response of our own, or with where and how to forward it.
    pub async fn handle(&self, request: &Request<'_>) -> Action {
        match Endpoint::of(request) {
            // Boxed, so that the future of every proxied request stays small.
            Some(endpoint) => Action::respond(Box::pin(self.answer_heard(endpoint, request)).await),
            None => self.pass(request).await,
        }
    }

    /// Finds the route; only what `decide` allows is forwarded.
    async fn pass(&self, request: &Request<'_>) -> Action {
        let route = match request.config().routes.find(&request.target, request.method) {
            Ok(route) => route,
            Err(miss) => return Action::respond(error::fault(request, miss_reason(miss))),
        };
        match route.upstream.api() {
            Some(api) => Box::pin(self.pass_to_github(request, route, api)).await,
            None => self.pass_to(request, route).await,
        }
    }

    /// Asks `decide` about a route.
    async fn pass_to(&self, request: &Request<'_>, route: &Arc<Route>) -> Action {
        let decision = self.decide(route, request).await;
        let (word, reason) = decision.words();
        self.metrics.decided(request.snapshot.route_metrics(Some(route)), word, reason);
        let api = route.upstream.api();
        match decision {
            // GitHub is asked in somebody's name or not at all.
            Decision::Public(_) | Decision::AppToken(_) if api.is_some() => {
                Action::respond(self.ask_to_sign_in(request, Reason::NoSession)).for_route(route)
            }
            Decision::Public(rule) | Decision::AppToken(rule) => {
                Action::forward(Forward::new(request, route, rule, None, reason))
            }
            Decision::Allow(visitor) => {
                if let Some(api) = api {
                    return Box::pin(self.ask_github(request, route, api, visitor)).await;
                }
                if let Some(sign_in) = &route.sign_in {
                    return Box::pin(self.pass_to_instance(request, route, sign_in, visitor)).await;
                }
                let rule = visitor.rule();
                Action::forward(Forward::new(request, route, rule, Some(visitor), reason))
            }
            Decision::SignIn(reason) => {
                let has_left = trackeep::signed_out(request, route);
                let answer = has_left.unwrap_or_else(|| self.ask_to_sign_in(request, reason));
                Action::respond(answer).for_route(route)
            }
            Decision::Deny(reason, visitor) => {
                Action::respond(error::denied(request, route, reason, visitor.as_ref()))
                    .for_route(route)
            }
            Decision::Unavailable(reason) => {
                Action::respond(error::fault(request, reason)).for_route(route)
            }
        }
    }

    /// One of the gateway's own pages.
    async fn answer(&self, endpoint: Endpoint, request: &Request<'_>) -> Answer {
        if endpoint.is_for_people() && Presented::by(request.headers).is_some() {
            return self.ask_to_sign_in(request, Reason::BadApiKey);
        }
        match endpoint {
            Endpoint::Start => self.start(request).await,
            Endpoint::Callback => self.callback(request).await,
            Endpoint::Handover => self.handover(request).await,
            Endpoint::SignInPage => sign_in::sign_in_page(request),
            Endpoint::SignOutPage => self.sign_out_page(request).await,
            Endpoint::SignOut => self.sign_out(request).await,
            Endpoint::EndSession => self.end_one(request).await,
            Endpoint::EndOtherSessions => self.end_all_others(request).await,
            Endpoint::SignOutEverywhere => self.sign_out_everywhere(request).await,
            Endpoint::Account => self.account(request).await,
            Endpoint::MakeApiKey => self.make_api_key(request).await,
            Endpoint::Keys => self.jwks(request),
            Endpoint::Webhook => self.webhook(request).await,
            Endpoint::Broker(service) => Box::pin(self.broker(request, service)).await,
            Endpoint::Unknown => error::fault(request, Reason::NoSuchPage),
        }
    }

    /// Work that belongs to no request: call it every minute or so.
    pub async fn sweep(&self, lifetimes: Lifetimes) -> Result<(), Unavailable> {
        let report = self.sessions.sweep(lifetimes, self.clock.now()).await?;
        self.tokens.sweep();
        self.rechecks.sweep();
        self.github_api.sweep().await;
        self.installations.sweep();
        self.metrics.sessions.set(i64::try_from(report.open).unwrap_or(i64::MAX));
        self.metrics.session_bytes.set(i64::try_from(report.bytes).unwrap_or(i64::MAX));
        Ok(())
    }

    /// Looks at the store's signing keys: call it before the first request, and then every
    /// [`SYNC_EVERY`](crate::keys::SYNC_EVERY). Until it has succeeded once, no visitor passes to
    /// a route whose tokens they sign.
    pub async fn sync_keys(&self, config: &Config) -> Result<Changed, KeysError> {
        let synced = self
            .signing_keys
            .sync(&config.keys, config.rotate_signing_keys, self.clock.now())
            .await;
        if let Err(KeysError::Unavailable(_)) = synced {
            self.metrics.store_failures.inc();
        }
        synced
    }

    /// Whether the store's signing keys open with the keys of a configuration: with others, nobody's
    /// session would. A store without an answer is no reason against it.
    pub async fn may_take_keys(&self, snapshot: &Snapshot) -> Result<(), KeysError> {
        match self.signing_keys.can_open(&snapshot.config.keys).await {
            Err(KeysError::Unavailable(_)) => Ok(()),
            result => result,
        }
    }

    /// The signing keys.
    pub fn signing_keys(&self) -> &Arc<SigningKeys> {
        &self.signing_keys
    }

    /// Why visitors cannot be let in now; `None` when they can: readiness asks.
    pub async fn unready(&self) -> Option<&'static str> {
        if self.store.get(crate::store::Table::Session, b"readiness").await.is_err() {
            return Some("the session store gives no answer\n");
        }
        let has_keys = self.signing_keys.current(self.clock.now()).is_some();
        (!has_keys).then_some("the signing keys in the store do not open; the log says why\n")
    }

    /// Notes a failure of the store where operators see it.
    fn store_failed(&self, request: &Request<'_>, unavailable: &Unavailable) {
        self.metrics.store_failures.inc();
        tracing::error!(request.id = request.id, "{unavailable}");
    }
}

/// How often missed webhooks are looked for.
pub const MISSED_EVERY: std::time::Duration = std::time::Duration::from_secs(600);

/// Sign-ins that may ask GitHub at the same time; the others wait their turn.
const SIGN_INS_AT_ONCE: usize = 64;
