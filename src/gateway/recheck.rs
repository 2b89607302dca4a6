//! Facts re-checked: organisations, teams and e-mail are asked of GitHub again, beside the requests
//! while they are young enough, before a request when they are not. So who leaves an organisation
//! loses access within `session.recheck`, without a new sign-in.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinHandle;

use super::{Admissions, Decision, Gateway, LiveSession, Request, Snapshot, Visitor};
use crate::clock::{Clock, Time};
use crate::credential::Credential;
use crate::defence::{Defence, stands};
use crate::github::api::Api;
use crate::github::{Asking, GitHubError, LONGEST_PAUSE, Pauses, Said, TokenError, Tokens};
use crate::metrics::Metrics;
use crate::policy::Facts;
use crate::reason::Reason;
use crate::store::{News, Principal, Profile, Sessions, Unavailable};

/// Asks GitHub again, one question at a time for each account.
pub(super) struct Rechecks {
    pub(super) sessions: Arc<Sessions<Admissions>>,
    pub(super) tokens: Arc<Tokens>,
    pub(super) github_api: Arc<Api>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<Metrics>,
    flights: DashMap<(u64, u64), Arc<Mutex<Flight>>>,
    /// When the log was told of a failure, in seconds since 1970.
    told: AtomicI64,
}

/// How an account's re-checks went lately.
#[derive(Default)]
pub(super) struct Flight {
    pauses: Pauses,
    /// Whether the last failure may lie with the person.
    is_withheld: bool,
    /// Until when nobody but the person can help, as far as is known.
    hopeless_until: Option<Time>,
    /// The version that GitHub refused without saying whether it is dead, and when it first did.
    refused: Option<(u64, Time)>,
}

/// Whose facts, which, and how old they may be.
struct Question {
    asking: Asking,
    account: u64,
    facts: Facts,
    every: Duration,
}

/// Why there are no newer facts.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// Only the person can help.
    #[error("the person has to sign in again")]
    SignInAgain,
    /// The person has withdrawn the authorisation at GitHub.
    #[error("the authorisation was withdrawn at GitHub")]
    Revoked,
    /// It went wrong a moment ago and is not tried again yet, or is still under way.
    #[error("GitHub was asked a moment ago, in vain so far")]
    PutOff,
    /// It gave no facts of this person a moment ago, and others may have them.
    #[error("GitHub gave no facts of this person a moment ago")]
    Withheld,
    #[error(transparent)]
    GitHub(#[from] GitHubError),
    #[error(transparent)]
    Store(#[from] Unavailable),
}

/// How old facts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    Young,
    /// In the last fifth of their life.
    Aging,
    Outdated,
}

/// How long a first refusal counts.
const REFUSAL_COUNTS: Duration = Duration::from_secs(3600);

