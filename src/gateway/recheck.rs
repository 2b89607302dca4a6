//! Facts re-checked: organisations, teams and e-mail are asked of GitHub again, beside the requests
//! while they are young enough, before a request when they are not. So who leaves an organisation
//! loses access within `session.recheck`, without a new sign-in.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::Mutex;

use super::ending::Cause;
use super::{Admissions, Decision, Gateway, LiveSession, Request};
use crate::clock::{Clock, Time};
use crate::credential::Credential;
use crate::github::{Asking, GitHubError, Said, TokenError, Tokens};
use crate::metrics::Metrics;
use crate::policy::Facts;
use crate::reason::Reason;
use crate::store::{News, Profile, Sessions, Unavailable};

/// Asks GitHub again, one question at a time for each account.
pub(super) struct Rechecks {
    pub(super) sessions: Arc<Sessions<Admissions>>,
    pub(super) tokens: Arc<Tokens>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<Metrics>,
    flights: DashMap<(u64, u64), Arc<Mutex<Flight>>>,
}

/// How an account's re-checks went lately.
#[derive(Default)]
struct Flight {
    failures: u32,
    not_before: Option<Time>,
    /// When GitHub first refused the token without saying whether it is dead.
    refused: Option<Time>,
}

/// Whose facts, which, and how old they may be.
#[derive(Clone)]
struct Question {
    asking: Asking,
    account: u64,
    facts: Facts,
    every: Duration,
}

/// Why there are no newer facts.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// Only the person can help.
    #[error("the person has to sign in again")]
    SignInAgain,
    /// The person has withdrawn the authorisation at GitHub.
    #[error("the authorisation was withdrawn at GitHub")]
    Revoked,
    /// It went wrong a moment ago, and is not tried again yet.
    #[error("GitHub was asked a moment ago, in vain")]
    PutOff,
    #[error(transparent)]
    GitHub(#[from] GitHubError),
    #[error(transparent)]
    Store(#[from] Unavailable),
}

/// How old facts are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    Young,
    /// In the last fifth of their life.
    Aging,
    Outdated,
}

/// After a failure, before GitHub is asked again; doubled each time.
const PAUSE: Duration = Duration::from_secs(5);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// A token that GitHub refuses twice, so far apart, is dead, even if GitHub does not say so.
const REFUSED_TWICE: Duration = Duration::from_secs(2);

// === impl Gateway ===

impl Gateway {
    /// Whether what is known of a visitor is young enough to decide on. Costs a comparison.
    pub(super) fn has_young_facts(&self, request: &Request<'_>, live: &LiveSession) -> bool {
        self.age(request, live) == Age::Young
    }

    /// Renews what is known of a visitor; a decision where that does not go well.
    pub(super) async fn renew_facts(
        &self,
        request: &Request<'_>,
        live: &Arc<LiveSession>,
    ) -> Option<Decision> {
        let question = Question {
            asking: request.snapshot.asking(),
            account: live.account.id,
            facts: request.config().routes.facts(),
            every: request.config().recheck.every,
        };
        let rechecks = self.rechecks.clone();
        // A task of its own: a visitor who goes away must not break a refresh off half way.
        let task = tokio::spawn(async move { rechecks.recheck(&question).await });
        if self.age(request, live) == Age::Aging {
            return None;
        }
        match task.await.unwrap_or(Err(Trouble::PutOff)) {
            Ok(()) => None,
            Err(Trouble::Revoked) => Some(Decision::SignIn(Reason::SessionEnded)),
            Err(Trouble::SignInAgain) => Some(Decision::SignIn(Reason::FactsOutdated)),
            Err(Trouble::PutOff | Trouble::GitHub(_) | Trouble::Store(_)) => {
                self.keep_facts(request, live)
            }
        }
    }

    /// GitHub gives no answer: what it said last counts for a while.
    fn keep_facts(&self, request: &Request<'_>, live: &LiveSession) -> Option<Decision> {
        let recheck = request.config().recheck;
        let age = self.clock.now().since(live.account.profile().checked);
        if age >= recheck.every + recheck.grace {
            return Some(Decision::Unavailable(Reason::GitHubUnavailable));
        }
        self.metrics.facts_kept.inc();
        None
    }

    fn age(&self, request: &Request<'_>, live: &LiveSession) -> Age {
        age(live.account.profile().checked, self.clock.now(), request.config().recheck.every)
    }
}

// === impl Rechecks ===

impl Rechecks {
    pub(super) fn new(
        sessions: Arc<Sessions<Admissions>>,
        tokens: Arc<Tokens>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { sessions, tokens, clock, metrics, flights: DashMap::new() }
    }

    /// Forgets accounts that are neither being asked about nor put off.
    pub(super) fn sweep(&self) {
        let now = self.clock.now();
        self.flights.retain(|_, flight| {
            Arc::strong_count(flight) > 1
                || flight.try_lock().is_ok_and(|f| f.not_before.is_some_and(|time| now < time))
        });
    }

    /// Ends whatever rests on an account's authorisation at GitHub, which is gone.
    pub(super) async fn revoke(&self, asking: &Asking, account: u64) -> Result<(), Unavailable> {
        let (keys, now) = (&asking.keys, self.clock.now());
        let ended = self.sessions.end_all(keys, account, None, now).await?;
        Cause::Revoked.count(&self.metrics, ended);
        let credentials = self.tokens.credentials();
        if let Some(stored) = credentials.read(keys, account).await? {
            credentials.remove(keys, &stored, now).await?;
        }
        tracing::info!(user.id = account, "the authorisation was withdrawn at GitHub: signed out");
        Ok(())
    }

