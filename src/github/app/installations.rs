//! The tokens of all installations: asked for when they are needed, once for all who need the same
//! one, renewed ahead of their end, and forgotten when the installation is.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use http::{Method, StatusCode};
use tokio::sync::{Mutex, OwnedMutexGuard};
use zeroize::Zeroize;

use super::about::About;
use super::jwt::{AppJwt, Question};
use super::slot::{Flight, Place, Slot};
use super::token::{Minted, Need, WHAT};
use super::{AppError, InstallationId, InstallationToken, Scope, words};
use crate::clock::{Clock, Time};
use crate::github::client::{Answer, is_limited, json};
use crate::github::{Client, GitHubError};
use crate::identity::Login;
use crate::keys::Keys;
use crate::metrics::Metrics;
use crate::store::InstallationTokens;

/// The tokens of all installations: those of this process, and what it shares with others.
pub struct Installations {
    pub(super) jwt: AppJwt,
    slots: DashMap<Place, Arc<Slot>>,
    /// Installations that GitHub gives no token for, and when it said so.
    refusals: DashMap<(u64, InstallationId), (Time, AppError)>,
    /// The tokens that other nodes have had from GitHub, and they ours.
    pub(super) shared: InstallationTokens,
    /// Installations that have changed, and when that was heard, or of which GitHub has refused a token,
    /// and when that was made: older tokens of theirs are not taken from other nodes.
    pub(super) dropped: DashMap<InstallationId, Time>,
    /// The same of all installations.
    pub(super) all_dropped: std::sync::Mutex<Option<Time>>,
    /// Whose installation is which, as far as somebody asked.
    pub(super) owners: DashMap<(u64, Login), Arc<Mutex<Option<Known>>>>,
    /// What the app is called.
    pub(super) about: Mutex<Option<About>>,
    pub(super) clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

/// What GitHub said of an owner.
pub(super) struct Known {
    pub(super) installation: Option<InstallationId>,
    pub(super) since: Time,
}

/// Everything that one question for a token needs.
#[derive(Clone)]
pub(super) struct Job {
    github: Client,
    pub(super) keys: Keys,
    scope: Scope,
    pub(super) place: Place,
    slot: Arc<Slot>,
}

/// What GitHub refused for an installation is not asked for again so long.
pub(super) const REFUSED_FOR: Duration = Duration::from_secs(30);

/// No token lives longer, give or take what clocks differ by.
const LONGEST_LIFE: Duration = Duration::from_secs(2 * 3600);

// === impl Installations ===

impl Installations {
    /// No tokens yet.
    pub fn new(shared: InstallationTokens, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        Self {
            jwt: AppJwt::new(clock.clone()),
            shared,
            dropped: DashMap::new(),
            all_dropped: std::sync::Mutex::new(None),
            slots: DashMap::new(),
            refusals: DashMap::new(),
            owners: DashMap::new(),
            about: Mutex::default(),
            clock,
            metrics,
        }
    }

    /// The app's own token, which also knows GitHub's clock.
    pub fn jwt(&self) -> &AppJwt {
        &self.jwt
    }

    /// A token of an installation that can be used now.
    pub async fn token(
        self: &Arc<Self>,
        github: &Client,
        keys: &Keys,
        installation: InstallationId,
        scope: &Scope,
    ) -> Result<Arc<InstallationToken>, AppError> {
        let place = Self::place(github, installation, scope)?;
        let slot = self.slots.entry(place).or_default().clone();
        let now = self.clock.now();
        let (need, held) = slot.held(now);
        let job = || {
            let (github, keys, scope) = (github.clone(), keys.clone(), scope.clone());
            Job { github, keys, scope, place, slot }
        };
        match (need, held) {
            (Need::Nothing, Some(token)) => Ok(token),
            (Need::Soon, Some(token)) => {
                self.renew_beside(job());
                Ok(token)
            }
            (_, held) => match (self.minted(job()).await, held) {
                // What was held is good for less than a minute, and better than nothing.
                (Err(AppError::GitHub(_)), Some(token)) if token.lives(now) => Ok(token),
                (result, _) => result,
            },
        }
    }

    /// Forgets an installation, whatever was known of it: GitHub says that it has changed.
    pub fn drop_installation(&self, installation: InstallationId) {
        // First: whoever finds no token here looks for one of another node's.
        self.dropped.insert(installation, self.clock.now());
        self.slots.retain(|place, _| place.installation != installation);
        self.refusals.retain(|(_, refused), _| *refused != installation);
        // A new installation is that of an owner who had none before.
        self.owners.retain(|_, known| {
            let known = known.try_lock().ok();
            let known = known.as_ref().and_then(|known| known.as_ref());
            known.is_some_and(|it| it.installation.is_some_and(|other| other != installation))
        });
    }

    /// GitHub refused a token: nobody gets it any more. What has come in its place meanwhile stays, for
    /// many may be told the same of one token, and each would have another one made.
    pub fn drop_refused(&self, token: &Arc<InstallationToken>) {
        let refused = token.installation;
        // First: whoever finds no token here looks for one of another node's, and not for this one.
        self.dropped
            .entry(refused)
            .and_modify(|at| *at = token.minted.max(*at))
            .or_insert(token.minted);
        for slot in self.slots.iter().filter(|slot| slot.key().installation == refused) {
            slot.let_go(token);
        }
    }

    /// Forgets all installations: any may have changed.
    pub fn drop_all(&self) {
        let mut all = self.all_dropped.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *all = Some(self.clock.now());
        drop(all);
        self.slots.clear();
        self.refusals.clear();
        self.owners.clear();
    }

