//! GitHub's REST API for those who pass the gateway: answered from what is held, where GitHub lets us,
//! and asked within the limits of the one in whose name it is asked.
//!
//! A reading goes this way: [`Api::held`] answers what is fresh; else [`Api::read`] joins an equal
//! question that is under way, or asks GitHub with the validator of what is held. [`Api::send`] is for
//! everything else.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method};
use ring::digest::{SHA256, digest};

use super::budgets::{BudgetKey, Budgets, Call, Permit, Stream};
use super::{GitHubError, Settings, Verbatim};
use crate::budget::{Kind, Resource};
use crate::clock::Clock;
use crate::freshness::tags::{Tag, tags_of};
use crate::freshness::{ApiPath, Directives, Handling, Storable, poll_interval};
use crate::keys::{Keys, random};
use crate::metrics::Metrics;
use crate::passage::cache_status::Source;
use crate::secret::Secret;
use crate::store::{Principal, ResponseKey, ResponseStore, Unavailable};

mod beyond;
mod bodies;
mod brief;
mod candidate;
mod changes;
mod coverage;
mod debts;
mod exchange;
mod flights;
mod flows;
mod forgetting;
mod from_webhook;
mod happenings;
mod inquiry;
mod limits;
mod outage;
mod outbox;
mod read;
mod refresh;
mod reply;
mod room;
mod scopes;
mod shares;
mod tally;
mod together;
mod varies;
mod write;

pub(super) use from_webhook::is_heeded;

pub use beyond::Moment;
pub use bodies::BodyPlace;
pub use exchange::{Broken, Exchange};
pub use from_webhook::installation;
pub use happenings::Told;
pub use refresh::{Refresh, Refreshed};
pub use reply::{Arrival, Flow, Mode, Reply};
pub use room::{Room, Taker};
pub use tally::{Tallied, Tally};
pub use write::Order;

use beyond::Beyond;
use bodies::Bodies;
use brief::Briefs;
use changes::Changes;
use coverage::Coverage;
use exchange::{Exchanges, Large, Whole};
use flights::Flights;
use flows::{FlowPlace, Flows};
use forgetting::Forgetting;
use from_webhook::FromWebhooks;
use limits::Limits;
use outage::Outage;
use outbox::Outbox;
use refresh::Refreshes;
use reply::Passing;
use scopes::Scopes;
use varies::Varies;

/// GitHub's API, with all that is known of it.
pub struct Api {
    store: Arc<dyn ResponseStore>,
    changes: Changes,
    coverage: Coverage,
    outbox: Outbox,
    forgetting: Forgetting,
    from_webhooks: FromWebhooks,
    /// This process, among those that hear each other.
    node: u64,
    briefs: Briefs,
    beyond: Beyond,
    varies: Varies,
    limits: Limits,
    scopes: Scopes,
    refreshes: Refreshes,
    flights: Arc<Flights>,
    budgets: Arc<Budgets>,
    tally: Tally,
    verbatim: Arc<Verbatim>,
    exchanges: Exchanges,
    flows: Flows,
    uploads: Flows,
    bodies: Bodies,
    room: Room,
    outage: Outage,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

/// What somebody wants to read.
#[derive(Clone)]
pub struct Question {
    /// In whose name.
    pub who: Principal,
    /// Whose account asks, of those who share the budget.
    pub account: u64,
    /// Whose budget it counts against.
    pub budget: BudgetKey,
    /// Path and query below the API.
    pub path: ApiPath,
    /// Which URL in which representation.
    pub key: ResponseKey,
    /// How an answer is handled.
    pub handling: Handling,
    /// What it is about.
    pub tags: Vec<Tag>,
    /// What the client says about caches.
    pub wishes: Directives,
    /// Whether the route lets askers share bodies that GitHub says are the same.
    pub share: bool,
    /// Whether what webhooks have told of it stands in for GitHub where it gives no answer.
    pub by_webhooks: bool,
    /// The limit that it counts against.
    pub resource: Resource,
    /// How long it may wait for its turn.
    pub max_wait: Duration,
}

/// What it takes to ask GitHub in somebody's name.
pub struct Means {
    /// Where the API is, without a slash at the end.
    pub base: String,
    /// The fields to send, with the token.
    pub fields: HeaderMap,
    exchange: Exchange,
    authorization: Secret<String>,
    accept: String,
    fingerprint: [u8; 16],
}

/// The longest time that anything is fresh.
const LONGEST_FRESH: Duration = Duration::from_secs(3600);

/// How long a large answer waits for a place to flow: nobody else's does so meanwhile.
const FLOWS_SOON: Duration = Duration::from_secs(2);

// === impl Question ===

impl Question {
    fn may_share(&self) -> bool {
        self.share && self.handling.share
    }

    fn call(&self, kind: Kind) -> Call<'_> {
        Call {
            key: self.budget.clone(),
            caller: self.account,
            method: &Method::GET,
            path: self.path.path(),
            template: self.path.template(),
            kind,
            max_wait: self.max_wait,
        }
    }

    /// What the client says about caches, as far as it is heeded: people may know that something old
    /// will do for them, and not for all who ask in the name of an installation.
    fn wishes(&self) -> Directives {
        let max_stale = self.wishes.max_stale.filter(|_| self.who.user().is_some());
        Directives { max_stale, ..self.wishes }
    }

    /// The same in another name.
    #[must_use]
    pub fn asked_as(&self, who: Principal, budget: BudgetKey) -> Self {
        Self { who, budget, tags: tags_of(&self.path, who.user()), ..self.clone() }
    }

    /// The same, to wait no longer than that for its turn.
    #[must_use]
    pub fn with_patience(&self, max_wait: Duration) -> Self {
        Self { max_wait, ..self.clone() }
    }