    async fn recheck(&self, question: &Question) -> Result<(), Trouble> {
        let (keys, account) = (&question.asking.keys, question.account);
        let place = self.flights.entry((keys.realm(), account)).or_default().clone();
        let mut flight = place.lock().await;
        let accounts = self.sessions.accounts();
        let Some(record) = accounts.read(keys, account).await? else {
            return Err(Trouble::SignInAgain);
        };
        let now = self.clock.now();
        if age(record.profile.checked, now, question.every) == Age::Young {
            // Somebody was faster, here or on another node.
            accounts.adopt(keys, record.profile);
            return Ok(());
        }
        if flight.not_before.is_some_and(|time| now < time) {
            return Err(Trouble::PutOff);
        }
        let before = Said { identity: record.profile.identity, validators: record.validators };
        let result = self.ask(question, &before, &mut flight.refused).await;
        flight.note(&result, self.clock.now());
        self.report(&result, account);
        result
    }

    fn report(&self, result: &Result<(), Trouble>, account: u64) {
        let word = match result {
            Ok(()) => "renewed",
            Err(Trouble::Revoked) => "revoked",
            Err(Trouble::SignInAgain) => "sign-in-again",
            Err(_) => "failed",
        };
        self.metrics.rechecks.with_label_values(&[word]).inc();
        if let Err(trouble @ (Trouble::GitHub(_) | Trouble::Store(_))) = result {
            tracing::warn!(
                user.id = account,
                "GitHub could not be asked again, so what it said last still counts: {trouble}"
            );
        }
    }

    async fn ask(
        &self,
        question: &Question,
        before: &Said,
        refused: &mut Option<Time>,
    ) -> Result<(), Trouble> {
        let (asking, account) = (&question.asking, question.account);
        let mut credential = self.tokens.usable(asking, account).await?;
        let mut said = who(question, &credential, before).await;
        if is_refused(&said)
            && let Some(newer) = self.tokens.newer(asking, account, credential.version).await?
        {
            // Refreshed meanwhile, which ends the old token: no refusal of the person.
            credential = newer;
            said = who(question, &credential, before).await;
        }
        if is_refused(&said) && self.is_dead(asking, &credential, refused).await? {
            self.revoke(asking, account).await?;
            return Err(Trouble::Revoked);
        }
        let said = said?;
        if said.identity.id != account {
            let why = "the token speaks for another account".to_owned();
            return Err(GitHubError::Malformed("/user", why).into());
        }
        let profile = Profile { identity: said.identity, checked: self.clock.now() };
        self.sessions.accounts().renew(&asking.keys, &profile, &said.validators).await?;
        self.sessions.announce(&asking.keys, &News::Renewed(account)).await?;
        Ok(())
    }

    /// Whether a token that GitHub refuses is dead, for it also refuses living ones in bad moments.
    async fn is_dead(
        &self,
        asking: &Asking,
        credential: &Credential,
        refused: &mut Option<Time>,
    ) -> Result<bool, Trouble> {
        let now = self.clock.now();
        match asking.github.is_alive(&credential.grant.access).await {
            Ok(is_alive) => {
                *refused = None;
                Ok(!is_alive)
            }
            Err(_) if refused.is_some_and(|first| now.since(first) >= REFUSED_TWICE) => Ok(true),
            Err(error) => {
                refused.get_or_insert(now);
                Err(error.into())
            }
        }
    }
}

// === impl Flight ===

impl Flight {
    fn note(&mut self, result: &Result<(), Trouble>, now: Time) {
        let is_transient = matches!(result, Err(Trouble::GitHub(_) | Trouble::Store(_)));
        self.failures = if is_transient { self.failures.saturating_add(1) } else { 0 };
        self.not_before = is_transient.then(|| {
            now + PAUSE.saturating_mul(1 << (self.failures - 1).min(16)).min(LONGEST_PAUSE)
        });
    }
}

// === impl Trouble ===

impl From<TokenError> for Trouble {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::SignInAgain => Self::SignInAgain,
            TokenError::GitHub(error) => Self::GitHub(error),
            TokenError::Store(unavailable) => Self::Store(unavailable),
        }
    }
}

async fn who(
    question: &Question,
    credential: &Credential,
    before: &Said,
) -> Result<Said, GitHubError> {
    let token = &credential.grant.access;
    question.asking.github.who(token, question.facts, Some(before)).await
}

fn is_refused(said: &Result<Said, GitHubError>) -> bool {
    matches!(said, Err(GitHubError::Failed(_, 401)))
}

/// How old facts are. A stamp from the future is a clock's jump, and no reason for trust.
fn age(checked: Time, now: Time, every: Duration) -> Age {
    let age = now.since(checked);
    if age >= every || checked.since(now) >= every {
        Age::Outdated
    } else if age >= every / 5 * 4 {
        Age::Aging
    } else {
        Age::Young
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_renewed_in_the_last_fifth_of_their_life_and_waited_for_after_it() {
        let every = Duration::from_secs(600);
        for (checked, now, is) in [
            (0, 0, Age::Young),
            (0, 479, Age::Young),
            (0, 480, Age::Aging),
            (0, 599, Age::Aging),
            (0, 600, Age::Outdated),
            (599, 0, Age::Young),
            (600, 0, Age::Outdated),
        ] {
            let is_so = age(Time::from_unix(checked), Time::from_unix(now), every) == is;
            assert!(is_so, "{checked} {now}");
        }
    }
}