/// When GitHub is down it is so for everybody: the log is told this often, the metric each time.
const TOLD_EVERY: Duration = Duration::from_secs(60);

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
        live: &LiveSession,
    ) -> Option<Decision> {
        if self.age(request, live) == Age::Aging {
            self.recheck_beside(request.snapshot, live);
            return None;
        }
        let flight = self.rechecks.flight(request.config().keys.realm(), live.account.id);
        let renewed = async {
            let flight = flight.lock_owned().await;
            if self.age(request, live) == Age::Young {
                return Ok(());
            }
            if flight.pauses.hold(self.clock.now()) {
                return Err(if flight.is_withheld { Trouble::Withheld } else { Trouble::PutOff });
            }
            self.begin_recheck(request.snapshot, live, flight).await.unwrap_or(Err(Trouble::PutOff))
        };
        let patience = request.snapshot.github.patience();
        match tokio::time::timeout(patience, renewed).await.unwrap_or(Err(Trouble::PutOff)) {
            Ok(()) => None,
            Err(Trouble::Revoked) if live.is_api_key() => Some(Decision::SignIn(Reason::BadApiKey)),
            Err(Trouble::Revoked) => Some(Decision::SignIn(Reason::SessionEnded)),
            Err(Trouble::SignInAgain) => Some(Decision::SignIn(Reason::FactsOutdated)),
            Err(Trouble::Store(_)) => self.keep_facts(request, live, Reason::StoreUnavailable),
            Err(trouble) => {
                let grace = request.config().recheck.grace;
                // What may lie with the person must not be worth a day to somebody who has left.
                let short = grace.min(request.config().recheck.every);
                let grace = if trouble.is_withheld() { short } else { grace };
                self.keep_facts_for(request, live, grace, Reason::GitHubUnavailable)
            }
        }
    }

    /// Whether a stream that lasts may go on: its visitor is judged again as facts change, and asked
    /// about as they age.
    pub fn may_go_on(&self, snapshot: &Snapshot, visitor: &Visitor) -> bool {
        let (now, live) = (self.clock.now(), visitor.session());
        if visitor.has_left(now) {
            return false;
        }
        if visitor.came_just_now(now) {
            return true;
        }
        let (checked, recheck) = (live.account.profile().checked, snapshot.config.recheck);
        let is_asked =
            age(checked, now, recheck.every) == Age::Young || self.recheck_beside(snapshot, live);
        // What admitted the visitor counts as long as any facts do; then the present ones.
        let is_judged_anew = distance(visitor.judged_by(), now) >= recheck.every;
        let has_facts = is_asked || distance(checked, now) < recheck.every + recheck.grace;
        has_facts && (!is_judged_anew || visitor.is_admitted())
    }

    /// Asks GitHub again, unless somebody does already. `false` when that was in vain a moment ago.
    fn recheck_beside(&self, snapshot: &Snapshot, live: &LiveSession) -> bool {
        let flight = self.rechecks.flight(snapshot.config.keys.realm(), live.account.id);
        let Ok(flight) = flight.try_lock_owned() else { return true };
        if flight.is_in_vain(self.clock.now()) {
            return false;
        }
        drop(self.begin_recheck(snapshot, live, flight));
        true
    }

    /// A task of its own: a visitor who goes away must not break a refresh off half way.
    fn begin_recheck(
        &self,
        snapshot: &Snapshot,
        live: &LiveSession,
        flight: OwnedMutexGuard<Flight>,
    ) -> JoinHandle<Result<(), Trouble>> {
        let question = Question {
            asking: snapshot.asking(),
            account: live.account.id,
            facts: snapshot.config.facts(),
            every: snapshot.config.recheck.every,
        };
        let rechecks = self.rechecks.clone();
        tokio::spawn(async move { rechecks.recheck(&question, flight).await })
    }

    /// GitHub gives no answer: what it said last counts for a while.
    fn keep_facts(
        &self,
        request: &Request<'_>,
        live: &LiveSession,
        why: Reason,
    ) -> Option<Decision> {
        self.keep_facts_for(request, live, request.config().recheck.grace, why)
    }

    fn keep_facts_for(
        &self,
        request: &Request<'_>,
        live: &LiveSession,
        grace: Duration,
        why: Reason,
    ) -> Option<Decision> {
        let age = distance(live.account.profile().checked, self.clock.now());
        if age >= request.config().recheck.every + grace {
            return Some(Decision::Unavailable(why));
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
        github_api: Arc<Api>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let told = AtomicI64::new(i64::MIN / 2);
        Self { sessions, tokens, github_api, clock, metrics, flights: DashMap::new(), told }
    }

    /// Forgets accounts that are neither being asked about nor put off.
    pub(super) fn sweep(&self) {
        let now = self.clock.now();
        self.flights.retain(|_, flight| {
            Arc::strong_count(flight) > 1
                || flight.try_lock().is_ok_and(|flight| !flight.is_over(now))
        });
    }

    pub(super) fn flight(&self, realm: u64, account: u64) -> Arc<Mutex<Flight>> {
        self.flights.entry((realm, account)).or_default().clone()
    }

    async fn recheck(
        &self,
        question: &Question,
        mut flight: OwnedMutexGuard<Flight>,
    ) -> Result<(), Trouble> {
        let result = self.renew(question, &mut flight.refused).await;
        flight.note(&result, self.clock.now());
        self.report(&result, question.account);
        result.map(drop)
    }

    /// GitHub refused a token that was used beside the re-checks: the one to use in its place, or
    /// `None` when it is alive all the same. One at a time for each account, so that a dead token is
    /// looked into once and not once for each request.
    pub(super) async fn settle_refusal(
        &self,
        asking: &Asking,
        account: u64,
        credential: &Credential,
    ) -> Result<Option<Credential>, Trouble> {
        let mut flight = self.flight(asking.keys.realm(), account).lock_owned().await;
        self.after_refusal(asking, account, credential, &mut flight.refused).await
    }

    /// `true` when GitHub was asked, `false` when somebody was faster, here or on another node.
    async fn renew(
        &self,
        question: &Question,
        refused: &mut Option<(u64, Time)>,
    ) -> Result<bool, Trouble> {
        let (keys, account) = (&question.asking.keys, question.account);
        let accounts = self.sessions.accounts();
        let Some(record) = accounts.read(keys, account).await? else {
            return Err(Trouble::SignInAgain);
        };
        let checked = record.profile.checked;
        if age(checked, self.clock.now(), question.every) == Age::Young {
            accounts.adopt(keys, record.profile);
            return Ok(false);
        }
        let before =
            Said { identity: record.profile.identity, validators: record.validators, scopes: None };
        self.ask(question, (&before, checked), refused).await.map(|()| true)
    }

    fn report(&self, result: &Result<bool, Trouble>, account: u64) {
        let word = match result {
            Ok(true) => "renewed",
            Ok(false) => "known",
            Err(Trouble::Revoked) => "revoked",
            Err(Trouble::SignInAgain) => "sign-in-again",
            Err(_) => "failed",
        };
        self.metrics.rechecks.with_label_values(&[word]).inc();
        if let Err(trouble @ (Trouble::GitHub(_) | Trouble::Store(_))) = result
            && self.is_worth_a_line()
        {
            tracing::warn!(
                user.id = account,
                "what GitHub said last still counts, for it could not be asked again; others may \
                 be as unlucky within the minute: {trouble}"
            );
        }
    }

    fn is_worth_a_line(&self) -> bool {
        let (now, told) = (self.clock.now().unix(), self.told.load(Ordering::Relaxed));
        let is_due = now.abs_diff(told) >= TOLD_EVERY.as_secs();
        let order = Ordering::Relaxed;
        is_due && self.told.compare_exchange(told, now, order, order).is_ok()
    }

    async fn ask(
        &self,
        question: &Question,
        (before, checked): (&Said, Time),
        refused: &mut Option<(u64, Time)>,
    ) -> Result<(), Trouble> {
        let (asking, account) = (&question.asking, question.account);
        let mut credential = self.tokens.usable(asking, account).await?;
        let mut asked = self.clock.now();
        let mut said = who(question, &credential, before).await;
        if is_refused(&said)
            && let Some(newer) = self.after_refusal(asking, account, &credential, refused).await?
        {
            credential = newer;
            asked = self.clock.now();
            said = who(question, &credential, before).await;
        }
        if !is_refused(&said) {
            *refused = None;
        }
        self.github_api.note_asked(account, said.as_ref().err());
        let said = said?;
        if said.identity.id != account {
            let why = "the token speaks for another account".to_owned();
            return Err(GitHubError::Malformed("/user", why).into());
        }
        if let Some(scopes) = &said.scopes {
            let who = Principal::User { realm: asking.keys.realm(), id: account };
            self.github_api.note_scopes(who, scopes).await;
        }
        // What GitHub says may change while it answers.
        let profile = Profile { identity: said.identity, checked: asked };
        let accounts = self.sessions.accounts();
        accounts.renew(&asking.keys, checked, &profile, &said.validators).await?;
        self.sessions.announce(&asking.keys, &News::Renewed(account)).await?;
        Ok(())
    }
}

