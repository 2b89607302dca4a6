//! A token that is good: refreshed ahead of its end, by exactly one node, and never used before it
//! is written down.
//!
//! A refresh token works once. So one task in one process asks, under a lease that all nodes see;
//! whoever waits reads what the other wrote. The old token is used for as long as it is good.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::Mutex;

use super::{Client, GitHubError, Pauses};
use crate::clock::{Clock, Time};
use crate::credential::{Credential, Grant, Need};
use crate::keys::Keys;
use crate::metrics::Metrics;
use crate::reason::Reason;
use crate::store::{Credentials, LEASE, Lease, StoredCredential, Unavailable};

/// The tokens of all accounts.
pub struct Tokens {
    credentials: Credentials,
    /// Refreshes under way or put off, by realm and account.
    flights: DashMap<(u64, u64), Arc<Mutex<Pauses>>>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

/// Whose token, and how to get it.
#[derive(Clone)]
pub struct Asking {
    /// GitHub.
    pub github: Client,
    /// The keys of the configuration.
    pub keys: Keys,
    /// The callback URL, which GitHub wants to hear again.
    pub callback: String,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// There is none that can be had without the person.
    #[error("GitHub takes the account's tokens no more; the person has to sign in again")]
    SignInAgain,
    /// GitHub gave no new one.
    #[error(transparent)]
    GitHub(#[from] GitHubError),
    /// The store gave no answer.
    #[error(transparent)]
    Store(#[from] Unavailable),
}

// === impl TokenError ===

impl TokenError {
    /// The word for page, log and metric.
    pub fn reason(&self) -> Reason {
        match self {
            Self::SignInAgain => Reason::FactsOutdated,
            Self::GitHub(error) => error.reason(),
            Self::Store(_) => Reason::StoreUnavailable,
        }
    }
}

/// How a refresh ended.
enum Outcome {
    Granted(Grant),
    Lost,
    Failed(GitHubError),
}

/// How often somebody who waits for another node looks whether it is done.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long one waits for another node.
const PATIENCE: Duration = Duration::from_secs(20);

// === impl Tokens ===

impl Tokens {
    /// Tokens in a store.
    pub fn new(credentials: Credentials, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        Self { credentials, flights: DashMap::new(), clock, metrics }
    }

    /// Where they are kept.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// A credential whose access token can be used now.
    pub async fn usable(
        self: &Arc<Self>,
        asking: &Asking,
        account: u64,
    ) -> Result<Credential, TokenError> {
        let credential = self.read(asking, account).await?.credential;
        match credential.need(self.clock.now()) {
            Need::Nothing => Ok(credential),
            Need::SignIn => Err(TokenError::SignInAgain),
            Need::RefreshNow => self.refreshed(asking, account, credential.version).await,
            // Before the use and not beside it: GitHub ends the old token when it gives a new one.
            Need::RefreshSoon => match self.refreshed(asking, account, credential.version).await {
                Err(TokenError::GitHub(_) | TokenError::Store(_)) => Ok(credential),
                result => result,
            },
        }
    }

    /// What comes of refreshing this version, whatever its age: the same version when that cannot
    /// be, and then it is the last.
    pub async fn refreshed(
        self: &Arc<Self>,
        asking: &Asking,
        account: u64,
        version: u64,
    ) -> Result<Credential, TokenError> {
        let (tokens, patience) = (self.clone(), asking.github.patience());
        let asking = asking.clone();
        // A task of its own: who waits may go away, and a spent refresh token is spent.
        let task = tokio::spawn(async move { tokens.refresh(&asking, account, version).await });
        let unknown = |why: &str| GitHubError::NoAnswer("the refresh", why.to_owned());
        match tokio::time::timeout(patience, task).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(unknown("it broke off").into()),
            Err(_) => Err(unknown("it is still under way").into()),
        }
    }

    /// Notes that GitHub takes nothing of this version any more.
    pub async fn end(
        &self,
        asking: &Asking,
        account: u64,
        version: u64,
    ) -> Result<(), Unavailable> {
        while let Some(stored) = self.credentials.read(&asking.keys, account).await? {
            let ended = stored.credential.clone().ended(self.clock.now());
            let is_other = stored.credential.version != version;
            if is_other || self.credentials.replace(&asking.keys, &stored, &ended).await? {
                break;
            }
        }
        Ok(())
    }

    /// A credential of another version: somebody got 401 for this one, so it is of no use.
    pub async fn newer(
        self: &Arc<Self>,
        asking: &Asking,
        account: u64,
        version: u64,
    ) -> Result<Option<Credential>, TokenError> {
        let stored = self.read(asking, account).await?;
        Ok(Some(stored.credential).filter(|credential| credential.version != version))
    }

    /// Forgets refreshes that are neither under way nor put off.
    pub fn sweep(&self) {
        let now = self.clock.now();
        self.flights.retain(|_, flight| {
            Arc::strong_count(flight) > 1
                || flight.try_lock().is_ok_and(|pauses| !pauses.are_over(now))
        });
    }

    async fn read(&self, asking: &Asking, account: u64) -> Result<StoredCredential, TokenError> {
        self.credentials.read(&asking.keys, account).await?.ok_or(TokenError::SignInAgain)
    }

    /// One at a time in this process; who comes second finds it done.
    async fn refresh(
        &self,
        asking: &Asking,
        account: u64,
        version: u64,
    ) -> Result<Credential, TokenError> {
        let place = self.flights.entry((asking.keys.realm(), account)).or_default().clone();
        let mut pauses = place.lock().await;
        let stored = self.read(asking, account).await?;
        if is_settled(&stored.credential, version) {
            return usable(stored.credential, self.clock.now());
        }
        if pauses.hold(self.clock.now()) {
            return Err(GitHubError::Failed("the refresh a moment ago", 503).into());
        }
        let result = self.refresh_alone(asking, account, version).await;
        match &result {
            Err(TokenError::GitHub(_)) => pauses.fail(self.clock.now()),
            _ => pauses.clear(),
        }
        result
    }

    /// One at a time over all nodes.
    async fn refresh_alone(
        &self,
        asking: &Asking,
        account: u64,
        version: u64,
    ) -> Result<Credential, TokenError> {
        let begun = tokio::time::Instant::now();
        loop {
            if let Some(lease) = self.lease(asking, account).await? {
                let result = self.refresh_under(&lease, asking, account, version).await;
                // Who waits elsewhere need not wait for its end.
                drop(self.credentials.release(&lease, self.clock.now()).await);
                return result;
            }
            tokio::time::sleep(LOOK_EVERY).await;
            let stored = self.read(asking, account).await?;
            if is_settled(&stored.credential, version) {
                return usable(stored.credential, self.clock.now());
            }
            if begun.elapsed() > PATIENCE {
                let why = "another node has been at it for too long".to_owned();
                return Err(GitHubError::NoAnswer("the refresh", why).into());
            }
        }
    }

    async fn lease(&self, asking: &Asking, account: u64) -> Result<Option<Lease>, Unavailable> {
        self.credentials.lease(&asking.keys, account, self.clock.now()).await
    }

    async fn refresh_under(
        &self,
        lease: &Lease,
        asking: &Asking,
        account: u64,
        version: u64,
    ) -> Result<Credential, TokenError> {
        let stored = self.read(asking, account).await?;
        if is_settled(&stored.credential, version) {
            return usable(stored.credential, self.clock.now());
        }
        let outcome = tokio::select! {
            outcome = self.ask(asking, &stored.credential) => outcome,
            never = self.keep(lease) => match never {},
        };
        match outcome {
            Outcome::Granted(grant) => {
                self.metrics.token_refreshes.with_label_values(&["refreshed"]).inc();
                self.write_down(asking, account, stored, grant).await
            }
            Outcome::Lost => self.give_up(asking, account, stored).await,
            Outcome::Failed(error) => {
                self.metrics.token_refreshes.with_label_values(&["failed"]).inc();
                Err(error.into())
            }
        }
    }

    /// Asks GitHub. A lost answer is asked for once more: GitHub may not have heard.
    async fn ask(&self, asking: &Asking, credential: &Credential) -> Outcome {
        let Some(refresh) = &credential.grant.refresh else { return Outcome::Lost };
        let mut answer = asking.github.refresh(&asking.callback, refresh, self.clock.now()).await;
        if matches!(answer, Err(GitHubError::NoAnswer(..))) {
            answer = asking.github.refresh(&asking.callback, refresh, self.clock.now()).await;
        }
        match answer {
            Ok(grant) => Outcome::Granted(grant),
            Err(GitHubError::BadRefreshToken(_)) => Outcome::Lost,
            Err(error) => Outcome::Failed(error),
        }
    }

    /// Keeps a lease for as long as its holder is at work.
    async fn keep(&self, lease: &Lease) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(LEASE / 3).await;
            if !matches!(self.credentials.renew(lease, self.clock.now()).await, Ok(true)) {
                tracing::warn!("the lease of a refresh could not be renewed; the version decides");
            }
        }
    }

