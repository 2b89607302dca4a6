//! Asking GitHub's API within its limits: every request takes a [`Permit`] first.
//!
//! A limit belongs to a user, an installation or an app, and so does everything here: users share
//! no lock. What GitHub counts is held in a [`Budget`](crate::budget::Budget) for each resource;
//! requests that have to wait for their turn stand in a queue where callers take turns.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use http::{HeaderMap, Method, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::budget::{Kind, Limited, Load, Resource, Standing, Strike};
use crate::clock::{Clock, Time};
use crate::metrics::Metrics;
use crate::store::Limit;

mod books;
mod grapevine;
mod permit;
mod purse;
mod queue;
mod refusal;
#[cfg(test)]
mod tests;

use books::Asking;
use grapevine::Grapevine;
use purse::{Clocks, Place, Purse};

pub use crate::budget::BudgetKey;
pub use permit::{Permit, Stream};
pub use refusal::{Refused, RefusedKind};

/// The budgets at one GitHub, of one process.
pub struct Budgets {
    purses: DashMap<BudgetKey, Arc<Purse>>,
    /// Places over all budgets: streams of the connection to GitHub.
    places: Arc<Semaphore>,
    clocks: Clocks,
    grapevine: Arc<Grapevine>,
    metrics: Arc<Metrics>,
}

/// A request that wants to be sent.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// Who is charged.
    pub key: BudgetKey,
    /// Who asks, of those that share the budget: an account, whatever sessions and keys it has. They
    /// take turns.
    pub caller: u64,
    /// Its method.
    pub method: &'a Method,
    /// Its path below the API's address.
    pub path: &'a str,
    /// The path as GitHub documents it: `/repos/{owner}/{repo}/issues`.
    pub template: &'static str,
    /// What it is to the budget.
    pub kind: Kind,
    /// How long it may wait for its turn.
    pub max_wait: Duration,
}

/// What is known of one budget, for people to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Who is charged.
    pub key: BudgetKey,
    /// What is left of the limits that GitHub has spoken of.
    pub standings: Vec<Standing>,
    /// Nothing is sent before this moment, for GitHub asked for a pause.
    pub paused: Option<Time>,
    /// Requests under way.
    pub under_way: usize,
    /// Requests that wait for their turn.
    pub waiting: usize,
}

/// What was learnt of a budget otherwise: by another node, or by the gateway's own requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// What is left.
    Left(Standing),
    /// A secondary limit was met by another node.
    Struck(Strike),
    /// Another node was told that nothing is left for visitors.
    Spent(Standing),
    /// A request to the REST API that took no permit was refused by a limit.
    Refused(Limited),
}

/// Streams of the connection to GitHub that are in use at once: by requests under way within all budgets,
/// and by answers that flow on to clients. GitHub takes a hundred on a connection, and what is more would
/// wait there for longer than anybody has patience.
/// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits>
pub const STREAMS: u32 = 90;

/// Nobody waits longer, whatever a call says.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

// === impl Budgets ===

impl Budgets {
    /// Nothing is known and nobody waits.
    pub fn new(clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        Self {
            purses: DashMap::new(),
            places: Arc::new(Semaphore::new(STREAMS as usize)),
            clocks: Clocks::new(clock),
            grapevine: Arc::default(),
            metrics,
        }
    }

    /// Waits until a request may be sent. Whoever stops waiting has left the queue.
    ///
    /// # Errors
    /// When a limit stands against it, or when its turn would come too late.
    pub async fn enter(&self, call: Call<'_>) -> Result<Permit, Refused> {
        let began = Instant::now();
        let asking = Asking::of(&call);
        let resource = asking.resource.word();
        let entered = self.admit(&call.key, asking, call.max_wait.min(LONGEST_WAIT)).await;
        match &entered {
            Ok(_) => self
                .metrics
                .github_wait
                .with_label_values(&[resource])
                .observe(began.elapsed().as_secs_f64()),
            Err(refused) => self.count(refused, asking.resource),
        }
        entered
    }

    /// The refusal for a request that has waited long enough for another's turn, which it shares.
    pub fn too_late(&self, call: &Call<'_>) -> Refused {
        let asking = Asking::of(call);
        let refused = self.purse(&call.key).too_late(&asking);
        self.count(&refused, asking.resource);
        refused
    }

    /// What is left of a limit, if GitHub has said so: for the rate fields of every answer.
    pub fn standing(&self, key: &BudgetKey, resource: Resource) -> Option<Standing> {
        self.known(key)?.standing(resource)
    }

    /// What is left of all limits of a budget that GitHub has spoken of.
    pub fn all(&self, key: &BudgetKey) -> Vec<(Resource, Standing)> {
        self.known(key).map(|purse| purse.standings()).unwrap_or_default()
    }