    /// The whole repository or account that it is about.
    fn about(&self) -> &Tag {
        self.tags.first().expect("everything is about something")
    }

    /// What may be done with an answer.
    fn may_store(&self, whole: &Whole) -> Storable {
        self.handling.may_store(whole.status, &whole.headers, &whole.bytes)
    }
}

// === impl Means ===

impl Means {
    /// `fields` carry `Authorization` and `Accept`.
    pub fn new(exchange: Exchange, base: String, fields: HeaderMap) -> Self {
        let text = |name| {
            let value: Option<&HeaderValue> = fields.get(name);
            value.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let authorization = Secret::new(text(http::header::AUTHORIZATION));
        let hash = digest(&SHA256, authorization.expose().as_bytes());
        let fingerprint = hash.as_ref()[..16].try_into().expect("SHA-256 has 32 bytes");
        Self {
            base,
            accept: text(http::header::ACCEPT),
            authorization,
            fingerprint,
            fields,
            exchange,
        }
    }

    fn url(&self, question: &Question) -> String {
        format!("{}{}", self.base, question.path.as_str())
    }

    fn accept(&self) -> &str {
        &self.accept
    }

    fn authorization(&self) -> &str {
        self.authorization.expose()
    }
}

// === impl Api ===

impl Api {
    /// Nothing is known yet.
    pub fn new(
        store: Arc<dyn ResponseStore>,
        budgets: Arc<Budgets>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            store,
            changes: Changes::new(),
            coverage: Coverage::default(),
            outbox: Outbox::default(),
            forgetting: Forgetting::default(),
            from_webhooks: FromWebhooks::since(clock.now()),
            node: u64::from_ne_bytes(random()),
            briefs: Briefs::new(),
            beyond: Beyond::new(),
            varies: Varies::default(),
            limits: Limits::new(),
            scopes: Scopes::new(),
            refreshes: Refreshes::new(),
            flights: Arc::default(),
            budgets,
            tally: Tally::new(),
            verbatim: Arc::default(),
            exchanges: Exchanges::default(),
            flows: Flows::of_answers(),
            uploads: Flows::of_uploads(),
            bodies: Bodies::new(),
            room: Room::new(),
            outage: Outage::default(),
            clock,
            metrics,
        }
    }

    /// The connections to the GitHub of a configuration.
    pub fn exchange(&self, settings: &Settings) -> Result<Exchange, GitHubError> {
        self.exchanges.trusting(&settings.ca)
    }

    /// The budgets that are drawn on.
    pub fn budgets(&self) -> &Arc<Budgets> {
        &self.budgets
    }

    /// What GitHub said of people to the gateway itself.
    pub fn verbatim(&self) -> &Arc<Verbatim> {
        &self.verbatim
    }

    /// What became of everybody's requests.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// How long an answer with these fields is fresh.
    fn fresh(&self, question: &Question, headers: &HeaderMap) -> Duration {
        let window = question.handling.fresh.window(self.covers(question), poll_interval(headers));
        window.min(LONGEST_FRESH)
    }

    /// Whether a webhook tells of changes. None tells of what is somebody's own.
    fn covers(&self, question: &Question) -> bool {
        question.handling.share && self.coverage.covers(question.about(), self.clock.now())
    }

    /// The memory for answers on their way.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// A place in the memory for bodies on their way to GitHub, for one of that account's.
    pub fn place_for_body(&self, account: u64) -> BodyPlace<'_> {
        self.bodies.place_for(account)
    }

    /// An answer that flows, if there is a place for it soon.
    async fn flow(
        &self,
        large: Large,
        source: Source,
        resource: Resource,
        (account, max_wait): (u64, Duration),
        permit: Permit,
    ) -> Arrival {
        // GitHub has answered: who waits for a place here keeps no other of the budget from asking.
        let stream = permit.flows_on();
        match self.place_to_flow(account, max_wait).await {
            Some(place) => self.flowing(large, source, resource, (place, stream)),
            None => self.crowded(resource, source),
        }
    }

    async fn place_to_flow(&self, account: u64, max_wait: Duration) -> Option<FlowPlace> {
        self.flows.enter(account, max_wait.min(FLOWS_SOON)).await
    }

    fn flowing(
        &self,
        large: Large,
        source: Source,
        resource: Resource,
        (place, stream): (impl Into<Passing>, Stream),
    ) -> Arrival {
        self.count(Mode::Bypass);
        let passing = (place.into(), stream);
        Arrival::Flowing(Box::new(Flow::new(large, source, resource, passing)))
    }

    /// There is no room: for an answer of GitHub's, or for asking at all.
    fn crowded(&self, resource: Resource, source: Source) -> Arrival {
        Arrival::Whole(self.counted(Reply::crowded(resource, source)))
    }

    /// Waits until what is held is where it outlives the process, if it does at all.
    pub async fn settle(&self) {
        self.store.settle().await;
    }

    /// Other keys are in force from now on.
    pub fn take_keys(&self, keys: &Keys) {
        self.store.take_keys(keys);
    }

    fn counted(&self, reply: Reply) -> Reply {
        self.count(reply.mode);
        if reply.mode.is_of_the_past() {
            let ages = &self.metrics.github_entry_age;
            ages.with_label_values(&[reply.mode.word()]).observe(reply.age.as_secs_f64());
        }
        reply
    }

    fn count(&self, mode: Mode) {
        self.metrics.github_requests.with_label_values(&[mode.word()]).inc();
        if mode.is_free() {
            self.metrics.github_saved.inc();
        }
    }

    fn store_failed(&self, operation: &str, unavailable: &Unavailable) {
        self.metrics.github_cache_failures.with_label_values(&[operation]).inc();
        tracing::debug!("answers of GitHub cannot be held: {}", unavailable.0);
    }
}