// === impl Flight ===

impl Flight {
    fn note(&mut self, result: &Result<bool, Trouble>, now: Time) {
        self.hopeless_until = None;
        self.is_withheld = result.as_ref().is_err_and(Trouble::is_withheld);
        match result {
            // Refused by a limit: whoever keeps asking is refused for longer.
            Err(Trouble::GitHub(GitHubError::Failed(_, 403 | 429))) => {
                self.pauses.fail_for_long(now);
            }
            Err(Trouble::GitHub(_) | Trouble::Store(_)) => self.pauses.fail(now),
            Err(Trouble::SignInAgain) => {
                self.pauses.clear();
                self.hopeless_until = Some(now + LONGEST_PAUSE);
            }
            Ok(_) | Err(Trouble::Revoked | Trouble::PutOff | Trouble::Withheld) => {
                self.pauses.clear();
            }
        }
    }

    /// Whether there is no use in asking while nobody waits for the answer.
    fn is_in_vain(&self, now: Time) -> bool {
        self.pauses.hold(now) || self.hopeless_until.is_some_and(|time| now < time)
    }

    fn is_over(&self, now: Time) -> bool {
        let counts = self.refused.is_some_and(|(_, first)| now.since(first) < REFUSAL_COUNTS);
        self.pauses.are_over(now) && !self.is_in_vain(now) && !counts
    }
}