    /// Forgets what is of no use any more. Meant for every minute.
    pub fn sweep(&self) {
        let now = self.clock.now();
        self.slots.retain(|_, slot| Arc::strong_count(slot) > 1 || !slot.is_idle(now));
        self.refusals.retain(|_, (since, _)| is_recent(*since, now, REFUSED_FOR));
        self.dropped.retain(|_, at| now.since(*at) < LONGEST_LIFE);
        self.sweep_owners(now);
    }

    /// Asks for the next token while this one is used.
    fn renew_beside(self: &Arc<Self>, job: Job) {
        // Somebody is under way already, or was in vain a moment ago.
        let Ok(flight) = job.slot.flight.clone().try_lock_owned() else { return };
        if flight.rest(self.clock.now()).is_none() {
            let installations = self.clone();
            tokio::spawn(async move { installations.mint(&job, flight).await });
        }
    }

    /// Waits for a token.
    async fn minted(self: &Arc<Self>, job: Job) -> Result<Arc<InstallationToken>, AppError> {
        let (installations, patience) = (self.clone(), job.github.patience());
        // A task of its own: who waits may go away, and others wait for the same.
        let task = tokio::spawn(async move {
            let flight = job.slot.flight.clone().lock_owned().await;
            match job.slot.held(installations.clock.now()) {
                (Need::Nothing | Need::Soon, Some(token)) => Ok(token),
                _ => installations.mint(&job, flight).await,
            }
        });
        let unknown = |why: &str| GitHubError::NoAnswer(WHAT, why.to_owned());
        match tokio::time::timeout(patience, task).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(unknown("it broke off").into()),
            Err(_) => Err(unknown("it is still under way").into()),
        }
    }

    /// Asks for a token, unless that was in vain a moment ago, and holds it.
    async fn mint(
        &self,
        job: &Job,
        mut flight: OwnedMutexGuard<Flight>,
    ) -> Result<Arc<InstallationToken>, AppError> {
        let refused = self.refusal(&job.place);
        if let Some(error) = refused.or_else(|| flight.rest(self.clock.now())) {
            return Err(error);
        }
        let result = self.obtain(job).await;
        let word = result.as_ref().map_or_else(AppError::word, |(_, word)| word);
        self.metrics.installation_tokens.with_label_values(&[word]).inc();
        match result {
            Ok((token, _)) => {
                let token = Arc::new(token);
                job.slot.hold(token.clone());
                flight.succeed();
                Ok(token)
            }
            Err(error) => {
                // Whoever asked tells operators what they can do about it, once.
                let id = job.place.installation.0;
                match &error {
                    AppError::GitHub(_) => tracing::warn!(installation = id, "{error}"),
                    error => tracing::debug!(installation = id, "{error}"),
                }
                self.note(&job.place, &error);
                flight.fail(&error, self.clock.now());
                Err(error)
            }
        }
    }

    /// Whom GitHub knows no more, or has suspended, loses all tokens at once.
    fn note(&self, place: &Place, error: &AppError) {
        if matches!(error, AppError::Gone(_) | AppError::Suspended(..)) {
            self.drop_installation(place.installation);
            let refusal = (self.clock.now(), error.clone());
            self.refusals.insert((place.home, place.installation), refusal);
        }
    }

    fn refusal(&self, place: &Place) -> Option<AppError> {
        let refusal = self.refusals.get(&(place.home, place.installation))?;
        let (since, error) = refusal.value();
        is_recent(*since, self.clock.now(), REFUSED_FOR).then(|| error.clone())
    }

    pub(super) fn place(
        github: &Client,
        installation: InstallationId,
        scope: &Scope,
    ) -> Result<Place, AppError> {
        Ok(Place { home: github.app_home()?, installation, scope: scope.hash() })
    }

    pub(super) async fn ask(&self, job: &Job) -> Result<InstallationToken, AppError> {
        let installation = job.place.installation;
        let body = serde_json::to_value(job.scope.wish()).expect("numbers and words are JSON");
        let question = Question {
            what: WHAT,
            method: Method::POST,
            path: format!("/app/installations/{installation}/access_tokens"),
            body: Some(body),
        };
        let mut answer = self.jwt.ask(&job.github, &question).await?;
        let result = read(&answer, installation);
        answer.body.zeroize();
        let (now, ahead) = (self.clock.now(), self.jwt.ahead());
        Ok(result?.token(installation, &job.scope, now, ahead)?)
    }
}

/// What the answer to a question for a token says.
fn read(answer: &Answer, installation: InstallationId) -> Result<Minted, AppError> {
    match answer.status {
        StatusCode::CREATED => Ok(json(WHAT, answer)?),
        StatusCode::NOT_FOUND => Err(AppError::Gone(format!("installation {installation}"))),
        StatusCode::UNPROCESSABLE_ENTITY => Err(AppError::Scope(installation, words(&answer.body))),
        StatusCode::FORBIDDEN if !is_limited(answer) => {
            Err(AppError::Suspended(installation, words(&answer.body)))
        }
        _ => Err(failed(WHAT, answer).into()),
    }
}

/// GitHub's own trouble; a limit says nothing about the app.
pub(super) fn failed(what: &'static str, answer: &Answer) -> GitHubError {
    let status = match answer.status {
        StatusCode::FORBIDDEN if is_limited(answer) => StatusCode::TOO_MANY_REQUESTS,
        status => status,
    };
    GitHubError::Failed(what, status.as_u16())
}

/// Whether something was within the last while. A clock that jumped back makes nothing last longer.
pub(super) fn is_recent(since: Time, now: Time, last: Duration) -> bool {
    since <= now && now.since(since) < last
}