    /// What stands against an ordinary request now, without asking for a place.
    pub fn closed(&self, key: &BudgetKey, resource: Resource) -> Option<Refused> {
        self.known(key)?.closed(resource)
    }

    /// Until when nothing is sent, for GitHub asked for a pause.
    pub fn paused(&self, key: &BudgetKey) -> Option<Time> {
        self.known(key)?.paused()
    }

    /// What is known of every budget, in no order.
    pub fn every(&self) -> Vec<Known> {
        // Found first: a purse's lock is not waited for under the map's.
        let found: Vec<_> =
            self.purses.iter().map(|entry| (entry.key().clone(), entry.value().clone())).collect();
        found.into_iter().map(|(key, purse)| purse.overview(key)).collect()
    }

    /// Takes over what was learnt otherwise.
    pub fn note(&self, key: &BudgetKey, heard: Heard) {
        self.purse(key).note(heard);
    }

    /// Takes over what another node has met.
    pub fn heed(&self, limit: &Limit) {
        match limit {
            Limit::Struck(key, strike) => self.note(key, Heard::Struck(*strike)),
            Limit::Spent(key, standing) => self.note(key, Heard::Spent(*standing)),
        }
    }

    /// What other nodes are to be told, once there is something.
    pub async fn to_tell(&self) -> Vec<Limit> {
        self.grapevine.take().await
    }

    /// Forgets budgets of which nothing counts any more, and tells the metrics what is left: call
    /// it every minute or so.
    pub fn sweep(&self) {
        let mut least = BTreeMap::new();
        self.purses.retain(|_, purse| {
            for (resource, standing) in purse.standings() {
                let least = least.entry(resource).or_insert(standing.remaining);
                *least = standing.remaining.min(*least);
            }
            // Whoever holds it found it under the same lock, so nobody is about to use it.
            Arc::strong_count(purse) > 1 || !purse.is_over()
        });
        for resource in Resource::ALL {
            self.tell_least(*resource, least.get(resource).copied());
        }
    }

    fn tell_least(&self, resource: Resource, least: Option<u32>) {
        let (gauge, labels) = (&self.metrics.github_budget_remaining, [resource.word()]);
        match least {
            Some(least) => gauge.with_label_values(&labels).set(least.into()),
            // What is not there need not be taken away.
            None => drop(gauge.remove_label_values(&labels)),
        }
    }

    fn count(&self, refused: &Refused, resource: Resource) {
        let labels = [resource.word(), refused.kind.word()];
        self.metrics.github_refused.with_label_values(&labels).inc();
    }

    async fn admit(
        &self,
        key: &BudgetKey,
        asking: Asking,
        max_wait: Duration,
    ) -> Result<Permit, Refused> {
        let deadline = Instant::now() + max_wait;
        let (place, told) = self.purse(key).join(asking, max_wait)?;
        match timeout_at(deadline, told).await {
            Ok(Ok(outcome)) => outcome?,
            Ok(Err(_)) | Err(_) => return Err(place.give_up()),
        }
        let shared = self.shared_place(&place, deadline).await?;
        place.send();
        Ok(Permit::new(place, shared, asking.resource, self.metrics.clone()))
    }

    async fn shared_place(
        &self,
        place: &Place,
        deadline: Instant,
    ) -> Result<OwnedSemaphorePermit, Refused> {
        let places = self.places.clone().acquire_owned();
        match timeout_at(deadline, places).await {
            Ok(Ok(shared)) => Ok(shared),
            Ok(Err(_)) | Err(_) => Err(place.give_up()),
        }
    }

    fn purse(&self, key: &BudgetKey) -> Arc<Purse> {
        let new = || Arc::new(Purse::new(key.clone(), self.clocks.clone(), self.grapevine.clone()));
        self.known(key)
            .unwrap_or_else(|| self.purses.entry(key.clone()).or_insert_with(new).clone())
    }

    fn known(&self, key: &BudgetKey) -> Option<Arc<Purse>> {
        self.purses.get(key).map(|purse| purse.clone())
    }
}

// === impl Heard ===

impl Heard {
    /// What an answer of the REST API says of the limits of whoever was asked for.
    pub fn all_of(
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> impl Iterator<Item = Self> {
        let standing = Standing::from_headers(headers, Resource::Core).map(Self::Left);
        let refused = Limited::read(status, headers, body).map(Self::Refused);
        standing.into_iter().chain(refused)
    }
}

// === impl Asking ===

impl Asking {
    fn of(call: &Call<'_>) -> Self {
        let resource = Resource::predicted(call.method, call.path);
        let load = Load::of(call.kind, call.method, resource, call.template);
        Self { caller: call.caller, resource, kind: call.kind, load }
    }
}