// === impl Trouble ===

impl Trouble {
    /// Whether GitHub answers, and gives no facts of this person: limits are a person's own, and a
    /// suspended account is refused.
    fn is_withheld(&self) -> bool {
        match self {
            Self::GitHub(GitHubError::Failed(what, status)) => {
                is_of_the_person(what) && (400..500).contains(status)
            }
            Self::GitHub(GitHubError::Malformed(what, _)) => is_of_the_person(what),
            other => matches!(other, Self::Withheld),
        }
    }
}

impl Trouble {
    /// The word for page, log and metric.
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::SignInAgain => Reason::FactsOutdated,
            Self::Revoked => Reason::SessionEnded,
            Self::PutOff | Self::Withheld => Reason::GitHubUnavailable,
            Self::GitHub(error) => error.reason(),
            Self::Store(_) => Reason::StoreUnavailable,
        }
    }
}

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
    let (token, github) = (&credential.grant.access, &question.asking.github);
    let asking = github.who(token, question.facts, Some(before));
    tokio::time::timeout(github.patience(), asking).await.unwrap_or_else(|_| {
        Err(GitHubError::NoAnswer("the facts", "it took too long in all".to_owned()))
    })
}

/// Whether a question is about the person: the others are the app's.
fn is_of_the_person(what: &str) -> bool {
    what.starts_with("/user")
}

fn is_refused(said: &Result<Said, GitHubError>) -> bool {
    matches!(said, Err(GitHubError::Failed(_, 401)))
}

/// How old facts are. A stamp from the future is a clock's jump, and no reason for trust.
fn age(checked: Time, now: Time, every: Duration) -> Age {
    if !stands(Defence::FactsAge) {
        Age::Young
    } else if distance(checked, now) >= every {
        Age::Outdated
    } else if now.since(checked) >= every / 5 * 4 {
        Age::Aging
    } else {
        Age::Young
    }
}

/// How far two moments are apart, whichever is first.
fn distance(one: Time, other: Time) -> Duration {
    one.since(other).max(other.since(one))
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
            let age = age(Time::from_unix(checked), Time::from_unix(now), every);
            assert_eq!(age, is, "{checked} {now}");
        }
    }
}