    /// Writes new tokens down before anybody uses them. GitHub has ended the old ones by now, so
    /// a store that gives no answer is asked again and again.
    async fn write_down(
        &self,
        asking: &Asking,
        account: u64,
        mut stored: StoredCredential,
        grant: Grant,
    ) -> Result<Credential, TokenError> {
        let base = stored.credential.version;
        let new = Credential { version: base + 1, grant, is_lost: false };
        loop {
            match self.credentials.replace(&asking.keys, &stored, &new).await {
                Ok(true) => return Ok(new),
                Ok(false) => {}
                Err(unavailable) => {
                    tracing::error!(
                        "a refreshed token could not be written down yet: {unavailable}"
                    );
                    tokio::time::sleep(LOOK_EVERY * 10).await;
                }
            }
            match self.credentials.read(&asking.keys, account).await {
                // Nothing newer: another node may have given the old tokens up meanwhile.
                Ok(Some(now)) if now.credential.version == base => stored = now,
                // A write of ours whose answer was lost.
                Ok(Some(now)) if now.credential.is_same_grant(&new) => return Ok(new),
                // Somebody signed in meanwhile, which always wins, or the last session ended.
                Ok(other) => return self.discard(asking, &new, other).await,
                Err(_) => tokio::time::sleep(LOOK_EVERY * 10).await,
            }
        }
    }

    /// What came too late is ended at GitHub.
    async fn discard(
        &self,
        asking: &Asking,
        late: &Credential,
        winner: Option<StoredCredential>,
    ) -> Result<Credential, TokenError> {
        self.metrics.token_refreshes.with_label_values(&["superseded"]).inc();
        if let Err(error) = asking.github.revoke(&late.grant.access).await {
            tracing::info!("a superseded token could not be ended at GitHub: {error}");
        }
        let winner = winner.ok_or(TokenError::SignInAgain)?;
        usable(winner.credential, self.clock.now())
    }

    /// GitHub does not take the refresh token. Another node may have spent it a moment ago and not
    /// yet written down what it got; else the person has to sign in again.
    async fn give_up(
        &self,
        asking: &Asking,
        account: u64,
        stored: StoredCredential,
    ) -> Result<Credential, TokenError> {
        tokio::time::sleep(LOOK_EVERY * 10).await;
        loop {
            let now = self.read(asking, account).await?;
            if now.credential.version != stored.credential.version {
                return usable(now.credential, self.clock.now());
            }
            let lost = Credential { is_lost: true, ..now.credential.clone() };
            if self.credentials.replace(&asking.keys, &now, &lost).await? {
                self.metrics.token_refreshes.with_label_values(&["lost"]).inc();
                tracing::warn!(user.id = account, "GitHub does not take the refresh token");
                return usable(lost, self.clock.now());
            }
        }
    }
}

/// Whether somebody else has asked meanwhile: there is a newer one, or none to be had.
fn is_settled(credential: &Credential, version: u64) -> bool {
    credential.version != version || credential.is_lost
}

fn usable(credential: Credential, now: Time) -> Result<Credential, TokenError> {
    match credential.need(now) {
        Need::Nothing | Need::RefreshSoon => Ok(credential),
        Need::RefreshNow | Need::SignIn => Err(TokenError::SignInAgain),
    }
}
